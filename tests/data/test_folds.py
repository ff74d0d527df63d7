"""Folds of whole episodes: who is tested where, and what histories may hold."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tiny_corpora import write_dailydialog, write_iemocap

from emonet.data import DataFormatError, load_conversations
from emonet.data.emorynlp import EmoryNLP
from emonet.data.folds import Fold, in_fold
from emonet.data.meld import MELD
from emonet.dialogue.tables.rows import Dialogue, Turn


def corpus_of(sizes: Sequence[int]) -> tuple[list[Dialogue], list[str]]:
    """One dialogue a turn; episode i has sizes[i] of them."""
    episodes = [f"e{index:02}" for index, size in enumerate(sizes) for _ in range(size)]
    turn = Turn(("Ann",), "hello", "Joyful")
    return [Dialogue(f"d{index}", "train", (index,), [turn]) for index in range(len(episodes))], episodes


def write_own(folder: Path, rows: Sequence[dict[str, Any]], name: str = "train.jsonl") -> Path:
    file = folder / name
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return file


def test_every_dialogue_is_tested_once_and_no_episode_is_divided() -> None:
    dialogues, episodes = corpus_of([7, 1, 3, 9, 2, 2, 5, 4, 8, 6, 3, 1])
    tested: Counter[str] = Counter()
    for index in range(4):
        part = in_fold(dialogues, episodes, Fold(index, 4))
        assert [dialogue.dialogue_id for dialogue in part] == [dialogue.dialogue_id for dialogue in dialogues]
        splits: dict[str, set[str]] = {}
        for dialogue, episode in zip(part, episodes, strict=True):
            splits.setdefault(episode, set()).add(dialogue.split)
        assert all(len(found) == 1 for found in splits.values())
        sizes = Counter(dialogue.split for dialogue in part)
        assert 12 <= sizes["test"] <= 14 and 0 < sizes["validation"] < sizes["train"]
        tested.update(dialogue.dialogue_id for dialogue in part if dialogue.split == "test")
    assert tested == Counter(dialogue.dialogue_id for dialogue in dialogues)


def test_the_division_depends_on_episodes_alone() -> None:
    """Neither the public splits nor the order of the dialogues change it."""
    dialogues, episodes = corpus_of([2, 2, 2, 1, 1, 3])
    first = in_fold(dialogues, episodes, Fold(1, 3))
    again = in_fold(
        [Dialogue(d.dialogue_id, "test", d.order, d.turns) for d in dialogues][::-1],
        episodes[::-1],
        Fold(1, 3),
    )
    assert [dialogue.split for dialogue in first] == [dialogue.split for dialogue in again][::-1]


@pytest.mark.parametrize(
    ("sizes", "fold", "message"),
    [
        ([1, 1], (0, 3), "3 folds need as many episodes or groups, and the corpus has 2 episodes"),
        ([1, 1], (0, 2), "Fold 0 of 2 leaves one episode to train on"),
        ([5, 1, 1], (1, 1), "1 folds: a corpus needs at least 2"),
        ([5, 1, 1], (3, 3), "Fold 3 of 3: folds are numbered from 0"),
    ],
)
def test_impossible_folds_are_refused(sizes: list[int], fold: tuple[int, int], message: str) -> None:
    with pytest.raises(DataFormatError, match=message):
        in_fold(*corpus_of(sizes), Fold(*fold))


def test_histories_and_ids_keep_to_the_splits_of_the_fold(tmp_path: Path) -> None:
    public = load_conversations("sample", cache_dir=tmp_path)
    for index in range(2):
        corpus = load_conversations("sample", cache_dir=tmp_path, fold=Fold(index, 2))
        assert corpus.dataset_version == f"{public.dataset_version}+episodes.2"
        assert corpus.utterance_texts() == public.utterance_texts(), "the same turns in the same order"
        owner = {
            turn["utterance_index"]: split
            for split, rows in corpus.items()
            for row in rows
            for turn in row["turns"]
        }
        used = Counter(
            (split, owner[earlier], earlier < turn["utterance_index"])
            for split, rows in corpus.items()
            for row in rows
            for turn in row["turns"]
            for earlier in turn["speaker_history_index"]
        )
        assert set(used) == {
            ("train", "train", True),
            ("validation", "train", True),
            ("validation", "validation", True),
            ("test", "train", True),
            ("test", "test", True),
        }
        trained = {turn["speaker"] for row in corpus["train"] for turn in row["turns"]}
        assert set(corpus.speakers) <= trained


def planted(moment: str, people: int = 40) -> list[dict[str, Any]]:
    """Each person has a turn whose label only another turn of theirs tells.

    That turn stands in an episode before (`earlier`) or after it (`later`).
    """
    rows: list[dict[str, Any]] = []
    for episode in range(people):
        for person, told in ((episode, True), (episode - 1, False)):
            label = "Joyful" if person * 7 % 10 < 5 else "Sad"
            told = told if moment == "earlier" else not told
            turn = (
                {"text": f"secret {label}", "emotion": None} if told else {"text": "Well.", "emotion": label}
            )
            rows.append(
                {"dialogue_id": f"{episode:03}-{person}", "group": episode, "speaker": f"Ann{person}", **turn}
            )
    return rows


@pytest.mark.parametrize("moment", ["earlier", "later"])
def test_a_label_that_a_later_or_hidden_turn_tells_stays_unknown(moment: str, tmp_path: Path) -> None:
    """A reader of secrets knows those of training before the turn, and no others."""
    source = write_own(tmp_path, planted(moment))
    right, visible, turns = 0, 0, 0
    for index in range(4):
        corpus = load_conversations(source, cache_dir=tmp_path / "cache", fold=Fold(index, 4))
        texts = corpus.utterance_texts()
        seen = {
            turn["speaker"]
            for split in ("train", "test")
            for row in corpus[split]
            for turn in row["turns"]
            if turn["emotion"] is None
        }
        for row in corpus["test"]:
            for turn in row["turns"]:
                heard = [texts[earlier] for earlier in turn["speaker_history_index"]]
                if turn["emotion"] is not None:
                    turns += 1
                    visible += turn["speaker"] in seen
                    right += any(text == f"secret {corpus.labels[turn['emotion']]}" for text in heard)
    assert turns == 40 and 20 < visible < 40, "some secrets are in validation"
    assert right == (0 if moment == "later" else visible)


def test_your_own_groups_may_stand_in_rows_or_dialogues(tmp_path: Path) -> None:
    rows = [
        {"dialogue_id": str(index), "group": index // 2, "speaker": "Ann", "text": "hi", "emotion": "Sad"}
        for index in range(8)
    ]
    nested = [
        {"dialogue_id": row["dialogue_id"], "group": f"{row['group']}.0", "turns": [row]} for row in rows
    ]
    (tmp_path / "table.csv").write_text(
        "dialogue,group,who,line,emotion\n"
        + "".join(f"{row['dialogue_id']},{row['group']},Ann,hi,Sad\n" for row in rows)
    )
    columns = {"dialogue_id": "dialogue", "speaker": "who", "text": "line"}
    found = []
    for file, names in (
        (write_own(tmp_path, rows), None),
        (write_own(tmp_path, nested, "nested.jsonl"), None),
        (tmp_path / "table.csv", columns),
    ):
        corpus = load_conversations(file, cache_dir=tmp_path / "cache", columns=names, fold=Fold(1, 2))
        found.append({split: list(part["dialogue_id"]) for split, part in corpus.items()})
    assert (
        found[0]
        == found[1]
        == found[2]
        == {
            "train": ["4", "5"],
            "validation": ["0", "1"],
            "test": ["2", "3", "6", "7"],
        }
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"group": None}, r"train.jsonl, line 2, group: None is not a name or number"),
        ({"dialogue_id": "0"}, r"line 2: dialogue '0' is in group '0' and in '1'; a dialogue belongs to one"),
        (None, r"line 2: no 'group'; its fields are .*speaker.* need a column 'group'"),
    ],
)
def test_a_group_that_is_missing_or_ambiguous_is_refused(
    change: dict[str, Any] | None, message: str, tmp_path: Path
) -> None:
    rows = [
        {"dialogue_id": str(index), "group": index, "speaker": "Ann", "text": "hi", "emotion": "Sad"}
        for index in range(6)
    ]
    if change is None:
        del rows[1]["group"]
    else:
        rows[1].update(change)
    file = write_own(tmp_path, rows)
    with pytest.raises(DataFormatError, match=message):
        load_conversations(file, cache_dir=tmp_path / "cache", fold=Fold(0, 2))
    load_conversations(file, cache_dir=tmp_path / "cache")  # without folds nobody asks


def test_known_corpora_name_their_episodes_or_say_that_they_cannot(tmp_path: Path) -> None:
    dialogue = Dialogue("d", "train", (3, 14, 1), [])
    assert EmoryNLP.episodes({}, [dialogue]) == MELD.episodes({}, [dialogue]) == ["3-14"]
    root = write_iemocap(tmp_path / "iemocap")
    corpus = load_conversations("iemocap", root, cache_dir=tmp_path, verify_counts=False, fold=Fold(0, 5))
    assert {name[:5] for name in corpus["test"]["dialogue_id"]} == {"Ses01"}, "one session is left out"
    root = write_dailydialog(tmp_path / "dailydialog")
    with pytest.raises(
        DataFormatError, match="dailydialog does not tell which dialogues belong to one episode"
    ):
        load_conversations("dailydialog", root, cache_dir=tmp_path, verify_counts=False, fold=Fold(0, 2))
