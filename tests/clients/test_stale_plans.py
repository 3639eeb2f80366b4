"""Statements keep what they were planned on while other connections read new versions of the catalog."""

import threading
from concurrent.futures import ThreadPoolExecutor

import wire

DEFINERS = 3
TABLES = 25


def test_plans_survive_other_connections_that_read_the_same_new_version(server, name):
    done = threading.Event()

    def define(number):
        with wire.Wire(server, f"definer{number}") as user:
            for index in range(TABLES):
                table = f"{name}_{number}_{index}"
                user.update(f"CREATE TABLE {table} (i BIGINT)")
                [(kind, _)] = user.read(f"EXPLAIN ANALYZE INSERT INTO {table} VALUES (1)")
                assert kind == "analyzed_plan"
                assert user.read(f"SELECT i FROM {table}") == [(1,)]

    def read():
        with wire.Wire(server, "reader") as user:
            while not done.is_set():
                user.read("SELECT count(*) FROM duckdb_columns() WHERE database_name = 'lake'")

    with ThreadPoolExecutor(DEFINERS + 1) as threads:
        reader = threads.submit(read)
        try:
            list(threads.map(define, range(DEFINERS)))
        finally:
            done.set()
        reader.result()
