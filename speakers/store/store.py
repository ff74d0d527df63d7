"""SpeakerStore: what each speaker of a corpus said and felt, found again by who, when and
how similar.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ...errors import EmoNetError
from .tables import BIOGRAPHIES, SPEAKERS, UTTERANCES, StoreTables, any_of, quoted, rows_where, schemas


@dataclass(frozen=True)
class View:
    """What a reader may see: the rule of histories, for the store.

    Args:
        split: The reader's split. A train turn sees train, another train and its own
            split; `None` (live use) sees all.
        before: Place in time (`utterance_index`) that the reader stands at; it sees what
            is strictly earlier. `None`: all.
    """

    split: str | None = None
    before: int | None = None

    def __post_init__(self) -> None:
        if self.before is not None and (type(self.before) is not int or abs(self.before) >= 2**63):
            raise EmoNetError(f"before={self.before!r} is no place in time; give an utterance_index.")

    def condition(self) -> str | None:
        """The view as a SQL condition."""
        parts = [] if self.split is None else [any_of("split", sorted({"train", self.split}))]
        if self.before is not None:
            parts.append(f"position < {int(self.before)}")
        return " AND ".join(parts) or None


EVERYTHING = View()


@dataclass(frozen=True)
class Utterance:
    """An utterance of the store; `emotion` is its training label, `None` for every other
    split.
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
    """A written biography and where it is from.

    Attributes:
        speaker: Whom it is about. kind: `extractive` or `llm`. model: What wrote it.
            prompt_digest: Of prompt and settings.
        view: Who may read it. utterances: Keys of what it was made from. anonymous:
            Whether names are replaced.
    """

    speaker: str
    kind: str
    model: str
    prompt_digest: str
    view: View
    anonymous: bool
    text: str
    utterances: tuple[str, ...]


class SpeakerStore:
    """A store that was built before; `build_store` makes one.

    Args:
        uri: Its folder, or an object store's address.
        embedder: The model that queries by similarity are made with; the store's own, or
            it is refused.
        dataset_version: The corpus version that the store must hold.

    Raises:
        EmoNetError: where there is no store, one whose build was interrupted, or one of
            another model or corpus version.
    """

    def __init__(self, uri: str | Path, embedder: Any = None, dataset_version: str | None = None):
        self.tables = StoreTables(uri)
        self.facts = self.tables.facts()
        self.embedder = embedder
        check_facts(self.tables.uri, self.facts, embedder, dataset_version)
        if not self.facts["complete"]:
            raise EmoNetError(
                f"{self.tables.uri}: its build was interrupted; the same `emonet speakers build` goes on from there."
            )

    @property
    def labels(self) -> list[str]:
        """Names of the emotions, in order of the counts."""
        return self.facts["labels"]

    @property
    def dataset_version(self) -> str:
        return self.facts["dataset_version"]

    def speakers(self) -> list[dict[str, Any]]:
        """Every speaker's totals (`speaker`, `name`, `utterances`, `emotions` …), those
        who speak most first.
        """
        rows = self._rows(SPEAKERS)
        return sorted(rows, key=lambda row: (-row["utterances"], row["speaker"]))

    def utterances(self, speaker: str, view: View = EVERYTHING, limit: int | None = None) -> list[Utterance]:
        """What a speaker said, oldest first; with `limit` the latest of it."""
        return self._utterances(f"speaker = {quoted(speaker)}", view, limit)

    def all_utterances(self, view: View = EVERYTHING) -> list[Utterance]:
        """What everybody said, oldest first."""
        return self._utterances(None, view, None)

    def similar(
        self, speaker: str, context: str | np.ndarray, count: int = 5, view: View = EVERYTHING
    ) -> list[Utterance]:
        """The speaker's utterances that are most similar to the current context (its
        text, or its vector), best first.
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
            # Exact, among this speaker's rows alone: an approximate index would look
            # there last.
            query = query.where(condition, prefilter=True).bypass_vector_index()
            rows = query.select([*_COLUMNS, "_distance"]).limit(count).to_list()
        rows.sort(key=lambda row: (row["_distance"], row["position"]))
        return [_utterance(row, 1 - row["_distance"]) for row in rows]

    def emotions(self, speaker: str, view: View = EVERYTHING) -> dict[str, int]:
        """How often the speaker's training turns carry each emotion, as far as the view
        reaches.
        """
        counts = Counter(each.emotion for each in self.utterances(speaker, view) if each.emotion is not None)
        return {label: counts[label] for label in self.labels}

    def biography(
        self, speaker: str, kind: str, prompt_digest: str, view: View, utterances: Sequence[str]
    ) -> Biography | None:
        """The biography kept under exactly these circumstances, or None."""
        key = biography_key(speaker, kind, prompt_digest, view, utterances)
        rows = self._rows(BIOGRAPHIES, f"key = {quoted(key)}")
        return _biography(rows[0]) if rows else None

    def biographies(self, speaker: str) -> list[Biography]:
        """All kept biographies of a speaker."""
        return [_biography(row) for row in self._rows(BIOGRAPHIES, f"speaker = {quoted(speaker)}")]

    def keep(self, biography: Biography) -> None:
        """Keep a biography; one of the same circumstances is replaced."""
        row = {
            "key": biography_key(
                biography.speaker,
                biography.kind,
                biography.prompt_digest,
                biography.view,
                biography.utterances,
            ),
            **{
                name: getattr(biography, name)
                for name in ("speaker", "kind", "model", "prompt_digest", "anonymous", "text")
            },
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


def _check_count(count: Any) -> None:
    if not isinstance(count, int) or not 1 <= count < 2**31:
        raise EmoNetError(f"{count!r} is no number of utterances; give a whole number from 1 on.")


def check_facts(uri: str, facts: dict[str, Any], embedder: Any, dataset_version: str | None) -> None:
    """Refuse a store of another embedding model, whose vectors mean something else, or of
    another corpus version.
    """
    if embedder is not None and embedder.name != facts["embedder"]:
        raise EmoNetError(
            f"{uri}: its vectors are by {facts['embedder']}, not by {embedder.name}; use that model, or build a store of its own."
        )
    if dataset_version is not None and dataset_version != facts["dataset_version"]:
        raise EmoNetError(
            f"{uri}: holds {facts['dataset_version']}, not {dataset_version}; name the store of that corpus, or bring this "
            "one up to date: emonet speakers build --update."
        )


def _utterance(row: dict[str, Any], similarity: float | None = None) -> Utterance:
    return Utterance(**{name: row[name] for name in _COLUMNS}, similarity=similarity)


def _biography(row: dict[str, Any]) -> Biography:
    names = ("speaker", "kind", "model", "prompt_digest", "anonymous", "text")
    view = View(row["split"], row["before"])
    return Biography(view=view, utterances=tuple(row["utterances"]), **{name: row[name] for name in names})


def biography_key(speaker: str, kind: str, prompt_digest: str, view: View, utterances: Sequence[str]) -> str:
    """What a biography is kept under."""
    parts = (speaker, kind, prompt_digest, view.split, view.before, list(utterances))
    return hashlib.sha256(repr(parts).encode()).hexdigest()
