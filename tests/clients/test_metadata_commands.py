"""Every metadata command as raw messages: the columns of the protocol, the same in GetFlightInfo, GetSchema and DoGet,
the filters, and the order."""

import pyarrow
import pyarrow.flight
import pytest

import metadata
import protobuf

text, int32, uint8 = pyarrow.string(), pyarrow.int32(), pyarrow.uint8()
KEYS = [
    ("pk_catalog_name", text, True),
    ("pk_db_schema_name", text, True),
    ("pk_table_name", text, False),
    ("pk_column_name", text, False),
    ("fk_catalog_name", text, True),
    ("fk_db_schema_name", text, True),
    ("fk_table_name", text, False),
    ("fk_column_name", text, False),
    ("key_sequence", int32, False),
    ("fk_key_name", text, True),
    ("pk_key_name", text, True),
    ("update_rule", uint8, False),
    ("delete_rule", uint8, False),
]
TABLES = [
    ("catalog_name", text, True),
    ("db_schema_name", text, True),
    ("table_name", text, False),
    ("table_type", text, False),
]
# The columns of each command's result: (name, type, nullable).
COLUMNS = {
    "CommandGetCatalogs": [("catalog_name", text, False)],
    "CommandGetDbSchemas": [("catalog_name", text, True), ("db_schema_name", text, False)],
    "CommandGetTables": TABLES,
    "CommandGetTableTypes": [("table_type", text, False)],
    "CommandGetPrimaryKeys": [
        ("catalog_name", text, True),
        ("db_schema_name", text, True),
        ("table_name", text, False),
        ("column_name", text, False),
        ("key_sequence", int32, False),
        ("key_name", text, True),
    ],
    "CommandGetExportedKeys": KEYS,
    "CommandGetImportedKeys": KEYS,
    "CommandGetCrossReference": KEYS,
}
WEIRD = 'a_%."\'\\ Ü'
NAMES = ["a_b", "axb", "a%b", "a.b", 'a"b', "a\\b", "a\\_b", "Ünïcödé 🦆", "line\nfeed", "(a|b)*", "select"]


def identifier(name):
    return '"' + name.replace('"', '""') + '"'


def schema_of(columns):
    return pyarrow.schema([pyarrow.field(name, kind, nullable) for name, kind, nullable in columns])


def names(found):
    return [row["table_name"] for row in found]


@pytest.fixture(scope="module")
def server(server):
    """Two unusual schemas, tables whose names are patterns, and views."""
    with server.adbc(autocommit=False) as connection, connection.cursor() as cursor:
        for schema in [WEIRD, "axb", "a_b"]:
            cursor.execute(f"CREATE SCHEMA lake.{identifier(schema)}")
        for name in NAMES:
            cursor.execute(f"CREATE TABLE lake.{identifier(WEIRD)}.{identifier(name)} (i INTEGER)")
        for schema in ["axb", "a_b"]:
            cursor.execute(f"CREATE TABLE lake.{schema}.t (i INTEGER)")
            cursor.execute(f"CREATE VIEW lake.{schema}.v AS SELECT 1 AS one")
        connection.commit()
    return server


# === columns ===


@pytest.mark.parametrize("command", COLUMNS)
def test_columns_are_those_of_the_protocol(server, command):
    assert metadata.ask(server, command).schema.serialize() == schema_of(COLUMNS[command]).serialize()


@pytest.mark.parametrize("command", ["CommandGetDbSchemas", "CommandGetTables"])
def test_columns_without_rows_are_the_same(server, command):
    found = metadata.ask(server, command, (1, "absent"))
    assert found.num_rows == 0
    assert found.schema.serialize() == schema_of(COLUMNS[command]).serialize()


@pytest.mark.parametrize("fields", [(), ((3, "absent"),), ((1, "absent"),)])
def test_tables_with_columns_have_one_column_more(server, fields):
    found = metadata.ask(server, "CommandGetTables", *fields, (5, 1))
    assert found.schema.serialize() == schema_of([*TABLES, ("table_schema", pyarrow.binary(), False)]).serialize()
    assert (found.num_rows == 0) == bool(fields)


# === keys ===


@pytest.mark.parametrize("table", ["t", "absent", WEIRD, ""])
@pytest.mark.parametrize("schema", [None, "a_b", "absent", ""])
@pytest.mark.parametrize("command", ["CommandGetPrimaryKeys", "CommandGetExportedKeys", "CommandGetImportedKeys"])
def test_the_lake_has_no_keys(server, command, schema, table):
    assert metadata.rows(server, command, (1, "lake"), (2, schema), (3, table)) == []


def test_nothing_refers_to_anything(server):
    both = [(1, "lake"), (2, "a_b"), (3, "t"), (4, "lake"), (5, "axb"), (6, "t")]
    assert metadata.rows(server, "CommandGetCrossReference", *both) == []


@pytest.mark.parametrize("key", ["PRIMARY KEY", "UNIQUE", "REFERENCES lake.a_b.t (i)"])
def test_keys_cannot_be_made_which_is_why_there_are_none(server, name, key):
    with server.adbc() as connection, connection.cursor() as cursor:
        with pytest.raises(connection.Error, match="not supported|cannot be defined"):
            cursor.execute(f"CREATE TABLE lake.raw.{name} (i INTEGER {key})")
    assert metadata.tables(server, table=name) == []


# === catalogs and schemas ===


def test_the_lake_is_the_only_catalog(server):
    assert metadata.rows(server, "CommandGetCatalogs") == [{"catalog_name": "lake"}]


def schemas(server, pattern=None, catalog=None):
    return [row["db_schema_name"] for row in metadata.rows(server, "CommandGetDbSchemas", (1, catalog), (2, pattern))]


def test_schemas_are_sorted(server):
    found = schemas(server)
    assert found == sorted(found)
    assert {"raw", "silver", "gold", "main", WEIRD, "a_b", "axb"} == set(found)


@pytest.mark.parametrize(("catalog", "found"), [("lake", ["raw"]), ("", []), ("Lake", []), ("la%", []), ("temp", [])])
def test_a_catalog_is_meant_exactly(server, catalog, found):
    assert schemas(server, "raw", catalog) == found
    assert bool(metadata.tables(server, catalog=catalog)) == bool(found)


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("a_b", ["a_b", "axb"]),
        ("axb", ["axb"]),
        (r"a\_b", ["a_b"]),
        ("a%b", ["a_b", "axb"]),
        ("%", None),
        ("", []),
        ("RAW", []),
        ("ra", []),
        (WEIRD, [WEIRD]),
    ],
)
def test_patterns_of_schemas(server, pattern, found):
    assert schemas(server, pattern) == (schemas(server) if found is None else found)


# === tables ===


@pytest.mark.parametrize("table", NAMES)
def test_a_name_finds_its_table_first(server, table):
    assert names(metadata.tables(server, table=table))[0] == table
    assert names(metadata.tables(server, WEIRD, table, columns=True))[0] == table


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("a_b", ["a_b", 'a"b', "a%b", "a.b", "a\\b", "axb"]),
        ("a%b", ["a%b", 'a"b', "a.b", "a\\_b", "a\\b", "a_b", "axb"]),
        (r"a\_b", ["a\\_b", "a_b"]),
        (r"a\%b", ["a%b"]),
        (r"a\\b", ["a\\b"]),
        ("a.b", ["a.b"]),
        ("line_feed", ["line\nfeed"]),
        ("%🦆", ["Ünïcödé 🦆"]),
        ("_nïcödé__", ["Ünïcödé 🦆"]),
        ("(a|b)*", ["(a|b)*"]),
        ("a|axb", []),
        ("SELECT", []),
        ("", []),
        ("\\", []),
    ],
)
def test_patterns_of_tables(server, pattern, found):
    assert names(metadata.tables(server, WEIRD, pattern)) == found


def test_tables_are_sorted_by_schema_and_name(server):
    found = [(row["db_schema_name"], row["table_name"]) for row in metadata.tables(server)]
    assert found == sorted(found)
    assert len(found) == len(NAMES) + 4


def test_the_schema_that_is_named_comes_before_those_that_fit(server):
    found = [row["db_schema_name"] for row in metadata.tables(server, "a_b", "t")]
    assert found == ["a_b", "axb"]


@pytest.mark.parametrize(
    ("types", "found"),
    [((), ["t", "v"]), (["TABLE"], ["t"]), (["VIEW"], ["v"]), (["VIEW", "TABLE"], ["t", "v"]), (["table", "VIEW"], ["t", "v"]), (["base table"], ["t"]), (["BASE TABLE", "X"], ["t"]), (["X"], [])],
)
def test_tables_by_type(server, types, found):
    assert names(metadata.tables(server, "axb", types=types)) == found


def test_temporary_tables_are_not_listed(server, name):
    with server.adbc(autocommit=False) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMP TABLE {name} (i INTEGER)")
        assert metadata.tables(server, table=name) == []
        connection.rollback()


def test_a_thousand_tables_come_in_one_answer(launch):
    server = launch()
    with server.adbc(autocommit=False) as connection, connection.cursor() as cursor:
        for i in range(1000):
            cursor.execute(f"CREATE TABLE raw.many_{i:04} (a INTEGER, b VARCHAR[], c DECIMAL(12, 2))")
        connection.commit()
    found = metadata.tables(server, "raw", columns=True)
    assert names(found) == [f"many_{i:04}" for i in range(1000)]
    for row in found:
        assert pyarrow.ipc.read_schema(pyarrow.py_buffer(row["table_schema"])).names == ["a", "b", "c"]
    assert names(metadata.tables(server, "raw", "many_0_99"))[0] == "many_0099"


# === what is no command ===


def refusal(server, command, call):
    descriptor = pyarrow.flight.FlightDescriptor.for_command(command)
    with server.flight() as client, pytest.raises(pyarrow.ArrowInvalid) as caught:
        if call == "info":
            client.get_flight_info(descriptor)
        elif call == "schema":
            client.get_schema(descriptor)
        else:
            client.do_get(pyarrow.flight.Ticket(command)).read_all()
    return str(caught.value)


@pytest.mark.parametrize("call", ["info", "schema", "stream"])
@pytest.mark.parametrize("name", [*COLUMNS, "CommandGetSqlInfo", "CommandGetXdbcTypeInfo"])
def test_a_malformed_command_is_an_invalid_argument(server, name, call):
    # A field of a group that never ends: no message type can be decoded from it.
    refusal(server, protobuf.pack(protobuf.SQL + name, b"\xff\xff\xff"), call)
    assert schemas(server, "raw") == ["raw"]


@pytest.mark.parametrize("call", ["info", "schema", "stream"])
@pytest.mark.parametrize("command", [b"", b"garbage"])
def test_what_is_no_command_is_an_invalid_argument(server, command, call):
    refusal(server, command, call)


def test_a_name_that_is_no_text_is_an_invalid_argument(server):
    refusal(server, protobuf.sql_command("CommandGetTables", (3, b"\xff\xfe")), "stream")


def test_a_pattern_that_is_too_long_is_an_invalid_argument(server):
    refusal(server, protobuf.sql_command("CommandGetTables", (3, "_" * 1_000_000)), "stream")
    assert names(metadata.tables(server, "axb", "_" * 1000)) == []
    assert names(metadata.tables(server, "axb", "%" * 1000)) == ["t", "v"]
