"""Fixtures: servers on free ports with homes of their own, and the data that is shared between checkouts."""

import itertools
import json
import os

import pytest

import harness

_numbers = itertools.count(1)


def pytest_configure():
    program = os.environ.get("MERGANSER_BIN", "")
    if not os.access(program, os.X_OK):
        pytest.exit(
            f'MERGANSER_BIN must name the built program, it is "{program}": '
            "run tests/run.sh, or MERGANSER_BIN=target/release/merganser python3 -m pytest tests/clients",
            returncode=2,
        )


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server that the tests of a file share; each test uses names of its own."""
    server = harness.Server(tmp_path_factory.mktemp("server"))
    try:
        yield server.start()
    finally:
        server.discard()


@pytest.fixture
def launch(tmp_path_factory):
    """Starts servers that belong to one test: launch(flag, …) gives a running one."""
    servers = []

    def start(*flags, **settings):
        server = harness.Server(tmp_path_factory.mktemp("server"), *flags, **settings)
        servers.append(server)
        return server.start()

    yield start
    for server in servers:
        server.discard()


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
