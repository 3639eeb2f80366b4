"""Feeds: streams of rows that stay open, are committed bit by bit, and go on where they were cut, exactly once."""

import contextlib
import signal
import subprocess
import sys
import threading

import adbc_driver_manager
import pyarrow
import pyarrow.flight
import pytest

import cable
import protobuf
from harness import wait_until
from test_ingest import CREATE, FAIL, IF_EXISTS, TYPES, command, plain

SCHEMA = pyarrow.schema({"i": pyarrow.int64()})
OPTIONS, TRANSACTION, TEMPORARY = 1000, 6, 5
# So long that only the number of rows, or the end, leads to a commit.
NEVER = 3600


def rows(start, stop):
    return pyarrow.record_batch({"i": pyarrow.array(range(start, stop), pyarrow.int64())})


def feed_command(table, options, if_absent=CREATE, if_exists="append", fields=()):
    entries = [(OPTIONS, protobuf.message((1, name), (2, str(value)))) for name, value in options.items()]
    return command(table, if_absent, IF_EXISTS[if_exists], [*fields, *entries])


class Acknowledged:
    """One result of a feed."""

    def __init__(self, data):
        fields = protobuf.parse(data.to_pybytes())
        self.added = fields.get(1, [0])[0]
        [self.position] = fields[101]
        [self.snapshot] = fields.get(102, [None])

    def __repr__(self):
        return f"position {self.position}, {self.added} added, snapshot {self.snapshot}"


class Feed:
    """An open feed, on a connection of its own."""

    def __init__(
        self, server, table, name="f", position="committed", schema=SCHEMA, fields=(), url=None, headers=(), **options
    ):
        modes = {mode: options.pop(mode) for mode in ["if_absent", "if_exists"] if mode in options}
        options = {"feed": name, "feed_position": position, "commit_seconds": NEVER} | options
        options = {option: value for option, value in options.items() if value is not None}
        self.client = pyarrow.flight.connect(url or server.uri.replace("grpc://", "grpc+tcp://"))
        described = pyarrow.flight.FlightDescriptor.for_command(feed_command(table, options, fields=fields, **modes))
        call = pyarrow.flight.FlightCallOptions(headers=[(key.encode(), value.encode()) for key, value in headers])
        self.put, self.results = self.client.do_put(described, schema, call)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(pyarrow.ArrowException, OSError):
            self.put.close()
        self.client.close()

    def send(self, batch):
        self.put.write_batch(batch)

    def read(self):
        """The next result; raises the error that ended the feed."""
        data = self.results.read()
        if data is None:
            self.put.close()
            return None
        return Acknowledged(data)

    def finish(self):
        """All results until the end."""
        self.put.done_writing()
        return self.rest()

    def rest(self):
        return list(iter(self.read, None))

    def failure(self, *errors):
        """What ends the feed."""
        with pytest.raises(errors or (pyarrow.ArrowException, OSError)) as failed:
            self.rest()
        return str(failed.value)


@contextlib.contextmanager
def fails(server, table, words, error=pyarrow.ArrowException, **options):
    """A feed that is refused."""
    with Feed(server, table, **options) as feed:
        yield feed
        with pytest.raises(error, match=words):
            feed.finish()


def numbers(server, table):
    return [i for (i,) in server.sql(f"SELECT i FROM {table} ORDER BY i")]


# === commits and results ===


def test_rows_are_committed_by_number(server, name):
    with Feed(server, name, commit_rows=100) as feed:
        opened = feed.read()
        assert (opened.position, opened.added, opened.snapshot) == (0, 0, None)
        before = server.head()
        feed.send(rows(0, 60))
        feed.send(rows(60, 120))
        first = feed.read()
        assert (first.position, first.added, first.snapshot) == (120, 120, before + 1)
        # What is acknowledged is visible to everyone.
        assert numbers(server, name) == [*range(120)]
        feed.send(rows(120, 130))
        *_, last = feed.finish()
        assert (last.position, last.added, last.snapshot) == (130, 130, before + 2)
    assert numbers(server, name) == [*range(130)]
    assert server.head() == before + 2


def test_rows_are_committed_after_a_while(server, name):
    with Feed(server, name, commit_seconds=0.2) as feed:
        assert feed.read().position == 0
        for start in range(0, 30, 10):
            feed.send(rows(start, start + 10))
            # No other reason for a commit.
            assert feed.read().position == start + 10


def test_a_feed_is_a_create_and_needs_what_its_modes_say(server, name):
    with fails(server, name, "does not exist", KeyError, if_absent=FAIL):
        pass
    with Feed(server, name, if_exists="fail") as feed:
        assert feed.read().position == 0
        assert feed.finish()[-1].position == 0
    with fails(server, name, "already exists", if_exists="fail"):
        pass
    with fails(server, name, "not to replace", if_exists="replace"):
        pass
    assert numbers(server, name) == []


def test_no_rows_make_no_snapshot(server, table):
    before = server.head()
    with Feed(server, table, commit_seconds=0.1) as feed:
        feed.send(rows(0, 0))
        assert [result.position for result in feed.finish()] == [0, 0]
    assert server.head() == before


def test_the_commit_is_signed(server, table):
    with Feed(server, table, name='the "seventh" sensor ä') as feed:
        feed.send(rows(0, 1))
        snapshot = feed.finish()[-1].snapshot
    message = server.scalar(f"SELECT commit_message FROM lake.snapshots() WHERE snapshot_id = {snapshot}")
    assert message == f'feed "the "seventh" sensor ä" into main.{table}'
    with Feed(server, table, name='the "seventh" sensor ä') as feed:
        assert feed.read().position == 1


def test_a_client_that_knows_no_feeds_gets_one_result(server, name):
    with Feed(server, name, position=0, commit_rows=10, acknowledge="end") as feed:
        for start in range(0, 50, 10):
            feed.send(rows(start, start + 10))
        [only] = feed.finish()
        assert (only.added, only.position) == (50, 50)
    # It repeats everything, as after a response that was lost.
    with Feed(server, name, position=0, acknowledge="end") as feed:
        feed.send(rows(0, 60))
        [only] = feed.finish()
        assert (only.added, only.position) == (10, 60)
    assert numbers(server, name) == [*range(60)]


def test_a_client_that_reads_no_results_is_not_kept_waiting(server, name):
    with Feed(server, name, commit_rows=1) as feed:
        for i in range(300):
            feed.send(rows(i, i + 1))
        results = feed.finish()
    positions = [result.position for result in results]
    assert positions == sorted(positions) and positions[-1] == 300
    assert numbers(server, name) == [*range(300)]


@pytest.mark.parametrize("case", TYPES)
def test_every_type_comes_back(server, name, case):
    kind, values = TYPES[case]
    data = pyarrow.table({"n": pyarrow.array(range(len(values))), "v": pyarrow.array(values, kind)})
    with Feed(server, name, schema=data.schema, commit_rows=1) as feed:
        for batch in data.to_batches(max_chunksize=1):
            feed.send(batch)
        assert feed.finish()[-1].position == len(values)
    with server.adbc() as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT v FROM {name} ORDER BY n")
        assert plain(cursor.fetch_arrow_table()["v"].to_pylist()) == plain(values)


# === faults ===


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"commit_seconds": 0.01}, '"commit_seconds".*0.1 to 3600'),
        ({"commit_seconds": "soon"}, "commit_seconds"),
        ({"commit_seconds": "NaN"}, "commit_seconds"),
        ({"commit_seconds": 4000}, "commit_seconds"),
        ({"commit_rows": 0}, '"commit_rows".*1 to 10000000'),
        ({"commit_rows": 10**9}, "commit_rows"),
        ({"position": None}, 'needs the option "feed_position"'),
        ({"position": -1}, "feed_position"),
        ({"position": 2**63}, "feed_position"),
        ({"position": "end"}, "feed_position"),
        ({"acknowledge": "never"}, '"acknowledge".*"commits" or "end"'),
        ({"name": ""}, "name of a feed"),
        ({"name": "x" * 300}, "name of a feed"),
        ({"name": "a\0b"}, "name of a feed"),
        ({"name": None}, '"feed_position" needs the option "feed"'),
        ({"fields": [(TEMPORARY, 1)]}, "temporary"),
    ],
    ids=str,
)
def test_wrong_options_are_refused(server, name, options, words):
    with fails(server, name, words, pyarrow.ArrowInvalid, **options):
        pass
    assert server.scalar(f"SELECT count(*) FROM duckdb_tables() WHERE table_name = '{name}'") == 0


def test_a_feed_joins_no_transaction(server, table):
    with server.flight() as client:
        [begun] = client.do_action(("BeginTransaction", protobuf.sql_command("ActionBeginTransactionRequest")))
        _, fields = protobuf.unpack(begun.body.to_pybytes())
        with fails(server, table, "commits by itself", fields=[(TRANSACTION, fields[1][0])]):
            pass


def test_a_feed_is_sent_in_its_session(server, name):
    with server.flight() as client:
        token = client.authenticate_basic_token("ada", "x")
        login = [tuple(part.decode() for part in token)]
        use = pyarrow.flight.FlightDescriptor.for_command(protobuf.statement("USE lake.raw"))
        client.get_flight_info(use, pyarrow.flight.FlightCallOptions(headers=[token]))
        with Feed(server, name, headers=login) as feed:
            feed.send(rows(0, 10))
            snapshot = feed.finish()[-1].snapshot
        assert numbers(server, f"raw.{name}") == [*range(10)]
        assert server.scalar(f"SELECT author FROM lake.snapshots() WHERE snapshot_id = {snapshot}") == "ada"
        pinned = [*login, ("merganser-snapshot", str(snapshot))]
        with fails(server, name, "pinned to snapshot", headers=pinned):
            pass


def test_a_row_that_does_not_fit_ends_the_feed_and_keeps_what_is_committed(server, name):
    server.sql(f"CREATE TABLE {name} (i TINYINT)")
    with Feed(server, name, commit_rows=10) as feed:
        feed.read()
        feed.send(rows(0, 10))
        assert feed.read().position == 10
        feed.send(rows(1000, 1010))
        assert "commit the rows from position 10" in feed.failure()
    with Feed(server, name) as feed:
        assert feed.read().position == 10
        feed.send(rows(10, 12))
        assert feed.finish()[-1].position == 12
    assert numbers(server, name) == [*range(12)]


def test_other_columns_are_refused_at_once(server, table):
    with Feed(server, table, schema=pyarrow.schema({"stranger": pyarrow.int64()})) as feed:
        assert "rows do not fit" in feed.failure()


def test_garbage_ends_the_feed_and_the_rows_before_it_are_kept(server, name):
    text = pyarrow.array([b"\xff\xfe"])
    garbage = pyarrow.record_batch([pyarrow.StringArray.from_buffers(1, *text.buffers()[1:])], names=["i"])
    with Feed(server, name, schema=garbage.schema) as feed:
        feed.send(pyarrow.record_batch({"i": ["a", "b"]}))
        feed.send(garbage)
        assert "read the rows" in feed.failure()
    with Feed(server, name, schema=garbage.schema) as feed:
        assert feed.read().position == 2


# === resuming ===


def test_a_feed_goes_on_where_it_was(server, name):
    for start in range(0, 30, 10):
        with Feed(server, name) as feed:
            assert feed.read().position == start
            feed.send(rows(start, start + 10))
            feed.finish()
    assert numbers(server, name) == [*range(30)]


def test_rows_that_are_committed_are_skipped(server, name):
    with Feed(server, name, position=0) as feed:
        feed.send(rows(0, 25))
        feed.finish()
    with Feed(server, name, position=5) as feed:
        for start in range(5, 45, 10):
            feed.send(rows(start, start + 10))
        last = feed.finish()[-1]
        assert (last.position, last.added) == (45, 20)
    with Feed(server, name, position=0) as feed:
        feed.send(rows(0, 45))
        last = feed.finish()[-1]
        assert (last.position, last.added) == (45, 0)
    assert numbers(server, name) == [*range(45)]


def test_a_gap_is_refused_with_both_numbers(server, name):
    with Feed(server, name, position=0) as feed:
        feed.send(rows(0, 25))
        feed.finish()
    with fails(server, name, "25 rows are committed.*position 40", position=40):
        pass
    assert numbers(server, name) == [*range(25)]


def test_feeds_have_their_own_positions(server, name):
    with Feed(server, name, "one", commit_rows=10) as one, Feed(server, name, "two", commit_rows=10) as two:
        one.read(), two.read()
        for start in range(0, 50, 10):
            one.send(rows(start, start + 10))
            two.send(rows(start, start + 10))
        assert [feed.finish()[-1].position for feed in [one, two]] == [50, 50]
    assert numbers(server, name) == sorted([*range(50)] * 2)
    with Feed(server, f"{name}_other", "one") as other:
        assert other.read().position == 0


def test_a_newer_stream_takes_over(server, name):
    with Feed(server, name) as old:
        old.read()
        old.send(rows(0, 10))
        with Feed(server, name, position=0) as new:
            # The older one has committed what it had.
            assert new.read().position == 10
            assert old.read().position == 10
            assert "another stream" in old.failure()
            new.send(rows(0, 20))
            assert new.finish()[-1].position == 20
    assert numbers(server, name) == [*range(20)]


KILLED = """
import sys, pyarrow, pyarrow.flight
uri, descriptor = sys.argv[1], bytes.fromhex(sys.argv[2])
client = pyarrow.flight.connect(uri)
schema = pyarrow.schema({"i": pyarrow.int64()})
put, results = client.do_put(pyarrow.flight.FlightDescriptor.for_command(descriptor), schema)
results.read()
i = 0
while True:
    put.write_batch(pyarrow.record_batch({"i": pyarrow.array(range(i, i + 10), pyarrow.int64())}))
    results.read()
    i += 10
    print(i, flush=True)
"""


def test_a_client_that_is_killed_finds_its_position(server, name):
    options = {"feed": "f", "feed_position": 0, "commit_rows": 10}
    uri = server.uri.replace("grpc://", "grpc+tcp://")
    arguments = [sys.executable, "-c", KILLED, uri, feed_command(name, options).hex()]
    client = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    try:
        for _ in range(5):
            acknowledged = int(client.stdout.readline())
    finally:
        client.send_signal(signal.SIGKILL)
        client.wait()
        client.stdout.close()
    with Feed(server, name) as feed:
        position = feed.read().position
        assert position >= acknowledged
        feed.send(rows(position, position + 10))
        feed.finish()
    assert numbers(server, name) == [*range(position + 10)]


def test_a_cut_connection_loses_and_doubles_nothing(server, name):
    line = cable.Cable(server.uri.replace("grpc://", "http://"))
    url = line.url.replace("http://", "grpc+tcp://")
    acknowledged = 0
    try:
        for reach in [2_000, 10_000, 30_000, 100_000]:
            line.cut(forth=reach, times=1)
            position = acknowledged
            with (
                contextlib.suppress(pyarrow.ArrowException, OSError),
                Feed(server, name, position=position, url=url, commit_rows=40) as feed,
            ):
                acknowledged = feed.read().position
                for _ in range(2_000):
                    feed.send(rows(position, position + 20))
                    position += 20
                    if position % 400 == 0:
                        acknowledged = max(acknowledged, feed.read().position)
            line.mend()
        with Feed(server, name, position=acknowledged) as feed:
            committed = feed.read().position
            assert committed >= acknowledged
            feed.send(rows(acknowledged, committed + 100))
            assert feed.finish()[-1].position == committed + 100
    finally:
        line.discard()
    assert numbers(server, name) == [*range(committed + 100)]


def test_what_was_acknowledged_survives_kills(launch, rounds):
    server = launch()
    acknowledged = [0]

    def write():
        start = acknowledged[-1]
        with contextlib.suppress(pyarrow.ArrowException, OSError):
            with Feed(server, "t", position=start, commit_rows=10) as feed:
                while (result := feed.read()) is not None:
                    acknowledged.append(result.position)
                    feed.send(rows(start, start + 10))
                    start += 10

    for number in range(rounds):
        writer = threading.Thread(target=write)
        known = len(acknowledged)
        writer.start()
        wait_until(lambda: len(acknowledged) > known + 10 + number, "some commits are acknowledged", 30)
        server.kill9()
        writer.join()
        server.start()
        found = numbers(server, "t")
        assert found == [*range(len(found))] and len(found) >= acknowledged[-1]
        with Feed(server, "t", position=acknowledged[-1]) as feed:
            assert feed.read().position == len(found)


# === beside others ===


def test_an_idle_feed_holds_nothing(launch):
    server = launch("--max-connections", 2)
    feeds = [Feed(server, "t", f"f{number}") for number in range(8)]
    with contextlib.ExitStack() as stack:
        for feed in feeds:
            stack.enter_context(feed)
            feed.read()
            feed.send(rows(0, 5))
        # Neither connections nor the lock of who writes.
        server.sql("CREATE TABLE u AS SELECT 1 AS i")
        assert server.sql("SELECT sum(i) FROM u") == [(1,)]
        for feed in feeds:
            assert feed.finish()[-1].position == 5
    assert server.scalar("SELECT count(*) FROM t") == 40


def repeat(write):
    """Repeats a write that fails with a conflict, as clients are told to."""
    while True:
        try:
            return write()
        except adbc_driver_manager.OperationalError as failure:
            assert "conflict" in str(failure).lower()


def test_feeds_and_other_writers_meet(server, name):
    server.sql(f"CREATE TABLE {name} (i BIGINT)")
    outcomes = []

    def write():
        for _ in range(10):
            server.sql(f"INSERT INTO {name} VALUES (-1)")
            # An UPDATE conflicts with every INSERT: it may have to wait until the feeds end.
            repeat(lambda: server.sql(f"UPDATE {name} SET i = -2 WHERE i = -1"))
        outcomes.append("written")

    def feed(number):
        with Feed(server, name, f"f{number}", commit_rows=20) as feed:
            for start in range(0, 400, 20):
                feed.send(rows(start, start + 20))
            outcomes.append(feed.finish()[-1].position)

    threads = [threading.Thread(target=write), *(threading.Thread(target=feed, args=[n]) for n in range(3))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes, key=str) == [400, 400, 400, "written"]
    assert numbers(server, name) == sorted([-2] * 10 + [*range(400)] * 3)


def test_memory_stays_flat(launch):
    server = launch("--threads", 2)
    batch = pyarrow.record_batch({"b": pyarrow.array([bytes([i % 256]) * 1000 for i in range(4000)])})
    with Feed(server, "warm", schema=batch.schema) as feed:
        for _ in range(20):
            feed.send(batch)
        feed.finish()
    before = server.peak_rss_bytes()
    with Feed(server, "t", schema=batch.schema, commit_rows=10_000_000) as feed:
        for _ in range(300):
            feed.send(batch)
        results = feed.finish()
    # Too large to wait for all of them.
    assert len(results) > 10 and results[-1].position == 300 * 4000
    assert server.peak_rss_bytes() - before < 600 << 20


def test_a_stopping_server_commits_what_it_has_and_says_so(launch):
    server = launch()
    with Feed(server, "t") as feed:
        feed.read()
        feed.send(rows(0, 10))
        feed.send(rows(10, 20))
        # They have arrived when a later call on the same connection is answered.
        feed.client.get_flight_info(pyarrow.flight.FlightDescriptor.for_command(protobuf.statement("SELECT 1")))
        server.signal(signal.SIGTERM)
        assert feed.read().position == 20
        assert "stopping" in feed.failure(pyarrow.flight.FlightUnavailableError)
    assert server.wait() == 0
    server.start()
    assert numbers(server, "t") == [*range(20)]
    with Feed(server, "t") as feed:
        assert feed.read().position == 20


# === the table changes ===


def fed(server, table, position, start=None):
    """Feeds rows until there are `position`; returns the last result."""
    start = position - 10 if start is None else start
    with Feed(server, table, position=start) as feed:
        feed.send(rows(start, position))
        return feed.finish()[-1]


def position(server, table):
    with Feed(server, table, if_absent=FAIL) as feed:
        return feed.read().position


def test_a_table_that_is_created_again_begins_anew(server, name):
    fed(server, name, 10)
    server.sql(f"DROP TABLE {name}")
    assert fed(server, name, 10).position == 10
    server.sql(f"CREATE OR REPLACE TABLE {name} AS FROM {name}")
    assert position(server, name) == 0


@pytest.mark.parametrize(
    ("statement", "words"),
    [("DROP TABLE {}", "does not exist"), ("CREATE OR REPLACE TABLE {} AS FROM {}", "replaced")],
    ids=["dropped", "replaced"],
)
def test_an_open_feed_ends_with_its_table(server, name, statement, words):
    with Feed(server, name) as feed:
        feed.read()
        server.sql(statement.format(name, name))
        feed.send(rows(0, 10))
        feed.put.done_writing()
        assert words in feed.failure(pyarrow.ArrowException, OSError, KeyError)
    server.sql(f"CREATE TABLE IF NOT EXISTS {name} (i BIGINT)")
    assert numbers(server, name) == []


def test_a_renamed_table_keeps_its_position(server, name):
    fed(server, name, 10)
    server.sql(f"ALTER TABLE {name} RENAME TO {name}_new")
    assert position(server, f"{name}_new") == 10
    server.sql(f"CREATE TABLE {name} (i BIGINT)")
    assert position(server, name) == 0
    assert fed(server, f"{name}_new", 20).position == 20


def test_names_in_another_case_and_in_a_schema_are_the_same_feed(server, name):
    fed(server, name, 10)
    assert position(server, name.upper()) == 10
    server.sql(f"CREATE TABLE raw.{name} (i BIGINT)")
    with Feed(server, name, fields=[(3, "raw")]) as feed:
        assert feed.read().position == 0


def test_new_columns_may_follow(server, name):
    fed(server, name, 10)
    server.sql(f"ALTER TABLE {name} ADD COLUMN s VARCHAR")
    wide = pyarrow.record_batch({"i": [10], "s": ["ten"]})
    with Feed(server, name, position=10, schema=wide.schema) as feed:
        feed.send(wide)
        assert feed.finish()[-1].position == 11
    assert server.sql(f"SELECT s, count(*) FROM {name} GROUP BY s ORDER BY s") == [("ten", 1), (None, 10)]


def test_a_rollback_sets_the_position_back(server, name):
    first = fed(server, name, 10).snapshot
    fed(server, name, 20)
    back = server.result("rollback", {"table": f"main.{name}", "to": {"version": first}})
    assert position(server, name) == 10
    fed(server, name, 30, start=10)
    server.result("rollback", {"table": f"main.{name}", "to": {"version": back["snapshot_id"]}})
    assert position(server, name) == 10
    assert numbers(server, name) == [*range(10)]
    # To before its first commit.
    server.result("rollback", {"table": f"main.{name}", "to": {"version": first - 1}})
    assert position(server, name) == 0
    assert numbers(server, name) == []


@pytest.mark.parametrize(
    "change", ["DROP TABLE {}", "ALTER TABLE {} ADD COLUMN s VARCHAR", "ALTER TABLE {} RENAME TO {}_new"]
)
def test_a_rollback_of_a_definition_restores_the_position(server, name, change):
    first = fed(server, name, 10).snapshot
    fed(server, name, 20)
    server.sql(change.format(name, name))
    server.result("rollback", {"table": f"main.{name}", "to": {"version": first}})
    assert position(server, name) == 10
    assert numbers(server, name) == [*range(10)]


def test_an_open_feed_ends_with_a_rollback_of_its_table(server, name):
    first = fed(server, name, 10).snapshot
    with Feed(server, name, commit_rows=10) as feed:
        feed.read()
        feed.send(rows(10, 20))
        assert feed.read().position == 20
        server.result("rollback", {"table": f"main.{name}", "to": {"version": first}})
        feed.send(rows(20, 30))
        assert "position 10" in feed.failure()
    assert numbers(server, name) == [*range(10)]


def expire(server):
    result = server.result("maintain", {"steps": ["expire"], "expire_days": 0, "keep": 1})
    assert server.scalar("SELECT count(*) FROM lake.snapshots()") <= 3
    return result


def test_the_position_outlives_its_snapshot(launch):
    server = launch()
    first = fed(server, "t", 10).snapshot
    server.result("tag", {"name": "ten", "version": first})
    fed(server, "t", 20)
    fed(server, "t", 30)
    server.sql("CREATE TABLE u AS SELECT 1 AS i")
    expire(server)
    assert position(server, "t") == 30
    server.sql("INSERT INTO u VALUES (2)")
    expire(server)
    server.restart()
    assert position(server, "t") == 30
    server.result("rollback", {"table": "main.t", "to": {"tag": "ten"}})
    assert position(server, "t") == 10
    server.sql("INSERT INTO u VALUES (2)")
    expire(server)
    assert position(server, "t") == 10
    assert fed(server, "t", 20).position == 20


def test_a_restored_backup_has_the_positions_of_then(launch):
    server = launch()
    fed(server, "t", 10)
    server.result("backup")
    fed(server, "t", 20)
    server.result("restore", {"force": True})
    wait_until(lambda: restored(server), "the backup is served")
    assert position(server, "t") == 10


def restored(server):
    with contextlib.suppress(Exception):
        return server.scalar("SELECT count(*) FROM t") == 10


def test_servers_that_share_a_catalog_do_not_double_rows(launch, cluster):
    catalog = cluster.make_database("feeds")
    one = launch("--catalog", catalog)
    two = launch("--catalog", catalog, beside=one)
    with Feed(one, "t", commit_rows=10) as here, Feed(two, "t", position=0, commit_rows=10) as there:
        assert (here.read().position, there.read().position) == (0, 0)
        here.send(rows(0, 10))
        assert here.read().position == 10
        there.send(rows(0, 10))
        assert "position 10" in there.failure()
    assert numbers(two, "t") == [*range(10)]
