"""Fuzz model cards, bulk prediction and queries to the speaker store."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fuzzing import clear_errors
from hypothesis import given
from hypothesis import strategies as st
from strategies import damaged, file_bytes, json_lines, json_values, names, numbers, texts
from tiny import LABELS
from tiny_store import TinyEmbedder, corpus

from emonet.engines.bulk import predict_files
from emonet.engines.bulk_input import plan_chunks, read_chunk
from emonet.errors import EmoNetError
from emonet.hub.card import card_text, is_edited, merge_card, usage_snippet, write_card
from emonet.speakers.biographies.extractive import ExtractiveBiographer
from emonet.speakers.store.build import build_store
from emonet.speakers.store.queries import SpeakerStore, View


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stored")


# -- cards

FIGURES = {
    "weighted_f1": 0.3,
    "macro_f1": 0.2,
    "accuracy": 0.4,
    "n": 10,
    "split": "test",
    "dataset_version": "sample-1.0.0",
    "ece": 0.1,
    "per_class": {label: {"f1": 0.1, "precision": 0.2, "recall": 0.3, "support": 3} for label in LABELS},
    "confusion_matrix": [[1] * 7] * 7,
}
RUN = {
    "preset": "emonet",
    "seed": 1,
    "config": {"speaker_memory": "corpus"},
    "training": {"num_train_epochs": 3, "learning_rate": 0.1},
    "best_epoch": 1,
    "epochs": [{"epoch": 1, "train_loss": 1.0, "loss": 2.0, "weighted_f1": 0.2}],
    "parameters": 10,
    "seconds": {"train": 1.5},
    "versions": {"emonet": "0.1.0"},
}
CONFIG = {
    "id2label": dict(enumerate(LABELS)),
    "backbone": "user/x",
    "dataset_version": "sample-1.0.0",
    "speaker_identity": "name",
}
FILES = {
    "run.json": RUN,
    "test_metrics.json": FIGURES,
    "metrics.json": FIGURES,
    "config.json": CONFIG,
    "speakers.json": {"version": 1, "speakers": ["Ann"]},
}


@given(
    damaged(st.just(json.loads(json.dumps(FILES)))).filter(lambda files: isinstance(files, dict)),
    st.one_of(st.none(), names()),
)
def test_cards_of_runs(folder: Path, files: dict[str, Any], name: str | None) -> None:
    run = folder / "run"
    run.mkdir(exist_ok=True)
    for known in FILES:
        (run / known).unlink(missing_ok=True)
        if known in files:
            (run / known).write_text(json.dumps(files[known]))
    (run / "README.md").unlink(missing_ok=True)
    with clear_errors():
        card = card_text(run, name)
        card.encode()
        compile(usage_snippet(card), "snippet", "exec")
        assert merge_card(card, card) == card and not is_edited(card, card)
        write_card(run, name)


FRONTS = [
    "---\n",
    "\n---\n",
    "license: mit\n",
    "tags: [a]\n",
    "a: b: c\n",
    "!!python/object:os.system {}\n",
    "? [a]\n: - b\n",
]
MARKERS = [f"<!-- emonet:{what} {part} -->\n" for what in ("begin", "end") for part in ("usage", "x")]
EDITS = st.lists(st.one_of(texts(), st.sampled_from(FRONTS), st.sampled_from(MARKERS)), max_size=6)


@given(EDITS.map("".join))
def test_cards_edited_by_hand(folder: Path, edited: str) -> None:
    run = folder / "edited"
    run.mkdir(exist_ok=True)
    for name, content in FILES.items():
        (run / name).write_text(json.dumps(content))
    generated = card_text(run)
    with clear_errors():
        merged = merge_card(edited, generated)
        assert merge_card(merged, generated) == merged


# -- bulk prediction

VALUES = st.one_of(texts(), texts(), numbers(), json_values())
BULK = st.lists(
    st.fixed_dictionaries(
        {"dialogue_id": st.one_of(st.sampled_from(["a", "b"]), texts()), "speaker": names(), "text": texts()},
        optional={"turn": st.one_of(st.integers(0, 5), numbers()), "note": VALUES, "label": texts()},
    ),
    max_size=6,
).map(lambda rows: sorted(rows, key=lambda row: row["dialogue_id"]))


def check_parts(checkpoint: Path, source: Path, out: Path, expected: Callable[[], list[Any]]) -> None:
    for old in out.glob("*"):
        old.unlink()
    done = predict_files(checkpoint, source, out, turns_a_part=2)
    found = [row for path in sorted(out.glob("part-*.parquet")) for row in pq.read_table(path).to_pylist()]
    rows = expected()
    assert done["rows"] == len(found) == len(rows)
    assert [(str(row["dialogue_id"]), row["text"]) for row in found] == [
        (str(row["dialogue_id"]), row["text"]) for row in rows
    ]
    assert all(row["label"] in LABELS for row in found)


@given(file_bytes(st.one_of(BULK, damaged(BULK)).map(json_lines)))
def test_bulk_json_lines(checkpoint: Path, folder: Path, raw: bytes) -> None:
    source = folder / "in.jsonl"
    source.write_bytes(raw)
    with clear_errors():
        check_parts(
            checkpoint,
            source,
            folder / "out",
            lambda: [*map(json.loads, raw.decode("utf-8-sig").strip("\n").split("\n"))],
        )


PLAIN = texts().map(lambda text: text.encode("utf-8", "replace").decode())


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "dialogue_id": st.one_of(PLAIN, st.integers(0, 9)),
                "speaker": PLAIN,
                "text": PLAIN,
                "turn": st.one_of(st.none(), st.integers(0, 9)),
            }
        ),
        max_size=6,
    ),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 7)), max_size=2),
)
def test_bulk_parquet(
    checkpoint: Path, folder: Path, rows: list[dict[str, Any]], flips: list[tuple[int, int]]
) -> None:
    rows = sorted(rows, key=lambda row: str(row["dialogue_id"]))
    source = folder / "in.parquet"
    try:
        pq.write_table(pa.Table.from_pylist(rows), source, row_group_size=3)
    except pa.ArrowException:
        return
    content = bytearray(source.read_bytes())
    for index, bit in flips:
        content[index % len(content)] ^= 1 << bit
    source.write_bytes(content)
    with clear_errors():
        if flips:
            predict_files(checkpoint, source, folder / f"out-{len(content)}", turns_a_part=2)
        else:
            check_parts(checkpoint, source, folder / "out", lambda: rows)


SOME_ROWS = [
    {"dialogue_id": dialogue, "speaker": speaker, "text": text, "turn": turn}
    for dialogue, speaker, text, turn in [
        ("d1", "Ann", "hello there", 0),
        ("d1", "Bob", "no", 1),
        ("d2", "Ann", "ßé great", 0),
        ("d3", "Ann", "x", 0),
        ("d3", "Bob", "y", 1),
    ]
]


@pytest.mark.parametrize("step", [13, pytest.param(1, marks=pytest.mark.slow)])
def test_a_flipped_bit_in_a_parquet_file_loses_no_row(step: int, tmp_path: Path) -> None:
    """Flip one bit at a time: the file is refused by name, or all its rows are read."""
    source = tmp_path / "in.parquet"
    pq.write_table(pa.Table.from_pylist(SOME_ROWS), source, row_group_size=3)
    whole, refused = source.read_bytes(), 0
    for bit in range(0, 8 * len(whole), step):
        content = bytearray(whole)
        content[bit // 8] ^= 1 << bit % 8
        source.write_bytes(content)
        try:
            plan = plan_chunks([source], 2)
            rows = [row for chunk in plan.chunks for row in read_chunk(chunk, plan.schema).to_pylist()]
        except EmoNetError as error:
            assert "in.parquet" in str(error) or "columns don't go together" in str(error), bit
            refused += 1
        else:
            assert len(rows) == len(SOME_ROWS), bit
    assert refused > 4 * len(whole) // step


# -- the speaker store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> SpeakerStore:
    folder = tmp_path_factory.mktemp("store")
    build_store(folder / "store", corpus(folder / "corpus"), TinyEmbedder())
    return SpeakerStore(folder / "store", TinyEmbedder())


SPEAKERS = st.one_of(st.sampled_from(["Ann", "Bob", "O'Hara", "The Waiter@d1", "Ann\0"]), names())
VIEWS = st.tuples(
    st.one_of(st.none(), st.sampled_from(["train", "validation", "test"]), texts()),
    st.one_of(st.none(), st.integers(-3, 20), numbers()),
)


@given(SPEAKERS, texts(), VIEWS, st.one_of(st.integers(-2, 12), numbers()))
def test_store_queries(store: SpeakerStore, speaker: str, text: str, seen: Any, limit: Any) -> None:
    with clear_errors():
        view = View(*seen)
        utterances = store.utterances(speaker, view)
        assert all(
            utterance.speaker == utterances[0].speaker
            and (view.before is None or utterance.position < view.before)
            for utterance in utterances
        )
        assert store.utterances(speaker, view, limit) == utterances[-limit:]
        found = store.similar(speaker, text, limit, view)
        assert {hit.key for hit in found} <= {utterance.key for utterance in utterances}
        assert len(found) == min(limit, len(utterances))
        assert sum(store.emotions(speaker, view).values()) <= len(utterances)
    with clear_errors():
        ExtractiveBiographer(store, 20)(speaker, View(*seen)).text.encode()
