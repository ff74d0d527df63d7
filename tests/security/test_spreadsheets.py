"""Downloaded CSV holds no formulas, and reading it back restores the texts."""

import ast
import csv
import io
import shutil
import subprocess
import unicodedata
import xml.etree.ElementTree as ElementTree
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from turn_files import dialogues_of

from emonet.files.csv_rows import csv_rows
from emonet.files.spreadsheet_cells import csv_of, escaped, unescaped
from emonet.serving.page.analysis import Analysis
from emonet.serving.page.downloads import csv_text

ROOT = Path(__file__).parents[2]
SIGNS = "=+-@＝＋－＠﹦﹢﹣﹫⁼⁺⁻−"
BLANKS = (
    " \t\r\n\v\f\x00\x1c\x85\xa0\xad\u1680\u2003\u2028\u2029\u202f\u205f\u3000"
    "\ufeff\u200b\u200c\u200d\u2060\u200e\u180e\u3164\u2800"
)
ATTACKS = [
    "=1+1",
    "+1+1",
    "-1+1",
    "@SUM(1,1)",
    '=HYPERLINK("http://x.invalid","y")',
    "=cmd|'/C calc'!A0",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "  =1+1",
    "\ufeff=1+1",
    "\u200b\xa0=1+1",
    "＝1+1",
    "－1+1",
    "hi;=1+1;",
    "hi\t=1+1",
    "hi\n=1+1;",
    "hi\r\n@SUM(1,1)",
    'a",=1+1',
    "'=1+1",
]
# Texts rich in signs and blanks, and any other text.
texts = st.text(st.sampled_from(SIGNS + BLANKS + "'\";,aé1")) | st.text(st.characters(codec="utf-8"))


def analysis(*texts: str, labels: tuple[str, ...] = ("Joyful", "=Sad")) -> Analysis:
    scores = {label: 1 / len(labels) for label in labels}
    turn = {"label": labels[-1], "score": 0.5, "scores": scores}
    return Analysis(
        list(labels), [(text, [{**turn, "speaker": text, "text": text, "start": -1.5}]) for text in texts]
    )


def begins_a_formula(cell: str) -> bool:
    """An implementation of the rule that is independent of the code."""
    seen = [
        character
        for character in cell
        if not (character.isspace() or unicodedata.category(character) in ("Cc", "Cf", "Mn", "Me"))
    ]
    seen = [character for character in seen if character not in "\u115f\u1160\u2800\u3164\uffa0"]
    return bool(seen) and (
        seen[0] in SIGNS or unicodedata.normalize("NFKC", seen[0]).startswith(tuple("=+-@"))
    )


@pytest.mark.parametrize("blank", BLANKS, ids=ascii)
def test_signs_after_blanks_are_escaped(blank: str) -> None:
    for sign in SIGNS:
        for cell in (
            f"{sign}1",
            f"{blank}{sign}1",
            f"{blank * 3}{sign}1",
            f"say;{blank}{sign}1",
            f"say\n{blank}{sign}1",
        ):
            assert escaped(cell) != cell and unescaped(escaped(cell)) == cell, ascii(cell)
            assert not any(
                map(begins_a_formula, [escaped(cell), *escaped(cell).replace("\n", ";").split(";")])
            ), ascii(cell)


@given(texts)
@example("'=1")
@example("''\t=1")
@example("\n'=1;'")
def test_a_cell_is_harmless_and_unambiguous(text: str) -> None:
    cell = escaped(text)
    assert not begins_a_formula(cell) and cell[:1] not in ("\t", "\r")
    for part in io.StringIO(cell.replace(";", "\n").replace("\t", "\n")):
        assert not begins_a_formula(part)
    assert unescaped(cell) == text


def test_other_cells_stay_unchanged() -> None:
    for text in (
        "",
        "hello",
        "it's - well",
        "'tis",
        "a=b",
        "1-2",
        "Ann; Bob",
        "…",
        "—",
        "#UNKNOWN#",
        "e@mail",
    ):
        assert escaped(text) == text == unescaped(text)


@given(st.lists(texts, min_size=1, max_size=3))
def test_a_download_has_no_formula_and_keeps_the_texts(spoken: list[str]) -> None:
    header, *rows = csv.reader(io.StringIO(csv_text(analysis(*spoken)), newline=""))
    assert not any(begins_a_formula(cell) for cell in header) and header[-1] == "'=Sad"
    assert [row[0] for row in rows] == [row[4] for row in rows] == list(map(escaped, spoken))
    assert all(row[2] == "-1.5" and float(row[7]) == 0.5 for row in rows), "numbers stay numbers"


def test_a_download_can_be_read_back() -> None:
    spoken = ["=SUM(A1)", "'@ann", "hi;-x", '- no, "so"', "plain"]
    (_, turns), *_ = dialogues_of(b"\xef\xbb\xbf" + csv_text(analysis("=SUM(A1)")).encode(), "emotions.csv")
    assert turns == [{"speaker": "=SUM(A1)", "text": "=SUM(A1)"}]
    rows = csv_rows(csv_text(analysis(*spoken)), "emotions.csv", ("text",))
    assert [row["text"] for _, row in rows] == spoken
    foreign = csv_of(["speaker", "text"], []) + "Ann,'- so he said\r\n"
    assert csv_rows(foreign, "own.csv", ("text",))[0][1]["text"] == "'- so he said", (
        "apostrophes in other files stay"
    )


def test_no_other_code_writes_csv() -> None:
    """Another CSV writer would not escape formulas."""
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    rooms = [
        name.removeprefix("emonet").lstrip(".").replace(".", "/")
        for name in setup["options"]["packages"].split()
    ]
    paths = [path for room in rooms for path in (ROOT / room).glob("*.py")]
    assert len(paths) > 200
    for path in paths:
        # forget_files rewrites the user's own files and must keep their cells.
        if path.name in ("spreadsheet_cells.py", "forget_files.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            name = (
                node.attr
                if isinstance(node, ast.Attribute)
                else node.id
                if isinstance(node, ast.Name)
                else ""
            )
            alone = (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id == "csv"
                and name == "writer"
            )
            assert not alone and name not in ("to_csv", "DictWriter", "write_csv"), f"{path}: use csv_of"


# Separators in the options of LibreOffice's import filter. Its last option evaluates
# formulas.
SEPARATORS = {",": "44", ";": "59", "; and ,": "59/44", "tab": "9"}


def formulas(content: str, separator: str, folder: Path) -> list[str]:
    """Formulas that LibreOffice finds in a CSV file."""
    (folder / "in.csv").write_bytes(b"\xef\xbb\xbf" + content.encode())
    options = f"CSV:{SEPARATORS[separator]},34,76,1,,0,false,true,false,false,false,0,true"
    subprocess.run(
        [
            "soffice",
            f"-env:UserInstallation={(folder / 'profile').as_uri()}",
            "--headless",
            f"--infilter={options}",
            "--convert-to",
            "fods",
            "--outdir",
            str(folder),
            str(folder / "in.csv"),
        ],
        check=True,
        capture_output=True,
        timeout=180,
    )
    cells: list[Any] = list(
        ElementTree.parse(folder / "in.fods").iter(
            "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}table-cell"
        )
    )
    assert cells, "the file was opened"
    found = [cell.get("{urn:oasis:names:tc:opendocument:xmlns:table:1.0}formula") for cell in cells]
    return [formula for formula in found if formula is not None]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice is not installed")
@pytest.mark.parametrize("separator", SEPARATORS)
def test_libreoffice_computes_nothing(separator: str, tmp_path: Path) -> None:
    raw = io.StringIO(newline="")
    csv.writer(raw).writerows([["0", attack, attack] for attack in ATTACKS])
    assert formulas(raw.getvalue(), separator, tmp_path), "LibreOffice computes unescaped cells"
    assert formulas(csv_text(analysis(*ATTACKS)), separator, tmp_path) == []
