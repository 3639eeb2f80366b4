"""Files that are nested so deeply that their readers would overflow a stack: refused with their name, in SQL and by the
action ingest, and the same server answers the next query."""

import os

import adbc_driver_manager
import pytest

import protobuf

# Types of the compact protocol of Thrift.
I32, I64, BINARY, LIST, STRUCT = 5, 6, 8, 9, 12


def zigzag(number):
    return protobuf.varint(number << 1)


def thrift(*fields, end=b"\0"):
    """A struct of (number, type, encoded value), by rising number."""
    numbers = [0, *(number for number, _, _ in fields)]
    return b"".join(bytes([number - last << 4 | kind]) + value for last, (number, kind, value) in zip(numbers, fields)) + end


def node(name, children=0, end=b"\0", size=0):
    """A group with that number of children, else an optional number."""
    name = (4, BINARY, protobuf.varint(len(name) + size) + name)
    if children:
        return thrift((3, I32, zigzag(1)), name, (5, I32, zigzag(children)), end=end)
    return thrift((1, I32, zigzag(1)), (3, I32, zigzag(1)), name)


def parquet(*nodes, kind=STRUCT, field=None, count=0):
    """A file without rows, with that schema; its list has elements of `kind`, and the number `field` in the long form."""
    nodes = [node(b"root", 1), *nodes]
    schema = bytes([15 << 4 | kind]) + protobuf.varint(len(nodes) + count) + b"".join(nodes)
    if field:
        schema = thrift((0, LIST, zigzag(field) + schema), end=b"")
        footer = thrift((1, I32, zigzag(1)), end=b"") + schema + bytes([1 << 4 | I64]) + zigzag(0)
        footer += bytes([1 << 4 | LIST, STRUCT, 0])
    else:
        footer = thrift((1, I32, zigzag(1)), (2, LIST, schema), (3, I64, zigzag(0)), (4, LIST, bytes([STRUCT])))
    return b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1"


def nested(depth, **form):
    return parquet(*[node(b"group", 1)] * (depth - 2), node(b"number"), **form)


def nested_oddly(**form):
    return parquet(*[node(b"group", 1, **form)] * 30_000, node(b"number"))


def brackets(depth):
    return b"[" * depth + b"]" * depth


FILES = {
    "deep.parquet": nested(30_000),
    "deeper.parquet": nested(300_000),
    "damaged.parquet": nested(300_000)[:-200_000] + (100_000).to_bytes(4, "little") + b"PAR1",
    # What Thrift's readers accept, too.
    "of bytes.parquet": nested(30_000, kind=3),
    "long field.parquet": nested(30_000, field=65538),
    "odd end.parquet": nested_oddly(end=b"\x10"),
    "large size.parquet": nested_oddly(size=2**32),
    "large count.parquet": nested(30_000, count=2**32),
    "line.jsonl": b'{"a": ' + brackets(1_000_000) + b"}\n",
    "array.json": b'[{"a": 1}, {"a": ' + brackets(1_000_000) + b"}]",
    "late.jsonl": b'{"a": [1]}\n' * 20_000 + b'{"a": ' + brackets(1_000_000) + b"}\n",
    "text.jsonl": b'{"a": "\\"' + b"[" * 2000 + b'"}\n' + b'{"b": ' + brackets(1_000_000) + b"}\n",
    "arrays.json": b"[[], []]\n" * 10_000 + brackets(1_000_000),
    "large arrays.json": b"[" + b"[], " * 30_000 + b"[]]\n" + brackets(1_000_000),
    "many.json": b'[{"a": 1}]\n' * 20_000 + brackets(1_000_000),
}
PARQUET = ["parquet_scan", "parquet_schema", "parquet_metadata", "parquet_file_metadata", "parquet_kv_metadata"]
JSON = ["read_json", "read_json_auto", "read_ndjson", "read_ndjson_auto"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def victim(launch):
    server = launch()
    pid = server.process.pid
    yield server
    assert server.is_running(), f"the server died of it: {server.log()[-500:]}"
    assert (server.scalar("SELECT 42"), server.process.pid) == (42, pid)


def refused(server, sql, *texts):
    with pytest.raises(adbc_driver_manager.Error) as error:
        server.sql(sql)
    assert "INVALID_ARGUMENT" in str(error.value) and all(text in str(error.value) for text in texts), error.value


def test_parquet(victim, folder):
    for name in ("deep.parquet", "deeper.parquet"):
        too_deep = f'{name}" is nested more than 1000 levels deep'
        refused(victim, f"SELECT count(*) FROM '{folder / name}'", too_deep)
        refused(victim, f"CREATE TABLE raw.t AS FROM read_parquet(['{folder / name}'], union_by_name => true)", too_deep)
        for function in PARQUET:
            refused(victim, f"FROM {function}('{folder / name}')", too_deep)
        with pytest.raises(Exception, match="nested more than 1000 levels"):
            victim.result("ingest", {"source": f"file://{folder / name}", "dataset": "deep"})
    refused(victim, f"FROM parquet_schema('{folder}/d*.parquet')", "nested more than")
    for path in folder.glob("* *.parquet"):
        refused(victim, f"FROM '{path}'", "nested more than")
    with pytest.raises(adbc_driver_manager.Error):
        victim.sql(f"FROM '{folder / 'damaged.parquet'}'")


def test_parquet_of_less_depth_is_read(victim, tmp_path):
    (tmp_path / "a.parquet").write_bytes(nested(900))
    # 2,000 groups, but side by side.
    flat = [part for i in range(2000) for part in (node(b"group%d" % i, 1), node(b"number"))]
    (tmp_path / "b.parquet").write_bytes(parquet(node(b"groups", 2000), *flat))
    assert victim.scalar(f"SELECT count(*) FROM '{tmp_path}/a.parquet'") == 0
    assert victim.scalar(f"SELECT count(*) FROM '{tmp_path}/b.parquet'") == 0
    assert victim.scalar(f"SELECT count(*) FROM parquet_schema('{tmp_path}/b.parquet')") == 4002


def test_json(victim, folder):
    for name in (name for name in FILES if ".json" in name):
        path, too_deep = folder / name, f'{name}" is nested more than 1000 levels deep: read it with read_json_objects'
        refused(victim, f"SELECT count(*) FROM '{path}'", too_deep)
        for function in JSON:
            refused(victim, f"SELECT count(*) FROM {function}('{path}', columns => {{a: 'VARIANT'}})", too_deep)
    lines = folder / "line.jsonl"
    refused(victim, f"SELECT count(*) FROM read_json('{lines}', FORMAT => 'newline_delimited')", "nested more than")
    refused(victim, f"SELECT count(*) FROM read_json(['{folder}/la*.jsonl', '{lines}'], sample_size => 1)", 'line.jsonl"')
    assert victim.scalar(f"SELECT max(length(json::VARCHAR)) FROM read_json_objects('{lines}')") == 2_000_007


def test_json_that_is_deep_after_the_sample_is_read(victim, folder):
    late = f"'{folder / 'late.jsonl'}', sample_size => 100"
    for kind, length in (("JSON", 2_000_000), ("VARCHAR", 2_000_000)):
        sql = f"SELECT max(length(a::VARCHAR)) FROM read_json({late}, columns => {{a: '{kind}'}})"
        assert victim.scalar(sql) == length
    refused(victim, f"SELECT sum(len(a)) FROM read_json({late})", "in line 20001")


def test_json_with_lines_that_are_skipped(victim, tmp_path):
    deep = b'{"a": ' + brackets(1_000_000) + b"}\n"
    for name, first in (("quote", b'"\n'), ("brackets", b"]" * 30_000 + b"\n"), ("objects", b"{}" * 30_000 + b"\n")):
        (tmp_path / f"{name}.json").write_bytes(first + deep)
        refused(victim, f"FROM read_ndjson('{tmp_path}/{name}.json', ignore_errors => true)", "nested more than")


def test_json_of_less_depth_is_read(victim, tmp_path):
    (tmp_path / "a.json").write_bytes(b'{"a": "[[["}\n' + b'{"a": "\\\\"}\n' * 3000)
    assert victim.scalar(f"SELECT count(*) FROM '{tmp_path}/a.json'") == 3001
    for options in ("compression => 'auto_detect'", "maximum_object_size => 100, ignore_errors => true", "sample_size => -1"):
        assert victim.scalar(f"SELECT count(*) FROM read_json('{tmp_path}/a.json', {options})") == 3001


def test_a_pipe_is_refused(victim, tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    end = os.open(tmp_path / "pipe.json", os.O_RDWR)
    try:
        refused(victim, f"FROM '{tmp_path}/pipe.json'", "pipe")
    finally:
        os.close(end)
