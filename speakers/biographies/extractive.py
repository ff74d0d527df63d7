"""Biographies without a language model: what a speaker's earlier utterances and training
labels say, in sentences.
"""

import bisect
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from ...dialogue.anonymity import Anonymizer
from ...dialogue.names import is_role
from ...prompted.configuration import EXTRACTIVE
from ..store.store import EVERYTHING, Biography, Utterance, View
from .phrases import PhraseTable

_FORM = 1  # of the sentences: another one is another biography
_PHRASES, _EMOTIONS, _PARTNERS = 8, 3, 3
_ENOUGH, _MORE_THAN_OTHERS = (
    20,
    0.05,
)  # labels; share of an emotion above everybody's before it is worth a word


def words(text: str) -> int:
    """The measure of a budget where no tokenizer is given."""
    return len(text.split())


def dialogue_view(split: str, dialogue: dict[str, Any]) -> View:
    """What may be known of a dialogue's speakers when it begins: a row of the `dialogues`
    view → the view on the store.
    """
    return View(split, min(turn["utterance_index"] for turn in dialogue["turns"]))


class SpokenRecord:
    """All utterances of a store in memory, by time and by speaker, for writing many
    biographies.
    """

    def __init__(self, store: Any):
        self.utterances = store.all_utterances()
        # By first appearance: a number once given to a person in anonymous mode depends
        # on nothing that comes later.
        self.names = list(dict.fromkeys(each.name for each in self.utterances if not is_role(each.name)))
        self._own: dict[str, list[Utterance]] = defaultdict(list)
        self._dialogues: dict[str, list[Utterance]] = defaultdict(list)
        for each in self.utterances:
            self._own[each.speaker].append(each)
            self._dialogues[each.dialogue_id].append(each)

    def of(self, speaker: str, view: View) -> list[Utterance]:
        """What a speaker said, as far as the view reaches, oldest first."""
        return [each for each in self._own.get(speaker, ()) if sees(view, each)]

    def seen(self, view: View) -> list[Utterance]:
        """What everybody said, as far as the view reaches."""
        end = len(self.utterances)
        if view.before is not None:
            end = bisect.bisect_left(self.utterances, view.before, key=lambda each: each.position)
        return [each for each in self.utterances[:end] if sees(view, each)]

    def partners(self, said: list[Utterance], view: View) -> Counter[str]:
        """Names of those who spoke right before or after, and how often."""
        found: Counter[str] = Counter()
        for each in said:
            for other in self._dialogues[each.dialogue_id]:
                near = abs(other.position - each.position) == 1
                if near and other.speaker != each.speaker and not is_role(other.name) and sees(view, other):
                    found[other.name] += 1
        return found


def sees(view: View, utterance: Utterance) -> bool:
    """Whether the view reaches the utterance; the same rule as `View.condition`."""
    if view.split is not None and utterance.split not in ("train", view.split):
        return False
    return view.before is None or utterance.position < view.before


class ExtractiveBiographer:
    """Writes the same biography from the same store every time, and keeps it there.

    Args:
        store: A [`SpeakerStore`] or [`MemoryStore`].
        budget: Most tokens of a biography; whole sentences and phrases are left out, the
            least telling first.
        count_tokens: What a text costs; by default its words.
        anonymous: Persons are numbers in place of names. names: The persons in order of
            their numbers, the others are `someone`; by default all, as they first appear.
    """

    kind = EXTRACTIVE

    def __init__(
        self, store: Any, budget: int = 80, count_tokens: Callable[[str], int] = words, anonymous: bool = False,
        names: Iterable[str] = (),
    ):  # fmt: skip
        self.store, self.budget, self.count_tokens, self.anonymous = store, budget, count_tokens, anonymous
        self.record = SpokenRecord(store)
        self._phrases = PhraseTable(self.record.utterances)
        names = list(names)
        self._hide = Anonymizer(names or self.record.names) if anonymous else None
        measure = getattr(count_tokens, "__name__", repr(count_tokens))
        settings = (_FORM, *(names if anonymous else ()), store.dataset_version, budget, measure, anonymous)
        self._digest = hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:16]

    def __call__(self, speaker: str, view: View = EVERYTHING) -> Biography:
        """The biography of a speaker as far as the view reaches; its text is empty where
        they have said nothing yet.
        """
        said = self.record.of(speaker, view)
        keys = tuple(each.key for each in said)
        kept = self.store.biography(speaker, self.kind, self._digest, view, keys)
        if kept is not None:
            return kept
        text = self._text(speaker, said, view) if said else ""
        biography = Biography(speaker, self.kind, "emonet", self._digest, view, self.anonymous, text, keys)
        self.store.keep(biography)
        return biography

    def _text(self, speaker: str, said: list[Utterance], view: View) -> str:
        name = said[0].name
        own_name = self._hide.name(name) if self._hide else name
        dialogues = len({each.dialogue_id for each in said})
        sentences = [
            f"{own_name} has said {_number(len(said), 'line')} in {_number(dialogues, 'scene')}.",
            self._emotional_profile(said, view),
            self._relations(said, view),
        ]
        text = ""
        for sentence in filter(None, sentences):
            longer = f"{text} {sentence}".strip()
            if self.count_tokens(longer) <= self.budget:
                text = longer
        return self._with_phrases(text, speaker, view)

    def _emotional_profile(self, said: list[Utterance], view: View) -> str:
        own = Counter(each.emotion for each in said if each.emotion is not None)
        if not own:
            return ""
        everybody = Counter(each.emotion for each in self.record.seen(view) if each.emotion is not None)
        total, all_total = sum(own.values()), sum(everybody.values())
        ranked = sorted(own, key=lambda label: (-own[label], self.store.labels.index(label)))
        shares = ", ".join(f"{label} {100 * own[label] / total:.0f} %" for label in ranked[:_EMOTIONS])
        more = [
            label
            for label in ranked
            if own[label] / total - everybody[label] / all_total >= _MORE_THAN_OTHERS
        ]
        return f"Mostly {shares}." + (
            f" More often {' and '.join(more[:2])} than others." if more and total >= _ENOUGH else ""
        )

    def _relations(self, said: list[Utterance], view: View) -> str:
        found = self.record.partners(said, view)
        names = sorted(found, key=lambda name: (-found[name], name))[:_PARTNERS]
        names = [self._hide.name(name) if self._hide else name for name in names]
        return f"Talks most with {', '.join(names)}." if names else ""

    def _with_phrases(self, text: str, speaker: str, view: View) -> str:
        names = {part.casefold() for each in self.record.seen(view) for part in each.name.split()}
        phrases = self._phrases.characteristic(speaker, view, _PHRASES, names)
        while phrases:
            longer = f"{text} Often says: {', '.join(phrases)}.".strip()
            if self.count_tokens(longer) <= self.budget:
                return longer
            phrases.pop()
        return text


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
