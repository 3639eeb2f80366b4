"""The properties of the server: every code of GetSqlInfo in the right child of the union, and the types of
GetXdbcTypeInfo."""

import pyarrow
import pytest

import metadata
import protobuf
import wire

STRING, BOOL, INT64, INT32, LIST, MAP = range(6)
CHILDREN = {
    STRING: [0, 1, 2, 6, 7, 504, 513, 514, 529, 530, 531],
    BOOL: [3, 4, 5, 9, 10, 11, 500, 501, 502, 506, 515, 516, *range(518, 522), 523, 524, 527, 532, 536, 537, 539]
    + [556, 563, 565, 566, *range(572, 577)],
    INT64: [*range(541, 556), *range(557, 563)],
    INT32: [8, 100, 101, 503, 505, 507, 522, 525, 526, 528, 533, 534, 535, 538, 540, 564, *range(567, 572)],
    LIST: [508, 509, 510, 511, 512],
    MAP: [517],
}
CHILD_OF = {code: child for child, codes in CHILDREN.items() for code in codes}

# As in the C++ and Go implementations.
VALUE = pyarrow.dense_union(
    [
        pyarrow.field("string_value", pyarrow.string(), False),
        pyarrow.field("bool_value", pyarrow.bool_(), False),
        pyarrow.field("bigint_value", pyarrow.int64(), False),
        pyarrow.field("int32_bitmask", pyarrow.int32(), False),
        pyarrow.field("string_list", pyarrow.list_(pyarrow.string()), False),
        pyarrow.field("int32_to_int32_list_map", pyarrow.map_(pyarrow.int32(), pyarrow.list_(pyarrow.int32())), False),
    ],
    type_codes=[0, 1, 2, 3, 4, 5],
)
SQL_INFO = pyarrow.schema(
    [pyarrow.field("info_name", pyarrow.uint32(), False), pyarrow.field("value", VALUE, False)]
)

text, int32, boolean = pyarrow.string(), pyarrow.int32(), pyarrow.bool_()
TYPE_INFO = pyarrow.schema(
    [
        pyarrow.field("type_name", text, False),
        pyarrow.field("data_type", int32, False),
        pyarrow.field("column_size", int32),
        pyarrow.field("literal_prefix", text),
        pyarrow.field("literal_suffix", text),
        pyarrow.field("create_params", pyarrow.list_(pyarrow.field("item", text, False))),
        pyarrow.field("nullable", int32, False),
        pyarrow.field("case_sensitive", boolean, False),
        pyarrow.field("searchable", int32, False),
        pyarrow.field("unsigned_attribute", boolean),
        pyarrow.field("fixed_prec_scale", boolean, False),
        pyarrow.field("auto_increment", boolean),
        pyarrow.field("local_type_name", text),
        pyarrow.field("minimum_scale", int32),
        pyarrow.field("maximum_scale", int32),
        pyarrow.field("sql_data_type", int32, False),
        pyarrow.field("datetime_subcode", int32),
        pyarrow.field("num_prec_radix", int32),
        pyarrow.field("interval_precision", int32),
    ]
)


def info(server, *codes):
    """The values by code."""
    table = metadata.ask(server, "CommandGetSqlInfo", *((1, code) for code in codes))
    assert table.schema.serialize() == SQL_INFO.serialize()
    found = table.to_pylist()
    assert len(found) == len({row["info_name"] for row in found}), "a code stands twice"
    return {row["info_name"]: row["value"] for row in found}


def children(server, *codes):
    """The union's child that each code uses."""
    table = metadata.ask(server, "CommandGetSqlInfo", *((1, code) for code in codes)).combine_chunks()
    return dict(zip(table["info_name"].to_pylist(), table["value"].chunk(0).type_codes.to_pylist()))


# === GetSqlInfo ===


def test_timeouts_are_those_of_the_server_and_the_session(launch):
    server = launch("--query-timeout-seconds", 90, "--session-idle-seconds", 60)
    assert info(server, 100, 101) == {100: 90_000, 101: 60_000}
    with wire.Wire(server, "ada") as ada:
        ada.set(timeout=wire.whole(5))
        rows = wire.rows(ada.get(protobuf.sql_command("CommandGetSqlInfo", (1, 100)))).to_pylist()
    assert [row["value"] for row in rows] == [5_000]


def test_without_codes_all_standard_ones_come_in_order(server):
    found = info(server)
    assert list(found) == sorted(CHILD_OF)
    assert len([code for code in found if code >= 500]) == 77


def test_every_value_has_the_type_that_clients_cast_it_to(server):
    assert children(server) == CHILD_OF


@pytest.mark.parametrize("code", sorted(CHILD_OF))
def test_one_code_by_number(server, code):
    assert children(server, code) == {code: CHILD_OF[code]}


def test_some_codes_come_once_and_unknown_ones_are_left_out(server):
    assert list(info(server, 504, 3, 3, 504, 99, 577, 10_000, 4_294_967_295)) == [3, 504]
    assert info(server, 10_000) == {}


def test_what_the_server_is(server):
    found = info(server)
    assert found[0] == "merganser"
    assert found[1] == "duckdb v1.5.5" == "duckdb " + server.scalar("SELECT version()")
    assert (found[4], found[5]) == (True, False)
    assert (found[8], found[573]) == (1, False), "transactions and no savepoints"
    assert (found[3], found[504], found[513]) == (False, '"', "\\")
    assert (found[562], found[564]) == (3, 1 << 3), "repeatable read, and nothing else"
    assert found[528] == 0b110, "JDBC reads the level of outer joins as bits"


@pytest.mark.parametrize("code", [500, 501, 502])
def test_what_ddl_works(server, name, code):
    statement = {
        500: f"ATTACH ':memory:' AS {name}",
        501: f"CREATE SCHEMA lake.{name}",
        502: f"CREATE TABLE lake.raw.{name} (i INTEGER NOT NULL)",
    }[code]
    with server.adbc() as connection, connection.cursor() as cursor:
        if info(server, code)[code]:
            cursor.execute(statement)
        else:
            with pytest.raises(connection.Error):
                cursor.execute(statement)


def test_keywords_and_functions_are_duckdbs(server):
    found = info(server, 508, 509, 510, 511, 512)
    assert found[508] == [row[0] for row in server.sql("SELECT DISTINCT keyword_name FROM duckdb_keywords() ORDER BY 1")]
    known = {row[0] for row in server.sql("SELECT DISTINCT function_name FROM duckdb_functions()")}
    for code in [509, 510, 511, 512]:
        assert len(found[code]) > 10
        assert found[code] == sorted(set(found[code])), code
        assert not set(found[code]) - known, code


def test_null_orders_and_names_are_as_reported(server):
    found = info(server)
    assert found[507] == 3
    for order in ["ASC", "DESC"]:
        assert server.sql(f"SELECT v FROM (VALUES (1), (NULL), (2)) t(v) ORDER BY v {order}")[-1] == (None,)
    assert (found[503], found[505]) == (1, 1)
    assert server.sql('SELECT "A", a FROM (SELECT 1 AS "a")') == [(1, 1)]
    assert found[514] == "$"
    assert server.sql("SELECT 1 AS a$b") == [(1,)]
    assert found[516] and server.scalar("SELECT NULL || 'a'") is None


# A value of each type of the codes of 517; CHAR, NUMERIC and the like are other names of the same types.
SAMPLES = {
    0: ("BIGINT", "1::BIGINT"),
    1: ("BLOB", "'1'::BLOB"),
    2: ("BOOLEAN", "true"),
    4: ("DATE", "DATE '2020-01-02'"),
    5: ("DECIMAL(9, 2)", "1::DECIMAL(9, 2)"),
    6: ("FLOAT", "1::FLOAT"),
    7: ("INTEGER", "1"),
    8: ("INTERVAL", "INTERVAL '1 day'"),
    14: ("SMALLINT", "1::SMALLINT"),
    15: ("TIME", "TIME '01:02:03'"),
    16: ("TIMESTAMP", "TIMESTAMP '2020-01-02 03:04:05'"),
    17: ("TINYINT", "1::TINYINT"),
    19: ("VARCHAR", "'1'"),
}


@pytest.mark.parametrize("code", SAMPLES)
def test_conversions_are_what_cast_can_do(server, code):
    said = dict(info(server, 517)[517])
    assert set(said) == set(range(20))
    for target, (sql_type, _) in SAMPLES.items():
        with server.adbc() as connection, connection.cursor() as cursor:
            try:
                cursor.execute(f"SELECT CAST({SAMPLES[code][1]} AS {sql_type})")
                works = True
            except connection.Error as err:
                # A string that is not a date is rejected too, but not for its type.
                works = "Unimplemented type for cast" not in str(err)
        assert (target in said[code]) == works, (code, target)


# === GetXdbcTypeInfo ===


def type_info(server, code=None):
    fields = () if code is None else ((1, code % 2**64),)
    table = metadata.ask(server, "CommandGetXdbcTypeInfo", *fields)
    assert table.schema.serialize() == TYPE_INFO.serialize()
    return table.to_pylist()


def test_types_are_sorted_by_code_and_name(server):
    keys = [(row["data_type"], row["type_name"]) for row in type_info(server)]
    assert keys == sorted(set(keys))


@pytest.mark.parametrize(
    ("code", "names"),
    [
        (4, ["INTEGER", "UINTEGER"]),
        (-5, ["BIGINT", "UBIGINT"]),
        (-7, ["BOOLEAN"]),
        (12, ["JSON", "UUID", "VARCHAR"]),
        (93, ["TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP_S"]),
        (0, []),
        (4711, []),
    ],
)
def test_types_by_code(server, code, names):
    assert [row["type_name"] for row in type_info(server, code)] == names


def test_decimal_lists_its_parameters(server):
    [row] = [row for row in type_info(server) if row["type_name"] == "DECIMAL"]
    assert row["create_params"] == ["precision", "scale"]
    assert (row["column_size"], row["minimum_scale"], row["maximum_scale"]) == (38, 0, 38)
    assert (row["unsigned_attribute"], row["num_prec_radix"]) == (False, 10)


def test_only_strings_support_like(server):
    for row in type_info(server):
        assert row["searchable"] == (3 if row["type_name"] in ("VARCHAR", "JSON") else 2)
        assert row["case_sensitive"] == (row["type_name"] in ("VARCHAR", "JSON"))


def test_every_type_is_one_of_duckdbs(server, name):
    for row in type_info(server):
        if row["type_name"] not in ("LIST", "STRUCT", "MAP"):
            assert server.scalar(f"SELECT typeof(NULL::{row['type_name']})").split("(")[0] == row["type_name"]


WRITTEN = {
    "BLOB": r"\xAA",
    "GEOMETRY": "POINT (1 2)",
    "INTERVAL": "1 day",
    "JSON": "{}",
    "UUID": "977fb511-ac85-4049-9cb6-7cac82cf5efa",
    "VARCHAR": "x",
    "DATE": "2020-01-02",
    "MAP": "'a': 1",
    "STRUCT": "'a': 1",
    "LIST": "1, 2",
}


def test_literals_are_written_as_reported(server):
    for row in type_info(server):
        if row["literal_prefix"] is None:
            assert row["literal_suffix"] is None
            continue
        is_time = row["type_name"].startswith("TIME")
        default = "2020-01-02 03:04:05" if row["type_name"].startswith("TIMESTAMP") else "03:04:05"
        value = default if is_time else WRITTEN[row["type_name"]]
        assert server.scalar(f"SELECT {row['literal_prefix']}{value}{row['literal_suffix']}") is not None
