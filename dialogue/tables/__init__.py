"""One row for each turn: CSV, XLSX, Parquet, JSON lines, DataFrames."""
