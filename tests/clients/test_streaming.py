"""Results are streamed: memory does not grow with them, a slow reader slows the query, a disconnected reader ends
it."""

import contextlib
import os
import subprocess
import sys
import threading
import time

import pyarrow
import pyarrow.flight
import pytest

import protobuf
from harness import wait_until

MIB = 1 << 20
# About 5 GB.
LARGE = "SELECT i, repeat('x', 200) || i AS text, i * 2 AS twice FROM range(20_000_000) t(i)"
# Its first rows are returned fast; then there are none for hours.
FEW = 1_000_000
SPARSE = f"SELECT i FROM range(100_000_000_000) t(i) WHERE i < {FEW} OR md5(i::VARCHAR) = 'none'"
# No row before the end, which takes hours.
AGGREGATE = "SELECT sum(hash(a.i * b.i) % 7) FROM range(10_000_000) a(i), range(10_000_000) b(i)"


# Client and server both monitor the deadline; either may report it first.
EXPIRED = (pyarrow.flight.FlightTimedOutError, pyarrow.flight.FlightCancelledError)


def descriptor(sql):
    return pyarrow.flight.FlightDescriptor.for_command(protobuf.statement(sql))


def ticket(client, sql):
    return client.get_flight_info(descriptor(sql)).endpoints[0].ticket


@contextlib.contextmanager
def reading(server, sql):
    """A reader of the result, dropped at the end."""
    options = pyarrow.flight.FlightCallOptions(timeout=60.0)
    with server.flight() as client:
        reader = client.do_get(ticket(client, sql), options)
        try:
            yield reader
        finally:
            reader.cancel()


def read(reader, size):
    """Reads this many bytes of batches; returns the number of rows."""
    rows = got = 0
    while got < size:
        batch = reader.read_chunk().data
        rows += batch.num_rows
        got += batch.nbytes
    return rows


# === memory ===


def test_memory_does_not_grow_with_the_result(launch):
    server = launch()
    with reading(server, LARGE) as reader:
        read(reader, 200 * MIB)
        before = server.rss_bytes()
        for _ in range(20):
            read(reader, MIB)
            time.sleep(0.1)  # a slow reader: this is what is tested, not waiting for something
        assert server.rss_bytes() - before < 64 * MIB
        read(reader, 1500 * MIB)
        assert server.rss_bytes() - before < 64 * MIB


def test_memory_does_not_grow_without_a_reader(launch):
    server = launch()
    with reading(server, LARGE) as reader:
        read(reader, 50 * MIB)
        before = server.rss_bytes()
        server.wait_until_idle()
        assert server.rss_bytes() - before < 64 * MIB
        assert read(reader, MIB) > 0


@pytest.mark.skipif(os.environ.get("MERGANSER_SLOW") != "1", reason="takes long; set MERGANSER_SLOW=1")
def test_five_gigabytes_arrive_to_the_last_row(launch):
    server = launch()
    with reading(server, LARGE) as reader:
        rows = read(reader, 200 * MIB)
        before = server.rss_bytes()
        for chunk in reader:
            assert chunk.data["i"][0].as_py() == rows
            rows += chunk.data.num_rows
            assert server.rss_bytes() - before < 64 * MIB
    assert rows == 20_000_000


# === what clients get ===


def test_messages_fit_the_smallest_limit_of_clients(server):
    with reading(server, "SELECT i, repeat('x', 1000) AS text FROM range(100_000) t(i)") as reader:
        sizes = [chunk.data.nbytes for chunk in reader]
    assert max(sizes) < 4 * MIB
    assert sum(sizes) > 100_000_000


def test_all_rows_arrive_in_order(server):
    with reading(server, "SELECT i FROM range(3_000_000) t(i) ORDER BY i") as reader:
        table = reader.read_all()
    assert table["i"].combine_chunks().equals(pyarrow.array(range(3_000_000)))


def test_the_first_rows_arrive_before_the_last_are_made(server):
    started = time.monotonic()
    with reading(server, "SELECT i, md5(i::VARCHAR) AS hash FROM range(10_000_000_000) t(i)") as reader:
        assert reader.read_chunk().data.num_rows > 0
    assert time.monotonic() - started < 10


def test_an_empty_result_has_its_columns(server):
    with server.adbc() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1 AS a, 'x' AS b WHERE false")
        table = cursor.fetch_arrow_table()
    assert table.schema.names == ["a", "b"] and table.num_rows == 0


def test_one_row_of_many_megabytes_arrives(server):
    with reading(server, f"SELECT repeat('x', {12 * MIB}) AS text") as reader:
        [row] = reader.read_all().to_pylist()
    assert len(row["text"]) == 12 * MIB


def test_an_error_in_midstream_arrives_with_its_text(server):
    late = "CAST(CASE WHEN i = 199_999 THEN 'late' ELSE i::VARCHAR END AS BIGINT)"
    sql = f"SELECT {late} AS i, repeat('x', 200) AS text FROM range(200_000) t(i)"
    # Whichever thread of DuckDB fails: one in 20 failures was reported as an interrupt.
    for _ in range(40):
        with reading(server, sql) as reader, pytest.raises(pyarrow.ArrowInvalid, match="Could not convert string 'late'"):
            reader.read_all()
    with server.adbc() as connection, connection.cursor() as cursor:
        with pytest.raises(connection.ProgrammingError, match="Could not convert string 'late'"):
            cursor.execute(sql)
            cursor.fetchall()
        cursor.execute("SELECT 42")
        assert cursor.fetchone() == (42,)


# === readers that are gone ===


def test_a_dropped_reader_ends_the_query(launch):
    server = launch("--max-connections", 1)
    with reading(server, LARGE) as reader:
        read(reader, 20 * MIB)
    # The only connection is free again.
    assert server.scalar("SELECT 42") == 42
    server.wait_until_idle()


def test_a_dropped_reader_ends_a_query_that_computes(launch):
    server = launch()
    with reading(server, SPARSE) as reader:
        read(reader, FEW * 8 // 2)
        wait_until(lambda: server.cpu_used_in(0.3) > 0.1, "the query computes")
    server.wait_until_idle()


def test_a_killed_client_ends_the_query(launch):
    server = launch()
    program = (
        "import sys, pyarrow.flight as f\n"
        "client = f.connect(sys.argv[1])\n"
        "info = client.get_flight_info(f.FlightDescriptor.for_command(bytes.fromhex(sys.argv[2])))\n"
        "reader = client.do_get(info.endpoints[0].ticket)\n"
        "print('reads', reader.read_chunk().data.num_rows > 0, flush=True)\n"
        "reader.read_all()\n"
    )
    command = [sys.executable, "-c", program, server.uri.replace("grpc:", "grpc+tcp:"), protobuf.statement(SPARSE).hex()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout.readline() == "reads True\n"
        wait_until(lambda: server.cpu_used_in(0.3) > 0.1, "the query computes")
        client.kill()
    server.wait_until_idle()


def test_a_deadline_ends_the_query(launch):
    server = launch("--max-connections", 1)
    options = pyarrow.flight.FlightCallOptions(timeout=1.0)
    with server.flight() as client, pytest.raises(EXPIRED):
        info = client.get_flight_info(descriptor(AGGREGATE), options)
        client.do_get(info.endpoints[0].ticket, options).read_all()
    server.wait_until_idle()
    assert server.scalar("SELECT 42") == 42


def test_a_deadline_of_the_driver_ends_the_query(launch):
    server = launch()
    timeouts = {f"adbc.flight.sql.rpc.timeout_seconds.{call}": "1" for call in ("query", "fetch")}
    with server.adbc(**timeouts) as connection, connection.cursor() as cursor:
        with pytest.raises(connection.OperationalError, match="(?i)deadline|timeout"):
            cursor.execute(AGGREGATE)
            cursor.fetchall()
        cursor.execute("SELECT 42")
        assert cursor.fetchone() == (42,)
    server.wait_until_idle()


def test_cancel_ends_the_query(launch):
    server = launch()
    with server.adbc() as connection, connection.cursor() as cursor:
        timer = threading.Timer(1.0, cursor.adbc_cancel)
        timer.start()
        with pytest.raises(connection.Error, match="(?i)cancel"):
            cursor.execute(AGGREGATE)
            cursor.fetchall()
        timer.join()
    server.wait_until_idle()


def test_a_deadline_ends_an_insert_and_nothing_of_it_stays(launch):
    server = launch()
    server.sql("CREATE TABLE t (i HUGEINT)")
    options = pyarrow.flight.FlightCallOptions(timeout=1.0)
    with server.flight() as client, pytest.raises(EXPIRED):
        client.get_flight_info(descriptor("INSERT INTO t " + AGGREGATE), options)
    server.wait_until_idle()
    assert server.scalar("SELECT count(*) FROM t") == 0


# === results that nobody fetches ===


def test_unfetched_results_of_one_cursor_hold_no_connection(launch):
    server = launch("--max-connections", 16)
    with server.adbc() as connection, connection.cursor() as cursor:
        for i in range(60):
            cursor.execute(f"SELECT i + {i}, repeat('x', 100) FROM range(10_000_000) t(i)")
        cursor.execute("SELECT 42")
        assert cursor.fetchone() == (42,)


def test_unfetched_results_do_not_starve_other_clients(launch):
    server = launch("--max-connections", 8)
    options = pyarrow.flight.FlightCallOptions(timeout=10.0)
    with server.flight() as client:
        for _ in range(20):
            client.get_flight_info(descriptor("SELECT i, repeat('x', 100) FROM range(10_000_000) t(i)"), options)
        assert server.scalar("SELECT 42") == 42


def test_unfetched_results_are_given_up_after_their_time(launch):
    server = launch("--max-connections", 1, "--result-ttl-seconds", 1)
    with server.flight() as client:
        old = ticket(client, LARGE)
        # Waits for the only connection, which is released when the result is dropped.
        assert server.scalar("SELECT 42") == 42
        with pytest.raises(pyarrow.ArrowKeyError, match="waited too long"):
            client.do_get(old).read_all()
