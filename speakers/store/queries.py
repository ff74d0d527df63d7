"""Query a speaker store: utterances and emotions by speaker, time and similarity."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from ...errors import EmoNetError
from .tables import BIOGRAPHIES, SPEAKERS, UTTERANCES, StoreTables, any_of, quoted, rows_where, schemas


class Embedder(Protocol):
    """What computes the vectors of utterances, such as [`UtteranceEmbedder`].

    Attributes:
        name: The model's name and the digest of its weights.
        size: Width of a vector.
    """

    name: str
    size: int

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Return normalised vectors (N, size), float32."""
        ...


@dataclass(frozen=True)
class View:
    """What a reader may see of a store: the rule of histories.

    Args:
        split: The reader's split. Train sees train, any other split sees train and
            itself, `None` (live use) sees everything.
        before: The reader's position in time (`utterance_index`), which sees what is
            strictly earlier; `None`: everything.

    Raises:
        EmoNetError: If `before` is no integer of 64 bits.
    """

    split: str | None = None
    before: int | None = None

    def __post_init__(self) -> None:
        if self.before is not None and (type(self.before) is not int or abs(self.before) >= 2**63):
            raise EmoNetError(f"before={self.before!r} is no position in time; give an utterance_index.")

    def condition(self) -> str | None:
        """Return the view as a SQL condition; None if it sees everything."""
        parts = [] if self.split is None else [any_of("split", sorted({"train", self.split}))]
        if self.before is not None:
            parts.append(f"position < {int(self.before)}")
        return " AND ".join(parts) or None

    def sees(self, utterance: "Utterance") -> bool:
        """Whether the view reaches an utterance; the same rule as `condition`."""
        if self.split is not None and utterance.split not in ("train", self.split):
            return False
        return self.before is None or utterance.position < self.before


EVERYTHING = View()


@dataclass(frozen=True)
class Utterance:
    """An utterance of the store.

    Attributes:
        key: `dialogue#turn`.
        position: Position in time (`utterance_index`).
        split: Its split.
        dialogue_id: Its dialogue.
        turn: Index in the dialogue.
        speaker: The speaker's identity: a name, or `role@dialogue`.
        name: The speaker's name.
        text: What was said.
        emotion: The training label; None in other splits.
        similarity: Cosine similarity to the query, where there was one.
    """

    key: str
    position: int
    split: str
    dialogue_id: str
    turn: int
    speaker: str
    name: str
    text: str
    emotion: str | None = None
    similarity: float | None = None


@dataclass(frozen=True)
class Biography:
    """A biography and its provenance.

    Attributes:
        speaker: The speaker it describes.
        kind: `extractive`, `llm` or `llm of dialogue`.
        model: What wrote it.
        prompt_digest: Digest of prompt and settings.
        view: Who may read it.
        anonymous: Whether names are replaced.
        text: The biography.
        utterances: Keys of the utterances it was made from.
    """

    speaker: str
    kind: str
    model: str
    prompt_digest: str
    view: View
    anonymous: bool
    text: str
    utterances: tuple[str, ...]


class BiographyStore(Protocol):
    """What biographers read and write: a [`SpeakerStore`] or a [`MemoryStore`]."""

    @property
    def labels(self) -> list[str]:
        """Names of the emotions."""
        ...

    @property
    def dataset_version(self) -> str:
        """The corpus and its version."""
        ...

    def all_utterances(self) -> list[Utterance]:
        """Return everybody's utterances, oldest first."""
        ...

    def biography(
        self, speaker: str, kind: str, prompt_digest: str, view: View, utterances: Sequence[str]
    ) -> Biography | None:
        """Return the biography with exactly this provenance, or None."""
        ...

    def keep(self, biography: Biography) -> None:
        """Keep a biography; one with the same provenance is replaced."""
        ...


class SpeakerStore:
    """An existing store; `build_store` builds one.

    Args:
        uri: A folder, or an object store's address.
        embedder: The model for queries by text, which must be the one of the store.
        dataset_version: The corpus version that the store must hold.

    Raises:
        EmoNetError: If there is no store, its build was interrupted, or it is of another
            model or corpus version.
    """

    def __init__(
        self,
        uri: str | Path,
        embedder: Embedder | None = None,
        dataset_version: str | None = None,
    ):
        self.tables = StoreTables(uri)
        self.facts = self.tables.facts()
        self.embedder = embedder
        check_facts(self.tables.uri, self.facts, embedder, dataset_version)
        if not self.facts["complete"]:
            raise EmoNetError(
                f"{self.tables.uri}: its build was interrupted; "
                "run the same `emonet speakers build` again to complete it."
            )

    @property
    def labels(self) -> list[str]:
        """Names of the emotions, in order of their ids."""
        return list(self.facts["labels"])

    @property
    def dataset_version(self) -> str:
        """The corpus and its version."""
        return str(self.facts["dataset_version"])

    def speakers(self) -> list[dict[str, Any]]:
        """Return each speaker's totals (`utterances`, `emotions` …), most turns first."""
        rows = self._rows(SPEAKERS)
        return sorted(rows, key=lambda row: (-row["utterances"], row["speaker"]))

    def utterances(self, speaker: str, view: View = EVERYTHING, limit: int | None = None) -> list[Utterance]:
        """Return a speaker's utterances, oldest first; with `limit` only the latest."""
        return self._utterances(f"speaker = {quoted(speaker)}", view, limit)

    def all_utterances(self, view: View = EVERYTHING) -> list[Utterance]:
        """Return everybody's utterances, oldest first."""
        return self._utterances(None, view, None)

    def similar(
        self, speaker: str, context: str | np.ndarray, count: int = 5, view: View = EVERYTHING
    ) -> list[Utterance]:
        """Return the speaker's utterances most similar to a context, best first.

        Args:
            speaker: The speaker's identity.
            context: A text, or its vector (H,).
            count: Maximum number of utterances.
            view: What may be seen.

        Raises:
            EmoNetError: If the context is a text and the store has no embedder.
        """
        _check_count(count)
        if isinstance(context, str):
            if self.embedder is None:
                raise EmoNetError("A query by text needs SpeakerStore(..., embedder=UtteranceEmbedder()).")
            context = self.embedder([context])[0]
        condition = " AND ".join(filter(None, (f"speaker = {quoted(speaker)}", view.condition())))
        table = self.tables.open(UTTERANCES)
        with self.tables.plain_errors():
            query = table.search(
                np.asarray(context, np.float32), vector_column_name="embedding"
            ).distance_type("cosine")
            # Filter first and search exactly: an approximate index could miss the rows of
            # one speaker.
            query = query.where(condition, prefilter=True).bypass_vector_index()
            rows = query.select([*_COLUMNS, "_distance"]).limit(count).to_list()
        rows.sort(key=lambda row: (row["_distance"], row["position"]))
        return [_utterance(row, 1 - row["_distance"]) for row in rows]

    def emotions(self, speaker: str, view: View = EVERYTHING) -> dict[str, int]:
        """Count the emotions of the speaker's training turns within the view."""
        counts = Counter(utterance.emotion for utterance in self.utterances(speaker, view))
        return {label: counts[label] for label in self.labels}

    def biography(
        self, speaker: str, kind: str, prompt_digest: str, view: View, utterances: Sequence[str]
    ) -> Biography | None:
        """Return the biography with exactly this provenance, or None."""
        key = biography_key(speaker, kind, prompt_digest, view, utterances)
        rows = self._rows(BIOGRAPHIES, f"key = {quoted(key)}")
        return _biography(rows[0]) if rows else None

    def biographies(self, speaker: str) -> list[Biography]:
        """Return all biographies of a speaker."""
        return [_biography(row) for row in self._rows(BIOGRAPHIES, f"speaker = {quoted(speaker)}")]

    def keep(self, biography: Biography) -> None:
        """Keep a biography; one with the same provenance is replaced."""
        row = {
            "key": key_of(biography),
            **{name: getattr(biography, name) for name in _BIOGRAPHY_COLUMNS},
            "split": biography.view.split,
            "before": biography.view.before,
            "utterances": list(biography.utterances),
        }
        with self.tables.writing():
            table = self.tables.open(BIOGRAPHIES)
            merge = table.merge_insert("key").when_matched_update_all().when_not_matched_insert_all()
            with self.tables.plain_errors():
                merge.execute(pa.Table.from_pylist([row], schemas(1)[BIOGRAPHIES]))

    def _rows(self, table: str, condition: str | None = None) -> list[dict[str, Any]]:
        with self.tables.plain_errors():
            return rows_where(self.tables.open(table), condition)

    def _utterances(self, condition: str | None, view: View, limit: int | None) -> list[Utterance]:
        if limit is not None:
            _check_count(limit)
        conditions = " AND ".join(filter(None, (condition, view.condition())))
        with self.tables.plain_errors():
            rows = rows_where(self.tables.open(UTTERANCES), conditions or None, _COLUMNS)
        rows.sort(key=lambda row: row["position"])
        return [_utterance(row) for row in (rows if limit is None else rows[max(0, len(rows) - limit) :])]


_COLUMNS = ("key", "position", "split", "dialogue_id", "turn", "speaker", "name", "text", "emotion")
_BIOGRAPHY_COLUMNS = ("speaker", "kind", "model", "prompt_digest", "anonymous", "text")


def _check_count(count: Any) -> None:
    if not isinstance(count, int) or not 1 <= count < 2**31:
        raise EmoNetError(f"{count!r} is no number of utterances; give a whole number of at least 1.")


def check_facts(
    uri: str, facts: dict[str, Any], embedder: Embedder | None, dataset_version: str | None
) -> None:
    """Raise EmoNetError for a store of another embedding model or corpus version."""
    if embedder is not None and embedder.name != facts["embedder"]:
        raise EmoNetError(
            f"{uri}: its vectors are by {facts['embedder']}, not by {embedder.name}; "
            "use that model, or build another store."
        )
    if dataset_version is not None and dataset_version != facts["dataset_version"]:
        raise EmoNetError(
            f"{uri}: holds {facts['dataset_version']}, not {dataset_version}; "
            "name the store of that corpus, or update this one: emonet speakers build --update."
        )


def _utterance(row: dict[str, Any], similarity: float | None = None) -> Utterance:
    return Utterance(**{name: row[name] for name in _COLUMNS}, similarity=similarity)


def _biography(row: dict[str, Any]) -> Biography:
    view = View(row["split"], row["before"])
    columns = {name: row[name] for name in _BIOGRAPHY_COLUMNS}
    return Biography(view=view, utterances=tuple(row["utterances"]), **columns)


def biography_key(speaker: str, kind: str, prompt_digest: str, view: View, utterances: Sequence[str]) -> str:
    """Return the key of a biography, which depends on its whole provenance."""
    parts = (speaker, kind, prompt_digest, view.split, view.before, list(utterances))
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def key_of(biography: Biography) -> str:
    """Return the key that a biography is kept under."""
    return biography_key(
        biography.speaker, biography.kind, biography.prompt_digest, biography.view, biography.utterances
    )
