"""Backups of the catalog: consistent despite concurrent writes, verified before they count, listed with their
faults."""

import datetime
import hashlib
import json
import shutil
import threading

import duckdb
import grpc
import pyarrow.flight
import pytest

import harness
import wire

EXTENSIONS = harness.ROOT / ".deps" / "duckdb" / "extensions"


@pytest.fixture
def server(launch):
    """Backups affect the whole lake: each test has its own."""
    return launch()


def latest(server):
    return json.loads((server.backup_folder / "manifest.json").read_text())["latest"]


def listed(server, **body):
    return {backup["backup"]: backup for backup in server.result("backups", body)["backups"]}


def shell(setup="", database=":memory:"):
    """A plain DuckDB."""
    config = {"extension_directory": str(EXTENSIONS), "TimeZone": "UTC"}
    connection = duckdb.connect(database, config=config)
    connection.execute("LOAD ducklake; SET disabled_optimizers = 'statistics_propagation'; " + setup)
    return connection


def attached(server, file):
    """A backup, attached like any client can that reads the lake's files."""
    files = f"DATA_PATH '{server.store}/lake/', OVERRIDE_DATA_PATH true"
    return shell(f"ATTACH 'ducklake:{file}' AS lake (READ_ONLY, {files})")


def fails(server, code, action, body=None):
    """The message with which an action is rejected."""
    with wire.Wire(server, "ada") as ada, wire.refused(code) as said:
        ada.action(action, json.dumps(body or {}).encode())
    return said[0]


def test_a_backup_is_the_whole_catalog(server):
    server.sql("CREATE TABLE silver.t AS SELECT i, i * 2 AS twice FROM range(100) r(i)")
    server.sql("CREATE VIEW gold.v AS SELECT count(*) AS n FROM silver.t")
    first = server.head()
    server.result("tag", {"name": "before"})
    server.sql("DELETE FROM silver.t WHERE i < 40")
    taken = server.result("backup")
    assert taken["snapshot_id"] == server.head()
    folder = server.backup_folder / taken["backup"]
    assert taken["path"].endswith(f"/backups/catalog/{taken['backup']}")
    assert server.variables or taken["path"] == folder.as_uri()
    datetime.datetime.strptime(taken["backup"], "%Y_%m_%d/%H_%M_%S_%f")
    file = folder / "catalog.duckdb"
    assert sorted(path.name for path in folder.iterdir()) == ["backup.json", "catalog.duckdb"]
    assert file.stat().st_size == taken["bytes"]
    assert hashlib.sha256(file.read_bytes()).hexdigest() == taken["sha256"]
    record = json.loads((folder / "backup.json").read_text())
    assert record["contents"]["snapshot_id"] == taken["snapshot_id"]
    assert record["contents"]["tables"]["merganser_tags"]["rows"] == 1
    assert latest(server) == taken["backup"]
    # Later changes of the lake do not affect it.
    server.sql("DELETE FROM silver.t")
    with attached(server, file) as copy:
        assert copy.execute("SELECT count(*) FROM lake.silver.t").fetchone() == (60,)
        assert copy.execute("FROM lake.gold.v").fetchone() == (60,)
        assert copy.execute(f"SELECT count(*) FROM lake.silver.t AT (VERSION => {first})").fetchone() == (100,)
        tags = "SELECT name, snapshot_id FROM __ducklake_metadata_lake.merganser_tags"
        assert copy.execute(tags).fetchall() == [("before", first)]


def test_a_backup_has_every_table_that_the_catalog_has(launch, tmp_path):
    """The server's own tables beside DuckLake's must be included when there are more of them."""
    file = tmp_path / "catalog.ducklake"
    server = launch("--catalog", file)
    taken = server.result("backup")
    record = json.loads((server.backup_folder / taken["backup"] / "backup.json").read_text())
    server.stop()
    with duckdb.connect(str(file), read_only=True) as catalog:
        tables = {name for [name] in catalog.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    assert tables - set(record["contents"]["tables"]) == {"ducklake_inlined_data_tables"}


def test_backups_are_taken_beside_writers(server):
    """Each contains one consistent state: every snapshot in it reads as with time travel."""
    server.sql("CREATE TABLE t (writer BIGINT, i BIGINT)")
    stop = threading.Event()
    failures = []

    def write(writer):
        try:
            i = 0
            while not stop.is_set():
                server.sql(f"INSERT INTO t VALUES ({writer}, {i}), ({writer}, -{i})")
                if i % 5 == 4:
                    server.sql(f"DELETE FROM t WHERE writer = {writer} AND abs(i) < {i - 2}")
                i += 1
        except Exception as failure:
            failures.append(failure)

    writers = [threading.Thread(target=write, args=[n]) for n in range(4)]
    for writer in writers:
        writer.start()
    taken = []
    try:
        before = server.head()
        for _ in range(5):
            harness.wait_until(lambda: server.head() > before, "somebody writes")
            taken.append(server.result("backup"))
            before = taken[-1]["snapshot_id"]
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert not failures, failures
    assert [backup["snapshot_id"] for backup in taken] == sorted({backup["snapshot_id"] for backup in taken})
    assert server.head() > taken[0]["snapshot_id"]
    for backup in taken:
        with attached(server, server.backup_folder / backup["backup"] / "catalog.duckdb") as copy:
            versions = [id for [id] in copy.execute("SELECT snapshot_id FROM lake.snapshots() ORDER BY ALL").fetchall()]
            assert versions == list(range(backup["snapshot_id"] + 1))
            moment = datetime.datetime.strptime(backup["backup"] + "000+0000", "%Y_%m_%d/%H_%M_%S_%f%z")
            newest = copy.execute("SELECT epoch_us(max(snapshot_time)) FROM lake.snapshots()").fetchone()[0]
            assert newest <= moment.timestamp() * 1_000_000
            for version in {versions[-1], versions[-1] // 2 + 2}:
                sql = f"SELECT * FROM lake.t AT (VERSION => {version}) ORDER BY ALL"
                assert copy.execute(sql).fetchall() == server.sql(sql)
                assert len(server.sql(sql)) % 2 == 0


def test_backups_at_the_same_time_take_turns(server):
    threads = [threading.Thread(target=server.result, args=["backup"]) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    backups = listed(server, verify=True)
    assert len(backups) == 3
    assert {backup["state"] for backup in backups.values()} == {"complete"}
    assert latest(server) == max(backups)


def test_the_list_contains_the_faults(server, launch):
    server.sql("CREATE TABLE t AS SELECT 1 AS i")
    names = [server.result("backup")["backup"] for _ in range(5)]
    good, truncated, flipped, unreadable, unfinished = names
    file = server.backup_folder / truncated / "catalog.duckdb"
    file.write_bytes(file.read_bytes()[:10_000])
    file = server.backup_folder / flipped / "catalog.duckdb"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    (server.backup_folder / unreadable / "backup.json").write_text("{")
    (server.backup_folder / unfinished / "backup.json").unlink()
    other = launch()
    foreign = other.result("backup")["backup"]
    shutil.copytree(other.backup_folder / foreign, server.backup_folder / foreign)
    (server.backup_folder / "notes").mkdir()
    (server.backup_folder / "notes" / "readme.txt").write_text("not a backup")

    backups = listed(server)
    assert list(backups) == sorted([*names, foreign], reverse=True)
    states = {name: backup["state"] for name, backup in backups.items()}
    assert states == {
        good: "complete",
        truncated: "damaged",
        flipped: "complete",
        unreadable: "damaged",
        unfinished: "incomplete",
        foreign: "another_lake",
    }
    assert "10000 bytes" in backups[truncated]["fault"]
    assert backups[good]["snapshot_id"] == server.head()
    assert backups[good]["author"] == "anonymous"
    assert [name for name, backup in backups.items() if backup["latest"]] == [unfinished]
    # Only the checksum detects a fault in a file of the right size.
    verified = listed(server, verify=True)
    assert {name: backup["state"] for name, backup in verified.items()} == states | {flipped: "damaged"}


def test_older_backups_are_removed_on_request(server):
    names = [server.result("backup")["backup"] for _ in range(3)]
    taken = server.result("backup", {"keep": 2})
    assert sorted(taken["removed"]) == names[:2]
    assert sorted(listed(server)) == [names[2], taken["backup"]]
    assert list((server.backup_folder / names[0]).glob("*")) == []
    # The age alone, and both: what either keeps is kept.
    again = server.result("backup", {"older_than_days": 1})
    assert again["removed"] == []
    again = server.result("backup", {"keep": 2, "older_than_days": 0})
    assert len(again["removed"]) == 2
    last = server.result("backup", {"older_than_days": 0})
    assert list(listed(server)) == [last["backup"]]
    assert latest(server) == last["backup"]


def test_the_number_of_kept_backups_is_configurable(launch):
    server = launch("--backup-keep", 2)
    names = [server.result("backup")["backup"] for _ in range(3)]
    assert sorted(listed(server)) == names[1:]


def test_maintenance_leaves_backups_alone(server):
    server.sql("CREATE TABLE t AS SELECT 1 AS i")
    taken = server.result("backup")
    server.sql("DROP TABLE t")
    steps = ["expire", "cleanup", "orphans"]
    server.result("maintain", {"steps": steps, "expire_days": 0, "grace_hours": 0})
    assert listed(server, verify=True)[taken["backup"]]["state"] == "complete"
    assert server.result("restore", {"dry_run": True})["missing_files"] == 0


def test_what_is_wrong_is_refused_before_anything_is_written(server):
    invalid = grpc.StatusCode.INVALID_ARGUMENT
    assert "at least 1" in fails(server, invalid, "backup", {"keep": 0})
    assert "older_than_days" in fails(server, invalid, "backup", {"older_than_days": -1})
    assert "older_than_days" in fails(server, invalid, "backup", {"older_than_days": 1e9})
    assert "where" in fails(server, invalid, "backup", {"where": "/tmp"})
    assert "verify" in fails(server, invalid, "backups", {"verify": "maybe"})
    assert listed(server) == {}
    assert not server.backup_folder.exists()


def test_a_backup_that_cannot_be_stored_does_not_count(server):
    first = server.result("backup")["backup"]
    # Nothing can be written if a file has the name of the folder.
    kept = server.backup_folder.rename(server.store / "backups" / "kept")
    server.backup_folder.write_text("in the way")
    with wire.Wire(server, "ada") as ada, pytest.raises(grpc.RpcError):
        ada.action("backup")
    server.backup_folder.unlink()
    kept.rename(server.backup_folder)
    assert list(listed(server, verify=True)) == [first]
    assert latest(server) == first
    assert list((server.home / "staging").glob("backup-*")) == []
    second = server.result("backup")["backup"]
    assert latest(server) == second


def test_a_backup_that_is_cancelled_leaves_nothing(launch, catalog_flags, tmp_path):
    server = launch(*catalog_flags(tmp_path, "sqlite"))
    server.sql("CREATE TABLE t (i BIGINT)")
    with server.adbc(autocommit=False) as writer, writer.cursor() as cursor:
        cursor.execute("INSERT INTO t VALUES (1)")
        # A writer has exclusive access to this catalog, so the backup waits.
        events = server.events("backup")
        job = next(events)["job_id"]
        harness.wait_until(lambda: copies(server) > 0, "the backup has begun")
        server.result("job.cancel", {"job_id": job})
        with pytest.raises(pyarrow.flight.FlightCancelledError, match="cancelled"):
            list(events)
        assert copies(server) == 0
        writer.commit()
    assert listed(server) == {}
    assert list((server.home / "staging").glob("backup-*")) == []
    assert server.result("backup")["snapshot_id"] == server.head()


def test_backups_are_taken_while_clients_list_the_databases(launch):
    server, done = launch(), threading.Event()
    server.sql("CREATE TABLE t (i BIGINT)")

    def list_databases():
        with server.adbc() as connection, connection.cursor() as cursor:
            while not done.is_set():
                cursor.execute("SELECT count(*) FROM duckdb_databases()")
                cursor.fetchall()

    clients = [threading.Thread(target=list_databases) for _ in range(3)]
    for client in clients:
        client.start()
    try:
        taken = [server.result("backup")["backup"] for _ in range(8)]
    finally:
        done.set()
        for client in clients:
            client.join()
    assert set(taken) <= set(listed(server, verify=True))


def copies(server):
    """The number of attached copies of the catalog."""
    return server.scalar("SELECT count(*) FROM duckdb_databases() WHERE database_name LIKE 'copy-%'")


def test_in_sql_and_from_the_shell(server):
    rows = server.sql("CALL merganser.backup(keep => 3)")
    result = json.loads(rows[-1][-1])
    assert list(listed(server)) == [result["backup"]]
    made = harness.run("backup", "--keep", 1, "--url", server.uri)
    assert made.returncode == 0, made.stderr
    assert f"removed {result['backup']}" in made.stdout
    shown = harness.run("backups", "--verify", "--url", server.uri)
    assert "complete" in shown.stdout and len(shown.stdout.splitlines()) == 2
    lines = harness.run("backup", "--json", "--url", server.uri).stdout.splitlines()
    assert json.loads(lines[-1])["result"]["snapshot_id"] == server.head()
