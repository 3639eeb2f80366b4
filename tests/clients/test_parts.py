"""A whole table as several endpoints, for the client that reads them concurrently; one endpoint for all others."""

import json

import pyarrow
import pytest

import harness
import protobuf
import wire

ROWS = 2_400_000
COLUMNS = "i, i * 7 % 1000 AS n, 'text of ' || i AS text"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server with two threads, whatever the machine has."""
    server = harness.Server(tmp_path_factory.mktemp("server"), "--threads", "2")
    try:
        yield server.start()
    finally:
        server.discard()


@pytest.fixture(scope="module")
def one_file(server):
    server.sql(f"CREATE TABLE one_file AS SELECT {COLUMNS} FROM range({ROWS}) t(i)")
    return "one_file"


@pytest.fixture(scope="module")
def many_files(server):
    server.sql(f"CREATE TABLE many_files AS SELECT {COLUMNS} FROM range(0) t(i)")
    for start in range(0, ROWS, ROWS // 6):
        server.sql(f"INSERT INTO many_files SELECT {COLUMNS} FROM range({start}, {start + ROWS // 6}) t(i)")
    server.sql("DELETE FROM many_files WHERE i % 1000 = 0")
    return "many_files"


@pytest.fixture
def reader(server):
    """A client with a session, which calls like ADBC's driver."""
    with wire.Wire(server, "ada", primary_user_agent="ADBC Flight SQL Driver test") as connection:
        yield connection


def read(connection, info):
    """The rows of all endpoints, concatenated."""
    return pyarrow.concat_tables(wire.rows(connection.get(endpoint.ticket)) for endpoint in info.endpoints)


def snapshot(info):
    return json.loads(info.app_metadata)["snapshot_id"]


@pytest.mark.parametrize("table", ["one_file", "many_files"])
def test_the_parts_make_up_the_table_in_its_order(request, server, reader, table):
    request.getfixturevalue(table)
    info = reader.query(f"SELECT * FROM {table}")
    assert len(info.endpoints) == 2 and info.ordered
    whole = wire.rows(reader.get(protobuf.statement(f"SELECT * FROM {table}")))
    first = wire.rows(reader.get(reader.query(f"SELECT * FROM {table}").endpoints[0].ticket))
    assert 0.3 < first.num_rows / whole.num_rows < 0.7
    assert read(reader, info).equals(whole)
    assert whole["i"].to_pylist() == sorted(whole["i"].to_pylist())


@pytest.mark.parametrize(
    "text",
    [
        "FROM {}",
        "SELECT text, i AS number FROM lake.main.{}",
        "SELECT t.n FROM {} t",
        "SELECT t.n FROM {} AS t;",
    ],
)
def test_every_way_to_write_it_is_taken_apart(server, reader, one_file, text):
    info = reader.query(text.format(one_file))
    assert len(info.endpoints) == 2
    assert read(reader, info).equals(wire.rows(reader.get(protobuf.statement(text.format(one_file)))))


def test_prepared_statements_too(reader, many_files):
    handle = reader.prepare(f"SELECT * FROM {many_files}")
    info = reader.info(protobuf.sql_command("CommandPreparedStatementQuery", (1, handle)))
    assert len(info.endpoints) == 2
    assert read(reader, info).num_rows == ROWS - ROWS // 1000


def test_adbc_reads_them_in_order(server, many_files):
    with server.adbc() as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {many_files}")
        numbers = cursor.fetch_arrow_table()["i"].to_numpy()
    assert len(numbers) == ROWS - ROWS // 1000 and (numbers[1:] > numbers[:-1]).all()


def test_adbc_gets_them(server, many_files):
    with server.adbc() as connection, connection.cursor() as cursor:
        partitions, schema = cursor.adbc_execute_partitions(f"SELECT * FROM {many_files}")
        assert len(partitions) == 2 and schema.names == ["i", "n", "text"]
        rows = []
        for partition in partitions:
            cursor.adbc_read_partition(partition)
            rows.append(cursor.fetch_arrow_table().num_rows)
    assert sum(rows) == ROWS - ROWS // 1000 and min(rows) > ROWS // 3


def test_parts_read_one_snapshot(server, reader):
    server.sql(f"CREATE TABLE moving AS SELECT i FROM range({ROWS}) t(i)")
    at = server.scalar("SELECT id FROM lake.current_snapshot()")
    info = reader.query("SELECT * FROM moving")
    server.sql("DELETE FROM moving WHERE i % 2 = 0")
    assert len(info.endpoints) == 2 and snapshot(info) == at
    assert read(reader, info).num_rows == ROWS
    assert read(reader, reader.query("SELECT * FROM moving")).num_rows == ROWS / 2
    server.sql("DROP TABLE moving")


def test_others_get_one_endpoint(server, ada, one_file):
    [_] = ada.query(f"SELECT * FROM {one_file}").endpoints


def test_so_do_other_statements(server, reader, one_file, table):
    server.sql(f"CREATE VIEW seen AS FROM {one_file}")
    server.sql(f"CREATE TABLE hidden AS SELECT i, i AS file_row_number FROM range({ROWS}) t(i)")
    for sql in [
        f"SELECT * FROM {table}",
        f"SELECT * FROM {one_file} WHERE i < 10",
        f"SELECT * FROM {one_file} LIMIT 10",
        f"SELECT count(*) FROM {one_file}",
        f"SELECT * FROM {one_file} AT (VERSION => {server.scalar('SELECT id FROM lake.current_snapshot()')})",
        "SELECT * FROM seen",
        "SELECT * FROM hidden",
    ]:
        [endpoint] = reader.query(sql).endpoints
        reader.get(endpoint.ticket).cancel()


def test_what_a_transaction_wrote_is_read_in_one(reader, one_file):
    [result] = reader.action("BeginTransaction", protobuf.sql_command("ActionBeginTransactionRequest"))
    [transaction] = protobuf.unpack(result)[1][1]
    info = reader.query(f"SELECT * FROM {one_file}", transaction)
    assert len(info.endpoints) == 1


def test_cancelling_ends_all(server, reader, one_file):
    info = reader.query(f"SELECT * FROM {one_file}")
    assert len(info.endpoints) == 2
    assert reader.cancel(info.data) == wire.CANCELLED
    for endpoint in info.endpoints:
        with wire.refused(wire.grpc.StatusCode.NOT_FOUND):
            list(reader.get(endpoint.ticket))


def test_an_unknown_table_is_an_error_as_ever(reader):
    with wire.refused(wire.grpc.StatusCode.NOT_FOUND) as said:
        reader.query("SELECT * FROM nowhere")
    assert "nowhere" in said[0]
