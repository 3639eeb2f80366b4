"""Files that only a backup references: maintenance keeps them for as long as it exists, and no longer."""

import json
import shutil
import threading

import pytest

import harness


@pytest.fixture
def server(launch):
    """Maintenance affects the whole lake: each test has its own."""
    return launch()


def head(server):
    return server.scalar("SELECT id FROM lake.current_snapshot()")


def backup_folder(server):
    return server.store / "backups" / "catalog"


def files(server):
    return {str(path.relative_to(server.store)) for path in server.store.glob("lake/**/*.parquet")}


def needed(server):
    """The files that any snapshot needs."""
    gone = server.sql("SELECT path FROM __ducklake_metadata_lake.ducklake_files_scheduled_for_deletion")
    return files(server) - {f"lake/{path}" for [path] in gone}


def rows(server, version):
    return server.sql(f"SELECT * FROM silver.t AT (VERSION => {version}) ORDER BY ALL")


def history(server, parts=("a b/%é?", "*")):
    """A table with small files, deleted rows and partitions with unusual names; returns each of its states."""
    first, second = parts
    server.sql("CREATE TABLE silver.t (i BIGINT, part VARCHAR)")
    server.sql("ALTER TABLE silver.t SET PARTITIONED BY (part)")
    states = {}
    for sql in [
        *(f"INSERT INTO silver.t SELECT i, '{first}' FROM range({start}, {start + 10}) r(i)" for start in (0, 10, 20)),
        "DELETE FROM silver.t WHERE i < 5",
        f"UPDATE silver.t SET part = '{second}' WHERE i = 7",
    ]:
        server.sql(sql)
        states[head(server)] = rows(server, head(server))
    return states


def maintain(server, *steps, **body):
    """Maintenance that expires as much as possible, without grace; returns the result of its last step."""
    more = {"expire_days": 0} if "expire" in steps else {}
    return server.result("maintain", {"steps": steps, "grace_hours": 0} | more | body)["done"][-1]


def bring_back(server, backup):
    """Replaces the lake by a backup."""

    def is_back():
        try:
            return head(server) == backup["snapshot_id"]
        except Exception:
            return False

    server.result("restore", {"backup": backup["backup"], "force": True})
    harness.wait_until(is_back, "the backup is served", 60)


def check_restored(server, launch, folder, backup, states):
    """Whether a backup restores every state, at another location."""
    to = str(folder / f"restored-{len(list(folder.iterdir()))}.ducklake")
    assert server.result("restore", {"backup": backup, "to": to})["missing_files"] == 0
    other = launch("--catalog", to, beside=server)
    for version, state in states.items():
        assert rows(other, version) == state, version
    other.stop()


def test_cleanup_leaves_what_a_backup_names(server, launch, tmp_path):
    states = history(server)
    backup = server.result("backup")["backup"]
    named = needed(server)
    server.sql("INSERT INTO silver.t VALUES (100, 'late')")
    late = files(server) - named
    server.sql("DROP TABLE silver.t")
    maintain(server, "expire")
    planned = maintain(server, "cleanup", dry_run=True)
    assert (planned["files"], planned["files_kept"], planned["kept_for"]) == (len(late), len(named), backup)
    done = maintain(server, "cleanup")
    assert (done["files"], done["files_kept"], done["kept_for"]) == (len(late), len(named), backup)
    assert files(server) == named
    check_restored(server, launch, tmp_path, backup, states)
    shown = harness.run("maintain", "cleanup", "--grace-hours", 0, "--url", server.uri)
    assert shown.returncode == 0 and backup in shown.stdout and "--keep" in shown.stderr, shown
    # Once no backup references them any more, they are removed and forgotten.
    assert server.result("backup", {"keep": 1})["removed"] == [backup]
    done = maintain(server, "cleanup")
    assert (done["files"], done["files_kept"], done.get("kept_for")) == (len(named), 0, None)
    assert files(server) == set()
    assert maintain(server, "cleanup", "orphans")["files"] == 0
    assert server.scalar("SELECT count(*) FROM __ducklake_metadata_lake.ducklake_files_scheduled_for_deletion") == 0


def test_the_oldest_backup_is_reported_and_each_keeps_its_own(server, launch, tmp_path):
    states = history(server)
    first = server.result("backup")["backup"]
    of_first = files(server)
    server.sql("INSERT INTO silver.t VALUES (100, 'between')")
    between = files(server) - of_first
    maintain(server, "merge", "rewrite")
    server.sql("DELETE FROM silver.t WHERE i = 100")
    maintain(server, "expire", "cleanup")
    assert not between & files(server)
    second = server.result("backup")["backup"]
    kept = {head(server): rows(server, head(server))}
    server.sql("DROP TABLE silver.t")
    done = maintain(server, "expire", "cleanup")
    assert done["kept_for"] == first and done["files"] == 0
    check_restored(server, launch, tmp_path, first, states)
    check_restored(server, launch, tmp_path, second, kept)
    server.result("backup", {"keep": 2})
    done = maintain(server, "cleanup")
    assert done["kept_for"] == second and done["files"] > 0
    check_restored(server, launch, tmp_path, second, kept)


def test_orphans_that_a_newer_backup_names_stay(server, launch, tmp_path):
    server.sql("CREATE TABLE silver.t AS SELECT i, 'x' AS part FROM range(10) r(i)")
    older = server.result("backup")
    states = {head(server): rows(server, head(server))}
    server.sql("DELETE FROM silver.t WHERE i < 5")
    server.sql("INSERT INTO silver.t VALUES (100, 'late')")
    states[head(server)] = rows(server, head(server))
    newer = server.result("backup")["backup"]
    all_files = files(server)
    bring_back(server, older)
    orphan = server.store / "lake" / "silver" / "t" / "ducklake-left-behind.parquet"
    orphan.write_bytes(b"PAR1")
    planned = maintain(server, "orphans", dry_run=True)
    assert (planned["files"], planned["files_kept"], planned["kept_for"]) == (1, 2, newer)
    done = maintain(server, "orphans")
    assert (done["files"], done["files_kept"], done["kept_for"]) == (1, 2, newer)
    assert files(server) == all_files and not orphan.exists()
    check_restored(server, launch, tmp_path, newer, states)
    # The backup that the server made before it replaced the lake references them too.
    assert len(server.result("backup", {"keep": 1})["removed"]) == 3
    done = maintain(server, "orphans")
    assert (done["files"], done["files_kept"]) == (2, 0)
    assert server.scalar("SELECT count(*) FROM silver.t") == 10 and len(files(server)) == 1


def test_a_file_that_comes_back_to_life_in_an_older_lake(server, launch, tmp_path):
    """A backup of the older lake references what a later lake had scheduled for removal."""
    states = history(server)
    first = server.result("backup")
    server.sql("DROP TABLE silver.t")
    maintain(server, "expire")
    later = server.result("backup")
    bring_back(server, first)
    again = server.result("backup")["backup"]
    bring_back(server, later)
    for backup in server.result("backups")["backups"]:
        if backup["backup"] not in (later["backup"], again):
            shutil.rmtree(backup_folder(server) / backup["backup"])
    done = maintain(server, "cleanup")
    assert done["files_kept"] > 0 and done["kept_for"] == again
    check_restored(server, launch, tmp_path, again, states)


def test_a_backup_that_cannot_be_read_keeps_every_file(server, launch):
    server.sql("CREATE TABLE silver.t AS SELECT 1 AS i")
    server.sql("DROP TABLE silver.t")
    maintain(server, "expire")
    other = launch()
    other.sql("CREATE TABLE silver.t AS SELECT 1 AS i")
    foreign = other.result("backup")["backup"]
    backup = server.result("backup")["backup"]
    folder = backup_folder(server) / backup
    catalog, record = (folder / "catalog.duckdb").read_bytes(), (folder / "backup.json").read_text()
    flipped = bytearray(catalog)
    flipped[len(catalog) // 2] ^= 1
    for spoilt, text in [(bytes(flipped), record), (catalog[:-1], record), (catalog, "{"), (catalog, None)]:
        (folder / "catalog.duckdb").write_bytes(spoilt)
        if text is None:
            (folder / "backup.json").unlink()
        else:
            (folder / "backup.json").write_text(text)
        for step in ["cleanup", "orphans"]:
            orphan = server.store / "lake" / "left-behind.parquet"
            orphan.write_bytes(b"PAR1")
            done = maintain(server, step)
            assert (done["files"], done["files_kept"], done["kept_for"]) == (0, 1, backup)
    # One that was not completed for a day never will be; and one of another lake references other files.
    folder.rename(folder.parent.parent / "old")
    (backup_folder(server) / "2020_01_01").mkdir()
    (backup_folder(server) / "old").rename(backup_folder(server) / "2020_01_01" / "00_00_00_000")
    shutil.copytree(backup_folder(other) / foreign, backup_folder(server) / foreign)
    for step in ["cleanup", "orphans"]:
        done = maintain(server, step)
        assert (done["files"], done["files_kept"], done.get("kept_for")) == (1, 0, None)
    assert files(server) == set()


def test_another_lakes_backup_in_the_same_store_counts(server, launch, tmp_path):
    """A lake whose catalog was lost is next to the new one, and its backup can restore it."""
    # The S3 server of the tests lists names with other characters incorrectly.
    states = history(server, ("a", "b"))
    backup = server.result("backup")["backup"]
    named = needed(server)
    maintain(server, "cleanup")
    other = launch("--catalog", tmp_path / "new.ducklake", beside=server)
    done = maintain(other, "orphans")
    assert (done["files"], done["files_kept"], done["kept_for"]) == (0, len(named), backup)
    check_restored(server, launch, tmp_path, backup, states)


def test_backups_beside_writers_and_maintenance_are_whole(server):
    server.sql("CREATE TABLE t (i BIGINT)")
    failures, stop = [], threading.Event()

    def again(work):
        def loop():
            try:
                while not stop.is_set():
                    work()
            except Exception as failure:
                failures.append(failure)

        return threading.Thread(target=loop)

    def write():
        server.sql("INSERT INTO t SELECT * FROM range(10)")
        server.sql("DELETE FROM t WHERE i % 10 = 3")

    workers = [again(write), again(lambda: maintain(server, "merge", "expire", "cleanup"))]
    for worker in workers:
        worker.start()
    try:
        backups = [server.result("backup")["backup"] for _ in range(8)]
    finally:
        stop.set()
        for worker in workers:
            worker.join()
    assert not failures, failures
    server.sql("DROP TABLE t")
    maintain(server, "expire", "cleanup", "orphans")
    for backup in backups:
        assert server.result("restore", {"backup": backup, "dry_run": True})["missing"] == []
    server.result("backup", {"keep": 1})
    maintain(server, "cleanup", "orphans")
    assert files(server) == set()


def test_in_sql(server):
    server.sql("CREATE TABLE silver.t AS SELECT 1 AS i")
    backup = server.result("backup")["backup"]
    server.sql("DROP TABLE silver.t")
    maintain(server, "expire")
    told = json.loads(server.sql("CALL merganser.maintain(steps => ['cleanup'], grace_hours => 0)")[-1][-1])
    assert [(done["files_kept"], done["kept_for"]) for done in told["done"]] == [(1, backup)]
