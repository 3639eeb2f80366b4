"""Fixtures: servers on free ports with homes of their own, and the data that is shared between checkouts."""

import itertools
import json
import os

import pytest

import harness
import postgres

CATALOGS = ["duckdb", "sqlite", "postgres"]
_numbers = itertools.count(1)


def pytest_addoption(parser):
    parser.addoption("--catalog", choices=CATALOGS, default="duckdb", help="what the servers keep their catalogs in")


def pytest_configure():
    program = os.environ.get("MERGANSER_BIN", "")
    if not os.access(program, os.X_OK):
        pytest.exit(
            f'MERGANSER_BIN must name the built program, it is "{program}": '
            "run tests/run.sh, or MERGANSER_BIN=target/release/merganser python3 -m pytest tests/clients",
            returncode=2,
        )


@pytest.fixture(scope="session")
def catalog_flags(request):
    """Flags for a new catalog: catalog_flags(folder, kind), where the kind is by default the one that pytest was told."""

    def flags(folder, kind=None):
        kind = kind or request.config.getoption("catalog")
        if kind == "sqlite":
            return ["--catalog", f"sqlite:{folder / 'catalog.sqlite'}"]
        if kind == "postgres":
            return ["--catalog", request.getfixturevalue("cluster").make_database(f"lake{next(_numbers)}")]
        return []

    return flags


@pytest.fixture(scope="module")
def server(tmp_path_factory, catalog_flags):
    """A server that the tests of a file share; each test uses names of its own."""
    folder = tmp_path_factory.mktemp("server")
    server = harness.Server(folder, *catalog_flags(folder))
    try:
        yield server.start()
    finally:
        server.discard()


@pytest.fixture
def launch(tmp_path_factory, catalog_flags):
    """Starts servers that belong to one test: launch(flag, …) gives a running one."""
    servers = []

    def start(*flags, **settings):
        folder = tmp_path_factory.mktemp("server")
        flags = flags if "--catalog" in flags else [*flags, *catalog_flags(folder)]
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


@pytest.fixture
def shared_data():
    if not harness.SHARED_DATA.is_dir():
        pytest.skip("skipped: ../shared/data is absent")
    return harness.SHARED_DATA


@pytest.fixture(scope="session")
def sample(tmp_path_factory):
    """A generated COCO folder and the true counts of what it holds."""
    folder = tmp_path_factory.mktemp("sample") / "coco"
    made = harness.run("sample", folder, "--images", 40, "--json")
    assert made.returncode == 0, made.stderr
    return folder, json.loads(made.stdout)
