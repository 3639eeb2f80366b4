"""read_object, read_range and fragment_bytes: bytes of the store in SQL, and no more of them than were asked for."""

import concurrent.futures
import io
import json
import time

import adbc_driver_manager
import av
import grpc
import pyarrow.flight
import pyarrow.parquet
import pytest

import harness
import protobuf
import wire

MIB = 1 << 20

pytestmark = pytest.mark.own_catalog

CONTENT = bytes(range(256)) * 4096


@pytest.fixture(scope="module")
def asset(server, tmp_path_factory):
    """The URI of a landed file, which holds CONTENT in hexadecimal digits."""
    folder = tmp_path_factory.mktemp("landed")
    (folder / "hex.csv").write_bytes(b"h\n" + CONTENT.hex().encode() + b"\n")
    return server.result("ingest", {"source": folder.as_uri(), "dataset": "hex"})["landing"] + "/hex.csv"


def expected(start, length):
    return (b"h\n" + CONTENT.hex().encode() + b"\n")[start : start + length]


def chunks(server, sql):
    """The batches of a result with their app_metadata, None for none."""
    with server.flight() as client:
        info = client.get_flight_info(pyarrow.flight.FlightDescriptor.for_command(protobuf.statement(sql)))
        for endpoint in info.endpoints:
            for chunk in client.do_get(endpoint.ticket):
                yield chunk.data, chunk.app_metadata and json.loads(chunk.app_metadata.to_pybytes())


def test_an_object_is_read_whole(server, asset):
    assert server.scalar("SELECT read_object(?)", [asset]) == expected(0, len(CONTENT) * 3)


@pytest.mark.parametrize("part", [(0, 1), (0, 0), (7, 0), (2, 512), (1_000_000, 1_000_000), (2_097_154, 1)])
def test_a_range_is_read(server, asset, part):
    assert server.scalar("SELECT read_range(?, ?, ?)", [asset, *part]) == expected(*part)


def test_ranges_of_many_rows_are_read_in_order(server, asset):
    """Overlapping, repeated, neighbouring and far ones, with NULLs, over several chunks."""
    rows = f"SELECT i, CASE WHEN i % 7 > 0 THEN '{asset}' END AS u FROM range(5000) t(i)"
    for number, blob in server.sql(f"SELECT i, read_range(u, i * 97 % 1_000_000, i % 50) FROM ({rows})"):
        assert blob == (expected(number * 97 % 1_000_000, number % 50) if number % 7 else None), number


@pytest.mark.parametrize(
    ("call", "status", "words"),
    [
        ("read_range('{asset}', -1, 5)", "INVALID_ARGUMENT", "must not be negative"),
        ("read_range('{asset}', 0, -5)", "INVALID_ARGUMENT", "must not be negative"),
        ("read_range('{asset}', 2_097_150, 50)", "INVALID_ARGUMENT", "ends before the bytes"),
        ("read_range('{asset}', 99_000_000, 50)", "INVALID_ARGUMENT", "ends before the bytes"),
        # ADBC's driver calls ResourceExhausted so.
        ("read_range('{asset}', 9223372036854775807, 9223372036854775807)", "INTERNAL", "more than 256 MiB"),
        ("read_object('{asset}x')", "NOT_FOUND", "does not exist"),
        ("read_object('file:///etc/passwd')", "INVALID_ARGUMENT", "not the URI of an asset"),
        ("read_object('{store}/lake/x.parquet')", "INVALID_ARGUMENT", "not the URI of an asset"),
        ("read_object('{store}/backups/catalog/manifest.json')", "INVALID_ARGUMENT", "not the URI of an asset"),
        ("read_object('{store}/raw/../../catalog.ducklake')", "INVALID_ARGUMENT", "not the URI of an asset"),
        ("read_object('{store}/raw/%2e%2e/%2e%2e/catalog.ducklake')", "INVALID_ARGUMENT", "not the URI of an asset"),
        ("read_object('{store}/raw')", "INVALID_ARGUMENT", "not the URI of an asset"),
        ("read_object('{store}/raw/')", "INVALID_ARGUMENT", "not the URI of an asset"),
        ("read_object('{store}/raw/hex')", "NOT_FOUND", "does not exist"),
        ("read_object('https://example.com/x')", "INVALID_ARGUMENT", "not the URI of an asset"),
        ("read_object('')", "INVALID_ARGUMENT", "not the URI of an asset"),
        ("fragment_bytes('{asset}', 10, 20)", "INVALID_ARGUMENT", "fragment_bytes"),
    ],
)
def test_what_cannot_be_read_is_refused(server, asset, call, status, words):
    store = asset.split("/raw/")[0]
    with server.adbc() as connection, connection.cursor() as cursor:
        with pytest.raises(adbc_driver_manager.Error, match=words) as error:
            cursor.execute("SELECT " + call.format(asset=asset, store=store))
            cursor.fetchall()
        assert error.value.status_code.name == status, error.value
        cursor.execute("SELECT 42")
        assert cursor.fetchone() == (42,)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT i, read_object('{asset}') AS b FROM range({n}) t(i)",
        "SELECT i, read_range('{asset}', i % 9, 2_000_000) AS b FROM range({n}) t(i)",
        "SELECT i, read_object('{asset}') AS b FROM range({n}) t(i) ORDER BY i DESC",
        "FROM (SELECT i, read_object('{asset}') AS b FROM range({n} * 3) t(i) WHERE i % 3 = 0) WHERE octet_length(b) > 5",
        "SELECT i, read_range('{asset}', i % 9, i) FROM range(100_000, 120_000) t(i)",
    ],
)
@pytest.mark.parametrize("pause", [0, 0.005], ids=["fast", "slow"])
def test_any_number_of_large_rows_is_read_in_little_memory(server, asset, query, pause):
    before = server.rss_bytes()
    most, got = 0, 0
    for batch, _ in chunks(server, query.format(asset=asset, n=800 if pause else 1600)):
        got += batch.nbytes
        most = max(most, server.rss_bytes())
        time.sleep(pause)  # a slow reader: this is what is tested, not waiting for something
    assert got > 1.5e9
    assert most - before < 384 * MIB


def test_rows_are_read_in_parts_in_expressions(server, asset):
    """A part ends anywhere: between rows without a blob, in an expression that refuses NULL, in two columns at once."""
    whole = len(expected(0, len(CONTENT) * 3))
    read = f"SELECT i, CASE WHEN i % 3 > 0 THEN '{asset}' END AS u FROM range(300) t(i)"
    columns = "octet_length(read_object(u)) AS a, octet_length(coalesce(read_range(u, 0, i * 7_000), ''::BLOB)) AS b"
    strict = "CASE WHEN i % 3 > 0 THEN octet_length(coalesce(read_object(u), error('not read')::BLOB)) END AS c"
    rows = server.sql(f"SELECT i, {columns}, {strict} FROM ({read}) ORDER BY i")
    assert rows == [(i, *((whole, i * 7_000, whole) if i % 3 else (None, 0, None))) for i in range(300)]


def test_where_rows_are_not_read_in_parts_they_may_not_fill_the_memory(server, asset):
    sizes = "list_transform(range(i, i + 10), k -> octet_length(read_object('{asset}')))"
    for call in ["sum(octet_length(read_object('{asset}')))", f"max({sizes})"]:
        sql = f"SELECT {call.format(asset=asset)} FROM range(2048) t(i)"
        with pytest.raises(adbc_driver_manager.Error, match="a column of a subquery"):
            server.sql(sql)
        few = sql.replace("2048", "10")
        assert len(server.sql(few)) == 1
    column = f"SELECT octet_length(read_object('{asset}')) AS n FROM range(2048)"
    assert server.scalar(f"SELECT sum(n) FROM ({column})") == 2048 * len(expected(0, 3 * len(CONTENT)))
    assert server.peak_rss_bytes() < 1 << 30


def test_a_value_that_is_too_large_is_refused(server, asset):
    large = server.store / "raw" / "large.bin"
    with open(large, "wb") as file:
        file.truncate(257 * MIB)
    uri = asset.split("/raw/")[0] + "/raw/large.bin"
    with pytest.raises(adbc_driver_manager.Error, match="more than 256 MiB .* read_range"):
        server.sql(f"SELECT read_object('{uri}')")
    assert server.scalar(f"SELECT octet_length(read_range('{uri}', 1_000_000, 256_000_000))") == 256_000_000
    large.unlink()


@pytest.mark.parametrize("name", ["read_object(a)", "read_range(a, b, c)", "fragment_bytes(a, b, c, d)"])
def test_the_functions_cannot_be_replaced(server, name):
    for kind in ["MACRO", "FUNCTION", "TEMP MACRO", "OR REPLACE MACRO"]:
        kind = f"OR REPLACE {kind}".replace("OR REPLACE OR REPLACE", "OR REPLACE")
        with pytest.raises(adbc_driver_manager.Error, match="built-in|function"):
            server.sql(f"CREATE {kind} {name} AS 1")


def test_nothing_is_read_to_describe_a_statement(server, asset):
    with server.adbc() as connection, connection.cursor() as cursor:
        schema = cursor.adbc_execute_schema(f"SELECT read_object('{asset}x') AS b")
    assert schema.names == ["b"] and pyarrow.types.is_binary(schema.field("b").type)


# === clips ===


@pytest.fixture(scope="module")
def videos():
    if not harness.SHARED_DATA.is_dir():
        pytest.skip("skipped: ../shared/data is absent")
    return harness.SHARED_DATA / "video"


@pytest.fixture(scope="module")
def lake(tmp_path_factory, buckets, videos):
    """A server on S3 with both clips, so that its requests can be counted."""
    uri = buckets.make_bucket("clips")
    folder = tmp_path_factory.mktemp("lake")
    server = harness.Server(
        folder, "--storage", uri, "--http", "127.0.0.1:0", store=buckets.root / "clips", variables=buckets.variables
    )
    try:
        server.start().result("ingest", {"source": videos.as_uri(), "dataset": "clips"})
        yield server
    finally:
        server.discard()


FRAGMENT = "fragment_bytes(clip_uri, init_length, byte_offset, byte_length)"


def test_selected_fragments_are_playable_and_nothing_else_is_read(lake, buckets):
    selected = "FROM silver.clips_fragments WHERE fragment_id IN (1, 2) AND clip_uri LIKE '%car%'"
    chosen = lake.sql(f"SELECT n_frames, init_length + byte_length {selected} ORDER BY fragment_id")
    buckets.seen()
    rows = lake.sql(f"SELECT n_frames, {FRAGMENT} {selected} ORDER BY fragment_id")
    for n_frames, blob in rows:
        with av.open(io.BytesIO(blob)) as container:
            assert sum(1 for _ in container.decode(container.streams.video[0])) == n_frames
    assert [(n, len(blob)) for n, blob in rows] == chosen
    # The initialization segment once, and the two neighbours together.
    seen = [it["range"].removeprefix("bytes=").split("-") for it in buckets.seen("GET", "assets/")]
    assert len(seen) == 2, seen
    assert sum(int(last) + 1 - int(first) for first, last in seen) <= 1.02 * sum(length for _, length in chosen)


# === what a result says it read ===


def test_the_last_message_says_what_was_read(lake, buckets):
    buckets.seen()
    *batches, (last, read) = chunks(lake, f"SELECT fragment_id, {FRAGMENT} AS mp4 FROM silver.clips_fragments")
    seen = [it["range"].removeprefix("bytes=").split("-") for it in buckets.seen("GET", "assets/")]
    assert [metadata for _, metadata in batches] == [None] * len(batches) and sum(b.num_rows for b, _ in batches) > 9
    assert last.num_rows == 0 and last.schema == batches[0][0].schema
    assert read == {
        "bytes_read": sum(int(to) + 1 - int(first) for first, to in seen),
        "requests": len(seen),
    }


def test_a_result_without_reads_says_nothing(lake):
    for sql in ["SELECT 1", "SELECT read_object(NULL)", f"SELECT {FRAGMENT} FROM silver.clips_fragments WHERE false"]:
        assert [metadata for _, metadata in chunks(lake, sql) if metadata] == []


def test_each_result_says_what_its_own_statement_read(server, asset):
    def read(length):
        # Also with a dictionary, and without any rows in the result.
        blob = f"read_range('{asset}', 0, {length})"
        for sql in [
            f"SELECT {blob}",
            f"SELECT 'a'::ENUM ('a', 'b') AS e, {blob}",
            f"SELECT 1 WHERE octet_length({blob}) = 0",
            f"SELECT {blob} FROM range(5)",
        ]:
            assert [*chunks(server, sql)][-1][1] == {"bytes_read": length, "requests": 1}, sql

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(read, range(1, 65)))


# === cancelling ===


@pytest.mark.parametrize("how", ["cancel", "disconnect", "timeout", "shutdown"])
def test_a_query_that_waits_for_the_store_ends_when_nobody_wants_it(launch, buckets, videos, how):
    bucket = f"slow-{how}"
    flags = ["--storage", buckets.make_bucket(bucket), "--max-connections", 1, "--grace-seconds", 0]
    flags += ["--query-timeout-seconds", 2] if how == "timeout" else []
    lake = launch(*flags, store=buckets.root / bucket, variables=buckets.variables)
    lake.result("ingest", {"source": videos.as_uri(), "dataset": "clips"})
    # More fragments than are requested at once, which all the threads read.
    sql = f"SELECT sum(octet_length({FRAGMENT})) FROM silver.clips_fragments, range(50_000)"
    buckets.order({"fault": "blackhole", "method": "GET", "contains": "assets/"})
    try:
        with wire.Wire(lake) as client:
            info = client.query(sql)
            harness.wait_until(lambda: buckets.seen("GET", "assets/"), "the query reads")
            started = time.monotonic()
            if how == "cancel":
                assert client.cancel(info.data) == wire.CANCELLED
            elif how == "timeout":
                with wire.refused(grpc.StatusCode.DEADLINE_EXCEEDED):
                    list(client.get(info.endpoints[0].ticket))
            elif how == "disconnect":
                client.get(info.endpoints[0].ticket).cancel()
            else:
                lake.stop()
        if how != "shutdown":
            # The only connection is free.
            assert lake.scalar("SELECT 42") == 42
        assert time.monotonic() - started < 3
        assert buckets.seen("GET", "assets/") == []
    finally:
        buckets.heal()


@pytest.mark.parametrize(
    "query",
    [
        f"SELECT {FRAGMENT} AS mp4 FROM silver.clips_fragments ORDER BY n_frames, fragment_id DESC LIMIT 2",
        f"SELECT octet_length({FRAGMENT}) AS n FROM silver.clips_fragments ORDER BY byte_length LIMIT 2",
        f"SELECT fragment_id, {FRAGMENT} AS a, n_frames, {FRAGMENT} FROM silver.clips_fragments ORDER BY 3, 1 LIMIT 2",
        f"SELECT {FRAGMENT} FROM silver.clips_fragments LIMIT 2",
        f"FROM (SELECT n_frames, {FRAGMENT} FROM silver.clips_fragments) WHERE n_frames < 60",
        f"FROM (SELECT fragment_id, {FRAGMENT} FROM silver.clips_fragments ORDER BY 1 LIMIT 2) ORDER BY 1 DESC",
    ],
)
def test_only_the_rows_that_remain_are_read(lake, buckets, query):
    buckets.seen()
    assert 1 <= len(lake.sql(query)) <= 2
    # Two requests a fragment at the most, and two fragments at the most.
    assert 1 <= len(buckets.seen("GET", "assets/")) <= 4


def test_an_order_by_what_is_read_is_right(lake):
    read = f"SELECT fragment_id, {FRAGMENT} AS mp4 FROM silver.clips_fragments"
    sql = f"FROM ({read}) ORDER BY octet_length(mp4) DESC, 1 LIMIT 3"
    size = "init_length + byte_length"
    sizes = lake.sql(f"SELECT fragment_id, {size} FROM silver.clips_fragments ORDER BY 2 DESC, 1 LIMIT 3")
    assert [(number, len(blob)) for number, blob in lake.sql(sql)] == sizes


def test_fragments_of_an_earlier_snapshot_are_readable(lake):
    version = lake.head()
    lake.sql("CREATE TABLE silver.moved AS FROM silver.clips_fragments")
    lake.sql("DELETE FROM silver.clips_fragments WHERE fragment_id > 0")
    past = f"silver.clips_fragments AT (VERSION => {version})"
    assert lake.scalar(f"SELECT count(*) FROM (SELECT {FRAGMENT} AS b FROM {past}) WHERE octet_length(b) > 0") == 12
    lake.sql("INSERT INTO silver.clips_fragments FROM silver.moved WHERE fragment_id > 0")


def test_a_dead_store_is_unavailable(lake, buckets):
    with lake.adbc() as connection, connection.cursor() as cursor:
        buckets.order({"fault": "unavailable", "method": "GET", "contains": "assets/"})
        try:
            with pytest.raises(adbc_driver_manager.Error) as error:
                cursor.execute(f"SELECT {FRAGMENT} FROM silver.clips_fragments LIMIT 1")
                cursor.fetchall()
        finally:
            buckets.heal()
        assert error.value.status_code.name == "IO" and "Unavailable" in str(error.value), error.value
        cursor.execute(f"SELECT octet_length({FRAGMENT}) > 0 FROM silver.clips_fragments LIMIT 1")
        assert cursor.fetchone() == (True,)
