"""DuckDB as a client: it reads what ADBC fetches and what ADBC writes, in Arrow batches."""

import duckdb
import pyarrow


def test_a_local_database_joins_a_remote_result(server):
    local = duckdb.connect()
    local.sql("CREATE TABLE names AS SELECT * FROM (VALUES (1, 'one'), (2, 'two')) t(n, name)")
    with server.adbc() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT i AS n, i * i AS square FROM range(1000) t(i)")
        remote = cursor.fetch_record_batch()
        rows = local.sql("SELECT name, square FROM remote JOIN names USING (n) ORDER BY n").fetchall()
    assert rows == [("one", 1), ("two", 4)]


def test_a_remote_table_is_copied(server):
    local = duckdb.connect()
    with server.adbc() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT i AS n, DATE '2024-01-01' + i::INTEGER AS day, [i] AS list FROM range(100000) t(i)")
        remote = cursor.fetch_record_batch()
        local.sql("CREATE TABLE copied AS FROM remote")
    assert local.sql("SELECT count(*), sum(n), max(list[1]) FROM copied").fetchall() == [(100_000, 4_999_950_000, 99_999)]


def test_a_local_result_is_written(server, name):
    result = duckdb.sql("SELECT i AS n, 'x' || i AS name, i / 2 AS half FROM range(100000) t(i)")
    with server.adbc() as connection, connection.cursor() as cursor:
        assert cursor.adbc_ingest(name, result.to_arrow_reader(), mode="create") == 100_000
        cursor.execute(f"SELECT count(*), sum(n)::BIGINT, max(half) FROM {name}")
        assert cursor.fetchall() == [(100_000, 4_999_950_000, 49_999.5)]


def test_the_same_statement_gives_the_same_arrow_table(server):
    """DuckDB's driver and this server return equal tables for equal SQL."""
    sql = """
        SELECT i::TINYINT AS a, i::UBIGINT AS b, i / 3 AS c, 'x' || i AS d, i::DECIMAL(10, 2) AS e, [i] AS f, {'g': i} AS g,
            TIMESTAMP '2024-01-01' + to_seconds(i) AS h, CASE WHEN i % 2 = 0 THEN i END AS j FROM range(100) t(i) ORDER BY i"""
    expected = duckdb.sql(sql).to_arrow_table()
    with server.adbc() as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        actual = cursor.fetch_arrow_table()
    assert isinstance(actual, pyarrow.Table)
    assert actual.replace_schema_metadata(None).cast(expected.schema).equals(expected)
