"""A catalog in a DuckDB file, in SQLite and in PostgreSQL: the same lake, whatever database contains its catalog."""

import contextlib
import itertools
import threading

import adbc_driver_manager
import duckdb
import pyarrow
import pytest

import harness
import protobuf
import wire
from conftest import CATALOGS
from wire import whole

WRITERS = 8
ROUNDS = 6


@pytest.fixture(scope="module")
def server(server_of_each_kind):
    return server_of_each_kind


def current(server):
    return server.scalar("SELECT id FROM lake.current_snapshot()")


def at_once(*works):
    """Runs all functions concurrently; the first failure fails the test."""
    failures = []

    def run(work):
        try:
            work()
        except Exception as failure:
            failures.append(failure)

    threads = [threading.Thread(target=run, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def test_statements_and_time_travel(server, name):
    server.sql(f"CREATE TABLE silver.{name} (i BIGINT, s VARCHAR DEFAULT 'x')")
    server.sql(f"INSERT INTO silver.{name} (i) SELECT * FROM range(5)")
    before = current(server)
    server.sql(f"UPDATE silver.{name} SET s = 'y' WHERE i = 1")
    server.sql(f"DELETE FROM silver.{name} WHERE i > 2")
    server.sql(f"ALTER TABLE silver.{name} ADD COLUMN j INTEGER")
    assert current(server) == before + 3
    assert server.sql(f"FROM silver.{name} ORDER BY i") == [(0, "x", None), (1, "y", None), (2, "x", None)]
    assert server.scalar(f"SELECT count(*) FROM silver.{name} AT (VERSION => {before})") == 5
    author = f"SELECT author FROM lake.snapshots() WHERE snapshot_id = {before}"
    assert server.scalar(author) == "anonymous"


def test_bulk_ingest_and_transactions(server, name):
    rows = pyarrow.table({"i": range(1000)})
    with server.adbc(autocommit=False) as connection, connection.cursor() as cursor:
        assert cursor.adbc_ingest(name, rows, mode="create") == 1000
        connection.rollback()
        cursor.adbc_ingest(name, rows, mode="create")
        cursor.execute(f"DELETE FROM {name} WHERE i < 10")
        connection.commit()
    assert server.scalar(f"SELECT count(*) FROM {name}") == 990


def test_ingest_action_tags_and_rollback(server, name, tmp_path):
    file = tmp_path / "rows.csv"
    file.write_text("id,note\n1,a\n2,b\n")
    body = {"source": file.as_uri(), "dataset": name}
    first = server.result("ingest", body)["snapshot_id"]
    server.result("tag", {"name": f"before/{name}", "version": first})
    server.sql(f"COMMENT ON COLUMN raw.{name}.note IS 'words'")
    server.sql(f"ALTER TABLE raw.{name} SET PARTITIONED BY (id)")
    server.sql(f"DELETE FROM raw.{name}")
    restored = server.result("rollback", {"table": f"raw.{name}", "to": {"tag": f"before/{name}"}})
    assert restored["snapshot_id"] == current(server)
    assert server.sql(f"SELECT id, note FROM raw.{name} ORDER BY id") == [(1, "a"), (2, "b")]
    tags = {tag["name"]: tag["version"] for tag in server.result("tag", {})["tags"]}
    assert tags[f"before/{name}"] == first
    server.result("tag", {"name": f"before/{name}", "delete": True})
    assert f"before/{name}" not in {tag["name"] for tag in server.result("tag", {})["tags"]}


def test_a_pinned_session_reads_one_snapshot(server, name):
    server.sql(f"CREATE TABLE {name} AS SELECT 1 AS i")
    first = current(server)
    server.sql(f"INSERT INTO {name} VALUES (2)")
    with wire.Wire(server, "ada") as ada:
        assert ada.set(snapshot=whole(first)) == {}
        count = protobuf.statement(f"SELECT count(*) AS n FROM {name}")
        assert wire.rows(ada.get(count)).to_pylist() == [{"n": 1}]
        server.sql(f"INSERT INTO {name} VALUES (3)")
        with wire.refused(wire.grpc.StatusCode.FAILED_PRECONDITION) as said:
            ada.query(f"INSERT INTO {name} VALUES (4)")
        assert "pinned" in said[0]
        assert wire.rows(ada.get(count)).to_pylist() == [{"n": 1}]
    assert server.scalar(f"SELECT count(*) FROM {name}") == 3


def test_all_is_there_after_a_restart(server, name):
    server.sql(f"CREATE TABLE {name} AS SELECT 1 AS i")
    server.result("tag", {"name": name})
    version = current(server)
    server.restart()
    assert current(server) == version
    assert server.scalar(f"SELECT i FROM {name}") == 1
    assert name in {tag["name"] for tag in server.result("tag", {})["tags"]}


def test_writers_at_once_lose_nothing(server, name):
    server.sql(f"CREATE TABLE {name} (writer BIGINT, i BIGINT)")

    def alone(writer):
        for i in range(ROUNDS):
            server.sql(f"INSERT INTO {name} VALUES ({writer}, {i})")

    def in_transactions(writer):
        with server.adbc(autocommit=False) as connection, connection.cursor() as cursor:
            for i in range(ROUNDS):
                # With parameters, the driver prepares first.
                cursor.execute(f"INSERT INTO {name} VALUES (?, ?)", (writer, i))
                cursor.execute(f"SELECT count(*) FROM {name}")
                cursor.fetchall()
                connection.commit()

    def read():
        for _ in range(ROUNDS):
            server.scalar(f"SELECT count(*) FROM {name}")

    kinds = [alone, in_transactions]
    at_once(*(lambda writer=writer: kinds[writer % 2](writer) for writer in range(WRITERS)), read, read)
    found = server.sql(f"SELECT writer, i FROM {name} ORDER BY ALL")
    assert found == [(writer, i) for writer in range(WRITERS) for i in range(ROUNDS)]


DELETE, UPDATE = "DELETE FROM {} WHERE i = {}", "UPDATE {} SET j = 1 WHERE i = {}"


# With SQLite the later one waits.
@pytest.mark.parametrize("kind", ["duckdb", "postgres"])
def test_of_two_deletes_from_one_file_the_later_conflicts(launch, catalog_flags, tmp_path, kind):
    server = launch(*catalog_flags(tmp_path, kind))
    for number, (first, second) in enumerate(itertools.product([DELETE, UPDATE], repeat=2)):
        name = f"t{number}"
        server.sql(f"CREATE TABLE {name} AS SELECT i, 0 AS j FROM range(10) r(i)")
        # DuckLake misses the conflict if the file has deleted rows already.
        server.sql(DELETE.format(name, 0))
        with server.adbc(autocommit=False) as one, server.adbc(autocommit=False) as two:
            with one.cursor() as cursor:
                cursor.execute(first.format(name, 1))
            with two.cursor() as cursor:
                cursor.execute(second.format(name, 2))
            one.commit()
            with pytest.raises(adbc_driver_manager.OperationalError, match="repeat the transaction"):
                two.commit()
        server.sql(second.format(name, 2))
        gone = {0} | {key for key, sql in [(1, first), (2, second)] if sql == DELETE}
        assert server.sql(f"SELECT i FROM {name} ORDER BY i") == [(i,) for i in range(10) if i not in gone]


def test_deletions_at_once_lose_nothing(server, name):
    server.sql(f"CREATE TABLE {name} AS SELECT i // 100 AS writer, i FROM range(400) r(i)")

    def delete(writer):
        for i in range(100 * writer, 100 * writer + 20):
            # However it is written: DuckDB treats that space like a plain one.
            server.sql(f"DELETE{' ' if i % 2 else chr(0xA0)}FROM {name} WHERE i = {i}")

    at_once(*(lambda writer=writer: delete(writer) for writer in range(4)))
    found = server.sql(f"SELECT writer, i FROM {name} ORDER BY i")
    assert found == [(i // 100, i) for i in range(400) if i % 100 >= 20]


def check_files(server):
    """Every file that the catalog references exists, and files left by killed writers are removed."""
    server.result("maintain", {"steps": ["cleanup", "orphans"], "grace_hours": 0})
    named = server.sql(
        "SELECT path FROM __ducklake_metadata_lake.ducklake_data_file "
        "UNION ALL SELECT path FROM __ducklake_metadata_lake.ducklake_delete_file"
    )
    stored = [path.name for path in (server.store / "lake").rglob("*.parquet")]
    assert sorted(path.rpartition("/")[2] for (path,) in named) == sorted(stored)


@pytest.mark.parametrize("kind", CATALOGS)
def test_inserts_that_were_acknowledged_survive_kills(launch, catalog_flags, tmp_path, kind, rounds):
    server = launch(*catalog_flags(tmp_path, kind))
    server.sql("CREATE TABLE t (writer BIGINT, i BIGINT, part BIGINT)")
    acknowledged = []

    def write(writer, uri, start):
        client = pyarrow.flight.connect(uri.replace("grpc://", "grpc+tcp://"))
        with contextlib.suppress(pyarrow.ArrowException, OSError), client:
            for i in range(start, start + 10_000):
                # Ten rows per statement: a part of them would be a torn write.
                sql = protobuf.statement(f"INSERT INTO t SELECT {writer}, {i}, part FROM range(10) p(part)")
                client.get_flight_info(pyarrow.flight.FlightDescriptor.for_command(sql))
                acknowledged.append((writer, i))

    for run in range(rounds):
        enough = len(acknowledged) + 12
        writers = [threading.Thread(target=write, args=[n, server.uri, run * 10_000]) for n in range(3)]
        for writer in writers:
            writer.start()
        harness.wait_until(lambda: len(acknowledged) >= enough, "some inserts are acknowledged", 30)
        server.kill9()
        for writer in writers:
            writer.join()
        server.start()
        found = {(writer, i): rows for writer, i, rows in server.sql("SELECT writer, i, count(*) FROM t GROUP BY ALL")}
        assert set(found.values()) == {10}
        assert set(acknowledged) <= set(found)
        # At most the one that each was waiting for was committed without a response.
        assert len(found) <= len(acknowledged) + 3 * (run + 1)
    check_files(server)


@pytest.mark.parametrize("kind", CATALOGS)
def test_updates_and_compaction_survive_kills(launch, catalog_flags, tmp_path, kind, rounds):
    server = launch(*catalog_flags(tmp_path, kind))
    writers = range(2)
    server.sql("CREATE TABLE counts AS SELECT i AS writer, 0 AS n FROM range(2) r(i)")
    server.sql("CREATE TABLE still AS SELECT i, hash(i) AS h FROM range(1000) r(i)")
    still = server.sql("SELECT sum(h), count(*) FROM still")
    acknowledged = dict.fromkeys(writers, 0)
    maintained = []

    def repeat(uri, killed, work):
        client = pyarrow.flight.connect(uri.replace("grpc://", "grpc+tcp://"))
        with client:
            while not killed.is_set():
                # A transaction that fails with conflicts repeatedly reports it, and the client retries.
                with contextlib.suppress(pyarrow.ArrowException, OSError):
                    work(client)

    def count(writer):
        sql = protobuf.statement(f"UPDATE counts SET n = n + 1 WHERE writer = {writer}")

        def work(client):
            client.get_flight_info(pyarrow.flight.FlightDescriptor.for_command(sql))
            acknowledged[writer] += 1

        return work

    def maintain(client):
        action = pyarrow.flight.Action("maintain", b'{"steps": ["rewrite", "merge"], "rewrite_share": 0.01}')
        maintained.append(list(client.do_action(action)))

    for _ in range(rounds):
        enough, turns = sum(acknowledged.values()) + 12, len(maintained) + 2
        killed = threading.Event()
        works = [*(count(writer) for writer in writers), maintain]
        threads = [threading.Thread(target=repeat, args=[server.uri, killed, work], daemon=True) for work in works]
        for thread in threads:
            thread.start()
        harness.wait_until(
            lambda: sum(acknowledged.values()) >= enough and len(maintained) >= turns, "updates and compaction", 60
        )
        server.kill9()
        killed.set()
        for thread in threads:
            thread.join()
        server.start()
        found = dict(server.sql("SELECT writer, n FROM counts"))
        for writer in writers:
            # The one that it was waiting for may have been committed without a response.
            assert found[writer] - acknowledged[writer] in (0, 1)
            acknowledged[writer] = found[writer]
        assert server.sql("SELECT sum(h), count(*) FROM still") == still
        check_files(server)
        assert dict(server.sql("SELECT writer, n FROM counts")) == found


def test_tags_of_a_lake_that_has_them_in_a_schema_move(launch, catalog_flags, tmp_path):
    server = launch(*catalog_flags(tmp_path, "duckdb"))
    server.stop()
    with duckdb.connect(server.home / "catalog.ducklake") as catalog:
        catalog.execute("CREATE SCHEMA merganser")
        catalog.execute("CREATE TABLE merganser.tags AS SELECT 'old' AS name, 1::BIGINT, 'ada', now()")
    server.start()
    assert [(tag["name"], tag["version"]) for tag in server.result("tag", {})["tags"]] == [("old", 1)]
    server.restart()
    assert len(server.result("tag", {})["tags"]) == 1
