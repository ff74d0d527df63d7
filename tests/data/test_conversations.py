"""Real corpora: ids, columns, and no input from another split's text or labels."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from emonet.data import load_conversations
from emonet.errors import DataFormatError


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("datasets")


def test_train_histories_hold_no_other_text(corpora: Path, cache: Path) -> None:
    rows = load_conversations("emorynlp", corpora, view="utterances", cache_dir=cache)
    foreign = {i for split in ("validation", "test") for i in rows[split]["utterance_index"]}
    assert not foreign & {i for history in rows["train"]["speaker_history_index"] for i in history}
    texts = rows.utterance_texts()
    sample = rows["test"][700]
    assert sample["speaker_history"] == [texts[index] for index in sample["speaker_history_index"]]
    assert set(rows["test"].column_names) == {
        "dialogue_id",
        "turn",
        "speaker",
        "speakers",
        "speaker_id",
        "text",
        "emotion",
        "utterance_index",
        "speaker_history",
        "speaker_history_index",
    }


def test_labels_of_other_splits_change_no_input(corpora: Path, cache: Path, tmp_path: Path) -> None:
    """Change all validation and test labels: no input column changes."""
    folder = tmp_path / "emorynlp"
    folder.mkdir()
    for name in ("trn", "dev", "tst"):
        document = json.loads((corpora / "emorynlp" / f"emotion-detection-{name}.json").read_text())
        if name != "trn":
            for episode in document["episodes"]:
                for scene in episode["scenes"]:
                    for utterance in scene["utterances"]:
                        utterance["emotion"] = "Sad"
        (folder / f"emotion-detection-{name}.json").write_text(json.dumps(document))
    options: dict[str, Any] = {"view": "utterances", "cache_dir": cache}
    original = load_conversations("emorynlp", corpora, **options)
    with pytest.raises(DataFormatError, match="verify_counts=False"):
        load_conversations("emorynlp", folder, **options)
    changed = load_conversations("emorynlp", folder, verify_counts=False, **options)
    for split in original:
        inputs = [name for name in original[split].column_names if name != "emotion"]
        assert (
            original[split].select_columns(inputs).to_list()
            == changed[split].select_columns(inputs).to_list()
        )


def test_ids_follow_first_appearance_and_roles_have_none(corpora: Path, cache: Path) -> None:
    corpus = load_conversations("emorynlp", corpora, cache_dir=cache)
    ids = corpus.speakers.ids()
    assert corpus.speakers.id_of("nobody at all") == 0 and list(ids.values()) == list(range(1, len(ids) + 1))
    assert "#ALL#" not in ids and "The Waiter" not in ids and "Monica Geller" in ids
    seen: list[str] = []
    turns = sorted(
        (turn for row in corpus["train"] for turn in row["turns"]), key=lambda turn: turn["utterance_index"]
    )
    for turn in turns:
        if turn["speaker_id"] and turn["speaker"] not in seen:
            seen.append(turn["speaker"])
    assert seen == list(ids)
    shared = [turn for row in corpus["test"] for turn in row["turns"] if len(turn["speakers"]) > 1]
    assert len(shared) == 10 and all(turn["speaker"] == turn["speakers"][0] for turn in shared)


def test_the_sample_corpus_matches_its_readme() -> None:
    corpus = load_conversations("sample")
    turns = [turn for split in corpus.values() for row in split for turn in row["turns"]]
    assert sum(len(split) for split in corpus.values()) >= 60 and len(turns) >= 500
    frequent = [name for name, count in Counter(turn["speaker"] for turn in turns).items() if count >= 20]
    assert len(frequent) == 12 and len(corpus.speakers) == 13
    for split in corpus.values():
        assert {turn["emotion"] for row in split for turn in row["turns"]} == set(range(7))
