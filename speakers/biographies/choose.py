"""Which biographies a prompted model is told: written from a corpus or a store, for its
turns and for those who use it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...prompted.configuration import EXTRACTIVE, PromptSettings
from ..store.build import corpus_rows
from ..store.store import Biography, SpeakerStore, Utterance, View, biography_key
from .extractive import ExtractiveBiographer

Biographer = Callable[[str, View], Biography]


class MemoryStore:
    """A corpus's utterances as a [`SpeakerStore`] holds them, for biographies that need
    neither vectors nor a folder.
    """

    def __init__(self, conversations: Any):
        self.labels, self.dataset_version = conversations.labels, conversations.dataset_version
        names = Utterance.__dataclass_fields__
        rows = [{name: row[name] for name in names if name in row} for row in corpus_rows(conversations)]
        self._utterances = sorted((Utterance(**row) for row in rows), key=lambda each: each.position)
        self._biographies: dict[str, Biography] = {}

    def all_utterances(self) -> list[Utterance]:
        """What everybody said, oldest first."""
        return self._utterances

    def biography(
        self, speaker: str, kind: str, prompt_digest: str, view: View, utterances: Sequence[str]
    ) -> Biography | None:
        """The biography kept under exactly these circumstances, or None."""
        return self._biographies.get(biography_key(speaker, kind, prompt_digest, view, utterances))

    def keep(self, biography: Biography) -> None:
        """Keep a biography."""
        of = (
            biography.speaker,
            biography.kind,
            biography.prompt_digest,
            biography.view,
            biography.utterances,
        )
        self._biographies[biography_key(*of)] = biography


def biographer_for(
    settings: PromptSettings,
    conversations: Any,
    store: str | Path | None = None,
    names: Sequence[str] | None = None,
) -> Biographer | None:
    """What writes the biographies that prompts hold; None where they hold none.

    Args:
        conversations: The splits that may be seen. store: A [`SpeakerStore`] of the same
            corpus version, which keeps what is written and leaves out who was forgotten;
            without one they are written from the corpus, and those by a model are kept in
            emonet's cache folder.
        names: Known persons in order of their numbers, by default the corpus's.
    """
    if not settings.biography:
        return None
    if settings.biography_of_dialogue:
        known = names or list(conversations.speakers)
        return dialogue_biographer(settings, known, MemoryStore(conversations).all_utterances())
    source = (
        MemoryStore(conversations)
        if store is None
        else SpeakerStore(store, None, conversations.dataset_version)
    )
    options: dict[str, Any] = {
        "budget": settings.biography_budget,
        "anonymous": settings.anonymous,
        "names": names or list(conversations.speakers),
    }
    if settings.biography_writer == EXTRACTIVE:
        return ExtractiveBiographer(source, **options)
    from .annotator import Annotator
    from .written import LlmBiographer

    # What a store keeps can be forgotten there, so it is kept nowhere else.
    annotator = Annotator(settings.biography_writer) if store is None else None
    return LlmBiographer(source, settings.biography_writer, annotator=annotator, **options)


def dialogue_biographer(
    settings: PromptSettings, names: Iterable[str], utterances: Sequence[Utterance] = ()
) -> Any:
    """What writes biographies from whole dialogues: see [`DialogueBiographer`]."""
    from .annotator import Annotator
    from .of_dialogue import DialogueBiographer

    return DialogueBiographer(settings, Annotator(settings.biography_writer), names, utterances)


def biographies_of(names: Sequence[str], biographer: Biographer | None) -> dict[str, Mapping[str, Any]]:
    """What the finished model knows of each person: all that they said in training, and
    where it is from.
    """
    found: dict[str, Mapping[str, Any]] = {}
    for name in names if biographer is not None else ():
        written = biographer(name, View("train"))  # type: ignore[misc]
        if written.text:
            facts = {
                key: getattr(written, key) for key in ("kind", "model", "prompt_digest", "anonymous", "text")
            }
            found[name] = {**facts, "utterances": list(written.utterances)}
    return found
