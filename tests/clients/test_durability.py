"""Acknowledged data is on disk: data files and their folders are synced before the commit that references them."""

import re
import shutil

import pyarrow
import pytest

import harness

SYNC = re.compile(r"f(?:data)?sync\(\d+<(?P<path>[^>]*)>\)\s+= 0")


@pytest.fixture
def traced(tmp_path):
    """A server whose sync calls are recorded."""
    if shutil.which("strace") is None:
        pytest.skip("skipped: strace is absent")
    tracer = ["strace", "-D", "-f", "-y", "-qq", "-e", "trace=fsync,fdatasync", "-o", tmp_path / "calls"]
    server = harness.Server(tmp_path, tracer=tracer)
    try:
        yield server.start()
    finally:
        server.discard()


def synced(server):
    """The paths that were synced, in order."""
    return [match["path"] for match in SYNC.finditer((server.folder / "calls").read_text())]


def new_files(server, before):
    return {str(path) for path in server.store.rglob("*.parquet")} - before


def check(server, write):
    """Runs `write`, and returns what was synced until it was acknowledged."""
    before = new_files(server, set())
    start = len(synced(server))
    write()
    calls = synced(server)[start:]
    made = new_files(server, before)
    assert made, "nothing was written"
    commits = [at for at, path in enumerate(calls) if "/catalog.ducklake" in path]
    assert commits, calls
    for file in made:
        assert file in calls and calls.index(file) < commits[-1], (file, calls)
        folder = file.rpartition("/")[0]
        assert folder in calls and calls.index(file) < calls.index(folder) < commits[-1], (folder, calls)
    return made


def test_files_are_synced_before_the_commit(traced):
    root = str(traced.store / "lake")
    check(traced, lambda: traced.sql("CREATE TABLE t AS SELECT i FROM range(1000) r(i)"))
    # The folder of the table is new in its parent.
    assert {root, f"{root}/main"} <= set(synced(traced))
    check(traced, lambda: traced.sql("INSERT INTO t VALUES (1)"))
    check(traced, lambda: traced.sql("DELETE FROM t WHERE i = 5"))
    check(traced, lambda: traced.sql("UPDATE t SET i = i + 1 WHERE i < 5"))
    with traced.adbc() as connection, connection.cursor() as cursor:
        check(traced, lambda: cursor.adbc_ingest("u", pyarrow.table({"i": range(10)}), mode="create"))
    check(traced, lambda: traced.action("rollback", {"table": "main.t", "to": {"version": 3}}))


def test_a_transaction_syncs_all_that_it_wrote(traced):
    def write():
        with traced.adbc(autocommit=False) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE a AS SELECT 1 AS i")
            cursor.execute("CREATE TABLE b AS SELECT 2 AS i")
            cursor.execute("INSERT INTO a VALUES (3)")
            connection.commit()

    assert len(check(traced, write)) == 3


def test_reads_sync_nothing(traced):
    traced.sql("CREATE TABLE t AS SELECT 1 AS i")
    before = synced(traced)
    assert traced.sql("FROM t") == [(1,)]
    assert synced(traced) == before
