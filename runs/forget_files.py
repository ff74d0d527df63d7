"""A person's name in files of any kind: found where it stands, compressed or not, and
taken out by the rules of the format.
"""

import csv
import gzip
import html
import io
import json
import re
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ..dialogue.anonymity import name_parts
from ..dialogue.names import is_role
from ..files.guard import parse_json

SOMEONE = "someone"  # as in anonymous mode
_SPEAKER_KEYS = ("speaker", "speakers", "role", "name")
_PNG = b"\x89PNG\r\n\x1a\n"
_LARGEST = 1 << 30  # bytes of a decompressed file that is searched

Scrubbed = tuple[bytes, int, int]  # content, rows that went, places in the rows that stay


class Person:
    """A name and the words that it may stand under.

    Args:
        name: As in the registry. others: Of other known persons, whose parts (a family's
            name) are no sign of this one.
        keep: Words that stay where they are the whole string, being labels.
    """

    def __init__(self, name: str, others: Iterable[str] = (), keep: Iterable[str] = ()):
        self.name, self.keep = name, frozenset(keep)
        shared = {part for other in others if other != name for part in [other, *name_parts(other)]}
        parts = set() if is_role(name) else set(name_parts(name)) - shared - {name}
        forms = {
            form for word in (name, name.upper(), *parts, *map(str.upper, parts)) for form in _written(word)
        }
        words = _any_of(forms)
        loose = r"[\s_.\-]+".join(map(re.escape, name.split()))  # as a name of a file, and in small letters
        whole = f"|(?i:{loose})" if len(name.split()) > 1 else ""
        # `Ann` is not named in `Ann Lee`, who is another known person.
        longer = {
            form for other in others if other != name and re.search(words, other) for form in _written(other)
        }
        spared = f"(?P<other>{_any_of(longer)})|" if longer else "(?P<other>(?!))|"
        self.pattern = re.compile(rf"(?<![^\W_])(?:{spared}{words}{whole})(?![^\W_])")
        self._anywhere = re.compile(
            f"{spared}{words}{whole}"
        )  # between numbers no letter tells where a word begins

    def in_text(self, text: str) -> int:
        """How often the person is named."""
        return _named(self.pattern, text)

    def in_bytes(self, content: bytes) -> int:
        """How often the person is named in a file's content, in that of an archive's
        members too.
        """
        try:
            as_text, pattern = [content.decode()], self.pattern
        except UnicodeDecodeError:
            as_text, pattern = [content.decode("utf-8", "ignore")], self._anywhere
        as_text += [part.decode("utf-16-le", "ignore") for part in (content, content[1:])]
        found = sum(_named(pattern, text) for text in as_text)
        return found + sum(self.in_bytes(inner) for inner in _inside(content))

    def without(self, text: str) -> tuple[str, int]:
        """The text with `someone` in the person's place, and how often it was."""
        found = 0 if text in self.keep else self.in_text(text)
        return (
            (self.pattern.sub(lambda match: match["other"] or SOMEONE, text), found) if found else (text, 0)
        )

    def speaks(self, row: Any) -> bool:
        """Whether a row of a table is about a turn of theirs."""
        if not isinstance(row, dict):
            return False
        said_by = [row[key] for key in _SPEAKER_KEYS if key in row]
        return any(
            self.name == each or (isinstance(each, (list, tuple)) and self.name in each) for each in said_by
        )


def scrubber_of(name: str) -> Callable[[bytes, Person], Scrubbed] | None:
    """What takes a person out of a file of that name; None for a format that can only be
    kept or deleted.
    """
    if name.endswith(".gz"):
        inner = scrubber_of(name[:-3])
        return None if inner is None else lambda content, person: _gzipped(content, person, inner)
    return _SCRUBBERS.get(Path(name).suffix.lower())


def scrub_value(value: Any, person: Person) -> tuple[Any, int, int]:
    """A JSON value without the person: their rows and entries go, in other strings the
    name is replaced.
    """
    if isinstance(value, str):
        text, places = person.without(value)
        return text, 0, places
    gone = places = 0
    if isinstance(value, dict):
        kept: Any = {}
        for key, item in value.items():
            if key == person.name and key not in person.keep:
                gone += 1
                continue
            key, named = person.without(key)
            kept[key], more_gone, more_places = scrub_value(item, person)
            gone, places = gone + more_gone, places + more_places + named
        return kept, gone, places
    if isinstance(value, (list, tuple)):
        kept = []
        for item in value:
            if person.speaks(item):
                gone += 1
                continue
            item, more_gone, more_places = scrub_value(item, person)
            kept.append(item)
            gone, places = gone + more_gone, places + more_places
        return kept, gone, places
    return value, 0, 0


def without_text_chunks(content: bytes, person: Person) -> tuple[bytes, int]:
    """A PNG without the text that names the person; its pixels stay."""
    if not content.startswith(_PNG):
        return content, 0
    kept, place, gone = [_PNG], len(_PNG), 0
    while place + 12 <= len(content):
        size = int.from_bytes(content[place : place + 4], "big")
        kind, data = content[place + 4 : place + 8], content[place + 8 : place + 8 + size]
        if kind in (b"tEXt", b"zTXt", b"iTXt", b"eXIf") and person.in_bytes(data):
            gone += 1
        else:
            kept.append(content[place : place + 12 + size])
        place += 12 + size
    return b"".join(kept), gone


def _written(word: str) -> set[str]:
    """A word as text, HTML, XML and JSON write it."""
    forms = {unicodedata.normalize(form, word) for form in ("NFC", "NFD")}
    in_json = {json.dumps(each)[1:-1] for each in forms}
    in_xml = {each.encode("ascii", "xmlcharrefreplace").decode() for each in forms}
    return forms | in_json | in_xml | {html.escape(each) for each in forms}


def _any_of(forms: Iterable[str]) -> str:
    return "|".join(map(re.escape, sorted(forms, key=lambda form: (-len(form), form))))


def _named(pattern: re.Pattern[str], text: str) -> int:
    return sum(match["other"] is None for match in pattern.finditer(text))


def _inside(content: bytes) -> list[bytes]:
    """What is compressed in it: a gzip stream, members of a zip archive, text chunks of a
    PNG, columns of a Parquet file.
    """
    try:
        if content.startswith(b"\x1f\x8b"):
            return [zlib.decompressobj(31).decompress(content, _LARGEST)]
        if content.startswith(b"PK\x03\x04"):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                small = [each for each in archive.infolist() if each.file_size < _LARGEST]
                return [each.filename.encode() for each in small] + [archive.read(each) for each in small]
        if content.startswith(b"PAR1"):
            table = _table(content)
            return [json.dumps(table.to_pylist(), ensure_ascii=False, default=str).encode()]
        if (
            b"\0\0" in content[:90] and (start := content.find(b"\0")) > 0
        ):  # zTXt and iTXt: a keyword, then a zlib stream
            return [zlib.decompressobj().decompress(content[start + 2 :], _LARGEST)]
    except (zlib.error, zipfile.BadZipFile, ValueError, RuntimeError, NotImplementedError):
        pass
    return []


def _table(content: bytes) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    return pq.read_table(pa.BufferReader(content))


def _text(content: bytes, person: Person) -> Scrubbed:
    text, places = person.without(content.decode("utf-8", "surrogateescape"))
    return text.encode("utf-8", "surrogateescape"), 0, places


def _json(content: bytes, person: Person) -> Scrubbed:
    try:
        value, gone, places = scrub_value(parse_json(content), person)
    except ValueError:
        return _text(content, person)
    indent = 1 if content.count(b"\n") > 1 else None
    return (
        (json.dumps(value, indent=indent, ensure_ascii=False) + "\n").encode("utf-8", "surrogatepass"),
        gone,
        places,
    )


def _json_lines(content: bytes, person: Person) -> Scrubbed:
    kept, gone, places = [], 0, 0
    for line in content.split(b"\n"):
        try:
            row = parse_json(line)
        except ValueError:
            line, _, more = _text(line, person)
            kept.append(line)
            places += more
            continue
        if person.speaks(row):
            gone += 1
            continue
        row, more_gone, more = scrub_value(row, person)
        kept.append(
            json.dumps(row, ensure_ascii=False).encode("utf-8", "surrogatepass")
            if more or more_gone
            else line
        )
        gone, places = gone + more_gone, places + more
    return b"\n".join(kept), gone, places


def _csv(content: bytes, person: Person) -> Scrubbed:
    text = content.decode("utf-8", "surrogateescape")
    separator = max(",;\t", key=text.partition("\n")[0].count)
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    kept, gone, places = io.StringIO(newline=""), 0, 0
    writer = csv.writer(kept, delimiter=separator, lineterminator="\n")
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    for number, row in enumerate(rows):
        if number and person.speaks(dict(zip(header, row, strict=False))):
            gone += 1
            continue
        cells = [person.without(cell) for cell in row]
        writer.writerow([cell for cell, _ in cells])
        places += sum(more for _, more in cells)
    return kept.getvalue().encode("utf-8", "surrogateescape"), gone, places


def _parquet(content: bytes, person: Person) -> Scrubbed:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = _table(content)
    named = [column for column in table.column_names if person.in_text(column)]
    table = table.drop_columns(named)
    rows, gone, places = scrub_value(table.to_pylist(), person)
    metadata = {
        key: person.without(text.decode("utf-8", "ignore"))
        for key, text in (table.schema.metadata or {}).items()
    }
    places += sum(more for _, more in metadata.values())
    schema = table.schema.with_metadata({key: text.encode() for key, (text, _) in metadata.items()} or None)
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), sink)
    return sink.getvalue().to_pybytes(), gone + len(named), places


def _gzipped(content: bytes, person: Person, inner: Callable[[bytes, Person], Scrubbed]) -> Scrubbed:
    plain, gone, places = inner(gzip.decompress(content), person)
    return (
        gzip.compress(plain, mtime=0),
        gone,
        places,
    )  # the old file's name, which gzip may keep, goes with it


_SCRUBBERS: dict[str, Callable[[bytes, Person], Scrubbed]] = {
    ".json": _json,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".csv": _csv,
    ".tsv": _csv,
    ".parquet": _parquet,
    **dict.fromkeys(
        (".html", ".htm", ".log", ".md", ".srt", ".tex", ".txt", ".yaml", ".yml", ".xml", ".toml"), _text
    ),
}
