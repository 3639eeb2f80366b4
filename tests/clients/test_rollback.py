"""Rollback restores an earlier state as a new snapshot: nothing is lost, and all history remains readable."""

import json
import random
import threading

import adbc_driver_manager
import pyarrow
import pyarrow.flight
import pytest

import harness


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


def test_a_dry_run_reports_and_changes_nothing(server, table):
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


def test_a_timestamp_names_the_version(server, table):
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


def lake_of(server):
    """Everything in the lake: the rows of each table and view, by name."""
    relations = server.sql(
        "SELECT schema_name || '.' || name FROM (SELECT schema_name, table_name AS name FROM duckdb_tables() "
        "WHERE database_name = 'lake' UNION ALL SELECT schema_name, view_name FROM duckdb_views() "
        "WHERE database_name = 'lake')"
    )
    return {relation: content(server, relation)[1] for (relation,) in relations}


def change_lake(server, dice):
    """Changes a few tables and views, as far as they exist."""
    name, other = dice.sample("abcd", 2)
    schema = dice.choice(["silver", "gold", "extra"])
    table = f"{schema}.{name}"
    for sql in dice.choice(
        [
            [f"CREATE SCHEMA IF NOT EXISTS {schema}", f"CREATE TABLE {table} AS SELECT i, 'x' AS t FROM range(9) r(i)"],
            [f"INSERT INTO {table} (i) SELECT * FROM range({dice.randrange(9)})"],
            [f"UPDATE {table} SET i = i + 1 WHERE i % 3 = 0"],
            [f"DELETE FROM {table} WHERE i % 4 = 1"],
            [f"DROP TABLE {table}"],
            [f"ALTER TABLE {table} RENAME TO {other}"],
            [f"ALTER TABLE {table} ADD COLUMN c{dice.randrange(3)} INTEGER DEFAULT 4"],
            [f"ALTER TABLE {table} DROP COLUMN t"],
            [f"CREATE VIEW {schema}.v AS SELECT count(*) AS n FROM {table}"],
            [f"DROP VIEW {schema}.v"],
            ["DROP SCHEMA extra CASCADE"],
        ]
    ):
        try:
            server.sql(sql)
        except adbc_driver_manager.Error:
            pass  # Objects that do not exist cannot change.


@pytest.mark.parametrize("seed", range(2))
def test_the_whole_lake_comes_back_as_one_snapshot(launch, seed):
    server = launch()
    dice = random.Random(seed)
    states = {}
    for _ in range(30):
        change_lake(server, dice)
        try:
            states[current(server)] = lake_of(server)
        except (adbc_driver_manager.Error, pyarrow.ArrowException):
            pass  # A view reads a missing object; another test covers such a state.
    for _ in range(4):
        version, before = dice.choice(list(states)), current(server)
        planned = rollback(server, lake=True, to={"version": version}, dry_run=True)
        assert current(server) == before
        result = rollback(server, lake=True, to={"version": version})
        assert lake_of(server) == states[version]
        assert result["tables"] == planned["tables"]
        assert result["unchanged"] == (result["tables"] == []) == (current(server) == before)
        assert result["snapshot_id"] == current(server) <= before + 1
        states[current(server)] = states[version]
        change_lake(server, dice)


def test_a_schema_comes_back_and_nothing_else(server, name):
    server.sql(f"CREATE SCHEMA {name}")
    for schema in (name, "gold"):
        server.sql(f"CREATE TABLE {schema}.{name} AS SELECT 1 AS i")
    server.sql(f"CREATE VIEW {name}.v AS SELECT i + 1 AS j FROM {name}.{name}")
    version = current(server)
    for schema in (name, "gold"):
        server.sql(f"INSERT INTO {schema}.{name} VALUES (2)")
    server.sql(f"CREATE TABLE {name}.later AS SELECT 1 AS i")
    server.sql(f"DROP VIEW {name}.v")
    result = rollback(server, schema=name, to={"version": version})
    told = [(it["kind"], it["table"], it["change"], it["rows_deleted"]) for it in result["tables"]]
    assert told == [
        ("table", f"{name}.later", "dropped", 1),
        ("table", f"{name}.{name}", "restored", 1),
        ("view", f"{name}.v", "recreated", 0),
    ]
    assert server.sql(f"FROM {name}.v") == [(2,)]
    assert server.scalar(f"SELECT count(*) FROM gold.{name}") == 2
    server.sql(f"DROP SCHEMA {name} CASCADE")
    result = rollback(server, schema=name, to={"version": version})
    assert ("schema", name, "recreated") in [(it["kind"], it["table"], it["change"]) for it in result["tables"]]
    assert server.sql(f"FROM {name}.v") == [(2,)]


def test_a_rollback_of_the_lake_to_the_newest_snapshot_reports_nothing_to_do(server, table):
    newest = current(server)
    result = rollback(server, lake=True, to={"version": newest})
    assert (result["unchanged"], result["tables"], result["snapshot_id"]) == (True, [], newest)
    printed = harness.run("rollback", "--url", server.uri, "--lake", "--version", newest)
    assert printed.returncode == 0, printed.stderr
    assert "nothing to do" in printed.stdout
    assert current(server) == newest


def test_a_rollback_of_the_lake_can_be_rolled_back(launch):
    server = launch()
    server.sql("CREATE TABLE silver.t AS SELECT 1 AS i")
    first, before = current(server), lake_of(server)
    server.sql("CREATE OR REPLACE TABLE silver.t AS SELECT 'x' AS s")
    server.sql("CREATE TABLE silver.u AS SELECT 2 AS i")
    last, after = current(server), lake_of(server)
    rollback(server, lake=True, to={"version": first})
    assert lake_of(server) == before
    rollback(server, lake=True, to={"version": last})
    assert lake_of(server) == after


def test_in_sql_it_is_a_call(server, name):
    server.sql(f"CREATE SCHEMA {name}")
    server.sql(f"CREATE TABLE {name}.t AS SELECT 1 AS i")
    version = current(server)
    server.sql(f"DELETE FROM {name}.t")
    rows = server.sql(f"CALL merganser.rollback(schema => '{name}', version => {version}, dry_run => true)")
    assert json.loads(rows[-1][-1])["tables"][0]["rows_inserted"] == 1
    rows = server.sql(f"CALL merganser.rollback(lake => true, version => {version})")
    assert f"{name}.t" in [it["table"] for it in json.loads(rows[-1][-1])["tables"]]
    assert server.sql(f"FROM {name}.t") == [(1,)]


def test_the_registry_comes_back_only_by_name(launch):
    server = launch()
    server.sql("CREATE TABLE main.experiments AS SELECT 1 AS i")
    version = current(server)
    server.sql("INSERT INTO main.experiments VALUES (2)")
    for scope in ({"lake": True}, {"schema": "main"}):
        assert rollback(server, to={"version": version}, **scope)["unchanged"]
    assert rollback(server, table="main.experiments", to={"version": version})["tables"][0]["rows_deleted"] == 1


def test_a_broken_view_is_refused_by_name(launch):
    server = launch()
    server.sql("CREATE TABLE silver.t AS SELECT 1 AS i")
    server.sql("CREATE VIEW silver.broken AS FROM silver.t")
    server.sql("DROP TABLE silver.t")
    version = current(server)
    server.sql("DROP VIEW silver.broken")
    for _ in range(3):
        with pytest.raises(pyarrow.ArrowException, match="silver.broken"):
            rollback(server, lake=True, to={"version": version})
    assert server.scalar("SELECT current_schema()") == "main", "no connection stays in another schema"
    assert current(server) == version + 1


def test_macros_come_back(launch):
    server = launch()
    server.sql("CREATE TABLE silver.t AS SELECT 1 AS i")
    server.sql("CREATE MACRO gold.plus(a, b := 10, c := DATE '2026-01-31') AS (SELECT max(i) FROM silver.t) + a + b")
    server.sql("CREATE MACRO gold.rows(least, name := 'it''s') AS TABLE SELECT *, name FROM silver.t WHERE i >= least")
    version = current(server)
    server.sql("CREATE OR REPLACE MACRO gold.plus(a) AS a")
    server.sql("DROP MACRO TABLE gold.rows")
    server.sql("CREATE MACRO gold.new(a) AS a")
    planned = rollback(server, lake=True, to={"version": version}, dry_run=True)
    result = rollback(server, lake=True, to={"version": version})
    assert planned["tables"] == result["tables"]
    assert [(it["kind"], it["table"], it["change"]) for it in result["tables"]] == [
        ("macro", "gold.plus", "recreated"),
        ("macro", "gold.rows", "recreated"),
        ("macro", "gold.new", "dropped"),
    ]
    assert server.sql("SELECT gold.plus(1), gold.plus(1, b := 2)") == [(12, 4)]
    assert server.sql("FROM gold.rows(1)") == [(1, "it's")]
    assert rollback(server, lake=True, to={"version": version})["unchanged"]


def test_a_rollback_of_the_lake_beside_writers_restores_it_or_conflicts(launch):
    server = launch()
    for table in ("silver.t", "silver.u"):
        server.sql(f"CREATE TABLE {table} AS SELECT i FROM range(100) r(i)")
    version = current(server)
    server.sql("DELETE FROM silver.t WHERE i < 50")
    server.sql("DELETE FROM silver.u WHERE i < 50")
    stop = threading.Event()

    def write():
        with server.adbc() as connection, connection.cursor() as cursor:
            while not stop.is_set():
                cursor.execute("UPDATE silver.u SET i = -1 WHERE i = 99")
                cursor.execute("UPDATE silver.u SET i = 99 WHERE i = -1")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(2):
            try:
                snapshot = rollback(server, lake=True, to={"version": version})["snapshot_id"]
            # Aborted has no separate class.
            except pyarrow.flight.FlightInternalError as err:
                assert "another transaction has changed rows of the table since this one began" in str(err)
                assert "repeat the transaction" in str(err)
            else:
                sums = server.sql(f"SELECT sum(i) FROM silver.t AT (VERSION => {snapshot})")
                assert sums == server.sql(f"SELECT sum(i) FROM silver.u AT (VERSION => {snapshot})") == [(4950,)]
    finally:
        stop.set()
        writer.join()
    rollback(server, lake=True, to={"version": version})
    assert server.sql("SELECT (SELECT sum(i) FROM silver.t), (SELECT sum(i) FROM silver.u)") == [(4950, 4950)]


@pytest.mark.parametrize(
    ("scope", "error", "text"),
    [
        ({"schema": "never"}, pyarrow.ArrowKeyError, "never"),
        ({"schema": "silver", "lake": True}, pyarrow.ArrowInvalid, "one of"),
        ({"schema": "silver", "table": "silver.t"}, pyarrow.ArrowInvalid, "one of"),
        ({"lake": False}, pyarrow.ArrowInvalid, "table"),
        ({"lake": True, "to": {"version": 999_999}}, pyarrow.ArrowKeyError, "999999"),
        ({"lake": True, "to": {"version": -1}}, pyarrow.ArrowKeyError, "-1"),
    ],
    ids=str,
)
def test_wrong_scopes_are_refused(server, scope, error, text):
    before = current(server)
    with pytest.raises(error, match=text):
        server.action("rollback", {"to": {"version": 1}} | scope)
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
