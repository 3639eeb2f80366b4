"""A full disk: committed data is kept and readable, writes are rejected with a clear error, and continue once there is
space."""

import contextlib
import os
import subprocess

import adbc_driver_manager
import pyarrow
import pyarrow.flight
import pytest

import harness
from test_video_frames import video

ROOM = 1_500_000


def rows(number):
    """A query with this many rows that are hard to compress."""
    return f"SELECT i, md5(i::VARCHAR) || md5((-i)::VARCHAR) AS s FROM range({number}) r(i)"


@pytest.fixture
def disk(tmp_path):
    """A disk of 64 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", folder]
    mounted = subprocess.run(command, env=os.environ | {"LC_ALL": "C"}, capture_output=True, text=True)
    if mounted.returncode != 0:
        # Only root has the right to, and in most containers not even root.
        allowed = os.getuid() == 0 and "permission denied" not in mounted.stderr
        fails = allowed and os.environ.get("CI") == "true"
        (pytest.fail if fails else pytest.skip)(f"skipped: a disk cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def server(disk, launch):
    return launch(home=disk / "home")


@contextlib.contextmanager
def full(disk):
    """A disk with little space left."""
    state = os.statvfs(disk)
    filler = disk / "filler"
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, state.f_bavail * state.f_frsize - ROOM)
    try:
        yield
    finally:
        filler.unlink()


def refused(server, sql):
    with pytest.raises(adbc_driver_manager.Error, match="(?i)no space|disk is full|full") as caught:
        server.sql(sql)
    assert "RESOURCE_EXHAUSTED" in str(caught.value) or "ResourceExhausted" in str(caught.value), caught.value


@pytest.mark.parametrize("format", ["parquet", "csv", "json", "arrow", "webdataset", "lance"])
def test_an_export_that_does_not_fit_is_refused_and_the_latest_stays(server, disk, format):
    server.sql(f"CREATE TABLE gold.t AS {rows(1_000)}")
    first = server.result("export", {"table": "gold.t", "format": format})
    # A member of a tar file takes at least 1 KiB.
    count = 20_000 if format == "webdataset" else 200_000
    large = {"query": rows(count), "destination": "gold.t", "format": format}
    with full(disk):
        # pyarrow has no exception of its own for it, and Lance does not tell the reason.
        refused = pytest.raises(pyarrow.ArrowInvalid, match="resource exhausted.*No space left")
        if format == "lance":
            refused = pytest.raises(pyarrow.flight.FlightUnavailableError, match="the disk may be full")
        with refused:
            server.result("export", large)
        [latest] = server.result("exports", {"name": "gold.t", "all": True})["exports"]
        assert latest["uri"] == first["path"]
    assert len(list((server.store / "exports/gold/t").iterdir())) == len([first, "manifest.json"])
    assert server.result("export", large)["rows"] == count


def test_frames_that_do_not_fit_are_not_a_broken_video(disk, launch, tmp_path):
    server = launch(home=disk / "home", variables={"PATH": harness.ffmpeg(tmp_path / "bin")})
    with server.adbc() as connection, connection.cursor() as cursor:
        table = pyarrow.table({"video": [video(40, size=(320, 240), noise=True)]})
        cursor.adbc_ingest("clips", table, mode="create", db_schema_name="silver")
    request = {"table": "silver.clips", "format": "lance_frames", "quality": 100, "skip_corrupt": True}
    with full(disk), pytest.raises(pyarrow.ArrowInvalid, match="resource exhausted.*No space left"):
        server.result("export", request)
    assert server.result("export", request)["rows"] == 40


def parquet_files(server):
    return {str(path) for path in (server.store / "lake").rglob("*.parquet")}


def test_a_write_that_does_not_fit_is_refused_and_the_next_one_works(server, disk):
    server.sql("CREATE TABLE t (i BIGINT, s VARCHAR)")
    server.sql(f"INSERT INTO t {rows(1_000)}")
    before = server.scalar("SELECT id FROM lake.current_snapshot()")
    with full(disk):
        refused(server, f"INSERT INTO t {rows(100_000)}")
        assert server.sql("SELECT count(*), count(DISTINCT s) FROM t") == [(1_000, 1_000)]
        refused(server, f"CREATE TABLE u AS {rows(100_000)}")
        assert server.scalar("SELECT id FROM lake.current_snapshot()") == before
    server.sql(f"INSERT INTO t {rows(100_000)}")
    assert server.scalar("SELECT count(*) FROM t") == 101_000


def test_what_failed_leaves_no_file_that_maintenance_does_not_remove(server, disk):
    server.sql("CREATE TABLE t (i BIGINT, s VARCHAR)")
    server.sql(f"INSERT INTO t {rows(1_000)}")
    live = parquet_files(server)
    with full(disk):
        for _ in range(3):
            refused(server, f"INSERT INTO t {rows(100_000)}")
    server.sql("CALL merganser.maintain(steps => ['orphans'], grace_hours => 0)")
    assert parquet_files(server) == live
    assert server.scalar("SELECT count(*) FROM t") == 1_000


def test_many_small_writes_until_nothing_fits(server, disk):
    server.sql("CREATE TABLE t (i BIGINT, s VARCHAR)")
    acknowledged = 0
    with full(disk):
        with pytest.raises(adbc_driver_manager.Error):
            while acknowledged < 2_000:
                server.sql(f"INSERT INTO t SELECT {acknowledged}, repeat(md5('{acknowledged}'), 1_000)")
                acknowledged += 1
        assert server.sql("SELECT count(*), max(i) FROM t") == [(acknowledged, acknowledged - 1)]
    assert acknowledged > 0
    server.restart()
    assert server.scalar("SELECT count(*) FROM t") == acknowledged
    server.sql("INSERT INTO t VALUES (-1, 'more')")
    assert server.scalar("SELECT count(*) FROM t") == acknowledged + 1


def test_a_server_that_starts_on_a_full_disk_reports_it(server, disk):
    server.sql("CREATE TABLE t AS SELECT 1 AS i")
    server.stop()
    state = os.statvfs(disk)
    filler = disk / "filler"
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, state.f_bavail * state.f_frsize)
    started = harness.run("serve", "--home", server.home, "--listen", "127.0.0.1:0")
    assert started.returncode != 0
    assert "No space left" in started.stderr, started.stderr
    filler.unlink()
    server.start()
    assert server.scalar("SELECT i FROM t") == 1
