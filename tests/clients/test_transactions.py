"""Transactions: rolled back changes are gone, committed ones are kept, and open ones without statements hold
nothing."""

import contextlib
import threading

import pyarrow
import pytest

import protobuf
import wire

LOGIN = {"username": "ada", "password": "secret"}
# More than the server's queue of batches and the windows of gRPC hold, so that the server has to spool the rest.
MANY_ROWS = 3_000_000
OVERTAKEN = "conflict: another transaction has changed rows of the table since this one began: repeat the transaction"


def count(connection, table):
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")
        return cursor.fetchone()[0]


def execute(connection, *statements):
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@pytest.fixture
def table(server, name):
    server.sql(f"CREATE TABLE {name} (i BIGINT)")
    return name


# === commit and rollback ===


def test_rollback_undoes_and_commit_keeps(server, table):
    with server.adbc(autocommit=False) as connection:
        execute(connection, f"INSERT INTO {table} VALUES (1), (2)")
        assert count(connection, table) == 2
        connection.rollback()
        assert count(connection, table) == 0
        execute(connection, f"INSERT INTO {table} VALUES (3)")
        connection.commit()
    assert server.sql(f"SELECT i FROM {table}") == [(3,)]


def test_closing_a_connection_rolls_back(server, table):
    with server.adbc(autocommit=False) as connection:
        execute(connection, f"INSERT INTO {table} VALUES (1)")
        connection.rollback()
    with server.adbc(autocommit=False) as connection:
        execute(connection, f"INSERT INTO {table} VALUES (1)")
    assert server.scalar(f"SELECT count(*) FROM {table}") == 0


def test_definitions_are_rolled_back(server, table, name):
    with server.adbc(autocommit=False) as connection:
        execute(connection, f"CREATE TABLE {name}_new (i BIGINT)", f"ALTER TABLE {table} ADD COLUMN j BIGINT")
        assert count(connection, f"{name}_new") == 0
        connection.rollback()
        with pytest.raises(connection.ProgrammingError, match="does not exist"):
            count(connection, f"{name}_new")
        connection.rollback()
    assert server.sql(f"SELECT column_name FROM (DESCRIBE {table})") == [("i",)]


def test_definitions_and_rows_are_committed_together(server, name):
    with server.adbc(autocommit=False) as connection:
        execute(connection, f"CREATE TABLE {name} (i BIGINT)", f"INSERT INTO {name} VALUES (1)")
        before = server.scalar("SELECT id FROM lake.current_snapshot()")
        connection.commit()
    assert server.scalar("SELECT id FROM lake.current_snapshot()") == before + 1
    assert server.scalar(f"SELECT count(*) FROM {name}") == 1


def test_others_do_not_see_what_is_not_committed(server, table):
    with server.adbc(autocommit=False) as writer, server.adbc(autocommit=False) as reader:
        execute(writer, f"INSERT INTO {table} VALUES (1)")
        assert count(writer, table) == 1
        assert count(reader, table) == 0
        writer.commit()
        assert count(reader, table) == 0, "a transaction keeps the snapshot that it began with"
        reader.rollback()
        assert count(reader, table) == 1


def test_executemany_belongs_to_the_transaction(server, table):
    with server.adbc(autocommit=False) as connection, connection.cursor() as cursor:
        cursor.executemany(f"INSERT INTO {table} VALUES (?)", [(i,) for i in range(10)])
        assert count(connection, table) == 10
        connection.rollback()
        assert count(connection, table) == 0


def test_an_idle_transaction_holds_no_old_snapshot(server, table):
    with server.adbc(autocommit=False) as connection:
        server.sql(f"INSERT INTO {table} VALUES (1)")
        assert count(connection, table) == 1


# === several cursors ===


def test_cursors_of_one_transaction_interleave(server, table):
    with server.adbc(autocommit=False) as connection, connection.cursor() as big, connection.cursor() as other:
        big.execute(f"SELECT i, repeat('x', 50) AS text FROM range({MANY_ROWS}) t(i)")
        reader = big.fetch_record_batch()
        first = reader.read_next_batch()
        other.execute(f"INSERT INTO {table} VALUES (1), (2)")
        other.execute(f"SELECT count(*) FROM {table}")
        assert other.fetchone() == (2,)
        rows = first.num_rows
        assert first["i"].equals(pyarrow.array(range(rows)))
        for batch in reader:
            assert batch["i"].equals(pyarrow.array(range(rows, rows + batch.num_rows))), "no row is lost or repeated"
            assert batch["text"][-1].as_py() == "x" * 50
            rows += batch.num_rows
        assert rows == MANY_ROWS
        connection.commit()
    assert server.scalar(f"SELECT count(*) FROM {table}") == 2


def test_an_unread_result_does_not_block_the_commit(server, table):
    with server.adbc(autocommit=False) as connection, connection.cursor() as cursor:
        execute(connection, f"INSERT INTO {table} VALUES (1)")
        cursor.execute(f"SELECT i FROM range({MANY_ROWS}) t(i)")
        connection.commit()
        assert server.scalar(f"SELECT count(*) FROM {table}") == 1


# === errors ===


def test_an_error_leaves_the_transaction_unusable_until_rollback(server, table):
    with server.adbc(autocommit=False) as connection:
        execute(connection, f"INSERT INTO {table} VALUES (1)")
        with pytest.raises(connection.ProgrammingError, match="Conversion Error"):
            execute(connection, f"INSERT INTO {table} SELECT CAST('x' || i AS BIGINT) FROM range(3) t(i)")
        with pytest.raises(connection.OperationalError, match="(?i)transaction is aborted"):
            count(connection, table)
        connection.rollback()
        assert count(connection, table) == 0
        execute(connection, f"INSERT INTO {table} VALUES (2)")
        connection.commit()
    assert server.sql(f"SELECT i FROM {table}") == [(2,)]


def test_commit_after_an_error_commits_nothing(server, table):
    with server.adbc(autocommit=False) as connection:
        execute(connection, f"INSERT INTO {table} VALUES (1)")
        with pytest.raises(connection.ProgrammingError):
            execute(connection, f"INSERT INTO {table} SELECT CAST('x' || i AS BIGINT) FROM range(3) t(i)")
        with pytest.raises(connection.Error):
            connection.commit()
    assert server.scalar(f"SELECT count(*) FROM {table}") == 0


def test_of_two_writers_of_one_row_the_second_conflicts(server, table):
    server.sql(f"INSERT INTO {table} VALUES (1)")
    with server.adbc(autocommit=False) as first, server.adbc(autocommit=False) as second:
        execute(first, f"UPDATE {table} SET i = 10")
        execute(second, f"UPDATE {table} SET i = 20")
        first.commit()
        with pytest.raises(second.OperationalError, match=OVERTAKEN):
            second.commit()
    assert server.sql(f"SELECT i FROM {table}") == [(10,)]


def test_writers_of_different_rows_do_not_conflict(server, table):
    with server.adbc(autocommit=False) as first, server.adbc(autocommit=False) as second:
        execute(first, f"INSERT INTO {table} VALUES (1)")
        execute(second, f"INSERT INTO {table} VALUES (2)")
        first.commit()
        second.commit()
    assert sorted(server.sql(f"SELECT i FROM {table}")) == [(1,), (2,)]


def test_many_writers_at_once_lose_nothing(server, table):
    failures = []

    def write(number):
        try:
            with server.adbc() as connection, connection.cursor() as cursor:
                for i in range(10):
                    cursor.execute(f"INSERT INTO {table} VALUES ({number * 10 + i})")
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert server.sql(f"SELECT count(*), count(DISTINCT i) FROM {table}") == [(80, 80)]


# === the pool ===


def test_idle_transactions_hold_no_connection(server):
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(server.adbc(autocommit=False))
        assert server.scalar("SELECT 42") == 42


def test_transactions_that_were_rolled_back_hold_no_connection(launch):
    server = launch("--max-connections", 4)
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            connection = stack.enter_context(server.adbc(autocommit=False))
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
                cursor.fetchall()
            connection.rollback()
        assert server.scalar("SELECT 42") == 42


# === BEGIN as text ===


def test_begin_as_text_needs_a_login(server):
    with server.adbc() as connection:
        with pytest.raises(connection.OperationalError, match="log in"):
            execute(connection, "BEGIN")


@pytest.mark.parametrize("login", [{}, LOGIN], ids=["anonymous", "logged in"])
def test_transactions_of_closed_connections_give_their_connection_back(launch, login):
    server = launch("--max-connections", 4)
    timeouts = {"adbc.flight.sql.rpc.timeout_seconds.update": "10"}
    for _ in range(6):
        with server.adbc(autocommit=False, **timeouts, **login) as connection:
            # Closed without commit or rollback, like a program that ends with an exception.
            execute(connection, "SELECT 1")
    assert server.scalar("SELECT 42") == 42


@pytest.mark.parametrize("login", [{}, LOGIN], ids=["anonymous", "logged in"])
def test_a_cursor_keeps_its_statement_in_the_next_transaction(server, table, login):
    """DBAPI keeps a statement prepared as long as a cursor executes the same SQL text."""
    with server.adbc(autocommit=False, **login) as connection, connection.cursor() as cursor:
        for number in range(4):
            cursor.execute(f"INSERT INTO {table} VALUES (?)", (number,))
            assert server.scalar(f"SELECT count(*) FROM {table}") == (number + 1) // 2
            if number % 2:
                connection.rollback()
            else:
                connection.commit()
        assert sorted(server.sql(f"FROM {table}")) == [(0,), (2,)]
        with connection.cursor() as reader:
            for _ in range(2):
                reader.execute(f"SELECT count(*) FROM {table}")
                assert reader.fetchall() == [(2,)]
                connection.commit()


def test_a_statement_kept_over_a_commit_runs_alone_when_no_transaction_is_open(ada, server, table):
    [result] = ada.action("BeginTransaction", protobuf.sql_command("ActionBeginTransactionRequest"))
    [transaction] = protobuf.unpack(result)[1][1]
    handle = ada.prepare(f"INSERT INTO {table} VALUES (1)", transaction)
    command = protobuf.sql_command("CommandPreparedStatementUpdate", (1, handle))
    ada.put(protobuf.message((1, wire.descriptor(command))))
    end = protobuf.sql_command("ActionEndTransactionRequest", (1, transaction), (2, 2))
    ada.action("EndTransaction", end)
    assert server.scalar(f"SELECT count(*) FROM {table}") == 0
    ada.put(protobuf.message((1, wire.descriptor(command))))
    assert server.scalar(f"SELECT count(*) FROM {table}") == 1


def test_statements_that_change_the_same_table_all_come_through(server, table):
    server.sql(f"INSERT INTO {table} VALUES (0)")
    failures = []

    def add():
        try:
            with server.adbc() as connection:
                for _ in range(5):
                    execute(connection, f"UPDATE {table} SET i = i + 1")
        except Exception as failure:
            failures.append(failure)

    writers = [threading.Thread(target=add) for _ in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert failures == []
    assert server.sql(f"FROM {table}") == [(40,)]


def test_a_transaction_that_conflicts_reports_it(server, table):
    server.sql(f"INSERT INTO {table} VALUES (1)")
    with server.adbc(autocommit=False) as connection:
        execute(connection, f"UPDATE {table} SET i = 2")
        server.sql(f"UPDATE {table} SET i = 3")
        with pytest.raises(connection.OperationalError, match=OVERTAKEN):
            connection.commit()
    assert server.sql(f"FROM {table}") == [(3,)]
