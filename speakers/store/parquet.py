"""Export a speaker store to Parquet files and import it."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ...errors import EmoNetError
from ...files.guard import read_json
from .build import index_speakers
from .queries import SpeakerStore
from .tables import BIOGRAPHIES, FACTS, SPEAKERS, UTTERANCES, StoreTables

_TABLES = (UTTERANCES, SPEAKERS, BIOGRAPHIES)
_FACTS_FILE = "store.json"


def export_store(uri: str | Path, folder: str | Path) -> Path:
    """Write each table of a store as `<table>.parquet`, and its facts as JSON."""
    store, folder = SpeakerStore(uri), Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name in _TABLES:
        table = store.tables.open(name)
        with (
            store.tables.plain_errors(),
            pq.ParquetWriter(folder / f"{name}.parquet", table.schema) as writer,
        ):
            for batch in table.search().to_batches():
                writer.write_batch(batch)
    (folder / _FACTS_FILE).write_text(json.dumps(store.facts, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return folder


def import_store(folder: str | Path, uri: str | Path) -> SpeakerStore:
    """Build a store from the files that `export_store` wrote.

    Raises:
        EmoNetError: If files are missing, or there is a store already.
    """
    folder, tables = Path(folder), StoreTables(uri)
    missing = [
        name
        for name in (_FACTS_FILE, *(f"{table}.parquet" for table in _TABLES))
        if not (folder / name).is_file()
    ]
    if missing:
        raise EmoNetError(f"{folder} lacks {', '.join(missing)}; `emonet speakers export` writes them.")
    if FACTS in tables.names() and tables.facts()["complete"]:
        raise EmoNetError(f"{tables.uri}: there is a speaker store already; import into another folder.")
    facts = read_json(folder / _FACTS_FILE)
    with tables.writing():
        tables.write_facts({**facts, "complete": False})
        for name in _TABLES:
            file = pq.ParquetFile(folder / f"{name}.parquet")
            rows = pa.RecordBatchReader.from_batches(file.schema_arrow, file.iter_batches())
            tables.replace(name, rows, file.schema_arrow)
        index_speakers(tables)
        tables.write_facts({**facts, "complete": True})
    return SpeakerStore(uri)
