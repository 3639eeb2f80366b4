"""The action diff: the tables, columns and rows that differ between two snapshots, and the query for those rows."""

import collections
import json
import random

import adbc_driver_manager
import pyarrow
import pyarrow.flight
import pytest

import harness
import protobuf


def current(server):
    return server.scalar("SELECT id FROM lake.current_snapshot()")


def version(number):
    return {"version": number}


def diff(server, **fields):
    return server.result("diff", fields)["tables"]


def rows_of(server, sql):
    """The rows of a query as dicts."""
    with server.adbc() as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetch_arrow_table().to_pylist()


def counts(table):
    return table["rows_inserted"], table["rows_deleted"], table["rows_updated"]


def changed_rows(server, table):
    """The rows of a table's difference without their ids, sorted, and the reported numbers."""
    rows = rows_of(server, table["sql"])
    told = collections.Counter(row["change"] for row in rows)
    assert counts(table) == (told["insert"], told["delete"], told["update_postimage"])
    assert told["update_preimage"] == told["update_postimage"]
    for row in rows:
        del row["rowid"]
    return sorted(rows, key=lambda row: json.dumps(row, default=str))


@pytest.fixture
def states(server, name):
    """A table with two versions, between which rows were inserted, deleted and updated."""
    table = f"silver.{name}"
    server.sql(f"CREATE TABLE {table} AS SELECT i AS id, 'a' AS text FROM range(5) t(i)")
    first = current(server)
    server.sql(f"UPDATE {table} SET text = 'b' WHERE id = 1")
    server.sql(f"DELETE FROM {table} WHERE id = 2")
    server.sql(f"INSERT INTO {table} VALUES (7, 'n'), (8, 'n')")
    server.sql(f"DELETE FROM {table} WHERE id = 8")
    return table, first, current(server)


def test_rows_that_came_went_and_changed_are_counted_and_can_be_read(server, states):
    table, first, last = states
    [found] = diff(server, table=table, **{"from": version(first)}, to=version(last))
    assert (found["table"], found["change"], found["schema_changes"]) == (table, "changed", [])
    assert counts(found) == (1, 1, 1)
    assert changed_rows(server, found) == [
        {"change": "delete", "id": 2, "text": "a"},
        {"change": "insert", "id": 7, "text": "n"},
        {"change": "update_postimage", "id": 1, "text": "b"},
        {"change": "update_preimage", "id": 1, "text": "a"},
    ]


def test_both_images_of_a_row_have_its_id(server, states):
    table, first, _ = states
    ids = dict(server.sql(f"SELECT id, rowid FROM {table} AT (VERSION => {first})"))
    [found] = diff(server, table=table, **{"from": version(first)})
    told = {row["change"]: row["rowid"] for row in rows_of(server, found["sql"])}
    assert told["delete"] == ids[2]
    assert told["update_preimage"] == told["update_postimage"] == ids[1]


def test_the_other_direction_is_the_way_back(server, states):
    table, first, last = states
    [found] = diff(server, table=table, **{"from": version(last)}, to=version(first))
    assert changed_rows(server, found) == [
        {"change": "delete", "id": 7, "text": "n"},
        {"change": "insert", "id": 2, "text": "a"},
        {"change": "update_postimage", "id": 1, "text": "a"},
        {"change": "update_preimage", "id": 1, "text": "b"},
    ]


def test_by_default_the_newest_snapshot_is_compared_with_the_one_before(server, states):
    table, _, last = states
    result = server.result("diff", {"table": table})
    assert (result["from"], result["to"]) == (last - 1, last)
    assert counts(result["tables"][0]) == (0, 1, 0)
    assert server.result("diff", {"to": version(last - 1)})["from"] == last - 2


def test_equal_states_have_no_difference(server, states):
    table, first, last = states
    [found] = diff(server, table=table, **{"from": version(last)}, to=version(last))
    assert (found["change"], counts(found), rows_of(server, found["sql"])) == ("unchanged", (0, 0, 0), [])
    assert diff(server, **{"from": version(last)}, to=version(last)) == []
    server.action("rollback", {"table": table, "to": version(first)})
    [found] = diff(server, table=table, **{"from": version(first)})
    assert found["change"] == "unchanged", "rows that a rollback brings have new ids, and the same values"


def test_an_update_that_changes_nothing_is_no_change(server, states):
    table, _, last = states
    server.sql(f"UPDATE {table} SET text = text")
    assert diff(server, **{"from": version(last)}) == []


def test_equal_rows_are_listed_as_often_as_they_were_added_or_removed(server, name):
    table = f"silver.{name}"
    server.sql(f"CREATE TABLE {table} AS SELECT 1 AS i FROM range(5)")
    first = current(server)
    server.sql(f"DELETE FROM {table}")
    server.sql(f"INSERT INTO {table} SELECT 1 FROM range(3)")
    [found] = diff(server, table=table, **{"from": version(first)})
    assert changed_rows(server, found) == [{"change": "delete", "i": 1}] * 2


def test_columns_are_those_of_both_sides(server, name):
    table = f"silver.{name}"
    server.sql(f"CREATE TABLE {table} (id INTEGER, old VARCHAR, gone DATE, kept DOUBLE DEFAULT 1)")
    server.sql(f"INSERT INTO {table} VALUES (1, 'a', '2024-01-01', 0), (2, 'b', NULL, 0), (3, 'c', NULL, 0)")
    first = current(server)
    for change in [
        "RENAME COLUMN old TO new",
        "DROP COLUMN gone",
        "ADD COLUMN gone INTEGER DEFAULT 5",
        "ALTER COLUMN id SET DATA TYPE BIGINT",
        "ALTER COLUMN kept SET DEFAULT 2",
    ]:
        server.sql(f"ALTER TABLE {table} {change}")
    server.sql(f"UPDATE {table} SET new = 'x' WHERE id = 1")
    server.sql(f"DELETE FROM {table} WHERE id = 2")
    [found] = diff(server, table=table, **{"from": version(first)})
    told = {(change["change"], change.get("column")): (change.get("from"), change.get("to")) for change in found["schema_changes"]}
    assert told == {
        ("renamed", "new"): ("old", "new"),
        ("dropped", "gone"): ("DATE", None),
        ("added", "gone"): (None, "INTEGER"),
        ("retyped", "id"): ("INTEGER", "BIGINT"),
        ("altered", "kept"): ("DEFAULT '1'", "DEFAULT '2'"),
    }
    [deleted, after, before] = changed_rows(server, found)
    assert (deleted["change"], deleted["id"], deleted["new"], deleted["gone"], deleted["gone_1"]) == ("delete", 2, "b", None, None)
    assert (after["id"], after["new"], after["gone"], after["gone_1"]) == (1, "x", 5, None)
    assert (before["id"], before["new"], before["gone"], str(before["gone_1"])) == (1, "a", None, "2024-01-01")
    [back] = diff(server, table=table, **{"from": version(current(server))}, to=version(first))
    assert [row["old"] for row in changed_rows(server, back)] == ["b", "a", "x"]


def test_nested_columns_may_change_their_parts(server, name):
    table = f"silver.{name}"
    server.sql(f"CREATE TABLE {table} AS SELECT 1 AS id, {{'a': 1, 'b': 'x'}} AS s")
    first = current(server)
    server.sql(f"ALTER TABLE {table} DROP COLUMN s.a")
    server.sql(f"ALTER TABLE {table} RENAME COLUMN s.b TO c")
    server.sql(f"UPDATE {table} SET id = 2")
    [found] = diff(server, table=table, **{"from": version(first)})
    assert [(c["change"], c["column"]) for c in found["schema_changes"]] == [("retyped", "s")]
    [after, before] = changed_rows(server, found)
    assert (json.loads(after["s"]), json.loads(before["s"])) == ({"c": "x"}, {"a": 1, "b": "x"})


@pytest.mark.parametrize("columns", ['"change" INTEGER, e INTEGER', "rowid INTEGER", "snapshot_id INTEGER, id INTEGER, r INTEGER, old INTEGER"])
def test_columns_may_have_any_name(server, name, columns):
    table = f'silver."{name} ""x""\'s"'
    server.sql(f"CREATE TABLE {table} (k INTEGER, {columns})")
    width = columns.count("INTEGER")
    server.sql(f"INSERT INTO {table} VALUES (1{', 5' * width}), (2{', 5' * width})")
    first = current(server)
    server.sql(f"DELETE FROM {table} WHERE k = 1")
    server.sql(f"INSERT INTO {table} VALUES (3{', 6' * width})")
    [found] = diff(server, table=f"silver.{name} \"x\"'s", **{"from": version(first)})
    assert counts(found) == (1, 1, 0)
    rows = rows_of(server, found["sql"])
    assert sorted((row["change"], row["k"], *list(row.values())[3:]) for row in rows) == [
        ("delete", 1, *[5] * width),
        ("insert", 3, *[6] * width),
    ]


def test_tables_that_one_side_alone_has(server, name):
    table = f"silver.{name}"
    before = current(server)
    server.sql(f"CREATE TABLE {table} AS SELECT 1 AS i, 'x' AS \"change\"")
    made = current(server)
    server.sql(f"DROP TABLE {table}")
    [found] = diff(server, table=table, **{"from": version(before)}, to=version(made))
    assert (found["change"], changed_rows(server, found)) == ("created", [{"change": "insert", "i": 1, "change_1": "x"}])
    for fields in ({"table": table}, {}):
        [found] = diff(server, **fields)
        assert (found["table"], found["change"]) == (table, "dropped")
        assert changed_rows(server, found) == [{"change": "delete", "i": 1, "change_1": "x"}]


def test_a_renamed_table_is_the_same_table(server, states, name):
    table, first, _ = states
    server.sql(f"ALTER TABLE {table} RENAME TO {name}_new")
    for asked in (table, f"{table}_new", f"{table}_NEW"):
        [found] = diff(server, table=asked, **{"from": version(first)})
        assert (found["table"], found["renamed_from"], found["change"]) == (f"{table}_new", table, "changed")
        assert counts(found) == (1, 1, 1)


def test_another_table_of_the_same_name_is_compared_by_values(server, name):
    table = f"silver.{name}"
    server.sql(f"CREATE TABLE {table} AS SELECT i AS id, 'a' AS text FROM range(3) t(i)")
    first = current(server)
    server.sql(f"CREATE OR REPLACE TABLE {table} AS SELECT i AS id, 'a' AS text FROM range(1, 4) t(i)")
    [found] = diff(server, table=table, **{"from": version(first)})
    assert found["change"] == "replaced"
    assert changed_rows(server, found) == [
        {"change": "delete", "id": 0, "text": "a"},
        {"change": "insert", "id": 3, "text": "a"},
    ]


def test_the_whole_lake_is_one_entry_a_table(launch):
    server = launch()
    for table in ("silver.a", "silver.b", "gold.c", "gold.still"):
        server.sql(f"CREATE TABLE {table} AS SELECT 1 AS i")
    first = current(server)
    server.action("tag", {"name": "before"})
    for sql in [
        "INSERT INTO silver.a VALUES (2)",
        "DROP TABLE silver.b",
        "ALTER TABLE gold.c RENAME TO d",
        "CREATE TABLE raw.new AS SELECT 1 AS i",
        "CREATE VIEW gold.v AS SELECT 1 AS i",
        "COMMENT ON TABLE silver.a IS 'x'",
        "CREATE TABLE raw.short AS SELECT 1 AS i",
        "DROP TABLE raw.short",
    ]:
        server.sql(sql)
    result = server.result("diff", {"from": {"tag": "before"}})
    assert (result["from"], result["to"]) == (first, current(server))
    told = [(table["table"], table["change"], *counts(table)) for table in result["tables"]]
    assert told == [
        ("gold.d", "changed", 0, 0, 0),
        ("raw.new", "created", 1, 0, 0),
        ("silver.a", "changed", 1, 0, 0),
        ("silver.b", "dropped", 0, 1, 0),
    ]
    assert [change["change"] for change in result["tables"][2]["schema_changes"]] == ["comments"]


def random_change(dice, table):
    key = dice.randrange(30)
    return dice.choice([
        f"INSERT INTO {table} SELECT i, 'n{key}', i / 3 FROM range({key}, {key + dice.randrange(1, 9)}) t(i)",
        f"INSERT INTO {table} FROM {table} WHERE id % 3 = {key % 3}",
        f"UPDATE {table} SET text = 'u{key}' WHERE id % 5 = {key % 5}",
        f"UPDATE {table} SET id = id + 1 WHERE id < {key}",
        f"DELETE FROM {table} WHERE id % 4 = {key % 4}",
        f"DELETE FROM {table} WHERE rowid % 7 = {key % 7}",
        f"CREATE OR REPLACE TABLE {table} AS FROM {table} WHERE id <> {key}",
        f"CALL merganser.maintain(['merge'], '{table}')",
        f"CALL merganser.maintain(['rewrite'], '{table}', rewrite_share => 0.1)",
    ])



@pytest.mark.parametrize("seed", range(4))
def test_the_difference_leads_from_any_state_to_any_other(server, name, seed):
    """One side without the deleted rows and with the inserted ones is the other side; and no row is in both."""
    dice = random.Random(seed)
    table = f"silver.{name}"
    server.sql(f"CREATE TABLE {table} AS SELECT i AS id, 'a' AS text, i / 2 AS half FROM range(20) t(i)")
    versions = [current(server)]
    for _ in range(12):
        server.sql(random_change(dice, table))
        versions.append(current(server))

    def state(at):
        return collections.Counter(server.sql(f"SELECT id, text, half FROM {table} AT (VERSION => {at})"))

    for _ in range(8):
        one, other = dice.choice(versions), dice.choice(versions)
        [found] = diff(server, table=table, **{"from": version(one)}, to=version(other))
        rows = changed_rows(server, found)
        values = collections.defaultdict(collections.Counter)
        for row in rows:
            values[row["change"]][row["id"], row["text"], row["half"]] += 1
        goes, comes = values["delete"] + values["update_preimage"], values["insert"] + values["update_postimage"]
        assert state(one) - goes + comes == state(other), (one, other)
        assert goes <= state(one)
        assert not values["delete"] & values["insert"]
        assert bool(rows) or state(one) == state(other)


@pytest.mark.parametrize(
    ("fields", "error", "text"),
    [
        ({"from": {"version": 999_999}}, pyarrow.ArrowKeyError, "999999"),
        ({"to": {"version": 999_999}}, pyarrow.ArrowKeyError, "999999"),
        ({"from": {"version": -1}}, pyarrow.ArrowKeyError, "-1"),
        ({"from": {"tag": "never"}}, pyarrow.ArrowKeyError, "never"),
        ({"from": {"timestamp": "2999-01-01 00:00:00+00"}}, pyarrow.ArrowInvalid, "future"),
        ({"from": {"timestamp": "yesterday-ish"}}, pyarrow.ArrowInvalid, "yesterday-ish"),
        ({"from": {"name": "yesterday-ish"}}, pyarrow.ArrowKeyError, "yesterday-ish"),
        ({"from": {}}, pyarrow.ArrowInvalid, "from"),
        ({"from": 3}, pyarrow.ArrowInvalid, "from"),
        ({"to": {"version": 0}}, pyarrow.ArrowKeyError, "before 0"),
        ({"table": "silver.absent"}, pyarrow.ArrowKeyError, "absent"),
        ({"table": "absent"}, pyarrow.ArrowInvalid, "schema.name"),
    ],
    ids=str,
)
def test_wrong_requests_are_refused(server, fields, error, text):
    with pytest.raises(error, match=text):
        server.action("diff", fields)


def test_a_view_is_refused(server, name):
    server.sql(f"CREATE VIEW gold.{name} AS SELECT 1 AS i")
    with pytest.raises(pyarrow.ArrowNotImplementedError, match="view"):
        server.action("diff", {"table": f"gold.{name}"})


def test_an_expired_snapshot_is_not_found(launch):
    server = launch()
    server.sql("CREATE TABLE silver.t AS SELECT 1 AS i")
    first = current(server)
    server.sql("INSERT INTO silver.t VALUES (2)")
    server.result("tag", {"name": "before", "version": first - 1})
    [done] = server.result("maintain", {"steps": ["expire"], "expire_days": 0})["done"]
    assert str(first) in map(str, done["snapshots"])
    with pytest.raises(pyarrow.ArrowKeyError, match="expired"):
        server.action("diff", {"from": version(first)})
    [found] = diff(server, table="silver.t")
    assert (found["change"], counts(found)) == ("created", (2, 0, 0)), "the snapshot before is the last that is left"


def flight_of(server, descriptor):
    """The rows of a Flight as dicts, with the columns that were announced before."""
    with server.flight() as client:
        told = client.get_schema(descriptor).schema
        info = client.get_flight_info(descriptor)
        rows = client.do_get(info.endpoints[0].ticket).read_all()
    assert rows.schema == info.schema == told
    return rows.to_pylist()


def test_the_rows_are_a_flight(server, states):
    table, first, last = states
    request = {"table": table, "from": version(first), "to": version(last)}
    [found] = diff(server, **request)
    by_path = pyarrow.flight.FlightDescriptor.for_path("diff", json.dumps(request))
    target = protobuf.message((1, last))
    packed = protobuf.pack(protobuf.MERGANSER + "DiffRequest", protobuf.message((1, table), (3, target)))
    by_command = pyarrow.flight.FlightDescriptor.for_command(packed)
    key = lambda row: (row["rowid"], row["change"])
    assert sorted(flight_of(server, by_path), key=key) == sorted(rows_of(server, found["sql"]), key=key)
    [last_change] = diff(server, table=table)
    assert flight_of(server, by_command) == rows_of(server, last_change["sql"]) != []


@pytest.mark.parametrize(
    "path, error, text",
    [
        (("diff", "{}"), pyarrow.ArrowInvalid, "specify"),
        (("diff", '{"table": "silver.nosuch"}'), pyarrow.ArrowKeyError, "silver.nosuch"),
        (("diff", '{"table": "silver.x", "form": {}}'), pyarrow.ArrowInvalid, "form"),
        (("diff", '{"table": "silver.x", "from": {"version": 10000000}}'), pyarrow.ArrowKeyError, "does not exist"),
        (("diff",), pyarrow.ArrowInvalid, "a path is"),
        (("rollback", "{}"), pyarrow.ArrowNotImplementedError, "DoAction"),
        (("nosuch", "{}"), pyarrow.ArrowInvalid, "a path is"),
    ],
)
def test_a_flight_that_there_is_not_is_refused(server, path, error, text):
    descriptor = pyarrow.flight.FlightDescriptor.for_path(*path)
    with server.flight() as client:
        for call in (client.get_flight_info, client.get_schema):
            with pytest.raises(error, match=text):
                call(descriptor)
        with pytest.raises(pyarrow.ArrowInvalid):
            writer, _ = client.do_put(descriptor, pyarrow.schema([]))
            writer.close()


def test_a_table_that_is_another_one_now_is_no_flight(server, name):
    table, moved = f"silver.{name}", f"silver.{name}_moved"
    server.sql(f"CREATE TABLE {table} AS SELECT 1 AS i")
    first = current(server)
    server.sql(f"ALTER TABLE {table} RENAME TO {name}_moved")
    server.sql(f"CREATE TABLE {table} AS SELECT 2 AS i")
    request = json.dumps({"table": table, "from": version(first)})
    with server.flight() as client, pytest.raises(pyarrow.ArrowInvalid, match="a query for each"):
        client.get_flight_info(pyarrow.flight.FlightDescriptor.for_path("diff", request))
    rows = flight_of(server, pyarrow.flight.FlightDescriptor.for_path("diff", json.dumps({"table": moved})))
    assert rows == []


def test_in_sql_it_is_a_call(server, states):
    table, first, last = states
    for arguments in (f"'{table}', {{'version': {first}}}, {{'version': {last}}}", f"'{table}', \"from\" => {{'version': {first}}}"):
        rows = server.sql(f"CALL merganser.diff({arguments})")
        [found] = json.loads(rows[-1][-1])["tables"]
        assert counts(found) == (1, 1, 1)
    with pytest.raises(adbc_driver_manager.ProgrammingError, match="version"):
        server.sql("CALL merganser.diff(version => 3)")


def test_the_command_line_prints_counts_and_queries(server, states):
    table, first, last = states
    server.sql(f"ALTER TABLE {table} ADD COLUMN more INTEGER")
    printed = harness.run("diff", "--url", server.uri, table, "--from", first, "--to", str(last + 1))
    assert printed.returncode == 0, printed.stderr
    header, row, end = printed.stdout.splitlines()
    assert row.split() == [table, "changed", "1", "1", "1", "more", "added", "(INTEGER)"]
    assert end == f"from snapshot {first} to snapshot {last + 1}"
    query = harness.run("diff", "--url", server.uri, table, "--from", first, "--sql").stdout
    rows = harness.run("sql", "--url", server.uri, "--format", "csv", query).stdout.splitlines()
    assert rows[0] == "change,rowid,id,text,more" and len(rows) == 5
    lines = harness.run("diff", "--url", server.uri, table, "--from", first, "--json").stdout.splitlines()
    assert json.loads(lines[-1])["result"]["tables"][0]["rows_updated"] == 1
