"""Find the characteristic words of a speaker: TF-IDF with speakers as documents."""

import re
from collections.abc import Collection, Sequence

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, CountVectorizer, TfidfTransformer

from ..store.queries import Utterance, View

_WORD = r"(?u)\b[^\W\d_]\w+\b"
_CONTRACTION = re.compile("\\w+['\u2019]\\w+")  # it's, don't, y'know: characteristic of nobody
_FILLERS = """
ah aha alright bye cause come gonna gotta going good god great guess guys hello hey hi hmm huh just
know let like look mean oh ok okay ooh really right said say see sure tell thank thanks thing things
think uh um umm wait wanna want well wow ya yeah yep yes
"""


class PhraseTable:
    """Words and pairs of words, counted once and weighed anew for each view.

    Args:
        utterances: Everybody's utterances, oldest first.
    """

    def __init__(self, utterances: Sequence[Utterance]):
        self._positions = np.array([utterance.position for utterance in utterances])
        self._splits = np.array([utterance.split for utterance in utterances])
        self._speaker_ids: dict[str, int] = {}
        self._speakers = np.array(
            [
                self._speaker_ids.setdefault(utterance.speaker, len(self._speaker_ids))
                for utterance in utterances
            ]
        )
        stop_words = sorted(ENGLISH_STOP_WORDS.union(_FILLERS.split()))
        counter = CountVectorizer(ngram_range=(1, 2), stop_words=stop_words, token_pattern=_WORD)
        texts = [_CONTRACTION.sub(" ", utterance.text) for utterance in utterances]
        try:
            self._counts = counter.fit_transform(texts).tocsr()
            self._phrases = counter.get_feature_names_out()
        except ValueError:  # nothing but stop words
            self._counts, self._phrases = csr_matrix((len(utterances), 0)), np.array([])

    def characteristic(self, speaker: str, view: View, count: int, names: Collection[str] = ()) -> list[str]:
        """Return what a speaker says more often than others, strongest first.

        Each phrase occurs at least twice, and no two share a word.

        Args:
            speaker: The speaker's identity.
            view: What may be seen.
            count: Maximum number of phrases.
            names: Words (lower case) that no phrase may hold, nor a beginning of three or
                more of their letters (Rachel, Rach).
        """
        visible = np.ones(len(self._positions), dtype=bool)
        if view.split is not None:
            visible &= np.isin(self._splits, ["train", view.split])
        if view.before is not None:
            visible &= self._positions < view.before
        rows = np.flatnonzero(visible)
        present, owners = np.unique(self._speakers[rows], return_inverse=True)
        speaker_id = self._speaker_ids.get(speaker, -1)
        if speaker_id not in present or not self._counts.shape[1]:
            return []
        # (speakers, utterances) @ (utterances, phrases): one document for each speaker.
        spoken_by = csr_matrix(
            (np.ones(len(rows)), (owners, np.arange(len(rows)))), (len(present), len(rows))
        )
        row = int(np.searchsorted(present, speaker_id))
        return self._strongest(spoken_by @ self._counts[rows], row, count, names)

    def _strongest(self, counts: csr_matrix, row: int, count: int, names: Collection[str]) -> list[str]:
        weights = TfidfTransformer(sublinear_tf=True).fit_transform(counts)[row].toarray().ravel()
        frequent = counts[row].toarray().ravel() >= 2
        phrases: list[str] = []
        # Rounded, so that ties are the same on every machine; ties are sorted by name.
        for column in sorted(
            np.flatnonzero(frequent), key=lambda column: (-round(weights[column], 9), self._phrases[column])
        ):
            words = set(self._phrases[column].split())
            named = any(len(word) > 2 and name.startswith(word) for word in words for name in names)
            if named or any(words & set(phrase.split()) for phrase in phrases):
                continue
            phrases.append(str(self._phrases[column]))
            if len(phrases) == count:
                break
        return phrases
