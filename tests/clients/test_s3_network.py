"""A lake on S3 whose network fails: connections are refused, break midway, or never get a response."""

import itertools
import time

import adbc_driver_manager
import pyarrow
import pyarrow.flight
import pyarrow.parquet
import pytest

import harness
from cable import Cable

# A request is tried four times, one second each; a small write fails after twice that time.
PATIENCE = 4
# Far shorter than a hang, and longer than a busy machine needs.
PROMPT = 5 * PATIENCE
ROWS = "SELECT i, md5(i::VARCHAR) AS s FROM range(20_000) r(i)"
# In the middle of the file for those rows.
MIDDLE = 200_000
FAULTS = {
    "refused": Cable.refuse,
    "silent": Cable.swallow,
    "cut on the way there": lambda cable: cable.cut(forth=MIDDLE),
    "cut on the way back": lambda cable: cable.cut(back=MIDDLE),
    "cut before the answer": lambda cable: cable.cut(back=0),
}
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def cable(buckets):
    cable = Cable(buckets.url)
    try:
        yield cable
    finally:
        cable.discard()


@pytest.fixture(scope="module")
def server(tmp_path_factory, new_storage, buckets, cable):
    flags, settings = new_storage("s3")
    settings["variables"] = buckets.variables | {"AWS_ENDPOINT_URL": cable.url}
    flags += ["--storage-timeout-seconds", PATIENCE]
    server = harness.Server(tmp_path_factory.mktemp("server"), *flags, **settings)
    try:
        yield server.start()
    finally:
        server.discard()


@pytest.fixture(autouse=True)
def mended(cable):
    """Faults end with the test that injected them."""
    yield
    cable.mend()


def files(server, below):
    return {path.name for path in (server.store / below).rglob("*") if path.is_file()}


def fails(server, sql):
    """Executes a statement that must fail as Unavailable, soon, and with a helpful message."""
    start = time.monotonic()
    with pytest.raises(adbc_driver_manager.OperationalError, match="the object store.*(does not answer|failed at every attempt)") as failed:
        server.sql(sql)
    assert "UNAVAILABLE" in str(failed.value).upper(), failed.value
    assert time.monotonic() - start < PROMPT


@pytest.mark.parametrize("fault", ["refused", "silent", "cut on the way there", "cut before the answer"])
def test_a_write_that_does_not_arrive_commits_nothing(server, cable, name, fault):
    server.sql(f"CREATE TABLE {name} AS {ROWS}")
    version = server.head()
    live = files(server, f"lake/main/{name}")
    FAULTS[fault](cable)
    # A large file takes a minute: DuckDB checks the mean speed of six seconds in which data was transferred.
    fails(server, f"INSERT INTO {name} " + ("VALUES (0, '')" if fault == "silent" else ROWS))
    # While the store is down, operations that do not need it work.
    assert server.scalar("SELECT 42") == 42
    cable.mend()
    assert server.head() == version
    assert server.sql(f"SELECT count(*), count(DISTINCT s) FROM {name}") == [(20_000, 20_000)]
    server.sql(f"INSERT INTO {name} VALUES (-1, 'more')")
    assert server.scalar(f"SELECT count(*) FROM {name}") == 20_001
    # Objects that arrived without a response are not referenced.
    server.result("maintain", {"steps": ["orphans"], "grace_hours": 0})
    assert len(files(server, f"lake/main/{name}") - live) == 1


@pytest.mark.parametrize("fault", ["refused", "silent", "cut on the way back", "cut before the answer"])
def test_a_read_that_does_not_arrive_reports_it(server, cable, name, fault):
    server.sql(f"CREATE TABLE {name} AS {ROWS}")
    server.restart()
    FAULTS[fault](cable)
    fails(server, f"SELECT count(DISTINCT s) FROM {name}")
    assert server.scalar("SELECT 42") == 42
    cable.mend()
    assert server.scalar(f"SELECT count(DISTINCT s) FROM {name}") == 20_000


@pytest.mark.parametrize("cut", [{"forth": MIDDLE}, {"back": MIDDLE}, {"forth": 0}, {"back": 0}], ids=str)
def test_two_cuts_are_not_noticed(server, cable, name, cut):
    server.sql(f"CREATE TABLE {name} AS {ROWS}")
    server.restart()
    cable.cut(**cut, times=2)
    assert server.scalar(f"SELECT count(DISTINCT s) FROM {name}") == 20_000
    server.sql(f"INSERT INTO {name} {ROWS}")
    assert server.sql(f"SELECT count(*), count(DISTINCT s) FROM {name}") == [(40_000, 20_000)]
    assert cable.cuts == 2


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A folder with a file of 30 MB, which is stored in three parts of 10 MiB."""
    folder = tmp_path_factory.mktemp("large")
    rows = pyarrow.table({"noise": pyarrow.array(range(4_000_000), pyarrow.int64())})
    pyarrow.parquet.write_table(rows, folder / "large.parquet", compression="none", use_dictionary=False)
    return folder


@pytest.mark.parametrize("fault", ["refused", "silent", "cut on the way there"])
def test_a_landing_that_breaks_off_leaves_no_dataset(server, cable, large, fault):
    dataset = f"broken{next(_numbers)}"
    body = {"source": large.as_uri(), "dataset": dataset}
    version = server.head()
    FAULTS[fault](cable)
    start = time.monotonic()
    with pytest.raises(pyarrow.flight.FlightUnavailableError, match="the store does not answer"):
        server.result("ingest", body)
    assert time.monotonic() - start < PROMPT
    cable.mend()
    assert server.head() == version and files(server, f"raw/{dataset}") == set()
    assert server.result("ingest", body)["rows_added"] == 4_000_000
    assert server.scalar(f"SELECT count(DISTINCT noise) FROM raw.{dataset}") == 4_000_000


def test_a_landing_outlives_two_cuts(server, cable, large):
    dataset = f"mended{next(_numbers)}"
    cable.cut(forth=5 << 20, times=2)
    assert server.result("ingest", {"source": large.as_uri(), "dataset": dataset})["rows_added"] == 4_000_000
    assert cable.cuts == 2
    [landed] = (server.store / "raw" / dataset).rglob("*.parquet")
    assert landed.read_bytes() == (large / "large.parquet").read_bytes()
