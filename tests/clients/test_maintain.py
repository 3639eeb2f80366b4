"""`maintain`: fewer files, and every snapshot that is kept reads as before."""

import threading

import adbc_driver_manager
import grpc
import pyarrow
import pytest

import harness
import protobuf
import wire


@pytest.fixture
def server(launch):
    """Maintenance affects the whole lake: each test has its own."""
    return launch()


def head(server):
    return server.scalar("SELECT id FROM lake.current_snapshot()")


def history(server, name="t"):
    """A table with small files and deleted rows; returns the rows of every snapshot since."""
    states = {}
    for sql in [
        f"CREATE TABLE {name} AS SELECT i, i * 2 AS twice FROM range(1000) r(i)",
        *(f"INSERT INTO {name} SELECT i, i * 2 FROM range({start}, {start + 100}) r(i)" for start in (1000, 2000, 3000)),
        f"DELETE FROM {name} WHERE i < 800",
        f"UPDATE {name} SET twice = 0 WHERE i = 900",
        f"ALTER TABLE {name} ADD COLUMN note VARCHAR",
        f"INSERT INTO {name} VALUES (7, 14, 'seven')",
    ]:
        server.sql(sql)
        version = head(server)
        states[version] = rows(server, name, version)
    return states


def rows(server, name, version):
    return server.sql(f"SELECT * FROM {name} AT (VERSION => {version}) ORDER BY ALL")


def files(server):
    return sorted(server.store.glob("lake/**/*.parquet"))


def by_step(result):
    return {(done["step"], done.get("table")): done for done in result["done"]}


def check(server, states, name="t"):
    for version, state in states.items():
        assert rows(server, name, version) == state, version


def test_every_step_leaves_what_is_kept_as_it_was(server):
    states = history(server)
    newest = max(states)
    planned = by_step(server.result("maintain", {"dry_run": True}))
    assert planned["rewrite", "main.t"]["files"] >= 1 and planned["merge", "main.t"]["files"] >= 4
    assert head(server) == newest and len(files(server)) > 5
    done = by_step(server.result("maintain"))
    assert done["merge", "main.t"]["files_made"] >= 1 and done["rewrite", "main.t"]["files_made"] >= 1
    check(server, states)
    assert rows(server, "t", head(server)) == states[newest]
    # The second time, there is nothing to do.
    again = server.result("maintain")
    assert [step["files"] for step in again["done"] if step["step"] != "cleanup"] == []
    [author] = server.sql("SELECT author FROM lake.snapshots() ORDER BY snapshot_id DESC LIMIT 1")[0]
    assert author == "anonymous"


def test_files_go_after_their_grace_and_not_before(server):
    states = history(server)
    server.result("maintain")
    kept = files(server)
    assert by_step(server.result("maintain", {"steps": ["cleanup"]}))["cleanup", None]["files"] == 0
    assert files(server) == kept
    planned = server.result("maintain", {"steps": ["cleanup"], "grace_hours": 0, "dry_run": True})
    removed = by_step(server.result("maintain", {"steps": ["cleanup"], "grace_hours": 0}))["cleanup", None]["files"]
    assert removed == by_step(planned)["cleanup", None]["files"] > 0
    assert len(files(server)) == len(kept) - removed
    check(server, states)


def test_tagged_snapshots_and_the_newest_never_expire(server):
    states = history(server)
    tagged, *_, newest = sorted(states)
    server.result("tag", {"name": "keep", "version": tagged})
    planned = server.result("maintain", {"steps": ["expire"], "expire_days": 0, "dry_run": True})
    done = by_step(server.result("maintain", {"expire_days": 0, "grace_hours": 0}))
    server.result("maintain", {"steps": ["cleanup"], "grace_hours": 0})
    expired = set(map(int, done["expire", None]["snapshots"]))
    assert set(map(int, by_step(planned)["expire", None]["snapshots"])) <= expired
    assert tagged not in expired and {*states} - expired - {tagged, newest, head(server)} == set()
    check(server, {tagged: states[tagged]})
    assert rows(server, "t", head(server)) == states[newest]
    gone = sorted(expired & {*states})[0]
    with pytest.raises(adbc_driver_manager.ProgrammingError, match=f"{gone}"):
        rows(server, "t", gone)
    with wire.Wire(server, "ada") as ada:
        assert ada.set(snapshot=wire.whole(gone)) != {}


def test_keep_counts_the_newest(server):
    history(server)
    all_before = server.scalar("SELECT count(*) FROM lake.snapshots()")
    server.result("maintain", {"steps": ["expire"], "expire_days": 0, "keep": 3})
    assert server.scalar("SELECT count(*) FROM lake.snapshots()") == 3 < all_before


def test_young_snapshots_stay(server):
    history(server)
    done = server.result("maintain", {"steps": ["expire"], "expire_days": 1})
    assert done["done"][0].get("snapshots", []) == []


def test_orphans_go_and_nothing_else_does(server):
    states = history(server)
    live = files(server)
    orphan = live[0].with_name("ducklake-left-behind.parquet")
    orphan.write_bytes(b"PAR1")
    asset = server.store / "assets" / "kept.parquet"
    asset.parent.mkdir(parents=True, exist_ok=True)
    asset.write_bytes(b"PAR1")
    assert by_step(server.result("maintain", {"steps": ["orphans"]}))["orphans", None]["files"] == 0
    done = server.result("maintain", {"steps": ["orphans"], "grace_hours": 0})
    assert by_step(done)["orphans", None]["files"] == 1
    assert not orphan.exists() and asset.exists() and files(server) == live
    check(server, states)


def test_a_pinned_session_reads_on(server):
    states = history(server)
    version = sorted(states)[3]
    with wire.Wire(server, "ada") as ada:
        ada.set(snapshot=wire.whole(version))
        count = protobuf.statement("SELECT count(*) AS n FROM t")
        before = wire.rows(ada.get(count)).to_pylist()
        server.result("maintain")
        server.result("maintain", {"steps": ["cleanup"], "grace_hours": 0})
        assert wire.rows(ada.get(count)).to_pylist() == before
        server.result("maintain", {"steps": ["expire", "cleanup"], "expire_days": 0, "grace_hours": 0})
        with wire.refused(grpc.StatusCode.NOT_FOUND) as said:
            list(ada.get(count))
        assert str(version) in said[0] and "expired" in said[0]


def test_writers_and_maintenance_do_not_stop_each_other(server):
    server.sql("CREATE TABLE t (i BIGINT)")
    failures, stop = [], threading.Event()

    def write(start):
        try:
            for number in range(15):
                server.sql(f"INSERT INTO t VALUES ({start + number})")
        except Exception as failure:
            failures.append(failure)

    def maintain():
        while not stop.is_set():
            server.result("maintain", {"grace_hours": 0, "steps": ["merge", "cleanup"]})

    writers = [threading.Thread(target=write, args=(1000 * number,)) for number in range(3)]
    keeper = threading.Thread(target=maintain)
    for thread in [*writers, keeper]:
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    keeper.join()
    assert failures == []
    expected = sorted(1000 * number + more for number in range(3) for more in range(15))
    assert [row for [row] in server.sql("SELECT i FROM t ORDER BY i")] == expected
    server.result("maintain")
    assert len(server.sql("FROM ducklake_list_files('lake', 't')")) == 1


@pytest.mark.parametrize(
    "body, words",
    [
        ({"steps": ["expire"]}, "expire_days"),
        ({"expire_days": -1}, "expire_days"),
        ({"grace_hours": -1}, "grace_hours"),
        ({"rewrite_share": 0}, "rewrite_share"),
        ({"rewrite_share": 2}, "rewrite_share"),
        ({"table": "t"}, "schema.name"),
        ({"steps": ["vacuum"]}, "vacuum"),
    ],
)
def test_bad_requests_are_refused(server, body, words):
    with pytest.raises(pyarrow.lib.ArrowInvalid, match=words):
        server.action("maintain", body)


def test_the_command_line_and_call(server):
    history(server)
    done = harness.run("maintain", "--url", server.uri, "--dry-run")
    assert done.returncode == 0 and "main.t" in done.stdout and "nothing was changed" in done.stderr
    done = harness.run("maintain", "merge", "--url", server.uri, "--table", "main.t")
    assert done.returncode == 0 and done.stdout.startswith("step")
    done = harness.run("maintain", "tidy", "--url", server.uri)
    assert done.returncode == 2 and "tidy" in done.stderr
    assert server.sql("CALL merganser.maintain(steps => ['cleanup'], grace_hours => 0)")[-1]


def test_a_server_maintains_its_lake_by_the_clock(launch):
    server = launch("--maintain-every-seconds", "1", "--maintain-expire-days", "30")
    states = history(server)

    def jobs():
        ran = [job for job in server.result("jobs")["jobs"] if job["action"] == "maintain"]
        return [job for job in ran if job["state"] == "succeeded"]

    before = {job["job_id"] for job in jobs()}
    # Two more: the first may have begun before the last commit of the history.
    harness.wait_until(lambda: len([job for job in jobs() if job["job_id"] not in before]) >= 2, "maintenance")
    assert {job["author"] for job in jobs()} == {"merganser"}
    assert server.scalar("SELECT count(*) FROM lake.snapshots() WHERE author = 'merganser'") > 0
    check(server, states)


def test_a_sort_column_that_older_files_lack_is_reported_with_the_remedy(server, name):
    server.sql(f"CREATE TABLE silver.{name} (i INTEGER, v BIGINT)")
    for _ in range(2):
        server.sql(f"INSERT INTO silver.{name} SELECT range, range FROM range(30)")
    server.sql(f"ALTER TABLE silver.{name} ADD COLUMN z INTEGER")
    server.sql(f"ALTER TABLE silver.{name} SET SORTED BY (z DESC NULLS FIRST)")
    request = {"steps": ["merge"], "table": f"silver.{name}"}
    with pytest.raises(NotImplementedError, match=f"ALTER TABLE silver.{name} RESET SORTED BY"):
        server.result("maintain", request)
    server.sql(f"ALTER TABLE silver.{name} RESET SORTED BY")
    assert server.result("maintain", request)["done"][0]["files"] == 2
    assert server.scalar(f"SELECT count(*) FROM silver.{name}") == 60
