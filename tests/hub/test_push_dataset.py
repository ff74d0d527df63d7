"""A published corpus loads as it was built; a private one is refused."""

from pathlib import Path
from typing import Any

import datasets
import pytest
import yaml

from emonet.data import load_conversations
from emonet.errors import EmoNetError
from emonet.hub.push_dataset import push_dataset, write_dataset


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dataset") / "repo"
    write_dataset("sample", path, "user/albatross", licence="cc0-1.0")
    return path


@pytest.mark.parametrize("view", ["dialogues", "utterances"])
def test_both_views_come_back_as_they_were_built(folder: Path, tmp_path: Path, view: str) -> None:
    built = load_conversations("sample", view=view)
    read = datasets.load_dataset(str(folder), view, cache_dir=str(tmp_path))
    assert set(read) == set(built)
    for split, rows in built.items():
        assert read[split].features == rows.features
        assert read[split].to_list() == rows.to_list()


def test_the_default_is_dialogues_and_the_card_counts_every_turn(folder: Path, tmp_path: Path) -> None:
    assert "turns" in datasets.load_dataset(str(folder), cache_dir=str(tmp_path))["train"].column_names
    card = (folder / "README.md").read_text("utf-8")
    metadata = yaml.safe_load(card.split("---\n")[1])
    assert metadata["license"] == "cc0-1.0"
    built = load_conversations("sample", view="utterances")
    for split, rows in built.items():
        line = next(line for line in card.splitlines() if line.startswith(f"| {split} |"))
        cells = [int(cell.replace(",", "")) for cell in line.strip("|").split("|")[1:]]
        assert cells[1] == len(rows) == sum(cells[2:])


def test_your_own_file_with_its_licence(tmp_path: Path) -> None:
    source = tmp_path / "train.jsonl"
    source.write_text('{"dialogue_id": "1", "speaker": "Ann", "text": "hi", "emotion": "joy"}\n', "utf-8")
    write_dataset(source, tmp_path / "repo", "user/own", licence="cc-by-4.0")
    read: Any = datasets.load_dataset(str(tmp_path / "repo"), "utterances", cache_dir=str(tmp_path / "cache"))
    assert read["train"][0]["text"] == "hi"
    assert "cc-by-4.0" in (tmp_path / "repo" / "README.md").read_text("utf-8")


def test_a_corpus_whose_licence_forbids_it_is_refused() -> None:
    with pytest.raises(EmoNetError, match="licence"):
        push_dataset("meld", "user/meld")
