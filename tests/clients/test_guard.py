"""The statement guard: statements that would harm the lake or other clients are rejected in every combination, and leave
no trace in files and other sessions. More statements are in tests/slt/guard.slt and tests/slt/hazards.slt."""

import adbc_driver_manager
import grpc
import pyarrow
import pytest

import wire
from wire import COMMIT

LOGIN = {"username": "ada", "password": "secret"}
REFUSED = grpc.StatusCode.UNIMPLEMENTED
ROWS = pyarrow.table({"i": [1, 2, 3]})


def data_files(server):
    """The files of the lake's tables, by name."""
    return sorted(path.name for path in (server.store / "lake").rglob("*.parquet"))


@pytest.fixture(scope="module")
def kept(server):
    """A table with ten rows, which no test changes."""
    server.sql("CREATE TABLE kept AS SELECT range AS i FROM range(10)")
    return "kept"


@pytest.fixture
def bob(server):
    """Another user's session."""
    with wire.Wire(server, "bob") as connection:
        yield connection


# === DuckLake's functions that remove files ===

# Other spellings are in tests/slt/guard.slt.
REMOVING = {
    "plain": "FROM {f}('lake', cleanup_all => true)",
    "in EXPLAIN ANALYZE": "EXPLAIN ANALYZE FROM {f}('lake', cleanup_all => true)",
    "behind another statement": "SELECT 1; FROM {f}('lake', cleanup_all => true)",
    "in CALL": "CALL {f}('lake', cleanup_all => true)",
}


@pytest.mark.parametrize("sql", REMOVING.values(), ids=REMOVING)
def test_only_the_server_removes_files(server, ada, kept, sql):
    ada.read("PREPARE plain AS SELECT $1")
    before = data_files(server)
    for function in ("ducklake_cleanup_old_files", "ducklake_delete_orphaned_files"):
        with wire.refused(REFUSED):
            ada.read(sql.format(f=function, F=function.upper(), t=kept))
    assert data_files(server) == before
    assert ada.read(f"SELECT count(*) FROM {kept}") == [(10,)]


def test_prepared_statements_do_not_remove_files_either(ada):
    for sql in ("FROM \"ducklake_cleanup_old_files\"('lake', cleanup_all => true)", "FROM query(?)"):
        with wire.refused(REFUSED):
            ada.prepare(sql)


# === DuckLake's and DuckDB's functions that change the lake ===

CHANGING = [
    "ducklake_expire_snapshots('lake', versions => [1])",
    "ducklake_merge_adjacent_files('lake')",
    "ducklake_merge_adjacent_files('lake', 'kept')",
    "ducklake_rewrite_data_files('lake', delete_threshold => 0.1)",
    "ducklake_rewrite_data_files('lake', 'kept')",
    "ducklake_flush_inlined_data('lake')",
    "ducklake_set_option('lake', 'parquet_compression', 'zstd')",
    "ducklake_set_commit_message('lake', 'mallory', 'forged')",
    "ducklake_add_data_files('lake', 'kept', '/tmp/x.parquet')",
    "checkpoint('lake')",
    "force_checkpoint('lake')",
]
# The same under the names that DuckLake gives them in the lake itself.
CHANGING_IN_THE_LAKE = [
    "lake.set_option('parquet_compression', 'zstd')",
    "set_option('data_inlining_row_limit', '100')",
    '"Lake" . silver."Set_Option"(\'parquet_compression\', \'zstd\')',
    "lake.merge_adjacent_files()",
    "merge_adjacent_files()",
    "lake.set_commit_message('mallory', 'forged')",
    "set_commit_message('mallory', 'forged')",
]


def options_of_the_lake(connection):
    return connection.read("SELECT option_name, value FROM lake.options() ORDER BY ALL")


@pytest.mark.parametrize("call", CHANGING + CHANGING_IN_THE_LAKE)
def test_only_the_server_changes_files_snapshots_and_options(server, ada, kept, call):
    before = server.head(), data_files(server), options_of_the_lake(ada)
    for sql in (
        f"FROM {call}",
        f"SELECT (SELECT count(*) FROM {call})",
        f"WITH a AS (FROM {call}) FROM a",
        f"INSERT INTO {kept} SELECT 1 FROM {call}",
        f"CREATE VIEW {kept}_changing AS FROM {call}",
        f"CREATE TEMP MACRO {kept}_changing() AS TABLE FROM {call}",
        f"EXPLAIN ANALYZE FROM {call}",
        f"PREPARE changing AS FROM {call}",
        f"SELECT 1; FROM {call}",
        "FROM query('FROM {}')".format(call.replace("'", "''")),
    ):
        with wire.refused(REFUSED) as said:
            ada.read(sql)
        assert "functions that change the lake are not offered to clients" in said[0]
    with wire.refused(REFUSED):
        ada.read(f"CALL {call}")
    assert (server.head(), data_files(server), options_of_the_lake(ada)) == before
    assert ada.read(f"SELECT count(*) FROM {kept}") == [(10,)]


# === EXPLAIN ===

EXPLAINS = [
    "EXPLAIN (ANALYZE insert) ",
    "EXPLAIN (ANALYZE) ",
    "explain analyze ",
    "/* a */ EXPLAIN /* b */ (FORMAT json, ANALYZE true) ",
    "EXPLAIN ",
]
NOT_EXPLAINED = [
    "COPY (SELECT 1) TO '{path}'",
    "CREATE TEMP TABLE orders AS SELECT 'forged' AS s",
    "CREATE TEMP VIEW orders AS SELECT 'forged' AS s",
    "CREATE TEMP MACRO abs(x) AS 0",
    "SET SESSION schema = 'silver'",
    "SET schema = 'silver'",
    "SET GLOBAL timezone = 'Asia/Tokyo'",
    "SET VARIABLE forged = 1",
    "RESET timezone",
    "USE silver",
    "LOAD httpfs",
    "INSTALL httpfs",
    "ATTACH '{path}' AS other",
    "DROP SCHEMA silver CASCADE",
    "DROP TABLE {table}",
    "ALTER TABLE {table} ADD COLUMN forged INTEGER",
    "CALL lake.set_option('parquet_compression', 'zstd')",
    "PRAGMA enable_profiling",
    "EXPORT DATABASE '{path}'",
    "CHECKPOINT",
    "VACUUM",
    "BEGIN",
    "COMMIT",
    "PREPARE forged AS SELECT 1",
    "EXECUTE plain",
]


@pytest.mark.parametrize("sql", NOT_EXPLAINED)
def test_only_statements_on_rows_are_explained(ada, bob, kept, tmp_path, sql):
    ada.read("PREPARE plain AS SELECT 1")
    for explain in EXPLAINS:
        with wire.refused(REFUSED):
            ada.read(explain + sql.format(path=tmp_path / "out", table=kept))
    assert list(tmp_path.iterdir()) == []
    for connection in (ada, bob):
        assert connection.read(f"SELECT count(*), max(i) FROM {kept}") == [(10, 9)]
        assert connection.read("SELECT current_schema(), getvariable('forged'), abs(-1)") == [("main", None, 1)]


def test_nothing_that_is_explained_stays_on_a_connection_for_the_next_user(launch):
    # One connection, so that the next user certainly gets it.
    server = launch("--max-connections", 1)
    server.sql("CREATE TABLE orders AS SELECT 'true' AS s")
    with wire.Wire(server, "eve") as eve:
        for explain in EXPLAINS:
            for sql in ("CREATE TEMP TABLE orders AS SELECT 'forged' AS s", "SET SESSION schema = 'silver'"):
                with wire.refused(REFUSED):
                    eve.read(explain + sql)
    with wire.Wire(server, "ada") as ada:
        assert ada.read("SELECT s, current_schema() FROM orders") == [("true", "main")]
        assert ada.read("SELECT count(*) FROM duckdb_tables() WHERE temporary") == [(0,)]


def test_statements_on_rows_are_explained(ada, table):
    for explain in EXPLAINS[:-1]:
        [(kind, plan)] = ada.read(f"{explain}INSERT INTO {table} VALUES (1)")
        assert kind == "analyzed_plan" and plan
    [(kind, plan)] = ada.read(f"EXPLAIN INSERT INTO {table} VALUES (1)")
    assert kind == "physical_plan" and "INSERT" in plan
    assert ada.read(f"SELECT count(*) FROM {table}") == [(len(EXPLAINS) - 1,)]
    [(kind, plan)] = ada.read(f"EXPLAIN (ANALYZE insert) WITH a AS (FROM {table}) FROM a")
    assert kind == "analyzed_plan" and plan


# === names of built-in functions and of catalogs ===

MACROS = ["sum(x) AS 0", "to_json(x) AS '{}'", "max(x) AS 0", "now() AS 0", "list(x) AS 0", "range(x) AS TABLE SELECT 0"]


@pytest.mark.parametrize("macro", MACROS)
def test_a_macro_has_no_name_of_a_built_in_function(ada, bob, macro):
    name, rest = macro.split("(", 1)
    quoted = f'"{name.capitalize()}"({rest}'
    for create in (
        f"CREATE MACRO {macro}",
        f"CREATE MACRO lake.main.{macro}",
        f"CREATE OR REPLACE FUNCTION silver.{macro}",
        f"CREATE MACRO IF NOT EXISTS {quoted}",
        f"CREATE TEMP MACRO {macro}",
        f"CREATE OR REPLACE TEMPORARY FUNCTION {quoted}",
    ):
        with wire.refused(REFUSED) as said:
            ada.read(create)
        assert f'"{name}" is a function of DuckDB' in said[0]
    built_in = "SELECT sum(i)::INTEGER, max(i), to_json(2)::VARCHAR, len(list(i)) FROM range(3) t(i)"
    for connection in (ada, bob):
        assert connection.read(built_in) == [(3, 2, "2", 3)]


@pytest.mark.parametrize("schema", ["memory", "Memory", '"system"', "temp", "lake", '"__ducklake_metadata_lake"', "'memory'"])
def test_a_schema_has_no_name_of_a_catalog(ada, schema):
    before = ada.read("SELECT schema_name FROM duckdb_schemas() ORDER BY ALL")
    for create in ("CREATE SCHEMA", "CREATE SCHEMA IF NOT EXISTS", "CREATE OR REPLACE SCHEMA"):
        for name in (schema, f"lake.{schema}"):
            with wire.refused(REFUSED) as said:
                ada.read(f"{create} {name}")
            assert "is the name of a catalog" in said[0]
    assert ada.read("SELECT schema_name FROM duckdb_schemas() ORDER BY ALL") == before


# === other catalogs ===

CATALOGS = ["memory", '"Memory"', "system", '"__ducklake_metadata_lake"', "__DUCKLAKE_metadata_lake"]
WRITES = [
    "CREATE TABLE {c}.main.x AS SELECT 1 AS i",
    "CREATE TABLE {c}.x (i INTEGER)",
    "CREATE OR REPLACE TABLE IF NOT EXISTS {c}.x (i INTEGER)",
    "CREATE VIEW {c}.main.x AS SELECT 1",
    "CREATE VIEW {c}.x AS SELECT 1",
    "CREATE MACRO {c}.main.x(a) AS a",
    "CREATE MACRO {c}.x(a) AS a",
    "CREATE SCHEMA {c}.x",
    "CREATE SEQUENCE {c}.main.x",
    "CREATE TYPE {c}.main.x AS ENUM ('a')",
    "INSERT INTO {c}.main.ducklake_table FROM {c}.main.ducklake_table",
    "INSERT INTO {c}.ducklake_table FROM {c}.ducklake_table",
    "WITH a AS (SELECT 1) INSERT INTO {c} . main . ducklake_tag FROM a",
    "UPDATE {c}.main.ducklake_snapshot SET snapshot_id = 0",
    "UPDATE {c}.ducklake_snapshot SET snapshot_id = 0",
    "DELETE FROM {c}.main.ducklake_snapshot",
    "DELETE FROM {c}.ducklake_snapshot",
    "TRUNCATE {c}.main.ducklake_snapshot",
    "MERGE INTO {c}.main.ducklake_snapshot USING (SELECT 1) ON true WHEN MATCHED THEN DELETE",
    "EXPLAIN ANALYZE DELETE FROM {c}.main.ducklake_snapshot",
    "EXPLAIN (ANALYZE insert) DELETE FROM {c}.main.ducklake_snapshot",
    "PREPARE p AS DELETE FROM {c}.main.ducklake_snapshot",
    "SELECT 1; DELETE FROM {c}.main.ducklake_snapshot",
    "ALTER TABLE {c}.main.ducklake_snapshot ADD COLUMN x INTEGER",
    "ALTER TABLE {c}.main.ducklake_snapshot RENAME TO x",
    "COMMENT ON TABLE {c}.main.ducklake_snapshot IS 'x'",
    "COMMENT ON COLUMN {c}.main.ducklake_snapshot.snapshot_id IS 'x'",
    "DROP TABLE {c}.main.ducklake_snapshot",
    "DROP TABLE IF EXISTS {c}.ducklake_snapshot CASCADE",
    "DROP SCHEMA {c}.main CASCADE",
]


@pytest.mark.parametrize("sql", WRITES)
def test_clients_write_to_the_lake_only(server, ada, sql):
    before = server.head()
    for catalog in CATALOGS:
        with wire.refused(REFUSED) as said:
            ada.read(sql.format(c=catalog))
        assert "is not in the lake" in said[0]
    elsewhere = "SELECT table_name FROM duckdb_tables() WHERE database_name IN ('memory', 'system') UNION ALL "
    elsewhere += "SELECT view_name FROM duckdb_views() WHERE database_name IN ('memory', 'system') AND NOT internal"
    assert ada.read(elsewhere) == []
    assert server.head() == before


@pytest.mark.parametrize("catalog", ["memory", "system", "__ducklake_metadata_lake", "nowhere"])
def test_clients_ingest_into_the_lake_only(server, name, catalog):
    with server.adbc(**LOGIN) as connection, connection.cursor() as cursor:
        for mode in ("create", "append", "replace", "create_append"):
            with pytest.raises(adbc_driver_manager.ProgrammingError, match=f'catalog "{catalog}" does not exist for tables'):
                cursor.adbc_ingest(name, ROWS, mode=mode, catalog_name=catalog, db_schema_name="main")
    assert server.sql(f"SELECT 1 FROM duckdb_tables() WHERE table_name = '{name}'") == []


# === renames ===


def in_a_transaction(connection, *statements):
    """Runs the statements in a transaction of the driver, and commits it."""
    transaction = connection.begin()
    for statement in statements:
        connection.read(statement, transaction)
    connection.end(transaction, COMMIT)


def test_what_a_transaction_made_is_altered_and_renamed_in_it(launch):
    server = launch()
    checks = {
        "FROM v2": [(1,)],
        "SELECT comment FROM duckdb_views() WHERE view_name = 'v2'": [("a view",)],
        "FROM parted2 ORDER BY i": [(1, 2), (2, 3)],
        "SELECT count(*) FROM ducklake_list_files('lake', 'parted2')": [(2,)],
        "FROM altered3": [(1, None)],
        "SELECT comment FROM duckdb_tables() WHERE table_name = 'altered3'": [("a table",)],
        "SELECT count(*) FROM duckdb_tables() WHERE table_name IN ('parted', 'altered', 'altered2')": [(0,)],
        "SELECT count(*) FROM duckdb_views() WHERE view_name = 'v'": [(0,)],
    }

    def check():
        for sql, expected in checks.items():
            assert server.sql(sql) == expected, sql

    with wire.Wire(server, "ada") as ada:
        in_a_transaction(ada, "CREATE VIEW v AS SELECT 1 AS x", "COMMENT ON VIEW v IS 'a view'", "ALTER VIEW v RENAME TO v2")
        in_a_transaction(
            ada,
            "CREATE TABLE parted (i INTEGER, j INTEGER)",
            "ALTER TABLE parted SET PARTITIONED BY (i)",
            "ALTER TABLE parted RENAME TO parted2",
            "INSERT INTO parted2 VALUES (1, 2), (2, 3)",
        )
        in_a_transaction(
            ada,
            "CREATE TABLE altered AS SELECT 1 AS i",
            "ALTER TABLE altered RENAME TO altered2",
            "ALTER TABLE altered2 ADD COLUMN j INTEGER",
            "COMMENT ON TABLE altered2 IS 'a table'",
            "ALTER TABLE altered2 RENAME TO altered3",
        )
    check()
    server.restart()
    check()
