"""The cases that makers of ADBC drivers validate, type by type: what a literal, a parameter and an ingested column come
back as, to the exact Arrow type, and what the metadata says of the table.
"""

import datetime
import decimal
import typing

import adbc_driver_manager
import pyarrow
import pytest

UTC = datetime.timezone.utc
DECIMAL = "9999999999999999999999999999.9999999999"
WORDS = ["ä 🦆 'x'", "", " ", "twelve bytes", "thirteen byte", "a\0b", "NULL"]
BLOBS = [b"a\0\xff", b"", b"\0", bytes(range(256))]
TIMES = [datetime.time(23, 59, 59), datetime.time(0)]
MOMENTS = [
    datetime.datetime(2024, 2, 29, 23, 59, 59),
    datetime.datetime(1969, 12, 31, 23, 59, 59),
    datetime.datetime(1970, 1, 1),
    datetime.datetime(1, 1, 1),
    datetime.datetime(9999, 12, 31, 23, 59, 59),
]
IN_UTC = [moment.replace(tzinfo=UTC) for moment in MOMENTS]
POINT = pyarrow.struct([("x", pyarrow.int16()), ("y", pyarrow.list_(pyarrow.string()))])
POINTS = [{"x": 1, "y": ["a", None]}, {"x": None, "y": None}, {"x": 2, "y": []}]
STAMPS = pyarrow.timestamp("us", "UTC")
TEXT = pyarrow.string()
BINARY = pyarrow.binary()


class Case(typing.NamedTuple):
    """A type that a client sends, and values of it."""

    sent: pyarrow.DataType
    values: list
    stored: str
    """The SQL type of the column, as the metadata names it."""
    literal: typing.Optional[str] = None
    """The first of the values in SQL."""
    received: typing.Optional[pyarrow.DataType] = None
    """What it is received as, if not as what was sent."""


def integers(sent, stored):
    bits = sent.bit_width
    signed = pyarrow.types.is_signed_integer(sent)
    smallest, largest = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return Case(sent, [largest, smallest, 0, 1], stored, f"{largest}::{stored}")


CASES = {
    "bool": Case(pyarrow.bool_(), [True, False], "BOOLEAN", "true"),
    "int8": integers(pyarrow.int8(), "TINYINT"),
    "int16": integers(pyarrow.int16(), "SMALLINT"),
    "int32": integers(pyarrow.int32(), "INTEGER"),
    "int64": integers(pyarrow.int64(), "BIGINT"),
    "uint8": integers(pyarrow.uint8(), "UTINYINT"),
    "uint16": integers(pyarrow.uint16(), "USMALLINT"),
    "uint32": integers(pyarrow.uint32(), "UINTEGER"),
    "uint64": integers(pyarrow.uint64(), "UBIGINT"),
    "float": Case(
        pyarrow.float32(),
        [-1.5, -0.0, float("inf"), float("nan"), 2.0**-149, 3.4028234663852886e38],
        "FLOAT",
        "'-1.5'::FLOAT",
    ),
    "double": Case(
        pyarrow.float64(), [1e300, -0.0, float("-inf"), float("nan"), 5e-324], "DOUBLE", "1e300"
    ),
    "decimal": Case(
        pyarrow.decimal128(38, 10),
        [decimal.Decimal(DECIMAL), decimal.Decimal("-" + DECIMAL), decimal.Decimal("1E-10")],
        "DECIMAL",
        f"{DECIMAL}::DECIMAL(38, 10)",
    ),
    "string": Case(TEXT, WORDS, "VARCHAR", "'ä 🦆 ''x'''"),
    "large_string": Case(pyarrow.large_string(), WORDS, "VARCHAR", received=TEXT),
    "string_view": Case(pyarrow.string_view(), WORDS, "VARCHAR", received=TEXT),
    "dictionary": Case(pyarrow.dictionary(pyarrow.int16(), TEXT), WORDS, "VARCHAR", received=TEXT),
    "dictionary of numbers": Case(
        pyarrow.dictionary(pyarrow.int8(), pyarrow.int64()), [2**40, 1], "BIGINT", received=pyarrow.int64()
    ),
    "binary": Case(BINARY, BLOBS, "BLOB", r"'a\x00\xFF'::BLOB"),
    "large_binary": Case(pyarrow.large_binary(), BLOBS, "BLOB", received=BINARY),
    "binary_view": Case(pyarrow.binary_view(), BLOBS, "BLOB", received=BINARY),
    "fixed_size_binary": Case(pyarrow.binary(3), [b"abc", b"\0\0\0"], "BLOB", received=BINARY),
    "date32": Case(pyarrow.date32(), [moment.date() for moment in MOMENTS], "DATE", "DATE '2024-02-29'"),
    "time32 s": Case(pyarrow.time32("s"), TIMES, "TIME", received=pyarrow.time64("us")),
    "time32 ms": Case(
        pyarrow.time32("ms"), [datetime.time(1, 2, 3, 4000), *TIMES], "TIME", received=pyarrow.time64("us")
    ),
    "time64 us": Case(
        pyarrow.time64("us"), [datetime.time(1, 2, 3, 456789), *TIMES], "TIME", "TIME '01:02:03.456789'"
    ),
    "timestamp s": Case(pyarrow.timestamp("s"), MOMENTS, "TIMESTAMP_S", "TIMESTAMP_S '2024-02-29 23:59:59'"),
    "timestamp ms": Case(
        pyarrow.timestamp("ms"),
        [datetime.datetime(2024, 2, 29, 23, 59, 59, 999000), *MOMENTS],
        "TIMESTAMP_MS",
        "TIMESTAMP_MS '2024-02-29 23:59:59.999'",
    ),
    "timestamp us": Case(
        pyarrow.timestamp("us"),
        [datetime.datetime(2024, 2, 29, 23, 59, 59, 999999), *MOMENTS],
        "TIMESTAMP",
        "TIMESTAMP '2024-02-29 23:59:59.999999'",
    ),
    "timestamp ns": Case(
        pyarrow.timestamp("ns"),
        [1_709_251_199_123_456_789, -1, 0, 2**63 - 2],
        "TIMESTAMP_NS",
        "TIMESTAMP_NS '2024-02-29 23:59:59.123456789'",
    ),
    **{
        f"timestamp {unit} zone": Case(
            pyarrow.timestamp(unit, "America/Caracas"), IN_UTC, "TIMESTAMP WITH TIME ZONE", received=STAMPS
        )
        for unit in ["s", "ms"]
    },
    "timestamp us zone": Case(
        STAMPS, IN_UTC, "TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ '2024-03-01 05:44:59+05:45'"
    ),
    "timestamp ns zone": Case(
        pyarrow.timestamp("ns", "UTC"), IN_UTC[:3], "TIMESTAMP WITH TIME ZONE", received=STAMPS
    ),
    "list": Case(
        pyarrow.list_(pyarrow.int64()), [[1, None, -(2**63)], [], [None]], "BIGINT[]", f"[1, NULL, {-(2**63)}]"
    ),
    "list of list": Case(
        pyarrow.list_(pyarrow.list_(TEXT)), [[["a"], [], None], [None]], "VARCHAR[][]", "[['a'], [], NULL]"
    ),
    "large list": Case(
        pyarrow.large_list(pyarrow.int64()), [[1, None], []], "BIGINT[]", received=pyarrow.list_(pyarrow.int64())
    ),
    "fixed list": Case(
        pyarrow.list_(pyarrow.float32(), 2), [[1.5, None]], "FLOAT[]", received=pyarrow.list_(pyarrow.float32())
    ),
    "struct": Case(POINT, POINTS, "STRUCT(x SMALLINT, y VARCHAR[])", "{'x': 1::SMALLINT, 'y': ['a', NULL]}"),
    "list of struct": Case(
        pyarrow.list_(POINT),
        [[POINTS[0], None], [], POINTS],
        "STRUCT(x SMALLINT, y VARCHAR[])[]",
        "[{'x': 1::SMALLINT, 'y': ['a', NULL]}, NULL]",
    ),
    "map": Case(
        pyarrow.map_(TEXT, pyarrow.int64()),
        [[("a", 1), ("", None)], []],
        "MAP(VARCHAR, BIGINT)",
        "MAP {'a': 1::BIGINT, '': NULL}",
    ),
    "null": Case(pyarrow.null(), [None], "INTEGER", "NULL", pyarrow.int32()),
}
LITERALS = [name for name, case in CASES.items() if case.literal]
# Types that a query can have and a table cannot.
ARRAY = pyarrow.list_(pyarrow.int32(), 2)
ENUM = pyarrow.dictionary(pyarrow.uint8(), TEXT)
ONLY_IN_RESULTS = {
    "'b'::ENUM ('a', 'b')": (ENUM, "b"),
    "[1, 2]::INTEGER[2]": (ARRAY, [1, 2]),
    "(2::HUGEINT ** 100)::HUGEINT": (pyarrow.decimal128(38, 0), decimal.Decimal(2**100)),
    "'14:00:00+02'::TIMETZ": (pyarrow.time64("us"), datetime.time(14)),
    "'00:00:01.5'::TIME_NS": (pyarrow.time64("ns"), datetime.time(0, 0, 1, 500000)),
    "INTERVAL '14 months -3 days 4.005 seconds'": (
        pyarrow.month_day_nano_interval(),
        pyarrow.MonthDayNano([14, -3, 4_005_000_000]),
    ),
    "count(*)": (pyarrow.int64(), 1),
    "sum(1)": (pyarrow.decimal128(38, 0), decimal.Decimal(1)),
    "avg(1)": (pyarrow.float64(), 1.0),
}


def arrow(connection, sql, parameters=None):
    """The only column of a query."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        [column] = cursor.fetch_arrow_table().columns
    return column


def check(column, case, values):
    """The column has the case's type, and the values to the last bit: −0.0 is not 0.0, and NaN is NaN."""
    expected = pyarrow.array(values, case.received or case.sent)
    assert column.type == expected.type
    assert repr(column.to_pylist()) == repr(expected.to_pylist())


# === queries ===


@pytest.mark.parametrize("case", LITERALS)
def test_a_literal_has_its_exact_type(server, case):
    case = CASES[case]
    with server.adbc() as connection:
        check(arrow(connection, f"SELECT {case.literal} AS v"), case, case.values[:1])
        check(arrow(connection, f"SELECT {case.literal} AS v WHERE false"), case, [])


@pytest.mark.parametrize("case", LITERALS)
def test_a_schema_without_execution_is_that_of_the_result(server, case):
    case = CASES[case]
    with server.adbc() as connection, connection.cursor() as cursor:
        [field] = cursor.adbc_execute_schema(f"SELECT {case.literal} AS v")
    assert field.type == (case.received or case.sent) and field.name == "v"


@pytest.mark.parametrize("expression", ONLY_IN_RESULTS)
def test_a_type_that_only_results_have(server, expression):
    kind, value = ONLY_IN_RESULTS[expression]
    with server.adbc() as connection:
        column = arrow(connection, f"SELECT {expression} AS v")
    assert column.type == kind and column.to_pylist() == [value]


# === parameters ===


@pytest.mark.parametrize("case", CASES)
def test_a_bound_value_keeps_its_type(server, case):
    case = CASES[case]
    with server.adbc() as connection:
        for value in case.values:
            row = pyarrow.record_batch({"0": pyarrow.array([value], case.sent)})
            check(arrow(connection, "SELECT ? AS v", row), case, [value])


@pytest.mark.parametrize("case", LITERALS)
def test_a_bound_value_is_the_literal(server, case):
    case = CASES[case]
    row = pyarrow.record_batch({"0": pyarrow.array(case.values[:1], case.sent)})
    assert server.sql(f"SELECT ? IS NOT DISTINCT FROM {case.literal}", row) == [(True,)]


# === ingest ===
# One table has a column of each type, so that there are few commits.

WIDTH = max(len(case.values) for case in CASES.values())
SCHEMA = pyarrow.schema([("n", pyarrow.int64()), *((name, case.sent) for name, case in CASES.items())])


def padded(case):
    """The values, and NULLs up to a row that has nothing else."""
    return [*case.values, *[None] * (WIDTH + 1 - len(case.values))]


def ingest(connection, table, mode, rows=WIDTH + 1):
    """Ingests the first rows in three batches, the second of which is empty; `n` is the order."""
    columns = [pyarrow.array(padded(case), case.sent) for case in CASES.values()]
    whole = pyarrow.record_batch([pyarrow.array(range(WIDTH + 1), pyarrow.int64()), *columns], SCHEMA).slice(0, rows)
    batches = pyarrow.RecordBatchReader.from_batches(SCHEMA, [whole.slice(0, 1), whole.slice(0, 0), whole.slice(1)])
    with connection.cursor() as cursor:
        assert cursor.adbc_ingest(table, batches, mode=mode) == rows


def check_table(connection, table, rows=WIDTH + 1, repeated=1):
    """The table has these rows, each this many times."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * EXCLUDE (n) FROM {table} ORDER BY n")
        found = cursor.fetch_arrow_table()
    assert found.column_names == list(CASES)
    for name, case in CASES.items():
        check(found[name], case, [value for value in padded(case)[:rows] for _ in range(repeated)])


def test_every_mode_of_ingest(server, name):
    with server.adbc() as connection:
        for mode, repeated in [("create", 1), ("append", 2), ("create_append", 3), ("replace", 1), ("append", 2)]:
            ingest(connection, name, mode)
            check_table(connection, name, repeated=repeated)
        ingest(connection, f"{name}_new", "create_append")
        check_table(connection, f"{name}_new")


def test_an_empty_table_has_the_columns(server, name):
    with server.adbc() as connection:
        for mode, rows in [("create", 0), ("append", 1), ("replace", 0), ("create_append", 1)]:
            ingest(connection, name, mode, rows)
            check_table(connection, name, rows)


def test_a_column_of_nulls_has_its_type(server, name):
    nulls = pyarrow.table([pyarrow.nulls(2, case.sent) for case in CASES.values()], list(CASES))
    with server.adbc() as connection, connection.cursor() as cursor:
        cursor.adbc_ingest(name, nulls)
        cursor.execute(f"FROM {name}")
        found = cursor.fetch_arrow_table()
    for column, case in CASES.items():
        check(found[column], case, [None, None])


def test_the_metadata_has_the_types(server, name):
    with server.adbc() as connection:
        ingest(connection, name, "create", 0)
        schema = connection.adbc_get_table_schema(name)
        [lake] = connection.adbc_get_objects(depth="all", table_name_filter=name).read_all().to_pylist()
    received = {column: case.received or case.sent for column, case in CASES.items()}
    assert dict(zip(schema.names, schema.types, strict=True)) == {"n": pyarrow.int64()} | received
    [table] = [table for found in lake["catalog_db_schemas"] for table in found["db_schema_tables"]]
    columns = {column["column_name"]: column["xdbc_type_name"] for column in table["table_columns"]}
    assert columns == {"n": "BIGINT"} | {column: case.stored for column, case in CASES.items()}


# === what tables do not keep ===

INTERVAL = pyarrow.record_batch(
    {"0": pyarrow.array([pyarrow.MonthDayNano([14, -3, 4_005_000_000])], pyarrow.month_day_nano_interval())}
)
DURATION = pyarrow.record_batch({"0": pyarrow.array([datetime.timedelta(hours=-1200)], pyarrow.duration("us"))})


@pytest.mark.parametrize("statement", ["CREATE TABLE {} AS SELECT ? AS v", "CREATE TABLE {} AS SELECT [?] AS v"])
@pytest.mark.parametrize("row", [INTERVAL, DURATION], ids=["interval", "duration"])
def test_an_interval_is_refused_with_the_cast(server, name, statement, row):
    with server.adbc() as connection, connection.cursor() as cursor:
        with pytest.raises(adbc_driver_manager.ProgrammingError, match="cannot be stored.*cast it to VARCHAR"):
            cursor.execute(statement.format(name), row)
    assert server.scalar(f"SELECT count(*) FROM duckdb_tables() WHERE table_name = '{name}'") == 0


@pytest.mark.parametrize("row", [INTERVAL, DURATION], ids=["interval", "duration"])
def test_the_cast_that_the_refusal_names_keeps_an_interval(server, name, row):
    server.sql(f"CREATE TABLE {name} (text VARCHAR, micros BIGINT)")
    server.sql(f"INSERT INTO {name} SELECT $1::VARCHAR, epoch_us($1)", row)
    same = f"SELECT text::INTERVAL = $1, to_microseconds(micros) = to_microseconds(epoch_us($1)) FROM {name}"
    assert server.sql(same, row) == [(True, True)]
