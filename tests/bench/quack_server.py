"""A DuckDB server for a DuckLake with DuckDB's own remote protocol, quack.

Usage: quack_server.py CATALOG TOKEN. Prints where it listens and serves until it is ended.
"""

import signal
import socket
import sys

import duckdb

import inprocess

ATTEMPTS = 10


def free_port():
    """A port that was free just now: quack cannot choose one itself."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def serve(connection, token):
    for attempt in range(ATTEMPTS):
        uri = f"quack:127.0.0.1:{free_port()}"
        try:
            connection.execute("CALL quack_serve(?, token := ?)", [uri, token])
            return uri
        except duckdb.Error:
            if attempt == ATTEMPTS - 1:
                raise


if __name__ == "__main__":
    catalog, token = sys.argv[1:]
    database = inprocess.open_duckdb()
    database.execute(f"LOAD '{inprocess.quack_file()}'")
    inprocess.attach(database, catalog)
    for table in ("lineitem", "orders", "customer"):
        database.execute(f"CREATE VIEW memory.main.{table} AS FROM lake.main.{table}")
    database.execute("USE memory")
    print(f"listening on {serve(database, token)}", flush=True)
    signal.pause()
