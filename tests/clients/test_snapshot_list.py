"""The action snapshots: the changes of each snapshot, by name, and which ones are listed."""

import json

import adbc_driver_manager
import pyarrow
import pytest

import harness


def current(server):
    return server.scalar("SELECT id FROM lake.current_snapshot()")


def snapshots(server, **fields):
    return server.result("snapshots", fields)["snapshots"]


def changes_of(server, *statements):
    """The listed changes of the one snapshot of these statements."""
    for sql in statements:
        server.sql(sql)
    [newest] = snapshots(server, limit=1)
    assert newest["snapshot_id"] == current(server)
    return [(change["change"], change["name"], change.get("renamed_from")) for change in newest["changes"]]


def test_every_change_is_listed_by_name(server, name):
    table, other, view, macro = f"silver.{name}", f"silver.{name}_b", f"gold.{name}_v", f"gold.{name}_m"
    assert changes_of(server, f"CREATE TABLE {table} (i BIGINT)") == [("table created", table, None)]
    assert changes_of(server, f"INSERT INTO {table} FROM range(9)") == [("inserted into", table, None)]
    assert changes_of(server, f"DELETE FROM {table} WHERE i > 1") == [("deleted from", table, None)]
    updated = changes_of(server, f"UPDATE {table} SET i = 7 WHERE i = 1")
    assert updated == [("deleted from", table, None), ("inserted into", table, None)]
    assert changes_of(server, f"ALTER TABLE {table} ADD COLUMN j VARCHAR") == [("table altered", table, None)]
    assert changes_of(server, f"COMMENT ON TABLE {table} IS 'x'") == [("table altered", table, None)]
    assert changes_of(server, f"ALTER TABLE {table} RENAME TO {name}_b") == [("table renamed", other, table)]
    assert changes_of(server, f"CREATE VIEW {view} AS FROM {other}") == [("view created", view, None)]
    assert changes_of(server, f"COMMENT ON VIEW {view} IS 'x'") == [("view altered", view, None)]
    assert changes_of(server, f"DROP VIEW {view}") == [("view dropped", view, None)]
    assert changes_of(server, f"CREATE MACRO {macro}(a) AS a + 1") == [("macro created", macro, None)]
    assert changes_of(server, f"DROP MACRO {macro}") == [("macro dropped", macro, None)]
    assert changes_of(server, f"DROP TABLE {other}") == [("table dropped", other, None)]
    assert changes_of(server, f"CREATE SCHEMA {name}") == [("schema created", name, None)]
    assert changes_of(server, f"DROP SCHEMA {name}") == [("schema dropped", name, None)]
    made = changes_of(server, f"CREATE TABLE {table} AS SELECT 1 AS i")
    assert made == [("table created", table, None), ("inserted into", table, None)]


def test_names_are_those_of_the_time(server, name):
    server.sql(f"CREATE TABLE silver.{name} AS SELECT 1 AS i")
    server.sql(f"ALTER TABLE silver.{name} RENAME TO {name}_new")
    server.sql(f"INSERT INTO silver.{name}_new VALUES (2)")
    names = [snapshot["changes"][0]["name"] for snapshot in snapshots(server, limit=3)]
    assert names == [f"silver.{name}_new", f"silver.{name}_new", f"silver.{name}"]


def test_unusual_names_are_listed_unchanged(server, name):
    strange = f'{name} "B", c.d'
    quoted = strange.replace('"', '""')
    assert changes_of(server, f'CREATE TABLE silver."{quoted}" (i INT)') == [("table created", f"silver.{strange}", None)]
    assert changes_of(server, f'DROP TABLE silver."{quoted}"') == [("table dropped", f"silver.{strange}", None)]


def test_a_snapshot_is_listed_with_author_message_time_and_tags(server, table):
    version = current(server)
    server.result("rollback", {"table": f"main.{table}", "to": {"version": version}})
    server.sql(f"INSERT INTO {table} VALUES (1)")
    rolled = server.result("rollback", {"table": f"main.{table}", "to": {"version": version}, "message": "it's wrong"})
    for tag in (f"b-{table}", f"a-{table}"):
        server.action("tag", {"name": tag})
    [newest] = snapshots(server, limit=1)
    [time, schema_version] = server.sql(
        "SELECT snapshot_time::VARCHAR, schema_version FROM lake.snapshots() ORDER BY snapshot_id DESC LIMIT 1"
    )[0]
    assert newest["snapshot_id"] == rolled["snapshot_id"]
    assert newest["message"] == "it's wrong"
    assert newest["author"] == "anonymous"
    assert newest["tags"] == [f"a-{table}", f"b-{table}"]
    assert (newest["time"], newest["schema_version"]) == (time, schema_version)


def test_the_newest_fifty_come_first(server, table):
    for i in range(51):
        server.sql(f"INSERT INTO {table} VALUES ({i})")
    newest = current(server)
    assert [snapshot["snapshot_id"] for snapshot in snapshots(server)] == list(range(newest, newest - 50, -1))
    assert [snapshot["snapshot_id"] for snapshot in snapshots(server, limit=2)] == [newest, newest - 1]
    everything = snapshots(server, limit=10**9)
    assert [snapshot["snapshot_id"] for snapshot in everything] == list(range(newest, -1, -1))


def test_a_tables_snapshots_follow_its_renames(server, name):
    table = f"silver.{name}"
    wanted = []
    for sql in [f"CREATE TABLE {table} (i INT)", f"INSERT INTO {table} VALUES (1)"]:
        server.sql(sql)
        wanted.insert(0, current(server))
        server.sql(f"CREATE OR REPLACE TABLE silver.{name}_other AS SELECT 1 AS i")
    server.sql(f"ALTER TABLE {table} RENAME TO {name}_new")
    server.sql(f"DELETE FROM silver.{name}_new")
    wanted = [current(server), current(server) - 1, *wanted]
    for known in (table, table.upper(), f"silver.{name}_new"):
        assert [snapshot["snapshot_id"] for snapshot in snapshots(server, table=known)] == wanted, known


def test_pages_are_before_and_after_snapshots_tags_and_timestamps(server, name):
    for i in range(4):
        server.sql(f"CREATE OR REPLACE TABLE silver.{name} AS SELECT {i} AS i")
    newest = current(server)
    server.action("tag", {"name": name, "version": newest - 2})
    moment = server.scalar(f"SELECT snapshot_time::VARCHAR FROM lake.snapshots() WHERE snapshot_id = {newest - 2}")
    for target in [{"version": newest - 2}, {"tag": name}, {"timestamp": moment}]:
        targets = [target] + [{"name": str(value)} for value in target.values()]
        for bound in targets:
            assert [it["snapshot_id"] for it in snapshots(server, after=bound)] == [newest, newest - 1], bound
            older = snapshots(server, before=bound, limit=2)
            assert [it["snapshot_id"] for it in older] == [newest - 3, newest - 4], bound
    between = snapshots(server, after={"version": newest - 3}, before={"version": newest})
    assert [it["snapshot_id"] for it in between] == [newest - 1, newest - 2]
    assert snapshots(server, after={"version": newest}) == []
    assert snapshots(server, before={"version": -5}) == []


def test_expired_snapshots_are_not_listed_and_names_stay(launch):
    server = launch()
    server.sql("CREATE TABLE silver.t AS SELECT 1 AS i")
    server.sql("CREATE TABLE silver.gone AS SELECT 1 AS i")
    server.sql("ALTER TABLE silver.t RENAME TO u")
    server.sql("DROP TABLE silver.gone")
    newest = current(server)
    server.sql("INSERT INTO silver.u VALUES (2)")
    server.result("maintain", {"steps": ["expire"], "expire_days": 0, "keep": 2})
    listed = {it["snapshot_id"]: [(c["change"], c["name"]) for c in it["changes"]] for it in snapshots(server)}
    assert listed[newest + 1] == [("inserted into", "silver.u")]
    [(change, dropped)] = listed[newest]
    assert change == "table dropped" and dropped, "its name may be gone with its snapshots"
    assert set(listed) == {newest, newest + 1}


def test_merged_and_rewritten_files_are_listed(launch):
    server = launch()
    server.sql("CREATE TABLE silver.t AS FROM range(100) t(i)")
    server.sql("INSERT INTO silver.t FROM range(100) t(i)")
    server.result("maintain", {"steps": ["merge"]})
    server.sql("DELETE FROM silver.t WHERE i > 5")
    server.result("maintain", {"steps": ["rewrite"], "rewrite_share": 0.1})
    told = [[(c["change"], c["name"]) for c in it["changes"]] for it in snapshots(server, limit=3)]
    assert told == [[("files rewritten", "silver.t")], [("deleted from", "silver.t")], [("files merged", "silver.t")]]


@pytest.mark.parametrize(
    ("fields", "error", "text"),
    [
        ({"table": "silver.absent"}, pyarrow.ArrowKeyError, "absent"),
        ({"table": "absent"}, pyarrow.ArrowInvalid, "schema.name"),
        ({"limit": 0}, pyarrow.ArrowInvalid, "limit"),
        ({"limit": -1}, pyarrow.ArrowInvalid, "limit"),
        ({"before": {}}, pyarrow.ArrowInvalid, "before"),
        ({"before": 3}, pyarrow.ArrowInvalid, "before"),
        ({"after": {"tag": "never"}}, pyarrow.ArrowKeyError, "never"),
        ({"after": {"timestamp": "yesterday-ish"}}, pyarrow.ArrowInvalid, "yesterday-ish"),
        ({"since": 3}, pyarrow.ArrowInvalid, "since"),
    ],
    ids=str,
)
def test_wrong_requests_are_refused(server, fields, error, text):
    with pytest.raises(error, match=text):
        server.action("snapshots", fields)


def test_in_sql_it_is_a_call(server, table):
    [row] = [row for row in server.sql(f"CALL merganser.snapshots('main.{table}', 1)") if row[-1]]
    [snapshot] = json.loads(row[-1])["snapshots"]
    assert snapshot["changes"] == [{"change": "table created", "name": f"main.{table}"}]
    rows = server.sql("CALL merganser.snapshots(before => {'version': 2}, \"limit\" => 1)")
    assert json.loads(rows[-1][-1])["snapshots"][0]["snapshot_id"] == 1


def test_the_command_line_prints_a_table_or_lines_of_json(server, table):
    server.sql(f"INSERT INTO {table} VALUES (1)")
    printed = harness.run("snapshots", "--url", server.uri, "--table", f"main.{table}")
    assert printed.returncode == 0, printed.stderr
    header, *rows = printed.stdout.splitlines()
    assert header.split() == ["snapshot", "time", "author", "tags", "message", "changes"]
    assert [row.split()[0] for row in rows] == [str(current(server)), str(current(server) - 1)]
    assert rows[0].endswith(f"inserted into main.{table}") and rows[1].endswith(f"table created main.{table}")
    arguments = ["--json", "--limit", 1, "--before", current(server), "--after", 0]
    printed = harness.run("snapshots", "--url", server.uri, *arguments)
    last = json.loads(printed.stdout.splitlines()[-1])
    assert last["result"]["snapshots"][0]["snapshot_id"] == current(server) - 1


# === what commits say ===


def last(server):
    return server.sql("SELECT author, commit_message FROM lake.snapshots() ORDER BY snapshot_id DESC LIMIT 1")[0]


def test_a_commit_message_summarises_the_statement_without_values(server, name):
    with server.adbc(username="ada", password="x") as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {name} (i BIGINT, s VARCHAR)")
        assert last(server) == ("ada", f"CREATE TABLE {name} (i BIGINT, s VARCHAR)")
        cursor.execute(f"INSERT INTO {name} VALUES (1, 'a secret') -- that nobody needs to know")
        assert last(server) == ("ada", f"INSERT INTO {name} VALUES (1, '…')")
        cursor.execute(f"UPDATE {name}\n  SET s = ?", ["another one"])
        assert last(server) == ("ada", f"UPDATE {name} SET s = ?")
        cursor.adbc_ingest(name, pyarrow.table({"i": [2], "s": ["x"]}), mode="append")
        assert last(server)[1] == f'ingest into lake."main"."{name}"'


def test_a_message_that_is_too_long_is_refused(server):
    with server.adbc(username="ada", password="x") as connection, connection.cursor() as cursor:
        with pytest.raises(adbc_driver_manager.ProgrammingError, match="cannot have this value"):
            cursor.execute(f"SET commit_message = '{'x' * 2000}'")
