"""How results leave DuckDB: on the threads that compute them (`collect_results`), or as DuckDB streams them. Both give the
same rows in the same order, keep memory bounded, and do not compute while they wait."""

import contextlib
import pathlib
import threading

import duckdb
import pyarrow
import pytest

import harness
from harness import wait_until
from test_streaming import MIB, reading

WAYS = {"collected": [], "streamed": ["--collect-results", "false"]}

# Tables of the lake, of which DuckDB's scan gives dictionaries, constants and plain vectors, with and without NULLs.
TABLES = {
    "plain": "SELECT i, i % 2 = 0 AS b, i::DOUBLE / 3 AS d, i::DECIMAL(18, 3) AS n, md5(i::VARCHAR) AS h FROM range(300_000) t(i)",
    "words": "SELECT i, ['a', 'twelve bytes', 'more than twelve bytes'][1 + i % 3] AS w FROM range(300_000) t(i)",
    "nulls": """SELECT CASE WHEN i % 3 = 0 THEN i END AS i, CASE WHEN i % 5 > 0 THEN 'text ' || i % 7 END AS t,
                CASE WHEN i > 200_000 THEN i % 2 = 0 END AS late, CASE WHEN i < 0 THEN 1 END AS never,
                CASE WHEN i % 4 = 0 THEN i::DECIMAL(4, 1) END AS small FROM (SELECT i % 900 AS i FROM range(300_000) t(i))""",
    "nested": """SELECT i, CASE WHEN i % 3 > 0 THEN [i, NULL, i + 1] END AS l, {'a': i, 'b': repeat('x', i % 20)} AS s,
                 map([i::VARCHAR], [i % 5 = 0]) AS m FROM range(50_000) t(i)""",
    "constant": "SELECT 1 AS one, 'the same text in each row' AS text, NULL::INTEGER AS none FROM range(100_000)",
}

QUERIES = [
    *[f"SELECT * FROM {table}" for table in TABLES],
    "SELECT * FROM plain WHERE i % 3 = 1",
    "SELECT i, upper(h) AS u, b FROM plain WHERE i > 150_000 LIMIT 70_000",
    "SELECT * FROM plain ORDER BY h DESC, i",
    "SELECT * FROM plain LIMIT 10 OFFSET 299_990",
    "SELECT w, count(*) AS n, sum(i) AS s FROM words GROUP BY w ORDER BY w",
    "SELECT * FROM plain WHERE false",
    "SELECT * FROM words UNION ALL SELECT i + 1, h FROM plain",
    "SELECT a.i, b.w, c.t FROM plain a JOIN words b USING (i) LEFT JOIN nulls c ON c.i = a.i AND a.i < 10 ORDER BY ALL",
    "SELECT i, unnest(l) AS x FROM nested WHERE i < 1_000",
    "SELECT t, small, row_number() OVER (ORDER BY i NULLS LAST, t, small, late) AS r FROM nulls ORDER BY r",
    "SELECT i, l[1] AS first, s.b AS b FROM nested WHERE i % 2 = 0",
    "WITH one AS MATERIALIZED (SELECT * FROM words WHERE i < 5_000) SELECT a.w, b.i FROM one a, one b WHERE a.i = b.i ORDER BY b.i",
    "SELECT i FROM range(10) t(i)",
    "SELECT 1 AS a, NULL AS b, 'x' AS c",
]


@pytest.fixture(scope="module", params=WAYS)
def lake(request, tmp_path_factory):
    """A server for each way, with the tables."""
    server = harness.Server(tmp_path_factory.mktemp("server"), *WAYS[request.param], "--threads", "4")
    try:
        server.start()
        for name, query in TABLES.items():
            server.sql(f"CREATE TABLE {name} AS {query}")
        yield server
    finally:
        server.discard()


@pytest.fixture(scope="module")
def expected():
    """What DuckDB in this process answers."""
    with duckdb.connect() as connection:
        for name, query in TABLES.items():
            connection.execute(f"CREATE TABLE {name} AS {query}")
        yield lambda query: connection.execute(query).to_arrow_table()


def rows_of(server, query, **options):
    with server.adbc(**options) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetch_arrow_table()


# === right rows ===


@pytest.mark.parametrize("query", QUERIES)
def test_rows_are_those_of_duckdb_in_their_order(lake, expected, query):
    got, want = rows_of(lake, query), expected(query)
    assert got.schema.names == want.schema.names
    assert got.num_rows == want.num_rows
    for name in want.schema.names:
        assert got[name].to_pylist() == want[name].to_pylist(), name


@pytest.mark.parametrize("rows", [1, 7, 2_048, 5_000])
def test_batches_have_the_number_of_rows_that_a_session_asks_for(lake, rows):
    count = 20 * rows
    with lake.adbc(username="ada") as connection, connection.cursor() as cursor:
        cursor.execute(f"SET batch_rows = {rows}")
        for query in (f"SELECT i, h FROM plain LIMIT {count}", f"SELECT i, l FROM nested LIMIT {count}"):
            cursor.execute(query)
            sizes = [batch.num_rows for batch in cursor.fetch_record_batch()]
            assert max(sizes) == rows and sum(sizes) == min(count, 50_000 if "nested" in query else count)


def test_each_row_of_parameters_gives_its_rows_in_order(lake):
    with lake.adbc() as connection, connection.cursor() as cursor:
        bounds = pyarrow.record_batch([pyarrow.array([5, 100_000])] * 2, names=["0", "1"])
        cursor.execute("SELECT i FROM plain WHERE i BETWEEN ? AND ? + 40_000 ORDER BY i", bounds)
        got = cursor.fetch_arrow_table()["i"].to_pylist()
    assert got == [*range(5, 40_006), *range(100_000, 140_001)]


def test_rows_in_a_transaction_are_its_own_and_unread_ones_do_not_end_it(lake):
    with lake.adbc(autocommit=False) as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO plain SELECT -1, true, 0, 0, 'mine'")
        cursor.execute("SELECT * FROM plain")
        assert cursor.fetch_record_batch().read_next_batch().num_rows > 0
        cursor.execute("SELECT h FROM plain WHERE i = -1")
        assert cursor.fetchall() == [("mine",)]
        connection.rollback()
    assert lake.scalar("SELECT count(*) FROM plain") == 300_000


# === wide rows ===


def test_rows_of_which_a_chunk_would_not_fit_into_a_batch_arrive(lake):
    """2,048 of them are 2.1 GB."""
    before = lake.rss_bytes()
    with reading(lake, f"SELECT i, repeat(chr(65 + (i % 26)::INTEGER), {MIB}) AS t FROM range(2_048) t(i)") as reader:
        place = 0
        for chunk in reader:
            for i, text in zip(chunk.data["i"].to_pylist(), chunk.data["t"], strict=True):
                assert i == place and text.as_buffer().size == MIB and text.as_buffer()[0] == 65 + i % 26
                place += 1
    assert place == 2_048
    # DuckDB makes such a chunk in one piece, of which its own stream makes a copy; the rows in transit are bounded.
    copies = 2 if "--collect-results" in lake.flags else 1
    assert lake.peak_rss_bytes() - before < (copies * 2_048 + 500) * MIB


# === waiting ===


def switches(server):
    """How often the threads of the server went to sleep or were put to it."""
    total = 0
    for task in pathlib.Path(f"/proc/{server.process.pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            lines = (task / "status").read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if "ctxt_switches" in line)
    return total


def test_a_statement_that_waits_for_another_thread_does_not_compute(launch):
    """`sleep_ms` holds whichever thread has the only task; the others wait for it."""
    server = launch("--threads", "4")
    server.sql("CREATE TABLE few AS SELECT i FROM range(10) t(i)")
    threads = [threading.Thread(target=server.sql, args=["SELECT sleep_ms(3_000), i FROM few LIMIT 1"]) for _ in range(4)]
    for thread in threads:
        thread.start()
    wait_until(lambda: server.scalar("SELECT count(*) FROM merganser_queries() WHERE sql LIKE '%sleep_ms(3_000)%'") > 4, "all run")
    before = switches(server)
    used = server.cpu_used_in(1)
    assert used < 0.2, used
    # A wait looks around a hundred times a second at most.
    assert switches(server) - before < 4_000
    for thread in threads:
        thread.join()


def test_readers_that_do_not_read_cost_nothing(launch):
    server = launch("--max-connections", "80")
    query = "SELECT i, repeat('x', 200) AS t FROM range(100_000_000) t(i) WHERE i % 3 > 0"
    with contextlib.ExitStack() as stack:
        readers = [stack.enter_context(reading(server, query)) for _ in range(64)]
        for reader in readers:
            assert reader.read_chunk().data.num_rows > 0
        server.wait_until_idle(60)
        before = switches(server)
        used = server.cpu_used_in(1)
        assert used < 0.1, used
        assert switches(server) - before < 2_000
        assert all(reader.read_chunk().data.num_rows > 0 for reader in readers)
