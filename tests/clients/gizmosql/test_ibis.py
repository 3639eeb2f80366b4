"""ibis with GizmoSQL's backend."""

import ibis
import pandas
import pytest


@pytest.fixture
def lake(server):
    host, port = server.uri.removeprefix("grpc://").split(":")
    backend = ibis.gizmosql.connect(host=host, port=int(port), user="ann", password="secret")
    yield backend
    backend.disconnect()


def test_the_connection_is_in_utc(lake):
    assert lake.sql("SELECT current_setting('timezone') AS zone").execute()["zone"][0] == "UTC"
    assert lake.version.startswith("1.") or lake.version.startswith("v1.")


def test_an_expression(server, lake, name):
    server.sql(f"CREATE TABLE {name} AS SELECT i AS n, i % 3 AS k FROM range(10) t(i)")
    table = lake.table(name)
    sums = table.group_by("k").agg(total=table.n.sum()).order_by("k").execute()
    assert list(sums["total"]) == [18, 12, 15]


def test_a_frame_becomes_a_table(server, lake, name):
    lake.create_table(name, pandas.DataFrame({"n": [1, 2], "s": ["a", None]}))
    assert server.sql(f"SELECT n, s FROM {name} ORDER BY n") == [(1, "a"), (2, None)]
    assert name in lake.list_tables()
    # drop_table of this ibis omits the name with newer versions of sqlglot.
    server.sql(f"DROP TABLE {name}")
    assert name not in lake.list_tables()
    assert name not in lake.list_tables()


def test_a_temporary_table(server, lake, name):
    lake.create_table(name, pandas.DataFrame({"n": [1, 2]}), temp=True)
    assert lake.table(name).count().execute() == 2
    assert server.scalar(f"SELECT count(*) FROM duckdb_tables() WHERE table_name = '{name}'") == 0


def test_a_frame_in_an_expression(lake):
    frame = ibis.memtable({"n": [1, 2, 3]})
    assert lake.execute(frame.n.sum()) == 6
