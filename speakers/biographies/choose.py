"""Choose and run the biographer for the settings of a prompted model."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ...prompted.configuration import EXTRACTIVE, PromptSettings
from ..store.build import Corpus, corpus_rows
from ..store.queries import Biography, SpeakerStore, Utterance, View, biography_key, key_of
from .extractive import ExtractiveBiographer

if TYPE_CHECKING:  # imported where it is used: it needs a language model
    from .of_dialogue import DialogueBiographer

Biographer = Callable[[str, View], Biography]

_SAVED_FIELDS = ("kind", "model", "prompt_digest", "anonymous", "text")


class SpeakerCorpus(Corpus, Protocol):
    """A corpus that knows its persons, in order of their ids."""

    speakers: Iterable[str]


class MemoryStore:
    """A corpus's utterances in memory, for biographies that need no [`SpeakerStore`].

    Args:
        conversations: The corpus, in the `dialogues` view.
    """

    def __init__(self, conversations: Corpus):
        self.labels, self.dataset_version = conversations.labels, conversations.dataset_version
        columns = Utterance.__dataclass_fields__
        utterances = (
            Utterance(**{name: row[name] for name in columns if name in row})
            for row in corpus_rows(conversations)
        )
        self._utterances = sorted(utterances, key=lambda utterance: utterance.position)
        self._biographies: dict[str, Biography] = {}

    def all_utterances(self) -> list[Utterance]:
        """Return everybody's utterances, oldest first."""
        return self._utterances

    def biography(
        self, speaker: str, kind: str, prompt_digest: str, view: View, utterances: Sequence[str]
    ) -> Biography | None:
        """Return the biography with exactly this provenance, or None."""
        return self._biographies.get(biography_key(speaker, kind, prompt_digest, view, utterances))

    def keep(self, biography: Biography) -> None:
        """Keep a biography; one with the same provenance is replaced."""
        self._biographies[key_of(biography)] = biography


def biographer_for(
    settings: PromptSettings,
    conversations: SpeakerCorpus,
    store: str | Path | None = None,
    names: Sequence[str] | None = None,
) -> Biographer | None:
    """Return what writes the biographies of prompts; None if prompts hold none.

    Args:
        settings: Settings of the prompts.
        conversations: The splits that may be seen.
        store: A [`SpeakerStore`] of the same corpus version, which keeps the biographies
            and leaves out forgotten speakers. Without one they are written from the
            corpus, and those by a model are kept in emonet's cache folder.
        names: Known persons in order of their numbers; by default those of the corpus.
    """
    if not settings.biography:
        return None
    names = names or list(conversations.speakers)
    if settings.biography_of_dialogue:
        return dialogue_biographer(settings, names, MemoryStore(conversations).all_utterances())
    source = (
        MemoryStore(conversations)
        if store is None
        else SpeakerStore(store, None, conversations.dataset_version)
    )
    options: dict[str, Any] = {
        "budget": settings.biography_budget,
        "anonymous": settings.anonymous,
        "names": names,
    }
    if settings.biography_writer == EXTRACTIVE:
        return ExtractiveBiographer(source, **options)
    from .annotator import Annotator
    from .written import LlmBiographer

    # A store can forget its speakers, so nothing of it is kept elsewhere.
    annotator = Annotator(settings.biography_writer) if store is None else None
    return LlmBiographer(source, settings.biography_writer, annotator=annotator, **options)


def dialogue_biographer(
    settings: PromptSettings, names: Iterable[str], utterances: Sequence[Utterance] = ()
) -> "DialogueBiographer":
    """Return what writes biographies from whole dialogues: see [`DialogueBiographer`]."""
    from .annotator import Annotator
    from .of_dialogue import DialogueBiographer

    return DialogueBiographer(settings, Annotator(settings.biography_writer), names, utterances)


def biographies_of(names: Sequence[str], biographer: Biographer | None) -> dict[str, Mapping[str, Any]]:
    """Return the biographies that are saved with a model: text and provenance by name.

    Args:
        names: Known persons.
        biographer: What writes them, from all training utterances; None for none.
    """
    if biographer is None:
        return {}
    biographies = {name: biographer(name, View("train")) for name in names}
    return {
        name: {
            **{field: getattr(biography, field) for field in _SAVED_FIELDS},
            "utterances": list(biography.utterances),
        }
        for name, biography in biographies.items()
        if biography.text
    }
