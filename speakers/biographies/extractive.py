"""Write biographies from utterances and training labels, without a language model."""

import bisect
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from ...dialogue.anonymity import Anonymizer
from ...prompted.configuration import EXTRACTIVE
from ..store.queries import EVERYTHING, Biography, BiographyStore, Utterance, View
from .phrases import PhraseTable

_FORM = 1  # version of the sentences, part of the digest
_MOST_PHRASES, _MOST_EMOTIONS, _MOST_PARTNERS = 8, 3, 3
# "More often … than others" needs that many labels, and a share that much above average.
_FEWEST_LABELS, _LEAST_DIFFERENCE = 20, 0.05


def words(text: str) -> int:
    """Count words: the default measure of a budget."""
    return len(text.split())


def dialogue_view(split: str, dialogue: dict[str, Any]) -> View:
    """Return what may be known of the speakers when a dialogue begins.

    Args:
        split: The dialogue's split.
        dialogue: A row of the `dialogues` view.
    """
    return View(split, min(turn["utterance_index"] for turn in dialogue["turns"]))


class UtteranceIndex:
    """All utterances of a store in memory, by time and by speaker.

    Args:
        store: The store.

    Attributes:
        utterances: Everybody's utterances, oldest first.
        names: Persons by first appearance, so that later ones do not change the numbers
            of the anonymous mode.
    """

    def __init__(self, store: BiographyStore):
        self.utterances = store.all_utterances()
        self.names = list(
            dict.fromkeys(utterance.name for utterance in self.utterances if _by_person(utterance))
        )
        self._by_speaker: dict[str, list[Utterance]] = defaultdict(list)
        self._by_dialogue: dict[str, list[Utterance]] = defaultdict(list)
        for utterance in self.utterances:
            self._by_speaker[utterance.speaker].append(utterance)
            self._by_dialogue[utterance.dialogue_id].append(utterance)

    def of(self, speaker: str, view: View) -> list[Utterance]:
        """Return a speaker's utterances within the view, oldest first."""
        return [utterance for utterance in self._by_speaker.get(speaker, ()) if view.sees(utterance)]

    def seen(self, view: View) -> list[Utterance]:
        """Return everybody's utterances within the view, oldest first."""
        end = len(self.utterances)
        if view.before is not None:
            end = bisect.bisect_left(self.utterances, view.before, key=lambda item: item.position)
        return [utterance for utterance in self.utterances[:end] if view.sees(utterance)]

    def partners(self, utterances: list[Utterance], view: View) -> Counter[str]:
        """Count who spoke right before or after these utterances, by name."""
        partners: Counter[str] = Counter()
        for utterance in utterances:
            for other in self._by_dialogue[utterance.dialogue_id]:
                adjacent = abs(other.position - utterance.position) == 1
                if adjacent and other.speaker != utterance.speaker and _by_person(other) and view.sees(other):
                    partners[other.name] += 1
        return partners


class ExtractiveBiographer:
    """Writes biographies and keeps them in the store; equal input gives an equal text.

    Args:
        store: A [`SpeakerStore`] or [`MemoryStore`].
        budget: Maximum length of a biography; whole sentences and phrases are left out,
            the least informative first.
        count_tokens: Returns the length of a text; by default its number of words.
        anonymous: Replace persons by numbers.
        names: Persons in order of their numbers, all others become `someone`; by default
            all, by first appearance.
    """

    kind = EXTRACTIVE

    def __init__(
        self,
        store: BiographyStore,
        budget: int = 80,
        count_tokens: Callable[[str], int] = words,
        anonymous: bool = False,
        names: Iterable[str] = (),
    ):
        self.store, self.budget, self.count_tokens, self.anonymous = store, budget, count_tokens, anonymous
        self.index = UtteranceIndex(store)
        self._phrases = PhraseTable(self.index.utterances)
        names = list(names)
        self._hide = Anonymizer(names or self.index.names) if anonymous else None
        measure = getattr(count_tokens, "__name__", repr(count_tokens))
        settings = (_FORM, *(names if anonymous else ()), store.dataset_version, budget, measure, anonymous)
        self._digest = hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:16]

    def __call__(self, speaker: str, view: View = EVERYTHING) -> Biography:
        """Return the biography of a speaker within the view.

        Its text is empty if the speaker has said nothing yet.
        """
        utterances = self.index.of(speaker, view)
        keys = tuple(utterance.key for utterance in utterances)
        kept = self.store.biography(speaker, self.kind, self._digest, view, keys)
        if kept is not None:
            return kept
        text = self._text(speaker, utterances, view) if utterances else ""
        biography = Biography(speaker, self.kind, "emonet", self._digest, view, self.anonymous, text, keys)
        self.store.keep(biography)
        return biography

    def _text(self, speaker: str, utterances: list[Utterance], view: View) -> str:
        name = self._shown_name(utterances[0].name)
        dialogues = len({utterance.dialogue_id for utterance in utterances})
        sentences = [
            f"{name} has said {_number(len(utterances), 'line')} in {_number(dialogues, 'scene')}.",
            self._emotional_profile(utterances, view),
            self._relations(utterances, view),
        ]
        text = ""
        for sentence in filter(None, sentences):
            longer = f"{text} {sentence}".strip()
            if self.count_tokens(longer) <= self.budget:
                text = longer
        return self._with_phrases(text, speaker, view)

    def _shown_name(self, name: str) -> str:
        return self._hide.name(name) if self._hide else name

    def _emotional_profile(self, utterances: list[Utterance], view: View) -> str:
        own = _emotion_counts(utterances)
        if not own:
            return ""
        everybody = _emotion_counts(self.index.seen(view))
        total, total_of_all = sum(own.values()), sum(everybody.values())
        ranked = sorted(own, key=lambda label: (-own[label], self.store.labels.index(label)))
        shares = ", ".join(f"{label} {100 * own[label] / total:.0f} %" for label in ranked[:_MOST_EMOTIONS])
        profile = f"Mostly {shares}."
        frequent = [
            label
            for label in ranked
            if own[label] / total - everybody[label] / total_of_all >= _LEAST_DIFFERENCE
        ]
        if frequent and total >= _FEWEST_LABELS:
            profile += f" More often {' and '.join(frequent[:2])} than others."
        return profile

    def _relations(self, utterances: list[Utterance], view: View) -> str:
        partners = self.index.partners(utterances, view)
        names = sorted(partners, key=lambda name: (-partners[name], name))[:_MOST_PARTNERS]
        return f"Talks most with {', '.join(map(self._shown_name, names))}." if names else ""

    def _with_phrases(self, text: str, speaker: str, view: View) -> str:
        seen = self.index.seen(view)
        names = {part.casefold() for utterance in seen for part in utterance.name.split()}
        phrases = self._phrases.characteristic(speaker, view, _MOST_PHRASES, names)
        while phrases:
            longer = f"{text} Often says: {', '.join(phrases)}.".strip()
            if self.count_tokens(longer) <= self.budget:
                return longer
            phrases.pop()
        return text


def _by_person(utterance: Utterance) -> bool:
    return utterance.speaker == utterance.name  # a role's identity has the dialogue's id too


def _emotion_counts(utterances: Iterable[Utterance]) -> Counter[str]:
    return Counter(utterance.emotion for utterance in utterances if utterance.emotion is not None)


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
