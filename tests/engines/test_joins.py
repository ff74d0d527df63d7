"""Predictions join with their input: its rows, columns, keys and order come back."""

import csv
import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook
from tiny import LABELS, build
from turn_files import predicted, write_jsonl

from emonet.cli.main import main
from emonet.files.spreadsheet_cells import unescaped

CELLS = st.text(
    st.one_of(
        st.sampled_from(list("=-+@'\",;\n\r\t _x00A9é😀\u2028\u202f")),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=12,
).map(lambda text: text.replace("\0", ""))
TEXTS = st.one_of(st.sampled_from(["hello there", "", "great we won", "no"]), CELLS)
IDS = st.one_of(
    st.sampled_from(["1", "01", "-5", "1.0", "a b", "=x"]),
    CELLS.filter(lambda text: text.strip() == text != ""),
)
KEYS = {"row", "label", "score", "scores", *(f"score_{label}" for label in LABELS)}


@st.composite
def tables(draw: st.DrawFn, typed: bool = False) -> list[dict[str, Any]]:
    """Rows of some dialogues, with columns that have nothing to do with the model."""
    extra = {"note": CELLS, "größe": st.sampled_from(["1", "-0.5", "1e3", "", "None", "NA"])}
    if typed:
        extra |= {"number": st.integers(-(2**40), 2**40), "share": st.none() | st.floats(0, 1)}
        extra |= {"found": st.booleans()}
    ids = draw(
        st.lists(
            IDS,
            min_size=1,
            max_size=4,
            unique_by=lambda name: re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", name).strip().removesuffix(".0"),
        )
    )
    rows = []
    for name in ids:
        numbers = draw(st.lists(st.integers(0, 99), min_size=1, max_size=4, unique=True))
        for number in numbers:
            speaker = draw(st.sampled_from(["Ann", "Bob", "Zed"]))
            cells = {column: draw(values) for column, values in extra.items()}
            turn = {"turn": number if typed else str(number)}
            rows.append({"dialogue_id": name, **turn, "text": draw(TEXTS), "speaker": speaker, **cells})
    return rows


class Predict:
    """Runs `emonet predict` on a file of its folder."""

    def __init__(self, checkpoint: Path, folder: Path):
        self.checkpoint, self.folder = checkpoint, folder

    def __call__(self, source: Path, name: str, *options: str) -> Path:
        output = self.folder / name
        if output.is_dir():
            shutil.rmtree(output)
        words = [str(source), "--output", str(output), *options]
        assert main(["predict", "--model", str(self.checkpoint), *words]) == 0
        assert not list(self.folder.glob("*.part"))
        return output


@pytest.fixture(scope="module")
def predict(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Predict:
    folder = tmp_path_factory.mktemp("joins")
    model, model.processor = build(tokenizer, "emonet-thesis", speaker_memory="corpus")
    model.save_pretrained(folder / "model")
    return Predict(folder / "model", folder)


def rows_in(output: Path) -> list[dict[str, Any]]:
    """Read the rows of an output of any format as `dict`s of the same form."""
    if output.is_dir():
        return predicted(output)
    if output.suffix == ".jsonl":
        return [json.loads(line) for line in output.read_text("utf-8").split("\n") if line]
    if output.suffix == ".parquet":
        return list(pq.read_table(output).to_pylist())
    if output.suffix == ".csv":
        table = list(csv.reader(io.StringIO(output.read_bytes().decode("utf-8-sig"), newline="")))
        header, cells = table[0], [list(map(unescaped, row)) for row in table[1:]]
    else:
        sheet = load_workbook(output).active
        assert all(cell.data_type != "f" for row in sheet for cell in row)
        header, *rows = [[excel_value(cell.value) for cell in row] for row in sheet]
        cells = [["" if value is None else value for value in row] for row in rows]
    found = []
    for values in cells:
        row = dict(zip(header, values, strict=True))
        row["scores"] = {label: float(row.pop(f"score_{label}")) for label in LABELS}
        found.append({**row, "row": int(row["row"]), "score": float(row["score"])})
    return found


def excel_value(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return re.sub("_x([0-9A-F]{4})_", lambda found: chr(int(found[1], 16)), value)


def check(found: list[dict[str, Any]], rows: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    assert [{name: row[name] for name in row if name not in KEYS} for row in found] == rows
    assert [list(row)[: len(rows[0]) + 1] for row in found] == [["row", *rows[0]]] * len(rows)
    assert [row["row"] for row in found] == list(range(len(rows)))
    for row, other in zip(found, expected, strict=True):
        assert row["label"] == other["label"] and row["scores"] == pytest.approx(other["scores"], abs=1e-5)
        assert row["score"] == row["scores"][row["label"]]


OUTPUTS = ["out.jsonl", "out.csv", "out.parquet", "out.xlsx"]
BULK = ["--engine", "datasets", "--turns-a-part", "3"]


@settings(max_examples=8)
@given(tables())
def test_a_csv_comes_back_in_every_format(predict: Predict, rows: list[dict[str, str]]) -> None:
    source = predict.folder / "in.csv"
    text = io.StringIO(newline="")
    csv.writer(text).writerows([list(rows[0]), *(row.values() for row in rows)])
    source.write_text(text.getvalue(), "utf-8", newline="")
    expected = rows_in(predict(source, OUTPUTS[0]))
    check(expected, rows, expected)
    for output in OUTPUTS[1:]:
        check(rows_in(predict(source, output)), rows, expected)
    check(rows_in(predict(source, "parts", *BULK)), rows, expected)


@settings(max_examples=8)
@given(tables(typed=True))
def test_json_lines_come_back_with_their_types(predict: Predict, rows: list[dict[str, Any]]) -> None:
    source = write_jsonl(predict.folder / "in.jsonl", rows)
    expected = rows_in(predict(source, OUTPUTS[0]))
    check(expected, rows, expected)
    check(rows_in(predict(source, "out.parquet")), rows, expected)
    check(rows_in(predict(source, "parts", *BULK)), rows, expected)


@settings(max_examples=8)
@given(tables(typed=True), st.randoms(use_true_random=False))
def test_mixed_dialogues_keep_the_order_of_their_rows(
    predict: Predict, rows: list[dict[str, Any]], random: Any
) -> None:
    random.shuffle(rows)
    source = write_jsonl(predict.folder / "mixed.jsonl", rows)
    ids = [row["dialogue_id"] for row in rows]  # what is remembered follows their first rows
    apart = write_jsonl(
        predict.folder / "in.jsonl", sorted(rows, key=lambda row: ids.index(row["dialogue_id"]))
    )
    expected = {(row["dialogue_id"], row["turn"]): row for row in rows_in(predict(apart, OUTPUTS[0]))}
    wanted = [expected[row["dialogue_id"], row["turn"]] for row in rows]
    check(rows_in(predict(source, OUTPUTS[0], "--interleaved")), rows, wanted)
    check(rows_in(predict(source, "parts", "--interleaved", *BULK)), rows, wanted)


@settings(max_examples=6)
@given(tables(), st.sampled_from(OUTPUTS), st.randoms(use_true_random=False))
def test_mixed_rows_join_on_their_own_keys(
    predict: Predict, rows: list[dict[str, str]], output: str, random: Any
) -> None:
    """In every format; each row is there twice, in two dialogues, with the same text."""
    rows = [{**row, "dialogue_id": f"{copy}/{row['dialogue_id']}"} for row in rows for copy in "ab"]
    random.shuffle(rows)
    source = predict.folder / "mixed.csv"
    text = io.StringIO(newline="")
    csv.writer(text).writerows([list(rows[0]), *(row.values() for row in rows)])
    source.write_text(text.getvalue(), "utf-8", newline="")
    joined = []
    for name, options in ((output, []), ("parts", BULK)):
        found = rows_in(predict(source, name, "--interleaved", *options))
        by_key = {(row["dialogue_id"], row["turn"]): row for row in found}
        assert len(by_key) == len(found) == len(rows)
        joined.append([by_key[row["dialogue_id"], row["turn"]] for row in rows])
        assert joined[-1] == found
        assert [{name: row[name] for name in rows[0]} for row in found] == rows
    check(joined[1], rows, joined[0])


def test_onnx_gives_the_same_rows(predict: Predict, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the onnx extra is not installed")
    rows = [
        {"dialogue_id": name, "turn": str(turn), "note": f"{name}, {turn}", "speaker": "Ann", "text": "no"}
        for name in ("b", "a")
        for turn in (3, 2, 9)
    ]
    source = write_jsonl(tmp_path / "in.jsonl", rows)
    exported = tmp_path / "onnx"
    assert main(["export", "--model", str(predict.checkpoint), "--output", str(exported)]) == 0
    expected = rows_in(predict(source, OUTPUTS[0]))
    runs = Predict(exported, tmp_path)
    for name, options in ((OUTPUTS[0], ["--engine", "onnx"]), ("parts", BULK)):
        check(rows_in(runs(source, name, *options)), rows, expected)


NESTED = [
    {"season": 1, "turns": [{"speaker": "Ann", "text": "hi", "id": "u1"}, {"speaker": "Bob", "text": "no"}]},
    {"season": 2, "turns": [{"speaker": "Ann", "text": "no", "id": "u3", "season": 9}]},
]
WITH_IDS = [{"dialogue_id": name, **dialogue} for name, dialogue in zip("ab", NESTED, strict=True)]


@pytest.mark.parametrize(
    ("name", "content", "ids"),
    [
        ("in.jsonl", "".join(json.dumps(row) + "\n" for row in WITH_IDS), "aab"),
        ("in.json", json.dumps(WITH_IDS, indent=1), "aab"),
        ("no_ids.json", json.dumps(NESTED), "001"),
        ("one.json", json.dumps(WITH_IDS[0]), "aa"),
        ("lists.json", json.dumps([dialogue["turns"] for dialogue in NESTED]), "001"),
    ],
)
def test_nested_dialogues_come_back_with_all_of_their_fields(
    predict: Predict, name: str, content: str, ids: str
) -> None:
    source = predict.folder / name
    source.write_text(content)
    rows = [{key: row[key] for key in row if key not in KEYS} for row in rows_in(predict(source, OUTPUTS[0]))]
    turns = [turn for dialogue in NESTED for turn in dialogue["turns"]][: len(ids)]
    outer = [{"season": 1}, {"season": 1}, {"dialogue_season": 2}] if name != "lists.json" else [{}] * 3
    numbers = [0, 1, 0][: len(ids)]
    keys = [{"turn": turn, "dialogue_id": key} for turn, key in zip(numbers, ids, strict=True)]
    assert rows == [{**a, **b, **c} for a, b, c in zip(keys, outer[: len(ids)], turns, strict=True)]
    bulk = rows_in(predict(source, "parts", *BULK))
    names = dict.fromkeys(key for row in rows for key in row)
    assert [{key: row[key] for key in names} for row in bulk] == [
        {key: row.get(key) for key in names} for row in rows
    ]


@pytest.mark.parametrize("engine", [[], BULK], ids=["torch", "datasets"])
@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("in.csv", "dialogue_id,speaker,text\n7,Ann,a\n7.0,Bob,b\n", "'7.0' may be the earlier '7'; write"),
        ("in.csv", "dialogue_id,speaker,text\n7.0,Ann,a\n7,Bob,b\n", "'7' may be the earlier '7.0'"),
        (
            "in.jsonl",
            '{"dialogue_id": "7.0", "speaker": "Ann", "text": "a"}\n'
            '{"dialogue_id": 7, "speaker": "Ann", "text": "b"}\n',
            "'7' may be the earlier '7.0'",
        ),
        (
            "in.jsonl",
            '{"dialogue_id": "7", "speaker": "Ann", "text": "a"}\n'
            '{"dialogue_id": "8", "turn": 3, "speaker": "Ann", "text": "b"}\n',
            "has a",
        ),
    ],
)
def test_unclear_keys_are_refused_alike(
    predict: Predict,
    capsys: pytest.CaptureFixture[str],
    engine: list[str],
    name: str,
    content: str,
    reason: str,
) -> None:
    source = predict.folder / name
    source.write_text(content)
    output = predict.folder / ("refused" if engine else "refused.jsonl")
    words = ["predict", "--model", str(predict.checkpoint), str(source), "--output", str(output)]
    assert main([*words, *engine]) == 2
    assert reason in capsys.readouterr().err


def test_cells_without_a_speaker_are_the_unknown_one(predict: Predict) -> None:
    found = {}
    for name in ("#UNKNOWN#", "nan", "None", "", "NULL", "<NA>"):
        source = predict.folder / "in.csv"
        source.write_text(f"dialogue_id,speaker,text\n7,Ann,no\n7,{name},great\n7,{name},no\n")
        for engine, (output, *options) in enumerate(([OUTPUTS[0]], [f"parts{len(found)}", *BULK])):
            rows = rows_in(predict(source, output, *options))
            assert [row["speaker"] for row in rows] == ["Ann", name, name]
            found[name, engine] = [list(row["scores"].values()) for row in rows]
    for scores in found.values():
        assert scores == [pytest.approx(row, abs=1e-4) for row in found["#UNKNOWN#", 0]]


def test_segments_without_speakers_come_back_under_the_unknown_one(predict: Predict) -> None:
    source = predict.folder / "whisper.tsv"
    source.write_text("start\tend\ttext\n0\t900\tWe won!\n900\t1800\tGreat: yes.\n")
    for output, *options in ([OUTPUTS[0]], ["segments", *BULK]):
        rows = rows_in(predict(source, output, *options))
        assert [(row["speaker"], row["start"], row["text"]) for row in rows] == [
            ("#UNKNOWN#", "0", "We won!"),
            ("#UNKNOWN#", "900", "Great: yes."),
        ]


def test_the_numbers_7_and_7_point_0_are_one_dialogue(predict: Predict) -> None:
    rows = [{"dialogue_id": key, "speaker": "Nan", "text": "no"} for key in (7, 7.0, 8)]
    source = write_jsonl(predict.folder / "in.jsonl", rows)
    for output, *options in ([OUTPUTS[0]], ["parts", *BULK]):
        found = rows_in(predict(source, output, *options))
        assert [(row["dialogue_id"], row["turn"]) for row in found] == [(7, 0), (7, 1), (8, 0)]


def test_the_columns_of_an_episode_name_its_scenes(predict: Predict) -> None:
    """The scenes of a series begin anew in every episode: two dialogues, not one."""
    source = predict.folder / "in.csv"
    source.write_text("Season,Episode,Scene_ID,Speaker,Text\n1,1,1,Ann,no\n1,2,1,Ann,no\n")
    expected = rows_in(predict(source, OUTPUTS[0]))
    assert [row["Speaker"] for row in expected] == ["Ann", "Ann"]
    for row, other in zip(rows_in(predict(source, "parts", *BULK)), expected, strict=True):
        assert row["turn"] == 0 and row["scores"] == pytest.approx(other["scores"], abs=1e-5)
