"""Restoring backups: to another location, into the lake that is being served, and without a server."""

import json
import shutil
import threading

import grpc
import pyarrow.flight
import pytest

import harness
import protobuf
import wire
from conftest import CATALOGS

CODE = grpc.StatusCode


@pytest.fixture
def server(launch):
    """Backups affect the whole lake: each test has its own."""
    return launch()


def fails(server, code, **body):
    """The message with which a restore is rejected."""
    with wire.Wire(server, "ada") as ada, wire.refused(code) as said:
        ada.action("restore", json.dumps(body).encode())
    return said[0]


def history(server):
    """A lake with two snapshots of one table, a tag and a backup; returns both versions and the backup."""
    server.sql("CREATE TABLE silver.t AS SELECT i FROM range(10) r(i)")
    first = server.head()
    server.result("tag", {"name": "first"})
    server.sql("DELETE FROM silver.t WHERE i < 5")
    second = server.head()
    return first, second, server.result("backup")


def check_as_backed_up(server, first, second):
    assert server.head() == second
    assert server.scalar("SELECT count(*) FROM silver.t") == 5
    assert server.scalar(f"SELECT count(*) FROM silver.t AT (VERSION => {first})") == 10
    assert {tag["name"]: tag["version"] for tag in server.result("tag")["tags"]} == {"first": first}


def spoil(server):
    """Changes of the lake after its backup."""
    server.sql("DELETE FROM silver.t")
    server.sql("CREATE TABLE gold.late AS SELECT 1 AS i")
    server.result("tag", {"name": "late"})


def place(request, folder, kind):
    """A new catalog of this kind, in the form of --catalog."""
    if kind == "postgres":
        cluster = request.getfixturevalue("cluster")
        return cluster.make_database(f"restored_{folder.name}".lower().replace("-", "_")[:60])
    return {"duckdb": str(folder / "restored.ducklake"), "sqlite": f"sqlite:{folder / 'restored.sqlite'}"}[kind]


@pytest.mark.parametrize("kind", CATALOGS)
def test_to_another_place(server, launch, request, tmp_path, kind):
    first, second, backup = history(server)
    spoil(server)
    late = server.head()
    to = place(request, tmp_path, kind)
    restored = server.result("restore", {"to": to})
    assert (restored["backup"], restored["snapshot_id"]) == (backup["backup"], second)
    assert restored["missing_files"] == 0
    if kind == "postgres":
        assert "p%40" not in restored["to"] and "@" not in restored["to"]
    # The lake that is being served continues.
    assert server.head() == late
    other = launch("--catalog", to, beside=server)
    check_as_backed_up(other, first, second)
    other.sql("INSERT INTO silver.t VALUES (77)")
    assert other.head() == second + 1
    assert other.scalar("SELECT count(*) FROM silver.t") == 6
    # A location that is in use is not touched.
    assert "already exists at" in fails(server, CODE.ALREADY_EXISTS, to=to)
    assert other.head() == second + 1


def test_into_the_place_of_the_lake(server):
    first, second, backup = history(server)
    spoil(server)
    late = server.head()
    said = fails(server, CODE.FAILED_PRECONDITION)
    assert "force" in said and "to" in said
    assert server.head() == late
    restored = server.result("restore", {"force": True})
    assert restored["reopens"] and restored["snapshot_id"] == second

    def is_back():
        try:
            return server.head() == second
        except Exception:
            return False

    harness.wait_until(is_back, "the server is back with the backup", 30)
    check_as_backed_up(server, first, second)
    # It is a regular lake: ids that were used before are used again.
    server.sql("CREATE TABLE gold.other AS SELECT 'x' AS s")
    server.sql("INSERT INTO silver.t SELECT i FROM range(100, 200) r(i)")
    assert server.head() == second + 2
    assert server.scalar("SELECT count(*) FROM silver.t WHERE i >= 100") == 100
    assert server.sql("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'gold'") == [("other",)]
    # The previous state can be restored too: it was backed up, but is not the latest.
    backups = server.result("backups", {"verify": True})["backups"]
    assert [(entry["state"], entry["latest"]) for entry in backups] == [("complete", False), ("complete", True)]
    assert backups[0]["snapshot_id"] == late
    server.result("restore", {"backup": backups[0]["backup"], "force": True})
    harness.wait_until(lambda: is_there(server, "gold.late"), "the server is back with what was there", 30)
    assert server.head() == late
    server.restart()
    assert server.head() == late


def is_there(server, table):
    try:
        return server.sql(f"FROM {table}") is not None
    except Exception:
        return False


# The driver counts incorrectly if a connection is closed under a cursor.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_reads_while_the_lake_is_replaced(server):
    """Running streams and jobs end in order, and no client sees an intermediate state."""
    first, second, _ = history(server)
    spoil(server)
    late = server.head()
    stop, seen, odd = threading.Event(), set(), []

    def read():
        while not stop.is_set():
            try:
                seen.add((server.head(), server.scalar("SELECT count(*) FROM silver.t")))
            except Exception as failure:
                if "INTERNAL" in str(failure) or "Internal" in str(failure):
                    odd.append(failure)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    try:
        harness.wait_until(lambda: (late, 0) in seen, "somebody reads")
        server.result("restore", {"force": True})
        harness.wait_until(lambda: (second, 5) in seen, "somebody reads what was restored", 30)
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert not odd, odd
    assert seen <= {(late, 0), (second, 5), (late, 5)}
    check_as_backed_up(server, first, second)


@pytest.mark.own_catalog
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_lake_that_others_serve_too_stays(launch, request, tmp_path, kind):
    """Another server would continue with its cached state."""
    catalog = place(request, tmp_path, kind)
    server = launch("--catalog", catalog)
    first, second, backup = history(server)
    spoil(server)
    late = server.head()
    other = launch("--catalog", catalog, beside=server)
    assert other.head() == late
    assert server.result("restore", {"force": True})["reopens"]
    harness.wait_until(lambda: "the catalog is unchanged" in server.log(), "the server gave up", 30)
    assert "stop" in server.log()
    harness.wait_until(lambda: is_there(server, "gold.late"), "the server is back", 30)
    assert server.head() == other.head() == late
    # The attempt has left a backup and is over: it works once the other server is gone.
    other.stop()
    assert server.result("restore", {"backup": backup["backup"], "force": True})["snapshot_id"] == second
    harness.wait_until(lambda: is_there(server, "silver.t") and server.head() == second, "the backup is back", 30)
    check_as_backed_up(server, first, second)


def test_a_lake_that_cannot_be_backed_up_first_stays(server):
    history(server)
    spoil(server)
    late = server.head()
    with server.flight() as client:
        # It waits for readers, …
        command = protobuf.statement("SELECT i, repeat('x', 100) FROM range(100_000_000) r(i)")
        info = client.get_flight_info(pyarrow.flight.FlightDescriptor.for_command(command))
        reader = client.do_get(info.endpoints[0].ticket)
        reader.read_chunk()
        assert server.result("restore", {"force": True})["reopens"]
        # … and meanwhile the disk fails.
        (server.home / "staging").rename(server.home / "gone")
        reader.cancel()
    harness.wait_until(lambda: "the catalog is unchanged" in server.log(), "the server gave up", 60)
    harness.wait_until(lambda: is_there(server, "gold.late"), "the server is back", 30)
    assert server.head() == late
    assert [backup["latest"] for backup in server.result("backups")["backups"]] == [True]


def test_by_name_and_by_time(server, tmp_path):
    server.sql("CREATE TABLE t AS SELECT 1 AS i")
    taken = []
    for _ in range(3):
        server.sql("INSERT INTO t VALUES (1)")
        taken.append(server.result("backup"))

    def version(**body):
        return server.result("restore", {"dry_run": True, **body})["snapshot_id"]

    assert version() == taken[2]["snapshot_id"]
    for backup in taken:
        assert version(backup=backup["backup"]) == backup["snapshot_id"]
        day, time = backup["backup"].split("/")
        hours, minutes, seconds, millis = time.split("_")
        moment = f"{day.replace('_', '-')} {hours}:{minutes}:{seconds}.{millis}"
        assert version(at=moment) == backup["snapshot_id"]
        assert version(at=f"{moment}+00:00") == backup["snapshot_id"]
    # One hour east of UTC, the same digits are an earlier time.
    said = fails(server, CODE.NOT_FOUND, at=f"{moment}+01:00", dry_run=True)
    assert taken[0]["backup"] in said
    assert "oldest" in fails(server, CODE.NOT_FOUND, at="2020-01-01", dry_run=True)


def test_bad_requests_and_backups_are_refused(server, launch, tmp_path):
    to = str(tmp_path / "new.ducklake")
    assert "does not exist" in fails(server, CODE.NOT_FOUND, to=to)
    assert "does not exist" in fails(server, CODE.NOT_FOUND, to=to, at="2030-01-01")
    first, second, good = history(server)
    bad = server.result("backup")["backup"]
    invalid = CODE.INVALID_ARGUMENT
    assert "exclude each other" in fails(server, invalid, backup=bad, at="2030-01-01", to=to)
    assert "timestamp" in fails(server, invalid, at="yesterday", to=to)
    assert "expected a path" in fails(server, invalid, to="mysql://host/db")
    assert "hunter2" not in fails(server, invalid, to="postgres://u:hunter2@host:port/db")
    assert "forc" in fails(server, invalid, forc=True)
    assert "2001_01_01" in fails(server, CODE.NOT_FOUND, backup="2001_01_01/00_00_00_000", to=to)
    for name in ["../../raw", "/etc/passwd", "", "x" * 10_000]:
        fails(server, CODE.NOT_FOUND, backup=name, to=to)
    file = server.backup_folder / bad / "catalog.duckdb"
    whole = file.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for content in [b"", whole[:5000], whole + b"x", bytes(flipped)]:
        file.write_bytes(content)
        assert "damaged" in fails(server, CODE.FAILED_PRECONDITION, to=to)
        assert "damaged" in fails(server, CODE.FAILED_PRECONDITION, force=True)
    file.unlink()
    assert "damaged" in fails(server, CODE.FAILED_PRECONDITION, to=to)
    file.write_bytes(whole)
    record = server.backup_folder / bad / "backup.json"
    written = json.loads(record.read_text())
    lying = written | {"contents": written["contents"] | {"snapshot_id": 1}}
    for text in ["", "{}", json.dumps(lying), json.dumps(written | {"format": 7})]:
        record.write_text(text)
        assert "damaged" in fails(server, CODE.FAILED_PRECONDITION, to=to)
    record.unlink()
    assert "never finished" in fails(server, CODE.FAILED_PRECONDITION, to=to)
    other = launch()
    foreign = other.result("backup")["backup"]
    shutil.copytree(other.backup_folder / foreign, server.backup_folder / foreign)
    assert "another lake" in fails(server, CODE.FAILED_PRECONDITION, backup=foreign, to=to)
    assert "another lake" in fails(server, CODE.FAILED_PRECONDITION, backup=foreign, force=True)
    (server.backup_folder / "manifest.json").write_text("not json")
    assert "manifest" in fails(server, CODE.FAILED_PRECONDITION, to=to)
    assert sorted(tmp_path.iterdir()) == [tmp_path / "new.ducklake.lock"] or list(tmp_path.iterdir()) == []
    # A lake that is being served is unchanged, and the intact backup is still available.
    assert server.head() == second
    server.result("restore", {"backup": good["backup"], "to": to})
    check_as_backed_up(launch("--catalog", to, beside=server), first, second)


def test_files_that_are_gone_are_missed(server, launch, tmp_path):
    """Files that should not have been removed, or changed, since a backup was taken."""
    first, second, backup = history(server)
    server.sql("DROP TABLE silver.t")
    sound = server.result("restore", {"dry_run": True})
    assert (sound["missing_files"], sound["missing"]) == (0, [])
    [gone] = server.store.glob("lake/silver/t/*-delete.parquet")
    gone.unlink()
    looked = server.result("restore", {"dry_run": True})
    assert looked["missing_files"] == len(looked["missing"]) == 1
    assert looked["missing"][0].startswith("silver/t/") and looked["missing"][0].endswith("-delete.parquet")
    to = str(tmp_path / "new.ducklake")
    said = fails(server, CODE.FAILED_PRECONDITION, to=to)
    assert looked["missing"][0] in said and "force" in said
    # A file of another size does not count either.
    [data] = [file for file in server.store.glob("lake/silver/t/*.parquet") if "-delete" not in file.name]
    data.write_bytes(data.read_bytes()[:-1])
    assert server.result("restore", {"dry_run": True})["missing_files"] == 2
    assert not (tmp_path / "new.ducklake").exists()
    assert server.result("restore", {"to": to, "force": True})["missing_files"] == 2
    other = launch("--catalog", to, beside=server)
    assert other.head() == second
    assert [schema for [schema] in other.sql("SELECT schema_name FROM duckdb_tables()")] == ["silver"]


def test_cleanup_after_a_restore(server, launch, tmp_path):
    """Files that the backup had scheduled for removal may be missing; those that were added after it are orphans."""
    server.sql("CREATE TABLE t AS SELECT i FROM range(10) r(i)")
    server.sql("INSERT INTO t VALUES (11)")
    server.result("maintain", {"steps": ["merge", "expire"], "expire_days": 0})
    backup = server.result("backup")
    server.result("maintain", {"steps": ["cleanup"], "grace_hours": 0})
    server.sql("INSERT INTO t VALUES (12)")
    to = str(tmp_path / "new.ducklake")
    server.result("restore", {"backup": backup["backup"], "to": to})
    server.stop()
    other = launch("--catalog", to, beside=server)
    other.result("maintain", {"steps": ["cleanup", "orphans"], "grace_hours": 0})
    assert other.scalar("SELECT count(*) FROM t") == 11
    assert len(list(server.store.glob("lake/**/*.parquet"))) == 1


# === without a server ===


def offline(server, *arguments, code=0):
    """Runs restore-catalog for the lake of a server; returns its output."""
    done = harness.run("restore-catalog", "--home", server.home, *server.flags, *arguments, **server.variables)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def test_a_lost_catalog_comes_back(launch):
    server = launch()
    if server.flags:
        pytest.skip("skipped: a file is lost here")
    first, second, _ = history(server)
    spoil(server)
    server.stop()
    (server.home / "catalog.ducklake").unlink()
    assert "restored" not in offline(server, "--at", "2020-01-01", code=1)
    done = json.loads(offline(server, "--json"))
    assert (done["snapshot_id"], done["missing_files"], done["before"]) == (second, 0, None)
    server.start()
    check_as_backed_up(server, first, second)


@pytest.mark.own_catalog
@pytest.mark.parametrize("kind", CATALOGS)
def test_replacing_a_catalog_needs_force_and_no_other_users(launch, request, tmp_path, kind):
    server = launch("--catalog", place(request, tmp_path, kind))
    first, second, backup = history(server)
    spoil(server)
    late = server.head()
    for flags in [[], ["--force"]]:
        said = offline(server, *flags, code=1)
        assert "stop" in said or ("--force" in said and not flags), said
    assert server.head() == late
    server.stop()
    assert "--force" in offline(server, code=1)
    said = offline(server, "--force")
    assert backup["backup"] in said
    server.start()
    check_as_backed_up(server, first, second)
    if kind == "postgres":
        backups = server.result("backups")["backups"]
        assert [entry["snapshot_id"] for entry in backups] == [late, second]
    else:
        # The files that SQLite writes next to its file are included.
        [before] = [file for file in tmp_path.iterdir() if ".before-" in file.name and not file.name.endswith(("-wal", "-shm"))]
        assert str(before) in said
        other = launch("--catalog", f"sqlite:{before}" if kind == "sqlite" else before, beside=server)
        assert other.head() == late


def test_a_catalog_that_is_broken_is_replaced(launch, tmp_path):
    file = tmp_path / "catalog.ducklake"
    server = launch("--catalog", file)
    first, second, _ = history(server)
    server.kill9()
    file.write_bytes(b"broken" * 1000)
    assert "--force" in offline(server, code=1)
    offline(server, "--force")
    server.start()
    check_as_backed_up(server, first, second)


def test_a_lake_that_was_moved(launch, tmp_path):
    """The store is moved to another machine, where its catalog is restored."""
    server = launch()
    first, second, _ = history(server)
    server.stop()
    shutil.copytree(server.store, tmp_path / "moved")
    shutil.rmtree(server.store)
    flags = ["--catalog", tmp_path / "catalog.ducklake", "--storage", tmp_path / "moved"]
    done = harness.run("restore-catalog", "--home", tmp_path / "home", *flags)
    assert done.returncode == 0, done.stderr
    check_as_backed_up(launch(*flags), first, second)


def test_from_the_shell(server, tmp_path):
    first, second, backup = history(server)
    to = tmp_path / "new.sqlite"
    done = harness.run("restore", backup["backup"], "--to", f"sqlite:{to}", "--url", server.uri)
    assert done.returncode == 0, done.stderr
    assert str(to) in done.stdout
    assert "valid" in harness.run("restore", "--dry-run", "--url", server.uri).stdout
    refused = harness.run("restore", "--url", server.uri)
    assert refused.returncode == 1 and "force" in refused.stderr
    rows = server.sql("CALL merganser.restore(dry_run => true)")
    assert json.loads(rows[-1][-1])["snapshot_id"] == second
