"""The servers under test: how each is started, and how a client connects to it. All listen on free ports."""

import json
import os
import pathlib
import shutil
import sys

import inprocess
import processes
from processes import Failed

HERE = pathlib.Path(__file__).parent
TOKEN = "benchmark"
QUIET = "warn,roapi::startup=info,sail_cli=info"

MERGANSER = "merganser"
IN_PROCESS = "in-process DuckDB"
BUFFERED = "in-process DuckDB, streaming_buffer_size 128 MB"
CEILING = "pyarrow Flight, from memory"
ROAPI = "roapi"
ROAPI_MEMORY = "roapi, table in memory"
SAIL = "sail"
QUACK = "quack"
PEERS = (IN_PROCESS, BUFFERED, CEILING, ROAPI, ROAPI_MEMORY, SAIL, QUACK)


class Subject:
    """A measured system: the kind and the settings of its clients, and the process that serves them, if any."""

    def __init__(self, name, kind, settings, server=None):
        self.name, self.kind, self.settings, self.server = name, kind, settings, server


class Lake:
    """A DuckLake with TPC-H, which merganser created and all others read: the copy of its catalog and its files."""

    def __init__(self, folder, tpch):
        self.folder, self.tpch = pathlib.Path(folder), pathlib.Path(tpch)
        self.home = self.folder / "home"
        self.catalog = self.folder / "copy.ducklake"

    def files(self, table):
        """The folder with the Parquet files of a table."""
        return self.home / "store" / "lake" / "main" / table


def start_merganser(running, home, under=(), flags=(), **variables):
    """A server on a new or existing lake; `under` is a command that runs it, such as a profiler."""
    command = [*under, os.environ["MERGANSER_BIN"], "serve", "--home", home, "--listen", "127.0.0.1:0", "--log", "warn"]
    process = running.start("merganser", [*command, *flags], **variables)
    uri = processes.announced(process, r"listening on (grpc://\S+)\n")
    return Subject(MERGANSER, "flightsql", {"uri": uri}, process)


def start_in_process(running, lake):
    return Subject(IN_PROCESS, "duckdb", {"catalog": str(lake.catalog)})


def start_buffered(running, lake):
    return Subject(BUFFERED, "duckdb", {"catalog": str(lake.catalog), "buffer": "128MB"})


def start_ceiling(running, lake):
    process = running.start("ceiling", [sys.executable, HERE / "ceiling.py", lake.tpch / "lineitem.parquet"])
    uri = processes.announced(process, r"listening on (grpc://\S+)\n")
    return Subject(CEILING, "flightsql", {"uri": uri}, process)


def start_quack(running, lake):
    if inprocess.quack_file() is None:
        raise Failed("the package duckdb-extension-quack is not installed")
    process = running.start("quack", [sys.executable, HERE / "quack_server.py", lake.catalog, TOKEN])
    uri = processes.announced(process, r"listening on (quack:\S+)\n")
    return Subject(QUACK, "quack", {"uri": uri, "token": TOKEN}, process)


def start_roapi(running, lake):
    return _start_roapi(running, lake, ROAPI, in_memory=False)


def start_roapi_in_memory(running, lake):
    return _start_roapi(running, lake, ROAPI_MEMORY, in_memory=True)


def _start_roapi(running, lake, name, in_memory):
    tables = [
        {
            "name": table,
            "uri": str(lake.files(table)),
            "option": {"format": "parquet", "use_memory_table": in_memory},
        }
        for table in ("customer", "lineitem", "orders")
    ]
    free = "127.0.0.1:0"
    config = running.folder / f"roapi-{'memory' if in_memory else 'files'}.yml"
    # JSON is YAML.
    config.write_text(json.dumps({"addr": {"http": free, "postgres": free, "flight_sql": free}, "tables": tables}))
    process = running.start("roapi", [_program("roapi"), "-c", config], RUST_LOG=QUIET)
    address = processes.announced(process, r"Listening on (\S+) for FlightSQL")
    return Subject(name, "flightsql", {"uri": f"grpc://{address}"}, process)


def start_sail(running, lake):
    process = running.start("sail", [_program("sail", "pysail"), "flight", "server", "--port", 0], RUST_LOG=QUIET)
    address = processes.announced(process, r"Flight SQL server on (\S+?)\.\.\.")
    subject = Subject(SAIL, "flightsql", {"uri": f"grpc://{address}"}, process)
    with Clients(running, [subject]) as clients:
        for table in ("customer", "lineitem", "orders"):
            view = f"CREATE OR REPLACE TEMPORARY VIEW {table} AS SELECT * FROM parquet.`{lake.files(table)}`"
            clients.ask(SAIL, "execute", sql=view)
    return subject


def _program(name, package=None):
    """The path of a program that pip installed next to this Python."""
    path = shutil.which(name, path=str(pathlib.Path(sys.executable).parent))
    if path is None:
        raise Failed(f"the package {package or name} is not installed")
    return path


STARTS = {
    IN_PROCESS: start_in_process,
    BUFFERED: start_buffered,
    CEILING: start_ceiling,
    ROAPI: start_roapi,
    ROAPI_MEMORY: start_roapi_in_memory,
    SAIL: start_sail,
    QUACK: start_quack,
}


# === clients ===


class Clients:
    """One client process for each subject; they end with the `with`."""

    def __init__(self, running, subjects):
        self.running = running
        started = start_clients(running, subjects)
        self.processes = {subject.name: process for subject, process in zip(subjects, started, strict=True)}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes.values():
            self.running.end(process)

    def ask(self, name, do, seconds=600.0, **fields):
        """Sends a request to one client and returns its response."""
        process = self.processes[name]
        processes.ask(process, {"do": do, **fields})
        return processes.answer(process, seconds)


def start_clients(running, subjects):
    """A client process for each subject, its connection open."""
    started = []
    for subject in subjects:
        command = [sys.executable, HERE / "client.py", subject.kind, json.dumps(subject.settings)]
        started.append(running.start("client", command, pipes=True))
    for process in started:
        processes.answer(process, processes.START_SECONDS)
    return started
