"""Any Hugging Face dataset trains as the same rows in a file do."""

from pathlib import Path
from typing import Any

import datasets
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

from emonet.data import load_conversations
from emonet.errors import DataFormatError
from emonet.hub.push_dataset import write_dataset

TURNS = [
    {"dialogue_id": "a", "speaker": "Ann", "text": "We won!", "emotion": "joy"},
    {"dialogue_id": "a", "speaker": "Bob", "text": "Great.", "emotion": "neutral"},
    {"dialogue_id": "b", "speaker": "Ann", "text": "It rains.", "emotion": None},
]
NAMES = ["neutral", "joy"]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMONET_CACHE", str(tmp_path / "emonet-cache"))


def turns_of(source: Any, **options: Any) -> list[tuple[Any, ...]]:
    corpus = load_conversations(source, view="utterances", **options)
    return [
        (row["dialogue_id"], row["speaker"], row["text"], label and corpus.labels[row["emotion"]])
        for split in corpus.values()
        for row in split
        for label in [None if row["emotion"] is None else "label"]
    ]


EXPECTED = [tuple(turn.values()) for turn in TURNS]


def labelled() -> Dataset:
    text = Value("string")
    features = Features(dialogue_id=text, speaker=text, text=text, emotion=ClassLabel(names=NAMES))
    return Dataset.from_list(TURNS, features=features)


def nested() -> Dataset:
    dialogues: dict[str, list[dict[str, Any]]] = {}
    for turn in TURNS:
        dialogues.setdefault(str(turn["dialogue_id"]), []).append(turn)
    return Dataset.from_list([{"dialogue_id": key, "turns": turns} for key, turns in dialogues.items()])


def lists() -> Dataset:
    return Dataset.from_dict(
        {
            "dialogue_id": ["a", "b"],
            "speaker": [["Ann", "Bob"], ["Ann"]],
            "text": [["We won!", "Great."], ["It rains."]],
            "emotion": [["joy", "neutral"], [None]],
        }
    )


@pytest.mark.parametrize("make", [lambda: Dataset.from_list(TURNS), labelled, nested, lists])
def test_every_shape_of_rows(make: Any) -> None:
    assert turns_of(make()) == EXPECTED
    assert turns_of(DatasetDict(train=make())) == EXPECTED


def test_other_columns() -> None:
    renamed = {"dialogue_id": "conv", "speaker": "who_said", "text": "line_said", "emotion": "felt"}
    columns = dict(renamed)
    for dataset in (labelled(), lists()):
        assert turns_of(dataset.rename_columns(renamed), columns=columns) == EXPECTED
    dataset = labelled().rename_columns(renamed).add_column("text", ["x", "y", "z"])
    assert turns_of(dataset, columns=columns) == EXPECTED, "the named column wins over the usual name"


def test_unknown_speakers_are_asked_for() -> None:
    dialog = Dataset.from_dict({"dialog": [["Hi.", "Hello."]], "emotion": [[0, 1]]})
    dialog = dialog.cast_column("emotion", datasets.List(ClassLabel(names=NAMES)))
    with pytest.raises(DataFormatError, match=r"no column speaker.*columns={'speaker'"):
        load_conversations(dialog, columns={"text": "dialog"})
    columns = {"text": "dialog", "speaker": None}
    assert turns_of(dialog, columns=columns) == [
        ("train-0", "#UNKNOWN#", "Hi.", "neutral"),
        ("train-0", "#UNKNOWN#", "Hello.", "joy"),
    ]


def test_labels_keep_their_order() -> None:
    assert load_conversations(labelled()).labels == NAMES
    assert load_conversations(Dataset.from_list(TURNS)).labels == sorted(NAMES)


def test_splits_have_the_usual_names() -> None:
    corpus = load_conversations(DatasetDict(dev=labelled().select([0]), train=labelled().select([2])))
    assert {name: len(split) for name, split in corpus.items()} == {"train": 1, "validation": 1}


@pytest.mark.parametrize("corpus", ["sample", pytest.param("emorynlp", marks=pytest.mark.slow)])
def test_what_push_dataset_wrote_comes_back(
    tmp_path: Path, corpus: str, request: pytest.FixtureRequest
) -> None:
    if corpus != "sample":
        request.getfixturevalue("corpora")
    write_dataset(corpus, tmp_path / "repo", "user/name")
    built, read = load_conversations(corpus), load_conversations(tmp_path / "repo")
    assert read.labels == built.labels and list(read.speakers) == list(built.speakers)
    for split, rows in built.items():
        assert read[split].to_list() == rows.to_list()


def test_what_save_to_disk_wrote(tmp_path: Path) -> None:
    DatasetDict(train=labelled()).save_to_disk(tmp_path / "saved")
    assert turns_of(tmp_path / "saved") == EXPECTED


def test_an_id_on_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def load_dataset(*names: Any) -> DatasetDict:
        asked.append(names)
        return DatasetDict(train=labelled())

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    assert turns_of("someone/talk") == EXPECTED and turns_of("someone/talk:english") == EXPECTED
    assert asked == [("someone/talk", None), ("someone/talk", "english")]
    assert load_conversations("someone/talk").dataset_version.startswith("talk-")


def test_the_same_rows_in_a_file_with_other_columns(tmp_path: Path) -> None:
    file = tmp_path / "train.csv"
    labelled().rename_columns({"text": "said_line", "emotion": "felt"}).to_csv(file)
    file.write_text(file.read_text().replace(",1\n", ",joy\n").replace(",0\n", ",neutral\n"))
    columns = {"text": "said_line", "emotion": "felt"}
    assert turns_of(file, columns=columns) == EXPECTED
    without = load_conversations(file, columns={**columns, "speaker": None})
    assert without.dataset_version != load_conversations(file, columns=columns).dataset_version
    assert len(without.speakers) == 1


@pytest.mark.parametrize(
    ("source", "columns", "message"),
    [
        (Dataset.from_list([]), None, "no column speaker, text, dialogue_id"),
        (Dataset.from_list(TURNS).select([]), None, "no rows"),
        (Dataset.from_list(TURNS).remove_columns("speaker"), None, "no column speaker; its columns are"),
        (Dataset.from_list(TURNS), {"text": "words"}, "no column 'words' for the text"),
        (Dataset.from_list(TURNS), {"mood": "emotion"}, "no such field"),
        (DatasetDict(), None, "no split"),
        (DatasetDict(spring=Dataset.from_list(TURNS)), None, "split 'spring' is not"),
        (DatasetDict(dev=labelled(), validation=labelled()), None, "split 'validation' is also"),
        (
            DatasetDict(
                train=labelled(), test=labelled().cast_column("emotion", ClassLabel(names=["a", "b"]))
            ),
            None,
            "different labels",
        ),
        (Dataset.from_list([{**TURNS[0], "emotion": 3}]), None, "number without a name"),
        (Dataset.from_list([TURNS[0], TURNS[2], TURNS[0]]), None, "begins again"),
        ("no/such:thing", None, "cannot load this dataset"),
        ("nothing", None, "neither a corpus"),
    ],
)
def test_what_cannot_be_read_is_named(source: Any, columns: Any, message: str) -> None:
    with pytest.raises(DataFormatError, match=message):
        load_conversations(source, columns=columns)


def test_lists_of_different_lengths() -> None:
    rows = [{"dialogue_id": "a", "speaker": ["Ann"], "text": ["Hi.", "Hello."]}]
    with pytest.raises(DataFormatError, match="row 0: each list needs one value a turn"):
        load_conversations(Dataset.from_list(rows))
