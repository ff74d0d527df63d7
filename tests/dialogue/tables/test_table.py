"""Tables in every format, dialect and encoding: the same rows, or a clear refusal."""

import csv
import io
import json
import random
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emonet.dialogue.reader import read_bytes, read_text
from emonet.dialogue.tables.frames import read_frame
from emonet.dialogue.tables.table import Table
from emonet.errors import DataFormatError
from emonet.files.csv_rows import LONGEST_ROW

COLUMNS = ["dialogue_id", "turn", "speaker", "text", "note"]
# Texts that CSV, XML and Excel can hold without escapes of their own.
_CHARACTERS = st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufeff\ufffe\uffff")
_WESTERN = st.sampled_from("abcDE ,;|'\"\t=:-?!\u20ac\u00e9\u00fc\u201c\u00f1\u0153\n")


def rows_of(characters: st.SearchStrategy[str]) -> st.SearchStrategy[list[dict[str, str]]]:
    # A letter first: a row needs a cell, and `_x0041_` is an escape in Excel.
    text = st.text(characters, max_size=12).map(lambda text: "a" + text.replace("_x", "-"))
    row = st.fixed_dictionaries(
        {"speaker": st.sampled_from(["Ann", "Bob, Jr.", "Zoë"]), "text": text, "note": text}
    )
    numbered = st.lists(row, min_size=1, max_size=5)
    return numbered.map(
        lambda rows: [{"dialogue_id": "7", "turn": str(index), **row} for index, row in enumerate(rows, 1)]
    )


def csv_bytes(rows: list[dict[str, str]], separator: str, ends: str, start: str, encoding: str) -> bytes:
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=separator, lineterminator=ends)
    writer.writerow(COLUMNS)
    writer.writerows([row[column] for column in COLUMNS] for row in rows)
    return (start + file.getvalue()).encode(encoding)


def excel_bytes(rows: list[dict[str, str]]) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(COLUMNS)
    for line, row in enumerate(rows, 2):
        for column, name in enumerate(COLUMNS, 1):
            cell = sheet.cell(line, column)
            if name in ("dialogue_id", "turn"):
                cell.value = float(row[name])
            else:
                cell.value, cell.data_type = row[name], "s"
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def parquet_bytes(rows: list[dict[str, Any]]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), file)
    return file.getvalue()


def table(name: str, content: bytes) -> Table:
    return Table(Path(name), content)


def turns(content: Table) -> list[tuple[str, int | None, str, str]]:
    return [
        (content.dialogue_id(line, row), content.turn_number(line, row), *content.turn(line, row).values())
        for line, row in content.rows()
    ]


def expected(rows: list[dict[str, str]]) -> list[tuple[str, int, str, str]]:
    return [(row["dialogue_id"], int(row["turn"]), row["speaker"], row["text"]) for row in rows]


@given(
    rows_of(st.one_of(_WESTERN, _CHARACTERS)),
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]),
)
def test_csv_of_every_dialect(
    rows: list[dict[str, str]], separator: str, ends: str, named: bool, encoding: str
) -> None:
    start = f"sep={separator}{ends}" if named else ""
    found = table("t.csv", csv_bytes(rows, separator, ends, start, encoding))
    assert [row for _, row in found.rows()] == rows and turns(found) == expected(rows)
    assert found.columns == COLUMNS


@given(rows_of(_WESTERN), st.sampled_from(",;\t"))
def test_cp1252_is_read_and_told(rows: list[dict[str, str]], separator: str) -> None:
    rows[0]["note"] = "caf\u00e9"
    rows = [{**row, "text": row["text"].replace("\u00e9\u20ac", "")} for row in rows]
    content = csv_bytes(rows, separator, "\r\n", "", "cp1252")
    try:
        found = table("t.csv", content)
    except DataFormatError as error:  # special characters that stand together are not Western text
        assert "not UTF-8" in str(error) and "line" in str(error)
        return
    assert [row for _, row in found.rows()] == rows
    assert "cp1252" in found.notes[0] and "UTF-8" in found.notes[0]


@given(rows_of(st.one_of(_WESTERN, _CHARACTERS)))
def test_other_formats_hold_the_same(rows: list[dict[str, str]]) -> None:
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    for name, content in (
        ("t.jsonl", lines.encode()),
        ("t.jsonl", lines.encode("utf-16")),
        ("t.parquet", parquet_bytes(rows)),
        ("t.xlsx", excel_bytes(rows)),
    ):
        found = table(name, content)
        assert [row for _, row in found.rows()] == rows == [row for _, row in found.rows()], name
        assert turns(found) == expected(rows)
        reading = read_bytes(content, name)
        assert [turn["text"].split() for turn in reading.conversations[0].turns] == [
            row["text"].split() for row in rows
        ]


@given(rows_of(_WESTERN), st.sampled_from(["utf-8", "utf-16", "cp1252"]), st.data())
def test_a_cut_csv_is_refused_or_a_beginning(
    rows: list[dict[str, str]], encoding: str, data: st.DataObject
) -> None:
    whole = csv_bytes(rows, ",", "\r\n", "", encoding)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    try:
        found = list(table("t.csv", cut).rows())
    except DataFormatError:
        return
    complete = [{key: value for key, value in row.items()} for _, row in found]
    assert complete[:-1] == rows[: len(complete)][:-1]
    if complete:  # the last row may have lost the end of its last cell
        last, right = complete[-1], rows[len(complete) - 1]
        assert {**last, "note": ""} == {**right, "note": ""}
        assert right["note"].replace("\r", "").startswith(last["note"])


@pytest.fixture(scope="module")
def binary() -> dict[str, bytes]:
    return {"t.xlsx": excel_bytes(THREE), "t.parquet": parquet_bytes(THREE)}


THREE = [{"dialogue_id": "7", "turn": "1", "speaker": "Ann", "text": "hello", "note": "x"}] * 3


@given(st.sampled_from(["t.xlsx", "t.parquet"]), st.integers(0, 10_000), st.integers(0, 7))
def test_cut_and_damaged_binary_files_are_refused_or_right(
    binary: dict[str, bytes], name: str, position: int, bit: int
) -> None:
    whole = binary[name]
    index = position % len(whole)
    flipped = whole[:index] + bytes([whole[index] ^ (1 << bit)]) + whole[index + 1 :]
    for content in (whole[:index], flipped):
        try:
            found = table(name, content)
            read = [row for _, row in found.rows()]
        except DataFormatError as error:
            assert name in str(error)
            continue
        assert len(read) == len(THREE) or content is flipped
        assert all(len(row) == len(found.columns) for row in read)


@pytest.mark.parametrize(
    ("content", "spoken"),
    [
        ("Speaker,Message\nAnn,hi\n", [("Ann", "hi")]),
        (" SPEAKER ; Text \nAnn;hi\n", [("Ann", "hi")]),
        ("role|content\nuser|hi, you\n", [("user", "hi, you")]),
        ("Sender\tUtterance\nAnn\thi\n", [("Ann", "hi")]),
        (",speaker,text\n0,Ann,hi\n1,Bob,ho\n", [("Ann", "hi"), ("Bob", "ho")]),
        ("Unnamed: 0,speaker,text\n0,Ann,hi\n", [("Ann", "hi")]),
        ("\n\nspeaker,text\n\nAnn,hi\n\n\n", [("Ann", "hi")]),
        ("speaker,text,,\nAnn,hi,,\n,,,\n", [("Ann", "hi")]),
        ("sep=;\nspeaker;text\nAnn;a, b\n", [("Ann", "a, b")]),
        ('"sep=,"\nspeaker,text\nAnn,hi\n', [("Ann", "hi")]),
        ("dialogue_id,turn_id,speaker,text\n1,2.0,Bob,ho\n1,1.0,Ann,hi\n", [("Ann", "hi"), ("Bob", "ho")]),
        ("dialogue_id;turn;speaker;text\n1;2,0;Bob;ho\n1;1,0;Ann;hi\n", [("Ann", "hi"), ("Bob", "ho")]),
        ("utterance_id,speaker,text\nu_2,Ann,hi\nu_1,Bob,ho\n", [("Ann", "hi"), ("Bob", "ho")]),
        ("speaker,text\n\"['Monica Geller', 'Joey']\",hi\n", [("Monica Geller", "hi")]),
        ("speaker,name,text,message\nAnn,x,hi,y\n", [("Ann", "hi")]),
        ("speaker,text\rAnn,hi\rBob,ho\r", [("Ann", "hi"), ("Bob", "ho")]),
        ('speaker,text\nAnn,"one\r\ntwo"\n', [("Ann", "one\r\ntwo")]),
        ("speaker,text\nAnn,nan\nBob,None\n", [("Ann", "nan"), ("Bob", "None")]),
    ],
)
def test_headers_separators_and_numbers(content: str, spoken: list[tuple[str, str]]) -> None:
    for name in ("t.csv", "stdin"):
        (conversation,) = read_text(content, name).conversations
        assert [(turn["speaker"], turn["text"]) for turn in conversation.turns] == spoken


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "Sender,Author,text\nAnn,Bob,hi\n",
            r"t\.csv: columns 'Sender' and 'Author' could both be the speaker",
        ),
        ("SPEAKER,Speaker,text\nAnn,Bob,hi\n", "columns 'SPEAKER' and 'Speaker'"),
        ("who,what\nAnn,hi\n", "line 1: no column text or content; the columns are who, what"),
        ("speaker,text,\nAnn,hi,lost\n", "line 2: not as many cells .3. as the header has columns .2."),
        ("speaker,text\nAnn,hi, there\n", "line 2: not as many cells"),
        ('speaker,text\nAnn,"hi\nBob,ho\n', "line 2: not a CSV row"),
        ("dialogue_id,speaker,text\nd,Ann,hi\n,Bob,ho\n", "line 3, dialogue_id: '' is not an id"),
        (
            "dialogue_id,speaker,text\nd,A,x\ne,A,x\nd,A,x\n",
            "line 4: dialogue 'd' begins again after dialogue 'e'",
        ),
        ("turn,speaker,text\n1,A,x\n1.5,A,x\n", "line 3, turn: '1.5' is not a number"),
        ("", "line 1: no column speaker or role, text or content"),
        (
            "speaker,text\nAnn,hi\n12/05/23, 14:45 - Ann: hi\n",
            "line 3, speaker: '12/05/23' may be a",
        ),
        ("speaker,text\nAnn,hi\nAnn: well, hi\n", "line 3, speaker: 'Ann: well' may be a name, or"),
    ],
)
def test_unclear_tables_are_refused(content: str, message: str) -> None:
    with pytest.raises(DataFormatError, match=message):
        read_text(content, "t.csv")


def test_what_was_left_out_or_renamed_is_told() -> None:
    summary = read_text("Sender;Message;\nAnn;hi;\n;;\n;;\n", "t.csv").summary()
    assert "1 empty column left out; column 'Sender' as speaker, 'Message' as text" in summary
    assert "no dialogue_id column: one dialogue" in summary and "2 empty rows left out" in summary


def test_scenes_are_numbered_by_episode() -> None:
    content = "Utterance,Speaker,Scene_ID,Season,Episode\nhi,['Ann'],1,1,2\nho,['Bob'],1,1,3\n"
    found = read_text(content, "emorynlp.csv")
    assert [conversation.dialogue_id for conversation in found.conversations] == [
        "s01_e02_c01",
        "s01_e03_c01",
    ]


def test_predictions_are_no_gold_labels() -> None:
    header = "dialogue_id,turn,speaker,text,label,score\n"
    assert "emotion" not in table("p.csv", header.encode()).fields
    assert table("p.csv", b"dialogue_id,speaker,text,label\n").fields["emotion"] == "label"
    assert table("p.csv", b"dialogue_id,speaker,text,label,Emotion\n").fields["emotion"] == "Emotion"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "speaker,text\nAnn,Привет всем\n".encode("cp1251"),
            "line 2, byte 5: not UTF-8 .* not cp1252 either",
        ),
        ("speaker,text\nAnn,こんにちは\n".encode("shift-jis"), "not cp1252 either"),
        ("speaker,text\nAnn,café\nBob,café\n".encode()[:-2], "line 3, byte 8: not UTF-8"),
        ("speaker,text\nAnn,hi\n".encode("utf-16")[:-1], "line 2, byte 13: not UTF-16"),
        ("speaker,text\nAnn,hé\n".encode() + "Bob,hé\n".encode("cp1252"), "line 3, byte 6: not UTF-8"),
        (b"%PDF-1.7 ...", r"t\.csv: this is a PDF"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "old format"),
    ],
)
def test_other_encodings_are_refused(content: bytes, message: str) -> None:
    with pytest.raises(DataFormatError, match=message):
        read_bytes(content, "t.csv")


# -- Excel


def workbook(*sheets: list[list[Any]], hidden: int | None = None) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for index, cells in enumerate(sheets):
        sheet = book.create_sheet(f"Sheet{index}")
        for row in cells:
            sheet.append(row)
        if index == hidden:
            sheet.sheet_state = "hidden"
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


TURNS = [["Speaker", "Text"], ["Ann", "hi"]]


def test_the_sheet_with_the_columns_is_taken() -> None:
    found = table("t.xlsx", workbook([["about"], ["this file"]], TURNS))
    assert [row for _, row in found.rows()] == [{"Speaker": "Ann", "Text": "hi"}]
    assert "sheet 'Sheet1' of 2" in found.notes
    assert len(list(table("t.xlsx", workbook(TURNS, TURNS, hidden=1)).rows())) == 1
    with pytest.raises(DataFormatError, match="sheets 'Sheet0', 'Sheet1' all have columns of turns"):
        table("t.xlsx", workbook(TURNS, TURNS))
    with pytest.raises(DataFormatError, match=r"no sheet has .*'Sheet0' has about; 'Sheet1' has none"):
        table("t.xlsx", workbook([["about"]], []))


def test_cells_of_excel() -> None:
    day = pd.Timestamp("2026-01-31").to_pydatetime()
    rows: list[list[Any]] = [
        [None, "Dialogue ID", "Turn", "Speaker", "Text", "Seen", "When"],
        [0, 7.0, 2.0, "Ann", 42, True, day],
        [1, 7, 1, "Bob", day, None, None],
        [None] * 7,
        [2, "x", 1, "Bob", "_x000D_\nend", 1.5, "a"],
        [None] * 7,
    ]
    found = table("t.xlsx", workbook(rows))
    assert found.columns[0] == "Unnamed: 0"
    assert turns(found) == [
        ("7", 2, "Ann", "42"),
        ("7", 1, "Bob", "2026-01-31"),
        ("x", 1, "Bob", "\r\nend"),
    ]
    first = next(found.rows())[1]
    assert (first["Unnamed: 0"], first["Seen"], first["When"]) == (0, True, "2026-01-31")
    assert [line for line, _ in found.rows()] == [2, 3, 5] and "1 empty row left out" in found.notes


def test_pandas_files(tmp_path: Path) -> None:
    frame = pd.DataFrame({"dialogue_id": [1, None, 2], "speaker": ["A", None, "B"], "text": ["x", None, "y"]})
    frame.to_excel(tmp_path / "t.xlsx")
    frame.iloc[[0, 2]].to_csv(tmp_path / "t.csv")
    frame.iloc[[0, 2]].to_parquet(tmp_path / "t.parquet")
    frame.iloc[[0, 2]].to_json(tmp_path / "t.jsonl", orient="records", lines=True)
    for name, ids in (("t.csv", ["1.0", "2.0"]), ("t.parquet", ["1", "2"]), ("t.jsonl", ["1", "2"])):
        found = Table(tmp_path / name)
        assert [found.dialogue_id(*row) for row in found.rows()] == ids, name
    with pytest.raises(DataFormatError, match=r"row 3, .*dialogue_id.* '' is not an id"):
        turns(Table(tmp_path / "t.xlsx"))


def test_errors_and_formulas_are_refused_in_the_columns_of_turns() -> None:
    with pytest.raises(
        DataFormatError, match=r"t\.xlsx, row 2, column Text: the formula '=A1' .* without its"
    ):
        list(table("t.xlsx", workbook([["Speaker", "Text"], ["Ann", "=A1"]])).rows())
    with pytest.raises(DataFormatError, match=r"row 2, column Text: the cell has the error #N/A"):
        list(table("t.xlsx", workbook([["Speaker", "Text"], ["Ann", "#N/A"]])).rows())
    elsewhere = table("t.xlsx", workbook([["Speaker", "Text", "n"], ["Ann", "hi", "=1+1"]]))
    assert [row["n"] for _, row in elsewhere.rows()] == ["=1+1"]
    with pytest.raises(DataFormatError, match="row 2, column 3: a cell in a column without a name"):
        list(table("t.xlsx", workbook([["Speaker", "Text"], ["Ann", "hi", "lost"]])).rows())


def test_rows_outside_wrong_dimensions_are_read() -> None:
    """Some programs write a sheet's size as A1, and openpyxl would stop there."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook(TURNS))) as old, zipfile.ZipFile(file, "w") as new:
        for part in old.namelist():
            new.writestr(part, old.read(part).replace(b'ref="A1:B2"', b'ref="A1"'))
    assert len(list(table("t.xlsx", file.getvalue()).rows())) == 1


def with_part(name: str, content: bytes) -> bytes:
    file = io.BytesIO(workbook(TURNS))
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return file.getvalue()


def test_broken_and_hostile_workbooks() -> None:
    bomb = with_part("xl/media/image1.xml", b"\0" * (64 << 20))
    assert len(bomb) < 200_000
    with pytest.raises(DataFormatError, match="unpacks to 64 MB"):
        table("t.xlsx", bomb)
    far = workbook(TURNS)
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(far)) as old, zipfile.ZipFile(file, "w") as new:
        for part in old.namelist():
            text = old.read(part)
            if part == "xl/worksheets/sheet1.xml":
                text = text.replace(b'<row r="2"', b'<row r="99999999"')
            new.writestr(part, text)
    with pytest.raises(DataFormatError, match="more than 1,048,576 rows"):
        list(table("t.xlsx", file.getvalue()).rows())
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("word/document.xml", "x")
    with pytest.raises(DataFormatError, match="a zip archive, but no Excel workbook"):
        read_bytes(other.getvalue(), "t.xlsx")
    with pytest.raises(DataFormatError, match="a document as plain text"):
        read_bytes(other.getvalue(), "t.docx")


# -- memory


def peak_of(path: Path) -> tuple[int, int]:
    tracemalloc.start()
    count = sum(1 for _ in Table(path).rows())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return count, peak


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.parquet"])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, name: str) -> None:
    generator = random.Random(1)
    rows = [{"speaker": "Ann", "text": generator.randbytes(500).hex()} for _ in range(20_000)]
    if name == "t.csv":
        pd.DataFrame(rows).to_csv(tmp_path / name)
    elif name == "t.jsonl":
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / name)
    count, peak = peak_of(tmp_path / name)
    assert count == 20_000 and peak < 12 << 20 < (tmp_path / name).stat().st_size


@pytest.mark.parametrize("start", ["speaker,text\nAnn,", 'speaker,text\nAnn,"a\n', '{"text": "'])
def test_an_endless_row_is_refused_in_bounded_memory(tmp_path: Path, start: str) -> None:
    path = tmp_path / ("t.jsonl" if start[0] == "{" else "t.csv")
    with path.open("w") as file:
        file.write(start)
        for _ in range(200):
            file.write(("x" * 999 + ("\n" if '"a' in start else "x")) * 1000)
    tracemalloc.start()
    with pytest.raises(DataFormatError, match=f"a row of more than {LONGEST_ROW:,} characters"):
        list(Table(path).rows())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * LONGEST_ROW


# -- speakers


@pytest.mark.parametrize(
    ("name", "content", "speakers"),
    [
        ("t.jsonl", '{"speaker": 0, "text": "x"}\n{"speaker": 1.0, "text": "y"}', ["0", "1"]),
        ("t.csv", "speaker,text\n0.0,x\n1.0,y\n", ["0", "1"]),
        ("t.csv", "conv_id,utterance_idx,speaker_idx,utterance\nhit:0,1,10,x\nhit:0,2,11,y\n", ["10", "11"]),
        ("t.csv", 'speaker, text\nAnn, "x, y"\nBob, z\n', ["Ann", "Bob"]),
    ],
)
def test_speakers_are_read(name: str, content: str, speakers: list[str]) -> None:
    source = table(name, content.encode())
    found = [source.turn(line, row) for line, row in source.rows()]
    assert [turn["speaker"] for turn in found] == speakers
    assert not any('"' in turn["text"] or turn["text"].startswith(" ") for turn in found)


@pytest.mark.parametrize("speaker", ["\u200b", "\x00"])
def test_a_turn_without_a_name_is_refused(speaker: str) -> None:
    source = table("t.csv", f"speaker,text\n{speaker},x\n".encode())
    with pytest.raises(DataFormatError, match=r"line 2, speaker: .* is not a name"):
        [source.turn(line, row) for line, row in source.rows()]


@pytest.mark.parametrize("empty", ["", " ", "nan", "NaN", "None", "<NA>"])
def test_an_empty_cell_is_the_unknown_speaker_and_told(empty: str) -> None:
    source = table("t.csv", f"speaker,text\n{empty},x\nNan,y\n".encode())
    assert [source.turn(line, row)["speaker"] for line, row in source.rows()] == ["#UNKNOWN#", "Nan"]
    assert "1 turn without a speaker, said by #UNKNOWN#" in source.notes
    frame = read_frame(pd.DataFrame({"speaker": [empty, None, "Nan"], "text": list("xyz")}))
    assert [turn["speaker"] for turn in frame.dialogues[0]] == ["#UNKNOWN#", "#UNKNOWN#", "Nan"]
    assert "2 turns without a speaker, said by #UNKNOWN#" in frame.notes
