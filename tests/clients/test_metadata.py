"""What clients learn of the lake: catalogs, schemas, tables, columns, and what the server says of itself."""

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
    """The lake has one table of many types, names full of wildcards, and a view."""
    columns = ", ".join(f"{name} {sql_type}" for name, (sql_type, _) in COLUMNS.items())
    server.sql(f"CREATE TABLE lake.silver.types ({columns})")
    server.sql('CREATE TABLE lake.raw."a_b%c" (plain INTEGER)')
    server.sql("CREATE TABLE lake.raw.axbyc (other INTEGER)")
    server.sql('CREATE TABLE lake.raw."Über die ""Ente""" (duck VARCHAR)')
    server.sql("CREATE VIEW lake.gold.numbers AS SELECT 1 AS one, 'x' AS text")
    return server


def objects(server, depth, **filters):
    """The answer of GetObjects as {catalog: {schema: {table: row}}}."""
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


def test_table_schema_of_an_unknown_table_is_an_error(server):
    with server.adbc() as connection:
        with pytest.raises(connection.ProgrammingError, match="No table found"):
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


def test_catalog_metadata_is_there_for_tools_that_ask_by_sql(server):
    assert server.sql("SELECT current_catalog()") == [("lake",)]
    tables = server.sql("SELECT table_name FROM information_schema.tables WHERE table_schema = 'silver'")
    assert tables == [("types",)]


def test_a_transaction_sees_its_own_tables_at_prepare(server, name):
    with server.adbc(autocommit=False) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {name} (i BIGINT)")
        assert [field.type for field in cursor.adbc_prepare(f"INSERT INTO {name} VALUES (?)")] == [pyarrow.int64()]
        assert cursor.adbc_execute_schema(f"SELECT * FROM {name}").names == ["i"]
        connection.rollback()


# === raw commands: GetFlightInfo = GetSchema = DoGet ===

COMMANDS = {
    "statement": protobuf.statement("SELECT * FROM silver.types"),
    "statement without columns of the lake": protobuf.statement("SELECT 1 AS one, NULL AS nothing, [1] AS many"),
    "empty statement": protobuf.statement("SELECT 'x' AS text WHERE false"),
    "explain": protobuf.statement("EXPLAIN SELECT 1"),
    "catalogs": protobuf.sql_command("CommandGetCatalogs"),
    "schemas": protobuf.sql_command("CommandGetDbSchemas"),
    "schemas, none": protobuf.sql_command("CommandGetDbSchemas", (2, "absent")),
    "tables": protobuf.sql_command("CommandGetTables"),
    "tables with columns": protobuf.sql_command("CommandGetTables", (5, 1)),
    "tables, none": protobuf.sql_command("CommandGetTables", (3, "absent"), (5, 1)),
    "table types": protobuf.sql_command("CommandGetTableTypes"),
    "info": protobuf.sql_command("CommandGetSqlInfo"),
    "info, some": protobuf.sql_command("CommandGetSqlInfo", (1, 0), (1, 1)),
    "primary keys": protobuf.sql_command("CommandGetPrimaryKeys", (3, "types")),
    "exported keys": protobuf.sql_command("CommandGetExportedKeys", (3, "types")),
    "imported keys": protobuf.sql_command("CommandGetImportedKeys", (3, "types")),
    "cross reference": protobuf.sql_command("CommandGetCrossReference", (3, "types"), (6, "types")),
    "type info": protobuf.sql_command("CommandGetXdbcTypeInfo"),
}
NOT_OFFERED_YET = {"primary keys", "exported keys", "imported keys", "cross reference", "type info"}


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in NOT_OFFERED_YET])
def test_info_schema_and_stream_agree(server, command):
    descriptor = pyarrow.flight.FlightDescriptor.for_command(COMMANDS[command])
    with server.flight() as client:
        info = client.get_flight_info(descriptor)
        schema = client.get_schema(descriptor).schema
        assert len(info.endpoints) == 1
        table = client.do_get(info.endpoints[0].ticket).read_all()
    assert info.schema.equals(schema, check_metadata=True)
    assert table.schema.equals(schema, check_metadata=True)
    assert info.total_records in (-1, table.num_rows)
    assert (table.num_rows == 0) == ("none" in command or command == "empty statement" or command == "statement")


@pytest.mark.parametrize("command", sorted(NOT_OFFERED_YET))
def test_what_is_not_offered_is_refused_by_name(server, command):
    descriptor = pyarrow.flight.FlightDescriptor.for_command(COMMANDS[command])
    with server.flight() as client, pytest.raises(pyarrow.ArrowNotImplementedError, match="Command"):
        client.get_flight_info(descriptor)


def test_columns_of_tables_are_readable_schemas(server):
    command = protobuf.sql_command("CommandGetTables", (2, "silver"), (3, "types"), (5, 1))
    with server.flight() as client:
        info = client.get_flight_info(pyarrow.flight.FlightDescriptor.for_command(command))
        [row] = client.do_get(info.endpoints[0].ticket).read_all().to_pylist()
    assert (row["catalog_name"], row["db_schema_name"], row["table_type"]) == ("lake", "silver", "TABLE")
    schema = pyarrow.ipc.read_schema(pyarrow.py_buffer(row["table_schema"]))
    same_types(schema, [(name, arrow_type) for name, (_, arrow_type) in COLUMNS.items()])


def test_information_without_codes_means_all_and_no_code_twice(server):
    def codes(command):
        with server.flight() as client:
            info = client.get_flight_info(pyarrow.flight.FlightDescriptor.for_command(command))
            return client.do_get(info.endpoints[0].ticket).read_all()["info_name"].to_pylist()

    everything = codes(protobuf.sql_command("CommandGetSqlInfo"))
    assert len(everything) == len(set(everything))
    # JDBC fails on codes that the protocol does not define.
    assert all(code <= 11 or code in (100, 101) or 500 <= code <= 576 for code in everything)
    assert codes(protobuf.sql_command("CommandGetSqlInfo", (1, 1), (1, 0))) == [0, 1]


def test_many_tables_are_listed_in_bulk(launch):
    server = launch()
    with server.adbc(autocommit=False) as connection, connection.cursor() as cursor:
        for i in range(300):
            cursor.execute(f"CREATE TABLE raw.many_{i:03} (a INTEGER, b VARCHAR[])")
        connection.commit()
    columns = objects(server, "all")["lake"]["raw"]
    assert len(columns) == 300
    assert all(len(table["table_columns"]) == 2 for table in columns.values())


