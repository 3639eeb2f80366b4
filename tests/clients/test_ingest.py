"""Bulk writes: adbc_ingest and CommandStatementIngest, completely or not at all."""

import contextlib
import datetime
import decimal
import os
import signal
import subprocess
import sys
import threading
import uuid

import adbc_driver_manager
import pyarrow
import pyarrow.flight
import pytest

import harness
import protobuf

CREATE, FAIL = 1, 2
IF_EXISTS = {"fail": 1, "append": 2, "replace": 3}
ROWS = pyarrow.table({"i": [1, 2, None], "s": ["a", "ä 🦆", None]})
MIB = 1 << 20


def ingest(server, name, data, mode="create", **options):
    with server.adbc() as connection, connection.cursor() as cursor:
        return cursor.adbc_ingest(name, data, mode=mode, **options)


def rows(server, name):
    return server.sql(f"FROM {name} ORDER BY ALL")


def exists(server, name):
    found = server.scalar(f"SELECT count(*) FROM duckdb_tables() WHERE database_name = 'lake' AND table_name = '{name}'")
    return found == 1


def files(server):
    return {path.name for path in server.store.rglob("*.parquet")}


def snapshot(server):
    return server.scalar("SELECT id FROM lake.current_snapshot()")


def command(table, if_absent=CREATE, if_exists=IF_EXISTS["fail"], fields=()):
    """CommandStatementIngest; more fields by number."""
    definition = protobuf.message((1, if_absent), (2, if_exists))
    return protobuf.sql_command("CommandStatementIngest", (1, definition), (2, table), *fields)


@contextlib.contextmanager
def writer(server, descriptor, schema):
    """A raw DoPut; the second return value is the response's record count."""
    with server.flight() as client:
        put, reader = client.do_put(pyarrow.flight.FlightDescriptor.for_command(descriptor), schema)

        def count():
            put.done_writing()
            reply = reader.read()
            if reply is None:
                # The reason is in this message.
                put.close()
            assert reader.read() is None, "a second reply"
            return protobuf.parse(reply.to_pybytes()).get(1, [0])[0]

        try:
            yield put, count
        finally:
            with contextlib.suppress(pyarrow.ArrowException):
                put.close()


# === modes ===


def test_create_makes_the_table_once(server, name):
    assert ingest(server, name, ROWS) == 3
    assert rows(server, name) == [(1, "a"), (2, "ä 🦆"), (None, None)]
    with pytest.raises(adbc_driver_manager.Error, match="already exists") as error:
        ingest(server, name, ROWS)
    assert error.value.status_code == adbc_driver_manager.AdbcStatusCode.ALREADY_EXISTS
    assert server.scalar(f"SELECT count(*) FROM {name}") == 3


def test_append_needs_the_table(server, name):
    with pytest.raises(adbc_driver_manager.Error, match="table .* does not exist") as error:
        ingest(server, name, ROWS, "append")
    assert error.value.status_code == adbc_driver_manager.AdbcStatusCode.NOT_FOUND
    ingest(server, name, ROWS)
    assert ingest(server, name, ROWS, "append") == 3
    assert server.scalar(f"SELECT count(*) FROM {name}") == 6


def test_replace_makes_another_table(server, name):
    assert ingest(server, name, ROWS, "replace") == 3
    assert ingest(server, name, pyarrow.table({"other": [1.5]}), "replace") == 1
    assert rows(server, name) == [(1.5,)]


def test_create_append_makes_or_appends(server, name):
    assert ingest(server, name, ROWS, "create_append") == 3
    assert ingest(server, name, ROWS, "create_append") == 3
    assert server.scalar(f"SELECT count(*) FROM {name}") == 6


@pytest.mark.parametrize("modes", [(0, 1), (1, 0), (1, 9), (None, None)])
def test_an_unsaid_mode_is_refused(server, name, modes):
    with pytest.raises(pyarrow.ArrowInvalid, match="if the table exists"):
        with writer(server, command(name, *modes), ROWS.schema) as (_, count):
            count()
    assert not exists(server, name)


def test_replace_of_what_must_exist(server, name):
    must_exist = command(name, FAIL, IF_EXISTS["replace"])
    with pytest.raises(KeyError, match="table .* does not exist"):
        with writer(server, must_exist, ROWS.schema) as (_, count):
            count()
    ingest(server, name, ROWS)
    with writer(server, must_exist, pyarrow.schema({"n": pyarrow.int8()})) as (_, count):
        assert count() == 0
    assert rows(server, name) == []


# === columns ===


def test_columns_meet_by_name_and_others_get_their_defaults(server, name):
    server.sql(f"CREATE TABLE {name} (a INTEGER, b VARCHAR DEFAULT 'none', c DOUBLE)")
    assert ingest(server, name, pyarrow.table({"C": [1.5], "A": pyarrow.array([7], pyarrow.int64())}), "append") == 1
    assert rows(server, name) == [(7, "none", 1.5)]


@pytest.mark.parametrize("mode", ["append", "create_append"])
@pytest.mark.parametrize("columns", [{"a": [1], "stranger": [2]}, {"stranger": ["x"]}], ids=["one more", "another"])
def test_a_table_with_other_columns_already_exists(server, name, mode, columns):
    server.sql(f"CREATE TABLE {name} (a INTEGER)")
    with pytest.raises(adbc_driver_manager.ProgrammingError, match="already exists, and the rows do not fit .*stranger") as error:
        ingest(server, name, pyarrow.table(columns), mode)
    assert error.value.status_code == adbc_driver_manager.AdbcStatusCode.ALREADY_EXISTS
    assert "LINE 1" not in str(error.value)
    assert rows(server, name) == []


@pytest.mark.parametrize("columns", [{"a": [[1]]}, {"l": [1.5]}], ids=["list", "number"])
def test_a_type_that_cannot_be_cast_to_the_column_s_is_refused(server, name, columns):
    server.sql(f"CREATE TABLE {name} (a INTEGER, l STRUCT(x INTEGER)[])")
    with pytest.raises(adbc_driver_manager.ProgrammingError, match="type for cast .* source column"):
        ingest(server, name, pyarrow.table(columns), "append")
    assert rows(server, name) == []


def test_a_value_that_does_not_fit_changes_nothing(server, name):
    server.sql(f"CREATE TABLE {name} (a TINYINT)")
    before = files(server)
    with pytest.raises(adbc_driver_manager.ProgrammingError, match="Conversion Error"):
        ingest(server, name, pyarrow.table({"a": ["1", "many"]}), "append")
    with pytest.raises(adbc_driver_manager.ProgrammingError, match="Conversion Error"):
        ingest(server, name, pyarrow.table({"a": [*range(100), 1000]}), "append")
    assert rows(server, name) == []
    assert files(server) <= before


def test_a_not_null_column_holds(server, name):
    server.sql(f"CREATE TABLE {name} (a INTEGER NOT NULL)")
    with pytest.raises(adbc_driver_manager.Error, match="NOT NULL"):
        ingest(server, name, pyarrow.table({"a": [1, None]}), "append")
    assert rows(server, name) == []


@pytest.mark.parametrize("names", [["a", "A"], []], ids=["twice", "none"])
def test_columns_that_cannot_be_a_table_are_refused(server, name, names):
    schema = pyarrow.schema([(column, pyarrow.int64()) for column in names])
    with pytest.raises(pyarrow.ArrowInvalid, match="columns"):
        with writer(server, command(name), schema) as (_, count):
            count()
    assert not exists(server, name)


# === how much ===


def test_no_rows_make_an_empty_table(server, name):
    none = pyarrow.RecordBatch.from_pydict({"i": [], "s": []}, schema=ROWS.schema)
    assert ingest(server, name, none) == 0
    assert server.sql(f"SELECT column_name FROM (DESCRIBE {name})") == [("i",), ("s",)]
    assert ingest(server, name, none, "append") == 0
    assert ingest(server, name, ROWS, "append") == 3


def test_a_reader_without_batches_is_an_argument_error_or_an_empty_table(server, name):
    reader = pyarrow.RecordBatchReader.from_batches(ROWS.schema, [])
    # The driver sends no message at all then, not even the schema.
    with pytest.raises(adbc_driver_manager.ProgrammingError, match="nothing was sent"):
        ingest(server, name, reader)
    with writer(server, command(name), ROWS.schema) as (_, count):
        assert count() == 0
    assert rows(server, name) == []


def test_many_batches_make_one_snapshot_and_one_file(server, name):
    before, known = snapshot(server), files(server)
    batches = [pyarrow.record_batch({"i": pyarrow.array(range(n, n + 1000))}) for n in range(0, 300_000, 1000)]
    reader = pyarrow.RecordBatchReader.from_batches(batches[0].schema, batches)
    assert ingest(server, name, reader) == 300_000
    assert server.sql(f"SELECT count(*), min(i), max(i), sum(i) FROM {name}") == [
        (300_000, 0, 299_999, 299_999 * 150_000)
    ]
    assert snapshot(server) == before + 1
    assert len(files(server)) == len(known) + 1


def test_a_few_rows_keep_their_order(server, name):
    batches = [pyarrow.record_batch({"i": [n]}) for n in range(500)]
    ingest(server, name, pyarrow.Table.from_batches(batches))
    assert server.sql(f"FROM {name}") == [(n,) for n in range(500)]


def test_the_commit_is_signed(server, name):
    with server.adbc(username="grace", password="x") as connection, connection.cursor() as cursor:
        cursor.adbc_ingest(name, ROWS)
    assert server.scalar("SELECT author FROM lake.snapshots() ORDER BY snapshot_id DESC LIMIT 1") == "grace"


def test_memory_stays_flat(launch):
    server = launch("--threads", 2)
    batch = pyarrow.record_batch({f"c{n}": pyarrow.array([os.urandom(16) for _ in range(8192)]) for n in range(8)})
    ingest(server, "warm", pyarrow.Table.from_batches([batch] * 20))
    before = server.peak_rss_bytes()
    count = 1200
    sent = sum(column.nbytes for column in batch.columns) * count
    assert sent > 1200 * MIB
    reader = pyarrow.RecordBatchReader.from_batches(batch.schema, (batch for _ in range(count)))
    assert ingest(server, "large", reader) == batch.num_rows * count
    assert server.peak_rss_bytes() - before < 600 * MIB


def test_a_message_above_the_limit_is_refused_with_the_remedy(server, name):
    big = pyarrow.record_batch({"b": pyarrow.array([b"x" * (80 * MIB)], pyarrow.large_binary())})
    with pytest.raises(pyarrow.ArrowException, match="smaller batches"):
        with writer(server, command(name), big.schema) as (put, count):
            put.write_batch(big)
            count()
    assert not exists(server, name)


def test_a_message_of_60_mib_is_taken(server, name):
    large = pyarrow.record_batch({"b": [b"x" * (60 * MIB)]})
    with writer(server, command(name), large.schema) as (put, count):
        put.write_batch(large)
        assert count() == 1
    assert server.scalar(f"SELECT octet_length(b) FROM {name}") == 60 * MIB


# === names ===

NAMES = ['quo"ted', "it's", "dots.in.it", "with space", "ünïcode 🦆", "SELECT", "semi;colon", "--", "x" * 200, "a\nb"]


@pytest.mark.parametrize("odd", NAMES, ids=lambda odd: ascii(odd[:20]))
def test_odd_names_of_tables_and_columns(server, odd):
    quoted = '"' + odd.replace('"', '""') + '"'
    data = pyarrow.table({odd: [1]})
    assert ingest(server, odd, data) == 1
    assert ingest(server, odd, data, "append") == 1
    assert server.sql(f"SELECT {quoted} FROM {quoted}") == [(1,), (1,)]


def test_columns_with_long_names(server, name):
    assert ingest(server, name, pyarrow.table({"c" * 1000: [1], "ü" * 1000: [2]})) == 1
    assert rows(server, name) == [(1, 2)]


@pytest.mark.parametrize("odd", ["", "nul\0byte", "x" * 1000])
def test_impossible_names_are_argument_errors(server, odd):
    with pytest.raises(pyarrow.ArrowInvalid):
        with writer(server, command(odd), ROWS.schema) as (_, count):
            count()


def test_schema_and_catalog(server, name):
    assert ingest(server, name, ROWS, db_schema_name="raw") == 3
    assert ingest(server, name, ROWS, "append", db_schema_name="RAW", catalog_name="lake") == 3
    assert server.scalar(f"SELECT count(*) FROM lake.raw.{name}") == 6
    for where in [{"db_schema_name": "nowhere"}, {"catalog_name": "memory"}, {"catalog_name": "nowhere"}]:
        with pytest.raises(adbc_driver_manager.Error, match="(schema|catalog) .* does not exist") as error:
            ingest(server, name, ROWS, **where)
        assert error.value.status_code == adbc_driver_manager.AdbcStatusCode.NOT_FOUND


# === transactions ===


def test_an_ingest_joins_the_open_transaction(server, name):
    with server.adbc(autocommit=False) as connection, connection.cursor() as cursor:
        assert cursor.adbc_ingest(name, ROWS) == 3
        cursor.execute(f"SELECT count(*) FROM {name}")
        assert cursor.fetchone() == (3,)
        assert not exists(server, name)
        connection.rollback()
        assert not exists(server, name)
        cursor.adbc_ingest(name, ROWS)
        cursor.adbc_ingest(name, ROWS, mode="append")
        connection.commit()
    assert server.scalar(f"SELECT count(*) FROM {name}") == 6


def test_autocommit_commits_at_once(server, name):
    with server.adbc() as connection, connection.cursor() as cursor:
        before = snapshot(server)
        cursor.adbc_ingest(name, ROWS)
        assert snapshot(server) == before + 1
        assert len(rows(server, name)) == 3


def test_transactions_of_others_are_not_joined(server, name):
    with server.adbc(autocommit=False) as other, other.cursor() as cursor:
        cursor.execute("SELECT 1")
        ingest(server, name, ROWS)
        other.rollback()
    assert len(rows(server, name)) == 3


def test_a_textual_transaction_is_joined(server, name):
    with server.adbc(username="ada", password="x") as connection, connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.fetchall()
        cursor.adbc_ingest(name, ROWS)
        cursor.execute("ROLLBACK")
        cursor.fetchall()
    assert not exists(server, name)


def test_a_failed_ingest_in_a_transaction_is_rolled_back_with_it(server, name):
    with server.adbc(autocommit=False) as connection, connection.cursor() as cursor:
        cursor.adbc_ingest(name, ROWS)
        with pytest.raises(adbc_driver_manager.ProgrammingError):
            cursor.adbc_ingest(name, pyarrow.table({"i": ["many"]}), mode="append")
        connection.rollback()
        cursor.adbc_ingest(name, ROWS)
        connection.commit()
    assert len(rows(server, name)) == 3


# === temporary tables ===


def test_a_temporary_table_lives_in_its_transaction(server, name):
    with server.adbc(autocommit=False) as connection, connection.cursor() as cursor:
        for mode in ["create", "replace", "append"]:
            assert cursor.adbc_ingest(name, ROWS, mode=mode, temporary=True) == 3
        cursor.execute(f"SELECT count(*) FROM temp.{name}")
        assert cursor.fetchone() == (6,)
        connection.rollback()
        before = snapshot(server)
        cursor.adbc_ingest(name, ROWS, temporary=True)
        connection.commit()
    assert snapshot(server) == before
    assert not exists(server, name)


def test_a_temporary_table_needs_a_session_or_a_transaction(server, name):
    with pytest.raises(adbc_driver_manager.Error, match="log in"):
        ingest(server, name, ROWS, temporary=True)


def test_temporary_tables_live_as_long_as_their_session(server, name):
    with server.adbc(username="ada", password="x") as connection, connection.cursor() as cursor:
        for part in ["first", "second"]:
            cursor.adbc_ingest(f"{name}_{part}", ROWS, temporary=True)
        cursor.execute(f"SELECT (SELECT count(*) FROM {name}_first) + (SELECT count(*) FROM {name}_second)")
        assert cursor.fetchall() == [(2 * ROWS.num_rows,)]
    with server.adbc(username="ada", password="x") as connection, connection.cursor() as cursor:
        with pytest.raises(adbc_driver_manager.Error, match="does not exist"):
            cursor.execute(f"FROM {name}_first")


# === types ===

UTC = datetime.timezone.utc
DAY = datetime.datetime(2024, 2, 29, 23, 59, 59)
WORDS = ["alpha", None, "", "a text that is longer than twelve bytes ä", "beta"]
POINT = pyarrow.struct([("x", pyarrow.int32()), ("y", pyarrow.list_(pyarrow.string()))])
POINTS = [{"x": 1, "y": ["a", None]}, None, {"x": None, "y": []}, {"x": 2, "y": None}]
LISTS = [[1, 2], [], None, [None, 3]]
NUMBERS = [decimal.Decimal("1.50"), None, decimal.Decimal("-99999999.99")]
TYPES = {
    "bool": (pyarrow.bool_(), [True, False, None]),
    **{f"{kind}": (kind, [0, 1, None, 100]) for kind in [pyarrow.int8(), pyarrow.int16(), pyarrow.int32()]},
    **{f"{kind}": (kind, [0, 1, None, 200]) for kind in [pyarrow.uint8(), pyarrow.uint16(), pyarrow.uint32()]},
    "int64": (pyarrow.int64(), [-(2**63), 2**63 - 1, None]),
    "uint64": (pyarrow.uint64(), [2**64 - 1, None]),
    "half float": (pyarrow.float16(), [1.5, None, -2.0]),
    "float": (pyarrow.float32(), [1.5, None]),
    "double": (pyarrow.float64(), [1e300, None, float("inf")]),
    "string": (pyarrow.string(), WORDS),
    "large_string": (pyarrow.large_string(), WORDS),
    "string_view": (pyarrow.string_view(), WORDS),
    "binary": (pyarrow.binary(), [b"\0\xff", None, b"x" * 50]),
    "large_binary": (pyarrow.large_binary(), [b"\0\xff", None]),
    "binary_view": (pyarrow.binary_view(), [b"\0\xff", None, b"x" * 50]),
    "fixed binary": (pyarrow.binary(3), [b"abc", None]),
    "decimal32": (pyarrow.decimal32(9, 2), [decimal.Decimal("1.50"), None]),
    "decimal64": (pyarrow.decimal64(18, 2), NUMBERS),
    "decimal128": (pyarrow.decimal128(38, 2), NUMBERS),
    "decimal256": (pyarrow.decimal256(38, 2), NUMBERS),
    "date32": (pyarrow.date32(), [DAY.date(), None]),
    "date64": (pyarrow.date64(), [DAY.date(), None]),
    "time32 s": (pyarrow.time32("s"), [DAY.time(), None]),
    "time32 ms": (pyarrow.time32("ms"), [DAY.time(), None]),
    "time64 us": (pyarrow.time64("us"), [datetime.time(1, 2, 3, 456789), None]),
    **{f"timestamp {unit}": (pyarrow.timestamp(unit), [DAY, None]) for unit in ["s", "ms", "us"]},
    **{
        f"timestamp {unit} zone": (pyarrow.timestamp(unit, "Europe/Berlin"), [DAY.replace(tzinfo=UTC), None])
        for unit in ["s", "ms", "us"]
    },
    "dictionary": (pyarrow.dictionary(pyarrow.int8(), pyarrow.string()), ["a", "b", None, "a"]),
    "large dictionary": (pyarrow.dictionary(pyarrow.int64(), pyarrow.large_string()), ["a", "b", None, "a"]),
    "list": (pyarrow.list_(pyarrow.int64()), LISTS),
    "large list": (pyarrow.large_list(pyarrow.int64()), LISTS),
    "list view": (pyarrow.list_view(pyarrow.int64()), LISTS),
    "large list view": (pyarrow.large_list_view(pyarrow.int64()), LISTS),
    "fixed list": (pyarrow.list_(pyarrow.float32(), 2), [[1.5, 2.5], None, [3.0, None]]),
    "struct": (POINT, POINTS),
    "list of struct": (pyarrow.list_(POINT), [POINTS, None, []]),
    "map": (pyarrow.map_(pyarrow.string(), pyarrow.int64()), [[("a", 1), ("b", None)], None, []]),
}
MANY = 5003


def plain(values):
    """Timestamps compare in UTC."""
    moment = lambda value: value.astimezone(UTC) if isinstance(value, datetime.datetime) and value.tzinfo else value
    return [moment(value) for value in values]


@pytest.mark.parametrize("case", TYPES)
def test_every_type_comes_back(server, name, case):
    kind, values = TYPES[case]
    # More than two vectors of DuckDB, so that parts of arrays are read as well.
    values = (values * MANY)[:MANY]
    data = pyarrow.table({"n": pyarrow.array(range(MANY)), "v": pyarrow.array(values, kind)})
    assert ingest(server, name, data) == MANY
    with server.adbc() as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT v FROM {name} ORDER BY n")
        assert plain(cursor.fetch_arrow_table()["v"].to_pylist()) == plain(values)


# Types that Parquet does not keep, with the remedy that the message names.
UNSTORED = {
    "interval": (pyarrow.month_day_nano_interval(), [pyarrow.MonthDayNano([14, 3, 4_005_000_000])], "VARCHAR"),
    "duration": (pyarrow.duration("us"), [datetime.timedelta(hours=-1200)], "microseconds"),
    "time64 ns": (pyarrow.time64("ns"), [1_000], "cast it to TIME"),
    "list of durations": (pyarrow.list_(pyarrow.duration("s")), [[datetime.timedelta(hours=1)]], "VARCHAR"),
}


@pytest.mark.parametrize("mode", ["create", "replace", "create_append"])
@pytest.mark.parametrize("case", UNSTORED)
def test_a_type_that_parquet_does_not_keep_is_refused(server, name, case, mode):
    kind, values, remedy = UNSTORED[case]
    with pytest.raises(adbc_driver_manager.ProgrammingError, match=f'column "v": .* cannot be stored.*{remedy}'):
        ingest(server, name, pyarrow.table({"v": pyarrow.array(values, kind)}), mode=mode)
    assert server.sql(f"SELECT count(*) FROM duckdb_tables() WHERE table_name = '{name}'") == [(0,)]


def test_run_end_encoded_columns_come_back(server, name):
    runs = pyarrow.RunEndEncodedArray.from_arrays(pyarrow.array([2000, 5003], pyarrow.int32()), ["a", "b"])
    ingest(server, name, pyarrow.table({"v": runs}))
    assert server.sql(f"SELECT v, count(*) FROM {name} GROUP BY v ORDER BY v") == [("a", 2000), ("b", 3003)]


def test_extension_types_keep_their_meaning(server, name):
    ids = [uuid.uuid4() for _ in range(3)]
    data = pyarrow.table(
        {
            "u": pyarrow.ExtensionArray.from_storage(pyarrow.uuid(), pyarrow.array([i.bytes for i in ids], pyarrow.binary(16))),
            "j": pyarrow.ExtensionArray.from_storage(pyarrow.json_(), pyarrow.array(['{"a": 1}', None, "[]"])),
        }
    )
    ingest(server, name, data)
    assert server.sql(f"SELECT column_type FROM (DESCRIBE {name})") == [("UUID",), ("JSON",)]
    assert server.sql(f"SELECT u::VARCHAR FROM {name}") == [(str(i),) for i in ids]
    assert server.sql(f"SELECT j->>'a' FROM {name} WHERE j->>'a' IS NOT NULL") == [("1",)]


UNTAKEN = {
    "wide decimal": pyarrow.decimal256(50, 2),
    "empty struct": pyarrow.struct([]),
    "nested": pyarrow.list_(pyarrow.decimal256(76, 0)),
}


@pytest.mark.parametrize("case", UNTAKEN)
def test_a_type_without_a_counterpart_is_refused_before_anything_is_written(server, name, case):
    before = snapshot(server)
    with pytest.raises(pyarrow.ArrowException, match='column "v"'):
        with writer(server, command(name), pyarrow.schema({"v": UNTAKEN[case]})) as (_, count):
            count()
    assert snapshot(server) == before


# === faults ===


def raw(kind, value, size):
    """One value by its bytes, which pyarrow does not check."""
    return pyarrow.Array.from_buffers(kind, 1, [None, pyarrow.py_buffer(value.to_bytes(size, "little", signed=True))])


OUT_OF_RANGE = {
    "before midnight, s": pyarrow.array([-1], pyarrow.time32("s")),
    "before midnight, ms": pyarrow.array([-5], pyarrow.time32("ms")),
    "the least time, us": pyarrow.array([-(2**63)], pyarrow.time64("us")),
    "the largest time, us": pyarrow.array([2**63 - 1], pyarrow.time64("us")),
    "25 hours": pyarrow.array([25 * 3600], pyarrow.time32("s")),
    "in a list": pyarrow.array([[-1]], pyarrow.list_(pyarrow.time32("s"))),
    "a far day": raw(pyarrow.date64(), 2**62, 8),
    "a day and a bit": raw(pyarrow.date64(), -1, 8),
    "digits beyond the precision": raw(pyarrow.decimal128(5, 2), 10**10, 16),
    "digits beyond all": raw(pyarrow.decimal256(38, 0), 2**254, 32),
    "in a dictionary": pyarrow.DictionaryArray.from_arrays([0], pyarrow.array([-1], pyarrow.time32("s")), safe=False),
    "nanoseconds with a zone": pyarrow.array([-1], pyarrow.timestamp("ns", "UTC")),
}


@pytest.mark.parametrize("case", OUT_OF_RANGE)
def test_a_value_that_its_type_does_not_have_is_refused(server, name, case):
    rows = pyarrow.table({"v": OUT_OF_RANGE[case]})
    with pytest.raises(adbc_driver_manager.ProgrammingError, match="column \"v\".*out of range"):
        ingest(server, name, rows)
    assert not exists(server, name)
    server.sql(f"CREATE TABLE {name} (v VARCHAR)")
    with server.adbc() as connection, connection.cursor() as cursor:
        with pytest.raises(adbc_driver_manager.ProgrammingError, match="out of range"):
            cursor.executemany(f"INSERT INTO {name} VALUES (?)", pyarrow.concat_tables([rows, rows]))
    assert server.scalar(f"SELECT count(*) FROM {name}") == 0


def test_garbage_midway_leaves_nothing(server, name):
    before = files(server)
    batch = pyarrow.record_batch({"s": ["x" * 100] * 5000})
    with pytest.raises(pyarrow.ArrowInvalid, match="read the rows"):
        with writer(server, command(name), batch.schema) as (put, count):
            for _ in range(50):
                put.write_batch(batch)
            put.write_batch(bad_text())
            count()
    assert not exists(server, name)
    harness.wait_until(lambda: files(server) <= before, "no file is left")
    assert ingest(server, name, ROWS) == 3


def bad_text():
    """A batch with a string that is not UTF-8."""
    raw = pyarrow.array([b"\xff\xfe"])
    return pyarrow.record_batch([pyarrow.StringArray.from_buffers(1, raw.buffers()[1], raw.buffers()[2])], names=["s"])


def test_garbage_in_a_transaction_spoils_it(server, name):
    with server.flight() as client:
        begin = protobuf.sql_command("ActionBeginTransactionRequest")
        [begun] = list(client.do_action(("BeginTransaction", begin)))
        transaction = protobuf.parse(protobuf.parse(begun.body.to_pybytes())[2][0])[1][0]
        batch = pyarrow.record_batch({"s": ["x"] * 5000})
        descriptor = pyarrow.flight.FlightDescriptor.for_command(command(name, fields=[(6, transaction)]))
        put, reader = client.do_put(descriptor, batch.schema)
        put.write_batch(batch)
        put.write_batch(bad_text())
        put.done_writing()
        assert reader.read() is None
        with pytest.raises(pyarrow.ArrowInvalid, match="read the rows"):
            put.close()
        with pytest.raises(pyarrow.ArrowException, match="aborted"):
            query = protobuf.statement(f"SELECT count(*) FROM {name}", transaction)
            client.get_flight_info(pyarrow.flight.FlightDescriptor.for_command(query))
        end = protobuf.sql_command("ActionEndTransactionRequest", (1, transaction), (2, 1))
        with pytest.raises(pyarrow.ArrowException):
            list(client.do_action(("EndTransaction", end)))
    assert not exists(server, name)


def test_cancelling_midway_leaves_nothing(server, name):
    before = files(server)
    batch = pyarrow.record_batch({"i": pyarrow.array(range(100_000))})
    with server.adbc() as connection, connection.cursor() as cursor:
        cancelled = threading.Event()

        def batches():
            yield from [batch] * 20
            harness.wait_until(lambda: files(server) - before, "rows are being written")
            threading.Thread(target=lambda: (cursor.adbc_cancel(), cancelled.set())).start()
            cancelled.wait(10)
            yield batch

        with pytest.raises(adbc_driver_manager.Error):
            cursor.adbc_ingest(name, pyarrow.RecordBatchReader.from_batches(batch.schema, batches()))
    harness.wait_until(lambda: files(server) <= before, "no file is left")
    assert not exists(server, name)
    server.wait_until_idle()
    assert ingest(server, name, ROWS) == 3


KILLED = """
import sys, pyarrow, pyarrow.flight
uri, descriptor = sys.argv[1], bytes.fromhex(sys.argv[2])
batch = pyarrow.record_batch({"i": pyarrow.array(range(100_000))})
client = pyarrow.flight.connect(uri)
put, _ = client.do_put(pyarrow.flight.FlightDescriptor.for_command(descriptor), batch.schema)
while True:
    put.write_batch(batch)
    print("wrote", flush=True)
"""


def test_killing_the_client_midway_leaves_nothing(server, name):
    before = files(server)
    uri = server.uri.replace("grpc://", "grpc+tcp://")
    client = subprocess.Popen([sys.executable, "-c", KILLED, uri, command(name).hex()], stdout=subprocess.PIPE)
    try:
        for _ in range(10):
            assert client.stdout.readline() == b"wrote\n"
        harness.wait_until(lambda: files(server) - before, "rows are being written")
    finally:
        client.send_signal(signal.SIGKILL)
        client.wait()
        client.stdout.close()
    harness.wait_until(lambda: files(server) <= before, "no file is left")
    assert not exists(server, name)
    assert ingest(server, name, ROWS) == 3


def test_a_silent_client_does_not_keep_others_from_working(launch):
    server = launch("--threads", 2)
    batch = pyarrow.record_batch({"i": pyarrow.array(range(200_000))})
    with contextlib.ExitStack() as stack:
        counts = []
        for n in range(4):
            put, count = stack.enter_context(writer(server, command(f"silent{n}"), batch.schema))
            put.write_batch(batch)
            put.write_batch(batch)
            counts.append(count)
        assert server.scalar("SELECT sum(i) FROM range(1000000) t(i)") == 499999500000
        assert ingest(server, "meanwhile", ROWS) == 3
        assert [count() for count in counts] == [400_000] * 4


def test_ingests_at_the_same_time(server, name):
    server.sql(f"CREATE TABLE {name} (i BIGINT)")
    batch = pyarrow.table({"i": range(10_000)})
    threads = [threading.Thread(target=ingest, args=(server, name, batch, "append")) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.scalar(f"SELECT count(*) FROM {name}") == 60_000


def test_the_scan_of_rows_is_not_for_users(server):
    with pytest.raises(adbc_driver_manager.Error, match="rows do not exist"):
        server.sql("SELECT * FROM merganser_rows('guess')")
