"""Files of the lake that were changed outside of it: reads report it, everything else continues."""

import json
import os

import grpc
import pyarrow
import pyarrow.parquet
import pytest

import protobuf
import wire

ROWS = "SELECT i, hash(i) AS h, 'row ' || i AS s FROM range(20_000) r(i)"


def cut(file):
    os.truncate(file, file.stat().st_size // 2)


def empty(file):
    os.truncate(file, 0)


def scramble(file):
    """The same size, different bytes."""
    file.write_bytes(bytes(reversed(file.read_bytes())))


def scramble_inside(file):
    """The same size, and the same start and end."""
    content = bytearray(file.read_bytes())
    content[1_000:50_000] = reversed(content[1_000:50_000])
    file.write_bytes(content)


def replace_by_less(file):
    pyarrow.parquet.write_table(other(3), file)


def replace_by_more(file):
    pyarrow.parquet.write_table(other(100_000), file)


def other(number):
    """Rows that fit the table, but are not its rows."""
    whole = range(number)
    return pyarrow.table(
        {
            "i": pyarrow.array(whole, pyarrow.int64()),
            "h": pyarrow.array(whole, pyarrow.uint64()),
            "s": [str(i) for i in whole],
        }
    )


DAMAGES = [cut, empty, scramble, scramble_inside, replace_by_less, replace_by_more]


def is_lost(ada, server, sql):
    """Executes a statement that must fail as DataLoss; returns the message."""
    with wire.refused(grpc.StatusCode.DATA_LOSS) as said:
        wire.rows(ada.get(protobuf.statement(sql)))
    assert "has changed since it was written" in said[0] and "://" not in said[0] and str(server.store) not in said[0]
    return said[0]


@pytest.mark.parametrize("storage", ["local", "s3"])
def test_a_damaged_file_is_reported_and_affects_no_others(launch, new_storage, storage):
    flags, settings = new_storage(storage)
    server = launch(*flags, **settings)
    files = {}
    for damage in DAMAGES:
        server.sql(f"CREATE TABLE {damage.__name__} AS {ROWS}")
        [files[damage]] = (server.store / "lake" / "main" / damage.__name__).glob("*.parquet")
    server.sql(f"CREATE TABLE whole AS {ROWS}")
    right = server.sql("SELECT sum(i), sum(h), count(DISTINCT s) FROM whole")
    contents = {damage: files[damage].read_bytes() for damage in DAMAGES}
    server.restart()
    version = server.head()
    for damage in DAMAGES:
        damage(files[damage])
    with wire.Wire(server, "ada") as ada:
        for damage in DAMAGES:
            name = damage.__name__
            told = is_lost(ada, server, f"SELECT sum(i), sum(h), count(DISTINCT s) FROM {name}")
            is_lost(ada, server, f"FROM {name}")
            is_lost(ada, server, f"UPDATE {name} SET s = s || '!'")
            assert files[damage].name in told or "server's log" in told
    assert server.sql("SELECT sum(i), sum(h), count(DISTINCT s) FROM whole") == right
    assert server.head() == version
    assert "ERROR" in server.log() and "panicked" not in server.log()
    for damage in DAMAGES:
        files[damage].write_bytes(contents[damage])
    server.restart()
    for damage in DAMAGES:
        assert server.sql(f"SELECT sum(i), sum(h), count(DISTINCT s) FROM {damage.__name__}") == right


def test_what_was_read_from_s3_is_still_there_when_the_object_changes(launch, new_storage):
    flags, settings = new_storage("s3")
    server = launch(*flags, **settings)
    server.sql(f"CREATE TABLE t AS {ROWS}")
    right = server.sql("SELECT sum(i), sum(h), count(DISTINCT s) FROM t")
    [file] = (server.store / "lake" / "main" / "t").glob("*.parquet")
    replace_by_less(file)
    assert server.sql("SELECT sum(i), sum(h), count(DISTINCT s) FROM t") == right


def test_a_damaged_file_of_a_client_is_the_clients(server, tmp_path):
    (tmp_path / "mine.parquet").write_bytes(b"PAR1 nothing PAR1")
    with wire.Wire(server, "ada") as ada, wire.refused(grpc.StatusCode.INVALID_ARGUMENT) as said:
        ada.query(f"FROM read_parquet('{tmp_path}/mine.parquet')")
    assert "mine.parquet" in said[0]
    with wire.Wire(server, "ada") as ada, wire.refused(grpc.StatusCode.INVALID_ARGUMENT) as said:
        ada.action("ingest", json.dumps({"source": tmp_path.as_uri(), "dataset": "mine"}).encode())
    assert "mine.parquet" in said[0]
