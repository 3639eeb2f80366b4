"""A writing statement runs exactly once per call: at GetFlightInfo or DoPut, never at DoGet, never at prepare."""

import contextlib

import pyarrow
import pyarrow.flight
import pytest

import protobuf

# One insert is a commit with a separate Parquet file, about 20 ms.
ROWS = 300
FEWER_ROWS = 100


@pytest.fixture
def table(server, name):
    server.sql(f"CREATE TABLE {name} (i BIGINT)")
    return name


def rows_of(server, table):
    return server.scalar(f"SELECT count(*) FROM {table}")


def flight_info(client, sql):
    return client.get_flight_info(pyarrow.flight.FlightDescriptor.for_command(protobuf.statement(sql)))


# === DBAPI ===


def test_the_same_insert_unfetched_on_one_cursor_runs_once_a_call(server, table):
    with server.adbc() as connection, connection.cursor() as cursor:
        for _ in range(ROWS):
            cursor.execute(f"INSERT INTO {table} VALUES (1)")
    assert rows_of(server, table) == ROWS


def test_different_inserts_unfetched_on_one_cursor_run_once_each(server, table):
    with server.adbc() as connection, connection.cursor() as cursor:
        for i in range(FEWER_ROWS):
            cursor.execute(f"INSERT INTO {table} VALUES ({i})")
    assert server.sql(f"SELECT count(*), count(DISTINCT i) FROM {table}") == [(FEWER_ROWS, FEWER_ROWS)]


def test_fetched_inserts_run_once_each_and_return_their_count(server, table):
    with server.adbc() as connection, connection.cursor() as cursor:
        for i in range(FEWER_ROWS):
            cursor.execute(f"INSERT INTO {table} VALUES ({i})")
            assert cursor.rowcount == 1
            cursor.fetchall()
    assert server.sql(f"SELECT count(*), count(DISTINCT i) FROM {table}") == [(FEWER_ROWS, FEWER_ROWS)]


def test_bound_inserts_run_once_each(server, table):
    with server.adbc() as connection, connection.cursor() as cursor:
        for i in range(100):
            cursor.execute(f"INSERT INTO {table} VALUES (?)", (i,))
    assert server.sql(f"SELECT count(*), count(DISTINCT i) FROM {table}") == [(100, 100)]


def test_executemany_runs_once_a_row(server, table):
    with server.adbc() as connection, connection.cursor() as cursor:
        cursor.executemany(f"INSERT INTO {table} VALUES (?)", [(i,) for i in range(500)])
        assert cursor.rowcount == 500
        cursor.executemany(f"INSERT INTO {table} VALUES (?)", [(i,) for i in range(500, 600)])
        assert cursor.rowcount == 100
    assert server.sql(f"SELECT count(*), count(DISTINCT i) FROM {table}") == [(600, 600)]


def test_definitions_run_once(server, name):
    with server.adbc() as connection, connection.cursor() as cursor:
        # If it ran twice, the second would fail.
        cursor.execute(f"CREATE TABLE {name} (i BIGINT)")
        cursor.execute(f"ALTER TABLE {name} ADD COLUMN j BIGINT")
        cursor.execute(f"DROP TABLE {name}")
        cursor.execute(f"CREATE TABLE {name} (i BIGINT)")
        cursor.fetchall()
    assert rows_of(server, name) == 0


def test_updates_and_deletes_run_once(server, table):
    with server.adbc() as connection, connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {table} VALUES (1)")
        for _ in range(20):
            cursor.execute(f"UPDATE {table} SET i = i + 1")
    assert server.scalar(f"SELECT i FROM {table}") == 21


def test_returning_which_ducklake_lacks_is_refused_and_inserts_nothing(server, table):
    with server.adbc() as connection, connection.cursor() as cursor:
        with pytest.raises(connection.Error, match="RETURNING"):
            cursor.execute(f"INSERT INTO {table} VALUES (7) RETURNING i")
    assert rows_of(server, table) == 0


def test_prepare_does_not_execute(server, table):
    with server.adbc() as connection, connection.cursor() as cursor:
        cursor.adbc_prepare(f"INSERT INTO {table} VALUES (1)")
        assert rows_of(server, table) == 0
        schema = cursor.adbc_prepare(f"INSERT INTO {table} VALUES (?)")
        assert len(schema) == 1
    assert rows_of(server, table) == 0


def test_execute_schema_does_not_execute(server, table):
    with server.adbc() as connection, connection.cursor() as cursor:
        with contextlib.suppress(connection.Error):
            cursor.adbc_execute_schema(f"INSERT INTO {table} VALUES (1)")
        assert cursor.adbc_execute_schema("SELECT 1 AS one").names == ["one"]
    assert rows_of(server, table) == 0


# === raw calls ===


def test_get_flight_info_alone_runs_the_insert(server, table):
    with server.flight() as client:
        flight_info(client, f"INSERT INTO {table} VALUES (1)")
        assert rows_of(server, table) == 1
        flight_info(client, f"INSERT INTO {table} VALUES (1)")
    assert rows_of(server, table) == 2


def test_reading_a_ticket_twice_does_not_run_it_again(server, table):
    with server.flight() as client:
        info = flight_info(client, f"INSERT INTO {table} VALUES (1)")
        ticket = info.endpoints[0].ticket
        first = client.do_get(ticket).read_all()
        second = client.do_get(ticket).read_all()
    assert first.equals(second)
    assert first.to_pylist() == [{"Count": 1}]
    assert rows_of(server, table) == 1


def test_get_schema_does_not_execute(server, table):
    sql = protobuf.statement(f"INSERT INTO {table} VALUES (1)")
    with server.flight() as client, contextlib.suppress(pyarrow.ArrowInvalid):
        client.get_schema(pyarrow.flight.FlightDescriptor.for_command(sql))
    assert rows_of(server, table) == 0


def test_an_update_sent_by_do_put_runs_once(server, table):
    descriptor = pyarrow.flight.FlightDescriptor.for_command(
        protobuf.sql_command("CommandStatementUpdate", (1, f"INSERT INTO {table} VALUES (1), (2), (3)"))
    )
    with server.flight() as client:
        writer, reader = client.do_put(descriptor, pyarrow.schema([]))
        writer.done_writing()
        reply = protobuf.parse(reader.read().to_pybytes())
        assert reply == {1: [3]}
        writer.close()
    assert rows_of(server, table) == 3
