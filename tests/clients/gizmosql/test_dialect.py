"""SQLAlchemy 2 with GizmoSQL's dialect: transactions are the statements begin, commit and rollback."""

import pytest
import sqlalchemy


@pytest.fixture
def engine(server):
    engine = sqlalchemy.create_engine(server.uri.replace("grpc://", "gizmosql://ann:secret@") + "?catalog=lake")
    yield engine
    engine.dispose()


def test_a_query(engine):
    with engine.connect() as connection:
        query = sqlalchemy.text("SELECT i FROM range(10) t(i) WHERE i < :most ORDER BY i")
        assert connection.execute(query, {"most": 3}).fetchall() == [(0,), (1,), (2,)]


def test_commit_and_rollback(server, engine, name):
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text(f"CREATE TABLE {name} (n BIGINT)"))
        connection.execute(sqlalchemy.text(f"INSERT INTO {name} VALUES (1)"))
    assert server.scalar(f"SELECT count(*) FROM {name}") == 1
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text(f"INSERT INTO {name} VALUES (2)"))
        connection.rollback()
    assert server.scalar(f"SELECT count(*) FROM {name}") == 1


def test_tables_are_made_and_inspected(server, engine, name):
    metadata = sqlalchemy.MetaData()
    table = sqlalchemy.Table(name, metadata, sqlalchemy.Column("n", sqlalchemy.BigInteger), sqlalchemy.Column("s", sqlalchemy.String))
    metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(table.insert(), [{"n": 1, "s": "a"}, {"n": 2, "s": None}])
    assert server.sql(f"FROM {name} ORDER BY n") == [(1, "a"), (2, None)]
    inspector = sqlalchemy.inspect(engine)
    assert name in inspector.get_table_names()
    assert [column["name"] for column in inspector.get_columns(name)] == ["n", "s"]
