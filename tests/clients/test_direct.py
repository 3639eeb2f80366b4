"""DoGet with a ticket that is the statement itself: one call, one execution."""

import json

import grpc
import pyarrow
import pyarrow.flight
import pytest

import protobuf
import wire
from wire import bound, rows

# No row before the end, which takes hours.
AGGREGATE = "SELECT sum(hash(a.i * b.i) % 7) FROM range(10_000_000) a(i), range(10_000_000) b(i)"


def direct(connection, sql, transaction=None):
    return rows(connection.get(protobuf.statement(sql, transaction))).to_pylist()


def snapshot(messages):
    """The snapshot in the first message of the result; no other message contains one."""
    said = [protobuf.parse(message).get(3, [b""])[0] for message in messages]
    assert said[0] and not any(said[1:])
    return json.loads(said[0])["snapshot_id"]


def test_pyarrow_reads_a_statement_in_one_call(server):
    with server.flight() as client:
        ticket = pyarrow.flight.Ticket(protobuf.statement("SELECT i FROM range(300_000) t(i) ORDER BY i"))
        reader = client.do_get(ticket)
        assert reader.schema.names == ["i"]
        assert reader.read_all()["i"].combine_chunks().equals(pyarrow.array(range(300_000)))


def test_the_result_is_that_of_two_calls(ada):
    sql = "SELECT i, i::VARCHAR AS text, [i] AS list FROM range(1000) t(i) ORDER BY i"
    [endpoint] = ada.query(sql).endpoints
    two = rows(ada.get(endpoint.ticket))
    one = rows(ada.get(protobuf.statement(sql)))
    assert one.schema.equals(two.schema, check_metadata=True) and one.equals(two)


def test_the_first_message_contains_the_snapshot(server, ada, table):
    before = snapshot(ada.get(protobuf.statement(f"FROM {table}")))
    assert before == server.scalar("SELECT id FROM lake.current_snapshot()")
    assert snapshot(ada.get(protobuf.statement(f"INSERT INTO {table} VALUES (1)"))) == before + 1
    assert snapshot(ada.get(protobuf.statement(f"FROM {table}"))) == before + 1


def test_an_empty_result_has_its_columns_and_its_snapshot(ada):
    messages = list(ada.get(protobuf.statement("SELECT 1 AS a, 'x' AS b WHERE false")))
    assert rows(messages).schema.names == ["a", "b"]
    assert snapshot(messages) >= 0


def test_a_write_runs_once_a_call(server, ada, table):
    for calls in range(1, 4):
        assert direct(ada, f"INSERT INTO {table} VALUES ({calls}), ({calls})") == [{"Count": 2}]
        assert server.scalar(f"SELECT count(*) FROM {table}") == 2 * calls
    assert direct(ada, f"UPDATE {table} SET i = i + 10 WHERE i = 1") == [{"Count": 2}]
    assert direct(ada, f"DELETE FROM {table} WHERE i < 10") == [{"Count": 4}]
    assert server.sql(f"SELECT i FROM {table}") == [(11,), (11,)]


def test_a_write_runs_although_its_count_is_not_read(server, ada, table):
    for _ in range(20):
        messages = ada.get(protobuf.statement(f"INSERT INTO {table} VALUES (1)"))
        next(messages)
        messages.cancel()
    assert server.scalar(f"SELECT count(*) FROM {table}") == 20


def test_several_statements_run_once_and_answer_with_the_last_result(server, ada, table):
    assert direct(ada, "SELECT 1 AS i; SELECT 2 AS j") == [{"j": 2}]
    before = server.head()
    insert = f"INSERT INTO {table} VALUES (1); INSERT INTO {table} VALUES (2), (3)"
    messages = list(ada.get(protobuf.statement(insert)))
    assert rows(messages).to_pylist() == [{"Count": 2}]
    assert snapshot(messages) == server.head() == before + 1
    assert direct(ada, f"{insert}; FROM {table} ORDER BY i") == [{"i": i} for i in (1, 1, 2, 2, 3, 3)]


def test_definitions_run(server, ada, name):
    direct(ada, f"CREATE TABLE {name} AS SELECT 7 AS i")
    assert direct(ada, f"FROM {name}") == [{"i": 7}]
    direct(ada, f"DROP TABLE {name}")
    assert server.sql(f"SELECT 1 FROM duckdb_tables() WHERE table_name = '{name}'") == []


def test_it_belongs_to_the_transaction_that_it_names(server, ada, table):
    [result] = ada.action("BeginTransaction", protobuf.sql_command("ActionBeginTransactionRequest"))
    [transaction] = protobuf.unpack(result)[1][1]
    direct(ada, f"INSERT INTO {table} VALUES (1)", transaction)
    assert direct(ada, f"FROM {table}", transaction) == [{"i": 1}]
    assert direct(ada, f"FROM {table}") == []
    ada.action("EndTransaction", protobuf.sql_command("ActionEndTransactionRequest", (1, transaction), (2, 2)))
    assert server.scalar(f"SELECT count(*) FROM {table}") == 0
    with wire.refused(grpc.StatusCode.NOT_FOUND):
        direct(ada, f"INSERT INTO {table} VALUES (1)", transaction)


def test_it_belongs_to_the_transaction_that_begin_opened(server, ada, table):
    for sql in ("BEGIN", f"INSERT INTO {table} VALUES (1)"):
        direct(ada, sql)
    assert server.scalar(f"SELECT count(*) FROM {table}") == 0
    direct(ada, "COMMIT")
    assert server.scalar(f"SELECT count(*) FROM {table}") == 1


def test_the_options_of_the_session_hold(ada):
    assert ada.set(timezone=wire.text("Asia/Tokyo"), timeout=wire.number(0.5), compression=wire.text("zstd")) == {}
    assert direct(ada, "SELECT current_setting('timezone') AS z") == [{"z": "Asia/Tokyo"}]
    with wire.refused(grpc.StatusCode.DEADLINE_EXCEEDED):
        direct(ada, AGGREGATE)


def test_a_prepared_statement_runs_in_one_call_with_what_was_bound(server, ada, table):
    query = protobuf.sql_command("CommandPreparedStatementQuery", (1, ada.prepare("SELECT ? + 1 AS i")))
    for i in range(3):
        ada.put(*bound(query, pyarrow.record_batch({"0": pyarrow.array([i])})))
        for _ in range(2):
            assert rows(ada.get(query)).to_pylist() == [{"i": i + 1}]
    insert = protobuf.sql_command("CommandPreparedStatementQuery", (1, ada.prepare(f"INSERT INTO {table} VALUES (1)")))
    for calls in range(1, 3):
        assert rows(ada.get(insert)).to_pylist() == [{"Count": 1}]
        assert server.scalar(f"SELECT count(*) FROM {table}") == calls


@pytest.mark.parametrize(
    ("sql", "code", "text"),
    [
        ("SELEC 1", grpc.StatusCode.INVALID_ARGUMENT, "syntax error"),
        ("FROM absent", grpc.StatusCode.NOT_FOUND, "absent"),
        ("SELECT 1; SELEC 2", grpc.StatusCode.INVALID_ARGUMENT, "syntax error"),
        ("SELECT 1; FROM absent", grpc.StatusCode.NOT_FOUND, "absent"),
        ("SELECT 1; SELECT ?", grpc.StatusCode.INVALID_ARGUMENT, "parameter"),
        ("", grpc.StatusCode.INVALID_ARGUMENT, ""),
        ("SELECT ?", grpc.StatusCode.INVALID_ARGUMENT, "parameter"),
        ("COPY (SELECT 1) TO 'x.csv'", grpc.StatusCode.UNIMPLEMENTED, "ingest"),
        ("SELECT error('mine')", grpc.StatusCode.INVALID_ARGUMENT, "mine"),
    ],
)
def test_its_errors_are_those_of_other_calls(ada, sql, code, text):
    with wire.refused(code) as said:
        direct(ada, sql)
    assert text in said[0]
    with wire.refused(code) as also:
        [endpoint] = ada.query(sql).endpoints
        list(ada.get(endpoint.ticket))
    assert said == also


def test_an_error_in_midstream_comes_behind_the_rows(ada):
    cast = "CAST(CASE WHEN i = 2_999_999 THEN 'late' ELSE i::VARCHAR END AS BIGINT)"
    sql = f"SELECT {cast} AS i FROM range(3_000_000) t(i)"
    received = 0
    with wire.refused(grpc.StatusCode.INVALID_ARGUMENT) as said:
        for _ in ada.get(protobuf.statement(sql)):
            received += 1
    assert received > 1 and "late" in said[0]


@pytest.mark.parametrize("sql", [AGGREGATE, "SELECT i, repeat('x', 200) AS x FROM range(10_000_000_000) t(i)"])
def test_a_reader_that_is_gone_ends_the_statement(launch, sql):
    server = launch("--max-connections", 1)
    with wire.Wire(server) as connection:
        messages = connection.get(protobuf.statement(sql))
        next(messages)
        messages.cancel()
        assert direct(connection, "SELECT 42 AS i") == [{"i": 42}]
    server.wait_until_idle()


def test_a_deadline_ends_the_statement(launch):
    server = launch("--max-connections", 1)
    with wire.Wire(server) as connection:
        with wire.refused(grpc.StatusCode.DEADLINE_EXCEEDED):
            list(connection.get(protobuf.statement(AGGREGATE), seconds=0.5))
        assert direct(connection, "SELECT 42 AS i") == [{"i": 42}]
    server.wait_until_idle()


def test_many_at_once_hold_no_connection_afterwards(launch):
    server = launch("--max-connections", 2)
    with wire.Wire(server) as connection:
        calls = [connection.get(protobuf.statement(f"SELECT {i} AS i")) for i in range(50)]
        assert [rows(call).to_pylist() for call in calls] == [[{"i": i}] for i in range(50)]
