"""Merged files behave as they do apart, and keep their comments."""

import sys
from collections.abc import Iterator
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from chat_cases import CASES
from transcript_cases import TRANSCRIPTS

from emonet.checkpoint.bundle import Bundle, Part
from emonet.checkpoint.flatten import flat_code
from emonet.dialogue import reader
from emonet.errors import EmoNetError

LINES = '''"""Read lines."""

import re
from dataclasses import dataclass, field as _field
from json import loads

try:
    import json
except ImportError:
    json = None

_PATTERN = re.compile("a+")  # runs of a
_text = "lines"
count = 0


@dataclass
class Line:
    """A line with a _text."""

    _text: str = "own"
    tags: list[str] = _field(default_factory=list)


def _first(_text, *, count=1):
    return _text[:count]


def open(name):
    return f"{name}: {_text!r} {_PATTERN.sub('b', _text)}"


def read():
    global count
    count += 1
    return [
        _first("xyz", count=2), Line()._text, open(_text), [_text for _text in "ab"], count, loads("[1]")
    ]
'''
WORDS = '''"""Read words."""

import re
import sys as json
from typing import TYPE_CHECKING

from .lines import Line, read as read_lines

if TYPE_CHECKING:
    from .main import Reader

_PATTERN = re.compile("c+")
_text = "words"
count = 10
loads: "list[_Loads]" = []
_Loads = str


class _Box:
    from_lines = staticmethod(read_lines)

    def _first(self, reader: "Reader", text: "_Loads" = _text) -> "_Loads":
        import re as _text

        return f"{text} {_text.escape('.')} {(lambda text: text)(3)} {count:>{count}}" "!"


def _first(lines):
    def nested():
        nonlocal lines
        lines += [_text]
        return lines

    return nested()


def read():
    from .lines import _PATTERN

    with open(__file__) as file:
        mine = bool(file.read(1))
    return [_first(read_lines()), _Box()._first(None), _PATTERN.pattern, mine, json.maxsize > 0]
'''
MAIN = '''"""Read."""

from .lines import read as _read
from .words import _Box, read

_text = None


class Reader:
    def __init__(self, *, _text=_text):
        self._text = _text

    def all(self):
        return [_read(), read(), _Box.from_lines(), self._text, Reader(_text=1)._text]
'''
USER = '''"""Use the room."""

from .room.lines import count, read
from .room.main import Reader
from .room.words import read as read_words


def everything():
    from .room.lines import _text

    return [count, read(), read_words(), _text, Reader().all()]
'''


def bundled(**files: str) -> dict[str, str]:
    """Merge the files of a room, with one beside it that uses them."""
    parts = [Part(f"room.{name}", text) for name, text in files.items() if name != "user"]
    user = Part("user", files.get("user", ""))
    wanted = {(target, alias.name) for node, target in user.imports() for alias in node.names}
    bundles = [Bundle("room", parts, wanted), Bundle("user", [user], set())]
    homes = {part.name: bundle for bundle in bundles for part in bundle.parts}
    return {f"{bundle.name}.py": bundle.code(homes) for bundle in bundles}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Import a module of files, as those of a package of their own."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)

    def load(name: str, module: str, code: dict[str, str]) -> ModuleType:
        for file, text in code.items():
            path = tmp_path / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        return import_module(f"{name}.{module}")

    yield load
    for name in set(sys.modules) - before:
        del sys.modules[name]


ROOM = {"lines": LINES, "words": WORDS, "main": MAIN}


def test_merged_files_behave_as_apart(package: Any) -> None:
    files = {f"room/{name}.py": text for name, text in ROOM.items()}
    expected = package("apart", "user", {**files, "user.py": USER}).everything()
    code = bundled(**ROOM, user=USER)
    assert set(code) == {"room.py", "user.py"}
    assert package("merged", "user", code).everything() == expected
    assert bundled(**dict(reversed(ROOM.items())), user=USER) == code, "the order given must not matter"


def test_merged_files_are_readable() -> None:
    code = bundled(**ROOM)["room.py"]
    assert code.index("# From room/lines.py:\n# Read lines.") < code.index(
        "# From room/words.py:\n# Read words."
    )
    assert '_PATTERN = re.compile("a+")  # runs of a\n_text = "lines"\n' in code
    assert '_PATTERN_words = re.compile("c+")\n_text_words = "words"\n' in code
    assert code.count("import re\n") == 1, "one import for all"
    assert '    """A line with a _text."""' in code


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a": "class Line: ...", "b": "class Line: ..."}, "'Line' is in another file of room/"),
        ({"a": "from .b import x\ny = 1", "b": "from .a import y\nx = 1"}, "import each other"),
        ({"a": "x = 1", "b": "import re; y = 2"}, "b, line 1: write one statement a line"),
        ({"a": "x = 1", "b": "from .a import z"}, r"room/a\.py has no 'z'"),
        ({"a": "x = 1", "b": "from .a import *"}, r"has no '\*'"),
        ({"a": "x = 1", "b": "x = 2\nprint(f'x is {x}')"}, "b, line 2: cannot rename 'x' in this string"),
        ({"a": "x = 1", "b": "x = 2\nclass C:\n    y = x\n    x = 3"}, "b: cannot rename 'x'"),
        ({"a": "__all__ = []", "b": "__all__ = []"}, "'__all__' is in another file"),
        ({"a": "from __future__ import annotations", "b": "x = 1"}, "imports from __future__"),
        ({"a": "x = 1", "b": "def f():\n    from .a import x as y"}, "b, line 2: import x at the top"),
        ({"a": "os = 1\nclass os: ...", "b": "import os.path"}, r"import os\.path under another name"),
    ],
)
def test_what_cannot_be_merged_is_refused(files: dict[str, str], message: str) -> None:
    with pytest.raises(EmoNetError, match=message):
        bundled(**files)


def test_an_import_from_the_future_comes_first(package: Any) -> None:
    future = "from __future__ import annotations\n"
    code = bundled(a=future + "import re\nx: Missing = 1", b=future + "from .a import x as z\ny: Missing = 2")
    room = package("future", "room", code)
    assert (room.x, room.y, room.z) == (1, 2, 1)


def test_the_bundled_reader_reads_as_the_packages(package: Any) -> None:
    """Every transcript, and what is refused, with the same words."""
    code = flat_code(Path(reader.__file__).parents[1] / "modeling_emonet.py")
    kept = {name: code[name] for name in ("dialogue.py", "files.py", "errors.py")}
    flat = package("flat", "dialogue", kept)
    texts = [(case.file, case.content) for case in TRANSCRIPTS] + [(case.name, case.text) for case in CASES]
    texts += [("empty.txt", ""), ("rows.csv", "speaker,words\nA,b\n"), ("turns.json", '[{"speaker": 1}]')]
    readings = 0
    for name, text in texts:
        try:
            expected = asdict(reader.read_text(text, name))
        except EmoNetError as error:
            with pytest.raises(flat.EmoNetError) as refused:
                flat.read_text(text, name)
            assert str(refused.value) == str(error)
        else:
            assert asdict(flat.read_text(text, name)) == expected
            readings += 1
    assert readings >= len(TRANSCRIPTS)
