"""Schema evolution: changes of a table's columns only affect the catalog, and every earlier state reads as before."""

import hashlib

import pyarrow
import pytest

ROWS = 1_000
CHANGES = {
    "add": "ADD COLUMN note VARCHAR",
    "add with a default": "ADD COLUMN score INTEGER DEFAULT 7",
    "drop": "DROP COLUMN label",
    "rename": "RENAME COLUMN label TO name",
    "widen a number": "ALTER COLUMN small SET DATA TYPE BIGINT",
    "widen a float": "ALTER COLUMN ratio SET DATA TYPE DOUBLE",
    "add a nested field": "ADD COLUMN box.depth INTEGER",
    "drop a nested field": "DROP COLUMN box.height",
    "rename a nested field": "RENAME COLUMN box.width TO breadth",
    "widen a nested field": "ALTER COLUMN box SET DATA TYPE STRUCT(width BIGINT, height INTEGER)",
    "add to a struct in a list": "ADD COLUMN parts.element.extra VARCHAR",
    "set a default": "ALTER COLUMN label SET DEFAULT 'unknown'",
    "drop NOT NULL": "ALTER COLUMN id DROP NOT NULL",
    "set NOT NULL": "ALTER COLUMN label SET NOT NULL",
}


@pytest.fixture
def evolving(server, name):
    """A table with columns of several kinds, in two files."""
    server.sql(
        f"CREATE TABLE silver.{name} (id BIGINT NOT NULL, label VARCHAR, small INTEGER, ratio FLOAT, "
        "box STRUCT(width INTEGER, height INTEGER), parts STRUCT(kind VARCHAR)[])"
    )
    for start in (0, ROWS):
        server.sql(
            f"INSERT INTO silver.{name} SELECT i, 'label ' || i, i, i / 4, {{'width': i, 'height': 2 * i}}, "
            f"[{{'kind': 'k' || i % 3}}] FROM range({start}, {start + ROWS}) r(i)"
        )
    return f"silver.{name}"


def files(server, table):
    """The Parquet files of a table, and their contents."""
    found = (server.store / "lake").glob(f"{table.replace('.', '/')}/**/*.parquet")
    return {path: (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest()) for path in found}


def head(server):
    return server.scalar("SELECT id FROM lake.current_snapshot()")


def content(server, table, version=None):
    """Rows and columns, with their types."""
    at = f" AT (VERSION => {version})" if version is not None else ""
    with server.adbc() as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table}{at} ORDER BY id")
        return cursor.fetch_arrow_table()


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_rewrites_nothing_and_the_past_stays(server, evolving, change):
    before, version, kept = content(server, evolving), head(server), files(server, evolving)
    server.sql(f"ALTER TABLE {evolving} {change}")
    assert files(server, evolving) == kept
    after = content(server, evolving)
    assert after.num_rows == before.num_rows and after.column("id").equals(before.column("id"))
    assert content(server, evolving, version).equals(before)
    # Later writes do not affect the past either.
    with server.adbc() as connection, connection.cursor() as cursor:
        more = after.slice(0, 3)
        cursor.adbc_ingest(evolving.partition(".")[2], more, mode="append", db_schema_name="silver")
    now = files(server, evolving)
    assert {path: now[path] for path in kept} == kept and len(now) == len(kept) + 1
    assert content(server, evolving).num_rows == before.num_rows + 3
    assert content(server, evolving, version).equals(before)


def test_all_changes_one_after_the_other(server, evolving):
    """Each version has its columns, names and types; dropped columns are restored with their values by rollback."""
    kept = files(server, evolving)
    states = {head(server): content(server, evolving)}
    for change in [
        "ADD COLUMN score INTEGER DEFAULT 7",
        "RENAME COLUMN label TO name",
        "ALTER COLUMN small SET DATA TYPE BIGINT",
        "ADD COLUMN box.depth INTEGER",
        "DROP COLUMN name",
        # A new column with an old name has none of the old values.
        "ADD COLUMN name VARCHAR",
        "RENAME COLUMN box.width TO breadth",
        "DROP COLUMN box.height",
    ]:
        server.sql(f"ALTER TABLE {evolving} {change}")
        states[head(server)] = content(server, evolving)
    assert files(server, evolving) == kept
    for version, state in states.items():
        assert content(server, evolving, version).equals(state), version
    newest = content(server, evolving)
    assert newest.column("score").to_pylist() == [7] * (2 * ROWS)
    assert newest.column("name").null_count == 2 * ROWS
    assert newest.schema.field("small").type == pyarrow.int64()
    assert [field.name for field in newest.schema.field("box").type] == ["breadth", "depth"]
    first = min(states)
    server.sql(f"CALL merganser.rollback('{evolving}', version => {first})")
    assert content(server, evolving).equals(states[first])
