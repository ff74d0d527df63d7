"""Forgetting a speaker: out of every table, and out of every file on disk."""

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
    """What was taken out of a store.

    Attributes:
        utterances / biographies: How many rows went; biographies are the speaker's own
            and others' that name them, if only by a part of the name (which is not a part
            of the other's own).
        files: How many files that held them were removed from the disk; None for an
            object store.
        mentions: How many utterances of others hold the name, or a part of it, in their
            text. They stay, being what others said.
    """

    utterances: int
    biographies: int
    files: int | None
    mentions: int


def forget_speaker(uri: str | Path, speaker: str) -> Forgotten:
    """Take a speaker out of a store, so that nothing of what they said or were described
    by is left, old versions included.

    Deleting rows would only hide them: LanceDB keeps the rows' data until a compaction
    that may never come, and writes the condition, the name in it, into its transaction
    file. So every table is written anew without them and all that is older is removed. A
    salted digest stays, by which a later build leaves them out. Interrupted, it is
    completed by the same call again.

    Raises:
        EmoNetError: for a speaker who is not there, or if a file from before survived.
    """
    tables = StoreTables(uri)
    facts = tables.facts()
    mark = forgotten_mark(facts, speaker)
    with tables.writing():
        own = f"speaker = {quoted(speaker)}"
        with tables.plain_errors():
            said = rows_where(tables.open(UTTERANCES), own, ["key", "name"])
            known = rows_where(tables.open(SPEAKERS), own, ["name"])
            if not said and not known and mark not in facts["forgotten"]:
                raise EmoNetError(f"{tables.uri}: no speaker {speaker!r}; `emonet speakers show` lists them.")
            name = (said or known or [{"name": speaker}])[0]["name"]
            described = rows_where(tables.open(BIOGRAPHIES), None, ["key", "speaker", "text"])
            told = [row["key"] for row in described if row["speaker"] == speaker or _tells_of(name, row)]
            mentions = _mentions(tables, name, own)
        before = _files(tables)
        # The mark first: a build after an interruption here would else bring the speaker
        # back.
        tables.write_facts({**facts, "forgotten": sorted({*facts["forgotten"], mark})})
        for table in (UTTERANCES, SPEAKERS):
            _rewrite(tables, table, f"NOT ({own})")
        kept = " AND ".join(f"key != {quoted(key)}" for key in told)
        _rewrite(tables, BIOGRAPHIES, kept or None)
        for table in (UTTERANCES, SPEAKERS, BIOGRAPHIES, FACTS):
            _purge(tables, table)
        removed = _check_gone(tables, before, own)
        index_speakers(tables)
    return Forgotten(len(said), len(told), removed, mentions)


def _called(name: str) -> set[str]:
    """The words that name a person; a role (`The Waiter`) has no parts that do."""
    words = {name} if is_role(name) else {name, *name_parts(name)}
    return words | {word.upper() for word in words}


def _tells_of(name: str, biography: Mapping[str, Any]) -> bool:
    own = _called(biography["speaker"])
    return bool(any_of_words((_called(name) - own) | {name}).search(biography["text"]))


def _mentions(tables: StoreTables, name: str, own: str) -> int:
    words = _called(name)
    holds = " OR ".join(f"contains(text, {quoted(word)})" for word in sorted(words))
    others = rows_where(tables.open(UTTERANCES), f"NOT ({own}) AND ({holds})", ["text"])
    pattern = any_of_words(words)
    return sum(bool(pattern.search(row["text"])) for row in others)


def _rewrite(tables: StoreTables, name: str, condition: str | None) -> None:
    """A table without the rows that fail `condition`: new files, in one commit."""
    table = tables.open(name)
    with tables.plain_errors():
        query = table.search()
        rows = (query.where(condition) if condition else query).to_batches()
    tables.replace(name, rows, table.schema)


def _purge(tables: StoreTables, name: str) -> None:
    """Remove every version of a table but the latest, with its files."""
    with tables.plain_errors(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that readers of older versions fail is what is wanted
        tables.open(name).optimize(cleanup_older_than=timedelta(0), delete_unverified=True)


def _files(tables: StoreTables) -> set[Path]:
    """The files that hold rows, indices and transactions; pointers to the latest version
    keep their names.
    """
    if tables.folder is None:
        return set()
    return {
        path
        for path in tables.folder.rglob("*")
        if path.is_file() and path.suffix in (".lance", ".arrow", ".txn", ".manifest")
    }


def _check_gone(tables: StoreTables, before: set[Path], own: str) -> int | None:
    """The proof: no row, one version, and none of the files from before."""
    with tables.plain_errors():
        left = sum(tables.open(name).count_rows(own) for name in (UTTERANCES, SPEAKERS, BIOGRAPHIES))
        versions = max(len(tables.open(name).list_versions()) for name in (UTTERANCES, SPEAKERS, BIOGRAPHIES))
    surviving = sorted(before & _files(tables))
    if left or versions > 1 or surviving:
        what = surviving[0] if surviving else f"{left} rows in {versions} versions"
        raise EmoNetError(
            f"{tables.uri}: not all could be removed ({what}); close every reader and forget the speaker again."
        )
    return None if tables.folder is None else len(before)
