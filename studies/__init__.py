"""Studies: rows × seeds × datasets, their tables and reports."""
