"""SQLAlchemy with flightsql-dbapi 0.2.2: a dialect for SQLAlchemy 1.4 that only reads, and runs all statements as
queries."""

import flightsql
import pyarrow
import pytest
import sqlalchemy


@pytest.fixture
def engine(server):
    address = server.uri.removeprefix("grpc://")
    engine = sqlalchemy.create_engine(f"datafusion://ann:secret@{address}?insecure=True")
    yield engine
    engine.dispose()


def test_a_query_gives_rows(engine):
    with engine.connect() as connection:
        rows = connection.execute(sqlalchemy.text("SELECT i, 'x' || i FROM range(3) t(i)")).fetchall()
    assert rows == [(0, "x0"), (1, "x1"), (2, "x2")]


def test_the_catalog_is_inspected(server, engine, name):
    server.sql(f"CREATE TABLE {name} (n BIGINT, name VARCHAR)")
    server.sql(f"CREATE TABLE {name}_longer (m BIGINT)")
    inspector = sqlalchemy.inspect(engine)
    assert {"raw", "silver", "gold"} <= set(inspector.get_schema_names())
    assert name in inspector.get_table_names()
    # It takes the first of the tables that match a pattern.
    assert [column["name"] for column in inspector.get_columns(name)] == ["n", "name"]
    assert inspector.has_table(name) and not inspector.has_table("nowhere")


def test_an_expression_is_compiled(server, engine, name):
    server.sql(f"CREATE TABLE {name} AS SELECT i AS n FROM range(10) t(i)")
    table = sqlalchemy.Table(name, sqlalchemy.MetaData(), sqlalchemy.Column("n", sqlalchemy.Integer))
    query = sqlalchemy.select(sqlalchemy.func.sum(table.c.n)).where(table.c.n > 6)
    with engine.connect() as connection:
        assert connection.execute(query).scalar() == 24


def test_statements_run_once(server, name):
    """The driver underneath: it sends DDL and DML as queries."""
    connection = connect(server)
    cursor = connection.cursor()
    cursor.execute(f"CREATE TABLE {name} (n BIGINT, s VARCHAR)")
    cursor.execute(f"INSERT INTO {name} VALUES (1, 'a')")
    cursor.execute(f"INSERT INTO {name} VALUES (?, ?)", [2, "b"])
    cursor.executemany(f"INSERT INTO {name} VALUES (?, ?)", [[3, "c"], [4, "d"]])
    cursor.execute(f"SELECT * FROM {name} WHERE n >= ? ORDER BY n", [2])
    assert cursor.fetchall() == [[2, "b"], [3, "c"], [4, "d"]]
    assert server.scalar(f"SELECT count(*) FROM {name}") == 4
    connection.close()


def test_a_failure_reports_its_cause(server):
    connection = connect(server)
    with pytest.raises(pyarrow.ArrowKeyError, match="nowhere"):
        connection.cursor().execute("FROM nowhere")
    connection.close()


def connect(server):
    host, port = server.uri.removeprefix("grpc://").split(":")
    client = flightsql.FlightSQLClient(host=host, port=int(port), insecure=True, user="ann", password="secret")
    return flightsql.connect(client)
