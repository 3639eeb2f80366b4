"""read_object, read_range and fragment_bytes: bytes of the store in SQL, and no more of them than were asked for."""

import io

import adbc_driver_manager
import av
import pyarrow.parquet
import pytest

import harness

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


def test_rows_that_would_fill_the_memory_are_refused(server, asset):
    with server.adbc() as connection, connection.cursor() as cursor:
        with pytest.raises(adbc_driver_manager.Error, match="RESOURCE_EXHAUSTED|more than 256 MiB"):
            cursor.execute(f"SELECT sum(octet_length(b)) FROM (SELECT read_object('{asset}') AS b FROM range(2048))")
            cursor.fetchall()
    assert server.peak_rss_bytes() < 1 << 30


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
