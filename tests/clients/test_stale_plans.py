"""Statements keep what they were planned on while other connections read new versions of the catalog."""

import threading

import wire

DEFINERS = 3
TABLES = 25


def test_plans_survive_other_connections_that_read_the_same_new_version(server, name):
    failures, done = [], threading.Event()

    def define(number):
        try:
            with wire.Wire(server, f"definer{number}") as user:
                for index in range(TABLES):
                    table = f"{name}_{number}_{index}"
                    user.update(f"CREATE TABLE {table} (i BIGINT)")
                    [(kind, _)] = user.read(f"EXPLAIN ANALYZE INSERT INTO {table} VALUES (1)")
                    assert kind == "analyzed_plan"
                    assert user.read(f"SELECT i FROM {table}") == [(1,)]
        except Exception as error:
            failures.append(error)

    def read():
        try:
            with wire.Wire(server, "reader") as user:
                while not done.is_set():
                    user.read("SELECT count(*) FROM duckdb_columns() WHERE database_name = 'lake'")
        except Exception as error:
            failures.append(error)

    definers = [threading.Thread(target=define, args=(number,)) for number in range(DEFINERS)]
    reader = threading.Thread(target=read)
    for thread in [*definers, reader]:
        thread.start()
    for thread in definers:
        thread.join()
    done.set()
    reader.join()
    assert not failures
