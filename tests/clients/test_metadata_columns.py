"""The columns in GetTables: types as in a SELECT, and the Flight SQL properties in their metadata."""

import pyarrow
import pyarrow.flight
import pytest

import metadata
import protobuf

# Types of columns: the SQL type, and the properties TYPE_NAME, PRECISION and SCALE.
TYPES = {
    "BOOLEAN": ("BOOLEAN", "1", None),
    "TINYINT": ("TINYINT", "3", "0"),
    "UTINYINT": ("UTINYINT", "3", "0"),
    "SMALLINT": ("SMALLINT", "5", "0"),
    "USMALLINT": ("USMALLINT", "5", "0"),
    "INTEGER": ("INTEGER", "10", "0"),
    "UINTEGER": ("UINTEGER", "10", "0"),
    "BIGINT": ("BIGINT", "19", "0"),
    "UBIGINT": ("UBIGINT", "20", "0"),
    "HUGEINT": ("HUGEINT", "38", "0"),
    "UHUGEINT": ("UHUGEINT", "38", "0"),
    "FLOAT": ("FLOAT", "7", None),
    "DOUBLE": ("DOUBLE", "15", None),
    "DECIMAL(4, 1)": ("DECIMAL", "4", "1"),
    "DECIMAL(12, 2)": ("DECIMAL", "12", "2"),
    "DECIMAL(38, 10)": ("DECIMAL", "38", "10"),
    "VARCHAR": ("VARCHAR", "2147483647", None),
    "JSON": ("JSON", "2147483647", None),
    "UUID": ("UUID", "36", None),
    "BLOB": ("BLOB", "2147483647", None),
    "DATE": ("DATE", "10", "0"),
    "TIME": ("TIME", "15", "6"),
    "TIMETZ": ("TIME WITH TIME ZONE", "24", "6"),
    "TIME_NS": ("TIME_NS", "18", "9"),
    "TIMESTAMP": ("TIMESTAMP", "26", "6"),
    "TIMESTAMP_S": ("TIMESTAMP_S", "19", "0"),
    "TIMESTAMP_MS": ("TIMESTAMP_MS", "23", "3"),
    "TIMESTAMP_NS": ("TIMESTAMP_NS", "29", "9"),
    "TIMESTAMPTZ": ("TIMESTAMP WITH TIME ZONE", "32", "6"),
    "INTERVAL": ("INTERVAL", None, None),
    "GEOMETRY": ("GEOMETRY", "2147483647", None),
    "INTEGER[]": ("INTEGER[]", None, None),
    "DECIMAL(12, 2)[][]": ("DECIMAL(12,2)[][]", None, None),
    "JSON[]": ("JSON[]", None, None),
    'STRUCT(x INTEGER, "a b" VARCHAR[])': ('STRUCT(x INTEGER, "a b" VARCHAR[])', None, None),
    "STRUCT(a STRUCT(b TIMESTAMPTZ, c UUID)[])": ("STRUCT(a STRUCT(b TIMESTAMP WITH TIME ZONE, c UUID)[])", None, None),
    "MAP(VARCHAR, DOUBLE[])": ("MAP(VARCHAR, DOUBLE[])", None, None),
}
# Types that the lake's tables do not keep, and that a view may still have.
UNSTORED = ["HUGEINT", "UHUGEINT", "TIMETZ", "TIME_NS", "INTERVAL"]
STORED = [sql for sql in TYPES if sql not in UNSTORED]
EXPRESSIONS = [
    "NULL",
    "'a'::ENUM ('a', 'b''c')",
    "[1, 2]::INTEGER[2]",
    "union_value(k := 1)",
    "'101'::BIT",
    "1::BIGNUM",
    "{'x': ['a'::ENUM ('a')]}",
]


@pytest.fixture(scope="module")
def server(server):
    server.sql("CREATE TABLE raw.stored (%s)" % ", ".join(f"c{i} {sql}" for i, sql in enumerate(STORED)))
    server.sql("CREATE VIEW raw.types AS SELECT %s" % ", ".join(f"NULL::{sql} AS c{i}" for i, sql in enumerate(TYPES)))
    server.sql("CREATE VIEW raw.odd AS SELECT %s" % ", ".join(f"{e} AS c{i}" for i, e in enumerate(EXPRESSIONS)))
    return server


def selected(server, sql):
    """The columns of a statement."""
    descriptor = pyarrow.flight.FlightDescriptor.for_command(protobuf.statement(sql))
    with server.flight() as client:
        return client.get_flight_info(descriptor).schema


def plain(field):
    """A field without Flight SQL's properties: the rest of its metadata specifies its type."""
    kept = {k: v for k, v in (field.metadata or {}).items() if not k.startswith(metadata.FACT.encode())}
    return field.with_metadata(kept)


@pytest.mark.parametrize("table", ["types", "stored", "odd"])
def test_types_equal_those_of_a_select(server, table):
    told = pyarrow.schema([plain(field) for field in metadata.columns(server, "raw", table)])
    given = pyarrow.schema([plain(field) for field in selected(server, f"SELECT * FROM raw.{table}")])
    assert len(told) == len({"types": TYPES, "stored": STORED, "odd": EXPRESSIONS}[table])
    assert told.equals(given, check_metadata=True), f"{told}\n{given}"


def test_every_type_has_name_precision_and_scale(server):
    fields = [*metadata.columns(server, "raw", "types"), *metadata.columns(server, "raw", "stored")]
    for field, expected in zip(fields, [*TYPES.values(), *map(TYPES.get, STORED)], strict=True):
        facts = metadata.facts(field)
        assert (facts["TYPE_NAME"], facts.get("PRECISION"), facts.get("SCALE")) == expected


def test_facts_of_a_column(server, name):
    server.sql(f"CREATE TABLE gold.{name} (a INTEGER NOT NULL, b VARCHAR)")
    server.sql(f"COMMENT ON COLUMN gold.{name}.b IS 'it''s a “name”'")
    a, b = metadata.columns(server, "gold", name)
    assert (a.nullable, b.nullable) == (False, True)
    shared = {"CATALOG_NAME": "lake", "DB_SCHEMA_NAME": "gold", "TABLE_NAME": name}
    flags = {"IS_AUTO_INCREMENT": "0", "IS_READ_ONLY": "0", "IS_SEARCHABLE": "1"}
    assert metadata.facts(a) == shared | flags | {
        "TYPE_NAME": "INTEGER",
        "PRECISION": "10",
        "SCALE": "0",
        "IS_CASE_SENSITIVE": "0",
    }
    assert metadata.facts(b) == shared | flags | {
        "TYPE_NAME": "VARCHAR",
        "PRECISION": "2147483647",
        "IS_CASE_SENSITIVE": "1",
        "REMARKS": "it's a “name”",
    }


def test_views_are_read_only(server):
    assert {metadata.facts(field)["IS_READ_ONLY"] for field in metadata.columns(server, "raw", "odd")} == {"1"}


def test_names_of_types_are_those_of_type_info(server):
    known = {row["type_name"] for row in metadata.rows(server, "CommandGetXdbcTypeInfo")}
    for name, (type_name, _, _) in TYPES.items():
        assert type_name in known or "[]" in name or "(" in type_name


def test_a_column_that_cannot_be_read_hides_no_other(server, name):
    server.sql(f"CREATE TABLE gold.{name} (i INTEGER, v VARIANT, vs VARIANT[])")
    fields = metadata.columns(server, "gold", name)
    assert [(field.name, field.type) for field in fields] == [
        ("i", pyarrow.int32()),
        ("v", pyarrow.string()),
        ("vs", pyarrow.string()),
    ]
    assert metadata.facts(fields.field("v"))["TYPE_NAME"] == "VARIANT"
    assert metadata.columns(server, "raw", "types").field("c0").type == pyarrow.bool_()


def test_a_view_of_a_table_that_is_gone_hides_no_other(server, name):
    server.sql(f"CREATE TABLE gold.{name} (i INTEGER)")
    server.sql(f"CREATE VIEW gold.{name}_view AS SELECT * FROM gold.{name}")
    server.sql(f"DROP TABLE gold.{name}")
    assert metadata.columns(server, "gold", f"{name}_view").names == []
    assert len(metadata.columns(server, "raw", "types")) == len(TYPES)


def test_columns_follow_what_alter_did(server, name):
    server.sql(f"CREATE TABLE gold.{name} (a INTEGER, b INTEGER)")
    server.sql(f"ALTER TABLE gold.{name} ADD COLUMN c DECIMAL(5, 1)")
    server.sql(f"ALTER TABLE gold.{name} DROP COLUMN a")
    server.sql(f'ALTER TABLE gold.{name} RENAME COLUMN b TO "B %"')
    assert metadata.columns(server, "gold", name).names == ["B %", "c"]


def test_adbc_shows_the_facts_as_xdbc_columns(server, name):
    server.sql(f"CREATE TABLE gold.{name} (a INTEGER NOT NULL, b DECIMAL(12, 2))")
    with server.adbc() as connection:
        objects = connection.adbc_get_objects(depth="all", db_schema_filter="gold", table_name_filter=name)
        [catalog] = objects.read_all().to_pylist()
    [schema] = [schema for schema in catalog["catalog_db_schemas"] if schema["db_schema_name"] == "gold"]
    [table] = schema["db_schema_tables"]
    assert [column["xdbc_type_name"] for column in table["table_columns"]] == ["INTEGER", "DECIMAL"]
