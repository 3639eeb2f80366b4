"""Exports as files: what their readers read is what the table holds, and nothing else is ever the latest."""

import concurrent.futures
import decimal
import hashlib
import json

import datasets
import duckdb
import lance
import pyarrow
import pyarrow.csv
import pyarrow.flight
import pyarrow.ipc
import pyarrow.json
import pyarrow.parquet
import pytest

import harness

FORMATS = ["parquet", "csv", "json", "arrow", "lance"]
MIB = 1 << 20

# A value of each type that a table keeps, and NULLs.
ALL_TYPES = """CREATE TABLE {name} AS SELECT * FROM (VALUES
    (true, 1::TINYINT, -2::SMALLINT, 3::INTEGER, -4::BIGINT, 5::UTINYINT, 6::USMALLINT, 7::UINTEGER,
     18446744073709551615::UBIGINT, 1.5::FLOAT, 'nan'::DOUBLE, 12345.678::DECIMAL(18, 3),
     99999999999999999999999999999999999999::DECIMAL(38, 0), 'grüß, "x"', ''::VARCHAR, '\\x00\\xff'::BLOB,
     '123e4567-e89b-12d3-a456-426614174000'::UUID, '{{"a":[1]}}'::JSON, DATE '2026-01-31', TIME '12:34:56.789',
     TIMESTAMP '2026-01-31 12:34:56.789', TIMESTAMP_NS '2026-01-31 12:34:56.789123456',
     TIMESTAMP_S '2026-01-31 12:34:56', TIMESTAMP_MS '2026-01-31 12:34:56.789',
     {{'at': [TIMESTAMP_S '2026-01-31 12:34:56']}}, TIMESTAMPTZ '2026-01-31 12:34:56+02', {{'a': 1, 'b': [{{'c': 'x'}}, NULL]}}, [1, NULL, 3], MAP {{'k': 1.5}}),
    (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
     NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL))
    t(b, i1, i2, i4, i8, u1, u2, u4, u8, f4, f8, d1, d2, s, e, x, id, j, d, t, ts, ns, sec, ms, nested, tz, st, l, m)"""


@pytest.fixture
def lake(server, name):
    """A table of 300,000 rows in order."""
    server.sql(
        f"CREATE TABLE gold.{name} AS SELECT range AS id, 'text ' || range % 1000 AS text, range / 7 AS number, "
        "[range, range + 1] AS list FROM range(300_000)"
    )
    return server


def export(server, **request):
    return server.result("export", request)


def folder(server, result):
    """The folder of an export on this machine, which has the buckets of the S3 server, too."""
    uri = result.get("path", result.get("uri"))
    return server.store / uri[uri.index("exports/") :]


def read(server, result, format):
    """All rows of an export in their order, by the official readers."""
    files = [str(folder(server, result) / file["path"]) for file in result["files"]]
    if format == "parquet":
        return pyarrow.concat_tables(pyarrow.parquet.read_table(file) for file in files)
    if format == "arrow":
        return pyarrow.concat_tables(pyarrow.ipc.open_file(pyarrow.memory_map(file)).read_all() for file in files)
    if format == "lance":
        return lance.dataset(str(folder(server, result) / "data.lance")).to_table()
    (file,) = files
    return pyarrow.csv.read_csv(file) if format == "csv" else pyarrow.json.read_json(file)


def arrow(server, sql):
    with server.adbc() as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetch_arrow_table()


def told(server, name, all=True):
    return server.result("exports", {"name": name, "all": all})["exports"]


@pytest.mark.parametrize("format", FORMATS)
def test_an_export_has_all_rows_in_their_order(lake, name, format):
    result = export(lake, table=f"gold.{name}", format=format)
    rows = read(lake, result, format)
    assert result["rows"] == rows.num_rows == 300_000
    assert rows["id"].to_pylist() == list(range(300_000))
    assert rows["text"].to_pylist()[-1] == "text 999" and rows["number"].to_pylist()[7] == 1.0
    if format != "csv":
        assert rows["list"].to_pylist()[5] == [5, 6]
    assert result["snapshot_id"] == lake.sql("SELECT max(snapshot_id) FROM lake.snapshots()")[0][0]


@pytest.mark.parametrize("format", FORMATS)
def test_the_record_says_what_the_files_are(lake, name, format):
    result = export(lake, table=f"gold.{name}", format=format)
    text = (folder(lake, result) / ".export.json").read_bytes()
    record = json.loads(text)
    assert hashlib.sha256(text).hexdigest() == result["sha256"]
    assert record["table"] == f"gold.{name}" and record["snapshot_id"] == result["snapshot_id"]
    assert record["columns"][0] == {"name": "id", "type": "BIGINT"} and len(record["schema_fingerprint"]) == 16
    (lineage,) = record["lineage"]
    assert lineage["table"] == f"gold.{name}" and lineage["snapshot_id"] <= result["snapshot_id"]
    for file in record["files"]:
        content = (folder(lake, result) / file["path"]).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file["bytes"], file["sha256"])
    manifest = json.loads((lake.store / f"exports/gold/{name}/manifest.json").read_text())
    assert result["manifest"].endswith(f"exports/gold/{name}/manifest.json")
    assert manifest["dataset"] == f"gold/{name}" and result["path"].endswith(manifest["latest"])


@pytest.mark.parametrize("format", ["parquet", "arrow", "lance"])
def test_every_type_of_a_table_is_kept(server, name, format):
    server.sql(ALL_TYPES.format(name=f"silver.{name}"))
    expected = arrow(server, f"FROM silver.{name}")
    rows = read(server, export(server, table=f"silver.{name}", format=format), format)
    assert rows.column_names == expected.column_names
    for column in rows.column_names:
        assert str(rows[column].to_pylist()) == str(expected[column].to_pylist()), column
    assert server.result("verify", {"left": {"export": f"silver.{name}"}}) == {
        "equal": True,
        "rows": 2,
        "differences": [],
        "images": 0,
    }
    if format == "parquet":
        # A reader that knows nothing of Arrow's types.
        files = str(folder(server, server.result("exports", {"name": f"silver.{name}"})["exports"][0]) / "*.parquet")
        for column in ["ts", "ns", "sec", "ms", "nested", "tz", "d", "t", "d1", "u8"]:
            [(mine,), (none,)] = server.sql(f"SELECT {column}::VARCHAR FROM silver.{name}")
            assert duckdb.sql(f"SELECT {column}::VARCHAR FROM '{files}'").fetchall() == [(mine,), (none,)], column


@pytest.mark.parametrize("format", ["csv", "json"])
def test_text_files_read_back_as_the_same_rows(server, name, format):
    server.sql(ALL_TYPES.format(name=f"silver.{name}"))
    # JSON has no BLOB.
    if format == "json":
        server.sql(f"ALTER TABLE silver.{name} DROP COLUMN x")
    columns = server.sql(f"SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = '{name}'")
    result = export(server, table=f"silver.{name}", format=format)
    source = (folder(server, result) / result["files"][0]["path"]).as_uri()
    server.sql(f"CREATE TABLE silver.{name}_back AS FROM silver.{name} LIMIT 0")
    types = {column: data_type for column, data_type in columns}
    back = {"source": source, "dataset": "back", "table": f"silver.{name}_back", "types": types}
    assert server.result("ingest", back)["rows_added"] == 2
    assert server.sql(f"SELECT count(*) FROM (FROM silver.{name} EXCEPT ALL FROM silver.{name}_back)") == [(0,)]


def test_the_past_is_exported_and_the_same_rows_make_the_same_files(lake, name):
    first = export(lake, table=f"gold.{name}")
    lake.sql(f"DELETE FROM gold.{name} WHERE id >= 10")
    assert export(lake, table=f"gold.{name}")["rows"] == 10
    again = export(lake, table=f"gold.{name}", at={"version": first["snapshot_id"]})
    assert again["files"] == first["files"] and again["snapshot_id"] == first["snapshot_id"]
    record = json.loads((folder(lake, again) / ".export.json").read_text())
    assert record["lineage"] == json.loads((folder(lake, first) / ".export.json").read_text())["lineage"]


def test_exports_of_one_moment_have_folders_of_their_own(server, name):
    request = {"query": "SELECT 1 AS a", "destination": f"many.{name}"}
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        paths = {done["path"] for done in pool.map(lambda _: export(server, **request), range(24))}
    assert len(paths) == 24 == len(told(server, f"many.{name}"))


def test_a_query_is_exported_in_its_order(lake, name):
    query = f"SELECT id, sum(number) AS total FROM gold.{name} GROUP BY id ORDER BY id DESC; -- the largest first"
    result = export(lake, query=query, destination=f"some.{name}")
    rows = read(lake, result, "parquet")
    assert rows["id"].to_pylist()[:2] == [299_999, 299_998] and "/exports/some/" in result["path"]
    record = json.loads((folder(lake, result) / ".export.json").read_text())
    assert record["query"].endswith("DESC") and [it["table"] for it in record["lineage"]] == [f"gold.{name}"]
    # The sum of integers is a HUGEINT, which is stored, and exported, as a DECIMAL.
    summed = export(lake, query=f"SELECT sum(id) AS s FROM gold.{name} ORDER BY s", destination=f"some.{name}")
    assert read(lake, summed, "parquet")["s"].to_pylist() == [decimal.Decimal(299_999 * 150_000)]


@pytest.mark.parametrize("format", ["parquet", "arrow"])
def test_large_exports_have_several_files(server, name, format):
    server.sql(f"CREATE TABLE gold.{name} AS SELECT range AS id, md5(range::VARCHAR) AS text FROM range(200_000)")
    result = export(server, table=f"gold.{name}", format=format, shard_bytes=2 * MIB)
    names = [file["path"] for file in result["files"]]
    assert names == [f"shard-{index:05}.{format}" for index in range(len(names))] and len(names) >= 3
    assert read(server, result, format)["id"].to_pylist() == list(range(200_000))
    assert all(file["bytes"] < 4.5 * MIB for file in result["files"])
    if format == "arrow":
        metadata = json.loads((folder(server, result) / "_metadata.json").read_text())
        assert (metadata["format"], metadata["layout"], metadata["cache_format_version"]) == ("arrow", "arrow-shards", 1)
        assert metadata["shard_filenames"] == names and metadata["num_rows"] == 200_000
        assert metadata["shard_row_counts"] == [file["rows"] for file in result["files"]]
        assert metadata["shard_size_target_bytes"] == 2 * MIB and "compression" not in metadata


@pytest.mark.parametrize(
    ("format", "compression"),
    [
        *[("parquet", it) for it in ["none", "snappy", "gzip", "zstd", "lz4"]],
        *[("arrow", it) for it in ["none", "zstd", "lz4"]],
        *[("csv", it) for it in ["none", "gzip"]],
    ],
)
def test_files_are_compressed_as_asked(lake, name, format, compression):
    result = export(lake, table=f"gold.{name}", format=format, compression=compression)
    assert read(lake, result, format)["id"].to_pylist()[-1] == 299_999
    path = folder(lake, result) / result["files"][0]["path"]
    if format == "parquet":
        codec = pyarrow.parquet.ParquetFile(path).metadata.row_group(0).column(0).compression
        assert codec.lower() == {"none": "uncompressed"}.get(compression, compression)
    elif format == "arrow":
        metadata = json.loads((folder(lake, result) / "_metadata.json").read_text())
        assert metadata.get("compression", "none") == compression
    else:
        assert path.name == ("data.csv.gz" if compression == "gzip" else "data.csv")


def test_parquet_fits_the_viewer_and_load_dataset(lake, name, tmp_path):
    result = export(lake, table=f"gold.{name}")
    file = pyarrow.parquet.ParquetFile(folder(lake, result) / "shard-00000.parquet")
    groups = [file.metadata.row_group(index) for index in range(file.metadata.num_row_groups)]
    assert [group.num_rows for group in groups] == [131_072, 131_072, 37_856]
    assert all(group.column(0).has_column_index and group.column(0).has_offset_index for group in groups)
    assert all(field.nullable for field in file.schema_arrow)
    loaded = datasets.load_dataset(
        "parquet", data_files=str(folder(lake, result) / "*.parquet"), split="train", cache_dir=str(tmp_path)
    )
    assert loaded.num_rows == 300_000 and loaded[299_999]["list"] == [299_999, 300_000]


def test_arrow_loads_with_load_dataset(lake, name, tmp_path):
    result = export(lake, table=f"gold.{name}", format="arrow")
    files = str(folder(lake, result) / "*.arrow")
    loaded = datasets.load_dataset("arrow", data_files=files, split="train", cache_dir=str(tmp_path))
    assert loaded.num_rows == 300_000 and loaded[7]["text"] == "text 7"


@pytest.mark.parametrize("format", FORMATS)
def test_no_rows_are_a_file_with_the_columns(server, name, format):
    server.sql(f"CREATE TABLE gold.{name} (id BIGINT, text VARCHAR)")
    result = export(server, table=f"gold.{name}", format=format)
    assert result["rows"] == 0 and (len(result["files"]) == 1 or format == "lance")
    if format in ("parquet", "arrow", "lance"):
        assert read(server, result, format).schema.names == ["id", "text"]
    if format == "csv":
        assert (folder(server, result) / "data.csv").read_text() == "id,text\n"


@pytest.mark.parametrize(
    ("request_", "error", "words"),
    [
        ({}, pyarrow.ArrowInvalid, 'either "table" or "query"'),
        ({"table": "gold.t", "query": "SELECT 1"}, pyarrow.ArrowInvalid, 'either "table" or "query"'),
        ({"table": "nowhere"}, pyarrow.ArrowInvalid, "schema.name"),
        ({"table": "gold.no_such_table"}, KeyError, 'LINE 1: SELECT . FROM lake."gold"."no_such_table"'),
        ({"query": "SELECT 1; SELECT 2"}, pyarrow.ArrowInvalid, "one statement"),
        ({"query": "DROP TABLE gold.t"}, pyarrow.ArrowInvalid, "expected a query"),
        ({"query": "SELECT FROM"}, pyarrow.ArrowInvalid, "syntax error"),
        ({"query": "SELECT * FROM ducklake_expire_snapshots('lake')"}, NotImplementedError, "maintain"),
        ({"query": "SELECT 1 AS a, 2 AS A"}, pyarrow.ArrowInvalid, "two columns are called"),
        ({"query": "SELECT INTERVAL 1 DAY AS i"}, pyarrow.ArrowInvalid, "INTERVAL"),
        ({"query": "SELECT [1::VARIANT] AS v"}, pyarrow.ArrowInvalid, 'column "v"'),
        ({"query": "SELECT {'a': 'x'::BLOB} AS b", "format": "json"}, pyarrow.ArrowInvalid, "base64"),
        ({"query": "SELECT error('no') AS e FROM range(10)"}, pyarrow.ArrowInvalid, "no"),
        ({"query": "SELECT $1 AS a"}, pyarrow.ArrowInvalid, "parameter"),
        ({"query": "SELECT 1 AS a", "destination": "../x"}, pyarrow.ArrowInvalid, "schema.name"),
        ({"query": "SELECT 1 AS a", "destination": "a/b.c"}, pyarrow.ArrowInvalid, "letters, digits"),
        ({"query": "SELECT 1 AS a", "at": {"version": 1_000_000}}, KeyError, "1000000"),
        ({"query": "SELECT 1 AS a", "at": {}}, pyarrow.ArrowInvalid, '"at" names no snapshot'),
        ({"query": "SELECT 1 AS a", "format": "xlsx"}, pyarrow.ArrowInvalid, "xlsx"),
        ({"query": "SELECT 1 AS a", "format": "arrow", "compression": "snappy"}, pyarrow.ArrowInvalid, "none, zstd, lz4"),
        ({"query": "SELECT 1 AS a", "format": "csv", "shard_bytes": MIB}, pyarrow.ArrowInvalid, "cannot be chosen"),
        ({"query": "SELECT 1 AS \"a.b\"", "format": "lance"}, pyarrow.ArrowInvalid, "without dots"),
        ({"query": "SELECT {'_rowid': 1} AS a", "format": "lance"}, pyarrow.ArrowInvalid, "rename it"),
        ({"query": "SELECT 1 AS a", "format": "csv", "verify": True}, NotImplementedError, "text has no types"),
        ({"query": "SELECT 1 AS a", "shard_bytes": 5}, pyarrow.ArrowInvalid, "at least"),
    ],
    ids=str,
)
@pytest.mark.parametrize("format", ["parquet", "json"])
def test_what_cannot_be_exported_is_said_and_nothing_is_left(server, name, request_, error, words, format):
    before = told(server, None)
    defaults = {"format": format, "destination": f"refused.{name}"} if "query" in request_ else {"format": format}
    with pytest.raises(error, match=words):
        server.action("export", defaults | request_)
    assert told(server, None) == before
    assert server.sql("SELECT 1") == [(1,)]


def test_exports_are_listed_and_superseded_ones_removed(server, name):
    server.sql(f"CREATE TABLE gold.{name} AS SELECT 1 AS a")
    server.sql(f"CREATE TABLE gold.{name}_two AS SELECT 2 AS a")
    results = [export(server, table=f"gold.{name}", format=format) for format in ["csv", "json", "parquet"]]
    export(server, table=f"gold.{name}_two")
    listed = told(server, f"gold.{name}")
    assert [it["uri"] for it in listed] == [it["path"] for it in reversed(results)]
    assert [(it["format"], it["latest"], it["complete"], it["rows"]) for it in listed] == [
        ("parquet", True, True, 1),
        ("json", False, True, 1),
        ("csv", False, True, 1),
    ]
    assert [it["uri"] for it in told(server, f"gold.{name}", all=False)] == [results[-1]["path"]]
    planned = server.result("prune", {"exports": [f"gold.{name}"], "dry_run": True})
    assert len(planned["removed_exports"]) == 2 and planned["removed"] == [] and len(told(server, f"gold.{name}")) == 3
    removed = server.result("prune", {"exports": [f"gold.{name}"]})["removed_exports"]
    assert {it["uri"] for it in removed} == {it["path"] for it in results[:2]}
    assert not folder(server, results[0]).joinpath("data.csv").exists()
    assert [it["uri"] for it in told(server, f"gold.{name}")] == [results[-1]["path"]]
    # Neither the sibling whose name begins with the same letters.
    assert len(told(server, f"gold.{name}_two")) == 1
    assert server.result("prune", {"exports": [f"gold.{name}"]})["removed_exports"] == []


@pytest.mark.parametrize("format", ["parquet", "webdataset", "lance"])
def test_a_cancelled_export_leaves_nothing(server, name, format):
    query = "SELECT range AS id, md5(range::VARCHAR) AS text FROM range(1_000_000_000)"
    body = {"query": query, "destination": f"cancelled.{name}", "format": format}
    events = server.events("export", body)
    job = next(events)["job_id"]
    for event in events:
        if event.get("done", 0) > 0:
            break
    server.result("job.cancel", {"job_id": job})
    with pytest.raises(pyarrow.flight.FlightCancelledError):
        list(events)
    assert told(server, f"cancelled.{name}") == []
    assert not any((server.store / "exports/cancelled" / name).rglob("*.*"))
    assert not any(server.home.glob("staging/*/export/*"))


def test_an_export_that_was_killed_is_not_the_latest(launch):
    server = launch()
    server.sql("CREATE TABLE gold.t AS SELECT range AS id FROM range(1000)")
    first = export(server, table="gold.t")
    body = {"query": "SELECT range AS id, md5(range::VARCHAR) AS text FROM range(1_000_000_000)", "destination": "gold.t"}
    for event in server.events("export", body):
        if event.get("done", 0) > 0:
            break
    server.kill9()
    server.start()
    assert [it["uri"] for it in told(server, "gold.t")] == [first["path"]]
    assert export(server, table="gold.t")["files"] == first["files"]


def test_exports_in_sql_and_on_the_command_line(lake, name):
    (row,) = lake.sql(f"CALL merganser.export('gold.{name}', format => 'csv')")[-1:]
    assert "data.csv" in str(row)
    done = harness.run("export", f"gold.{name}", "--url", lake.uri, "--format", "arrow", "--verify")
    assert "shard-00000.arrow" in done.stdout and "read back and equal" in done.stdout and "300000 rows of snapshot" in done.stdout
    listed = harness.run("exports", f"gold.{name}", "--all", "--url", lake.uri)
    assert listed.stdout.count("complete") == 2 and "arrow" in listed.stdout and "csv" in listed.stdout
    pruned = harness.run("prune", "--export", f"gold.{name}", "--url", lake.uri)
    assert "0 landings and 1 exports" in pruned.stdout


# === verify ===


@pytest.mark.parametrize("format", ["parquet", "arrow"])
def test_an_export_equals_what_it_was_made_from(lake, name, format):
    """Also when the table is another one by now."""
    export(lake, table=f"gold.{name}", format=format, shard_bytes=2 * MIB)
    lake.sql(f"UPDATE gold.{name} SET text = 'changed' WHERE id IN (5, 200_000)")
    equal = lake.result("verify", {"left": {"export": f"gold.{name}"}})
    assert equal == {"equal": True, "rows": 300_000, "differences": [], "images": 0}
    now = f"SELECT * FROM gold.{name} ORDER BY id"
    different = lake.result("verify", {"left": {"export": f"gold.{name}"}, "right": {"query": now}})
    assert not different["equal"]
    assert [(it["row"], it["column"], it["left"], it["right"]) for it in different["differences"]] == [
        (5, "text", "text 5", "changed"),
        (200_000, "text", "text 0", "changed"),
    ]


@pytest.mark.parametrize("format", ["parquet", "arrow", "lance"])
def test_an_export_is_verified_on_request(lake, name, format):
    result = export(lake, table=f"gold.{name}", format=format, verify=True)
    assert result["verified"] and [it["latest"] for it in told(lake, f"gold.{name}")] == [True]
    # Rows that come out otherwise the second time.
    query = "SELECT random() AS x FROM range(10)"
    with pytest.raises(pyarrow.flight.FlightError, match="data loss.*differ"):
        lake.action("export", {"query": query, "destination": f"gold.{name}", "format": format, "verify": True})
    assert len(told(lake, f"gold.{name}")) == 1


def test_exports_of_two_formats_are_equal(lake, name):
    one = export(lake, table=f"gold.{name}", format="parquet")
    two = export(lake, table=f"gold.{name}", format="arrow", destination=f"gold.{name}_arrow")
    sides = {"left": {"export": one["path"]}, "right": {"export": two["path"]}}
    assert lake.result("verify", sides)["equal"]


@pytest.mark.parametrize(
    ("left", "right", "differences"),
    [
        ("SELECT 1 AS a", "SELECT 1 AS b", [(None, "a", "a Int32", "b Int32")]),
        ("SELECT 1 AS a", "SELECT 1::BIGINT AS a", [(None, "a", "a Int32", "a Int64")]),
        ("SELECT 1 AS a", "SELECT 1 AS a, 2 AS b", [(None, "b", None, "b Int32")]),
        ("SELECT 1 AS a", "FROM range(2) t(a) SELECT 1 AS a", [(1, None, "there are no more rows", "there are more rows")]),
        ("SELECT NULL::INT AS a", "SELECT 0 AS a", [(0, "a", None, "0")]),
        ("SELECT 0.0::DOUBLE AS a", "SELECT -0.0::DOUBLE AS a", [(0, "a", "0.0", "-0.0")]),
        ("SELECT 'nan'::DOUBLE AS a", "SELECT 'nan'::DOUBLE AS a", []),
        ("SELECT [1, 2] AS a", "SELECT [1, NULL] AS a", [(0, "a", "[1, 2]", "[1, ]")]),
        ("SELECT 'a'::BLOB AS a", "SELECT 'b'::BLOB AS a", [(0, "a", "61", "62")]),
    ],
)
def test_differences_are_shown(server, left, right, differences):
    found = server.result("verify", {"left": {"query": left}, "right": {"query": right}})
    assert found["equal"] is (not differences)
    told = [tuple(it.get(key) for key in ["row", "column", "left", "right"]) for it in found["differences"]]
    assert told == differences


@pytest.mark.parametrize("format", ["parquet", "arrow", "lance"])
def test_a_damaged_file_is_data_loss(server, name, format):
    server.sql(f"CREATE TABLE gold.{name} AS SELECT range AS id FROM range(1000)")
    result = export(server, table=f"gold.{name}", format=format)
    path = folder(server, result) / result["files"][0]["path"]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(pyarrow.flight.FlightError, match="data loss.*is not what was exported"):
        server.action("verify", {"left": {"export": f"gold.{name}"}})
    path.unlink()
    with pytest.raises(pyarrow.flight.FlightError, match="data loss"):
        server.action("verify", {"left": {"export": f"gold.{name}"}})


@pytest.mark.parametrize(
    ("request_", "error", "words"),
    [
        ({}, pyarrow.ArrowInvalid, '"left" is missing'),
        ({"left": {}}, pyarrow.ArrowInvalid, "is empty"),
        ({"left": {"table": "gold.t"}}, pyarrow.ArrowInvalid, 'set "right"'),
        ({"left": {"export": "gold.no_such_export"}}, KeyError, "no export"),
        ({"left": {"export": "file:///etc/passwd"}}, KeyError, "no export"),
        ({"left": {"export": "gold.t", "at": {"version": 1}}}, pyarrow.ArrowInvalid, "for tables and queries"),
        ({"left": {"query": "DROP TABLE t"}, "right": {"query": "SELECT 1"}}, pyarrow.ArrowInvalid, "expected a query"),
        ({"left": {"query": "SELECT 1"}, "right": {"query": "SELECT"}}, pyarrow.ArrowInvalid, "selection list"),
        ({"left": {"export": "gold.t"}, "max_differences": 0}, pyarrow.ArrowInvalid, "between"),
    ],
    ids=str,
)
def test_what_cannot_be_compared_is_said(server, request_, error, words):
    with pytest.raises(error, match=words):
        server.action("verify", request_)


def test_text_files_are_not_compared(server, name):
    server.sql(f"CREATE TABLE gold.{name} AS SELECT 1 AS a")
    export(server, table=f"gold.{name}", format="csv")
    with pytest.raises(NotImplementedError, match="text has no types"):
        server.action("verify", {"left": {"export": f"gold.{name}"}})


def test_verify_on_the_command_line(lake, name):
    export(lake, table=f"gold.{name}")
    assert harness.run("verify", f"gold.{name}", "--url", lake.uri).stdout == "300000 rows are equal\n"
    other = f"SELECT * REPLACE (CASE id WHEN 7 THEN 0 ELSE number END AS number) FROM gold.{name}"
    done = harness.run("verify", f"gold.{name}", "--query", other, "--url", lake.uri)
    assert done.returncode == 1 and "number" in done.stdout and "the rows differ" in done.stderr
