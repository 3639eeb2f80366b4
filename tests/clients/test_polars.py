"""polars over ADBC: data frames from queries and into tables."""

import datetime

import adbc_driver_manager
import polars
import polars.testing
import pytest

FRAME = polars.DataFrame(
    {
        "n": [1, 2, 3],
        "x": [0.5, None, -1.5],
        "name": ["a", None, "ä"],
        "stamp": [datetime.datetime(1969, 12, 31, 23, 59, 59, 500000), None, datetime.datetime(2024, 2, 29)],
        "tags": [["a"], [], None],
    }
)


def write(frame, connection, table, mode="fail"):
    return frame.write_database(table, connection, engine="adbc", if_table_exists=mode)


def test_a_query_gives_a_frame(server):
    with server.adbc() as connection:
        frame = polars.read_database("SELECT i AS n, 'x' || i AS name FROM range(5) t(i) WHERE i > 1", connection)
    assert frame.rows() == [(2, "x2"), (3, "x3"), (4, "x4")]


def test_a_query_with_parameters(server):
    with server.adbc() as connection:
        options = {"parameters": [3]}
        frame = polars.read_database("FROM range(10) t(n) WHERE n < ?", connection, execute_options=options)
    assert frame["n"].to_list() == [0, 1, 2]


def test_a_large_result_comes_in_batches(server):
    with server.adbc() as connection:
        frames = polars.read_database("FROM range(1000000) t(n)", connection, iter_batches=True, batch_size=1)
        sizes = [len(frame) for frame in frames]
    assert sum(sizes) == 1_000_000 and len(sizes) > 1


def test_a_query_by_address(server):
    # polars finds the driver by the scheme.
    address = server.uri.replace("grpc://", "flightsql://") + "?transport=tcp"
    frame = polars.read_database_uri("SELECT 1 AS a, NULL::VARCHAR AS b", address, engine="adbc")
    assert frame.rows() == [(1, None)]


def test_a_frame_becomes_a_table_and_comes_back(server, name):
    with server.adbc() as connection:
        assert write(FRAME, connection, name) == 3
        back = polars.read_database(f"FROM {name} ORDER BY n", connection)
    polars.testing.assert_frame_equal(back, FRAME)


def test_an_existing_table(server, name):
    with server.adbc() as connection:
        write(FRAME, connection, name)
        with pytest.raises(adbc_driver_manager.ProgrammingError, match="already exists"):
            write(FRAME, connection, name)
        write(FRAME, connection, name, "append")
        assert server.scalar(f"SELECT count(*) FROM {name}") == 6
        write(FRAME.head(1), connection, name, "replace")
        assert server.scalar(f"SELECT count(*) FROM {name}") == 1


def test_a_table_of_a_layer(server, name):
    with server.adbc() as connection:
        write(FRAME, connection, f"silver.{name}")
    assert server.scalar(f"SELECT count(*) FROM silver.{name}") == 3
