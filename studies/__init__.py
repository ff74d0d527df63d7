"""Studies: rows × seeds × datasets, their tables and reports."""

from pathlib import Path

DEFINITIONS = Path(__file__).parent / "definitions"
