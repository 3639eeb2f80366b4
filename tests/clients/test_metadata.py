"""Metadata for clients: catalogs, schemas, tables, columns, and the properties of the server."""

import pyarrow
import pyarrow.flight
import pytest

import protobuf

COLUMNS = {
    "id": ("BIGINT NOT NULL", pyarrow.int64()),
    "tiny": ("TINYINT", pyarrow.int8()),
    "unsigned": ("UINTEGER", pyarrow.uint32()),
    "flag": ("BOOLEAN", pyarrow.bool_()),
    "ratio": ("DOUBLE", pyarrow.float64()),
    "price": ("DECIMAL(12, 2)", pyarrow.decimal128(12, 2)),
    "name": ("VARCHAR", pyarrow.string()),
    "data": ("BLOB", pyarrow.binary()),
    "day": ("DATE", pyarrow.date32()),
    "clock": ("TIME", pyarrow.time64("us")),
    "taken": ("TIMESTAMP", pyarrow.timestamp("us")),
    "moment": ("TIMESTAMPTZ", pyarrow.timestamp("us", "UTC")),
    "box": ("DOUBLE[]", pyarrow.list_(pyarrow.float64())),
    "place": ("STRUCT(x INTEGER, y VARCHAR)", pyarrow.struct([("x", pyarrow.int32()), ("y", pyarrow.string())])),
}


@pytest.fixture(scope="module")
def server(server):
    """The lake has one table with many types, names full of wildcards, and a view."""
    columns = ", ".join(f"{name} {sql_type}" for name, (sql_type, _) in COLUMNS.items())
    server.sql(f"CREATE TABLE lake.silver.types ({columns})")
    server.sql('CREATE TABLE lake.raw."a_b%c" (plain INTEGER)')
    server.sql("CREATE TABLE lake.raw.axbyc (other INTEGER)")
    server.sql('CREATE TABLE lake.raw."Über die ""Ente""" (duck VARCHAR)')
    server.sql("CREATE VIEW lake.gold.numbers AS SELECT 1 AS one, 'x' AS text")
    return server


def objects(server, depth, **filters):
    """The response of GetObjects as {catalog: {schema: {table: row}}}."""
    with server.adbc() as connection:
        rows = connection.adbc_get_objects(depth=depth, **filters).read_all().to_pylist()
    return {
        row["catalog_name"]: {
            schema["db_schema_name"]: {table["table_name"]: table for table in schema["db_schema_tables"] or []}
            for schema in row["catalog_db_schemas"] or []
        }
        for row in rows
    }


def same_types(schema, expected):
    assert [(field.name, field.type) for field in schema] == expected


# === ADBC ===


def test_the_layers_exist_at_start(launch):
    schemas = objects(launch(), "db_schemas")["lake"]
    assert {"raw", "silver", "gold"} <= set(schemas)


def test_only_the_lake_is_a_catalog(server):
    assert list(objects(server, "catalogs")) == ["lake"]


def test_objects_of_every_depth(server):
    assert objects(server, "catalogs") == {"lake": {}}
    schemas = objects(server, "db_schemas")["lake"]
    assert {"raw", "silver", "gold", "main"} == set(schemas)
    assert not any(schemas.values())
    tables = objects(server, "tables")["lake"]
    assert set(tables["raw"]) == {"a_b%c", "axbyc", 'Über die "Ente"'}
    assert tables["silver"]["types"]["table_type"] == "TABLE"
    assert not tables["silver"]["types"]["table_columns"]
    columns = objects(server, "all")["lake"]["silver"]["types"]["table_columns"]
    assert [column["column_name"] for column in columns] == list(COLUMNS)
    assert [column["ordinal_position"] for column in columns] == list(range(1, len(COLUMNS) + 1))


def test_filters_of_objects_are_patterns(server):
    assert set(objects(server, "db_schemas", db_schema_filter="s%")["lake"]) == {"silver"}
    assert set(objects(server, "tables", table_name_filter="a_b_c")["lake"]["raw"]) == {"a_b%c", "axbyc"}
    columns = objects(server, "all", table_name_filter="types", column_name_filter="p%")
    assert [c["column_name"] for c in columns["lake"]["silver"]["types"]["table_columns"]] == ["price", "place"]
    nothing = objects(server, "tables", table_name_filter="absent")
    assert not any(tables for tables in nothing["lake"].values())


def test_objects_may_be_filtered_by_type(server):
    views = objects(server, "tables", table_types_filter=["VIEW"])["lake"]
    assert [name for tables in views.values() for name in tables] == ["numbers"]
    tables = objects(server, "tables", table_types_filter=["TABLE"])["lake"]
    assert "types" in tables["silver"] and not tables["gold"]


def test_views_appear_as_view(server):
    assert objects(server, "tables")["lake"]["gold"]["numbers"]["table_type"] == "VIEW"


def test_table_schema_has_every_column_with_its_type(server):
    with server.adbc() as connection:
        schema = connection.adbc_get_table_schema("types", catalog_filter="lake", db_schema_filter="silver")
    same_types(schema, [(name, arrow_type) for name, (_, arrow_type) in COLUMNS.items()])
    assert not schema.field("id").nullable
    assert schema.field("tiny").nullable


def test_table_schema_equals_the_schema_of_a_select(server):
    with server.adbc() as connection, connection.cursor() as cursor:
        schema = connection.adbc_get_table_schema("types", db_schema_filter="silver")
        cursor.execute("SELECT * FROM silver.types")
        selected = cursor.fetch_arrow_table().schema
    same_types(selected, [(field.name, field.type) for field in schema])


@pytest.mark.parametrize(
    ("table", "column"), [("a_b%c", "plain"), ("axbyc", "other"), ('Über die "Ente"', "duck"), ("numbers", "one")]
)
def test_table_schema_takes_names_with_wildcards_as_they_are(server, table, column):
    with server.adbc() as connection:
        assert connection.adbc_get_table_schema(table).names[0] == column


@pytest.mark.parametrize("schema", ["a_b", "axb", "a%", "ä.\\ \"'", "x y"])
def test_table_schema_of_weird_schemas(server, name, schema):
    quoted = schema.replace('"', '""')
    server.sql(f'CREATE SCHEMA lake."{quoted}"')
    for table in [f"{name}_a", f"{name}xa", f"{name}\\_a", f"{name}.a"]:
        server.sql(f'CREATE TABLE lake."{quoted}"."{table}" ("{table}" INTEGER)')
    with server.adbc() as connection:
        for table in [f"{name}_a", f"{name}xa", f"{name}\\_a", f"{name}.a"]:
            found = connection.adbc_get_table_schema(table, catalog_filter="lake", db_schema_filter=schema)
            assert found.names == [table]
    server.sql(f'DROP SCHEMA lake."{quoted}" CASCADE')


def test_table_schema_of_another_catalog_or_schema_is_an_error(server):
    with server.adbc() as connection:
        for filters in [{"catalog_filter": "memory"}, {"catalog_filter": ""}, {"db_schema_filter": "gold"}]:
            with pytest.raises(connection.ProgrammingError, match="NOT_FOUND"):
                connection.adbc_get_table_schema("types", **filters)


def test_objects_of_another_catalog_are_none(server):
    assert objects(server, "all", catalog_filter="absent") == {}
    assert set(objects(server, "all", catalog_filter="lake")) == {"lake"}


@pytest.mark.parametrize("depth", ["catalogs", "db_schemas", "tables", "all"])
def test_objects_that_no_filter_finds(server, depth):
    found = objects(server, depth, db_schema_filter="absent", table_name_filter="absent")
    assert found == {"lake": {}}


def test_table_schema_of_an_unknown_table_is_an_error(server):
    with server.adbc() as connection:
        with pytest.raises(connection.ProgrammingError, match="NOT_FOUND"):
            connection.adbc_get_table_schema("absent")
        assert connection.adbc_get_table_schema("types").names == list(COLUMNS)


def test_table_types(server):
    with server.adbc() as connection:
        assert sorted(connection.adbc_get_table_types()) == ["TABLE", "VIEW"]


def test_info_names_the_server_and_duckdb(server):
    with server.adbc() as connection:
        info = connection.adbc_get_info()
    assert info["vendor_name"] == "merganser"
    assert info["vendor_version"] == "duckdb v1.5.5"
    assert info["vendor_arrow_version"].startswith("58.")


def test_catalog_metadata_is_available_in_sql(server):
    assert server.sql("SELECT current_catalog()") == [("lake",)]
    tables = server.sql("SELECT table_name FROM information_schema.tables WHERE table_schema = 'silver'")
    assert tables == [("types",)]


def test_a_transaction_sees_its_own_tables_at_prepare(server, name):
    with server.adbc(autocommit=False) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {name} (i BIGINT)")
        assert [field.type for field in cursor.adbc_prepare(f"INSERT INTO {name} VALUES (?)")] == [pyarrow.int64()]
        assert cursor.adbc_execute_schema(f"SELECT * FROM {name}").names == ["i"]
        connection.rollback()


# === statements: GetFlightInfo = GetSchema = DoGet ===

STATEMENTS = {
    "SELECT * FROM silver.types": 0,
    "SELECT 1 AS one, NULL AS nothing, [1] AS many": 1,
    "SELECT 'x' AS text WHERE false": 0,
    "EXPLAIN SELECT 1": 1,
}


@pytest.mark.parametrize("sql", STATEMENTS)
def test_info_schema_and_stream_agree(server, sql):
    descriptor = pyarrow.flight.FlightDescriptor.for_command(protobuf.statement(sql))
    with server.flight() as client:
        info = client.get_flight_info(descriptor)
        schema = client.get_schema(descriptor).schema
        [endpoint] = info.endpoints
        table = client.do_get(endpoint.ticket).read_all()
    assert info.schema.equals(schema, check_metadata=True)
    assert table.schema.equals(schema, check_metadata=True)
    assert info.total_records in (-1, table.num_rows)
    assert table.num_rows == STATEMENTS[sql]


def test_many_tables_are_listed_in_bulk(launch):
    server = launch()
    with server.adbc(autocommit=False) as connection, connection.cursor() as cursor:
        for i in range(300):
            cursor.execute(f"CREATE TABLE raw.many_{i:03} (a INTEGER, b VARCHAR[])")
        connection.commit()
    columns = objects(server, "all")["lake"]["raw"]
    assert len(columns) == 300
    assert all(len(table["table_columns"]) == 2 for table in columns.values())
