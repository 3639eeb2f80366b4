"""A catalog in SQLite: writing transactions take turns, and unsupported ones report the reason."""

import sqlite3
import threading

import adbc_driver_manager
import pytest

import harness


@pytest.fixture(scope="module")
def server(tmp_path_factory, catalog_flags):
    folder = tmp_path_factory.mktemp("sqlite")
    server = harness.Server(folder, *catalog_flags(folder, "sqlite"))
    try:
        yield server.start()
    finally:
        server.discard()


def execute(connection, *statements):
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def test_a_writer_waits_for_the_transaction_that_writes(server, table):
    with server.adbc(autocommit=False) as first:
        execute(first, f"INSERT INTO {table} VALUES (1)")
        second = threading.Thread(target=server.sql, args=[f"INSERT INTO {table} VALUES (2)"])
        second.start()
        sql = "SELECT count(*) FROM merganser_queries() WHERE sql LIKE 'INSERT%(2)' AND state = 'running'"
        harness.wait_until(lambda: server.scalar(sql) == 1, "the second runs")
        # Readers do not wait.
        assert server.scalar(f"SELECT count(*) FROM {table}") == 0
        first.commit()
        second.join()
    assert server.sql(f"SELECT i FROM {table} ORDER BY i") == [(1,), (2,)]


def test_a_waiting_writer_can_be_stopped(server, table):
    with server.adbc(autocommit=False) as first:
        execute(first, f"INSERT INTO {table} VALUES (1)")
        with server.adbc(username="ada", password="x") as second, second.cursor() as cursor:
            cursor.execute("SET timeout = 1")
            with pytest.raises(adbc_driver_manager.OperationalError, match="exceeded its timeout"):
                cursor.execute(f"INSERT INTO {table} VALUES (2)")
        first.rollback()
    server.sql(f"INSERT INTO {table} VALUES (3)")
    assert server.sql(f"FROM {table}") == [(3,)]


def test_a_transaction_that_read_an_older_snapshot_must_be_repeated(server, table):
    with server.adbc(autocommit=False) as first:
        with first.cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM {table}")
            cursor.fetchall()
            server.sql(f"INSERT INTO {table} VALUES (1)")
            cursor.execute(f"INSERT INTO {table} VALUES (2)")
        with pytest.raises(adbc_driver_manager.OperationalError, match="repeat the transaction"):
            first.commit()
    with server.adbc(autocommit=False) as again:
        execute(again, f"INSERT INTO {table} VALUES (2)")
        again.commit()
    assert server.sql(f"FROM {table} ORDER BY i") == [(1,), (2,)]


def test_another_process_that_writes_is_a_conflict(server, table):
    with sqlite3.connect(server.folder / "catalog.sqlite", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(adbc_driver_manager.OperationalError, match="repeat the transaction"):
            server.sql(f"INSERT INTO {table} VALUES (1)")
        other.execute("ROLLBACK")
    server.sql(f"INSERT INTO {table} VALUES (2)")
    assert server.sql(f"FROM {table}") == [(2,)]


def test_a_file_that_is_none_is_refused_and_left_alone(tmp_path):
    file = tmp_path / "diary"
    file.write_text("my diary, not a database. " * 1000)
    done = harness.run("serve", "--home", tmp_path / "home", "--listen", "127.0.0.1:0", "--catalog", f"sqlite:{file}")
    assert done.returncode == 1
    assert "not an SQLite database" in done.stderr and str(file) in done.stderr
    assert file.read_text().startswith("my diary")
