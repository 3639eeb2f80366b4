"""Bound parameters: every type comes back as it went in, and a wrong call hurts nobody."""

import datetime
import decimal

import adbc_driver_manager
import pyarrow
import pytest

UTC = datetime.timezone.utc
TEXT = "Zażółć gęślą jaźń — 日本語 🦆 'quoted' \"double\" \\ \n\t?"
LARGE = "ä" * (512 << 10)


def check(server, sql_type, values, arrow_type=None):
    """Inserts `values` as bound parameters into a column of `sql_type` and reads them back."""
    values = [*values, None]
    bound = pyarrow.table({"v": pyarrow.array(values, arrow_type)})
    with server.adbc() as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE OR REPLACE TABLE parameters (n BIGINT, v {sql_type})")
        for n in range(len(values)):
            row = pyarrow.record_batch({"0": pyarrow.array([n]), "1": bound["v"].slice(n, 1).combine_chunks()})
            cursor.execute("INSERT INTO parameters VALUES (?, ?)", row)
        cursor.execute("SELECT v FROM parameters ORDER BY n")
        assert cursor.fetch_arrow_table()["v"].to_pylist() == values


# === types ===

INTEGERS = {
    "TINYINT": (pyarrow.int8(), -(2**7), 2**7 - 1),
    "SMALLINT": (pyarrow.int16(), -(2**15), 2**15 - 1),
    "INTEGER": (pyarrow.int32(), -(2**31), 2**31 - 1),
    "BIGINT": (pyarrow.int64(), -(2**63), 2**63 - 1),
    "UTINYINT": (pyarrow.uint8(), 0, 2**8 - 1),
    "USMALLINT": (pyarrow.uint16(), 0, 2**16 - 1),
    "UINTEGER": (pyarrow.uint32(), 0, 2**32 - 1),
    "UBIGINT": (pyarrow.uint64(), 0, 2**64 - 1),
}


@pytest.mark.parametrize("sql_type", INTEGERS)
def test_integers_of_every_width_come_back(server, sql_type):
    arrow_type, smallest, largest = INTEGERS[sql_type]
    check(server, sql_type, [smallest, 0, 1, largest], arrow_type)


def test_booleans_come_back(server):
    check(server, "BOOLEAN", [True, False])


def test_floats_come_back(server):
    check(server, "DOUBLE", [0.0, -1.5, 1e308, 5e-324, float("inf"), float("-inf")])
    check(server, "FLOAT", [0.0, -1.5, 2.0**100], pyarrow.float32())


def test_decimals_come_back(server):
    values = [decimal.Decimal("0.00"), decimal.Decimal("-12345678901234567890123456789.12"), decimal.Decimal("0.01")]
    check(server, "DECIMAL(38, 2)", values, pyarrow.decimal128(38, 2))
    check(server, "DECIMAL(9, 4)", [decimal.Decimal("99999.9999")], pyarrow.decimal128(9, 4))
    check(server, "DECIMAL(18, 3)", [decimal.Decimal("-1.000")], pyarrow.decimal128(38, 3))


@pytest.mark.parametrize("arrow_type", [pyarrow.string(), pyarrow.large_string()], ids=str)
def test_texts_come_back(server, arrow_type):
    check(server, "VARCHAR", ["", " ", TEXT, LARGE, "NULL", "a\0b"], arrow_type)


@pytest.mark.parametrize("arrow_type", [pyarrow.binary(), pyarrow.large_binary()], ids=str)
def test_blobs_come_back(server, arrow_type):
    check(server, "BLOB", [b"", b"\0", bytes(range(256)), b"\xff" * (1 << 20)], arrow_type)


def test_dates_come_back(server):
    dates = [datetime.date(1970, 1, 1), datetime.date(1, 1, 1), datetime.date(9999, 12, 31), datetime.date(1969, 12, 31)]
    check(server, "DATE", dates)


@pytest.mark.parametrize("arrow_type", [pyarrow.time32("s"), pyarrow.time32("ms"), pyarrow.time64("us")], ids=str)
def test_times_come_back(server, arrow_type):
    check(server, "TIME", [datetime.time(0), datetime.time(23, 59, 59), datetime.time(12, 30)], arrow_type)


def test_microseconds_of_a_time_come_back(server):
    check(server, "TIME", [datetime.time(23, 59, 59, 999999)], pyarrow.time64("us"))


TIMESTAMPS = {"s": "TIMESTAMP_S", "ms": "TIMESTAMP_MS", "us": "TIMESTAMP", "ns": "TIMESTAMP_NS"}
MOMENTS = [
    datetime.datetime(1970, 1, 1),
    datetime.datetime(2024, 2, 29, 23, 59, 59),
    datetime.datetime(1905, 1, 2, 3, 4, 5),
]


@pytest.mark.parametrize("unit", TIMESTAMPS)
def test_timestamps_come_back_in_every_unit(server, unit):
    check(server, TIMESTAMPS[unit], MOMENTS, pyarrow.timestamp(unit))


@pytest.mark.parametrize("unit", TIMESTAMPS)
def test_timestamps_of_every_unit_come_back_from_a_column_of_microseconds(server, unit):
    check(server, "TIMESTAMP", MOMENTS, pyarrow.timestamp(unit))


@pytest.mark.parametrize("unit", TIMESTAMPS)
def test_timestamps_with_a_zone_come_back_in_every_unit(server, unit):
    moments = [moment.replace(tzinfo=UTC) for moment in MOMENTS]
    check(server, "TIMESTAMPTZ", moments, pyarrow.timestamp(unit, "UTC"))


def test_a_moment_in_another_zone_is_the_same_moment(server):
    zone = datetime.timezone(datetime.timedelta(hours=5, minutes=45))
    moment = datetime.datetime(2024, 1, 1, 5, 45, tzinfo=zone)
    bound = pyarrow.record_batch({"0": pyarrow.array([moment], pyarrow.timestamp("us", "+05:45"))})
    [(value,)] = server.sql("SELECT ?::TIMESTAMPTZ", bound)
    assert value == datetime.datetime(2024, 1, 1, tzinfo=UTC)


def test_intervals_come_back(server):
    # Parquet keeps milliseconds and no negative part.
    interval = pyarrow.MonthDayNano([14, 3, 4_005_000_000])
    check(server, "INTERVAL", [interval], pyarrow.month_day_nano_interval())


def test_lists_and_structs_come_back(server):
    check(server, "BIGINT[]", [[], [1], [1, None, -(2**63)]], pyarrow.list_(pyarrow.int64()))
    check(server, "VARCHAR[][]", [[["a"], [], None]], pyarrow.list_(pyarrow.list_(pyarrow.string())))
    record = pyarrow.struct([("a", pyarrow.int32()), ("b", pyarrow.list_(pyarrow.string()))])
    check(server, "STRUCT(a INTEGER, b VARCHAR[])", [{"a": 1, "b": ["x", None]}, {"a": None, "b": None}], record)


def test_values_without_a_column_keep_their_type(server):
    values = (1, 1.5, TEXT, b"\0\xff", True, datetime.date(2024, 2, 29), datetime.datetime(2024, 2, 29, 1, 2, 3, 4))
    [row] = server.sql("SELECT " + ", ".join("?" for _ in values), values)
    assert row == values


def test_a_null_without_a_type_comes_back(server):
    assert server.sql("SELECT ? AS v", (None,)) == [(None,)]


# === calls ===


def test_parameters_by_number_may_repeat(server):
    assert server.sql("SELECT $2, $1, $2", ("a", "b")) == [("b", "a", "b")]


def test_parameters_filter(server):
    assert server.sql("SELECT count(*) FROM range(100) t(i) WHERE i >= ? AND i < ?", (10, 15)) == [(5,)]


@pytest.mark.parametrize("parameters", [(), (1,), (1, 2, 3)], ids=len)
def test_a_wrong_count_is_an_error_and_the_connection_goes_on(server, parameters):
    with server.adbc() as connection, connection.cursor() as cursor:
        with pytest.raises(connection.ProgrammingError, match="parameter"):
            cursor.execute("SELECT ?::INTEGER + ?::INTEGER", parameters)
            cursor.fetchall()
        cursor.execute("SELECT ?::INTEGER + ?::INTEGER", (20, 22))
        assert cursor.fetchall() == [(42,)]


def test_a_value_of_the_wrong_type_is_an_error_and_the_connection_goes_on(server):
    with server.adbc() as connection, connection.cursor() as cursor:
        with pytest.raises(connection.ProgrammingError, match="Conversion Error"):
            cursor.execute("SELECT ?::INTEGER", ("many",))
            cursor.fetchall()
        cursor.execute("SELECT ?::INTEGER", ("7",))
        assert cursor.fetchall() == [(7,)]


def test_one_cursor_executes_again_with_other_parameters(server):
    with server.adbc() as connection, connection.cursor() as cursor:
        for value in [1, 2**40, None, -1]:
            cursor.execute("SELECT ?::BIGINT * 2", (value,))
            assert cursor.fetchall() == [(None if value is None else value * 2,)]


def test_executemany_counts_what_it_changed(server, name):
    with server.adbc() as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {name} (k BIGINT, v VARCHAR)")
        cursor.executemany(f"INSERT INTO {name} VALUES (?, ?)", [(i, f"v{i}") for i in range(10)])
        assert cursor.rowcount == 10
        cursor.executemany(f"UPDATE {name} SET v = ? WHERE k < ?", [("a", 3), ("b", 2)])
        assert cursor.rowcount == 5
        cursor.executemany(f"DELETE FROM {name} WHERE k = ?", [(1,), (100,)])
        assert cursor.rowcount == 1
    assert server.sql(f"SELECT k, v FROM {name} WHERE k < 4 ORDER BY k") == [(0, "b"), (2, "a"), (3, "v3")]


def test_executemany_with_a_bad_row_changes_nothing(server, name):
    with server.adbc() as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {name} (k INTEGER)")
        with pytest.raises(connection.ProgrammingError, match="Conversion Error"):
            cursor.executemany(f"INSERT INTO {name} VALUES (?)", [("1",), ("x",), ("3",)])
    assert server.scalar(f"SELECT count(*) FROM {name}") == 0


def test_dictionary_columns_bind_their_values(server, name):
    with server.adbc() as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {name} (v VARCHAR)")
        coded = pyarrow.array(["a", "b", None, "a"]).dictionary_encode()
        cursor.executemany(f"INSERT INTO {name} VALUES (?)", pyarrow.record_batch({"0": coded}))
        assert cursor.rowcount == 4
    assert server.sql(f"SELECT v FROM {name} ORDER BY v NULLS FIRST") == [(None,), ("a",), ("a",), ("b",)]


def test_a_map_with_a_repeated_key_is_refused_and_the_server_lives(server):
    maps = pyarrow.array([[("a", 1), ("a", 2)]], pyarrow.map_(pyarrow.string(), pyarrow.int64()))
    with server.adbc() as connection, connection.cursor() as cursor:
        with pytest.raises(adbc_driver_manager.ProgrammingError, match="map"):
            cursor.execute("SELECT ?::VARCHAR", pyarrow.record_batch([maps], names=["0"]))
            cursor.fetchall()
    assert server.scalar("SELECT 1") == 1
