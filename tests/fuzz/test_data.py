"""Fuzz the corpora, own files and scripts: no turn is lost, or the error is clear."""

import ast
import csv
import io
import json
import re
import warnings
from pathlib import Path
from typing import Any

import pytest
from fuzzing import clear_errors
from hypothesis import given
from hypothesis import strategies as st
from strategies import (
    damaged,
    dialogues,
    file_bytes,
    json_lines,
    json_text,
    json_values,
    names,
    nested,
    numbers,
    texts,
)
from tiny_corpora import write_iemocap
from turn_files import dialogues_of

from emonet.data import (
    IEMOCAP,
    MELD,
    DailyDialog,
    EmoryNLP,
    EmoryNLPAligned,
    conversation_from_chat,
    load_conversations,
    read_conversation_file,
)
from emonet.data.conversations import ConversationBuilder, ConversationConfig
from emonet.data.own import own_builder
from emonet.dialogue.names import clean_name
from emonet.errors import DataFormatError
from emonet.files.text import clean, decode

IDS = st.one_of(st.sampled_from(["d1", "d2", "d3", "../d", "d\0"]), st.integers(-3, 3), texts(), numbers())
EMOTIONS = st.one_of(st.none(), st.sampled_from(["Joyful", "Mad", "Neutral"]), texts())


@pytest.fixture(autouse=True)
def quiet() -> Any:
    """Ignore the warnings about replaced control characters."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("corpora")


def rows_of(builder: type[ConversationBuilder], paths: dict[str, Path]) -> list[dict[str, Any]]:
    """Rows as the builder yields them, with texts that the Arrow writer can encode."""
    config = ConversationConfig(name="utterances", view="utterances", verify_counts=False)
    rows = [row for _, row in builder.rows(paths, config)]
    for row in rows:
        row["text"].encode(), row["dialogue_id"].encode(), [name.encode() for name in row["speakers"]]
        assert row["speaker"] == row["speakers"][0] and isinstance(row["text"], str)
    assert [row["utterance_index"] for row in rows] == list(range(len(rows)))
    return rows


# -- your own files


@st.composite
def own_rows(draw: st.DrawFn) -> list[dict[str, Any]]:
    row = {
        "dialogue_id": draw(IDS) if draw(st.booleans()) else "d1",
        "speaker": draw(st.one_of(names(), st.lists(names(), max_size=3))),
        "text": draw(texts()),
        "emotion": draw(EMOTIONS),
    }
    count = draw(st.integers(1, 4))
    rows = [{**row, "text": draw(texts()), "speaker": draw(names())} for _ in range(count)]
    if draw(st.booleans()):
        rows = [
            {**row, "turn": draw(st.one_of(st.just(index), numbers(), texts()))}
            for index, row in enumerate(rows)
        ]
    if draw(st.integers(0, 4)) == 4:
        rows = [{"dialogue_id": "whole", "turns": rows}]
    return rows


@given(file_bytes(st.one_of(damaged(own_rows()), st.lists(json_values(), max_size=3)).map(json_lines)))
def test_own_json_lines(folder: Path, raw: bytes) -> None:
    path = folder / "train.jsonl"
    path.write_bytes(raw)
    with clear_errors():
        found = read_conversation_file(path, "train")
        builder = own_builder(
            {"train": path}, sorted({str(t.emotion) for d in found for t in d.turns if t.emotion}), "own"
        )
        rows = rows_of(builder, {"train": path})
        lines = [json.loads(line) for line in decode(raw, path.name).split("\n") if line.strip()]
        assert len(rows) == sum(len(line.get("turns", [line])) for line in lines)


def csv_lines(
    columns: list[str], rows: list[Any], separator: str, quoting: Any = csv.QUOTE_MINIMAL
) -> list[str]:
    file = io.StringIO()
    writer = csv.writer(file, delimiter=separator, lineterminator="\n", quoting=quoting)
    writer.writerow(columns)
    writer.writerows(
        [[row.get(name, "") for name in columns] if isinstance(row, dict) else [row] for row in rows]
    )
    return [file.getvalue().removesuffix("\n")]


COLUMNS = st.one_of(
    st.just(["dialogue_id", "speaker", "text", "emotion"]),
    st.just(["dialogue_id", "speaker", "text", "turn"]),
    st.lists(st.one_of(st.sampled_from(["dialogue_id", "role", "content", "turn"]), texts()), max_size=5),
)


@given(
    file_bytes(
        st.builds(
            csv_lines,
            COLUMNS,
            damaged(own_rows()).filter(lambda v: isinstance(v, list)),
            st.sampled_from(",;\t"),
        )
    )
)
def test_own_csv(folder: Path, raw: bytes) -> None:
    path = folder / "train.csv"
    path.write_bytes(raw)
    with clear_errors():
        found = read_conversation_file(path, "train")
        builder = own_builder(
            {"train": path}, sorted({str(t.emotion) for d in found for t in d.turns if t.emotion}), "own"
        )
        assert len(rows_of(builder, {"train": path})) == sum(len(dialogue.turns) for dialogue in found) > 0


@given(dialogues(), st.sampled_from(["jsonl", "csv"]))
def test_valid_own_files_lose_nothing(folder: Path, turns: list[dict[str, Any]], kind: str) -> None:
    path = folder / f"valid.{kind}"
    rows = [
        {"dialogue_id": "d", "speaker": "Ann " + t.get("speaker", "B"), "text": t.get("text", "x")}
        for t in turns
    ]
    if kind == "jsonl":
        path.write_text("\n".join(map(json.dumps, rows)))
    else:
        rows = [{name: clean(value) for name, value in row.items()} for row in rows]
        path.write_text(csv_lines(list(rows[0]), rows, ",", csv.QUOTE_ALL)[0], "utf-8", newline="")
    (found,) = read_conversation_file(path, "train")
    assert [turn.text for turn in found.turns] == [clean(row["text"]) for row in rows]
    assert [turn.speakers for turn in found.turns] == [(clean_name(clean(row["speaker"])),) for row in rows]


@given(st.one_of(damaged(dialogues(most=3)), json_values()))
def test_chat_lists(turns: Any) -> None:
    with clear_errors():
        assert len(conversation_from_chat(turns).turns) == len(turns)


@given(
    st.sampled_from(["train", "dev", "test", "TRAIN", "one", "two words", "a[b]c*", "ü"]),
    st.lists(own_rows(), min_size=1, max_size=2),
    st.one_of(st.none(), st.just(["Joyful", "Mad", "Neutral"]), st.lists(texts(), max_size=2)),
)
def test_load_own_files(
    tmp_path_factory: pytest.TempPathFactory,
    stem: str,
    dialogues: list[list[dict[str, Any]]],
    labels: list[str] | None,
) -> None:
    folder = tmp_path_factory.mktemp("own")
    path = folder / f"{stem}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for rows in dialogues for row in rows))
    with clear_errors():
        loaded = load_conversations(path, view="utterances", labels=labels, cache_dir=folder / "cache")
        count = sum(len(row.get("turns", [row])) for rows in dialogues for row in rows)
        assert sum(map(len, loaded.values())) == count == len(loaded.utterance_texts())


# -- known corpora


def emory(dialogues: Any) -> dict[str, Any]:
    scenes = [
        {
            "scene_id": f"s01_e01_c{number:02d}",
            "utterances": [
                {
                    "utterance_id": f"s01_e01_c{number:02d}_u{index:03d}",
                    "speakers": [turn.get("speaker", "Ann")],
                    "transcript": turn.get("text", ""),
                    "emotion": "Neutral",
                }
                for index, turn in enumerate(turns)
            ],
        }
        for number, turns in enumerate(dialogues)
    ]
    return {"season_id": "s01", "episodes": [{"episode_id": "s01_e01", "scenes": scenes}]}


EMORY = damaged(st.lists(dialogues(most=3), max_size=3).map(emory))


@given(file_bytes(st.one_of(EMORY.map(lambda value: [json_text(value)]), st.just([nested(50_000)]))))
def test_emorynlp(folder: Path, raw: bytes) -> None:
    path = folder / "emory.json"
    path.write_bytes(raw)
    with clear_errors():
        rows = rows_of(EmoryNLP, {"train": path})
        scenes = [
            scene for episode in json.loads(decode(raw, path.name))["episodes"] for scene in episode["scenes"]
        ]
        assert len(rows) == sum(len(scene["utterances"]) for scene in scenes)


CELLS = st.one_of(
    st.sampled_from(["0", "1", "2", "00:16:16,059", "0:36:59,425", "['Ann', 'Bob']"]),
    texts(),
    numbers().map(str),
)


def corpus_csv(columns: list[str], right: dict[str, Any]) -> st.SearchStrategy[bytes]:
    row = st.fixed_dictionaries(
        {name: st.one_of(st.just(right[name]), st.just(right[name]), CELLS) for name in columns}
    )
    return file_bytes(st.builds(csv_lines, st.just(columns), st.lists(row, max_size=4), st.just(",")))


MELD_ROW = {
    "Utterance": "hi",
    "Speaker": "Ann",
    "Emotion": "joy",
    "Dialogue_ID": "0",
    "Utterance_ID": "0",
    "Season": "1",
    "Episode": "2",
    "StartTime": "00:16:16,059",
}
ALIGNED_ROW = {
    "Utterance": "hi",
    "Speaker": "['Ann']",
    "Emotion": "Mad",
    "Scene_ID": "0",
    "Utterance_ID": "0",
    "Season": "1",
    "Episode": "2",
}


@given(corpus_csv(list(MELD_ROW), MELD_ROW))
def test_meld(folder: Path, raw: bytes) -> None:
    path = folder / "meld.csv"
    path.write_bytes(raw)
    with clear_errors():
        rows_of(MELD, {"train": path})


NAME_LISTS = st.one_of(
    json_values().map(repr), st.sampled_from(["-" * 60_000 + "1", "[" * 300 + "]" * 300, "{[]}", "f''", "()"])
)


@given(corpus_csv(list(ALIGNED_ROW), ALIGNED_ROW), NAME_LISTS)
def test_emorynlp_aligned(folder: Path, raw: bytes, cell: str) -> None:
    path = folder / "aligned.csv"
    path.write_bytes(raw)
    with clear_errors():
        rows_of(EmoryNLPAligned, {"train": path})
    named = csv_lines(list(ALIGNED_ROW), [{**ALIGNED_ROW, "Speaker": cell}], ",")[0]
    path.write_text(clean(named), "utf-8")
    with clear_errors():
        (row,) = rows_of(EmoryNLPAligned, {"train": path})
        assert row["speakers"] == [clean(name) for name in ast.literal_eval(clean(cell))]


# -- the licensed corpora

# Without the mark that ends an utterance, and without a byte order mark.
UTTERANCES = texts().map(lambda text: " ".join(re.sub("__eou__|\ufeff", "", clean(text)).split()))
CONVERSATIONS = st.lists(
    st.lists(st.tuples(UTTERANCES, st.sampled_from(DailyDialog.labels)), min_size=1, max_size=4), max_size=4
)


@given(CONVERSATIONS, st.data())
def test_dailydialog(folder: Path, conversations: list[list[tuple[str, str]]], data: st.DataObject) -> None:
    """What is written is read back; of a damaged file, no turn is shifted."""
    lines = ["".join(f"{text} __eou__ " for text, _ in turns) for turns in conversations]
    numbers = [
        "".join(f"{DailyDialog.labels.index(label)} " for _, label in turns) for turns in conversations
    ]
    contents = {"dialogues_train.txt": lines, "dialogues_emotion_train.txt": numbers}
    for name, part in contents.items():
        (folder / name).write_text("\n".join(part) + "\n", "utf-8")
    found = DailyDialog.read(folder, "train")
    assert [[(turn.text, turn.emotion) for turn in dialogue.turns] for dialogue in found] == conversations
    damaged_name = data.draw(st.sampled_from(sorted(contents)))
    (folder / damaged_name).write_bytes(data.draw(file_bytes(st.just(contents[damaged_name]))))
    with clear_errors():
        rows_of(DailyDialog, {"train": folder})


@given(st.data())
def test_iemocap(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """A damaged file is refused, or every turn keeps its own emotion."""
    root = write_iemocap(tmp_path_factory.mktemp("iemocap"), per_session=1)
    whole = {
        turn.text: turn.emotion
        for dialogue in IEMOCAP.dialogues(IEMOCAP.find_files(root), False)
        for turn in dialogue.turns
    }
    kind = data.draw(st.sampled_from(["transcriptions", "EmoEvaluation"]))
    path = root / f"Session1/dialog/{kind}/Ses01F_impro01.txt"
    lines = path.read_text().splitlines()
    start, end = sorted(data.draw(st.lists(st.integers(0, len(lines)), min_size=2, max_size=2)))
    extra = data.draw(st.lists(st.one_of(st.sampled_from(lines), texts()), max_size=2))
    path.write_bytes("\n".join([*lines[:start], *extra, *lines[end:]]).encode("utf-8", "replace"))
    with clear_errors():
        for dialogue in IEMOCAP.dialogues(IEMOCAP.find_files(root), False):
            for turn in dialogue.turns:
                assert whole[turn.text] == turn.emotion


# -- scripts

SCRIPT = st.lists(
    st.one_of(st.builds(lambda name, text: f"{name}: {text}", names(), texts()), texts()), max_size=5
)
SCRIPT_JSON = st.one_of(damaged(own_rows()), damaged(st.lists(dialogues(most=2), max_size=2)), json_values())
SCRIPTS = st.one_of(
    SCRIPT,
    SCRIPT_JSON.map(lambda value: [json_text(value)]),
    own_rows().map(json_lines),
    st.sampled_from([[nested(50_000)], [nested(50_000, "{")]]),
)


@given(file_bytes(SCRIPTS), st.sampled_from(["a.txt", "a.csv", "a.jsonl", "a.json", "stdin"]))
def test_scripts(raw: bytes, name: str) -> None:
    with clear_errors():
        found = dialogues_of(raw, name)
        assert found and all(turns for _, turns in found)
        json.dumps(found, ensure_ascii=False).encode()


@given(dialogues(), st.sampled_from(["script", "chat", "lines"]))
def test_valid_scripts_lose_nothing(turns: list[dict[str, Any]], form: str) -> None:
    pairs = [
        ("Ann " + "".join(re.findall("[^\\W_]", t.get("speaker", "")))[:60], clean(t.get("text", "")))
        for t in turns
    ]
    pairs = [(" ".join(name.title().split()), " ".join(text.split())) for name, text in pairs]
    chat = [{"speaker": name, "text": text} for name, text in pairs]
    raw = {
        "script": "\n".join(f"{name}: {text}" for name, text in pairs),
        "chat": json.dumps(chat),
        "lines": "\n".join(map(json.dumps, chat)),
    }[form]
    try:
        ((_, found),) = dialogues_of(raw.encode(), "a.txt")
    except DataFormatError as error:  # below a name without a text, a name may be a text
        assert form == "script" and not all(text for _, text in pairs) and "either" in str(error)
        return
    assert [(turn["speaker"], turn["text"]) for turn in found] == pairs
