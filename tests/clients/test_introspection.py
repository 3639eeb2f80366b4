"""The activity of the server as tables: merganser_queries(), merganser_sessions() and merganser_jobs()."""

import datetime
import json

import pyarrow.flight
import pytest

import protobuf
from harness import wait_until

# More than the channel of a result holds, so that its statement waits for its reader.
LONG = "SELECT i, repeat('x', 200) AS text FROM range(20_000_000) t(i)"


def records(cursor, sql):
    cursor.execute(sql)
    return cursor.fetch_arrow_table().to_pylist()


def queries(server, marker):
    """The listed queries whose SQL text contains the marker, except the listing query."""
    with server.adbc() as connection, connection.cursor() as cursor:
        found = records(cursor, f"SELECT * FROM merganser_queries() WHERE sql LIKE '%{marker}%'")
    return [query for query in found if "merganser_queries" not in query["sql"]]


def flight_info(client, sql):
    return client.get_flight_info(pyarrow.flight.FlightDescriptor.for_command(protobuf.statement(sql)))


# === queries ===


def test_a_query_sees_itself(server):
    with server.adbc() as connection, connection.cursor() as cursor:
        sql = "SELECT * FROM merganser_queries() -- me"
        [query] = [query for query in records(cursor, sql) if query["sql"] == sql]
    assert (query["state"], query["user"]) == ("running", "anonymous")
    age = datetime.datetime.now(datetime.UTC) - query["started"]
    assert datetime.timedelta() <= age < datetime.timedelta(minutes=1)
    assert 0 <= query["seconds"] < 60
    assert query["progress"] is None or 0 <= query["progress"] <= 1


def test_a_query_is_listed_from_its_start_to_its_last_row(server, name):
    with server.flight() as client:
        info = flight_info(client, f"{LONG} -- {name}")
        [query] = queries(server, name)
        assert (query["state"], query["sql"]) == ("waiting", f"{LONG} -- {name}")
        reader = client.do_get(info.endpoints[0].ticket)
        reader.read_chunk()
        [query] = queries(server, name)
        assert query["state"] == "reading"
        reader.cancel()
        wait_until(lambda: queries(server, name) == [], "the query is gone with its reader")
        client.do_get(flight_info(client, f"SELECT 1 -- {name}").endpoints[0].ticket).read_all()
    wait_until(lambda: queries(server, name) == [], "a query that was read is gone")


def test_a_long_text_is_cut_between_characters(server, name):
    text = f"SELECT 1 -- {name} " + "é" * 4096
    with server.flight() as client:
        flight_info(client, text)
        [query] = queries(server, name)
    assert 4094 <= len(query["sql"].encode()) <= 4096
    assert text.startswith(query["sql"])


def test_nothing_that_gives_access_is_listed(server, name):
    with server.adbc(username=name, password="x") as connection, connection.cursor() as cursor:
        tables = {
            "merganser_queries": {"id", "user", "session", "sql", "state", "started", "seconds", "progress"},
            "merganser_sessions": {
                "id", "user", "own", "idle_seconds", "age_seconds", "transactions", "options",
            },
            "merganser_jobs": {
                "job_id", "action", "author", "state", "phase", "done", "total", "unit", "message", "started", "ended",
            },
        }  # fmt: skip
        for table, columns in tables.items():
            cursor.execute(f"FROM {table}()")
            assert set(cursor.fetch_arrow_table().column_names) == columns, table
        # The id of a session is not a token: it grants no access.
        [[session]] = cursor.execute(f"SELECT id FROM merganser_sessions() WHERE user = '{name}'").fetchall()
    options = pyarrow.flight.FlightCallOptions(headers=[(b"authorization", f"Bearer {session}".encode())])
    with server.flight() as client, pytest.raises(pyarrow.flight.FlightUnauthenticatedError):
        list(client.do_action(("jobs", b"{}"), options))


# === sessions ===


def test_sessions_list_what_they_hold(server, name):
    with server.adbc(username=name, password="x") as connection, connection.cursor() as cursor:
        cursor.execute("SET timezone = 'Asia/Tokyo'")
        cursor.fetchall()
        cursor.execute("BEGIN")
        cursor.fetchall()
        [session] = records(cursor, f"SELECT * FROM merganser_sessions() WHERE user = '{name}'")
        assert (session["own"], session["transactions"]) == (True, 1)
        assert 0 <= session["idle_seconds"] <= session["age_seconds"] < 60
        assert json.loads(session["options"])["timezone"] == "Asia/Tokyo"
        [query] = records(cursor, "SELECT session FROM merganser_queries() WHERE sql LIKE '%itself%' -- itself")
        assert query["session"] == session["id"]
    assert server.scalar("SELECT count(*) FROM merganser_sessions() WHERE user = 'anonymous' AND NOT own") == 1


# === jobs ===


def test_jobs_are_listed_with_their_ends(server, tmp_path, name):
    source = tmp_path / "data.csv"
    source.write_text("id\n1\n2\n")
    server.result("ingest", {"source": source.as_uri(), "dataset": name})
    source.unlink()
    with pytest.raises(pyarrow.ArrowException):
        server.action("ingest", {"source": source.as_uri(), "dataset": name})
    with server.adbc() as connection, connection.cursor() as cursor:
        jobs = records(cursor, "SELECT * FROM merganser_jobs() ORDER BY started")
    assert [job["state"] for job in jobs] == ["succeeded", "failed"]
    assert {job["action"] for job in jobs} == {"ingest"}
    assert all(job["started"] <= job["ended"] for job in jobs)
    assert jobs[0]["message"] is None and jobs[1]["message"]
    listed = [job["job_id"] for job in server.result("jobs")["jobs"]]
    assert sorted(listed) == sorted(job["job_id"] for job in jobs)


# === as any table ===


def test_the_tables_are_read_in_a_transaction_and_see_the_present(server, name):
    with server.adbc(autocommit=False) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {name} (i BIGINT)")
        before = len(records(cursor, "FROM merganser_queries()"))
        with server.flight() as client:
            flight_info(client, LONG)
            assert len(records(cursor, "FROM merganser_queries()")) == before + 1
        connection.rollback()


def test_a_prepared_query_sees_each_time_anew(server, name):
    sql = "SELECT count(*) FROM merganser_queries() WHERE sql LIKE ?"
    with server.adbc() as connection, connection.cursor() as cursor, server.flight() as client:
        for expected in range(3):
            cursor.execute(sql, (f"{LONG} -- {name}%",))
            assert cursor.fetchall() == [(expected,)]
            flight_info(client, f"{LONG} -- {name}")
