"""The server parses statements like DuckDB: unusual spellings, several statements in one call, variables, and PREPARE
in SQL. What one session sees of them is in tests/slt."""

import threading

import adbc_driver_manager
import grpc
import pyarrow
import pytest

import protobuf
import wire
from wire import COMMIT, ROLLBACK

LOGIN = {"username": "ada", "password": "secret"}
INVALID = grpc.StatusCode.INVALID_ARGUMENT
MISSING = grpc.StatusCode.NOT_FOUND
REFUSED = grpc.StatusCode.UNIMPLEMENTED
NOT_NOW = grpc.StatusCode.FAILED_PRECONDITION
# Takes hours.
AGGREGATE = "SELECT sum(hash(a.i * b.i) % 7) FROM range(10_000_000) a(i), range(10_000_000) b(i)"


def value(connection, sql, transaction=None):
    [[found]] = connection.read(sql, transaction)
    return found


def numbers(connection, table, transaction=None):
    """The numbers in a table with one column."""
    return [number for (number,) in connection.read(f"FROM {table} ORDER BY ALL", transaction)]


@pytest.fixture
def bob(server):
    """Another user's session."""
    with wire.Wire(server, "bob") as connection:
        yield connection


@pytest.fixture
def nobody(server):
    """The session of clients that have not logged in."""
    with wire.Wire(server) as connection:
        yield connection


# === spellings of COMMIT, ROLLBACK and BEGIN ===

# Those with characters that cannot be seen; the others are in tests/slt/transactions.slt, too.
UNSEEN_COMMITS = {
    "a comment to the carriage return": "-- x\rCOMMIT",
    "a form feed": "\x0cCOMMIT",
    "a no-break space": "\u00a0COMMIT",
    "an ideographic space": "\u3000COMMIT\u2003",
    "a zero-width space": "\u200bCOMMIT",
    "a word joiner": "\u2060COMMIT",
    "a byte order mark": "\ufeffCOMMIT",
    "END TRANSACTION": "\u200bEnd\tTransaction;",
}
COMMITS = UNSEEN_COMMITS | {
    "plain": "COMMIT",
    "lower case": "commit;",
    "a semicolon in front": ";COMMIT",
    "semicolons around": " ; ;; COMMIT ; ;",
    "a nested comment": "/* /* n */ */ COMMIT",
    "a comment to the new line": "-- x\nCoMmIt",
    "comments without spaces": "/**/COMMIT-- b",
    "WORK": "COMMIT WORK",
    "TRANSACTION": "commit /* the */ transaction",
    "END": "END",
}
ROLLBACKS = {
    "plain": "ROLLBACK",
    "a semicolon in front": ";ROLLBACK",
    "a comment to the carriage return": "-- x\rROLLBACK",
    "a byte order mark": "\ufeffrollback",
    "ABORT": "/* /* n */ */ ABORT",
}
UNSEEN_BEGINS = {
    "a comment to the carriage return": "-- x\rBEGIN",
    "a byte order mark": "\ufeffBEGIN",
}
BEGINS = UNSEEN_BEGINS | {
    "plain": "BEGIN",
    "a nested comment": "/* /* n */ */ BEGIN TRANSACTION",
    "START": ";START TRANSACTION",
}
every_commit = pytest.mark.parametrize("commit", COMMITS.values(), ids=COMMITS)
every_rollback = pytest.mark.parametrize("rollback", ROLLBACKS.values(), ids=ROLLBACKS)
every_begin = pytest.mark.parametrize("begin", BEGINS.values(), ids=BEGINS)


@pytest.mark.parametrize("commit", UNSEEN_COMMITS.values(), ids=UNSEEN_COMMITS)
def test_commit_keeps_the_rows_however_it_is_spelled(ada, bob, table, commit):
    ada.read("BEGIN")
    ada.read(f"INSERT INTO {table} VALUES (1)")
    assert ada.read(commit) == []
    with wire.refused(NOT_NOW) as said:
        ada.read("ROLLBACK")
    assert said == ["TransactionContext Error: cannot rollback - no transaction is active"]
    assert numbers(bob, table) == [1]


@every_commit
def test_commit_as_text_keeps_the_rows_of_a_transaction_of_the_driver(server, table, commit):
    with server.adbc(autocommit=False, **LOGIN) as connection, connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {table} VALUES (1)")
        cursor.execute(commit)
        cursor.execute(f"INSERT INTO {table} VALUES (2)")
        connection.rollback()
    assert server.sql(f"FROM {table}") == [(1,)]


@every_rollback
def test_rollback_removes_the_rows_however_it_is_spelled(ada, bob, table, rollback):
    ada.read("BEGIN")
    ada.read(f"INSERT INTO {table} VALUES (1)")
    ada.read(rollback)
    with wire.refused(NOT_NOW):
        ada.read("COMMIT")
    transaction = ada.begin()
    ada.read(f"INSERT INTO {table} VALUES (2)", transaction)
    ada.read(rollback, transaction)
    ada.end(transaction, COMMIT)
    assert numbers(bob, table) == []


@pytest.mark.parametrize("begin", UNSEEN_BEGINS.values(), ids=UNSEEN_BEGINS)
def test_begin_begins_however_it_is_spelled(ada, bob, table, begin):
    ada.read(begin)
    ada.read(f"INSERT INTO {table} VALUES (1)")
    assert numbers(bob, table) == []
    ada.read("COMMIT")
    assert numbers(bob, table) == [1]


@every_begin
def test_begin_within_a_transaction_of_the_driver_loses_no_row(ada, bob, table, begin):
    transaction = ada.begin()
    ada.read(begin, transaction)
    ada.read(f"INSERT INTO {table} VALUES (1)", transaction)
    with wire.refused(NOT_NOW) as said:
        ada.read(begin, transaction)
    assert "within a transaction" in said[0]
    ada.read(f"INSERT INTO {table} VALUES (2)", transaction)
    ada.end(transaction, COMMIT)
    assert numbers(bob, table) == [1, 2]


@pytest.mark.parametrize("sql", ["\x0bCOMMIT", "\u180eCOMMIT", "\u2028COMMIT"])
def test_what_duckdb_does_not_take_for_a_commit_ends_nothing(ada, bob, table, sql):
    ada.read("BEGIN")
    ada.read(f"INSERT INTO {table} VALUES (1)")
    with wire.refused(INVALID, REFUSED):
        ada.read(sql)
    assert numbers(bob, table) == []
    ada.read("ROLLBACK")
    assert numbers(bob, table) == []


# === several statements in one text ===


def test_several_statements_answer_with_the_last_result(server, ada, nobody, name):
    sql = "CREATE TABLE {0} (i BIGINT); INSERT INTO {0} VALUES (1), (2); SELECT sum(i)::BIGINT AS sum FROM {0}"
    assert ada.read(sql.format(name)) == [(3,)]
    assert nobody.read(sql.format(f"{name}_shared")) == [(3,)]
    with server.adbc() as connection, connection.cursor() as cursor:
        cursor.execute(sql.format(f"{name}_adbc"))
        assert cursor.fetchall() == [(3,)]
        assert [column[0] for column in cursor.description] == ["sum"]


def test_large_results_of_several_statements_come_whole(ada, bob, table):
    [endpoint] = ada.query(f"INSERT INTO {table} VALUES (1); SELECT i FROM range(3_000_000) t(i)").endpoints
    assert wire.rows(ada.get(endpoint.ticket)).num_rows == 3_000_000
    assert ada.read("SELECT i FROM range(1_000_000) t(i); SELECT 7") == [(7,)]
    assert numbers(bob, table) == [1]


def test_the_timeout_of_a_session_is_that_of_all_statements_together(ada, bob, table):
    ada.set(timeout=wire.number(1))
    for sql in (f"INSERT INTO {table} VALUES (1); {AGGREGATE}", f"{AGGREGATE}; INSERT INTO {table} VALUES (1)"):
        with wire.refused(grpc.StatusCode.DEADLINE_EXCEEDED):
            ada.read(sql)
    assert numbers(bob, table) == []


def test_the_count_of_several_updates_is_their_sum(server, ada, table):
    assert ada.update(f"INSERT INTO {table} VALUES (1); INSERT INTO {table} VALUES (2), (3); DELETE FROM {table}") == 6
    assert ada.update(f"INSERT INTO {table} VALUES (1), (2); CREATE VIEW {table}_view AS FROM {table}") == 2
    with server.adbc() as connection, connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {table} VALUES (1); INSERT INTO {table} VALUES (1), (2)")
        assert cursor.rowcount == 3
    assert numbers(ada, table) == [1, 1, 1, 2, 2]


def test_begin_among_several_statements_needs_a_login(nobody, table):
    with wire.refused(NOT_NOW) as said:
        nobody.read(f"BEGIN; INSERT INTO {table} VALUES (1); COMMIT")
    assert "log in" in said[0]


def test_several_statements_in_an_open_transaction_belong_to_it(ada, bob, table):
    insert = f"INSERT INTO {table} VALUES (1); INSERT INTO {table} VALUES (2)"
    for how, kept in ((ROLLBACK, []), (COMMIT, [1, 2])):
        transaction = ada.begin()
        ada.read(insert, transaction)
        assert numbers(ada, table, transaction) == [1, 2] and numbers(bob, table) == []
        ada.end(transaction, how)
        assert numbers(bob, table) == kept
    ada.read("BEGIN")
    ada.read(insert)
    ada.read("ROLLBACK")
    assert numbers(bob, table) == [1, 2]


def test_several_statements_in_a_prepared_statement(ada, name, table):
    handle = ada.prepare(f"INSERT INTO {table} VALUES (1); SELECT count(*) AS n FROM {table}")
    query = protobuf.sql_command("CommandPreparedStatementQuery", (1, handle))
    for count in (1, 2):
        assert wire.rows(ada.get(ada.info(query).endpoints[0].ticket)).to_pylist() == [{"n": count}]
    handle = ada.prepare(f"INSERT INTO {table} VALUES (1); INSERT INTO {table} VALUES (2), (3)")
    assert ada.count(protobuf.sql_command("CommandPreparedStatementUpdate", (1, handle))) == 3
    handle = ada.prepare(f"CREATE TABLE {name}_new AS SELECT 1 AS i; FROM {name}_new")
    query = protobuf.sql_command("CommandPreparedStatementQuery", (1, handle))
    assert wire.rows(ada.get(ada.info(query).endpoints[0].ticket)).to_pylist() == [{"i": 1}]


def test_preparing_and_describing_several_statements_runs_none(ada, name):
    sql = f"CREATE TABLE {name} (i BIGINT); SELECT 1::BIGINT AS i"
    schema = pyarrow.ipc.read_schema(pyarrow.py_buffer(ada.schema(protobuf.statement(sql))))
    assert schema.names == ["i"]
    ada.prepare(sql)
    assert ada.read(f"SELECT 1 FROM duckdb_tables() WHERE table_name = '{name}'") == []


@pytest.mark.parametrize("sql", ["INSERT INTO {0} VALUES (?); SELECT ?", "INSERT INTO {0} VALUES (1); SELECT ?"])
def test_parameters_go_with_one_statement(server, table, sql):
    with server.adbc() as connection, connection.cursor() as cursor:
        with pytest.raises(adbc_driver_manager.ProgrammingError, match="one at a time"):
            cursor.execute(sql.format(table), (1,))
    assert server.sql(f"FROM {table}") == []


def test_a_polled_query_may_have_several_statements(ada, table):
    sql = f"INSERT INTO {table} VALUES (1); SELECT count(*) FROM {table}"
    poll = ada.poll(wire.descriptor(protobuf.statement(sql)))
    while poll.descriptor is not None:
        poll = ada.poll(poll.descriptor)
    [endpoint] = poll.info.endpoints
    assert wire.rows(ada.get(endpoint.ticket)).num_rows == 1
    assert numbers(ada, table) == [1]


def test_several_statements_that_lose_against_others_are_repeated(server, name):
    server.sql(f"CREATE TABLE {name} AS SELECT 0 AS i")
    failures = []

    def add(user):
        try:
            with wire.Wire(server, user) as connection:
                for _ in range(5):
                    connection.read(f"UPDATE {name} SET i = i + 1; SELECT i FROM {name}")
        except grpc.RpcError as failure:
            failures.append(failure)

    writers = [threading.Thread(target=add, args=[f"user{number}"]) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert failures == []
    assert server.sql(f"FROM {name}") == [(20,)]


# === SET VARIABLE ===


def test_a_variable_is_its_session_s_own(server, ada, bob, nobody):
    ada.read("SET VARIABLE x = 5")
    with wire.Wire(server, "ada") as other:
        for stranger in (other, bob, nobody):
            assert value(stranger, "SELECT getvariable('x')") is None
        other.read("SET VARIABLE x = 6")
    assert [value(ada, "SELECT getvariable('x')") for _ in range(5)] == [5] * 5


def test_a_variable_stays_when_options_change(ada):
    ada.read("SET VARIABLE x = 5")
    ada.read("SET timezone = 'Asia/Tokyo'")
    ada.set(schema=wire.text("silver"))
    assert ada.read("SELECT getvariable('x'), current_setting('timezone'), current_schema()") == [(5, "Asia/Tokyo", "silver")]
    ada.read("RESET timezone")
    assert value(ada, "SELECT getvariable('x')") == 5


def test_a_variable_from_before_is_there_in_a_transaction(ada, table):
    ada.read("SET VARIABLE x = 5")
    transaction = ada.begin()
    assert value(ada, "SELECT getvariable('x')", transaction) == 5
    ada.read("SET VARIABLE x = 6", transaction)
    assert value(ada, "SELECT getvariable('x')", transaction) == 6
    ada.end(transaction, ROLLBACK)
    assert value(ada, "SELECT getvariable('x')") == 6


def test_variables_need_a_session_of_ones_own(nobody):
    with wire.refused(NOT_NOW) as said:
        nobody.read("SET VARIABLE x = 5")
    assert "variables need a session" in said[0] and "log in" in said[0]
    with wire.refused(NOT_NOW):
        nobody.read("SET VARIABLE x = 5; SELECT getvariable('x')")
    assert value(nobody, "SELECT getvariable('x')") is None


# === PREPARE, EXECUTE and DEALLOCATE as text ===


def test_rows_are_written_by_statements_that_were_prepared_as_text(ada, bob, table):
    ada.read(f"PREPARE add AS INSERT INTO {table} VALUES ($1), ($1 + 1)")
    assert ada.read("EXECUTE add(1)") == [(2,)]
    assert ada.update("EXECUTE add(10)") == 2
    ada.read(f"PREPARE raise AS UPDATE {table} SET i = i + $1 WHERE i > $2")
    assert ada.read("EXECUTE raise(100, 5)") == [(2,)]
    ada.read(f"PREPARE remove AS DELETE FROM {table} WHERE i = $1")
    assert ada.read("EXECUTE remove(1)") == [(1,)]
    assert numbers(bob, table) == [2, 110, 111]


def test_what_is_prepared_as_text_is_its_session_s_own(server, ada, bob, nobody):
    ada.read("PREPARE p AS SELECT 1")
    with wire.Wire(server, "ada") as other:
        for stranger in (other, bob, nobody):
            with wire.refused(MISSING) as said:
                stranger.read("EXECUTE p")
            assert said == ['prepared statement "p" does not exist in this session']
    with wire.refused(NOT_NOW) as said:
        nobody.read("PREPARE p AS SELECT 1")
    assert "log in" in said[0]


def test_execute_belongs_to_the_transaction_that_is_open(ada, bob, table):
    ada.read("BEGIN")
    ada.read(f"PREPARE add AS INSERT INTO {table} VALUES ($1)")
    ada.read("EXECUTE add(1)")
    assert numbers(ada, table) == [1] and numbers(bob, table) == []
    ada.read("ROLLBACK")
    assert numbers(bob, table) == []
    transaction = ada.begin()
    ada.read("EXECUTE add(2)", transaction)
    ada.end(transaction, COMMIT)
    assert numbers(bob, table) == [2]


def test_clients_prepare_and_execute_execute(server, table):
    with server.adbc(**LOGIN) as connection, connection.cursor() as cursor:
        cursor.execute(f"PREPARE add AS INSERT INTO {table} VALUES ($1)")
        cursor.execute("EXECUTE add(1)")
        assert cursor.rowcount == 1
        cursor.execute(f"PREPARE all_rows AS SELECT i AS n FROM {table}")
        cursor.adbc_prepare("EXECUTE all_rows")
        for _ in range(2):
            cursor.execute("EXECUTE all_rows")
            assert cursor.fetchall() == [(1,)]
        with pytest.raises(adbc_driver_manager.ProgrammingError, match="takes no other parameters"):
            cursor.execute("EXECUTE all_rows", (2,))


# === statements that DuckDB runs in several steps ===


@pytest.fixture
def cities(server, name):
    server.sql(f"CREATE TABLE {name} (city VARCHAR, year INTEGER, n INTEGER)")
    server.sql(f"INSERT INTO {name} VALUES ('A', 2000, 1), ('A', 2010, 2), ('B', 2000, 3)")
    return name


def test_a_pivot_determines_its_columns(ada, nobody, cities):
    pivot = f"PIVOT {cities} ON year USING sum(n)::INTEGER GROUP BY city ORDER BY city"
    expected = [("A", 1, 2), ("B", 3, None)]
    for connection in (ada, nobody):
        [endpoint] = connection.query(pivot).endpoints
        found = wire.rows(connection.get(endpoint.ticket))
        assert found.schema.names == ["city", "2000", "2010"]
        assert [tuple(row.values()) for row in found.to_pylist()] == expected
    assert ada.read(f"FROM (PIVOT {cities} ON year USING sum(n)::INTEGER GROUP BY city) ORDER BY city") == expected
    assert ada.read(f"SELECT 1; {pivot}") == expected
    transaction = ada.begin()
    assert ada.read(pivot, transaction) == expected
    ada.end(transaction, ROLLBACK)
    ada.read(f"INSERT INTO {cities} VALUES ('B', 2020, 4)")
    assert ada.read(pivot) == [("A", 1, 2, None), ("B", 3, None, 4)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("SELECT 1 WHERE " + " AND ".join(["true"] * 20_002), "AND, OR.*20000.*use IN"),
        (" UNION ALL ".join(["SELECT 1"] * 5_002), "UNION, INTERSECT.*5000"),
        ("SELECT 1 FROM (SELECT 1) t" + " JOIN (SELECT 1) USING (a)" * 101, "JOIN.*100"),
        ("SELECT " + "list_transform([1], lambda x: " * 21 + "x" + ")" * 21, "lambda.*20"),
        ("SELECT " + "list_filter([1], x -> 1 IN " * 40 + "[x]" + ")" * 40, "lambda.*20"),
        ("FROM " + ", ".join(f"range(2) t{i}(i)" for i in range(65)) + " WHERE t0.i = t64.i", "65 tables.*64.*TEMP"),
    ],
    ids=["and", "union", "join", "lambda", "arrow", "comma"],
)
def test_a_statement_that_would_be_planned_for_minutes_is_refused(server, text, words):
    with pytest.raises(adbc_driver_manager.ProgrammingError, match=words):
        server.sql(text)
    assert server.scalar("SELECT 1 WHERE " + " AND ".join(["true"] * 1_000)) == 1
    many = " + ".join(f"list_transform([{i}], lambda x: x + 1)[1]" for i in range(100))
    assert server.scalar(f"SELECT {many}") == 5050
    assert server.scalar("SELECT " + "list_transform([1], x -> len(" * 10 + "[x]" + "))" * 10) == [1]
    tables = " ".join(f"LEFT JOIN range(2) t{i}(i) USING (i)" for i in range(90))
    assert server.scalar(f"SELECT count(*) FROM range(2) t(i) {tables}") == 2
