"""pandas over ADBC: data frames from queries and into tables."""

import datetime

import pandas
import pytest

FRAME = pandas.DataFrame(
    {
        "n": [1, 2, 3],
        "x": [0.5, None, -1.5],
        "name": ["a", None, "ä"],
        "stamp": pandas.to_datetime(["1969-12-31 23:59:59.5", "2024-02-29 00:00:00.0", None]),
    }
)


def test_a_query_gives_a_frame(server):
    with server.adbc() as connection:
        frame = pandas.read_sql("SELECT i AS n, 'x' || i AS name FROM range(5) t(i) WHERE i > 1", connection)
    assert list(frame["n"]) == [2, 3, 4]
    assert list(frame["name"]) == ["x2", "x3", "x4"]


def test_types_of_arrow_stay(server):
    sql = "SELECT DATE '2024-02-29' AS day, 1.50::DECIMAL(10, 2) AS price, [1, 2] AS list"
    with server.adbc() as connection:
        frame = pandas.read_sql(sql, connection, dtype_backend="pyarrow")
    assert frame["day"][0] == datetime.date(2024, 2, 29)
    assert str(frame["price"][0]) == "1.50"
    assert list(frame["list"][0]) == [1, 2]


def test_an_empty_result_has_columns(server):
    with server.adbc() as connection:
        frame = pandas.read_sql("SELECT 1 AS a, 'x' AS b WHERE false", connection)
    assert list(frame.columns) == ["a", "b"] and len(frame) == 0


@pytest.mark.parametrize("autocommit", [True, False])
def test_a_frame_becomes_a_table_and_comes_back(server, name, autocommit):
    with server.adbc(autocommit=autocommit) as connection:
        assert FRAME.to_sql(name, connection, index=False) == 3
        connection.commit() if not autocommit else None
        back = pandas.read_sql_table(name, connection)
    pandas.testing.assert_frame_equal(back.sort_values("n", ignore_index=True), FRAME, check_dtype=False)
    assert server.scalar(f"SELECT stamp FROM {name} WHERE n = 1") == datetime.datetime(1969, 12, 31, 23, 59, 59, 500000)


def test_an_existing_table(server, name):
    with server.adbc() as connection:
        FRAME.to_sql(name, connection, index=False)
        with pytest.raises(ValueError, match="already exists"):
            FRAME.to_sql(name, connection, index=False)
        FRAME.to_sql(name, connection, index=False, if_exists="append")
        assert server.scalar(f"SELECT count(*) FROM {name}") == 6
        FRAME.head(1).to_sql(name, connection, index=False, if_exists="replace")
        assert server.scalar(f"SELECT count(*) FROM {name}") == 1


def test_a_table_of_a_layer(server, name):
    with server.adbc() as connection:
        FRAME.to_sql(name, connection, schema="silver", index=False)
    assert server.scalar(f"SELECT count(*) FROM silver.{name}") == 3
