"""The real corpora: counts, the two views, ids, and the rule that no split reads
another's text.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from emonet.data import load_conversations
from emonet.errors import DataFormatError

SIZES = {
    "emorynlp": {"train": (713, 9934), "validation": (99, 1344), "test": (85, 1328)},
    "emorynlp-aligned": {"train": (659, 7551), "validation": (89, 954), "test": (79, 984)},
    "meld": {"train": (1038, 9989), "validation": (114, 1109), "test": (280, 2610)},
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("datasets")


@pytest.mark.parametrize("name", [*SIZES, "sample"])
def test_histories_never_cross_splits_or_time(name: str, corpora: Path, cache: Path) -> None:
    corpus = load_conversations(
        name, None if name == "sample" else corpora, cache_dir=cache, history_window=7
    )
    if name in SIZES:
        assert {
            split: (len(rows), sum(len(row["turns"]) for row in rows)) for split, rows in corpus.items()
        } == SIZES[name]
    owner: dict[int, tuple[str, str]] = {}
    for split, rows in corpus.items():
        for row in rows:
            for turn in row["turns"]:
                owner[turn["utterance_index"]] = (split, turn["speaker"])
    assert sorted(owner) == list(range(len(owner))) and len(corpus.utterance_texts()) == len(owner)
    lengths = Counter()
    for index, (split, speaker) in owner.items():
        del index
        lengths[split] += speaker != ""
    for split, rows in corpus.items():
        for row in rows:
            for turn in row["turns"]:
                history = turn["speaker_history_index"]
                assert history == sorted(history) and len(history) <= 7
                for earlier in history:
                    assert earlier < turn["utterance_index"]
                    assert owner[earlier][1] == turn["speaker"]
                    assert owner[earlier][0] in ("train", split), "a row reads another split's text"


def test_validation_and_test_text_is_in_no_train_input(corpora: Path, cache: Path) -> None:
    rows = load_conversations("emorynlp", corpora, view="utterances", cache_dir=cache)
    foreign = {i for split in ("validation", "test") for i in rows[split]["utterance_index"]}
    assert not foreign & {i for history in rows["train"]["speaker_history_index"] for i in history}
    texts = rows.utterance_texts()
    sample = rows["test"][700]
    assert sample["speaker_history"] == [texts[index] for index in sample["speaker_history_index"]]
    assert set(rows["test"].column_names) == {
        "dialogue_id", "turn", "speaker", "speakers", "speaker_id", "text", "emotion", "utterance_index",
        "speaker_history", "speaker_history_index",
    }  # fmt: skip


def test_labels_of_other_splits_change_no_input(corpora: Path, cache: Path, tmp_path: Path) -> None:
    """All validation and test labels turned over: every input column stays as it was."""
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


def test_scopes(corpora: Path, cache: Path) -> None:
    none = load_conversations("emorynlp", corpora, history_scope="none", cache_dir=cache)
    assert not any(turn["speaker_history_index"] for row in none["train"] for turn in row["turns"])
    dialogue = load_conversations("emorynlp", corpora, history_scope="dialogue", cache_dir=cache)
    for row in dialogue["test"]:
        inside = {turn["utterance_index"] for turn in row["turns"]}
        assert all(set(turn["speaker_history_index"]) <= inside for turn in row["turns"])


def test_ids_follow_first_appearance_and_roles_are_nobody(corpora: Path, cache: Path) -> None:
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


def test_a_missing_corpus_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataFormatError, match="emotion-detection-trn"):
        load_conversations("emorynlp", tmp_path)
    with pytest.raises(DataFormatError, match="neither a corpus"):
        load_conversations("emory")


def test_the_sample_corpus_is_what_its_page_says() -> None:
    corpus = load_conversations("sample")
    turns = [turn for split in corpus.values() for row in split for turn in row["turns"]]
    assert sum(len(split) for split in corpus.values()) >= 60 and len(turns) >= 500
    frequent = [name for name, count in Counter(turn["speaker"] for turn in turns).items() if count >= 20]
    assert len(frequent) == 12 and len(corpus.speakers) == 13
    for split in corpus.values():
        assert {turn["emotion"] for row in split for turn in row["turns"]} == set(range(7))
