"""DuckDB in this process with a DuckLake attached: compared with the server, and served by quack."""

import importlib.util
import os
import pathlib

import duckdb


def open_duckdb():
    """A DuckDB in memory that finds its extensions where scripts/fetch-duckdb.sh puts them."""
    return duckdb.connect(":memory:", config={"extension_directory": os.environ["BENCH_EXTENSIONS"]})


def attach(connection, catalog, data=None):
    """Attaches a DuckLake as `lake`: an existing one for reading, or a new one that keeps its data in `data`."""
    options = f"(DATA_PATH '{data}/')" if data else "(READ_ONLY)"
    connection.execute(f"LOAD ducklake; ATTACH 'ducklake:{catalog}' AS lake {options}; USE lake")


def quack_file():
    """The file of the extension, or None if its package is not installed."""
    package = importlib.util.find_spec("duckdb_extension_quack")
    if package is None:
        return None
    files = pathlib.Path(package.submodule_search_locations[0]).glob("extensions/*/quack.duckdb_extension")
    return next(files, None)
