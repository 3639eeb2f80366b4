"""`merganser migrate-catalog`: moves a lake's catalog from one kind of database to another, while no server runs."""

import hashlib
import pathlib

import duckdb
import pytest

import harness
from conftest import CATALOGS


@pytest.fixture
def place(request, tmp_path, cluster_of):
    """A new catalog of some kind, in the form of --catalog: place(kind, name)."""

    def make(kind, name):
        if kind == "postgres":
            return cluster_of().make_database(name)
        return {"duckdb": str(tmp_path / f"{name}.ducklake"), "sqlite": f"sqlite:{tmp_path / name}.sqlite"}[kind]

    return make


@pytest.fixture
def cluster_of(request):
    return lambda: request.getfixturevalue("cluster")


def file_of(catalog):
    return pathlib.Path(catalog.removeprefix("sqlite:"))


def migrate(source, target, code=0):
    """Runs the command; returns its output."""
    done = harness.run("migrate-catalog", "--from", source, "--to", target)
    assert done.returncode == code, done.stdout + done.stderr
    assert "merganser:p%40" not in done.stdout + done.stderr, "the password is repeated"
    return done.stdout if code == 0 else done.stderr


def head(server):
    return server.scalar("SELECT id FROM lake.current_snapshot()")


def state(server):
    """Everything in a catalog, as clients see it."""
    tables = server.sql("SELECT schema_name, table_name, comment FROM duckdb_tables() ORDER BY ALL")
    versions = [version for [version] in server.sql("SELECT snapshot_id FROM lake.snapshots() ORDER BY ALL")]
    rows = {}
    for version in versions[-6:]:
        rows[version] = server.sql(f"SELECT * FROM silver.t AT (VERSION => {version}) ORDER BY ALL")
    return {
        "tables": tables,
        "snapshots": server.sql("SELECT snapshot_id, snapshot_time::VARCHAR, author FROM lake.snapshots() ORDER BY ALL"),
        "rows": rows,
        "changes": server.result("snapshots")["snapshots"],
        "tags": server.result("tag")["tags"],
        "view": server.sql("FROM gold.v"),
        "columns": server.sql("SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = 't' ORDER BY ALL"),
    }


def fill(server):
    """A lake with objects of every kind."""
    server.sql("CREATE TABLE silver.t AS SELECT i, 'it''s ' || i AS \"a b\", i % 2 = 0 AS even FROM range(20) r(i)")
    server.sql("COMMENT ON TABLE silver.t IS 'ducks, \"geese\" and ünïcode'")
    server.sql("CREATE VIEW gold.v AS SELECT count(*) AS n FROM silver.t")
    server.sql("DELETE FROM silver.t WHERE i < 5")
    server.result("tag", {"name": "before/the-move"})
    server.sql("ALTER TABLE silver.t ADD COLUMN d DATE DEFAULT '2026-01-31'")
    server.sql("ALTER TABLE silver.t SET PARTITIONED BY (even)")
    server.sql("INSERT INTO silver.t VALUES (NULL, 'NULL', NULL, NULL)")


@pytest.mark.parametrize("source", CATALOGS)
@pytest.mark.parametrize("target", CATALOGS)
def test_everything_comes_along(launch, place, source, target):
    old, new = place(source, f"old_{source}_{target}"), place(target, f"new_{source}_{target}")
    server = launch("--catalog", old)
    fill(server)
    before = state(server)
    server.stop()
    content = None if source == "postgres" else hashlib.sha256(file_of(old).read_bytes()).hexdigest()
    said = migrate(old, new)
    assert f"snapshot {max(before['rows'])}" in said and f"--storage {server.storage}" in said
    if source != "postgres":
        assert hashlib.sha256(file_of(old).read_bytes()).hexdigest() == content
    moved = launch("--catalog", new, beside=server)
    assert state(moved) == before
    moved.sql("INSERT INTO silver.t (i) VALUES (100)")
    moved.result("rollback", {"table": "silver.t", "to": {"tag": "before/the-move"}})
    assert moved.scalar("SELECT count(*) FROM silver.t") == 15
    assert head(moved) == max(before["rows"]) + 2
    moved.stop()
    # The old one is still a lake.
    server.start()
    assert state(server)["tags"] == before["tags"]


@pytest.mark.parametrize("kind", CATALOGS)
def test_not_while_a_server_runs(launch, place, tmp_path, kind):
    old, new = place(kind, "served"), place(kind, "vacant")
    server = launch("--catalog", old)
    server.sql("CREATE TABLE t AS SELECT 1 AS i")
    before = head(server)
    said = migrate(old, new, code=1)
    assert "stop" in said, said
    assert head(server) == before
    server.sql("INSERT INTO t VALUES (2)")
    server.stop()
    migrate(old, new)
    # Nor while one runs with the new catalog.
    again = launch("--catalog", new, beside=server)
    assert "already" in migrate(old, new, code=1)
    assert again.scalar("SELECT count(*) FROM t") == 2


@pytest.mark.parametrize("kind", CATALOGS)
def test_the_new_place_must_be_empty(launch, place, kind):
    old, taken = place("duckdb", "old"), place(kind, "taken")
    server = launch("--catalog", taken)
    server.sql("CREATE TABLE t AS SELECT 1 AS i")
    before = head(server)
    server.stop()
    launch("--catalog", old).stop()
    assert "already exists at" in migrate(old, taken, code=1)
    server.start()
    assert head(server) == before


def test_a_file_of_any_kind_is_left_alone(launch, place, tmp_path):
    old = place("duckdb", "old")
    launch("--catalog", old).stop()
    diary = tmp_path / "diary"
    diary.write_text("dear diary")
    assert "already exists at" in migrate(old, diary, code=1)
    assert "already exists at" in migrate(old, old, code=1)
    assert diary.read_text() == "dear diary"


def test_what_is_no_catalog(place, tmp_path):
    new = place("sqlite", "new")
    assert "does not exist" in migrate(tmp_path / "nowhere", new, code=1)
    assert "does not exist" in migrate(f"sqlite:{tmp_path / 'nowhere'}", new, code=1)
    assert not (tmp_path / "nowhere").exists()
    diary = tmp_path / "diary"
    diary.write_text("dear diary, " * 1000)
    migrate(diary, new, code=1)
    migrate(f"sqlite:{diary}", new, code=1)
    assert diary.read_text().startswith("dear diary")
    for text in ["mysql://h/d", "", "sqlite:", "duckdb://x", "s3://bucket/x"]:
        assert "expected a path" in migrate(text, new, code=1)
        assert "expected a path" in migrate(place("duckdb", "x"), text, code=1) or "does not exist" in migrate(
            place("duckdb", "x"), text, code=1
        )
    assert "hunter2" not in migrate("postgres://u:hunter2@h:port/d", new, code=1)
    assert not file_of(new).exists()


def test_a_database_that_does_not_answer(launch, place, tmp_path):
    old = place("duckdb", "old")
    launch("--catalog", old).stop()
    said = migrate(old, f"postgres://u:hunter2@/d?host={tmp_path}", code=1)
    assert "PostgreSQL does not answer" in said and "hunter2" not in said


def test_a_lake_of_a_killed_server(launch, place):
    """The content of the write-ahead log is included."""
    old, new = place("duckdb", "old"), place("sqlite", "new")
    server = launch("--catalog", old)
    server.sql("CREATE TABLE t AS SELECT 1 AS i")
    before = head(server)
    server.kill9()
    assert pathlib.Path(f"{old}.wal").exists()
    migrate(old, new)
    moved = launch("--catalog", new, beside=server)
    assert head(moved) == before
    assert moved.scalar("SELECT i FROM t") == 1


def test_rows_inside_of_a_catalog_are_not_lost(launch, place):
    """Lakes that other programs created can contain small tables in the catalog."""
    old, new = place("duckdb", "old"), place("sqlite", "new")
    server = launch("--catalog", old)
    server.sql("CREATE TABLE t (i BIGINT)")
    server.stop()
    with duckdb.connect(old) as catalog:
        catalog.execute("CREATE TABLE ducklake_inlined_data_1_1 (i BIGINT)")
        catalog.execute("INSERT INTO ducklake_inlined_data_tables VALUES (1, 'ducklake_inlined_data_1_1', 1)")
        catalog.execute("INSERT INTO ducklake_inlined_data_1_1 VALUES (7)")
    assert "ducklake_flush_inlined_data" in migrate(old, new, code=1)
    assert not file_of(new).exists()


def test_backups_are_of_the_same_lake_wherever_its_catalog_is(launch, place):
    old, new = place("duckdb", "old"), place("sqlite", "new")
    server = launch("--catalog", old)
    server.sql("CREATE TABLE t AS SELECT 1 AS i")
    server.result("backup")
    server.stop()
    migrate(old, new)
    moved = launch("--catalog", new, beside=server)
    moved.result("backup")
    backups = moved.result("backups", {"verify": True})["backups"]
    assert [(backup["state"], backup["catalog"]) for backup in backups] == [
        ("complete", "sqlite"),
        ("complete", "duckdb"),
    ]
