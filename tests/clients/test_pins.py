"""Pinned sessions: every read sees one snapshot, including metadata, and writes are rejected."""

import adbc_driver_flightsql
import adbc_driver_manager
import grpc
import pyarrow.flight
import pytest

import harness
import protobuf
import wire
from wire import rows, text, whole

HEADER = "merganser-snapshot"


@pytest.fixture
def history(server, name):
    """A table with three states; returns its name and their versions."""
    versions = []
    for sql in [
        f"CREATE TABLE {name} AS SELECT 1 AS i",
        f"INSERT INTO {name} VALUES (2)",
        f"ALTER TABLE {name} ADD COLUMN note VARCHAR",
    ]:
        server.sql(sql)
        versions.append(server.scalar("SELECT id FROM lake.current_snapshot()"))
    server.sql(f"DELETE FROM {name}")
    return name, versions


def read(connection, sql):
    return rows(connection.get(protobuf.statement(sql))).to_pylist()


def count(connection, table):
    return read(connection, f"SELECT count(*) AS n FROM {table}")[0]["n"]


def at(server, snapshot, user=None):
    """A connection whose calls all specify a snapshot."""
    connection = wire.Wire(server, user)
    connection.headers.append((HEADER, str(snapshot)))
    return connection


def test_an_option_pins_the_session(server, ada, history):
    name, (first, second, third) = history
    assert ada.set(snapshot=text(str(first))) == {}
    assert read(ada, f"FROM {name}") == [{"i": 1}]
    assert read(ada, f"SELECT * FROM lake.main.{name}") == [{"i": 1}]
    assert ada.set(snapshot=whole(second)) == {}
    assert read(ada, f"FROM {name} ORDER BY i") == [{"i": 1}, {"i": 2}]
    info = ada.query(f"FROM {name}")
    assert info.app_metadata == b'{"snapshot_id":%d}' % second
    assert ada.set(snapshot=text(str(third))) == {}
    assert [sorted(row) for row in read(ada, f"FROM {name}")] == [["i", "note"]] * 2
    assert protobuf.parse(ada.options()["snapshot"])[1] == [str(third).encode()]
    assert ada.set(snapshot=wire.NOTHING) == {}
    assert read(ada, f"FROM {name}") == [] and "snapshot" not in ada.options()


def test_a_pin_survives_commits_and_other_sessions_see_them(server, ada, history):
    name, (first, _, _) = history
    ada.set(snapshot=whole(first))
    server.sql(f"INSERT INTO {name} VALUES (7, 'new')")
    assert read(ada, f"FROM {name}") == [{"i": 1}]
    server.sql(f"DROP TABLE {name}")
    assert read(ada, f"FROM {name}") == [{"i": 1}]


def test_tags_and_timestamps_name_snapshots(server, ada, history):
    name, (first, second, _) = history
    server.result("tag", {"name": f"release/{name}", "version": second})
    ada.set(snapshot=text(f"release/{name}"))
    assert count(ada, name) == 2
    sql = f"SELECT snapshot_time::VARCHAR FROM lake.snapshots() WHERE snapshot_id = {first}"
    ada.set(snapshot=text(server.scalar(sql)))
    assert count(ada, name) == 1


def test_sql_text_pins_too(server, history):
    name, (first, _, _) = history
    with server.adbc(username="bo", password="x") as connection, connection.cursor() as cursor:
        cursor.execute(f"SET snapshot = {first}")
        cursor.execute(f"FROM {name}")
        assert cursor.fetchall() == [(1,)]
        cursor.execute("RESET snapshot")
        cursor.execute(f"FROM {name}")
        assert cursor.fetchall() == []


def test_metadata_is_that_of_the_snapshot(server, ada, history):
    name, (first, _, third) = history

    def columns():
        command = protobuf.sql_command("CommandGetTables", (3, name), (5, 1))
        [table] = rows(ada.get(command)).to_pylist()
        return pyarrow.ipc.read_schema(pyarrow.py_buffer(table["table_schema"])).names

    ada.set(snapshot=whole(first))
    assert columns() == ["i"]
    assert read(ada, f"SELECT column_name FROM information_schema.columns WHERE table_name = '{name}'") == [
        {"column_name": "i"}
    ]
    ada.set(snapshot=whole(third))
    assert columns() == ["i", "note"]
    ada.set(snapshot=whole(first - 1))
    assert rows(ada.get(protobuf.sql_command("CommandGetTables", (3, name)))).num_rows == 0


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO {} VALUES (3)",
        "UPDATE {} SET i = 3",
        "DELETE FROM {}",
        "DROP TABLE {}",
        "CREATE TABLE {}_new (i INTEGER)",
        "ALTER TABLE {} ADD COLUMN j INTEGER",
        "COMMENT ON TABLE {} IS 'x'",
        "CREATE SCHEMA {}",
        "CALL merganser.transform()",
        "CALL merganser.rollback(\"table\" => 'main.{}', version => 1)",
    ],
)
def test_writes_are_refused(server, ada, history, sql):
    name, (first, _, _) = history
    ada.set(snapshot=whole(first))
    with wire.refused(grpc.StatusCode.FAILED_PRECONDITION) as said:
        ada.query(sql.format(name))
    assert "pinned" in said[0]
    assert read(ada, f"FROM {name}") == [{"i": 1}]


def test_ingest_is_refused(server, history):
    name, (first, _, _) = history
    with server.adbc(username="bo", password="x") as connection, connection.cursor() as cursor:
        cursor.execute(f"SET snapshot = {first}")
        with pytest.raises(adbc_driver_manager.OperationalError, match="pinned"):
            cursor.adbc_ingest(name, pyarrow.table({"i": pyarrow.array([3], pyarrow.int32())}), mode="append")


def test_temp_tables_and_transactions_work(server, ada, history):
    name, (first, second, _) = history
    ada.set(snapshot=whole(second))
    read(ada, f"CREATE TEMP TABLE kept AS FROM {name}")
    assert count(ada, "kept") == 2
    # State from one snapshot is not visible in another.
    assert ada.set(snapshot=whole(first)) != {}
    assert count(ada, name) == 2
    header = {adbc_driver_flightsql.DatabaseOptions.RPC_CALL_HEADER_PREFIX.value + HEADER: str(second)}
    with server.adbc(autocommit=False, **header) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {name}")
        assert cursor.fetchall() == [(2,)]
        connection.commit()
        cursor.execute(f"SELECT count(*) FROM {name}")
        assert cursor.fetchall() == [(2,)]
        connection.rollback()


def test_a_header_pins_the_session_of_its_client(server, history):
    name, (first, second, _) = history
    with at(server, first, "cy") as connection:
        assert count(connection, name) == 1
        connection.headers[-1] = (HEADER, str(second))
        assert count(connection, name) == 2
        connection.headers.pop()
        assert count(connection, name) == 2


def test_a_header_pins_the_calls_of_clients_without_a_session(server, history):
    name, (first, _, _) = history
    with at(server, first) as pinned, wire.Wire(server) as free:
        assert count(pinned, name) == 1
        assert count(free, name) == 0
        assert count(pinned, name) == 1


def test_drivers_send_the_header(server, history):
    name, (_, second, _) = history
    option = adbc_driver_flightsql.DatabaseOptions.RPC_CALL_HEADER_PREFIX.value + HEADER
    with server.adbc(**{option: str(second)}) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {name}")
        assert cursor.fetchall() == [(2,)]
    options = pyarrow.flight.FlightCallOptions(headers=[(HEADER.encode(), str(second).encode())])
    with server.flight() as client:
        ticket = pyarrow.flight.Ticket(protobuf.statement(f"SELECT count(*) AS n FROM {name}"))
        assert client.do_get(ticket, options).read_all()["n"].to_pylist() == [2]


def test_the_command_line_reads_at_a_snapshot(server, history):
    name, (first, _, _) = history
    done = harness.run("sql", "--url", server.uri, "--at", first, "--format", "csv", f"FROM {name}")
    assert (done.returncode, done.stdout) == (0, "i\n1\n")
    done = harness.run("sql", "--url", server.uri, "--at", "no-such-tag", "SELECT 1")
    assert done.returncode != 0 and "no-such-tag" in done.stderr


@pytest.mark.parametrize(
    "snapshot, words",
    [
        ("999999", "999999"),
        ("-1", "-1"),
        ("2001-01-01", "before 2001-01-01"),
        ("2999-01-01 00:00:00", "future"),
        ("no such tag", "no such tag"),
        ("99999999999999999999", "99999999999999999999"),
    ],
)
def test_what_is_no_snapshot_is_refused(server, ada, snapshot, words):
    assert set(ada.set(snapshot=text(snapshot)).values()) == {2}
    assert "snapshot" not in ada.options()
    with at(server, snapshot) as connection:
        with wire.refused(grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT) as said:
            read(connection, "SELECT 1 FROM lake.snapshots() LIMIT 1")
        assert words in said[0]


def test_many_pins_share_what_the_server_has(launch, name):
    server = launch()
    server.sql(f"CREATE TABLE {name} AS SELECT 0 AS i")
    start = server.scalar("SELECT id FROM lake.current_snapshot()")
    for _ in range(11):
        server.sql(f"INSERT INTO {name} VALUES (1)")
    # Sequentially, there may be more than fit at the same time.
    for back in range(11):
        with wire.Wire(server, "dee") as connection:
            assert connection.set(snapshot=whole(start + back)) == {}
            assert count(connection, name) == back + 1
            connection.close_session()
    held = [wire.Wire(server, f"user{number}") for number in range(8)]
    for back, connection in enumerate(held):
        assert connection.set(snapshot=whole(start + back)) == {}
        read(connection, f"CREATE TEMP TABLE held AS FROM {name}")
    with wire.Wire(server, "dee") as connection:
        assert connection.set(snapshot=whole(start + 8)) != {}
        assert count(connection, name) == 12
        held[0].close_session()
        harness.wait_until(lambda: connection.set(snapshot=whole(start + 8)) == {}, "a pin is free")
        assert count(connection, name) == 9
    for connection in held:
        connection.channel.close()
