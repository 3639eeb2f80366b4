"""Every result contains the snapshot that it was read at, and older snapshots remain readable."""

import json

import pyarrow
import pyarrow.flight
import pytest

import protobuf


def snapshot_of(server, sql):
    """The snapshot id in the FlightInfo of a statement; its result is read, so that it holds nothing."""
    with server.flight() as client:
        info = client.get_flight_info(pyarrow.flight.FlightDescriptor.for_command(protobuf.statement(sql)))
        client.do_get(info.endpoints[0].ticket).read_all()
    return json.loads(info.app_metadata)["snapshot_id"]


def current(server):
    return server.scalar("SELECT id FROM lake.current_snapshot()")


def test_a_read_returns_the_snapshot_that_it_saw(server):
    assert snapshot_of(server, "SELECT 1") == current(server)
    assert snapshot_of(server, "SELECT * FROM duckdb_tables()") == current(server)


def test_every_write_creates_a_snapshot_and_returns_it(server, name):
    seen = [current(server)]
    for sql in [
        f"CREATE TABLE {name} (i BIGINT)",
        f"INSERT INTO {name} VALUES (1), (2)",
        f"UPDATE {name} SET i = 3 WHERE i = 1",
        f"DELETE FROM {name} WHERE i = 2",
        f"ALTER TABLE {name} ADD COLUMN j BIGINT",
    ]:
        seen.append(snapshot_of(server, sql))
        assert seen[-1] == current(server)
        assert snapshot_of(server, f"SELECT * FROM {name}") == seen[-1]
    assert seen == list(range(seen[0], seen[0] + 6))


def test_a_write_that_changes_nothing_makes_no_snapshot(server, name):
    server.sql(f"CREATE TABLE {name} (i BIGINT)")
    before = current(server)
    assert snapshot_of(server, f"DELETE FROM {name} WHERE i = 7") == before
    assert current(server) == before


def test_reads_make_no_snapshot(server):
    before = current(server)
    for _ in range(3):
        server.sql("SELECT * FROM range(10)")
    assert current(server) == before


def test_a_read_inside_a_transaction_returns_the_snapshot_of_the_transaction(server, name):
    server.sql(f"CREATE TABLE {name} (i BIGINT)")
    with server.adbc(autocommit=False) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id FROM lake.current_snapshot()")
        [began] = cursor.fetchone()
        server.sql(f"INSERT INTO {name} VALUES (1)")
        cursor.execute("SELECT id FROM lake.current_snapshot()")
        assert cursor.fetchone() == (began,)
        connection.rollback()


def test_older_versions_are_readable_by_number(server, name):
    versions = {snapshot_of(server, f"CREATE TABLE {name} (i BIGINT)"): []}
    for i in range(4):
        versions[snapshot_of(server, f"INSERT INTO {name} VALUES ({i})")] = list(range(i + 1))
    versions[snapshot_of(server, f"DELETE FROM {name} WHERE i < 2")] = [2, 3]
    versions[snapshot_of(server, f"UPDATE {name} SET i = i * 10")] = [20, 30]
    for version, rows in versions.items():
        found = server.sql(f"SELECT i FROM {name} AT (VERSION => {version}) ORDER BY i")
        assert [i for (i,) in found] == rows, version


def test_older_versions_have_their_own_columns(server, name):
    first = snapshot_of(server, f"CREATE TABLE {name} AS SELECT 1 AS a")
    server.sql(f"ALTER TABLE {name} RENAME COLUMN a TO b")
    server.sql(f"ALTER TABLE {name} ADD COLUMN c VARCHAR")
    assert server.sql(f"SELECT * FROM {name}") == [(1, None)]
    assert server.sql(f"SELECT a FROM {name} AT (VERSION => {first})") == [(1,)]


def test_older_versions_are_readable_by_time(server, name):
    first = snapshot_of(server, f"CREATE TABLE {name} AS SELECT 1 AS i")
    server.sql(f"INSERT INTO {name} VALUES (2)")
    moment = server.scalar(f"SELECT snapshot_time::VARCHAR FROM lake.snapshots() WHERE snapshot_id = {first}")
    assert server.sql(f"SELECT i FROM {name} AT (TIMESTAMP => TIMESTAMPTZ '{moment}')") == [(1,)]


def test_an_unknown_version_is_not_found(server, name):
    server.sql(f"CREATE TABLE {name} (i BIGINT)")
    with server.flight() as client, pytest.raises(pyarrow.ArrowKeyError, match="999999"):
        sql = protobuf.statement(f"SELECT * FROM {name} AT (VERSION => 999999)")
        client.get_flight_info(pyarrow.flight.FlightDescriptor.for_command(sql))


def test_a_dropped_table_is_readable_at_its_version(server, name):
    version = snapshot_of(server, f"CREATE TABLE {name} AS SELECT 7 AS i")
    server.sql(f"DROP TABLE {name}")
    assert server.sql(f"SELECT i FROM {name} AT (VERSION => {version})") == [(7,)]
