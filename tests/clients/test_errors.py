"""Invalid requests: the right error class, a helpful message, and a server that continues to serve."""

import json

import adbc_driver_manager
import pyarrow
import pyarrow.flight
import pytest

import protobuf

# Above this, clients lose the message of an error.
MAX_TEXT = 4096


@pytest.fixture(autouse=True)
def goes_on_serving(server):
    yield
    assert server.scalar("SELECT 42") == 42


def failure(server, sql, parameters=None):
    """The exception that a statement raises."""
    with server.adbc() as connection, connection.cursor() as cursor:
        with pytest.raises(connection.Error) as caught:
            cursor.execute(sql, parameters)
            cursor.fetchall()
    return caught.value


def check(server, sql, error, *texts):
    """The statement fails with that class, and the message has these parts."""
    caught = failure(server, sql)
    assert type(caught) is error, caught
    for text in texts:
        assert text in str(caught), caught
    assert len(str(caught).encode()) < MAX_TEXT


# === SQL ===


def test_a_syntax_error_of_raw_calls_is_an_argument_error(server):
    with server.flight() as client, pytest.raises(pyarrow.ArrowInvalid, match="LINE 1"):
        client.get_flight_info(pyarrow.flight.FlightDescriptor.for_command(protobuf.statement("SELEC 1")))


@pytest.mark.parametrize("filler", ["x", "ä", "%"])
def test_errors_of_very_long_statements_stay_readable(server, filler):
    caught = failure(server, f"SELECT '{filler * (1 << 20)}' FROM WHERE")
    assert isinstance(caught, adbc_driver_manager.ProgrammingError)
    assert "error" in str(caught).lower() and len(str(caught).encode()) < MAX_TEXT
    caught = failure(server, f"SELECT {filler * (1 << 20)}" if filler == "x" else f'SELECT "{filler * (1 << 20)}"')
    assert isinstance(caught, adbc_driver_manager.ProgrammingError)
    assert len(str(caught).encode()) < MAX_TEXT


def test_a_long_correct_statement_is_no_error(server):
    assert server.scalar(f"SELECT length('{'x' * (1 << 20)}')") == 1 << 20


def test_an_unknown_table_is_not_found(server):
    caught = failure(server, "SELECT * FROM lake.silver.absent")
    assert caught.status_code == adbc_driver_manager.AdbcStatusCode.NOT_FOUND
    assert "absent" in str(caught) and "does not exist" in str(caught)


def test_an_existing_table_already_exists(server, name):
    server.sql(f"CREATE TABLE {name} (i INTEGER)")
    caught = failure(server, f"CREATE TABLE {name} (i INTEGER)")
    assert caught.status_code == adbc_driver_manager.AdbcStatusCode.ALREADY_EXISTS


@pytest.mark.parametrize("sql", ["CREATE TABLE {0} AS SELECT 1 AS i; SELECT ?", "SELECT ?; CREATE TABLE {0} (i INTEGER)"])
def test_parameters_of_several_statements_are_refused_and_none_runs(server, name, sql):
    for parameters in ((7,), None):
        caught = failure(server, sql.format(name), parameters)
        assert type(caught) is adbc_driver_manager.ProgrammingError and "parameter" in str(caught)
    assert server.sql(f"SELECT 1 FROM duckdb_tables() WHERE table_name = '{name}'") == []


@pytest.mark.parametrize("sql", ["", "  \n"])
def test_no_statement_is_an_error(server, sql):
    assert isinstance(failure(server, sql), adbc_driver_manager.ProgrammingError)


def test_prepare_needs_a_login(server):
    # ADBC has no separate class for FailedPrecondition.
    check(server, "PREPARE p AS SELECT 1", adbc_driver_manager.OperationalError, "PREPARE needs a session: log in")


# === calls ===

GARBAGE = [b"", b"\0", b"garbage", b"\xff" * 100, protobuf.pack(protobuf.SQL + "CommandStatementQuery", b"\xff\xff")]


@pytest.mark.parametrize("ticket", GARBAGE)
def test_a_garbage_ticket_is_an_argument_error(server, ticket):
    with server.flight() as client, pytest.raises(pyarrow.ArrowInvalid):
        client.do_get(pyarrow.flight.Ticket(ticket)).read_all()


def test_an_unknown_execution_is_not_found(server):
    handle = protobuf.sql_command("TicketStatementQuery", (1, b"01890a5d-ac96-774b-bcce-b302099a8057"))
    with server.flight() as client, pytest.raises(pyarrow.ArrowKeyError, match="the ticket is not from this server"):
        client.do_get(pyarrow.flight.Ticket(handle)).read_all()


@pytest.mark.parametrize("command", GARBAGE)
def test_a_garbage_command_is_an_argument_error(server, command):
    descriptor = pyarrow.flight.FlightDescriptor.for_command(command)
    with server.flight() as client:
        with pytest.raises(pyarrow.ArrowInvalid):
            client.get_flight_info(descriptor)
        with pytest.raises(pyarrow.ArrowInvalid):
            client.get_schema(descriptor)


def test_a_path_is_an_argument_error(server):
    with server.flight() as client, pytest.raises(pyarrow.ArrowInvalid):
        client.get_flight_info(pyarrow.flight.FlightDescriptor.for_path("raw", "table"))


def test_unknown_handles_are_not_found(server):
    command = protobuf.sql_command("CommandPreparedStatementQuery", (1, b"never"))
    with server.flight() as client:
        with pytest.raises(pyarrow.ArrowKeyError, match="prepared statement"):
            client.get_flight_info(pyarrow.flight.FlightDescriptor.for_command(command))
        statement = protobuf.statement("SELECT 1", b"never")
        with pytest.raises(pyarrow.ArrowKeyError, match="transaction"):
            client.get_flight_info(pyarrow.flight.FlightDescriptor.for_command(statement))


def test_an_unknown_token_is_unauthenticated(server):
    options = pyarrow.flight.FlightCallOptions(headers=[(b"authorization", b"Bearer stolen")])
    with server.flight() as client, pytest.raises(pyarrow.flight.FlightUnauthenticatedError):
        client.get_flight_info(pyarrow.flight.FlightDescriptor.for_command(protobuf.statement("SELECT 1")), options)


def test_malformed_rows_in_do_put_are_an_argument_error(server):
    command = protobuf.sql_command("CommandPreparedStatementUpdate", (1, b"never"))
    descriptor = pyarrow.flight.FlightDescriptor.for_command(command)
    with server.flight() as client, pytest.raises(pyarrow.ArrowKeyError):
        writer, reader = client.do_put(descriptor, pyarrow.schema([("0", pyarrow.int64())]))
        writer.done_writing()
        reader.read()
        writer.close()


def test_unsupported_calls_report_it(server):
    with server.flight() as client:
        with pytest.raises(pyarrow.ArrowNotImplementedError):
            list(client.list_flights())
        with pytest.raises(pyarrow.ArrowNotImplementedError):
            _, reader = client.do_exchange(pyarrow.flight.FlightDescriptor.for_command(b"x"))
            reader.read_chunk()


# === bodies of actions ===


def test_an_unknown_action_is_not_offered_and_lists_those_that_are(server):
    with pytest.raises(pyarrow.ArrowNotImplementedError, match="fly.*ingest"):
        server.action("fly")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("{", "JSON"),
        ("[]", "JSON"),
        ('"text"', "JSON"),
        ("{} {}", "JSON"),
        ('{"nmae": "x"}', "nmae"),
        ('{"name": 7}', "string|name"),
        ('{"name": "x", "version": "seven"}', "version|integer|seven"),
        (b"\xff\xfe\xfd", "JSON"),
        (protobuf.pack(protobuf.MERGANSER + "IngestRequest", b""), "TagRequest"),
        (protobuf.pack(protobuf.MERGANSER + "TagRequest", b"\xff\xff\xff"), "protobuf"),
        (protobuf.pack(protobuf.MERGANSER + "TagRequest", protobuf.field(99, 1)), "99"),
    ],
    ids=str,
)
def test_an_invalid_body_is_an_argument_error_with_the_mistake(server, body, text):
    with pytest.raises(pyarrow.ArrowInvalid, match=text):
        server.action("tag", body)


def test_an_empty_body_is_an_empty_request(server):
    assert server.action("jobs", b"")[-1]["state"] == "succeeded"
    with pytest.raises(pyarrow.ArrowInvalid, match="source"):
        server.action("ingest", b"")


def test_the_text_of_a_wrong_field_stays_readable(server):
    with pytest.raises(pyarrow.ArrowInvalid) as caught:
        server.action("tag", json.dumps({"x" * 100_000: 1}))
    assert len(str(caught.value).encode()) < MAX_TEXT


@pytest.mark.parametrize(
    "sql, remedy",
    [
        (";CREATE\u00a0MACRO lake.main.nested(a := [1]) AS a", "TEMP macro"),
        ("-- in one line\rCREATE MACRO lake.main.nested(a := 1 % 0) AS a", "TEMP macro"),
    ],
)
def test_what_harms_the_lake_is_refused_however_it_is_written(server, sql, remedy):
    with pytest.raises(adbc_driver_manager.NotSupportedError, match=remedy):
        server.sql(sql)
