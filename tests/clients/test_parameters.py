"""Bound parameters: values of every type round-trip, and an invalid call affects no other client."""

import datetime
import decimal
import uuid

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


def test_a_timestamp_in_another_zone_is_the_same_time(server):
    zone = datetime.timezone(datetime.timedelta(hours=5, minutes=45))
    moment = datetime.datetime(2024, 1, 1, 5, 45, tzinfo=zone)
    bound = pyarrow.record_batch({"0": pyarrow.array([moment], pyarrow.timestamp("us", "+05:45"))})
    [(value,)] = server.sql("SELECT ?::TIMESTAMPTZ", bound)
    assert value == datetime.datetime(2024, 1, 1, tzinfo=UTC)


def test_intervals_come_back(server):
    interval = pyarrow.MonthDayNano([14, -3, 4_005_000_000])
    bound = pyarrow.record_batch({"0": pyarrow.array([interval], pyarrow.month_day_nano_interval())})
    assert server.sql("SELECT ?::INTERVAL, ?::INTERVAL::VARCHAR".replace("?", "$1"), bound) == [
        (interval, "1 year 2 months -3 days 00:00:04.005")
    ]


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
def test_a_wrong_count_is_an_error_and_the_connection_works(server, parameters):
    with server.adbc() as connection, connection.cursor() as cursor:
        with pytest.raises(connection.ProgrammingError, match="parameter"):
            cursor.execute("SELECT ?::INTEGER + ?::INTEGER", parameters)
            cursor.fetchall()
        cursor.execute("SELECT ?::INTEGER + ?::INTEGER", (20, 22))
        assert cursor.fetchall() == [(42,)]


def test_a_value_of_the_wrong_type_is_an_error_and_the_connection_works(server):
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


# === several rows for a query ===


def rows_for(server, sql, *columns):
    with server.adbc() as connection, connection.cursor() as cursor:
        cursor.execute(sql, pyarrow.record_batch([column if isinstance(column, pyarrow.Array) else pyarrow.array(column) for column in columns], [str(i) for i in range(len(columns))]))
        return [tuple(row.values()) for row in cursor.fetch_arrow_table().to_pylist()]


def test_a_query_returns_the_rows_for_each_row_of_parameters_in_order(server):
    assert rows_for(server, "SELECT 1 + ?", [1, 2, 3, 4]) == [(2,), (3,), (4,), (5,)]
    assert rows_for(server, "SELECT i, ? FROM range(?) t(i)", ["a", "b", "c"], [2, 0, 1]) == [(0, "a"), (1, "a"), (0, "c")]


def test_a_null_in_any_row_of_parameters_has_the_type_of_the_others(server):
    assert rows_for(server, "SELECT ?", [None, "x", None]) == [(None,), ("x",), (None,)]
    assert rows_for(server, "SELECT ? + 1", [None, 1]) == [(None,), (2,)]
    assert rows_for(server, "SELECT ?", [[1], None, []]) == [([1],), (None,), ([],)]
    assert rows_for(server, "SELECT ?, ?", [None, None], [1, 2]) == [(None, 1), (None, 2)]


def test_many_rows_of_parameters_give_large_batches_and_need_no_memory(server):
    rows = pyarrow.record_batch({"0": pyarrow.array(range(20_000))})
    with server.adbc() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT ?", rows)
        batches = cursor.fetch_arrow_table()[0].chunks
        assert pyarrow.chunked_array(batches).to_pylist() == list(range(20_000))
        assert len(batches) < 1000
        before = server.rss_bytes()
        cursor.execute("SELECT repeat('x', 100_000) || ? FROM range(10)", rows.slice(0, 1000))
        assert sum(batch.num_rows for batch in cursor.fetch_record_batch()) == 10_000
        assert server.rss_bytes() - before < 200 << 20


def test_the_row_that_fails_fails_the_query(server):
    with server.adbc() as connection, connection.cursor() as cursor:
        with pytest.raises(connection.Error, match="Could not convert string 'x'"):
            cursor.execute("SELECT ?::BIGINT", pyarrow.record_batch({"0": ["1", "x", "3"]}))
            cursor.fetchall()
        cursor.execute("SELECT 42")
        assert cursor.fetchone() == (42,)


def test_rows_of_parameters_whose_columns_differ_are_refused(server):
    union = pyarrow.UnionArray.from_sparse(
        pyarrow.array([0, 1], pyarrow.int8()), [pyarrow.array([1, 2]), pyarrow.array(["a", "b"])]
    )
    with server.adbc() as connection, connection.cursor() as cursor:
        with pytest.raises(connection.Error, match="row 2 of the parameters .* cast the parameters"):
            cursor.execute("SELECT ?", pyarrow.record_batch({"0": union}))
            cursor.fetchall()


def test_rows_of_parameters_for_a_query_in_a_transaction_see_one_state(server, name):
    server.sql(f"CREATE TABLE {name} AS FROM range(5) t(i)")
    with server.adbc(autocommit=False) as connection, connection.cursor() as cursor, connection.cursor() as other:
        cursor.execute(f"INSERT INTO {name} VALUES (5)")
        cursor.execute(f"SELECT count(*), repeat('x', 10000) FROM {name}, range(?) GROUP BY ALL", pyarrow.record_batch({"0": [1] * 2_000}))
        reader = cursor.fetch_record_batch()
        other.execute("SELECT 42")
        assert other.fetchone() == (42,)
        assert {count for batch in reader for count in batch.column(0).to_pylist()} == {6}


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


# === many rows at once ===


def files(server):
    return len(list(server.store.rglob("*.parquet")))


def both_ways(server, name, columns, statement, rows):
    """The effect of the statement for all rows at once, and for one after the other."""
    results = []
    for way in ["at_once", "one_by_one"]:
        table = f"{name}_{way}"
        with server.adbc() as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE TABLE {table} ({columns})")
            sql = statement.format(table)
            count = 0
            for part in [rows] if way == "at_once" else [rows.slice(n, 1) for n in range(rows.num_rows)]:
                cursor.executemany(sql, part)
                count += cursor.rowcount
            cursor.execute(f"FROM {table} ORDER BY ALL")
            results.append((count, cursor.fetch_arrow_table()))
    return results


PAIRS = pyarrow.record_batch({"0": [1, 2, None, 4], "1": ["a", None, "it's ?", "ä"]})
BULK = {
    "all columns": ("a BIGINT, b VARCHAR", "INSERT INTO {} VALUES (?, ?)"),
    "named columns": ("a BIGINT, b VARCHAR, c INTEGER DEFAULT 7", "INSERT INTO {} (b, a) VALUES ($2, $1)"),
    "casts": ("a VARCHAR, b VARCHAR", "INSERT INTO {} VALUES (?, ?)"),
    "narrower": ("a TINYINT, b BLOB", "INSERT INTO {} VALUES (?, encode(?))"),
    "expressions": ("a BIGINT, b VARCHAR", "INSERT INTO {} VALUES ((? + 1) * 2, upper(?) || '?''-- ?')"),
    "case": ("a BIGINT, b VARCHAR", "INSERT INTO {} VALUES (CASE WHEN ? > 1 THEN 10 ELSE 20 END, ?)"),
    "lists": ("a BIGINT[], b VARCHAR", "INSERT INTO {} VALUES ([?, 7], ?)"),
    "structs": ("a STRUCT(x BIGINT), b VARCHAR", "INSERT INTO {} VALUES ({{'x': ?}}, ?)"),
    "select": ("a BIGINT, b VARCHAR", "INSERT INTO {} SELECT ?, ?"),
    "aggregate": ("a BIGINT, b BIGINT", "INSERT INTO {} SELECT sum(?::BIGINT), count(?)"),
    "filter": ("a BIGINT, b VARCHAR", "INSERT INTO {0} SELECT ?, ? WHERE (SELECT count(*) FROM {0}) < 2"),
    "running": ("a BIGINT, b VARCHAR", "INSERT INTO {0} VALUES (? + (SELECT count(*) FROM {0}), ?)"),
    "default": ("a BIGINT, b VARCHAR, c INTEGER DEFAULT 7", "INSERT INTO {} VALUES (?, ?, DEFAULT)"),
    "coalesce": ("a BIGINT, b VARCHAR", "INSERT INTO {} VALUES (coalesce(?, 0), coalesce(?, 'none'))"),
    "two rows": ("a BIGINT, b VARCHAR", "INSERT INTO {} VALUES (?, 'x'), (0, ?)"),
    "comment": ("a BIGINT, b VARCHAR", "/* ? */ INSERT INTO {} -- ?\n VALUES (?, -- ?\n ?)"),
}


@pytest.mark.parametrize("case", BULK)
def test_many_rows_at_once_mean_the_same_as_one_by_one(server, name, case):
    at_once, one_by_one = both_ways(server, name, *BULK[case], PAIRS)
    assert at_once == one_by_one


def test_a_hundred_thousand_rows_are_one_file(server, name):
    rows = pyarrow.record_batch({"0": pyarrow.array(range(100_000)), "1": [f"text {n}" for n in range(100_000)]})
    with server.adbc() as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {name} (a INTEGER, b VARCHAR)")
        before = files(server)
        cursor.executemany(f"INSERT INTO {name} VALUES (?, ?)", rows)
        assert cursor.rowcount == 100_000
        assert files(server) == before + 1
    assert server.sql(f"SELECT count(*), sum(a), max(b) FROM {name}") == [(100_000, 4999950000, "text 99999")]


def test_a_wrong_count_for_many_rows_is_an_error(server, name):
    with server.adbc() as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {name} (a INTEGER, b INTEGER)")
        with pytest.raises(connection.ProgrammingError, match="takes 2 parameters, 3 were given"):
            cursor.executemany(f"INSERT INTO {name} VALUES (?, ?)", [(1, 2, 3)] * 5)
    assert server.scalar(f"SELECT count(*) FROM {name}") == 0


def test_many_rows_in_a_transaction_are_rolled_back_with_it(server, name):
    server.sql(f"CREATE TABLE {name} (a INTEGER)")
    with server.adbc(autocommit=False) as connection, connection.cursor() as cursor:
        cursor.executemany(f"INSERT INTO {name} VALUES (?)", [(n,) for n in range(100)])
        cursor.execute(f"SELECT count(*) FROM {name}")
        assert cursor.fetchone() == (100,)
        connection.rollback()
    assert server.scalar(f"SELECT count(*) FROM {name}") == 0


# === types that have no value of their own in DuckDB's interface ===

PLAIN = {
    "half float": (pyarrow.float16(), "FLOAT", 1.5),
    "decimal256": (pyarrow.decimal256(38, 2), "DECIMAL(38, 2)", decimal.Decimal("-12345678901234567890.12")),
    "decimal32": (pyarrow.decimal32(9, 2), "DECIMAL(9, 2)", decimal.Decimal("1.50")),
    "list view": (pyarrow.list_view(pyarrow.int64()), "BIGINT[]", [1, None, 3]),
    "fixed list": (pyarrow.list_(pyarrow.float32(), 2), "FLOAT[]", [1.5, 2.5]),
    "string view": (pyarrow.string_view(), "VARCHAR", TEXT),
    "dictionary": (pyarrow.dictionary(pyarrow.int8(), pyarrow.string()), "VARCHAR", "a"),
    "list of dictionary": (
        pyarrow.list_(pyarrow.dictionary(pyarrow.int8(), pyarrow.string())),
        "VARCHAR[]",
        ["a", None],
    ),
}


@pytest.mark.parametrize("case", PLAIN)
def test_values_of_other_forms_are_bound_as_their_plain_form(server, case):
    arrow_type, sql_type, value = PLAIN[case]
    bound = pyarrow.record_batch({"0": pyarrow.array([value], arrow_type)})
    assert server.sql(f"SELECT ?::{sql_type}", bound) == [(value,)]


def test_a_duration_is_an_interval(server):
    bound = pyarrow.record_batch({"0": pyarrow.array([datetime.timedelta(hours=1)], pyarrow.duration("s"))})
    assert server.sql("SELECT ? = INTERVAL '1 hour'", bound) == [(True,)]


def test_a_union_is_the_value_that_it_holds(server):
    union = pyarrow.UnionArray.from_sparse(pyarrow.array([1], pyarrow.int8()), [pyarrow.array([1]), pyarrow.array(["a"])])
    assert server.sql("SELECT ?::VARCHAR", pyarrow.record_batch([union], names=["0"])) == [("a",)]


def uuids(*ids):
    return pyarrow.ExtensionArray.from_storage(pyarrow.uuid(), pyarrow.array([i and i.bytes for i in ids], pyarrow.binary(16)))


def test_uuids_are_bound_as_uuids_and_returned_as_text(server):
    ids = [uuid.UUID(int=0), None, uuid.UUID("977fb511-ac85-4049-9cb6-7cac82cf5efa"), uuid.UUID(int=2**128 - 1)]
    expected = [(i and str(i), "UUID") for i in ids]
    assert rows_for(server, "SELECT $1, typeof($1)", uuids(*ids)) == expected
    lists = pyarrow.ListArray.from_arrays(pyarrow.array([0, 4], pyarrow.int32()), uuids(*ids))
    structs = pyarrow.StructArray.from_arrays([uuids(ids[2])], ["u"])
    [row] = rows_for(server, "SELECT typeof($1), typeof($2), $1", lists, structs)
    assert row == ("UUID[]", "STRUCT(u UUID)", [i and str(i) for i in ids])


def test_lossless_results_have_arrow_s_own_types(server):
    with server.adbc(username="ada", password="") as connection, connection.cursor() as cursor:
        cursor.execute("SET arrow_lossless_conversion = true")
        cursor.execute("SELECT '977fb511-ac85-4049-9cb6-7cac82cf5efa'::UUID AS u, ['{}'::JSON] AS j")
        table = cursor.fetch_arrow_table()
        assert table.schema.types == [pyarrow.uuid(), pyarrow.list_(pyarrow.json_())]
        assert table["u"].to_pylist() == [uuid.UUID("977fb511-ac85-4049-9cb6-7cac82cf5efa")]
        cursor.execute("RESET arrow_lossless_conversion")
        cursor.execute("SELECT uuid() AS u")
        assert cursor.fetch_arrow_table().schema.types == [pyarrow.string()]


def test_bytes_are_uuids_only_if_they_say_so(server):
    assert rows_for(server, "SELECT typeof(?)", pyarrow.array([b"0" * 16], pyarrow.binary(16))) == [("BLOB",)]


def test_a_decimal_of_too_many_digits_is_refused(server):
    bound = pyarrow.record_batch({"0": pyarrow.array([decimal.Decimal(1)], pyarrow.decimal256(50, 0))})
    with pytest.raises(adbc_driver_manager.NotSupportedError, match="no counterpart"):
        server.sql("SELECT ?", bound)
