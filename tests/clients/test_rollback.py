"""Rollback brings back an earlier state as a new snapshot: nothing is lost, and all history stays readable."""

import random

import pyarrow
import pytest


def current(server):
    return server.scalar("SELECT id FROM lake.current_snapshot()")


def content(server, table, version=None):
    at = "" if version is None else f" AT (VERSION => {version})"
    with server.adbc() as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table}{at} ORDER BY ALL")
        found = cursor.fetch_arrow_table()
    return found.schema, found.to_pylist()


def rollback(server, **fields):
    return server.result("rollback", fields)


def random_change(dice, table, columns):
    """A statement that changes the rows or the columns of the table."""
    key = dice.randrange(40)
    changes = [
        f"INSERT INTO {table} (id, text) SELECT i, 'n{key}' FROM range({key}, {key + dice.randrange(1, 9)}) t(i)",
        f"INSERT INTO {table} (id) VALUES ({key})",
        f"UPDATE {table} SET text = 'u{key}' WHERE id % 5 = {key % 5}",
        f"DELETE FROM {table} WHERE id % 7 = {key % 7}",
        f"DELETE FROM {table} WHERE id < {key // 4}",
    ]
    if len(columns) < 4:
        added = f"c{len(columns)}_{dice.randrange(1000)}"
        changes.append(f"ALTER TABLE {table} ADD COLUMN {added} BIGINT DEFAULT {key}")
    if columns:
        dropped = columns[-1]
        changes.append(f"ALTER TABLE {table} DROP COLUMN {dropped}")
        changes.append(f"UPDATE {table} SET {dropped} = id WHERE id > {key}")
    statement = dice.choice(changes)
    if "ADD COLUMN" in statement:
        columns.append(added)
    elif "DROP COLUMN" in statement:
        columns.pop()
    return statement


@pytest.mark.parametrize("seed", range(4))
def test_any_version_comes_back_and_history_stays(server, name, seed):
    dice = random.Random(seed)
    table = f"silver.{name}"
    server.sql(f"CREATE TABLE {table} (id BIGINT, text VARCHAR)")
    states = {current(server): content(server, table)}
    columns = []
    for _ in range(15):
        server.sql(random_change(dice, table, columns))
        states[current(server)] = content(server, table)
    for _ in range(3):
        version = dice.choice(list(states))
        result = rollback(server, table=table, to={"version": version})
        assert result["restored_from"] == version
        assert result["snapshot_id"] == current(server)
        assert content(server, table) == states[version]
        states[current(server)] = states[version]
    for version, state in states.items():
        assert content(server, table, version) == state, version


@pytest.fixture
def table(server, name):
    """A table with three versions: {version: rows}."""
    table = f"silver.{name}"
    versions = []
    for sql in [
        f"CREATE TABLE {table} AS SELECT i AS id, 'a' AS text FROM range(3) t(i)",
        f"UPDATE {table} SET text = 'b' WHERE id = 1",
        f"DELETE FROM {table} WHERE id = 0",
    ]:
        server.sql(sql)
        versions.append(current(server))
    return table, versions


def test_a_rollback_can_be_rolled_back(server, table):
    table, versions = table
    newest = content(server, table)
    rollback(server, table=table, to={"version": versions[0]})
    assert [row["text"] for row in content(server, table)[1]] == ["a", "a", "a"]
    rollback(server, table=table, to={"version": versions[2]})
    assert content(server, table) == newest


def test_a_rollback_is_one_snapshot(server, table):
    table, versions = table
    before = current(server)
    result = rollback(server, table=table, to={"version": versions[0]}, message="the transform was wrong")
    assert current(server) == result["snapshot_id"] == before + 1
    sql = f"SELECT commit_message FROM lake.snapshots() WHERE snapshot_id = {before + 1}"
    assert server.scalar(sql) == "the transform was wrong"


def test_a_rollback_changes_no_other_table(server, table, name):
    table, versions = table
    server.sql(f"CREATE TABLE gold.{name} AS SELECT 1 AS i")
    rollback(server, table=table, to={"version": versions[0]})
    assert server.sql(f"SELECT i FROM gold.{name}") == [(1,)]


def test_the_table_takes_rows_afterwards(server, table):
    table, versions = table
    rollback(server, table=table, to={"version": versions[0]})
    server.sql(f"INSERT INTO {table} VALUES (9, 'z')")
    assert len(content(server, table)[1]) == 4
    assert len(content(server, table, versions[2])[1]) == 2


def test_a_dry_run_tells_and_changes_nothing(server, table):
    table, versions = table
    before, state = current(server), content(server, table)
    result = rollback(server, table=table, to={"version": versions[0]}, dry_run=True)
    assert result["dry_run"] is True
    [told] = result["tables"]
    assert (told["table"], told["change"]) == (table, "restored")
    assert (told["rows_deleted"], told["rows_inserted"]) == (1, 2)
    assert current(server) == before
    assert content(server, table) == state


def test_a_rollback_to_what_is_there_changes_nothing(server, table):
    table, versions = table
    result = rollback(server, table=table, to={"version": versions[2]})
    assert result["tables"][0]["change"] == "unchanged"
    assert len(content(server, table)[1]) == 2


def test_a_tag_names_the_version(server, table, name):
    table, versions = table
    server.action("tag", {"name": name, "version": versions[0]})
    assert rollback(server, table=table, to={"tag": name})["restored_from"] == versions[0]
    assert len(content(server, table)[1]) == 3


def test_a_moment_names_the_version(server, table):
    table, versions = table
    moment = server.scalar(f"SELECT snapshot_time::VARCHAR FROM lake.snapshots() WHERE snapshot_id = {versions[1]}")
    assert rollback(server, table=table, to={"timestamp": moment})["restored_from"] == versions[1]
    assert [row["text"] for row in content(server, table)[1]] == ["a", "b", "a"]


def test_a_dropped_table_comes_back(server, table):
    table, versions = table
    server.sql(f"DROP TABLE {table}")
    result = rollback(server, table=table, to={"version": versions[2]})
    assert result["tables"][0]["change"] == "recreated"
    assert len(content(server, table)[1]) == 2


@pytest.mark.parametrize("scope", [{"schema": "silver"}, {"lake": True}], ids=str)
def test_more_than_a_table_is_refused_with_a_remedy(server, table, scope):
    """Until schemas and the lake can be rolled back as a whole, nothing is half done."""
    _, versions = table
    before = current(server)
    with pytest.raises(pyarrow.ArrowNotImplementedError, match="table"):
        server.action("rollback", scope | {"to": {"version": versions[0]}})
    assert current(server) == before


@pytest.mark.parametrize(
    ("fields", "error", "text"),
    [
        ({"to": {"version": 999_999}}, pyarrow.ArrowKeyError, "999999"),
        ({"to": {"tag": "never"}}, pyarrow.ArrowKeyError, "never"),
        ({"to": {"timestamp": "yesterday-ish"}}, pyarrow.ArrowInvalid, "yesterday-ish"),
        ({"to": {"timestamp": "2999-01-01 00:00:00+00"}}, pyarrow.ArrowInvalid, "future"),
        ({"to": {"version": 1}}, pyarrow.ArrowKeyError, "1"),
        ({}, pyarrow.ArrowInvalid, "to"),
        ({"to": {}}, pyarrow.ArrowInvalid, "to|version"),
        ({"table": "silver.absent", "to": {"version": 1}}, pyarrow.ArrowKeyError, "absent"),
    ],
    ids=str,
)
def test_wrong_requests_are_refused_and_change_nothing(server, table, fields, error, text):
    table, _ = table
    before, state = current(server), content(server, table)
    with pytest.raises(error, match=text):
        server.action("rollback", {"table": table} | fields)
    assert current(server) == before
    assert content(server, table) == state


def test_without_a_target_nothing_is_rolled_back(server):
    with pytest.raises(pyarrow.ArrowInvalid, match="table"):
        server.action("rollback", {"to": {"version": 1}})
