"""Arrow's integration scenarios, transcribed: the same calls and the same relations between the answers.

The originals (apache/arrow, cpp/src/arrow/flight/integration_tests/test_integration.cc) speak to a canned server that
knows literal strings. Here it is the real server: SQL stands for the literals, and each scenario says what else is
transposed. The ingestion scenario has a file of its own.
"""

import json
import queue
import subprocess

import grpc
import pyarrow
import pyarrow.flight
import pytest

import harness
import metadata
import protobuf
import wire
from harness import wait_until
from wire import bound, rows

# Takes some seconds, and DuckDB reports its progress.
HEAVY = "SELECT count(*) FROM (SELECT DISTINCT md5(x) FROM {})"
COUNT = [{"Count": 1}]


def command(name, *fields):
    return protobuf.sql_command(name, *fields)


def read_schema(encapsulated):
    return pyarrow.ipc.read_schema(pyarrow.py_buffer(encapsulated))


# === auth:basic_proto ===
# Transposed: instead of DoAction returning the user's name, the user is the author of writes.


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A server with one user, arrow."""
    folder = tmp_path_factory.mktemp("guarded")
    hashed = subprocess.run(
        [harness.program(), "hash-password"], input="flight", capture_output=True, text=True, check=True
    ).stdout
    config = folder / "merganser.toml"
    config.write_text(f'[users]\narrow = "{hashed.strip()}"\n')
    server = harness.Server(folder, "--config", config)
    try:
        yield server.start()
    finally:
        server.discard()


def log_in(connection, user="arrow", password="flight"):
    """The handshake with the message for it; returns the token."""
    [reply] = connection.handshake(protobuf.message((2, user), (3, password)))
    [token] = protobuf.parse(reply)[2]
    return token.decode()


def ended_token(server):
    """A token whose session is closed."""
    with wire.Wire(server) as connection:
        token = log_in(connection)
        assert connection.use(token).close_session() == 1
    return token


@pytest.mark.parametrize("action", ["", "GetSessionOptions", "no such action"])
@pytest.mark.parametrize("token", [None, lambda server: "stolen", ended_token], ids=["none", "unknown", "ended"])
def test_an_action_without_a_login_is_unauthenticated(guarded, action, token):
    with wire.Wire(guarded) as connection:
        if token:
            connection.use(token(guarded))
        with wire.refused(grpc.StatusCode.UNAUTHENTICATED):
            connection.action(action)


def test_an_action_with_an_unknown_token_is_unauthenticated_where_none_is_needed(server):
    with wire.Wire(server).use("stolen") as connection, wire.refused(grpc.StatusCode.UNAUTHENTICATED):
        connection.action("GetSessionOptions")


@pytest.mark.parametrize("user, password", [("arrow", "wrong"), ("wrong", "flight"), ("", "")])
def test_a_handshake_with_other_credentials_is_unauthenticated(guarded, user, password):
    with wire.Wire(guarded) as connection, wire.refused(grpc.StatusCode.UNAUTHENTICATED):
        log_in(connection, user, password)


def test_a_handshake_with_the_message_for_it_logs_in(guarded, name):
    with wire.Wire(guarded) as connection:
        connection.use(log_in(connection))
        assert len(connection.action("GetSessionOptions")) == 1
        with wire.refused(grpc.StatusCode.UNIMPLEMENTED):
            connection.action("")
        connection.query(f"CREATE TABLE {name} (i BIGINT)")
        assert connection.read("SELECT author FROM lake.snapshots() ORDER BY snapshot_id DESC LIMIT 1") == [("arrow",)]


class Basic(pyarrow.flight.ClientAuthHandler):
    """The login of the original, whose token is sent in a separate header."""

    def authenticate(self, outgoing, incoming):
        outgoing.write(pyarrow.flight.BasicAuth("arrow", "flight").serialize())
        self.token = incoming.read()

    def get_token(self):
        return self.token


def test_the_handshake_of_clients_with_an_auth_handler_logs_in(guarded, name):
    create = pyarrow.flight.FlightDescriptor.for_command(protobuf.statement(f"CREATE TABLE {name} (i BIGINT)"))
    with guarded.flight() as client:
        with pytest.raises(pyarrow.flight.FlightUnauthenticatedError):
            client.get_flight_info(create)
        client.authenticate(Basic())
        client.get_flight_info(create)
    with wire.Wire(guarded) as connection:
        connection.use(log_in(connection))
        assert connection.read("SELECT author FROM lake.snapshots() ORDER BY snapshot_id DESC LIMIT 1") == [("arrow",)]


# === middleware ===
# Transposed: instead of echoing a header, the server obeys one, merganser-snapshot, in calls that fail and in those that
# succeed; other headers change nothing, and none comes back.


class Headers(pyarrow.flight.ClientMiddlewareFactory):
    """Sends the same headers with every call, and collects the names of the headers and trailers that come back."""

    def __init__(self, **headers):
        super().__init__()
        self.sent = {name.replace("_", "-"): value for name, value in headers.items()}
        self.received = []

    def start_call(self, info):
        return HeadersOfOneCall(self)


class HeadersOfOneCall(pyarrow.flight.ClientMiddleware):
    def __init__(self, headers):
        super().__init__()
        self.headers = headers

    def sending_headers(self):
        return self.headers.sent

    def received_headers(self, headers):
        self.headers.received.extend(headers)


def with_headers(server, headers):
    return pyarrow.flight.FlightClient(server.uri.replace("grpc:", "grpc+tcp:"), middleware=[headers])


def read(client, sql):
    info = client.get_flight_info(pyarrow.flight.FlightDescriptor.for_command(protobuf.statement(sql)))
    return client.do_get(info.endpoints[0].ticket).read_all().to_pylist()


def test_a_header_arrives_with_calls_that_succeed_and_calls_that_fail(server, table):
    before = server.head()
    server.sql(f"INSERT INTO {table} VALUES (1)")
    server.sql(f"CREATE TABLE {table}_later (i BIGINT)")
    with with_headers(server, Headers(merganser_snapshot=str(before))) as past, server.flight() as present:
        assert (read(past, f"FROM {table}"), read(present, f"FROM {table}")) == ([], [{"i": 1}])
        assert read(present, f"FROM {table}_later") == []
        with pytest.raises(KeyError, match=f"{table}_later"):
            read(past, f"FROM {table}_later")


@pytest.mark.parametrize("value", ["expected value", "x" * 40_000], ids=["short", "long"])
def test_unknown_headers_are_harmless_and_do_not_come_back(server, value):
    headers = Headers(x_middleware=value)
    with with_headers(server, headers) as client:
        with pytest.raises(pyarrow.ArrowInvalid):
            client.get_flight_info(pyarrow.flight.FlightDescriptor.for_command(b""))
        assert read(client, "SELECT 42 AS i") == [{"i": 42}]
    # Clients show the headers of a failed call in its error.
    assert headers.received and set(headers.received) <= {"content-type", "date", "grpc-status", "grpc-message"}


# === alignment ===
# Transposed: DuckDB's columns may be null.


def test_data_is_aligned(ada):
    info = ada.query("SELECT i::INTEGER AS a, i::BIGINT AS b, i > 1 AS c FROM range(3) t(i) ORDER BY i")
    [endpoint] = info.endpoints
    messages = list(ada.get(endpoint.ticket))
    found = rows(messages)
    assert found.schema.types == [pyarrow.int32(), pyarrow.int64(), pyarrow.bool_()]
    assert found.to_pylist() == [{"a": i, "b": i, "c": i > 1} for i in range(3)]
    bodies = [protobuf.parse(message).get(1000, [b""])[0] for message in messages]
    assert any(bodies) and all(len(body) % 8 == 0 for body in bodies)


# === ordered ===
# Transposed: any number of endpoints; in their order, they return the rows in order.


def test_endpoints_in_their_order_give_the_rows_in_theirs(ada):
    info = ada.query("SELECT i::INTEGER AS number FROM range(100_000) t(i) ORDER BY i")
    assert info.ordered
    assert info.endpoints and not any(endpoint.locations for endpoint in info.endpoints)
    tickets = [endpoint.ticket for endpoint in info.endpoints]
    assert len(set(tickets)) == len(tickets)
    numbers = [number for ticket in tickets for number in rows(ada.get(ticket))["number"].to_pylist()]
    assert numbers == list(range(100_000))


# === expiration_time ===
# Transposed: the canned endpoints with and without an expiry are two results: a complete one, which is kept until then,
# and one that is computed while it is read.


def test_results_without_an_expiry_are_read_once_and_others_again_until_then(launch):
    server = launch("--result-ttl-seconds", 1)
    with wire.Wire(server) as connection:
        connection.query("CREATE TABLE t (i BIGINT)")
        [stream] = connection.query("SELECT i::UINTEGER AS number FROM range(3) t(i) ORDER BY i").endpoints
        assert stream.expires is None
        assert rows(connection.get(stream.ticket))["number"].to_pylist() == [0, 1, 2]
        with wire.refused(grpc.StatusCode.NOT_FOUND):
            list(connection.get(stream.ticket))

        [complete] = connection.query("INSERT INTO t VALUES (1)").endpoints
        assert complete.expires is not None
        assert rows(connection.get(complete.ticket)).to_pylist() == COUNT
        assert rows(connection.get(complete.ticket)).to_pylist() == COUNT

        def expired():
            try:
                return not list(connection.get(complete.ticket))
            except grpc.RpcError as error:
                return error.code() == grpc.StatusCode.NOT_FOUND

        wait_until(expired, "the result is given up after its expiry")
        assert rows(connection.get(connection.query("FROM t").endpoints[0].ticket)).to_pylist() == [{"i": 1}]


FLIGHT_SQL_ACTIONS = {
    "CreatePreparedStatement",
    "ClosePreparedStatement",
    "BeginTransaction",
    "EndTransaction",
    "CancelFlightInfo",
    "CancelQuery",
    "RenewFlightEndpoint",
    "SetSessionOptions",
    "GetSessionOptions",
    "CloseSession",
}
OWN_ACTIONS = {"ingest", "transform", "rollback", "tag", "jobs", "job.attach", "job.cancel"}
REFUSED_ACTIONS = {"BeginSavepoint", "EndSavepoint", "CreatePreparedSubstraitPlan"}


def test_every_action_is_listed_once_and_answers(server, ada):
    with server.flight() as client:
        listed = {action.type: action.description for action in client.list_actions()}
        names = [action.type for action in client.list_actions()]
    assert len(names) == len(set(names))
    assert FLIGHT_SQL_ACTIONS | OWN_ACTIONS <= set(listed) and not REFUSED_ACTIONS & set(listed)
    assert all(listed.values())
    for name in sorted(FLIGHT_SQL_ACTIONS - {"CloseSession", "GetSessionOptions", "SetSessionOptions"}):
        try:
            ada.action(name)
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.INVALID_ARGUMENT, (name, error)


@pytest.mark.parametrize("name", sorted(REFUSED_ACTIONS))
def test_unsupported_actions_report_it_by_name(ada, name):
    with wire.refused(grpc.StatusCode.UNIMPLEMENTED) as said:
        ada.action(name, command(f"Action{name}Request"))
    assert name in said[0]


@pytest.mark.parametrize("sql", ["SELECT i FROM range(10_000_000) t(i)", "INSERT INTO {} VALUES (1)"])
def test_a_cancelled_result_cannot_be_read(ada, table, sql):
    info = ada.query(sql.format(table))
    assert ada.cancel(info.data) == wire.CANCELLED
    for endpoint in info.endpoints:
        with wire.refused(grpc.StatusCode.NOT_FOUND):
            list(ada.get(endpoint.ticket))


def test_a_renewed_endpoint_expires_strictly_later_and_serves(ada, table):
    info = ada.query(f"INSERT INTO {table} VALUES (1)")
    for endpoint in info.endpoints:
        [renewed] = map(wire.Endpoint, ada.action("RenewFlightEndpoint", protobuf.message((1, endpoint.data))))
        assert renewed.expires > endpoint.expires
        assert rows(ada.get(renewed.ticket)).to_pylist() == COUNT


# === location:reuse_connection ===
# Transposed: no location means the same as arrow-flight-reuse-connection://?, which older clients support as well.


@pytest.mark.parametrize("what", [protobuf.statement("SELECT 1"), command("CommandGetTables")], ids=["query", "tables"])
def test_endpoints_are_read_on_the_connection_that_there_is(ada, what):
    [endpoint] = ada.info(what).endpoints
    assert endpoint.locations in ([], [protobuf.message((1, "arrow-flight-reuse-connection://?"))])


# === session_options ===
# Transposed: the names are those of real options: foolong pivot_limit, bardouble timeout, key_with_invalid_value
# batch_rows, big_ol_string_list timezone, which takes one string and not a list: lists are rejected, whatever their
# content.


class Cookies(pyarrow.flight.ClientMiddlewareFactory):
    """Keeps cookies like browsers."""

    def __init__(self):
        super().__init__()
        self.jar = {}

    def start_call(self, info):
        return CookieMiddleware(self.jar)


class CookieMiddleware(pyarrow.flight.ClientMiddleware):
    def __init__(self, jar):
        super().__init__()
        self.jar = jar

    def sending_headers(self):
        pairs = "; ".join(f"{name}={value}" for name, value in self.jar.items())
        return {"cookie": pairs} if pairs else {}

    def received_headers(self, headers):
        for header in headers.get("set-cookie", []):
            name, _, value = header.split(";")[0].partition("=")
            self.jar[name.strip()] = value.strip()


def test_session_options_with_cookies(server):
    cookies = Cookies()
    location = server.uri.replace("grpc:", "grpc+tcp:")
    with pyarrow.flight.FlightClient(location, middleware=[cookies]) as client:

        def action(name, body):
            return [result.body.to_pybytes() for result in client.do_action((name, body))]

        before = wire.get_options(action)
        art = ["a", "b", "sea", "dee", " ", "  ", "geee", "(づ｡◕‿‿◕｡)づ"]
        wrong = wire.set_options(
            action,
            {
                "pivot_limit": wire.whole(123),
                "timeout": wire.number(456),
                "lol_invalid": wire.text("this won't get set"),
                "batch_rows": wire.text("lol_invalid"),
                "timezone": wire.texts(*art),
            },
        )
        assert wrong == {"lol_invalid": 1, "batch_rows": 2, "timezone": 2}
        assert "arrow_flight_session_id" in cookies.jar
        assert wire.get_options(action) == before | {"pivot_limit": wire.whole(123), "timeout": wire.number(456)}
        assert wire.set_options(action, {"pivot_limit": wire.NOTHING, "timezone": wire.text("Asia/Tokyo")}) == {}
        expected = before | {"timeout": wire.number(456), "timezone": wire.text("Asia/Tokyo")}
        assert wire.get_options(action) == expected


# === poll_flight_info ===
# Transposed: a heavy query really is one, so that there may be several polls; the first response has everything but the
# end, the last has the end and nothing else.


@pytest.fixture(scope="module")
def heavy(server):
    server.sql("CREATE TABLE heavy AS SELECT repeat('x', 20) || i AS x FROM range(6_000_000) t(i)")
    return HEAVY.format("heavy")


def test_a_heavy_query_is_polled_until_it_is_complete(ada, heavy):
    poll = ada.poll(wire.descriptor(protobuf.statement(heavy)))
    assert poll.descriptor is not None and poll.expires is not None
    first, progress, descriptors = poll, [], set()
    while poll.descriptor is not None:
        assert poll.expires is not None
        progress.append(poll.progress)
        descriptors.add(poll.descriptor)
        poll = ada.poll(poll.descriptor)
    told = [share for share in progress if share is not None]
    assert told and told == sorted(told) and all(0 <= share <= 1 for share in told)
    assert (poll.progress, poll.expires) == (1.0, None)
    assert poll.info.schema == first.info.schema, "what was announced is what came"
    [endpoint] = poll.info.endpoints
    assert rows(ada.get(endpoint.ticket)).to_pylist() == [{"count_star()": 6_000_000}]


def test_a_short_query_is_complete_at_the_first_poll(ada):
    poll = ada.poll(wire.descriptor(protobuf.statement("SELECT 42 AS i")))
    assert (poll.descriptor, poll.progress, poll.expires) == (None, 1.0, None)
    assert rows(ada.get(poll.info.endpoints[0].ticket)).to_pylist() == [{"i": 42}]


def test_metadata_is_complete_at_the_first_poll(ada):
    poll = ada.poll(wire.descriptor(command("CommandGetCatalogs")))
    assert (poll.descriptor, poll.progress) == (None, 1.0)
    assert rows(ada.get(poll.info.endpoints[0].ticket)).to_pylist() == [{"catalog_name": "lake"}]


def test_a_polled_insert_runs_once(server, ada, table):
    sql = f"INSERT INTO {table} SELECT count(DISTINCT md5(i::VARCHAR)) FROM range(1_000_000) t(i)"
    poll = ada.poll(wire.descriptor(protobuf.statement(sql)))
    while poll.descriptor is not None:
        poll = ada.poll(poll.descriptor)
    assert rows(ada.get(poll.info.endpoints[0].ticket)).to_pylist() == COUNT
    assert server.sql(f"FROM {table}") == [(1_000_000,)]


def test_a_polled_failure_is_reported_with_its_message(server, ada):
    sql = "SELECT CAST(max(md5(i::VARCHAR)) AS INTEGER) FROM range(1_500_000) t(i)"
    with wire.refused(grpc.StatusCode.INVALID_ARGUMENT) as said:
        poll = ada.poll(wire.descriptor(protobuf.statement(sql)))
        while poll.descriptor is not None:
            poll = ada.poll(poll.descriptor)
    assert "Could not convert string" in said[0]


def test_adbc_polls_a_query_with_incremental_execution(server, heavy):
    with server.adbc() as connection, connection.cursor() as cursor:
        cursor.adbc_statement.set_options(**{"adbc.statement.exec.incremental": "true"})
        cursor.adbc_statement.set_sql_query(heavy)
        partitions, _, _ = cursor.adbc_statement.execute_partitions()
        assert len(partitions) == 1
        cursor.adbc_read_partition(partitions[0])
        assert cursor.fetchall() == [(6_000_000,)]


# === app_metadata_flight_info_endpoint ===
# Transposed: the server's metadata is the snapshot, which FlightInfo has for all endpoints. They have none of their own.


@pytest.mark.parametrize("sql", ["FROM {}", "INSERT INTO {} VALUES (2)"], ids=["read", "write"])
def test_a_result_contains_its_snapshot(server, ada, table, sql):
    info = ada.query(sql.format(table))
    assert json.loads(info.app_metadata) == {"snapshot_id": server.head()}
    assert [endpoint.app_metadata for endpoint in info.endpoints] == [b""]


def test_the_snapshot_in_the_metadata_is_that_of_the_rows(server, ada, table):
    info = ada.query(f"FROM {table}")
    server.sql(f"INSERT INTO {table} VALUES (1)")
    assert rows(ada.get(info.endpoints[0].ticket)).num_rows == 0
    then = json.loads(info.app_metadata)["snapshot_id"]
    assert ada.read(f"FROM {table} AT (VERSION => {then})") == []
    assert ada.read(f"FROM {table} AT (VERSION => {then + 1})") == [(1,)]


def test_a_polled_result_contains_its_snapshot_when_it_is_complete(server, ada, heavy):
    poll = ada.poll(wire.descriptor(protobuf.statement(heavy)))
    while poll.descriptor is not None:
        assert poll.info.app_metadata == b""
        poll = ada.poll(poll.descriptor)
    assert json.loads(poll.info.app_metadata) == {"snapshot_id": server.head()}


def test_the_first_message_of_a_query_without_flight_info_contains_its_snapshot(server, ada):
    first, *others = ada.get(protobuf.statement("SELECT 1"))
    [told] = protobuf.parse(first)[3]
    assert json.loads(told) == {"snapshot_id": server.head()}
    assert others and not any(3 in protobuf.parse(message) for message in others)


# === do_exchange:echo ===
# Transposed: there is nothing to exchange. The server reports that before the client has ended its side.


def echoed():
    """What the original sends: four batches, with metadata on every second one."""
    schema = pyarrow.schema([pyarrow.field("x", pyarrow.int32(), nullable=False)])
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, schema) as writer:
        for start in range(0, 40, 10):
            writer.write_batch(pyarrow.record_batch([pyarrow.array(range(start, start + 10), pyarrow.int32())], schema))
    # A FlightDescriptor with the command "echo", in the message with the schema.
    first, number = wire.descriptor(b"echo"), -1
    for message in pyarrow.ipc.MessageReader.open_stream(sink.getvalue()):
        told = str(number) if number >= 0 and number % 2 == 0 else None
        body = message.body.to_pybytes() if message.body is not None else b""
        yield protobuf.message((1, first), (2, message.metadata.to_pybytes()), (3, told), (1000, body))
        first, number = None, number + 1


@pytest.mark.parametrize("count", [0, 1, 5], ids=["nothing", "schema", "everything"])
def test_an_exchange_is_refused_while_the_client_may_still_send(server, ada, count):
    sent = queue.SimpleQueue()
    for message in list(echoed())[:count]:
        sent.put(message)
    exchange = ada.channel.stream_stream(wire.SERVICE + "DoExchange")
    call = exchange(iter(sent.get, None), metadata=ada.headers, timeout=wire.SECONDS)
    try:
        with wire.refused(grpc.StatusCode.UNIMPLEMENTED) as said:
            next(call)
    finally:
        sent.put(None)
    assert "DoExchange" in said[0]
    assert ada.read("SELECT 42") == [(42,)]


# === flight_sql ===
# Transposed: "SELECT STATEMENT" is a query of a table, whose columns' metadata describes their type, and not their table
# like the original's canned column; "UPDATE STATEMENT" changes three rows instead of 10,000.

METADATA = {
    "catalogs": command("CommandGetCatalogs"),
    "schemas": command("CommandGetDbSchemas", (1, "lake"), (2, "main")),
    "tables with columns": command(
        "CommandGetTables", (1, "lake"), (2, "main"), (3, "%"), (4, "TABLE"), (4, "VIEW"), (5, 1)
    ),
    "tables": command("CommandGetTables", (1, "lake"), (2, "main"), (3, "%"), (4, "TABLE"), (4, "VIEW"), (5, 0)),
    "table types": command("CommandGetTableTypes"),
    "primary keys": command("CommandGetPrimaryKeys", (1, "lake"), (2, "main"), (3, "scenario")),
    "exported keys": command("CommandGetExportedKeys", (1, "lake"), (2, "main"), (3, "scenario")),
    "imported keys": command("CommandGetImportedKeys", (1, "lake"), (2, "main"), (3, "scenario")),
    "cross reference": command(
        "CommandGetCrossReference",
        *((1, "lake"), (2, "main"), (3, "scenario")),
        *((4, "lake"), (5, "main"), (6, "scenario")),
    ),
    "types": command("CommandGetXdbcTypeInfo"),
    "info": command("CommandGetSqlInfo", (1, 0), (1, 3)),
}


@pytest.fixture(scope="module")
def scenario(server):
    server.sql("CREATE TABLE scenario (id BIGINT)")
    server.sql("COMMENT ON COLUMN scenario.id IS 'test column'")
    server.sql("INSERT INTO scenario VALUES (1), (2), (3)")


def same_columns(connection, what):
    """The columns that GetFlightInfo, GetSchema and DoGet agree on, and the rows."""
    info = connection.info(what)
    [endpoint] = info.endpoints
    found = rows(connection.get(endpoint.ticket))
    schema = read_schema(info.schema)
    assert schema.equals(read_schema(connection.schema(what)), check_metadata=True)
    assert schema.equals(found.schema, check_metadata=True)
    return found


@pytest.mark.parametrize("name", METADATA)
def test_the_columns_of_a_command_are_the_same_everywhere(ada, scenario, name):
    found = same_columns(ada, METADATA[name])
    if name.startswith("tables"):
        assert "scenario" in found["table_name"].to_pylist()


def test_a_query_and_an_update(server, ada, scenario, table):
    assert same_columns(ada, protobuf.statement("SELECT id FROM scenario ORDER BY id"))["id"].to_pylist() == [1, 2, 3]
    update = command("CommandStatementUpdate", (1, f"INSERT INTO {table} SELECT id FROM scenario"))
    [result] = ada.put(protobuf.message((1, wire.descriptor(update))))
    assert protobuf.parse(protobuf.parse(result)[1][0]) == {1: [3]}
    assert server.scalar(f"SELECT count(*) FROM {table}") == 3


def test_columns_of_a_query_contain_what_is_known_of_their_type(ada, scenario):
    field = same_columns(ada, protobuf.statement("SELECT id FROM scenario")).schema.field("id")
    assert metadata.facts(field) == {
        "TYPE_NAME": "BIGINT",
        "PRECISION": "19",
        "SCALE": "0",
        "IS_AUTO_INCREMENT": "0",
        "IS_CASE_SENSITIVE": "0",
        "IS_SEARCHABLE": "1",
    }


def test_a_prepared_query_and_a_prepared_update(server, ada, scenario, table):
    one = pyarrow.record_batch({"id": pyarrow.array([1], pyarrow.int64())})
    handle = ada.prepare("SELECT id FROM scenario WHERE id = ?")
    query = command("CommandPreparedStatementQuery", (1, handle))
    [result] = ada.put(*bound(query, one))
    [again] = protobuf.parse(protobuf.parse(result)[1][0]).get(1, [handle])
    query = command("CommandPreparedStatementQuery", (1, again))
    assert same_columns(ada, query).to_pylist() == [{"id": 1}]

    handle = ada.prepare(f"INSERT INTO {table} SELECT id FROM scenario WHERE id >= ?")
    [result] = ada.put(*bound(command("CommandPreparedStatementUpdate", (1, handle)), one))
    assert protobuf.parse(protobuf.parse(result)[1][0]) == {1: [3]}
    assert server.scalar(f"SELECT count(*) FROM {table}") == 3
    assert ada.action("ClosePreparedStatement", command("ActionClosePreparedStatementRequest", (1, handle))) == []
    with wire.refused(grpc.StatusCode.NOT_FOUND):
        ada.put(*bound(command("CommandPreparedStatementUpdate", (1, handle)), one))


# === flight_sql:extension ===
# Transposed: Substrait and savepoints are reported as unsupported, and rejected; transactions work, and end when they
# are unused for eight hours.


def test_information_on_the_extensions(ada):
    wanted = [4, 5, 6, 7, 8, 9, 100, 101]
    found = same_columns(ada, command("CommandGetSqlInfo", *((1, code) for code in wanted)))
    values = dict(zip(found["info_name"].to_pylist(), found["value"].to_pylist(), strict=True))
    assert len(values) == found.num_rows, "no code twice"
    types = found["value"].combine_chunks().type_codes.to_pylist()
    assert all(0 <= code <= 3 for code in types)
    substrait = {6: "", 7: ""}
    assert substrait | values == substrait | {4: True, 5: False, 8: 1, 9: True, 100: 0, 101: 8 * 3_600_000}


SUBSTRAIT = command("CommandStatementSubstraitPlan", (1, protobuf.message((1, "plan"), (2, "version"))))


def test_substrait_is_refused_everywhere(ada):
    for call in (ada.info, ada.schema, lambda what: ada.poll(wire.descriptor(what)), lambda what: list(ada.get(what))):
        with wire.refused(grpc.StatusCode.UNIMPLEMENTED) as said:
            call(SUBSTRAIT)
        assert "Substrait" in said[0]
    with wire.refused(grpc.StatusCode.UNIMPLEMENTED):
        ada.put(protobuf.message((1, wire.descriptor(SUBSTRAIT))))
    with wire.refused(grpc.StatusCode.UNIMPLEMENTED):
        ada.action("CreatePreparedSubstraitPlan", command("ActionCreatePreparedSubstraitPlanRequest", (1, b"plan")))


def begin(connection):
    [result] = connection.action("BeginTransaction", command("ActionBeginTransactionRequest"))
    kind, fields = protobuf.unpack(result)
    assert kind == protobuf.SQL + "ActionBeginTransactionResult"
    [transaction] = fields[1]
    return transaction


def end(connection, transaction, how):
    assert connection.action("EndTransaction", command("ActionEndTransactionRequest", (1, transaction), (2, how))) == []


COMMIT, ROLLBACK = 1, 2


def test_a_transaction_has_queries_and_updates_of_both_kinds(server, ada, scenario, table):
    transaction = begin(ada)
    insert = f"INSERT INTO {table} SELECT id FROM scenario"
    update = command("CommandStatementUpdate", (1, insert), (2, transaction))
    [result] = ada.put(protobuf.message((1, wire.descriptor(update))))
    assert protobuf.parse(protobuf.parse(result)[1][0]) == {1: [3]}
    handle = ada.prepare(insert + " WHERE id = ?", transaction)
    two = pyarrow.record_batch({"id": pyarrow.array([2], pyarrow.int64())})
    [result] = ada.put(*bound(command("CommandPreparedStatementUpdate", (1, handle)), two))
    assert protobuf.parse(protobuf.parse(result)[1][0]) == {1: [1]}
    found = same_columns(ada, protobuf.statement(f"SELECT i FROM {table} ORDER BY i", transaction))
    assert found["i"].to_pylist() == [1, 2, 2, 3]
    handle = ada.prepare(f"SELECT i FROM {table} WHERE i = ?", transaction)
    query = command("CommandPreparedStatementQuery", (1, handle))
    ada.put(*bound(query, two))
    assert same_columns(ada, query)["i"].to_pylist() == [2, 2]
    assert server.scalar(f"SELECT count(*) FROM {table}") == 0
    end(ada, transaction, COMMIT)
    assert server.scalar(f"SELECT count(*) FROM {table}") == 4

    transaction = begin(ada)
    ada.query(f"DELETE FROM {table}", transaction)
    end(ada, transaction, ROLLBACK)
    assert server.scalar(f"SELECT count(*) FROM {table}") == 4


def test_savepoints_are_rejected_and_the_transaction_continues(server, ada, table):
    transaction = begin(ada)
    ada.query(f"INSERT INTO {table} VALUES (1)", transaction)
    requests = {"BeginSavepoint": ((1, transaction), (2, "name")), "EndSavepoint": ((1, b"id"), (2, 1))}
    for name, fields in requests.items():
        with wire.refused(grpc.StatusCode.UNIMPLEMENTED) as said:
            ada.action(name, command(f"Action{name}Request", *fields))
        assert "savepoint" in said[0]
    end(ada, transaction, COMMIT)
    assert server.scalar(f"SELECT count(*) FROM {table}") == 1


def test_a_transaction_that_has_ended_is_not_found(ada):
    transaction = begin(ada)
    end(ada, transaction, COMMIT)
    with wire.refused(grpc.StatusCode.NOT_FOUND):
        end(ada, transaction, ROLLBACK)
    with wire.refused(grpc.StatusCode.NOT_FOUND):
        ada.query("SELECT 1", transaction)
