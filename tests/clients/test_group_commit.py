"""Single-row INSERTs of many sessions share commits, and each behaves as if it were alone."""

import threading

import adbc_driver_manager
import pytest

WRITERS = 12
ROWS = 15


def each_at_once(server, works, users=None):
    """Runs each function with its own connection, starts all concurrently, and returns what each returned or raised."""
    logins = [{"username": user, "password": "x"} for user in users] if users else [{}] * len(works)
    outcomes = [None] * len(works)
    barrier = threading.Barrier(len(works))

    def run(place, work):
        try:
            with server.adbc(**logins[place]) as connection, connection.cursor() as cursor:
                cursor.execute("SELECT 1")
                cursor.fetchall()
                barrier.wait()
                outcomes[place] = work(cursor)
        except Exception as failure:
            barrier.abort()
            outcomes[place] = failure

    threads = [threading.Thread(target=run, args=[place, work]) for place, work in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def snapshots_since(server, version):
    return server.scalar(f"SELECT count(*) FROM lake.snapshots() WHERE snapshot_id > {version}")


def current(server):
    return server.scalar("SELECT id FROM lake.current_snapshot()")


def test_rows_arrive_once_and_in_fewer_commits(server, table):
    before = current(server)

    def writer(number):
        def write(cursor):
            for row in range(ROWS):
                cursor.execute(f"INSERT INTO {table} VALUES (?)", [number * ROWS + row])
                assert cursor.rowcount == 1
                # Acknowledged rows are visible to all clients.
                cursor.execute(f"SELECT count(*) FROM {table} WHERE i = {number * ROWS + row}")
                assert cursor.fetchone() == (1,)

        return write

    outcomes = each_at_once(server, [writer(number) for number in range(WRITERS)])
    assert outcomes == [None] * WRITERS
    assert server.sql(f"SELECT i FROM {table} ORDER BY i") == [(i,) for i in range(WRITERS * ROWS)]
    assert snapshots_since(server, before) < WRITERS * ROWS * 0.8


def test_texts_parameters_defaults_and_several_rows_go_together(server, name):
    server.sql(f"CREATE TABLE {name} (i BIGINT, s VARCHAR DEFAULT 'x', d DECIMAL(9, 2))")
    forms = [
        (f"INSERT INTO {name} VALUES (?, ?, 1.5)", [1, "a?"], 1),
        (f"INSERT INTO {name} VALUES ($2, $1, 2)", ["$1", 2], 1),
        (f"INSERT INTO {name} VALUES (3, DEFAULT, '3.25')", None, 1),
        (f"INSERT INTO {name} VALUES (4, NULL, NULL), (5, upper('e'), 1 + 1)", None, 2),
    ]

    def writer(sql, parameters, rows):
        def write(cursor):
            for _ in range(ROWS):
                cursor.execute(sql, parameters)
                assert cursor.rowcount == rows

        return write

    works = [writer(*form) for form in forms for _ in range(3)]
    assert each_at_once(server, works) == [None] * len(works)
    found = server.sql(f"SELECT i, s, d::VARCHAR, count(*) FROM {name} GROUP BY ALL ORDER BY i")
    times = 3 * ROWS
    assert found == [
        (1, "a?", "1.50", times),
        (2, "$1", "2.00", times),
        (3, "x", "3.25", times),
        (4, None, None, times),
        (5, "E", "2.00", times),
    ]


def test_a_mistake_is_reported_to_its_client(server, name):
    server.sql(f"CREATE TABLE {name} (i BIGINT NOT NULL)")

    def right(cursor):
        for _ in range(ROWS):
            cursor.execute(f"INSERT INTO {name} VALUES (1)")

    def wrong(value, words):
        def write(cursor):
            for _ in range(ROWS):
                with pytest.raises(adbc_driver_manager.Error, match=words):
                    cursor.execute(f"INSERT INTO {name} VALUES ({value})")

        return write

    works = [right] * 6 + [wrong("'no number'", "no number"), wrong("NULL", "NOT NULL"), wrong("1, 2", "columns")]
    assert each_at_once(server, works) == [None] * len(works)
    assert server.scalar(f"SELECT count(*) FROM {name}") == 6 * ROWS


def test_every_commit_names_its_author(server, name):
    server.sql(f"CREATE TABLE {name} (who VARCHAR)")
    before = current(server)

    def writer(user):
        def write(cursor):
            for _ in range(ROWS):
                cursor.execute(f"INSERT INTO {name} VALUES ('{user}')")

        return write

    users = ["ada", "grace"] * 4
    outcomes = each_at_once(server, [writer(user) for user in users], users)
    assert outcomes == [None] * len(users)
    written = server.sql(
        f"SELECT author, who, count(*) FROM {name} t JOIN lake.snapshots() s ON t.snapshot_id = s.snapshot_id "
        "GROUP BY ALL ORDER BY ALL"
    )
    assert written == [("ada", "ada", 4 * ROWS), ("grace", "grace", 4 * ROWS)]
    assert snapshots_since(server, before) < len(users) * ROWS


def test_sessions_with_other_settings_stay_apart(server, name):
    server.sql(f"CREATE TABLE silver.{name} (moment TIMESTAMPTZ)")
    server.sql(f"CREATE TABLE gold.{name} (moment TIMESTAMPTZ)")

    def writer(schema, zone):
        def write(cursor):
            cursor.execute(f"USE lake.{schema}")
            cursor.execute(f"SET timezone = '{zone}'")
            for _ in range(ROWS):
                cursor.execute(f"INSERT INTO {name} VALUES ('2026-01-01 12:00:00')")

        return write

    works = [writer(schema, zone) for schema in ["silver", "gold"] for zone in ["UTC", "Asia/Tokyo"]]
    assert each_at_once(server, works, [f"user{n}" for n in range(4)]) == [None] * len(works)
    for schema in ["silver", "gold"]:
        found = server.sql(f"SELECT epoch(moment)::BIGINT % 86400, count(*) FROM {schema}.{name} GROUP BY ALL ORDER BY ALL")
        assert found == [(3 * 3600, ROWS), (12 * 3600, ROWS)]


def test_clients_that_must_not_write_do_not_through_others(server, table):
    version = current(server)

    def right(cursor):
        for row in range(ROWS):
            cursor.execute(f"INSERT INTO {table} VALUES ({row})")

    def pinned(cursor):
        cursor.execute(f"SET snapshot = '{version}'")
        for _ in range(ROWS):
            with pytest.raises(adbc_driver_manager.Error, match="snapshot|read-only"):
                cursor.execute(f"INSERT INTO {table} VALUES (-1)")

    works = [right] * 4 + [pinned] * 2
    assert each_at_once(server, works, ["ada"] * 6) == [None] * 6
    assert server.sql(f"SELECT min(i), count(*) FROM {table}") == [(0, 4 * ROWS)]
