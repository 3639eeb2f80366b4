"""TPC-H's tables as Parquet files, generated once per scale by DuckDB's own generator."""

import os
import pathlib
import shutil
import tempfile

import inprocess

TABLES = ("customer", "lineitem", "orders")


def tpch(cache, scale):
    """The folder with a Parquet file for each of `TABLES`; created if absent."""
    folder = pathlib.Path(cache) / f"tpch-sf{scale:g}"
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = tempfile.mkdtemp(prefix=".tpch-", dir=folder.parent)
    try:
        _generate(pathlib.Path(new), scale)
        os.rename(new, folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return folder


def _generate(folder, scale):
    with inprocess.open_duckdb() as database:
        database.execute(f"LOAD tpch; CALL dbgen(sf={scale:g})")
        for table in TABLES:
            database.execute(f"COPY {table} TO '{folder / table}.parquet' (FORMAT parquet)")
