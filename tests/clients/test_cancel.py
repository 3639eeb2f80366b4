"""Cancelling by name: the specified statement ends, no other does, and its connection is free again."""

import threading

import grpc
import pytest

import harness
import protobuf
import wire

LOGIN = {"username": "ada", "password": "secret"}
# No row before the end, which takes hours.
AGGREGATE = "SELECT sum(hash(a.i * b.i) % 7) AS s FROM range(10_000_000) a(i), range(10_000_000) b(i)"
# Infinite rows.
STREAM = "SELECT i, repeat('x', 200) AS x FROM range(100_000_000_000) t(i)"
HOW = ["cancel", "cancel_query"]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Two connections to DuckDB: a statement that keeps one is detected by the second next statement."""
    server = harness.Server(tmp_path_factory.mktemp("server"), "--max-connections", 2)
    try:
        yield server.start()
    finally:
        server.discard()


def read(connection, sql):
    """The number of messages of a query's result, including the schema."""
    [endpoint] = connection.query(sql).endpoints
    return len(list(connection.get(endpoint.ticket)))


def all_connections_are_free(server):
    """As many statements as there are connections run concurrently."""
    with wire.Wire(server) as one, wire.Wire(server) as other:
        first = one.query(STREAM)
        second = other.query(STREAM)
        assert one.cancel(first.data) == other.cancel(second.data) == wire.CANCELLED
    assert server.scalar("SELECT 42") == 42


class Caught(threading.Thread):
    """Runs something in a thread, and keeps the gRPC code that it ends with."""

    def __init__(self, work):
        super().__init__()
        self.work, self.code, self.text = work, None, None
        self.start()

    def run(self):
        try:
            self.work()
        except grpc.RpcError as error:
            self.code, self.text = error.code(), error.details()

    def ended_with(self):
        self.join(wire.SECONDS)
        assert not self.is_alive()
        return self.code


# === what is meant ends ===


@pytest.mark.parametrize("how", HOW)
def test_a_query_that_computes_is_cancelled_before_anybody_reads_it(server, ada, how):
    for _ in range(4):
        info = ada.query(AGGREGATE)
        assert getattr(ada, how)(info.data) == wire.CANCELLED
        with wire.refused(grpc.StatusCode.NOT_FOUND):
            list(ada.get(info.endpoints[0].ticket))
        with wire.refused(grpc.StatusCode.NOT_FOUND):
            getattr(ada, how)(info.data)
        assert read(ada, "SELECT 42") == 2
    all_connections_are_free(server)
    server.wait_until_idle()


@pytest.mark.parametrize("how", HOW)
def test_a_reader_that_waits_for_rows_gets_the_cancellation(server, ada, how):
    for _ in range(4):
        info = ada.query(AGGREGATE)
        messages = ada.get(info.endpoints[0].ticket)
        next(messages)  # the schema: from now on it is being read
        reader = Caught(lambda messages=messages: list(messages))
        assert getattr(ada, how)(info.data) == wire.CANCELLED
        assert reader.ended_with() == grpc.StatusCode.CANCELLED
        assert "cancelled" in reader.text
    all_connections_are_free(server)
    server.wait_until_idle()


@pytest.mark.parametrize("how", HOW)
def test_a_stream_is_cancelled_in_the_midst_of_its_rows(server, ada, how):
    for _ in range(4):
        info = ada.query(STREAM)
        messages = ada.get(info.endpoints[0].ticket)
        for _ in range(5):
            next(messages)
        with wire.Wire(server, "ada") as elsewhere:
            assert getattr(elsewhere, how)(info.data) == wire.CANCELLED
        assert Caught(lambda messages=messages: list(messages)).ended_with() == grpc.StatusCode.CANCELLED
    all_connections_are_free(server)


def test_a_stream_without_a_reader_is_cancelled(server, ada):
    """Whatever its worker is doing: producing rows, or waiting for its reader."""
    for _ in range(10):
        infos = [ada.query(STREAM) for _ in range(2)]
        held = [ada.get(info.endpoints[0].ticket) for info in infos]
        try:
            for each in held:
                next(each)
            for info in infos:
                assert ada.cancel(info.data) == wire.CANCELLED
            # Although the readers still hold their calls. Metadata needs no connection, this does.
            ada.call("GetFlightInfo", wire.descriptor(protobuf.statement("SELECT 42")), seconds=10)
        finally:
            for each in held:
                each.cancel()


def test_a_polled_query_is_cancelled_by_what_the_poll_gave(server, ada):
    poll = ada.poll(wire.descriptor(protobuf.statement(AGGREGATE)))
    [ticket] = protobuf.parse(poll.descriptor)[2]
    try:
        assert ada.cancel(poll.info.data) == wire.CANCELLED
    except AssertionError:
        ada.cancel(wire.info_of(ticket))  # the other tests need the connection
        raise
    with wire.refused(grpc.StatusCode.CANCELLED, grpc.StatusCode.NOT_FOUND):
        while poll.descriptor is not None:
            poll = ada.poll(poll.descriptor)
    server.wait_until_idle()
    all_connections_are_free(server)


def test_a_polled_insert_is_cancelled_and_leaves_nothing(server, ada, name):
    ada.query(f"CREATE TABLE {name} (i HUGEINT)")
    poll = ada.poll(wire.descriptor(protobuf.statement(f"INSERT INTO {name} " + AGGREGATE)))
    # The poll uses the future ticket.
    [ticket] = protobuf.parse(poll.descriptor)[2]
    assert ada.cancel(wire.info_of(ticket)) == wire.CANCELLED
    with wire.refused(grpc.StatusCode.CANCELLED, grpc.StatusCode.NOT_FOUND):
        while poll.descriptor is not None:
            poll = ada.poll(poll.descriptor)
    server.wait_until_idle()
    assert server.scalar(f"SELECT count(*) FROM {name}") == 0
    all_connections_are_free(server)


def test_a_poll_that_waits_hears_of_the_end_at_once(server, ada):
    poll = ada.poll(wire.descriptor(protobuf.statement(AGGREGATE)))
    [ticket] = protobuf.parse(poll.descriptor)[2]

    def poll_on(poll=poll):
        with wire.Wire(server, "ada") as other:
            while poll.descriptor is not None:
                poll = other.poll(poll.descriptor)
            list(other.get(poll.info.endpoints[0].ticket))

    waiting = Caught(poll_on)
    ada.cancel(wire.info_of(ticket))
    assert waiting.ended_with() in (grpc.StatusCode.CANCELLED, grpc.StatusCode.NOT_FOUND)


def test_a_prepared_query_is_cancelled_and_runs_again(ada):
    handle = ada.prepare("SELECT i FROM range(10_000_000) t(i)")
    query = protobuf.sql_command("CommandPreparedStatementQuery", (1, handle))
    for _ in range(4):
        assert ada.cancel(ada.info(query).data) == wire.CANCELLED
    [endpoint] = ada.info(query).endpoints
    assert len(list(ada.get(endpoint.ticket))) > 2


def test_a_query_in_a_transaction_is_cancelled_and_can_be_rolled_back(server, ada, name):
    ada.query(f"CREATE TABLE {name} (i BIGINT)")
    [result] = ada.action("BeginTransaction", protobuf.sql_command("ActionBeginTransactionRequest"))
    [transaction] = protobuf.unpack(result)[1][1]
    ada.query(f"INSERT INTO {name} VALUES (1)", transaction)
    info = ada.query(STREAM, transaction)
    assert ada.cancel(info.data) == wire.CANCELLED
    rollback = protobuf.sql_command("ActionEndTransactionRequest", (1, transaction), (2, 2))
    assert ada.action("EndTransaction", rollback) == []
    assert server.scalar(f"SELECT count(*) FROM {name}") == 0
    all_connections_are_free(server)


def test_an_unread_query_that_fails_after_some_rows_does_not_block_the_rollback(launch):
    """The failure occurs when the queue for the reader is full, at one of these positions."""
    ada = wire.Wire(launch(), "ada")
    for late in range(80_000, 124_000, 4_000):
        [result] = ada.action("BeginTransaction", protobuf.sql_command("ActionBeginTransactionRequest"))
        [transaction] = protobuf.unpack(result)[1][1]
        number = f"CAST(CASE WHEN i = {late} THEN 'late' ELSE i::VARCHAR END AS BIGINT)"
        ada.query(f"SELECT {number} AS i, repeat('x', 100) AS x FROM range(3_000_000) t(i)", transaction)
        rollback = protobuf.sql_command("ActionEndTransactionRequest", (1, transaction), (2, 2))
        assert list(ada.stream("DoAction", protobuf.message((1, "EndTransaction"), (2, rollback)), seconds=10)) == []


def test_adbc_cancels_a_stream_and_continues(server):
    with server.adbc(**LOGIN) as connection, connection.cursor() as cursor:
        for _ in range(3):
            cursor.execute(STREAM)
            reader = cursor.fetch_record_batch()
            assert reader.read_next_batch().num_rows > 0
            cursor.adbc_cancel()
            with pytest.raises(OSError, match="(?i)cancel"):
                for _ in reader:
                    pass
            cursor.execute("SELECT 42")
            assert cursor.fetchone() == (42,)
    all_connections_are_free(server)


# === nothing else does ===


def test_what_ended_long_ago_cancels_nothing(ada):
    """Fifty times on the connections that the old statement ran on."""
    stale = ada.query("SELECT 1")
    list(ada.get(stale.endpoints[0].ticket))
    for _ in range(50):
        info = ada.query("SELECT i FROM range(300_000) t(i)")
        messages = ada.get(info.endpoints[0].ticket)
        next(messages)
        for how in HOW:
            with wire.refused(grpc.StatusCode.NOT_FOUND):
                getattr(ada, how)(stale.data)
        assert len(list(messages)) > 3, "all of it arrives"
        stale = info


def test_another_user_cancels_nothing(server, ada):
    with wire.Wire(server, "bob") as bob, wire.Wire(server) as nobody:
        for _ in range(50):
            info = ada.query("SELECT i FROM range(300_000) t(i)")
            messages = ada.get(info.endpoints[0].ticket)
            next(messages)
            for stranger in (bob, nobody):
                for how in HOW:
                    with wire.refused(grpc.StatusCode.NOT_FOUND):
                        getattr(stranger, how)(info.data)
            assert len(list(messages)) > 3, "all of it arrives"


def test_a_race_of_cancels_with_the_end_of_short_queries_hits_no_later_one(server, ada):
    """A cancel that arrives when its query ends must not affect the next query on the same connection."""
    outcomes = []
    for _ in range(50):
        info = ada.query("SELECT sum(i) FROM range(200_000) t(i)")
        with wire.Wire(server, "ada") as other:
            late = Caught(lambda info=info, other=other: outcomes.append(other.cancel(info.data)))
            try:
                outcomes.append(len(list(ada.get(info.endpoints[0].ticket))))
            except grpc.RpcError as error:
                assert error.code() in (grpc.StatusCode.CANCELLED, grpc.StatusCode.NOT_FOUND), error
            assert read(ada, "SELECT i FROM range(100_000) t(i)") >= 2
            assert late.ended_with() in (None, grpc.StatusCode.NOT_FOUND)
    assert outcomes


def test_metadata_is_not_cancellable(ada):
    info = ada.info(protobuf.sql_command("CommandGetTables"))
    for how in HOW:
        assert getattr(ada, how)(info.data) == wire.NOT_CANCELLABLE
    assert len(list(ada.get(info.endpoints[0].ticket))) >= 1


# === wrong requests ===


@pytest.mark.parametrize(
    "info",
    [b"\xff\xff", wire.info_of(b""), wire.info_of(b"garbage"), wire.info_of(protobuf.pack("unknown", b""))],
    ids=["no message", "empty ticket", "garbage", "unknown type"],
)
def test_what_names_nothing_is_an_argument_error(ada, info):
    for how in HOW:
        with wire.refused(grpc.StatusCode.INVALID_ARGUMENT):
            getattr(ada, how)(info)


@pytest.mark.parametrize("action", ["CancelFlightInfo", "RenewFlightEndpoint", "CancelQuery"])
@pytest.mark.parametrize("body", [b"", b"\xff\xff", b"{}"], ids=["empty", "garbage", "JSON"])
def test_a_body_that_is_no_request_is_an_argument_error(ada, action, body):
    with wire.refused(grpc.StatusCode.INVALID_ARGUMENT):
        ada.action(action, body)
