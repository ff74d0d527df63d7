"""Which speakers of a corpus are persons, and one person for every spelling."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from tiny_store import TinyEmbedder

from emonet.data import load_conversations
from emonet.errors import DataFormatError
from emonet.speakers.store.build import build_store

NAMES = ["SPEAKER_00", "Ann", "SPEAKER_00", "ANN", "A\u200bnn"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A corpus in which each of NAMES speaks in a dialogue of its own."""
    rows = [
        {"dialogue_id": str(index), "speaker": name, "text": f"line {index}", "emotion": "Mad"}
        for index, name in enumerate(NAMES)
    ]
    (tmp_path / "talks").mkdir()
    (tmp_path / "talks" / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path / "talks"


def load(folder: Path, **options: Any) -> Any:
    return load_conversations(folder, cache_dir=folder.parent / "cache", **options)


def histories(corpus: Any) -> list[list[int]]:
    return [row["turns"][0]["speaker_history_index"] for row in corpus["train"]]


def test_a_diarizers_label_has_neither_id_nor_history(folder: Path, caplog: Any) -> None:
    caplog.set_level(logging.WARNING)
    corpus = load(folder)
    assert corpus.speakers.ids() == {"Ann": 1}
    assert histories(corpus) == [[], [], [], [1], [1, 3]]
    assert "SPEAKER_00 is taken for a role of this conversation (--speakers persons" in caplog.text
    assert "Ann and ANN are taken for one person" in caplog.text


def test_the_decision_can_be_given(folder: Path) -> None:
    versions, ids = [], []
    for speakers in ("auto", "persons", "roles", ["speaker_00"]):
        corpus = load(folder, speakers=speakers)
        versions.append(corpus.dataset_version)
        ids.append(corpus.speakers.ids())
        expected = [[], [], [0] if speakers in ("persons", ["speaker_00"]) else []]
        assert histories(corpus)[:3] == expected
        assert corpus.speaker_kinds.is_role("SPEAKER_00") is (speakers in ("auto", "roles"))
    assert ids == [{"Ann": 1}, {"SPEAKER_00": 1, "Ann": 2}, {}, {"SPEAKER_00": 1, "Ann": 2}]
    assert len(set(versions)) == 4 and versions[1] == f"{versions[0]}+persons"
    assert load(folder).speakers.ids() == ids[0], "each decision has a cache of its own"


def test_rows_keep_the_spelling_of_the_file(folder: Path) -> None:
    turns = [row["turns"][0] for row in load(folder)["train"]]
    assert [turn["speaker"] for turn in turns] == ["SPEAKER_00", "Ann", "SPEAKER_00", "ANN", "Ann"]
    assert [turn["speaker_id"] for turn in turns] == [0, 1, 0, 1, 1]


def test_other_decisions_are_refused(folder: Path) -> None:
    with pytest.raises(DataFormatError, match=r"speakers=\[\] is not auto, persons, roles"):
        load(folder, speakers=[])


def test_a_store_follows_the_decision(folder: Path) -> None:
    pytest.importorskip("lancedb", reason="the lm extra is not installed")
    for speakers, persons in (("auto", ["Ann"]), ("persons", ["Ann", "SPEAKER_00"])):
        corpus = load(folder, speakers=speakers)
        store = build_store(folder.parent / f"store-{speakers}", corpus, TinyEmbedder())
        assert sorted(row["name"] for row in store.speakers() if row["is_person"]) == persons
