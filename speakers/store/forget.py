"""Remove a speaker from every table of a store and from every file on disk."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from ...dialogue.anonymity import any_of_words, name_parts
from ...dialogue.names import is_role
from ...errors import EmoNetError
from .build import forgotten_mark, index_speakers
from .tables import BIOGRAPHIES, FACTS, SPEAKERS, UTTERANCES, StoreTables, quoted, rows_where


@dataclass(frozen=True)
class Forgotten:
    """What was removed from a store.

    Attributes:
        utterances: Number of removed utterances.
        biographies: Number of removed biographies: the speaker's own, and others' that
            hold the name or a part of it (which is not a part of the other's name).
        files: Number of files with such rows that were deleted; None for an object store.
        mentions: Number of utterances by others that hold the name or a part of it. They
            are kept, as others said them.
    """

    utterances: int
    biographies: int
    files: int | None
    mentions: int


def forget_speaker(uri: str | Path, speaker: str) -> Forgotten:
    """Remove a speaker's utterances and biographies, old versions of the tables included.

    Deleting rows would only hide them: LanceDB keeps their data until a compaction that
    may never come, and writes the condition, with the name, into its transaction file. So
    each table is written anew without them, and all older files are deleted. A salted
    digest remains, by which a later build leaves the speaker out. After an interruption,
    call it again to complete it.

    Args:
        uri: A folder, or an object store's address.
        speaker: The speaker's identity.

    Raises:
        EmoNetError: If the store has no such speaker, or an older file is left.
    """
    tables = StoreTables(uri)
    facts = tables.facts()
    mark = forgotten_mark(facts, speaker)
    with tables.writing():
        own = f"speaker = {quoted(speaker)}"
        with tables.plain_errors():
            utterances = rows_where(tables.open(UTTERANCES), own, ["key", "name"])
            known = rows_where(tables.open(SPEAKERS), own, ["name"])
            if not utterances and not known and mark not in facts["forgotten"]:
                raise EmoNetError(f"{tables.uri}: no speaker {speaker!r}; `emonet speakers show` lists them.")
            name = (utterances or known or [{"name": speaker}])[0]["name"]
            rows = rows_where(tables.open(BIOGRAPHIES), None, ["key", "speaker", "text"])
            biographies = [row["key"] for row in rows if row["speaker"] == speaker or _names(name, row)]
            mentions = _mentions(tables, name, own)
        before = _files(tables)
        # The mark comes first: otherwise a build after an interruption would bring the
        # speaker back.
        tables.write_facts({**facts, "forgotten": sorted({*facts["forgotten"], mark})})
        for table in (UTTERANCES, SPEAKERS):
            _rewrite(tables, table, f"NOT ({own})")
        kept = " AND ".join(f"key != {quoted(key)}" for key in biographies)
        _rewrite(tables, BIOGRAPHIES, kept or None)
        for table in (UTTERANCES, SPEAKERS, BIOGRAPHIES, FACTS):
            _purge(tables, table)
        removed = _check_gone(tables, before, own)
        index_speakers(tables)
    return Forgotten(len(utterances), len(biographies), removed, mentions)


def _names_of(name: str) -> set[str]:
    """Return a person's name, its parts, and both in capitals; a role has no parts."""
    words = {name} if is_role(name) else {name, *name_parts(name)}
    return words | {word.upper() for word in words}


def _names(name: str, biography: Mapping[str, Any]) -> bool:
    """Whether a biography of another speaker names this person."""
    own = _names_of(biography["speaker"])
    return bool(any_of_words((_names_of(name) - own) | {name}).search(biography["text"]))


def _mentions(tables: StoreTables, name: str, own: str) -> int:
    """Count the utterances of others that name this person."""
    words = _names_of(name)
    holds = " OR ".join(f"contains(text, {quoted(word)})" for word in sorted(words))
    others = rows_where(tables.open(UTTERANCES), f"NOT ({own}) AND ({holds})", ["text"])
    pattern = any_of_words(words)
    return sum(bool(pattern.search(row["text"])) for row in others)


def _rewrite(tables: StoreTables, name: str, condition: str | None) -> None:
    """Write a table anew, in one commit, with the rows that meet `condition`."""
    table = tables.open(name)
    with tables.plain_errors():
        query = table.search()
        rows = (query.where(condition) if condition else query).to_batches()
    tables.replace(name, rows, table.schema)


def _purge(tables: StoreTables, name: str) -> None:
    """Delete all older versions of a table and their files."""
    with tables.plain_errors(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # readers of older versions are meant to fail
        tables.open(name).optimize(cleanup_older_than=timedelta(0), delete_unverified=True)


def _files(tables: StoreTables) -> set[Path]:
    """Return the files with rows, indices and transactions; none for an object store."""
    if tables.folder is None:
        return set()
    return {
        path
        for path in tables.folder.rglob("*")
        if path.is_file() and path.suffix in (".lance", ".arrow", ".txn", ".manifest")
    }


def _check_gone(tables: StoreTables, before: set[Path], own: str) -> int | None:
    """Check that nothing is left, and return how many files were deleted."""
    with tables.plain_errors():
        left = sum(tables.open(name).count_rows(own) for name in (UTTERANCES, SPEAKERS, BIOGRAPHIES))
        versions = max(len(tables.open(name).list_versions()) for name in (UTTERANCES, SPEAKERS, BIOGRAPHIES))
    surviving = sorted(before & _files(tables))
    if left or versions > 1 or surviving:
        what = surviving[0] if surviving else f"{left} rows in {versions} versions"
        raise EmoNetError(
            f"{tables.uri}: not all could be removed ({what}); "
            "close every reader and forget the speaker again."
        )
    return None if tables.folder is None else len(before)
