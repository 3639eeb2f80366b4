"""GizmoSQL's own ADBC driver, which sends DDL and DML by DoPut and the rest as queries."""

import adbc_driver_manager
import pyarrow
import pytest
from adbc_driver_gizmosql import dbapi


def connect(server, **options):
    return dbapi.connect(server.uri.replace("grpc://", "grpc+tcp://"), username="ann", password="secret", **options)


def rows(connection, sql, parameters=None):
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


def test_the_server_is_a_duckdb(server):
    with connect(server) as connection:
        assert connection.adbc_get_info()["vendor_version"].startswith("duckdb v1.")
        assert rows(connection, "SELECT version()")[0][0].startswith("v1.")
        assert rows(connection, "SELECT count(*) > 100 FROM duckdb_settings()") == [(True,)]
        for function in ["duckdb_extensions", "duckdb_constraints", "duckdb_databases"]:
            rows(connection, f"FROM {function}()")


def test_statements_run_once(server, name):
    with connect(server) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {name} (n BIGINT)")
        cursor.execute(f"/* a comment */ INSERT INTO {name} VALUES (1), (2)")
        assert cursor.rowcount == 2
        cursor.execute("WITH t AS (SELECT 3 AS n) SELECT * FROM t")
        assert cursor.fetchall() == [(3,)]
        cursor.executemany(f"INSERT INTO {name} VALUES (?)", [(3,), (4,)])
        cursor.execute(f"SELECT n FROM {name} WHERE n > ? ORDER BY n", (1,))
        assert cursor.fetchall() == [(2,), (3,), (4,)]


def test_the_current_catalog_and_schema(server):
    with connect(server, catalog="lake", db_schema="silver") as connection:
        assert rows(connection, "SELECT current_catalog(), current_schema()") == [("lake", "silver")]
        assert (connection.adbc_current_catalog, connection.adbc_current_db_schema) == ("lake", "silver")
    with connect(server) as connection:
        rows(connection, "USE gold")
        assert rows(connection, "SELECT current_schema()") == [("gold",)]


def test_a_transaction(server, name):
    with connect(server, autocommit=False) as connection:
        rows(connection, f"CREATE TABLE {name} (n BIGINT)")
        connection.commit()
        rows(connection, f"INSERT INTO {name} VALUES (1)")
        connection.rollback()
        assert rows(connection, f"SELECT count(*) FROM {name}") == [(0,)]


def test_a_transaction_as_text(server, name):
    with connect(server) as connection:
        rows(connection, f"CREATE TABLE {name} (n BIGINT)")
        for sql in ["BEGIN", f"INSERT INTO {name} VALUES (1)", "ROLLBACK", "BEGIN", f"INSERT INTO {name} VALUES (2)", "COMMIT"]:
            rows(connection, sql)
        assert rows(connection, f"FROM {name}") == [(2,)]
        wanted = "TransactionContext Error: cannot rollback - no transaction is active"
        with pytest.raises(adbc_driver_manager.OperationalError, match=wanted):
            rows(connection, "ROLLBACK")


def test_ingest(server, name):
    table = pyarrow.table({"n": [1, 2, 3], "s": pyarrow.array(["a", None, "c"], pyarrow.large_string())})
    with connect(server) as connection, connection.cursor() as cursor:
        assert cursor.adbc_ingest(name, table, mode="create") == 3
        cursor.adbc_ingest(name, table, mode="append")
        assert rows(connection, f"SELECT count(*) FROM {name}") == [(6,)]
        cursor.adbc_ingest(name, table.slice(0, 1), mode="replace")
        assert rows(connection, f"FROM {name}") == [(1, "a")]
        for _ in range(2):
            cursor.adbc_ingest(f"{name}_own", table, mode="replace", temporary=True)
        assert rows(connection, f"SELECT count(*) FROM {name}_own") == [(3,)]
    assert server.scalar(f"SELECT count(*) FROM duckdb_tables() WHERE table_name = '{name}_own'") == 0


def test_cancel_at_close(server):
    with connect(server) as connection, connection.cursor() as cursor:
        cursor.execute("FROM range(100000000)")
        cursor.adbc_cancel()
    with connect(server) as connection:
        assert rows(connection, "SELECT 1") == [(1,)]
