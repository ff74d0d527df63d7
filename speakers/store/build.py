"""Build a speaker store from a corpus, or update it; embed only what is new."""

import hashlib
import secrets
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from tqdm.auto import tqdm

from ...constants import NO_LABEL
from ...dialogue.names import SpeakerKinds
from ...dialogue.spellings import SpeakerNames
from ...dialogue.turns import clean_text
from ...errors import EmoNetError
from .queries import Embedder, SpeakerStore, check_facts
from .tables import BIOGRAPHIES, FACTS, SPEAKERS, UTTERANCES, StoreTables, any_of, rows_where, schemas

PORTION = 2048  # utterances in one commit: the most that an interrupted build loses


class Corpus(Protocol):
    """What a store needs of the `Conversations` that `load_conversations` returns."""

    labels: list[str]
    dataset_version: str
    speaker_kinds: SpeakerKinds

    def items(self) -> Iterable[tuple[str, Any]]:
        """Iterate over splits and their dialogues."""
        ...


def build_store(
    uri: str | Path,
    conversations: Corpus,
    embedder: Embedder,
    *,
    update: bool = False,
    progress: bool = False,
) -> SpeakerStore:
    """Build a store from a corpus, or complete one whose build was interrupted.

    Only training turns keep their emotions. Forgotten speakers are left out.

    Args:
        uri: A folder, or an object store's address.
        conversations: All splits of a corpus, in the `dialogues` view.
        embedder: What computes the vectors of utterances.
        update: Accept another version of the same corpus: embed new and changed
            utterances, delete those that are gone.
        progress: Show a progress bar.

    Raises:
        EmoNetError: If the store is of another embedding model, another corpus, or
            (without `update`) another version.
    """
    tables = StoreTables(uri)
    version = conversations.dataset_version
    with tables.writing():
        facts = _facts(tables, conversations, embedder, update)
        tables.write_facts({**facts, "complete": False})
        for name in (UTTERANCES, BIOGRAPHIES):
            if name not in tables.names():
                tables.replace(name, [], schemas(embedder.size)[name])
        rows = [
            row
            for row in corpus_rows(conversations)
            if forgotten_mark(facts, row["speaker"]) not in facts["forgotten"]
        ]
        _write_utterances(tables, rows, embedder, progress)
        tables.replace(SPEAKERS, speaker_rows(rows, conversations.labels), schemas(1)[SPEAKERS])
        index_speakers(tables)
        tables.write_facts({**facts, "complete": True})
    return SpeakerStore(uri, embedder, version)


def corpus_rows(conversations: Corpus) -> Iterator[dict[str, Any]]:
    """Yield one row for each utterance of every split, without its vector."""
    labels, kinds = conversations.labels, conversations.speaker_kinds
    names = SpeakerNames(speakers=kinds, warn=False)
    for split, dialogues in conversations.items():
        for dialogue in dialogues:
            names.start_dialogue()
            for index, turn in enumerate(dialogue["turns"]):
                name, text, emotion = names.of(turn["speaker"]), clean_text(turn["text"]), turn["emotion"]
                known = split == "train" and emotion is not None and emotion not in (-1, NO_LABEL)
                row = {
                    "split": split,
                    "dialogue_id": dialogue["dialogue_id"],
                    "turn": index,
                    "speaker": kinds.identity(name, dialogue["dialogue_id"]),
                    "name": name,
                    "text": text,
                    "emotion": labels[emotion] if known else None,
                }
                yield {
                    "key": f"{dialogue['dialogue_id']}#{index}",
                    "digest": hashlib.sha256(repr(sorted(row.items())).encode()).hexdigest()[:16],
                    "position": turn["utterance_index"],
                    **row,
                }


def speaker_rows(rows: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> list[dict[str, Any]]:
    """Return each speaker's totals; emotions count training labels."""
    by_speaker: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        by_speaker[row["speaker"]].append(row)
    totals = []
    for speaker, own in by_speaker.items():
        counts = Counter(row["emotion"] for row in own)
        totals.append(
            {
                "speaker": speaker,
                "name": own[0]["name"],
                "is_person": own[0]["speaker"] == own[0]["name"],
                "utterances": len(own),
                "training_utterances": sum(row["split"] == "train" for row in own),
                "dialogues": len({row["dialogue_id"] for row in own}),
                "emotions": [counts[label] for label in labels],
            }
        )
    return totals


def forgotten_mark(facts: Mapping[str, Any], speaker: str) -> str:
    """Return the salted digest by which a later build leaves a forgotten speaker out."""
    return hashlib.sha256(f"{facts['salt']}\0{speaker}".encode()).hexdigest()


def index_speakers(tables: StoreTables) -> None:
    """Compact the utterances and index their speakers, so that queries read few rows."""
    from lancedb.index import BTree

    table = tables.open(UTTERANCES)
    with tables.plain_errors():
        if table.count_rows():
            # Keep recent versions: a reader may still be at one of them.
            table.optimize(cleanup_older_than=timedelta(hours=1))
            table.create_index("speaker", config=BTree(), replace=True)


def _facts(tables: StoreTables, conversations: Corpus, embedder: Embedder, update: bool) -> dict[str, Any]:
    """Return the facts of the store after the build; refuse one that does not fit."""
    fresh = {
        "embedder": embedder.name,
        "vector_size": embedder.size,
        "dataset_version": conversations.dataset_version,
        "labels": list(conversations.labels),
        "salt": secrets.token_hex(16),
        "forgotten": [],
    }
    if FACTS not in tables.names():
        return fresh
    facts = tables.facts()
    check_facts(tables.uri, facts, embedder, None if update else conversations.dataset_version)
    corpora = [
        version.rpartition("-")[0] for version in (facts["dataset_version"], conversations.dataset_version)
    ]
    if corpora[0] != corpora[1]:
        raise EmoNetError(
            f"{tables.uri}: holds {corpora[0]}, not {corpora[1]}; each corpus needs a store of its own."
        )
    return {**fresh, "salt": facts["salt"], "forgotten": facts["forgotten"]}


def _write_utterances(
    tables: StoreTables, rows: list[dict[str, Any]], embedder: Embedder, progress: bool
) -> None:
    """Make the table of utterances equal to `rows`, in atomic portions."""
    table = tables.open(UTTERANCES)
    with tables.plain_errors():
        stored = {
            row["key"]: row
            for row in table.search().select(["key", "digest", "position"]).to_arrow().to_pylist()
        }
        gone = sorted(set(stored) - {row["key"] for row in rows})
        for start in range(0, len(gone), PORTION):
            table.delete(any_of("key", gone[start : start + PORTION]))
    todo = [row for row in rows if (row["digest"], row["position"]) != _state(stored.get(row["key"]))]
    merge = table.merge_insert("key").when_matched_update_all().when_not_matched_insert_all()
    with tqdm(total=len(todo), disable=not progress, desc="utterances") as bar:
        for start in range(0, len(todo), PORTION):
            portion = todo[start : start + PORTION]
            vectors = _vectors(tables, table, portion, stored, embedder)
            with tables.plain_errors():
                merge.execute(_with_vectors(portion, vectors))
            bar.update(len(portion))


def _state(row: Mapping[str, Any] | None) -> tuple[Any, Any]:
    return (None, None) if row is None else (row["digest"], row["position"])


def _vectors(
    tables: StoreTables,
    table: Any,
    portion: Sequence[Mapping[str, Any]],
    stored: Mapping[str, Any],
    embedder: Embedder,
) -> np.ndarray:
    """Return the vectors (N, H) of a portion; reuse those of unchanged utterances."""
    # Only their position has changed: an utterance was added or removed before them.
    moved = [row["key"] for row in portion if stored.get(row["key"], {}).get("digest") == row["digest"]]
    known: dict[str, Any] = {}
    if moved:
        with tables.plain_errors():
            found = rows_where(table, any_of("key", moved), ["key", "embedding"])
        known = {row["key"]: row["embedding"] for row in found}
    new = [row["text"] for row in portion if row["key"] not in known]
    fresh = iter(embedder(new) if new else ())
    return np.stack([known[row["key"]] if row["key"] in known else next(fresh) for row in portion]).astype(
        np.float32
    )


def _with_vectors(rows: Sequence[Mapping[str, Any]], vectors: np.ndarray) -> pa.Table:
    schema = schemas(vectors.shape[1])[UTTERANCES]
    embedding = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
    columns = {
        name: pa.array([row[name] for row in rows], schema.field(name).type)
        for name in schema.names
        if name != "embedding"
    }
    return pa.table({**columns, "embedding": embedding}, schema=schema)
