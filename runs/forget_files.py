"""Find a person's name in files of any format, and remove it."""

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
_MAX_DECOMPRESSED = 1 << 30  # bytes that are searched

Scrubbed = tuple[bytes, int, int]  # content, rows deleted, names replaced in other rows


class Person:
    """A person's name, and the forms in which files may contain it.

    Args:
        name: The name, as in the registry.
        others: Names of other known persons; a part that they share with the name (a
            family name) does not identify the person.
        keep: Strings that stay if they are equal to the name (labels).
    """

    def __init__(self, name: str, others: Iterable[str] = (), keep: Iterable[str] = ()):
        self.name, self.keep = name, frozenset(keep)
        shared = {part for other in others if other != name for part in [other, *name_parts(other)]}
        parts = set() if is_role(name) else set(name_parts(name)) - shared - {name}
        forms = {
            form for word in (name, name.upper(), *parts, *map(str.upper, parts)) for form in _spellings(word)
        }
        words = _any_of(forms)
        # As in file names, in any case.
        loose = r"[\s_.\-]+".join(map(re.escape, name.split()))
        whole = f"|(?i:{loose})" if len(name.split()) > 1 else ""
        # `Ann Lee` does not name `Ann`, if both are known persons.
        longer = {
            form
            for other in others
            if other != name and re.search(words, other)
            for form in _spellings(other)
        }
        excluded = f"(?P<other>{_any_of(longer)})|" if longer else "(?P<other>(?!))|"
        self.pattern = re.compile(rf"(?<![^\W_])(?:{excluded}{words}{whole})(?![^\W_])")
        # Binary content has no word boundaries.
        self._anywhere = re.compile(f"{excluded}{words}{whole}")

    def in_text(self, text: str) -> int:
        """Count the person's name in a text."""
        return _count(self.pattern, text)

    def in_bytes(self, content: bytes) -> int:
        """Count the person's name in a file's content, including members of archives."""
        try:
            texts, pattern = [content.decode()], self.pattern
        except UnicodeDecodeError:
            texts, pattern = [content.decode("utf-8", "ignore")], self._anywhere
        # UTF-16 text may begin at an even or at an odd byte.
        texts += [part.decode("utf-16-le", "ignore") for part in (content, content[1:])]
        count = sum(_count(pattern, text) for text in texts)
        return count + sum(self.in_bytes(member) for member in _decompressed(content))

    def without(self, text: str) -> tuple[str, int]:
        """Replace the name by `someone`; returns the text and the count."""
        count = 0 if text in self.keep else self.in_text(text)
        if not count:
            return text, 0
        return self.pattern.sub(lambda match: match["other"] or SOMEONE, text), count

    def speaks(self, row: Any) -> bool:
        """Whether a row of a table is about a turn of the person."""
        if not isinstance(row, dict):
            return False
        speakers = [row[key] for key in _SPEAKER_KEYS if key in row]
        return any(
            self.name == speaker or (isinstance(speaker, (list, tuple)) and self.name in speaker)
            for speaker in speakers
        )


def scrubber_of(name: str) -> Callable[[bytes, Person], Scrubbed] | None:
    """The function that removes a person from a file, by its name.

    None for a format that cannot be edited.
    """
    if name.endswith(".gz"):
        inner = scrubber_of(name.removesuffix(".gz"))
        return None if inner is None else lambda content, person: _gzipped(content, person, inner)
    return _SCRUBBERS.get(Path(name).suffix.lower())


def scrub_value(value: Any, person: Person) -> tuple[Any, int, int]:
    """Remove a person from a JSON value.

    Deletes the person's rows and entries, and replaces the name in other strings.

    Returns:
        The value, the number of deleted rows and entries, and that of replacements.
    """
    if isinstance(value, str):
        text, replaced = person.without(value)
        return text, 0, replaced
    deleted = replaced = 0
    if isinstance(value, dict):
        kept: Any = {}
        for key, item in value.items():
            if key == person.name and key not in person.keep:
                deleted += 1
                continue
            key, in_key = person.without(key)
            kept[key], more_deleted, more_replaced = scrub_value(item, person)
            deleted, replaced = deleted + more_deleted, replaced + more_replaced + in_key
        return kept, deleted, replaced
    if isinstance(value, (list, tuple)):
        kept = []
        for item in value:
            if person.speaks(item):
                deleted += 1
                continue
            item, more_deleted, more_replaced = scrub_value(item, person)
            kept.append(item)
            deleted, replaced = deleted + more_deleted, replaced + more_replaced
        return kept, deleted, replaced
    return value, 0, 0


def without_text_chunks(content: bytes, person: Person) -> tuple[bytes, int]:
    """Remove text chunks with the person's name from a PNG; the pixels stay.

    Returns:
        The content, and the number of removed chunks.
    """
    if not content.startswith(_PNG):
        return content, 0
    # A chunk: 4 bytes of size, 4 of kind, the data, 4 of checksum.
    kept, offset, removed = [_PNG], len(_PNG), 0
    while offset + 12 <= len(content):
        size = int.from_bytes(content[offset : offset + 4], "big")
        kind, data = content[offset + 4 : offset + 8], content[offset + 8 : offset + 8 + size]
        if kind in (b"tEXt", b"zTXt", b"iTXt", b"eXIf") and person.in_bytes(data):
            removed += 1
        else:
            kept.append(content[offset : offset + 12 + size])
        offset += 12 + size
    return b"".join(kept), removed


def _spellings(word: str) -> set[str]:
    """The spellings of a word in text, HTML, XML and JSON."""
    forms = {unicodedata.normalize(form, word) for form in ("NFC", "NFD")}
    in_json = {json.dumps(form)[1:-1] for form in forms}
    in_xml = {form.encode("ascii", "xmlcharrefreplace").decode() for form in forms}
    return forms | in_json | in_xml | {html.escape(form) for form in forms}


def _any_of(forms: Iterable[str]) -> str:
    return "|".join(map(re.escape, sorted(forms, key=lambda form: (-len(form), form))))


def _count(pattern: re.Pattern[str], text: str) -> int:
    return sum(match["other"] is None for match in pattern.finditer(text))


def _decompressed(content: bytes) -> list[bytes]:
    """The compressed parts of a file's content.

    A gzip stream, members of a zip archive, rows of a Parquet file, or the text of a PNG
    chunk.
    """
    try:
        if content.startswith(b"\x1f\x8b"):
            return [zlib.decompressobj(31).decompress(content, _MAX_DECOMPRESSED)]
        if content.startswith(b"PK\x03\x04"):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                members = [member for member in archive.infolist() if member.file_size < _MAX_DECOMPRESSED]
                names = [member.filename.encode() for member in members]
                return names + [archive.read(member) for member in members]
        if content.startswith(b"PAR1"):
            table = _table(content)
            return [json.dumps(table.to_pylist(), ensure_ascii=False, default=str).encode()]
        # zTXt and iTXt chunks: a keyword of at most 79 bytes, two zeros, a zlib stream.
        if b"\0\0" in content[:90] and (start := content.find(b"\0")) > 0:
            return [zlib.decompressobj().decompress(content[start + 2 :], _MAX_DECOMPRESSED)]
    except (zlib.error, zipfile.BadZipFile, ValueError, RuntimeError, NotImplementedError):
        pass
    return []


def _table(content: bytes) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    return pq.read_table(pa.BufferReader(content))


def _text(content: bytes, person: Person) -> Scrubbed:
    text, replaced = person.without(content.decode("utf-8", "surrogateescape"))
    return text.encode("utf-8", "surrogateescape"), 0, replaced


def _json(content: bytes, person: Person) -> Scrubbed:
    try:
        value, deleted, replaced = scrub_value(parse_json(content), person)
    except ValueError:
        return _text(content, person)
    indent = 1 if content.count(b"\n") > 1 else None
    text = json.dumps(value, indent=indent, ensure_ascii=False) + "\n"
    return text.encode("utf-8", "surrogatepass"), deleted, replaced


def _json_lines(content: bytes, person: Person) -> Scrubbed:
    kept, deleted, replaced = [], 0, 0
    for line in content.split(b"\n"):
        try:
            row = parse_json(line)
        except ValueError:
            line, _, more_replaced = _text(line, person)
            kept.append(line)
            replaced += more_replaced
            continue
        if person.speaks(row):
            deleted += 1
            continue
        row, more_deleted, more_replaced = scrub_value(row, person)
        if more_deleted or more_replaced:
            line = json.dumps(row, ensure_ascii=False).encode("utf-8", "surrogatepass")
        kept.append(line)
        deleted, replaced = deleted + more_deleted, replaced + more_replaced
    return b"\n".join(kept), deleted, replaced


def _csv(content: bytes, person: Person) -> Scrubbed:
    text = content.decode("utf-8", "surrogateescape")
    separator = max(",;\t", key=text.partition("\n")[0].count)
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    kept, deleted, replaced = io.StringIO(newline=""), 0, 0
    writer = csv.writer(kept, delimiter=separator, lineterminator="\n")
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    for index, row in enumerate(rows):
        if index and person.speaks(dict(zip(header, row, strict=False))):
            deleted += 1
            continue
        cells = [person.without(cell) for cell in row]
        writer.writerow([cell for cell, _ in cells])
        replaced += sum(count for _, count in cells)
    return kept.getvalue().encode("utf-8", "surrogateescape"), deleted, replaced


def _parquet(content: bytes, person: Person) -> Scrubbed:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = _table(content)
    named = [column for column in table.column_names if person.in_text(column)]
    table = table.drop_columns(named)
    rows, deleted, replaced = scrub_value(table.to_pylist(), person)
    metadata = {
        key: person.without(text.decode("utf-8", "ignore"))
        for key, text in (table.schema.metadata or {}).items()
    }
    replaced += sum(count for _, count in metadata.values())
    schema = table.schema.with_metadata({key: text.encode() for key, (text, _) in metadata.items()} or None)
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), sink)
    return sink.getvalue().to_pybytes(), deleted + len(named), replaced


def _gzipped(content: bytes, person: Person, inner: Callable[[bytes, Person], Scrubbed]) -> Scrubbed:
    plain, deleted, replaced = inner(gzip.decompress(content), person)
    # A new header, because the old one may contain the file's name.
    return gzip.compress(plain, mtime=0), deleted, replaced


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
