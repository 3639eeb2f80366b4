"""Fixtures: servers on free ports with separate homes, and the data that is shared between checkouts."""

import importlib
import itertools
import json
import os
import subprocess
import sys
import time

import pytest

import harness
import postgres
import s3

CATALOGS = ["duckdb", "sqlite", "postgres"]
_numbers = itertools.count(1)


def pytest_addoption(parser):
    parser.addoption("--storage", choices=["local", "s3"], default="local", help="where the servers keep their data")
    parser.addoption("--catalog", choices=CATALOGS, default="duckdb", help="the kind of catalog of the servers")
    parser.addoption("--seed", type=int, default=int(time.time() // 86_400), help="seed of the random tests")
    parser.addoption("--rounds", type=int, default=3, help="number of kills in the tests that kill servers, at least 1")


def pytest_report_header(config):
    return f"seed of the random tests: --seed {config.getoption('seed')}"


def pytest_configure(config):
    config.addinivalue_line("markers", "own_catalog: chooses its catalogs itself, so that --catalog makes no difference")
    program = os.environ.get("MERGANSER_BIN", "")
    if not os.access(program, os.X_OK):
        pytest.exit(
            f'MERGANSER_BIN must be the built program, but is "{program}": '
            "run tests/run.sh, or MERGANSER_BIN=target/release/merganser python3 -m pytest tests/clients",
            returncode=2,
        )


def pytest_collection_modifyitems(config, items):
    """Leaves out of the runs for another catalog or storage what the first run has tested."""
    if config.getoption("catalog") == "duckdb" and config.getoption("storage") == "local":
        return
    repeated = [item for item in items if item.get_closest_marker("own_catalog")]
    items[:] = [item for item in items if item not in repeated]
    config.hook.pytest_deselected(items=repeated)


def pytest_terminal_summary(terminalreporter):
    """Appends the failures to the file that tests/run.sh prints in the end."""
    if "MERGANSER_FAILURES" not in os.environ or hasattr(terminalreporter.config, "workerinput"):
        return
    with open(os.environ["MERGANSER_FAILURES"], "a") as file:
        for report in terminalreporter.stats.get("failed", []) + terminalreporter.stats.get("error", []):
            crash = getattr(report.longrepr, "reprcrash", None)
            reason = crash.message if crash else report.longreprtext
            file.write(f"{report.nodeid}:\n{reason[:2000]}\n")


@pytest.fixture(scope="session")
def rounds(request):
    """The number of kills in a test: a few, or as many as a long run specifies."""
    return max(1, request.config.getoption("rounds"))


@pytest.fixture(scope="session")
def catalog_flags(request):
    """Flags for a new catalog: catalog_flags(folder, kind); the kind is by default that of pytest's option."""

    def flags(folder, kind=None):
        kind = kind or request.config.getoption("catalog")
        if kind == "sqlite":
            return ["--catalog", f"sqlite:{folder / 'catalog.sqlite'}"]
        if kind == "postgres":
            return ["--catalog", request.getfixturevalue("cluster").make_database(f"lake{next(_numbers)}")]
        return []

    return flags


@pytest.fixture(scope="session")
def new_storage(request):
    """Flags and settings of a server for a new storage: new_storage(kind), by default that of pytest's option."""

    def storage(kind=None):
        if (kind or request.config.getoption("storage")) == "local":
            return [], {}
        buckets = request.getfixturevalue("buckets")
        bucket = f"lake-{next(_numbers)}"
        # A prefix, to verify that everything is below it.
        flags = ["--storage", f"{buckets.make_bucket(bucket)}/the/store"]
        return flags, {"store": buckets.root / bucket / "the/store", "variables": buckets.variables}

    return storage


@pytest.fixture(scope="module")
def server(tmp_path_factory, catalog_flags, new_storage):
    """A server that the tests of a file share; each test uses its own names."""
    folder = tmp_path_factory.mktemp("server")
    flags, settings = new_storage()
    server = harness.Server(folder, *catalog_flags(folder), *flags, **settings)
    try:
        yield server.start()
    finally:
        server.discard()


@pytest.fixture(scope="module", params=CATALOGS)
def server_of_each_kind(request, tmp_path_factory, catalog_flags):
    """A server that the tests of a file share, for each kind of catalog."""
    folder = tmp_path_factory.mktemp(request.param)
    server = harness.Server(folder, *catalog_flags(folder, request.param))
    try:
        yield server.start()
    finally:
        server.discard()


@pytest.fixture
def launch(tmp_path_factory, catalog_flags, new_storage):
    """Starts servers for one test: launch(flag, …) returns a running one; beside=server shares its storage."""
    servers = []

    def start(*flags, beside=None, **settings):
        if beside:
            flags = [*flags, "--storage", beside.storage]
            settings = {"store": beside.store, "variables": beside.variables} | settings
        folder = tmp_path_factory.mktemp("server")
        flags = flags if "--catalog" in flags else [*flags, *catalog_flags(folder)]
        if "--storage" not in flags:
            more, for_storage = new_storage()
            flags, settings = [*flags, *more], for_storage | settings
        server = harness.Server(folder, *flags, **settings)
        servers.append(server)
        return server.start()

    yield start
    for server in servers:
        server.discard()


@pytest.fixture(scope="session")
def cluster():
    """PostgreSQL, running."""
    if postgres.programs() is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("skipped: PostgreSQL is absent")
    cluster = postgres.Postgres()
    try:
        yield cluster
    finally:
        cluster.discard()


@pytest.fixture(scope="session")
def buckets(tmp_path_factory):
    """An S3 server, running."""
    if s3.program() is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("skipped: cargo build --example s3 was not run")
    buckets = s3.S3(tmp_path_factory.mktemp("s3"))
    try:
        yield buckets
    finally:
        buckets.discard()


@pytest.fixture
def name():
    """A name for a table or data set that no other test uses."""
    return f"t{next(_numbers)}"


@pytest.fixture
def table(server, name):
    """A new table with one column, `i`."""
    server.sql(f"CREATE TABLE {name} (i BIGINT)")
    return name


@pytest.fixture
def ada(server):
    """Ada's session, by raw calls."""
    # Not every folder below this one has grpcio.
    import wire

    with wire.Wire(server, "ada") as connection:
        yield connection


@pytest.fixture(scope="session")
def package_folder(tmp_path_factory):
    """The folder where the wheel of clients/python is installed: what is packaged is tested, not the source tree."""
    folder = tmp_path_factory.mktemp("package")
    project, build = harness.ROOT / "clients" / "python", ["hatchling", "build", "-t", "wheel", "-d", folder]
    subprocess.run([sys.executable, "-m", *build], cwd=project, check=True, capture_output=True)
    [wheel] = folder.glob("*.whl")
    install = ["pip", "install", "--quiet", "--no-deps", "--no-index", "--target", folder / "lib", wheel]
    subprocess.run([sys.executable, "-m", *install], check=True)
    return folder / "lib"


@pytest.fixture(scope="session")
def package(package_folder):
    """The Python package `merganser`."""
    sys.path.insert(0, str(package_folder))
    yield importlib.import_module("merganser")
    sys.path.remove(str(package_folder))


@pytest.fixture
def shared_data():
    if not harness.SHARED_DATA.is_dir():
        pytest.skip("skipped: ../shared/data is absent")
    return harness.SHARED_DATA


@pytest.fixture(scope="session")
def sample(tmp_path_factory):
    """A generated COCO folder and the true counts of its content."""
    folder = tmp_path_factory.mktemp("sample") / "coco"
    made = harness.run("sample", folder, "--images", 40, "--json")
    assert made.returncode == 0, made.stderr
    return folder, json.loads(made.stdout)
