"""The statement guard: statements that would harm the lake or other clients are rejected in every spelling, and no
others."""

import adbc_driver_manager
import grpc
import pyarrow
import pytest

import wire
from wire import COMMIT, ROLLBACK

LOGIN = {"username": "ada", "password": "secret"}
INVALID = grpc.StatusCode.INVALID_ARGUMENT
MISSING = grpc.StatusCode.NOT_FOUND
REFUSED = grpc.StatusCode.UNIMPLEMENTED
NOT_NOW = grpc.StatusCode.FAILED_PRECONDITION
ROWS = pyarrow.table({"i": [1, 2, 3]})


def is_missing(connection, relation):
    """Whether a table or view does not exist."""
    with wire.refused(MISSING):
        connection.query(f"FROM {relation}")
    return True


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

REMOVING = {
    "plain": "FROM {f}('lake', cleanup_all => true)",
    "upper case": "SELECT * FROM {F}('lake', cleanup_all => true)",
    "quoted": "FROM \"{f}\"('lake', cleanup_all => true)",
    "quoted in upper case": "FROM \"{F}\" ('lake', cleanup_all => true)",
    "with a schema": "FROM main.{f}('lake', cleanup_all => true)",
    "with catalog and schema": "FROM system.\"main\" . \"{f}\"('lake', cleanup_all => true)",
    "behind a comment": "FROM {f}/* ( */('lake', cleanup_all => true)",
    "in a subquery": "SELECT (SELECT count(*) FROM {f}('lake', cleanup_all => true))",
    "in WITH": "WITH gone AS (FROM {f}('lake', cleanup_all => true)) FROM gone",
    "in query()": "FROM query('FROM {f}(''lake'', cleanup_all => true)')",
    "in query() with dollar quotes": "FROM \"query\"($$FROM \"{f}\"('lake', cleanup_all => true)$$)",
    "in query() in query()": "FROM query('FROM query(''FROM {f}(''''lake'''', cleanup_all => true)'')')",
    "in query() of texts put together": "FROM query('FROM {f}' || '(''lake'', cleanup_all => true)')",
    "in query() of a variable": "FROM query(getvariable('removing'))",
    "serialized": "FROM json_execute_serialized_sql(json_serialize_sql('FROM {f}(''lake'', cleanup_all => true)'))",
    "in EXPLAIN ANALYZE": "EXPLAIN ANALYZE FROM {f}('lake', cleanup_all => true)",
    "in EXPLAIN with options": "EXPLAIN (ANALYZE insert) FROM \"{f}\"('lake', cleanup_all => true)",
    "in INSERT": "INSERT INTO {t} SELECT 1 FROM {f}('lake', cleanup_all => true)",
    "in CREATE TABLE": "CREATE TABLE {t}_gone AS FROM {f}('lake', cleanup_all => true)",
    "in a view": "CREATE VIEW {t}_gone AS FROM \"{f}\"('lake', cleanup_all => true)",
    "in a TEMP view": "CREATE TEMP VIEW {t}_gone AS FROM query('FROM {f}(''lake'', cleanup_all => true)')",
    "in a macro": "CREATE MACRO {t}_gone() AS TABLE FROM \"{f}\"('lake', cleanup_all => true)",
    "in a TEMP macro": "CREATE TEMP MACRO {t}_gone() AS TABLE FROM query('FROM {f}(''lake'', cleanup_all => true)')",
    "in a macro that runs a text": "CREATE MACRO {t}_gone(text) AS TABLE FROM query(text)",
    "in SET VARIABLE": "SET VARIABLE gone = (SELECT count(*) FROM {f}('lake', cleanup_all => true))",
    "in PREPARE": "PREPARE gone AS FROM {f}('lake', cleanup_all => true)",
    "in a value of EXECUTE": "EXECUTE plain((SELECT count(*) FROM {f}('lake', cleanup_all => true)))",
    "behind another statement": "SELECT 1; FROM {f}('lake', cleanup_all => true)",
    "behind EXPLAIN ANALYZE in another statement": "SELECT 1; EXPLAIN ANALYZE FROM {f}('lake', cleanup_all => true)",
    "in CALL": "CALL {f}('lake', cleanup_all => true)",
    "in PRAGMA": "PRAGMA {f}('lake')",
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


def test_what_only_names_such_a_function_is_run(ada, table):
    columns = "'ducklake_cleanup_old_files(1)' AS name, i AS ducklake_cleanup_old_files"
    ada.read(f"CREATE VIEW {table}_view AS SELECT {columns} FROM {table}")
    assert ada.read(f"FROM {table}_view") == []
    assert ada.read("FROM query('SELECT 42')") == [(42,)]
    assert ada.read("FROM query($$SELECT 'x' || 'y'$$)") == [("xy",)]


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


def test_functions_that_only_read_the_lake_are_run(ada, kept):
    files = f"ducklake_list_files('lake', '{kept}')"
    for call in ("lake.snapshots()", "ducklake_snapshots('lake')", "lake.options()", "lake.table_info()", files):
        assert ada.read(f"SELECT count(*) > 0 FROM {call}") == [(True,)]


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


def test_explain_is_not_explained(ada):
    for explain in EXPLAINS:
        for explained in ("EXPLAIN SELECT 1", "EXPLAIN ANALYZE SELECT 1"):
            with wire.refused(INVALID) as said:
                ada.read(explain + explained)
            assert "syntax error" in said[0]


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


def test_a_macro_of_another_name_is_made_and_used(server, ada, bob, name):
    ada.read(f"CREATE MACRO {name}_sum(x) AS sum(x) + 1")
    ada.read(f"CREATE TEMP MACRO {name}_max(x) AS max(x) + 1")
    assert ada.read(f"SELECT {name}_sum(i)::INTEGER, {name}_max(i) FROM range(3) t(i)") == [(4, 3)]
    assert bob.read(f"SELECT {name}_sum(i)::INTEGER FROM range(3) t(i)") == [(4,)]


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
            with pytest.raises(adbc_driver_manager.ProgrammingError, match=f'no catalog "{catalog}" accepts tables'):
                cursor.adbc_ingest(name, ROWS, mode=mode, catalog_name=catalog, db_schema_name="main")
    assert server.sql(f"SELECT 1 FROM duckdb_tables() WHERE table_name = '{name}'") == []


def test_the_lake_and_temp_objects_are_written_by_their_full_names(ada, bob, name):
    ada.read(f"CREATE TABLE lake.main.{name} AS SELECT 1 AS i")
    ada.read(f"INSERT INTO LAKE.\"main\".{name} VALUES (2)")
    ada.read(f"CREATE TEMP TABLE {name}_temp AS SELECT 1 AS i")
    ada.read(f"INSERT INTO temp.main.{name}_temp VALUES (2)")
    ada.read(f"DELETE FROM temp.{name}_temp WHERE i = 1")
    assert bob.read(f"FROM {name} ORDER BY i") == [(1,), (2,)]
    assert ada.read(f"FROM {name}_temp") == [(2,)]


def test_tables_may_be_called_like_catalogs(ada, name):
    ada.read(f"CREATE SCHEMA {name}")
    for table in ("memory", "system", "lake"):
        ada.read(f"CREATE TABLE {name}.{table} AS SELECT 1 AS i")
        ada.read(f"INSERT INTO {name}.{table} VALUES (2)")
        assert ada.read(f"SELECT count(*) FROM {name}.{table}") == [(2,)]


# === renames ===


def in_a_transaction(connection, *statements):
    """Runs the statements in a transaction of the driver, and commits it."""
    transaction = connection.begin()
    for statement in statements:
        connection.read(statement, transaction)
    connection.end(transaction, COMMIT)


@pytest.mark.parametrize(
    "rename",
    ["{t} RENAME TO {t}", 'lake.main.{t} RENAME TO "{t}"', '"{T}" RENAME TO {t}', '{t} RENAME TO "{T}"'],
)
def test_a_rename_to_the_same_name_is_refused_and_the_table_is_there(ada, bob, table, rename):
    rename = "ALTER TABLE " + rename.format(t=table, T=table.upper())
    with wire.refused(INVALID) as said:
        ada.read(rename)
    assert "has this name already" in said[0]
    for before in ([], [f"INSERT INTO {table} VALUES (1)"]):
        transaction = ada.begin()
        for statement in before:
            ada.read(statement, transaction)
        with wire.refused(INVALID):
            ada.read(rename, transaction)
        ada.end(transaction, COMMIT)
        assert bob.read(f"SELECT count(*) FROM {table}") == [(len(before),)]


def test_a_view_is_not_renamed_to_its_own_name_either(ada, bob, name):
    ada.read(f"CREATE VIEW {name} AS SELECT 1 AS i")
    with wire.refused(INVALID):
        ada.read(f"ALTER VIEW {name} RENAME TO {name.upper()}")
    assert bob.read(f"FROM {name}") == [(1,)]


ALTERED = {
    "a column": "ALTER TABLE {t} ADD COLUMN j INTEGER",
    "another name of a column": "ALTER TABLE lake.main.{t} RENAME COLUMN i TO j",
    "a comment": "COMMENT ON TABLE {t} IS 'numbers'",
    "a comment on a column": "COMMENT ON COLUMN {t}.i IS 'a number'",
    "a partitioning": 'ALTER TABLE "{t}" SET PARTITIONED BY (i)',
}


@pytest.mark.parametrize("alter", ALTERED.values(), ids=ALTERED)
def test_a_table_of_before_is_not_altered_and_then_renamed_in_one_transaction(ada, bob, table, alter):
    transaction = ada.begin()
    ada.read(f"INSERT INTO {table} VALUES (1)", transaction)
    ada.read(alter.format(t=table), transaction)
    for rename in (f"ALTER TABLE {table} RENAME TO {table}_new", f"ALTER TABLE lake.main.{table.upper()} RENAME TO {table}_new"):
        with wire.refused(NOT_NOW) as said:
            ada.read(rename, transaction)
        assert "rename it before that" in said[0]
    ada.end(transaction, COMMIT)
    assert bob.read(f"SELECT count(*) FROM {table}") == [(1,)], "the transaction went on"
    assert is_missing(bob, f"{table}_new")


def test_a_rename_of_another_table_than_the_altered_one_is_done(ada, bob, table):
    ada.read(f"CREATE TABLE {table}_other AS SELECT 7 AS i")
    in_a_transaction(ada, f"COMMENT ON TABLE {table} IS 'x'", f"ALTER TABLE {table}_other RENAME TO {table}_new")
    assert bob.read(f"FROM {table}_new") == [(7,)] and is_missing(bob, f"{table}_other")


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


def test_a_rename_there_and_back_keeps_the_table(ada, bob, table):
    in_a_transaction(
        ada,
        f"INSERT INTO {table} VALUES (1)",
        f"ALTER TABLE {table} RENAME TO {table}_other",
        f"ALTER TABLE {table}_other RENAME TO {table}",
    )
    assert bob.read(f"FROM {table}") == [(1,)] and is_missing(bob, f"{table}_other")


def test_a_rename_that_is_rolled_back_has_not_been(ada, bob, table):
    transaction = ada.begin()
    ada.read(f"ALTER TABLE {table} RENAME TO {table}_new", transaction)
    assert ada.read(f"FROM {table}_new", transaction) == []
    ada.end(transaction, ROLLBACK)
    assert bob.read(f"FROM {table}") == [] and is_missing(bob, f"{table}_new")
