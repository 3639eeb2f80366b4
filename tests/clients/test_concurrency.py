"""Concurrent clients: definitions leave a lake that loads, upserts duplicate no key, and a cancelled client does not
affect the others."""

import threading
import time

import adbc_driver_manager
import pytest

import harness

CLIENTS = 8


def all_at_once(server, work, clients=CLIENTS, seconds=None):
    """Runs work(number, cursor) concurrently, each in its own session; with `seconds`, repeatedly for this long.
    Returns what each returned last, or raised."""
    outcomes = [None] * clients
    barrier = threading.Barrier(clients)

    def run(number):
        try:
            with server.adbc(username=f"user{number}", password="x") as connection, connection.cursor() as cursor:
                barrier.wait(60)
                end = time.monotonic() + (seconds or 0)
                while True:
                    outcomes[number] = work(number, cursor)
                    if time.monotonic() >= end:
                        break
        except Exception as failure:
            outcomes[number] = failure

    threads = [threading.Thread(target=run, args=[number]) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


DEFINITIONS = {
    "views": ["CREATE OR REPLACE VIEW silver.{name}{n} AS SELECT {n} AS x"],
    "macros": ["CREATE OR REPLACE MACRO lake.main.{name}{n}(a) AS a + {n}"],
    "tables": ["BEGIN", "CREATE OR REPLACE TABLE silver.{name}{n} AS SELECT range AS v FROM range(1000)", "COMMIT"],
    "all": [
        "CREATE OR REPLACE TABLE silver.{name}t{n} AS SELECT range AS v FROM range(10)",
        "CREATE OR REPLACE VIEW silver.{name}v{n} AS FROM silver.{name}t{n}",
        "ALTER TABLE silver.{name}t{n} ADD COLUMN w INTEGER",
        "DROP TABLE silver.{name}t{n}",
    ],
}


@pytest.mark.parametrize("kind", DEFINITIONS)
def test_definitions_at_the_same_time_leave_a_lake_that_loads(launch, kind, rounds):
    server = launch()

    def define(number, cursor):
        for text in DEFINITIONS[kind]:
            cursor.execute(text.format(name=kind, n=number))

    outcomes = all_at_once(server, define, seconds=2 * rounds)
    assert outcomes == [None] * CLIENTS
    found = server.scalar(f"SELECT count(*) FROM duckdb_views() WHERE schema_name = 'silver' AND view_name LIKE '{kind}%'")
    assert found == {"views": CLIENTS, "all": CLIENTS}.get(kind, 0)
    server.restart()
    assert server.scalar("SELECT count(*) FROM lake.snapshots()") > CLIENTS


def exhaust_memory(server):
    with pytest.raises(adbc_driver_manager.InternalError, match="Out of Memory"):
        server.sql("SELECT list(range) FROM range(30000000)")


def test_a_transaction_keeps_the_version_in_which_it_defines(launch):
    """DuckDB evicts it when memory is short."""
    server = launch("--memory-limit", "200MB")
    with server.adbc(username="ada", password="x") as connection, connection.cursor() as cursor:
        for number in range(4):
            cursor.execute("BEGIN")
            cursor.execute(f"CREATE TABLE silver.t{number} AS SELECT range AS v FROM range(1000)")
            exhaust_memory(server)
            cursor.execute(f"CREATE VIEW silver.v{number} AS FROM silver.t{number}")
            exhaust_memory(server)
            # Memory that was freed is used again.
            for other in range(4):
                server.sql(f"CREATE OR REPLACE VIEW silver.x{other} AS SELECT {other} AS x")
            cursor.execute("COMMIT")
    server.restart()
    assert [server.scalar(f"SELECT count(*) FROM silver.v{number}") for number in range(4)] == [1000] * 4


def test_a_transaction_that_was_open_when_snapshots_expired_does_not_commit(server, name):
    """DuckLake would give it the number of a snapshot that has expired, and its table the id of another one."""
    server.sql(f"CREATE TABLE {name} (i INTEGER)")
    with server.adbc(username="ada", password="x") as connection, connection.cursor() as cursor:
        for write in [f"CREATE TABLE {name}_own (i INTEGER)", f"INSERT INTO {name} VALUES (1)"]:
            cursor.execute("BEGIN")
            cursor.execute(write)
            for other in range(3):
                server.sql(f"CREATE OR REPLACE VIEW {name}_{other} AS SELECT {other} AS x")
            server.sql("CALL merganser.maintain(steps => ['expire'], expire_days => 0)")
            server.sql(f"CREATE OR REPLACE VIEW {name}_3 AS SELECT 3 AS x")
            with pytest.raises(adbc_driver_manager.OperationalError, match="conflict: snapshots have expired"):
                cursor.execute("COMMIT")
        cursor.execute("BEGIN")
        cursor.execute(f"SELECT count(*) FROM {name}")
        assert cursor.fetchall() == [(0,)]
        server.sql(f"INSERT INTO {name} VALUES (2)")
        server.sql("CALL merganser.maintain(steps => ['expire'], expire_days => 0)")
        cursor.execute("COMMIT")
        cursor.execute(f"INSERT INTO {name} VALUES (3)")
    server.restart()
    assert server.sql(f"SELECT i FROM {name} ORDER BY i") == [(2,), (3,)]
    snapshots = [row[0] for row in server.sql("SELECT snapshot_id FROM lake.snapshots() ORDER BY snapshot_time")]
    assert snapshots == sorted(snapshots)


UPSERTS = {
    "merge": [
        "MERGE INTO {t} t USING (SELECT {k} AS k) s ON t.k = s.k "
        "WHEN MATCHED THEN UPDATE SET n = t.n + 1 WHEN NOT MATCHED THEN INSERT VALUES (s.k, 1)"
    ],
    "insert where not exists": ["INSERT INTO {t} SELECT {k}, 8 WHERE NOT EXISTS (FROM {t} WHERE k = {k})"],
    "insert through a view": ["INSERT INTO {t} SELECT {k}, 8 WHERE NOT EXISTS (FROM {t}_seen WHERE k = {k})"],
}


@pytest.mark.parametrize("kind", UPSERTS)
def test_upserts_at_the_same_time_double_no_key(server, name, kind):
    server.sql(f"CREATE TABLE {name} (k INTEGER, n INTEGER)")
    server.sql(f"CREATE VIEW {name}_seen AS SELECT k FROM {name}")

    def upsert(_, cursor):
        for k in range(10):
            for text in UPSERTS[kind]:
                cursor.execute(text.format(t=name, k=k))

    assert all_at_once(server, upsert) == [None] * CLIENTS
    assert server.sql(f"SELECT count(*), count(DISTINCT k), sum(n)::INTEGER FROM {name}") == [(10, 10, 80)]


def test_of_two_transactions_that_upsert_a_key_one_is_refused(server, name):
    server.sql(f"CREATE TABLE {name} (k INTEGER)")
    upsert = [f"UPDATE {name} SET k = k WHERE k = 1", f"INSERT INTO {name} SELECT 1 WHERE NOT EXISTS (FROM {name})"]
    with server.adbc(autocommit=False) as one, server.adbc(autocommit=False) as two:
        for connection in (one, two):
            with connection.cursor() as cursor:
                for text in upsert:
                    cursor.execute(text)
        one.commit()
        with pytest.raises(adbc_driver_manager.OperationalError, match="repeat the transaction"):
            two.commit()
    assert server.sql(f"FROM {name}") == [(1,)]


def test_clients_that_only_add_rows_have_no_conflicts(server, name):
    server.sql(f"CREATE TABLE {name} (k INTEGER)")
    with server.adbc(autocommit=False) as one, server.adbc(autocommit=False) as two:
        for number, connection in enumerate((one, two)):
            with connection.cursor() as cursor:
                cursor.execute(f"INSERT INTO {name} SELECT range::INTEGER + {number} FROM range(10)")
        one.commit()
        two.commit()
    assert server.scalar(f"SELECT count(*) FROM {name}") == 20


def test_a_cancelled_insert_duplicates_no_rows_of_others(server, name, rounds):
    server.sql(f"CREATE TABLE {name} (i BIGINT)")
    users, patient = 12, 9
    acknowledged, cancelled = [], []
    end = time.monotonic() + 4 * rounds
    failures = []

    def insert(number):
        value = number
        # All of one user, so that their INSERTs are combined.
        with server.adbc(username="ada", password="x") as connection:
            while time.monotonic() < end:
                value += users
                with connection.cursor() as cursor:
                    canceller = threading.Timer(0.004, cursor.adbc_cancel) if number >= patient else None
                    if canceller:
                        canceller.start()
                    try:
                        cursor.execute(f"INSERT INTO {name} VALUES ({value})")
                        acknowledged.append(value)
                    except adbc_driver_manager.Error as failure:
                        if number < patient:
                            failures.append(failure)
                        cancelled.append(value)
                    finally:
                        if canceller:
                            canceller.cancel()
                            canceller.join()

    threads = [threading.Thread(target=insert, args=[number]) for number in range(users)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and acknowledged and cancelled
    there = [i for (i,) in server.sql(f"SELECT i FROM {name}")]
    assert len(there) == len(set(there))
    assert set(acknowledged) <= set(there) <= set(acknowledged) | set(cancelled)


def test_idle_connections_keep_little_memory(launch):
    """DuckDB's allocator keeps freed memory for each thread that runs statements, until the thread gives it back."""
    server = launch()
    server.sql("CREATE TABLE raw.t AS SELECT range AS i, 'text ' || range AS text FROM range(1000)")
    before = server.rss_bytes()
    clients = 48
    enough = clients * 900 * 1024

    def wait_for_memory():
        harness.wait_until(lambda: server.rss_bytes() - before < enough, "idle connections give back memory", 60)

    all_are_idle = threading.Barrier(clients, action=wait_for_memory)

    def read(_, cursor):
        # A transaction has a connection of its own.
        cursor.execute("BEGIN")
        for _ in range(2):
            cursor.execute("SELECT text, count(*) FROM raw.t WHERE i > 7 GROUP BY text ORDER BY text")
            assert len(cursor.fetchall()) == 992
            cursor.execute("SELECT i FROM range(20000) r(i) ORDER BY hash(i)")
            assert len(cursor.fetchall()) == 20000
        all_are_idle.wait(180)
        cursor.execute("COMMIT")

    assert all_at_once(server, read, clients) == [None] * clients
