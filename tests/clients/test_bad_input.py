"""Malformed and excessive requests: the right code, a suitable message, nothing left behind, and the next call
works."""

import random
import socket

import grpc
import pyarrow
import pyarrow.flight
import pytest

import harness
import protobuf
import wire
from harness import wait_until
from wire import bound, rows

MIB = 1 << 20
INVALID = grpc.StatusCode.INVALID_ARGUMENT
MISSING = grpc.StatusCode.NOT_FOUND
UNIMPLEMENTED = grpc.StatusCode.UNIMPLEMENTED


@pytest.fixture(scope="module")
def cost(server):
    """The resources that the server has open once it is warm."""
    with wire.Wire(server, "ada") as connection:
        for _ in range(3):
            list(connection.get(protobuf.statement("SELECT 42")))
    return server.open_files(), server.threads()


@pytest.fixture(autouse=True)
def leaves_nothing_behind(server, cost):
    yield
    with wire.Wire(server) as next_one:
        assert rows(next_one.get(protobuf.statement("SELECT 42 AS i"))).to_pylist() == [{"i": 42}]
    files, threads = cost
    # A few more connections to DuckDB than at the start, each with its thread, may be idle in the pool.
    wait_until(lambda: server.open_files() <= files + 8, "files and connections are closed")
    wait_until(lambda: server.threads() <= threads + 8, "threads end")
    assert "panicked" not in server.log()


@pytest.fixture
def ada(server, cost):
    with wire.Wire(server, "ada") as connection:
        yield connection


def update(connection, sql):
    """DoPut of an update that is not prepared."""
    command = protobuf.sql_command("CommandStatementUpdate", (1, sql))
    return connection.put(protobuf.message((1, wire.descriptor(command))))


# Every call that takes a command, with the command in it.
CALLS = {
    "GetFlightInfo": lambda connection, command: connection.info(command),
    "GetSchema": lambda connection, command: connection.schema(command),
    "PollFlightInfo": lambda connection, command: connection.poll(wire.descriptor(command)),
    "DoGet": lambda connection, command: list(connection.get(command)),
    "DoPut": lambda connection, command: connection.put(protobuf.message((1, wire.descriptor(command)))),
}
every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


# === commands ===

MALFORMED = {
    "nothing": b"",
    "a zero": b"\0",
    "text": b"SELECT 1",
    "bytes": b"\xff" * 100,
    "a length beyond the end": protobuf.statement("SELECT 1")[:-3],
    "an Any without a type": protobuf.message((2, b"x")),
    "a type that is no text": protobuf.message((1, b"\xff\xfe"), (2, b"")),
    "a message that is none": protobuf.pack(protobuf.SQL + "CommandStatementQuery", b"\xff\xff"),
    "a text that is none": protobuf.sql_command("CommandStatementQuery", (1, b"\xff\xfe")),
    "a field of another type": protobuf.sql_command("CommandStatementQuery", (1, 7)),
    "a very deep message": protobuf.pack(protobuf.SQL + "CommandStatementQuery", b"\x0b" * 10_000),
}


@every_call
@pytest.mark.parametrize("command", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_command_is_an_argument_error(ada, call, command):
    with wire.refused(INVALID):
        call(ada, command)


UNKNOWN = {
    "a very long type": protobuf.pack("x" * MIB, b""),
    "another's message": protobuf.pack("type.googleapis.com/google.protobuf.Empty", b""),
    "a command to come": protobuf.pack(protobuf.SQL + "CommandFromTheFuture", b""),
    "an action": protobuf.sql_command("ActionBeginTransactionRequest"),
    "a result": protobuf.sql_command("DoPutUpdateResult", (1, 1)),
    "an action of the server": protobuf.pack(protobuf.MERGANSER + "TagRequest", b""),
}


@every_call
@pytest.mark.parametrize("command", UNKNOWN.values(), ids=UNKNOWN)
def test_an_unknown_command_is_refused(ada, call, command):
    with wire.refused(INVALID, UNIMPLEMENTED):
        call(ada, command)


@pytest.mark.parametrize(
    ("method", "command"),
    [
        ("GetFlightInfo", protobuf.sql_command("CommandStatementUpdate", (1, "SELECT 1"))),
        ("GetFlightInfo", protobuf.sql_command("CommandPreparedStatementUpdate", (1, b"x"))),
        ("GetSchema", protobuf.sql_command("CommandStatementUpdate", (1, "SELECT 1"))),
        ("DoGet", protobuf.sql_command("CommandStatementUpdate", (1, "SELECT 1"))),
        ("DoPut", protobuf.sql_command("CommandStatementQuery", (1, "SELECT 1"))),
        ("DoPut", protobuf.sql_command("CommandGetTables")),
        ("DoPut", protobuf.sql_command("TicketStatementQuery", (1, b"x"))),
    ],
)
def test_a_command_in_the_wrong_call_is_refused(ada, method, command):
    with wire.refused(INVALID, UNIMPLEMENTED):
        CALLS[method](ada, command)


@pytest.mark.parametrize("method", ["GetFlightInfo", "GetSchema", "PollFlightInfo"])
@pytest.mark.parametrize(
    "descriptor",
    [
        b"",
        protobuf.message((1, 1), (3, "raw"), (3, "table")),
        protobuf.message((1, 7), (2, b"x")),
        protobuf.message((1, 2)),
    ],
    ids=["empty", "a path", "of no kind", "without a command"],
)
def test_a_descriptor_without_a_command_is_an_argument_error(ada, method, descriptor):
    with wire.refused(INVALID):
        ada.call(method, descriptor)


@pytest.mark.parametrize("method", ["GetFlightInfo", "GetSchema", "PollFlightInfo"])
def test_what_is_no_message_at_all_is_refused(ada, method):
    # The gRPC library responds; it reports this as internal.
    with wire.refused(INVALID, grpc.StatusCode.INTERNAL):
        ada.call(method, b"\xff\xff\xff")


ACTIONS = [
    "CreatePreparedStatement",
    "ClosePreparedStatement",
    "EndTransaction",
    "CancelQuery",
]


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize(
    "body",
    [
        b"\xff\xff",
        b"{}",
        protobuf.statement("SELECT 1"),
        protobuf.pack(protobuf.SQL + "ActionBeginSavepointRequest", b"\xff"),
    ],
    ids=["bytes", "JSON", "another message", "a malformed other message"],
)
def test_a_wrong_body_of_an_action_is_an_argument_error(ada, action, body):
    with wire.refused(INVALID):
        ada.action(action, body)


def test_the_body_of_a_request_without_fields_is_ignored(ada):
    [result] = ada.action("BeginTransaction", b"\xff\xff")
    assert protobuf.unpack(result)[0] == protobuf.SQL + "ActionBeginTransactionResult"


def test_an_end_that_is_neither_commit_nor_rollback_is_an_argument_error(ada):
    [result] = ada.action("BeginTransaction", protobuf.sql_command("ActionBeginTransactionRequest"))
    [transaction] = protobuf.unpack(result)[1][1]

    def end(how):
        ada.action("EndTransaction", protobuf.sql_command("ActionEndTransactionRequest", (1, transaction), (2, how)))

    for how in (0, 3, 99):
        with wire.refused(INVALID):
            end(how)
    end(1)


@pytest.mark.parametrize("name", ["", "x" * 100_000, "ä\n\0", "createpreparedstatement"])
def test_an_action_that_there_is_not_is_refused(ada, name):
    with wire.refused(UNIMPLEMENTED, INVALID):
        ada.action(name)


# === statements ===


STATEMENTS = {
    "GetFlightInfo": lambda connection, sql: connection.query(sql),
    "GetSchema": lambda connection, sql: connection.schema(protobuf.statement(sql)),
    "PollFlightInfo": lambda connection, sql: connection.poll(wire.descriptor(protobuf.statement(sql))),
    "DoGet": lambda connection, sql: list(connection.get(protobuf.statement(sql))),
    "DoPut": update,
    "CreatePreparedStatement": lambda connection, sql: connection.prepare(sql),
}
# Functions that run their argument, and those that only describe it.
DESCRIBING = ("GetSchema", "CreatePreparedStatement")
RUNNING = {method: call for method, call in STATEMENTS.items() if method not in DESCRIBING}
every_run = pytest.mark.parametrize("call", RUNNING.values(), ids=RUNNING)
every_statement = pytest.mark.parametrize("call", STATEMENTS.values(), ids=STATEMENTS)


def is_there(server, table):
    return server.sql(f"SELECT 1 FROM duckdb_tables() WHERE table_name = '{table}'") == [(1,)]


@pytest.mark.parametrize("method", STATEMENTS)
def test_several_statements_run_in_order_where_one_runs(server, ada, name, method):
    STATEMENTS[method](ada, f"CREATE TABLE {name} (i BIGINT); INSERT INTO {name} VALUES (1); INSERT INTO {name} FROM {name}")
    if method in DESCRIBING:
        assert not is_there(server, name), "what only describes runs nothing"
    else:
        assert server.sql(f"FROM {name}") == [(1,), (1,)]


def test_what_follows_a_polled_statement_does_not_abort_its_transaction(server, ada, name):
    for i in range(40):
        STATEMENTS["PollFlightInfo"](ada, f"CREATE TABLE {name}_{i} (i BIGINT); INSERT INTO {name}_{i} VALUES (1)")


@every_run
@pytest.mark.parametrize("last", ["SELEC 1", "SELECT 1 FROM WHERE", "INSERT INTO {0} VALUES (", "SELECT 'x"])
def test_a_syntax_error_among_several_statements_refuses_them_all(server, ada, name, call, last):
    create = f"CREATE TABLE {name} (i BIGINT)"
    for sql in (f"{create}; {last.format(name)}", f"{create}; {last.format(name)}; SELECT 1"):
        with wire.refused(INVALID):
            call(ada, sql)
        assert not is_there(server, name)


@pytest.mark.parametrize("sql", ["CREATE TABLE {0} (i BIGINT); SELECT ?", "SELECT $1; CREATE TABLE {0} (i BIGINT)"])
def test_parameters_among_several_statements_are_refused_and_none_runs(server, ada, name, sql):
    sql = sql.format(name)
    for call in RUNNING.values():
        with wire.refused(INVALID) as said:
            call(ada, sql)
        assert "parameter" in said[0]
    handle = ada.prepare(sql)
    for kind in ("Query", "Update"):
        command = protobuf.sql_command(f"CommandPreparedStatement{kind}", (1, handle))
        with wire.refused(INVALID) as said:
            ada.put(*bound(command, batch([7])))
            ada.info(command)
        assert "one at a time" in said[0]
    assert not is_there(server, name)


@every_statement
@pytest.mark.parametrize("sql", ["", "  \n", "-- nothing", ";"])
def test_no_statement_is_an_argument_error(ada, call, sql):
    with wire.refused(INVALID):
        call(ada, sql)


@every_statement
@pytest.mark.parametrize(
    "sql",
    [
        "SELEC 1 -- " + "x" * MIB,
        "SELECT " + "x" * MIB,
        f"SELECT '{'ä' * (MIB // 2)}' FROM WHERE",
        "SELECT " + "(" * 100_000 + "1" + ")" * 100_000,
        "SELECT " + "1 + " * 100_000 + "1",
        "SELECT 1\0",
        "\ufeffSELEC 1",
    ],
    ids=["comment", "name", "text", "parentheses", "sum", "NUL", "byte order mark"],
)
def test_a_long_or_odd_wrong_statement_is_refused_briefly(ada, call, sql):
    with wire.refused(INVALID, MISSING):
        call(ada, sql)


@every_statement
def test_a_statement_of_a_mebibyte_is_no_error(ada, call):
    assert call(ada, f"SELECT length('{'x' * MIB}') AS n") is not None


# === parameters ===


def batch(*columns):
    return pyarrow.record_batch({str(i): pyarrow.array(column) for i, column in enumerate(columns)})


@pytest.mark.parametrize(
    "parameters",
    [batch([1]), batch([1], [2], [3]), batch([], []), pyarrow.record_batch({})],
    ids=["too few", "too many", "no row", "no column"],
)
def test_a_query_takes_as_many_parameters_as_it_has(ada, parameters):
    handle = ada.prepare("SELECT ?::BIGINT + ?::BIGINT AS i")
    query = protobuf.sql_command("CommandPreparedStatementQuery", (1, handle))
    with wire.refused(INVALID):
        ada.put(*bound(query, parameters))
        ada.info(query)
    ada.put(*bound(query, batch([1], [2])))
    assert rows(ada.get(ada.info(query).endpoints[0].ticket)).to_pylist() == [{"i": 3}]


@pytest.mark.parametrize(
    "parameters",
    [batch(["x"]), batch([1], [2]), batch([1.5, None], [1, 2])],
    ids=["another type", "too many", "too many in two rows"],
)
def test_an_update_with_wrong_parameters_changes_nothing(server, ada, name, parameters):
    server.sql(f"CREATE TABLE {name} (i BIGINT)")
    update = protobuf.sql_command("CommandPreparedStatementUpdate", (1, ada.prepare(f"INSERT INTO {name} VALUES (?)")))
    with wire.refused(INVALID):
        ada.put(*bound(update, parameters))
    ada.put(*bound(update, batch([7])))
    assert server.sql(f"FROM {name}") == [(7,)]


# === Arrow data ===


@pytest.fixture(scope="module")
def victims(tmp_path_factory):
    """A server for data that may damage it, so that the other tests keep theirs."""
    server = harness.Server(tmp_path_factory.mktemp("victim"))
    yield server
    if server.is_running():
        server.kill9()


@pytest.fixture
def victim(victims):
    server = victims if victims.is_running() else victims.start()
    with wire.Wire(server, "ada") as connection:
        yield connection
    assert server.is_running(), f"the server died of it: {server.log()[-500:]}"
    with wire.Wire(server) as next_one:
        assert rows(next_one.get(protobuf.statement("SELECT 42 AS i"))).to_pylist() == [{"i": 42}]


@pytest.fixture
def insert(victim, name):
    """The command that inserts into a table with a number and a string, and the table."""
    victim.query(f"CREATE OR REPLACE TABLE {name} (i BIGINT, s VARCHAR)")
    handle = victim.prepare(f"INSERT INTO {name} VALUES (?, ?)")
    return protobuf.sql_command("CommandPreparedStatementUpdate", (1, handle)), name


def count(connection, table):
    [row] = rows(connection.get(protobuf.statement(f"SELECT count(*) AS n FROM {table}"))).to_pylist()
    return row["n"]


def messages(command):
    """The messages of a valid insert, as (header, body)."""
    for message in bound(command, batch([1, 2, 3], ["a", "bb", None])):
        fields = protobuf.parse(message)
        yield fields[2][0], fields.get(1000, [b""])[0]


def send(connection, command, pairs):
    parts = [protobuf.message((2, header), (1000, body)) for header, body in pairs]
    return connection.put(protobuf.message((1, wire.descriptor(command))) + parts[0], *parts[1:])


def is_taken(connection, command, pairs):
    """Damage is reported as the sender's mistake, or is harmless; it is never a fault of the server."""
    try:
        send(connection, command, pairs)
        return True
    except grpc.RpcError as error:
        assert error.code() in (INVALID, grpc.StatusCode.RESOURCE_EXHAUSTED), error
        assert 0 < len(error.details().encode()) < 4096
        return False


@pytest.mark.parametrize(
    "pairs",
    [
        [(b"", b"")],
        [(b"garbage", b"garbage")],
        [(b"\xff" * 1000, b"\xff" * 1000)],
        [(b"\0" * 1000, b"\0" * 1000)],
    ],
    ids=["nothing", "text", "ones", "zeros"],
)
def test_data_that_is_no_arrow_stream_is_an_argument_error(victim, insert, pairs):
    command, table = insert
    assert not is_taken(victim, command, pairs)
    assert count(victim, table) == 0


def test_rows_without_a_schema_or_before_it_are_an_argument_error(victim, insert):
    command, table = insert
    schema, data = messages(command)
    assert not is_taken(victim, command, [data])
    assert not is_taken(victim, command, [data, schema])
    assert count(victim, table) == 0
    is_taken(victim, command, [schema, schema, data])


def test_truncated_data_is_an_argument_error(victim, insert):
    command, table = insert
    schema, data = messages(command)
    for length in range(0, len(schema[0]), 32):
        assert not is_taken(victim, command, [(schema[0][:length], b""), data])
    for length in range(0, len(data[0]), 32):
        assert not is_taken(victim, command, [schema, (data[0][:length], data[1])])
    for length in range(0, len(data[1]) // 2, 32):
        assert not is_taken(victim, command, [schema, (data[0], data[1][:length])])
    assert count(victim, table) == 0
    assert is_taken(victim, command, [schema, data])


def test_damaged_data_is_an_argument_error_or_harmless(victim, insert):
    dice = random.Random(7)
    command, _ = insert
    schema, data = messages(command)
    for _ in range(100):
        damaged = [bytearray(schema[0]), bytearray(data[0]), bytearray(data[1])]
        target = dice.choice(damaged)
        for _ in range(dice.randint(1, 4)):
            target[dice.randrange(len(target))] = dice.randrange(256)
        header, record, body = map(bytes, damaged)
        is_taken(victim, command, [(header, b""), (record, body)])


def test_damaged_data_does_not_fill_the_log(victims, victim, insert):
    command, _ = insert
    schema, data = messages(command)
    before = len(victims.log())
    for _ in range(10):
        assert not is_taken(victim, command, [schema, (data[0], data[1][:8])])
    said = victims.log()[before:]
    assert len(said) < 10 * 500
    assert "panicked" not in said


def test_a_put_of_nothing_is_an_argument_error(ada):
    with wire.refused(INVALID):
        ada.put()
    with wire.refused(INVALID):
        ada.put(protobuf.message((2, b"")))


def test_a_put_that_breaks_off_changes_nothing(victim, insert):
    command, table = insert
    schema, data = messages(command)

    def half():
        yield protobuf.message((1, wire.descriptor(command)), (2, schema[0]))
        yield protobuf.message((2, data[0]), (1000, data[1]))
        raise ConnectionError

    call = victim.channel.stream_stream(wire.SERVICE + "DoPut")
    with pytest.raises(grpc.RpcError):
        list(call(half(), metadata=victim.headers, timeout=wire.SECONDS))
    assert count(victim, table) == 0
    send(victim, command, [schema, data])
    assert count(victim, table) == 3


def raw(kind, *numbers, width=8):
    """An array of a type whose values are these numbers, whether or not they are valid for the type."""
    data = b"".join(number.to_bytes(width, "little", signed=True) for number in numbers)
    return pyarrow.Array.from_buffers(kind, len(numbers), [None, pyarrow.py_buffer(data)])


LARGEST = 2**63 - 1
VALUES = {
    "a decimal above its digits": raw(pyarrow.decimal128(3, 2), 10**12, width=16),
    "a decimal below its digits": raw(pyarrow.decimal128(9, 2), -(10**30), width=16),
    "the largest decimal": raw(pyarrow.decimal128(38, 0), 2**127 - 1, width=16),
    "the smallest decimal": raw(pyarrow.decimal128(38, 38), -(2**127), width=16),
    "a decimal of negative scale": raw(pyarrow.decimal128(5, -3), 7, width=16),
    "a decimal of more scale than digits": raw(pyarrow.decimal128(3, 9), 7, width=16),
    "a decimal of 76 digits": raw(pyarrow.decimal256(76, 2), 10**70, width=32),
    "a list of decimals above their digits": pyarrow.ListArray.from_arrays(
        pyarrow.array([0, 1], pyarrow.int32()), raw(pyarrow.decimal128(3, 2), 10**12, width=16)
    ),
    "the last day": raw(pyarrow.date32(), 2**31 - 1, width=4),
    "the first day": raw(pyarrow.date32(), -(2**31), width=4),
    "a day of milliseconds": raw(pyarrow.date64(), LARGEST),
    "a time of many days": raw(pyarrow.time64("us"), LARGEST),
    "a time before midnight": raw(pyarrow.time64("ns"), -1),
    "a time of seconds": raw(pyarrow.time32("s"), 2**31 - 1, width=4),
    "the last moment": raw(pyarrow.timestamp("us", "UTC"), LARGEST),
    "the first moment": raw(pyarrow.timestamp("us"), -LARGEST - 1),
    "the last second": raw(pyarrow.timestamp("s"), LARGEST),
    "the last nanosecond": raw(pyarrow.timestamp("ns", "UTC"), LARGEST),
    "a zone that is none": raw(pyarrow.timestamp("us", "Mars/Olympus"), 0),
    "an interval": raw(pyarrow.month_day_nano_interval(), 2**127 - 1, width=16),
    "a duration": raw(pyarrow.duration("us"), LARGEST),
    "a struct with a name twice": pyarrow.StructArray.from_arrays([pyarrow.array([1])] * 2, ["a", "a"]),
    "a struct without names": pyarrow.StructArray.from_arrays([pyarrow.array([1])] * 2, ["", ""]),
    "a struct without members": pyarrow.array([{}], pyarrow.struct([])),
    "a map with an empty key": pyarrow.array([[("", 1)]], pyarrow.map_(pyarrow.string(), pyarrow.int64())),
    "a union": pyarrow.UnionArray.from_dense(
        pyarrow.array([0], pyarrow.int8()), pyarrow.array([0], pyarrow.int32()), [pyarrow.array([1])]
    ),
    "an empty list": pyarrow.array([[]], pyarrow.list_(pyarrow.null())),
    "a list in lists": pyarrow.array([[None]], pyarrow.list_(pyarrow.list_(pyarrow.list_(pyarrow.int8())))),
    "runs": pyarrow.RunEndEncodedArray.from_arrays(pyarrow.array([1], pyarrow.int32()), pyarrow.array([7])),
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_a_value_that_no_type_should_have_is_taken_or_refused(victim, value):
    for sql in ("SELECT (?)::VARCHAR AS text", "SELECT typeof(?) AS text"):
        query = protobuf.sql_command("CommandPreparedStatementQuery", (1, victim.prepare(sql)))
        try:
            victim.put(*bound(query, pyarrow.record_batch({"0": value})))
            assert rows(victim.get(query)).num_rows == 1
        except grpc.RpcError as error:
            assert error.code() in (INVALID, UNIMPLEMENTED), error
            assert 0 < len(error.details().encode()) < 4096


# === hostile Arrow data ===

PLAIN = {
    "int": pyarrow.array([1, 2, None]),
    "text": pyarrow.array(["a", "bb", None]),
    "view": pyarrow.array(["a", "b" * 20, None]).cast(pyarrow.string_view()),
    "bytes": pyarrow.array([b"x", None, b""]),
    "fixed": pyarrow.array([b"xx", None, b"zz"], pyarrow.binary(2)),
    "flag": pyarrow.array([True, None, False]),
    "decimal": pyarrow.array([1, None, 2]).cast(pyarrow.decimal128(30, 2)),
    "time": pyarrow.array([1, None, 2], pyarrow.timestamp("us", "UTC")),
    "null": pyarrow.nulls(3),
    "list": pyarrow.array([[1], None, [2, 3]], pyarrow.list_(pyarrow.int32())),
    "fixed list": pyarrow.array([[1, 2], None, [3, 4]], pyarrow.list_(pyarrow.int32(), 2)),
    "list view": pyarrow.array([[1], None, [2, 3]], pyarrow.list_view(pyarrow.int32())),
    "struct": pyarrow.array([{"a": 1, "b": "x"}, None, {"a": None, "b": "y"}]),
    "map": pyarrow.array([[("k", 1)], None, []], pyarrow.map_(pyarrow.string(), pyarrow.int32())),
    "dictionary": pyarrow.array(["a", None, "a"]).dictionary_encode(),
    "runs": pyarrow.RunEndEncodedArray.from_arrays(pyarrow.array([2, 3], pyarrow.int32()), pyarrow.array(["p", "q"])),
    "union": pyarrow.UnionArray.from_sparse(
        pyarrow.array([0, 1, 0], pyarrow.int8()), [pyarrow.array([1, 2, 3]), pyarrow.array(["a", "b", "c"])]
    ),
    "uuid": pyarrow.ExtensionArray.from_storage(pyarrow.uuid(), pyarrow.array([b"0" * 16] * 3, pyarrow.binary(16))),
}


def stream(columns, compression=None):
    """The messages of a stream with one batch, as (header, body)."""
    data = columns if isinstance(columns, pyarrow.RecordBatch) else pyarrow.record_batch(columns)
    sink = pyarrow.BufferOutputStream()
    options = pyarrow.ipc.IpcWriteOptions(compression=compression)
    with pyarrow.ipc.new_stream(sink, data.schema, options=options) as writer:
        writer.write_batch(data)
    messages = pyarrow.ipc.MessageReader.open_stream(sink.getvalue())
    return [(m.metadata.to_pybytes(), m.body.to_pybytes() if m.body else b"") for m in messages]


def replaced(data, old, new, width=8):
    """The bytes with a number that occurs in them replaced by another."""
    old, new = (number.to_bytes(width, "little") for number in (old, new))
    assert old in data
    return data.replace(old, new)


def ingest(table, temporary=0):
    """CommandStatementIngest that creates or replaces the table."""
    options = protobuf.message((1, 1), (2, 3))
    return protobuf.sql_command("CommandStatementIngest", (1, options), (2, table), (5, temporary))


def verdicts(connection, table, pairs, count):
    """The responses to a stream as rows of an ingest and as `count` parameters: None, or the refusal."""
    marks = ", ".join(["?"] * count)
    query = protobuf.sql_command("CommandPreparedStatementQuery", (1, connection.prepare(f"SELECT {marks}")))
    for command in (ingest(table), query):
        try:
            send(connection, command, pairs)
            if command is query:
                list(connection.get(query))
            yield None
        except grpc.RpcError as error:
            assert error.code() in (INVALID, UNIMPLEMENTED, grpc.StatusCode.RESOURCE_EXHAUSTED), error
            assert 0 < len(error.details().encode()) < 4096
            yield error.details()


# Numbers of Arrow's types in a schema.
UTF8, LIST, STRUCT, FIXED_LIST, MAP, RUNS = 5, 12, 13, 16, 17, 22


@pytest.mark.parametrize(
    ("column", "kind", "other"),
    [("list", LIST, MAP), ("map", STRUCT, UTF8), ("map", STRUCT, LIST), ("list", LIST, FIXED_LIST), ("struct", STRUCT, RUNS)],
)
def test_a_type_without_the_parts_that_it_needs_is_an_argument_error(victim, name, column, kind, other):
    (header, _), data = stream({"wrong": PLAIN[column]})
    said = []
    for at in (at for at, byte in enumerate(header) if byte == kind):
        pairs = [(header[:at] + bytes([other]) + header[at + 1 :], b""), data]
        said += verdicts(victim, name, pairs, 1)
    if other in (MAP, UTF8):
        assert any(text and 'column "wrong"' in text for text in said), said


def test_a_name_with_a_nul_byte_is_an_argument_error(victim, name):
    pairs = stream({"outer": pyarrow.array([{"inner": 1}])})
    for text in (b"outer", b"inner"):
        header = pairs[0][0].replace(text, text[:2] + b"\0" + text[3:])
        assert all("NUL" in said for said in verdicts(victim, name, [(header, b""), pairs[1]], 1))


def test_types_that_are_nested_too_deeply_are_refused(victim, name):
    kind = pyarrow.int8()
    for _ in range(200):
        kind = pyarrow.list_(kind)
    header = pyarrow.schema({"deep": kind}).serialize().to_pybytes()[8:]
    assert all("nested" in said for said in verdicts(victim, name, [(header, b"")], 1))


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
@pytest.mark.parametrize("stated", [2**58, 2**63 - 1, 2**64 - 5, 65 * MIB, 8001, 7999, 0])
def test_a_compressed_buffer_that_lies_about_its_length_is_refused(victims, victim, name, codec, stated):
    schema, (header, body) = stream({"i": pyarrow.array(range(1000))}, codec)
    before = victims.rss_bytes()
    said = list(verdicts(victim, name, [schema, (header, replaced(body, 8000, stated))], 1))
    assert all(said), said
    assert victims.rss_bytes() - before < 64 * MIB


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
def test_a_small_message_that_decompresses_to_much_is_refused(victims, victim, name, codec):
    size = 512 * MIB
    schema, (header, body) = stream({"b": pyarrow.array([b"\0" * size])}, codec)
    victim.read("SELECT 1")
    before = victims.peak_rss_bytes()
    for lie in (size, 1000):
        bomb = replaced(body, size, lie)
        assert all(verdicts(victim, name, [schema, (header, bomb)], 1))
    assert victims.peak_rss_bytes() - before < 64 * MIB
    assert list(verdicts(victim, name, stream({"b": pyarrow.array([b"\0" * (8 * MIB)])}, codec), 1)) == [None, None]


def encodings():
    """Columns in which many rows refer to one large value."""
    value = pyarrow.array(["x" * (8 * MIB)], pyarrow.large_string())
    rows, zeros = 1000, pyarrow.array([0] * 1000, pyarrow.int32())
    dictionary = pyarrow.DictionaryArray.from_arrays(zeros, value)
    yield "dictionary", dictionary
    yield "list of dictionaries", pyarrow.ListArray.from_arrays(pyarrow.array([0, rows], pyarrow.int32()), dictionary)
    yield "runs", pyarrow.RunEndEncodedArray.from_arrays(pyarrow.array([rows], pyarrow.int32()), value)
    items = raw(pyarrow.int64(), *[0] * MIB)
    sizes = pyarrow.array([MIB] * rows, pyarrow.int32())
    yield "list views", pyarrow.ListViewArray.from_arrays(zeros, sizes, items)


def test_a_large_value_that_many_rows_refer_to_is_refused(victims, victim, name):
    for label, column in encodings():
        before = victims.peak_rss_bytes()
        with wire.refused(grpc.StatusCode.RESOURCE_EXHAUSTED) as said:
            send(victim, ingest(name), stream({"v": column}))
        assert "unpacked" in said[0], label
        assert victims.peak_rss_bytes() - before < 128 * MIB, label


def test_more_rows_than_a_message_can_have_are_refused(victim, name):
    schema, (header, body) = stream({"n": pyarrow.nulls(1_234_567)})
    for count in (2**40, 2**63 - 1, 2**64 - 1):
        assert all(verdicts(victim, name, [schema, (replaced(header, 1_234_567, count), body)], 1))


def test_a_parameter_with_very_many_items_is_refused(victims, victim, name):
    items = raw(pyarrow.int8(), *[0] * (2 * MIB), width=1)
    lists = pyarrow.ListArray.from_arrays(pyarrow.array([0, 2 * MIB], pyarrow.int32()), items)
    taken, refused = verdicts(victim, name, stream({"l": lists}), 1)
    assert taken is None
    assert "bulk ingest" in refused


@pytest.mark.parametrize(("kind", "properties"), [("bit", "{0}"), ("bignum", "{0}"), ("bit", "{{")])
def test_bytes_of_duckdb_s_own_types_are_refused(victim, name, kind, properties):
    properties = properties.format('{"type_name": "%s", "vendor_name": "DuckDB"}' % kind)
    extension = {"ARROW:extension:name": "arrow.opaque", "ARROW:extension:metadata": properties}
    field = pyarrow.field("x", pyarrow.binary(), metadata=extension)
    data = pyarrow.record_batch([pyarrow.array([b"\xff", b""])], pyarrow.schema([field]))
    for temporary in (0, 1):
        with wire.refused(INVALID) as said:
            send(victim, ingest(name, temporary), stream(data))
        assert 'column "x"' in said[0]


def mutated(dice, pairs):
    """The messages with a few bytes or numbers changed."""
    pairs = [[bytearray(part) for part in pair] for pair in pairs]
    for _ in range(dice.choice([1, 1, 1, 2, 3, 8])):
        parts = [part for part in dice.choice(pairs) if part]
        target = dice.choice(parts)
        at, how = dice.randrange(len(target)), dice.random()
        if how < 0.5:
            target[at] = dice.choice([0, 1, 127, 128, 255, dice.randrange(256)])
        elif how < 0.7:
            target[at] ^= 1 << dice.randrange(8)
        else:
            width = dice.choice([4, 8])
            number = dice.choice([0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**58, 2**63 - 1, 2**64 - 1, 64 * MIB, dice.randrange(64)])
            start = at // width * width
            target[start : start + width] = (number % 2 ** (8 * width)).to_bytes(width, "little")
    return [tuple(map(bytes, pair)) for pair in pairs]


@pytest.mark.parametrize("seed", range(4))
def test_no_damage_to_a_stream_of_any_type_ends_the_server(victims, victim, name, seed):
    dice = random.Random(seed)
    for _ in range(100):
        names = dice.sample(sorted(PLAIN), dice.randint(1, 3))
        pairs = stream({column: PLAIN[column] for column in names}, dice.choice([None, "lz4", "zstd"]))
        list(verdicts(victim, name, mutated(dice, pairs), len(names)))
    assert "panicked" not in victims.log()


# === size ===


def test_a_message_above_the_server_s_limit_is_refused_and_below_it_taken(ada):
    with wire.refused(grpc.StatusCode.OUT_OF_RANGE, grpc.StatusCode.RESOURCE_EXHAUSTED):
        ada.query(f"SELECT length('{'x' * (65 * MIB)}')")
    assert ada.action("jobs", protobuf.pack(protobuf.MERGANSER + "JobsRequest", b"")) is not None


def test_a_row_above_the_client_s_limit_is_an_error_that_names_the_limit(server):
    sql = f"SELECT repeat('x', {20 * MIB}) AS text"
    with server.adbc(username="ada", password="x") as connection, connection.cursor() as cursor:
        with pytest.raises(connection.Error, match=f"larger than max.*{16 * MIB}") as caught:
            cursor.execute(sql)
            cursor.fetchall()
        assert len(str(caught.value)) < 4096
        cursor.execute("SELECT 42")
        assert cursor.fetchone() == (42,)
    limit = {"adbc.flight.sql.client_option.with_max_msg_size": str(32 * MIB)}
    with server.adbc(**limit) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        assert len(cursor.fetchone()[0]) == 20 * MIB


def test_a_row_above_the_default_limit_of_grpc_is_an_error_that_names_the_limit(server, cost):
    with wire.Wire(server, max_receive_message_length=4 * MIB) as small:
        with wire.refused(grpc.StatusCode.RESOURCE_EXHAUSTED) as said:
            list(small.get(protobuf.statement(f"SELECT repeat('x', {5 * MIB}) AS text")))
        assert str(4 * MIB) in said[0]
        found = rows(small.get(protobuf.statement("SELECT repeat('x', 1_000_000) AS text FROM range(20)")))
        assert found.num_rows == 20, "many rows of one megabyte each fit, one or more in a message"


# === numbers ===


def test_a_thousand_sessions_that_are_not_closed_leave_nothing(server, ada):
    with wire.Wire(server) as connection:
        for number in range(1000):
            connection.handshake(protobuf.message((2, f"user {number}"), (3, "secret")))
    assert rows(ada.get(protobuf.statement("SELECT 42 AS i"))).to_pylist() == [{"i": 42}]


def test_of_too_many_sessions_of_one_user_each_is_refused_and_others_log_in(server, cost):
    with wire.Wire(server) as connection:
        for _ in range(1000):
            connection.handshake(protobuf.message((2, "eve"), (3, "secret")))
        for _ in range(3):
            with wire.refused(grpc.StatusCode.RESOURCE_EXHAUSTED) as said:
                connection.handshake(protobuf.message((2, "eve"), (3, "secret")))
            assert "max_sessions_per_user" in said[0]
        connection.handshake(protobuf.message((2, "adam"), (3, "secret")))


def test_a_thousand_prepared_statements_end_with_their_connection(server, cost):
    with wire.Wire(server, "ada") as connection:
        handles = [connection.prepare(f"SELECT {number} AS i") for number in range(1000)]
        assert len(set(handles)) == 1000
        last = protobuf.sql_command("CommandPreparedStatementQuery", (1, handles[-1]))
        assert rows(connection.get(last)).to_pylist() == [{"i": 999}]
        headers = connection.headers
    with wire.Wire(server) as again:
        again.headers = headers

        def gone():
            try:
                return not again.info(last)
            except grpc.RpcError as error:
                return error.code() == MISSING

        wait_until(gone, "the statements end with the network connection")


def test_two_hundred_silent_connections_are_harmless(server, ada):
    host, port = server.uri.removeprefix("grpc://").split(":")
    sockets = [socket.create_connection((host, int(port))) for _ in range(200)]
    try:
        for number, each in enumerate(sockets):
            each.sendall([b"", b"GET / HTTP/1.1\r\n\r\n", b"\0" * 100, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"][number % 4])
        assert rows(ada.get(protobuf.statement("SELECT 42 AS i"))).to_pylist() == [{"i": 42}]
    finally:
        for each in sockets:
            each.close()


def test_a_thousand_unread_results_make_way(server, ada):
    tickets = [ada.query(f"SELECT {number} AS i").endpoints[0].ticket for number in range(1100)]
    assert rows(ada.get(tickets[-1])).to_pylist() == [{"i": 1099}]
    with wire.refused(MISSING):
        list(ada.get(tickets[0]))
    ada.close_session()
