"""Sessions: options of every type and their effects, cookies, tickets, TEMP tables, and what CloseSession ends."""

import json
import threading

import grpc
import pyarrow
import pyarrow.flight
import pytest

import protobuf
import wire
from harness import wait_until

LOGIN = {"username": "ada", "password": "secret"}
OPTION = "adbc.flight.sql.session.option."
OPTIONS = "adbc.flight.sql.session.options"
INVALID_NAME, INVALID_VALUE = 1, 2
CLOSED, NOT_CLOSEABLE = 1, 3
# Takes hours.
AGGREGATE = "SELECT sum(hash(a.i * b.i) % 7) FROM range(10_000_000) a(i), range(10_000_000) b(i)"
TOKYO = "SELECT current_setting('timezone')"


def read(connection, sql, transaction=None):
    """The rows of a query by GetFlightInfo and DoGet."""
    [endpoint] = connection.query(sql, transaction).endpoints
    return rows(connection, endpoint.ticket)


def rows(connection, ticket):
    return [tuple(row.values()) for row in wire.rows(connection.get(ticket)).to_pylist()]


def value(connection, sql):
    [[found]] = read(connection, sql)
    return found


# === options in every form ===


@pytest.mark.parametrize(
    ("name", "given", "told"),
    [
        ("catalog", wire.text("lake"), wire.text("lake")),
        ("schema", wire.text("silver"), wire.text("silver")),
        ("timeout", wire.number(2.5), wire.number(2.5)),
        ("timeout", wire.whole(3), wire.number(3)),
        ("timeout", wire.text("1.5"), wire.number(1.5)),
        ("batch_rows", wire.whole(1000), wire.whole(1000)),
        ("batch_rows", wire.text("1000"), wire.whole(1000)),
        ("batch_bytes", wire.whole(64 << 20), wire.whole(64 << 20)),
        ("compression", wire.text("zstd"), wire.text("zstd")),
        ("compression", wire.text("LZ4"), wire.text("lz4")),
        ("timezone", wire.text("Asia/Tokyo"), wire.text("Asia/Tokyo")),
        ("TimeZone", wire.text("Asia/Tokyo"), wire.text("Asia/Tokyo")),
        ("integer_division", wire.flag(True), wire.flag(True)),
        ("pivot_limit", wire.whole(5), wire.whole(5)),
        ("pivot_limit", wire.text("5"), wire.text("5")),
    ],
    ids=repr,
)
def test_an_option_is_returned_as_it_was_set_and_reset_by_no_value(ada, name, given, told):
    before = ada.options()
    assert ada.set(**{name: given}) == {}
    assert ada.options() == before | {name.lower(): told}
    assert value(ada, "SELECT 42") == 42
    assert ada.set(**{name: wire.NOTHING}) == {}
    assert ada.options() == before
    assert value(ada, "SELECT 42") == 42


@pytest.mark.parametrize(
    ("name", "given", "fault"),
    [
        ("absent", wire.text("x"), INVALID_NAME),
        ("absent", wire.NOTHING, INVALID_NAME),
        ("", wire.text("x"), INVALID_NAME),
        ("threads", wire.whole(1), INVALID_NAME),
        ("memory_limit", wire.text("1KB"), INVALID_NAME),
        ("enable_external_access", wire.flag(True), INVALID_NAME),
        ("temp_directory", wire.text("/"), INVALID_NAME),
        ("pivot_limit = 1; DROP SCHEMA silver; --", wire.whole(1), INVALID_NAME),
        ("catalog", wire.text("other"), INVALID_VALUE),
        ("catalog", wire.flag(True), INVALID_VALUE),
        ("schema", wire.whole(1), INVALID_VALUE),
        ("schema", wire.texts("silver"), INVALID_VALUE),
        ("schema", wire.text("absent"), INVALID_VALUE),
        ("schema", wire.text(""), INVALID_VALUE),
        ("timeout", wire.text("soon"), INVALID_VALUE),
        ("timeout", wire.number(-1), INVALID_VALUE),
        ("timeout", wire.number(float("nan")), INVALID_VALUE),
        ("timeout", wire.number(float("inf")), INVALID_VALUE),
        ("timeout", wire.flag(True), INVALID_VALUE),
        ("batch_rows", wire.whole(0), INVALID_VALUE),
        ("batch_rows", wire.whole(-1), INVALID_VALUE),
        ("batch_rows", wire.whole(1 << 40), INVALID_VALUE),
        ("batch_rows", wire.number(1000), INVALID_VALUE),
        ("batch_bytes", wire.whole((64 << 20) + 1), INVALID_VALUE),
        ("compression", wire.text("rar"), INVALID_VALUE),
        ("compression", wire.whole(1), INVALID_VALUE),
        ("timezone", wire.text("Mars/Olympus"), INVALID_VALUE),
        ("timezone", wire.text("'; DROP SCHEMA silver; --"), INVALID_VALUE),
        ("timezone", wire.texts("UTC"), INVALID_VALUE),
        ("pivot_limit", wire.text("many"), INVALID_VALUE),
        ("integer_division", wire.text("perhaps"), INVALID_VALUE),
    ],
    ids=repr,
)
def test_a_wrong_option_is_named_and_the_others_are_set(ada, name, given, fault):
    before = ada.options()
    assert ada.set(**{name: given, "perfect_ht_threshold": wire.whole(9)}) == {name: fault}
    assert ada.options() == before | {"perfect_ht_threshold": wire.whole(9)}
    assert value(ada, "SELECT 42") == 42


def test_a_body_that_is_no_request_is_an_argument_error(ada):
    with wire.refused(grpc.StatusCode.INVALID_ARGUMENT) as said:
        ada.action("SetSessionOptions", b"\xff\xff")
    assert "SetSessionOptionsRequest" in said[0]


def test_the_options_of_adbc(server):
    with server.adbc(**LOGIN) as connection, connection.cursor() as cursor:
        driver = connection.adbc_connection
        driver.set_options(**{OPTION + "timezone": "Asia/Tokyo", OPTION + "batch_rows": "10"})
        driver.set_options(**{"adbc.flight.sql.session.optionbool.integer_division": "true"})
        assert driver.get_option(OPTION + "timezone") == "Asia/Tokyo"
        assert driver.get_option("adbc.flight.sql.session.optionbool.integer_division") == "true"
        told = json.loads(driver.get_option(OPTIONS))
        assert told == {
            "catalog": "lake",
            "schema": "main",
            "timezone": "Asia/Tokyo",
            "batch_rows": 10,
            "integer_division": True,
        }
        cursor.execute(TOKYO + ", 7 / 2")
        assert cursor.fetchone() == ("Asia/Tokyo", 3)
        driver.set_options(**{"adbc.flight.sql.session.optionerase.timezone": ""})
        assert "timezone" not in json.loads(driver.get_option(OPTIONS))
        with pytest.raises(connection.Error, match="absent"):
            driver.set_options(**{OPTION + "absent": "1"})
        with pytest.raises(connection.Error, match="timezone"):
            driver.set_options(**{"adbc.flight.sql.session.optionstringlist.timezone": '["UTC"]'})
        cursor.execute("SELECT 42")
        assert cursor.fetchone() == (42,)


def test_adbc_reads_and_sets_the_current_catalog_and_schema(server, name):
    with server.adbc(**LOGIN) as connection, connection.cursor() as cursor:
        driver = connection.adbc_connection
        assert (connection.adbc_current_catalog, connection.adbc_current_db_schema) == ("lake", "main")
        connection.adbc_current_catalog = "lake"
        connection.adbc_current_db_schema = "silver"
        assert driver.get_option("adbc.connection.db_schema") == "silver"
        cursor.execute(f"CREATE TABLE {name} AS SELECT 7 AS i")
        cursor.execute(f"SELECT i FROM lake.silver.{name}")
        assert cursor.fetchone() == (7,)
        with pytest.raises(connection.Error, match="schema"):
            connection.adbc_current_db_schema = "absent"
        assert connection.adbc_current_db_schema == "silver"
        with pytest.raises(connection.Error, match="catalog"):
            connection.adbc_current_catalog = "other"


def test_adbc_sets_catalog_and_schema_by_its_own_names(server, name):
    server.sql(f"CREATE TABLE lake.gold.{name} AS SELECT 7 AS i")
    with server.adbc(**LOGIN) as connection, connection.cursor() as cursor:
        driver = connection.adbc_connection
        driver.set_options(**{"adbc.connection.catalog": "lake", "adbc.connection.db_schema": "gold"})
        cursor.execute(f"FROM {name}")
        assert cursor.fetchone() == (7,)


# === SET, RESET and USE ===


@pytest.mark.parametrize(
    ("change", "seen", "changed", "back"),
    [
        ("SET timezone = 'Asia/Tokyo'", TOKYO, "Asia/Tokyo", "RESET timezone"),
        ("USE silver", "SELECT current_schema()", "silver", "USE main"),
    ],
)
def test_what_a_session_sets_holds_for_it_alone(server, ada, change, seen, changed, back):
    with wire.Wire(server, "ada") as other:
        before = value(ada, seen)
        assert before != changed
        assert read(ada, change) == []
        assert value(ada, seen) == changed
        assert [value(ada, seen) for _ in range(5)] == [changed] * 5, "whichever connection it runs on"
        assert value(other, seen) == before
        assert server.scalar(seen) == before
        assert read(ada, back) == []
        assert value(ada, seen) == before


def test_set_shows_in_the_options_and_options_in_sql(ada):
    read(ada, "SET timezone = 'Asia/Tokyo'")
    assert ada.options()["timezone"] == wire.text("Asia/Tokyo")
    read(ada, "USE silver")
    assert ada.options()["schema"] == wire.text("silver")
    ada.set(timezone=wire.text("Europe/Berlin"), schema=wire.text("gold"))
    assert value(ada, TOKYO) == "Europe/Berlin" and value(ada, "SELECT current_schema()") == "gold"


@pytest.mark.parametrize("sql", ["SET timezone = 'UTC'", "USE silver", "RESET timezone"])
def test_clients_without_a_login_are_asked_for_one(server, sql):
    with wire.Wire(server) as nobody, wire.refused(grpc.StatusCode.FAILED_PRECONDITION) as said:
        nobody.query(sql)
    assert "log in" in said[0]


def test_an_option_holds_for_statements_that_were_prepared_before(ada):
    handle = ada.prepare(TOKYO)
    query = protobuf.sql_command("CommandPreparedStatementQuery", (1, handle))
    read(ada, "SET timezone = 'Asia/Tokyo'")
    assert rows(ada, ada.info(query).endpoints[0].ticket) == [("Asia/Tokyo",)]
    read(ada, "RESET timezone")
    assert rows(ada, ada.info(query).endpoints[0].ticket) != [("Asia/Tokyo",)]


def test_an_option_holds_in_the_transaction_that_is_open(server, table):
    with server.adbc(autocommit=False, **LOGIN) as connection, connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {table} VALUES (1)")
        connection.adbc_connection.set_options(**{OPTION + "timezone": "Asia/Tokyo"})
        cursor.execute(TOKYO)
        assert cursor.fetchone() == ("Asia/Tokyo",)
        cursor.execute(f"SELECT count(*) FROM {table}")
        assert cursor.fetchone() == (1,), "and does not end it"
        connection.rollback()
    assert server.scalar(f"SELECT count(*) FROM {table}") == 0


# === what options do ===


def heaviest(connection, sql):
    """The maximum rows and bytes of a batch of the result, and all rows."""
    [endpoint] = connection.query(sql).endpoints
    _, *found = wire.batches(connection.get(endpoint.ticket))
    most, largest = max(batch.num_rows for batch in found), max(batch.nbytes for batch in found)
    return most, largest, pyarrow.Table.from_batches(found)


ROWS = "SELECT i, repeat('x', 100) AS text FROM range(50_000) t(i) ORDER BY i"


def test_batches_have_as_many_rows_as_the_session_wants(ada):
    _, _, expected = heaviest(ada, ROWS)
    for limit in (1, 100, 3000):
        ada.set(batch_rows=wire.whole(limit))
        count = 2000 if limit == 1 else 50_000
        most, _, found = heaviest(ada, ROWS + f" LIMIT {count}")
        assert most <= limit
        assert found.equals(expected.slice(0, count))


def test_batches_are_as_large_as_the_session_wants(ada):
    _, default, expected = heaviest(ada, ROWS)
    ada.set(batch_bytes=wire.whole(300_000))
    _, small, found = heaviest(ada, ROWS)
    # DuckDB returns 2,048 rows at once; with the last of them, a batch may exceed the limit.
    assert small <= 300_000 + 2048 * 120 < default
    assert found.equals(expected)
    ada.set(batch_bytes=wire.whole(16 << 20), batch_rows=wire.whole(1 << 20))
    _, large, found = heaviest(ada, ROWS)
    assert large > 4 << 20
    assert found.equals(expected)


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
def test_compressed_results_are_smaller_and_the_same(ada, codec):
    def result():
        [endpoint] = ada.query(ROWS).endpoints
        messages = [protobuf.parse(message) for message in ada.get(endpoint.ticket)]
        return sum(len(message.get(1000, [b""])[0]) for message in messages)

    plain = result()
    _, _, expected = heaviest(ada, ROWS)
    ada.set(compression=wire.text(codec))
    assert result() < plain / 2
    _, _, found = heaviest(ada, ROWS)
    assert found.equals(expected)
    assert value(ada, "SELECT 42") == 42, "columns that do not get smaller travel too"
    assert read(ada, "SELECT 42 WHERE false") == []


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
def test_clients_read_compressed_results(server, codec):
    with server.adbc(**LOGIN) as connection, connection.cursor() as cursor:
        connection.adbc_connection.set_options(**{OPTION + "compression": codec})
        cursor.execute(ROWS)
        table = cursor.fetch_arrow_table()
    assert table["i"].to_pylist() == list(range(50_000)) and set(table["text"].to_pylist()) == {"x" * 100}


# === timeouts ===


def test_a_query_ends_with_the_timeout_of_its_session(server, ada):
    ada.set(timeout=wire.number(0.5))
    with wire.refused(grpc.StatusCode.DEADLINE_EXCEEDED) as said:
        read(ada, AGGREGATE)
    assert "timeout" in said[0]
    with wire.Wire(server, "ada") as other:
        assert value(other, "SELECT count(*) FROM range(100_000_000)") == 100_000_000
    assert value(ada, "SELECT 42") == 42


def test_an_insert_ends_with_the_timeout_and_leaves_nothing(server, ada, table):
    ada.set(timeout=wire.number(0.5))
    with wire.refused(grpc.StatusCode.DEADLINE_EXCEEDED):
        ada.query(f"INSERT INTO {table} " + AGGREGATE)
    ada.set(timeout=wire.NOTHING)
    assert value(ada, f"SELECT count(*) FROM {table}") == 0


def test_a_stream_ends_with_the_timeout_in_the_midst_of_its_rows(ada):
    ada.set(timeout=wire.number(1))
    [endpoint] = ada.query("SELECT i, repeat('x', 200) AS x FROM range(10_000_000_000) t(i)").endpoints
    received = 0
    with wire.refused(grpc.StatusCode.DEADLINE_EXCEEDED):
        for _ in ada.get(endpoint.ticket):
            received += 1
    assert received > 1
    assert value(ada, "SELECT 42") == 42


def test_a_polled_query_ends_with_the_timeout(ada):
    ada.set(timeout=wire.number(1))
    with wire.refused(grpc.StatusCode.DEADLINE_EXCEEDED):
        poll = ada.poll(wire.descriptor(protobuf.statement(AGGREGATE)))
        while poll.descriptor is not None:
            poll = ada.poll(poll.descriptor)


def test_adbc_calls_a_timeout_by_its_name(server):
    with server.adbc(**LOGIN) as connection, connection.cursor() as cursor:
        connection.adbc_connection.set_options(**{OPTION + "timeout": "0.5"})
        with pytest.raises(connection.OperationalError, match="TIMEOUT|timeout"):
            cursor.execute(AGGREGATE)
            cursor.fetchall()
        cursor.execute("SELECT 42")
        assert cursor.fetchone() == (42,)


def test_the_server_s_timeout_holds_for_sessions_without_one(launch):
    server = launch("--query-timeout-seconds", 1, "--max-connections", 1)
    with wire.Wire(server) as nobody, wire.refused(grpc.StatusCode.DEADLINE_EXCEEDED):
        read(nobody, AGGREGATE)
    assert server.scalar("SELECT 42") == 42


def test_waiting_for_a_connection_counts_for_the_timeout(launch):
    server = launch("--max-connections", 1)
    with wire.Wire(server, "ada") as busy, wire.Wire(server, "ada") as waiting:
        waiting.set(timeout=wire.number(0.5))
        call = busy.get(protobuf.statement(AGGREGATE))
        try:
            with wire.refused(grpc.StatusCode.DEADLINE_EXCEEDED):
                # The other one may still be in transit.
                for _ in range(1000):
                    read(waiting, "SELECT 42")
        finally:
            call.cancel()
        waiting.set(timeout=wire.NOTHING)
        assert value(waiting, "SELECT 42") == 42


# === the cookie ===


class Jar(pyarrow.flight.ClientMiddlewareFactory):
    """Keeps the received cookies and sends them, on any number of connections."""

    def __init__(self):
        super().__init__()
        self.cookies, self.set = {}, []

    def start_call(self, info):
        return Keeper(self)


class Keeper(pyarrow.flight.ClientMiddleware):
    def __init__(self, jar):
        super().__init__()
        self.jar = jar

    def sending_headers(self):
        if not self.jar.cookies:
            return {}
        return {"cookie": "other=1; " + "; ".join(f"{name}={value}" for name, value in self.jar.cookies.items())}

    def received_headers(self, headers):
        for header in headers.get("set-cookie", []):
            self.jar.set.append(header)
            name, _, value = header.partition(";")[0].partition("=")
            self.jar.cookies[name] = value


def browser(server, jar, user=None):
    """A client that keeps cookies, and a function that calls its actions."""
    client = pyarrow.flight.FlightClient(server.uri.replace("grpc:", "grpc+tcp:"), middleware=[jar])
    options = pyarrow.flight.FlightCallOptions(headers=[client.authenticate_basic_token(user, "x")] if user else [])

    def action(name, body=b""):
        return [result.body.to_pybytes() for result in client.do_action((name, body), options)]

    return client, action


def timezone(client):
    info = client.get_flight_info(pyarrow.flight.FlightDescriptor.for_command(protobuf.statement(TOKYO + " AS z")))
    return client.do_get(info.endpoints[0].ticket).read_all().to_pylist()[0]["z"]


def test_setting_an_option_without_login_creates_a_session_in_a_cookie(server):
    jar = Jar()
    client, action = browser(server, jar)
    wire.get_options(action)
    assert not jar.set, "asking opens no session"
    assert wire.set_options(action, {"timezone": wire.text("Asia/Tokyo")}) == {}
    assert len(jar.set) == 1 and "HttpOnly" in jar.set[0]
    assert timezone(client) == "Asia/Tokyo"
    again, action_again = browser(server, jar)
    assert timezone(again) == "Asia/Tokyo", "on another connection"
    stranger, _ = browser(server, Jar())
    assert timezone(stranger) != "Asia/Tokyo"
    assert wire.set_options(action_again, {"batch_rows": wire.whole(7)}) == {}
    assert len(jar.set) == 1 and wire.get_options(action)["batch_rows"] == wire.whole(7)
    [closed] = action("CloseSession")
    assert protobuf.parse(closed) == {1: [CLOSED]}
    for each in (client, again, stranger):
        each.close()


def test_an_unknown_cookie_is_ignored(server):
    jar = Jar()
    jar.cookies["arrow_flight_session_id"] = "01890a5d-ac96-774b-bcce-b302099a8057"
    client, action = browser(server, jar)
    with client:
        assert wire.get_options(action) == {"catalog": wire.text("lake"), "schema": wire.text("main")}
        assert wire.set_options(action, {"timezone": wire.text("Asia/Tokyo")}) == {}
        assert len(jar.set) == 1 and timezone(client) == "Asia/Tokyo"


def test_another_user_s_cookie_gives_no_session(server):
    jar = Jar()
    client, action = browser(server, jar)
    wire.set_options(action, {"timezone": wire.text("Asia/Tokyo")})
    client.close()
    with wire.Wire(server, "bob") as bob:
        bob.headers.append(("cookie", "; ".join(f"{name}={value}" for name, value in jar.cookies.items())))
        assert value(bob, TOKYO) != "Asia/Tokyo"
        assert "timezone" not in bob.options()


def test_adbc_keeps_the_cookie_if_configured(server):
    cookies = {"adbc.flight.sql.rpc.with_cookie_middleware": "true"}
    with server.adbc(**cookies) as connection, connection.cursor() as cursor:
        connection.adbc_connection.set_options(**{OPTION + "timezone": "Asia/Tokyo"})
        cursor.execute(TOKYO)
        assert cursor.fetchone() == ("Asia/Tokyo",)
        cursor.execute("CREATE TEMP TABLE here AS SELECT 7 AS i")
        cursor.execute("FROM here")
        assert cursor.fetchone() == (7,)


# === CloseSession ===


def test_nothing_works_after_close_session_but_logging_in_again(server, table):
    with wire.Wire(server, "ada") as connection:
        complete = connection.query(f"INSERT INTO {table} VALUES (1)").endpoints[0]
        stream = connection.query("SELECT i FROM range(10_000_000) t(i)").endpoints[0]
        handle = connection.prepare("SELECT 42")
        transaction = protobuf.unpack(
            connection.action("BeginTransaction", protobuf.sql_command("ActionBeginTransactionRequest"))[0]
        )[1][1][0]
        connection.query(f"INSERT INTO {table} VALUES (2)", transaction)
        assert connection.close_session() == CLOSED
        prepared = protobuf.sql_command("CommandPreparedStatementQuery", (1, handle))
        update = protobuf.sql_command("CommandStatementUpdate", (1, f"DELETE FROM {table}"))
        for call in (
            lambda: connection.query("SELECT 42"),
            lambda: connection.info(prepared),
            lambda: connection.info(protobuf.sql_command("CommandGetCatalogs")),
            lambda: connection.schema(protobuf.statement("SELECT 42")),
            lambda: connection.poll(wire.descriptor(protobuf.statement("SELECT 42"))),
            lambda: list(connection.get(complete.ticket)),
            lambda: list(connection.get(protobuf.statement("SELECT 42"))),
            lambda: connection.put(protobuf.message((1, wire.descriptor(update)))),
            lambda: connection.action("jobs"),
            connection.options,
            connection.close_session,
        ):
            with wire.refused(grpc.StatusCode.UNAUTHENTICATED) as said:
                call()
            assert "log in" in said[0]

        with wire.Wire(server, "ada") as again:
            for endpoint in (complete, stream):
                with wire.refused(grpc.StatusCode.NOT_FOUND):
                    list(again.get(endpoint.ticket))
            with wire.refused(grpc.StatusCode.NOT_FOUND):
                again.info(prepared)
            assert read(again, f"FROM {table}") == [(1,)], "the transaction was rolled back"


def test_close_session_frees_every_connection(launch):
    server = launch("--max-connections", 2)
    for _ in range(5):
        with wire.Wire(server, "ada") as connection:
            read(connection, "CREATE TEMP TABLE mine AS SELECT 1 AS i")
            connection.query("SELECT i FROM range(10_000_000) t(i)")
            assert connection.close_session() == CLOSED
    assert server.scalar("SELECT 42") == 42


def test_close_session_ends_a_statement_that_computes(launch):
    server = launch("--max-connections", 1)
    with wire.Wire(server, "ada") as connection:
        connection.query(AGGREGATE)
        assert connection.close_session() == CLOSED
    assert server.scalar("SELECT 42") == 42
    server.wait_until_idle()


def test_a_stream_that_is_being_read_outlives_its_session(ada):
    [endpoint] = ada.query("SELECT i FROM range(3_000_000) t(i)").endpoints
    messages = ada.get(endpoint.ticket)
    next(messages)
    assert ada.close_session() == CLOSED
    assert sum(1 for _ in messages) > 3


def test_the_shared_session_is_not_closed(server):
    with wire.Wire(server) as nobody:
        assert nobody.close_session() == NOT_CLOSEABLE
        assert value(nobody, "SELECT 42") == 42


def test_other_sessions_of_the_user_go_on(server, ada):
    with wire.Wire(server, "ada") as other:
        handle = other.prepare("SELECT 42")
        ada.close_session()
        assert rows(other, protobuf.sql_command("CommandPreparedStatementQuery", (1, handle))) == [(42,)]


# === TEMP objects ===


def test_a_temp_table_lives_as_long_as_its_session_and_others_do_not_see_it(server, name):
    with wire.Wire(server, "ada") as connection, wire.Wire(server, "ada") as other:
        read(connection, f"CREATE TEMP TABLE {name} AS SELECT 1 AS i")
        for i in range(2, 5):
            assert read(connection, f"INSERT INTO {name} VALUES ({i})") == [(1,)]
        assert value(connection, f"SELECT sum(i)::BIGINT FROM {name}") == 10
        assert read(connection, f"SELECT a.i FROM {name} a JOIN {name} b ON a.i = b.i * 4") == [(4,)]
        for stranger in (other, wire.Wire(server)):
            with wire.refused(grpc.StatusCode.NOT_FOUND):
                stranger.query(f"FROM {name}")
            assert read(stranger, f"SELECT 1 FROM duckdb_tables() WHERE table_name = '{name}'") == []
        read(other, f"CREATE TEMP TABLE {name} AS SELECT 'other' AS text")
        assert value(other, f"FROM {name}") == "other" and value(connection, f"SELECT max(i) FROM {name}") == 4
        connection.close_session()
    for user in ("ada", "bob"):
        with wire.Wire(server, user) as again, wire.refused(grpc.StatusCode.NOT_FOUND):
            again.query(f"FROM {name}")


def test_a_temp_table_is_there_for_the_very_next_statement(server, name):
    for number in range(40):
        with wire.Wire(server, "ada") as connection:
            connection.query(f"CREATE TEMP TABLE {name}_{number} (i BIGINT)")
            assert read(connection, f"INSERT INTO {name}_{number} VALUES (1)") == [(1,)]
            connection.close_session()


def test_prepared_statements_and_transactions_see_the_temp_tables_of_their_session(server, name, table):
    with server.adbc(**LOGIN) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMP TABLE {name}_temp (i BIGINT)")
        cursor.executemany(f"INSERT INTO {name}_temp VALUES (?)", [(1,), (2,)])
        cursor.execute("BEGIN")
        cursor.execute(f"INSERT INTO {table} SELECT i FROM {name}_temp")
        cursor.execute(f"INSERT INTO {name}_temp VALUES (3)")
        cursor.execute("ROLLBACK")
        cursor.execute(f"SELECT (SELECT count(*) FROM {name}_temp), (SELECT count(*) FROM {table})")
        assert cursor.fetchone() == (2, 0)
        cursor.execute(f"SELECT i FROM {name}_temp WHERE i = ?", (2,))
        assert cursor.fetchone() == (2,)


def test_temp_tables_need_a_session_of_ones_own(server):
    with wire.Wire(server) as nobody, wire.refused(grpc.StatusCode.FAILED_PRECONDITION) as said:
        nobody.query("CREATE TEMP TABLE t (i BIGINT)")
    assert "log in" in said[0]


def test_temp_tables_of_many_sessions_leave_connections_for_others(launch):
    server = launch("--max-connections", 4)
    with wire.Wire(server, "ada") as first, wire.Wire(server, "ada") as second, wire.Wire(server, "ada") as third:
        read(first, "CREATE TEMP TABLE t AS SELECT 1 AS i")
        read(second, "CREATE TEMP TABLE t AS SELECT 2 AS i")
        with wire.refused(grpc.StatusCode.RESOURCE_EXHAUSTED) as said:
            third.query("CREATE TEMP TABLE t AS SELECT 3 AS i")
        assert "max_connections" in said[0]
        assert [value(session, "FROM t") for session in (first, second)] == [1, 2]
        assert value(third, "SELECT 42") == 42
        first.close_session()
        read(third, "CREATE TEMP TABLE t AS SELECT 3 AS i")
        assert value(third, "FROM t") == 3


def test_options_hold_where_temp_tables_are(ada, name):
    read(ada, f"CREATE TEMP TABLE {name} AS SELECT TIMESTAMPTZ '2026-01-01 00:00:00+00' AS moment")
    ada.set(timezone=wire.text("Asia/Tokyo"))
    assert value(ada, f"SELECT moment::VARCHAR FROM {name}") == "2026-01-01 09:00:00+09"
    ada.set(timezone=wire.NOTHING)
    assert value(ada, TOKYO) != "Asia/Tokyo"


# === tickets ===


def test_a_ticket_is_read_on_another_connection_of_the_user(server, ada):
    info = ada.query("SELECT i FROM range(100_000) t(i) ORDER BY i")
    with wire.Wire(server, "ada") as other:
        assert rows(other, info.endpoints[0].ticket) == [(i,) for i in range(100_000)]


def test_adbc_reads_a_partition_on_another_connection(server):
    with server.adbc(**LOGIN) as one, one.cursor() as cursor:
        cursor.execute("SELECT 1")
        partitions, _ = cursor.adbc_execute_partitions("SELECT 42 AS i")
        with server.adbc(**LOGIN) as other, other.cursor() as reader:
            for partition in partitions:
                reader.adbc_read_partition(partition)
                assert reader.fetchall() == [(42,)]


def test_another_user_s_ticket_is_refused_like_an_unknown_one(server, ada, table):
    unknown = protobuf.sql_command("TicketStatementQuery", (1, b"x" * 48))
    for sql in ("SELECT 42", f"INSERT INTO {table} VALUES (1)"):
        info = ada.query(sql)
        [endpoint] = info.endpoints
        with wire.Wire(server, "bob") as bob, wire.Wire(server) as nobody:
            for stranger in (bob, nobody):
                with wire.refused(grpc.StatusCode.NOT_FOUND) as theirs:
                    list(stranger.get(endpoint.ticket))
                with wire.refused(grpc.StatusCode.NOT_FOUND) as none:
                    list(stranger.get(unknown))
                assert theirs == none
                for call in (
                    lambda: stranger.cancel(info.data),
                    lambda: stranger.cancel_query(info.data),
                    lambda: stranger.action("RenewFlightEndpoint", protobuf.message((1, endpoint.data))),
                    lambda: stranger.poll(wire.descriptor(endpoint.ticket)),
                ):
                    with wire.refused(grpc.StatusCode.NOT_FOUND) as said:
                        call()
                    assert said == none
        assert len(rows(ada, endpoint.ticket)) == 1, "its owner reads it"


def test_forged_and_truncated_tickets_are_not_found(ada, table):
    [endpoint] = ada.query(f"INSERT INTO {table} VALUES (1)").endpoints
    kind, fields = protobuf.unpack(endpoint.ticket)
    assert kind == protobuf.SQL + "TicketStatementQuery"
    [handle] = fields[1]
    forged = [handle[:length] for length in range(len(handle))] + [handle + b"\0", handle * 2]
    forged += [handle[:at] + bytes([handle[at] ^ 1]) + handle[at + 1 :] for at in range(len(handle))]
    for each in forged:
        with wire.refused(grpc.StatusCode.NOT_FOUND):
            list(ada.get(protobuf.sql_command("TicketStatementQuery", (1, each))))
    assert rows(ada, endpoint.ticket) == [(1,)]


def test_a_ticket_does_not_contain_the_statement(ada):
    [endpoint] = ada.query("SELECT 'secret' AS s").endpoints
    assert b"secret" not in endpoint.ticket and b"ada" not in endpoint.ticket


def test_tickets_do_not_outlive_the_server(launch):
    server = launch()
    with wire.Wire(server, "ada") as connection:
        connection.query("CREATE TABLE t (i BIGINT)")
        [endpoint] = connection.query("INSERT INTO t VALUES (1)").endpoints
    server.restart()
    with wire.Wire(server, "ada") as connection, wire.refused(grpc.StatusCode.NOT_FOUND):
        list(connection.get(endpoint.ticket))


def test_of_many_readers_of_a_stream_one_gets_it(server, ada):
    [endpoint] = ada.query("SELECT i FROM range(100_000) t(i)").endpoints
    outcomes = []

    def fetch():
        try:
            with wire.Wire(server, "ada") as connection:
                outcomes.append(len(rows(connection, endpoint.ticket)))
        except grpc.RpcError as error:
            outcomes.append(error.code())

    threads = [threading.Thread(target=fetch) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes, key=str) == [100_000] + [grpc.StatusCode.NOT_FOUND] * 7


# === expiry and limits ===


def test_idle_sessions_end_with_what_they_hold(launch):
    server = launch("--session-idle-seconds", 1, "--max-connections", 2)
    with wire.Wire(server, "ada") as idle, wire.Wire(server, "bob") as busy:
        # A server with two connections has room for one session with TEMP objects.
        [endpoint] = idle.query("CREATE TEMP TABLE t AS SELECT 1 AS i").endpoints

        def place():
            try:
                return busy.query("CREATE TEMP TABLE t AS SELECT 2 AS i")
            except grpc.RpcError as error:
                assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, error
                return None

        wait_until(place, "the idle session ends")
        with wire.refused(grpc.StatusCode.UNAUTHENTICATED):
            idle.query("SELECT 42")
        assert value(busy, "FROM t") == 2
    with wire.Wire(server, "ada") as again, wire.refused(grpc.StatusCode.NOT_FOUND):
        list(again.get(endpoint.ticket))


def test_a_session_ends_after_its_longest_time_although_it_is_used(launch):
    server = launch("--session-max-seconds", 1)
    with wire.Wire(server, "ada") as connection:

        def ended():
            try:
                return value(connection, "SELECT 42") != 42
            except grpc.RpcError as error:
                return error.code() == grpc.StatusCode.UNAUTHENTICATED

        wait_until(ended, "the session ends")


def test_one_user_s_sessions_are_limited_and_others_log_in(launch):
    server = launch("--max-sessions-per-user", 3, "--max-sessions", 5)
    ada = [wire.Wire(server, "ada") for _ in range(3)]
    with wire.refused(grpc.StatusCode.RESOURCE_EXHAUSTED) as said:
        wire.Wire(server, "ada")
    assert "max_sessions_per_user" in said[0]
    bob = [wire.Wire(server, "bob") for _ in range(2)]
    with wire.refused(grpc.StatusCode.RESOURCE_EXHAUSTED) as said:
        wire.Wire(server, "eve")
    assert "max_sessions" in said[0]
    assert ada[0].close_session() == CLOSED
    for connection in (*ada[1:], *bob, wire.Wire(server, "ada")):
        assert value(connection, "SELECT 42") == 42
    assert server.scalar("SELECT 42") == 42


def test_reset_returns_to_the_time_zone_of_the_server_and_not_of_the_machine(launch):
    server = launch(variables={"TZ": "Europe/Berlin"})
    with server.adbc(username="ada", password="x") as connection, connection.cursor() as cursor:
        for text in ["SET VARIABLE kept = 1", "SET timezone = 'Asia/Tokyo'", "RESET timezone", TOKYO]:
            cursor.execute(text)
        assert cursor.fetchone() == ("UTC",)
