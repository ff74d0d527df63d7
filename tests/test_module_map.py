"""The module map of CONTRIBUTING.md names every source file once, in the words of the file's own first line."""

import ast
import configparser
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "CONTRIBUTING.md"
LINE = re.compile(r"- `([^`]+)`: (.+)")
# Folders of the tree that are no packages, or what is made in a checkout.
ELSEWHERE = {"build", "dist", "docs", "results", "runs", "site", "tests", "emonet-demo", "emonet-run"}
SPACE = Path("hub/space")  # copied whole into a Space, never imported


def packages(root: Path = ROOT) -> list[Path]:
    """The package's folders: the root, and every folder below it that holds modules."""
    found = {file.parent for file in root.rglob("*.py")}
    return [root, *sorted(folder for folder in found if folder != root and not _is_elsewhere(folder.relative_to(root)))]


def _is_elsewhere(folder: Path) -> bool:
    return folder.parts[0] in ELSEWHERE or folder == SPACE or any(part.startswith((".", "__")) for part in folder.parts)


def modules() -> list[Path]:
    """Every module of the package, and the helpers of the tests; tests themselves mirror the tree."""
    files = [file for folder in packages() for file in sorted(folder.glob("*.py"))]
    helpers = [file for file in (ROOT / "tests").rglob("*.py") if not file.name.startswith("test_")]
    return [*files, *sorted(helpers), *sorted((ROOT / "docs").rglob("*.py"))]


def data_files() -> list[str]:
    """What lies beside the modules and is no module, and what runs elsewhere."""
    folders = [*packages()[1:], ROOT / ".ci", ROOT / ".github"]
    files = {file for folder in folders for file in folder.rglob("*") if file.is_file()}
    return sorted(
        file.relative_to(ROOT).as_posix()
        for file in files
        if file.suffix not in (".py", ".pyc", ".typed") and not {"__pycache__", SPACE.name} & set(file.parts)
    )


def heading(path: str) -> str:
    folder = Path(path).parent.as_posix()
    return "### The root" if folder == "." else f"### {folder}/"


def mapped() -> dict[str, tuple[str, str]]:
    """Path or pattern → (heading it stands under, what is said of it)."""
    _, _, section = PAGE.read_text("utf-8").partition("## Module map\n")
    assert section, f"{PAGE.name} has no section 'Module map'"
    found: dict[str, tuple[str, str]] = {}
    under = ""
    for line in section.split("\n## ")[0].splitlines():
        under = line if line.startswith("### ") else under
        if match := LINE.fullmatch(line):
            assert match[1] not in found, f"{PAGE.name} names {match[1]} twice: keep one line"
            found[match[1]] = under, match[2]
    return found


@pytest.mark.parametrize("path", [file.relative_to(ROOT).as_posix() for file in modules()])
def test_a_module_has_its_line(path: str) -> None:
    docstring = ast.get_docstring(ast.parse((ROOT / path).read_text("utf-8")))
    assert docstring, f"{path}: begin the file with a line that says what is in it"
    line = f"- `{path}`: {docstring.splitlines()[0]}"
    under, said = mapped().get(path, ("", ""))
    assert said, f"{PAGE.name}, module map: add this line under '{heading(path)}':\n{line}"
    assert f"- `{path}`: {said}" == line, f"{PAGE.name}, module map: {path} says another thing of itself; make its line:\n{line}"
    assert under == heading(path), f"{PAGE.name}, module map: move {path} under '{heading(path)}'"


@pytest.mark.parametrize("path", data_files())
def test_another_file_is_named_once(path: str) -> None:
    names = [name for name in mapped() if Path(path).match(name)]
    assert names, f"{PAGE.name}, module map: add a line under '### Other files':\n- `{path}`: what it is for"
    assert len(names) == 1, f"{PAGE.name}, module map: {path} is meant by {' and by '.join(names)}; keep one"


def test_nothing_is_named_that_is_gone() -> None:
    gone = [name for name in mapped() if not any(ROOT.glob(name))]
    assert not gone, f"{PAGE.name}, module map: remove the lines of {', '.join(gone)}"


def test_every_folder_of_modules_is_installed() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", "utf-8")
    listed = setup["options"]["packages"].split()
    for folder in packages():
        name = ".".join(["emonet", *folder.relative_to(ROOT).parts])
        assert name in listed, f"setup.cfg, [options] packages: add {name}, or its modules are not installed"


def test_no_module_is_long() -> None:
    for file in (file for folder in packages() for file in folder.glob("*.py")):
        lines = len(file.read_text("utf-8").splitlines())
        assert lines <= 520, f"{file.relative_to(ROOT)} has {lines} lines: split it by concern"
