"""Characteristic words of speakers: TF-IDF with a speaker as the document, from what a
view lets one see.
"""

import re
from collections.abc import Collection, Sequence

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, CountVectorizer, TfidfTransformer

from ..store.store import Utterance, View

_WORD = r"(?u)\b[^\W\d_]\w+\b"
_CONTRACTION = re.compile(r"\w+['’]\w+")  # it's, don't, y'know: nobody's own
_FILLERS = frozenset(
    re.findall(
        r"\S+",
        """
        ah aha alright bye cause come gonna gotta going good god great guess guys hello hey hi hmm huh just know let like look
        mean oh ok okay ooh really right said say see sure tell thank thanks thing things think uh um umm wait wanna want well
        wow ya yeah yep yes
        """,
    )
)


class PhraseTable:
    """Words and pairs of words of every utterance, counted once, weighed anew for each
    view.

    Args:
        utterances: Everybody's, oldest first.
    """

    def __init__(self, utterances: Sequence[Utterance]):
        self._positions = np.array([each.position for each in utterances])
        self._splits = np.array([each.split for each in utterances])
        numbers: dict[str, int] = {}
        self._speakers = np.array([numbers.setdefault(each.speaker, len(numbers)) for each in utterances])
        self._numbers = numbers
        stop_words = sorted(ENGLISH_STOP_WORDS.union(_FILLERS))
        counter = CountVectorizer(ngram_range=(1, 2), stop_words=stop_words, token_pattern=_WORD)
        try:
            self._counts = counter.fit_transform(
                _CONTRACTION.sub(" ", each.text) for each in utterances
            ).tocsr()
            self._phrases = counter.get_feature_names_out()
        except ValueError:  # not one word that counts
            self._counts, self._phrases = csr_matrix((len(utterances), 0)), np.array([])

    def characteristic(self, speaker: str, view: View, count: int, names: Collection[str] = ()) -> list[str]:
        """What this speaker says more than others, strongest first: said twice at least,
        none a part of another.

        Args:
            names: Words (lower case) that no phrase may hold, nor their first three
                letters and more (Rachel, Rach).
        """
        visible = np.ones(len(self._positions), dtype=bool)
        if view.split is not None:
            visible &= np.isin(self._splits, ["train", view.split])
        if view.before is not None:
            visible &= self._positions < view.before
        rows = np.flatnonzero(visible)
        present, owners = np.unique(self._speakers[rows], return_inverse=True)
        number = self._numbers.get(speaker, -1)
        if number not in present or not self._counts.shape[1]:
            return []
        spoken_by = csr_matrix(
            (np.ones(len(rows)), (owners, np.arange(len(rows)))), (len(present), len(rows))
        )
        return self._strongest(
            spoken_by @ self._counts[rows], int(np.searchsorted(present, number)), count, names
        )

    def _strongest(self, said: csr_matrix, place: int, count: int, names: Collection[str]) -> list[str]:
        weights = TfidfTransformer(sublinear_tf=True).fit_transform(said)[place].toarray().ravel()
        often = said[place].toarray().ravel() >= 2
        chosen: list[str] = []
        # Rounded, so that equal weights stay equal on every machine; then by the
        # alphabet.
        for column in sorted(
            np.flatnonzero(often), key=lambda column: (-round(weights[column], 9), self._phrases[column])
        ):
            words = set(self._phrases[column].split())
            named = any(len(word) > 2 and name.startswith(word) for word in words for name in names)
            if named or any(words & set(phrase.split()) for phrase in chosen):
                continue
            chosen.append(str(self._phrases[column]))
            if len(chosen) == count:
                break
        return chosen
