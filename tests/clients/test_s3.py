"""A lake on S3: it works like one on a disk, its keys are kept secret, and failures of the store are reported."""

import contextlib
import itertools
import socket
import threading
import time

import adbc_driver_manager
import pyarrow
import pyarrow.flight
import pyarrow.parquet
import pytest

import harness
from authority import Authority
from front import Front

# A request is tried four times, one second each.
PATIENCE = ["--storage-timeout-seconds", "4"]
_numbers = itertools.count(1)


@pytest.fixture(autouse=True)
def healed(buckets):
    """Faults end with the test that injected them."""
    yield
    buckets.heal()


@pytest.fixture(scope="module")
def server(tmp_path_factory, new_storage):
    flags, settings = new_storage("s3")
    server = harness.Server(tmp_path_factory.mktemp("server"), *flags, *PATIENCE, **settings)
    try:
        yield server.start()
    finally:
        server.discard()


@pytest.fixture(params=["duckdb", "postgres"])
def own(request, launch, catalog_flags, new_storage, tmp_path):
    """A server for the test, with each catalog."""
    flags, settings = new_storage("s3")
    return launch(*catalog_flags(tmp_path, request.param), *flags, *PATIENCE, **settings)


def objects(server, below=""):
    return sorted(str(path.relative_to(server.store)) for path in (server.store / below).rglob("*") if path.is_file())


def fails(server, sql, words):
    """Executes a statement that must fail as Unavailable; returns the seconds that it took."""
    start = time.monotonic()
    with pytest.raises(adbc_driver_manager.OperationalError, match=words) as failed:
        server.sql(sql)
    text = str(failed.value)
    assert "UNAVAILABLE" in text.upper() and "INTERNAL" not in text.upper(), text
    assert len(text) < 4096
    return time.monotonic() - start


# === what works on a disk ===


def test_a_lake_lives_in_its_prefix(own, buckets):
    own.sql("CREATE TABLE t AS SELECT i, i * 2 AS twice FROM range(1000) r(i)")
    first = own.head()
    own.sql("DELETE FROM t WHERE i < 500")
    own.sql("UPDATE t SET twice = 0 WHERE i = 600")
    assert own.sql("SELECT count(*), min(i) FROM t") == [(500, 500)]
    assert own.sql(f"SELECT count(*), sum(twice) FROM t AT (VERSION => {first})") == [(1000, 999_000)]
    own.result("rollback", {"table": "main.t", "to": {"version": first}})
    assert own.sql("SELECT count(*), sum(twice) FROM t") == [(1000, 999_000)]
    with own.adbc() as connection, connection.cursor() as cursor:
        cursor.adbc_ingest("u", pyarrow.table({"i": range(200_000)}), mode="create")
    own.restart()
    assert own.scalar("SELECT sum(i) FROM u") == sum(range(200_000))
    # The server's own folder contains no data, and everything is below the prefix.
    assert not (own.home / "store").exists() and list(own.home.rglob("*.parquet")) == []
    assert {name.split("/")[0] for name in objects(own)} == {"lake"}
    bucket = own.store.parent.parent
    assert [path.name for path in bucket.iterdir()] == ["the"]


def test_landings_assets_and_models(own, sample):
    folder, summary = sample
    result = own.result("ingest", {"source": folder.as_uri(), "dataset": "coco"})
    assert result["landing"].startswith("s3://") and result["assets"] == len(objects(own, "assets"))
    assert "raw/coco/manifest.json" in objects(own) and result["files"] < len(objects(own, "raw"))
    own.result("transform")
    uri = own.scalar("SELECT image_uri FROM gold.coco_samples LIMIT 1")
    assert uri.startswith("s3://") and own.scalar("SELECT octet_length(content) FROM read_blob(?)", [uri]) > 100


def test_media_columns_become_assets(server, tmp_path):
    kind = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    clips = [{"bytes": bytes([n]) * 1000, "path": f"a b/clip {n}.bin"} for n in range(3)]
    pyarrow.parquet.write_table(
        pyarrow.table({"n": range(3), "clip": pyarrow.array(clips, kind)}), tmp_path / "some clips.parquet"
    )
    server.result("ingest", {"source": tmp_path.as_uri(), "dataset": "clips"})
    rows = server.sql("SELECT n, clip FROM raw.clips ORDER BY n")
    assert [uri.rsplit("/", 1)[1] for _, uri in rows] == [f"clip {n}.bin" for n in range(3)]
    for n, uri in rows:
        assert server.scalar("SELECT content FROM read_blob(?)", [uri]) == clips[n]["bytes"]


def test_odd_names_of_files_are_read_or_refused(server, tmp_path):
    names = ["a*b.parquet", "a%20b.parquet", "a+b ä#.parquet", "a[b].parquet"]
    for name in names:
        pyarrow.parquet.write_table(pyarrow.table({"name": [name]}), tmp_path / name)
    server.result("ingest", {"source": tmp_path.as_uri(), "dataset": "odd"})
    assert sorted(server.sql("SELECT name FROM raw.odd")) == sorted((name,) for name in names)
    pyarrow.parquet.write_table(pyarrow.table({"name": ["x"]}), tmp_path / "a?b.parquet")
    with pytest.raises(pyarrow.ArrowInvalid, match='remove "\\?"'):
        server.result("ingest", {"source": tmp_path.as_uri(), "dataset": "odd"})


def test_maintenance_removes_unneeded_files_and_nothing_else(own):
    own.sql("CREATE TABLE t AS SELECT 0 AS i")
    for i in range(1, 6):
        own.sql(f"INSERT INTO t VALUES ({i})")
    own.sql("DELETE FROM t WHERE i = 2")
    kept = own.head()
    orphan = own.store / "lake/main/t/ducklake-00000000-0000-7000-8000-000000000000.parquet"
    orphan.write_bytes(next((own.store / "lake").rglob("*.parquet")).read_bytes())
    before = objects(own, "lake")
    steps = {"steps": ["rewrite", "merge", "expire", "cleanup", "orphans"], "expire_days": 0, "keep": 1}
    done = own.result("maintain", steps | {"grace_hours": 0})["done"]
    assert {step["step"]: step["files"] for step in done}["orphans"] == 1
    assert not orphan.exists() and len(objects(own, "lake")) < len(before)
    assert own.sql("FROM t ORDER BY i") == [(0,), (1,), (3,), (4,), (5,)]
    assert own.head() >= kept


def test_the_past_is_pinned(own):
    own.sql("CREATE TABLE t AS SELECT 1 AS i")
    first = own.head()
    own.sql("INSERT INTO t VALUES (2)")
    with own.adbc(**{"adbc.flight.sql.rpc.call_header.merganser-snapshot": str(first)}) as connection:
        with connection.cursor() as cursor:
            cursor.execute("FROM t")
            assert cursor.fetchall() == [(1,)]
    assert own.sql("FROM t ORDER BY i") == [(1,), (2,)]


def test_two_servers_share_a_lake(launch, catalog_flags, new_storage, tmp_path):
    flags, settings = new_storage("s3")
    flags = [*catalog_flags(tmp_path, "postgres"), *flags, *PATIENCE]
    one, two = launch(*flags, **settings), launch(*flags, **settings)
    one.sql("CREATE TABLE t AS SELECT 0 AS i")
    for i in range(1, 5):
        [one, two][i % 2].sql(f"INSERT INTO t VALUES ({i})")
        assert one.sql("FROM t ORDER BY i") == two.sql("FROM t ORDER BY i") == [(n,) for n in range(i + 1)]
    # What the other one has read and cached is removed.
    one.result("maintain", {"steps": ["merge", "expire", "cleanup"], "expire_days": 0, "keep": 1, "grace_hours": 0})
    assert len(objects(one, "lake")) == 1
    two.sql("DELETE FROM t WHERE i = 0")
    assert one.sql("FROM t ORDER BY i") == two.sql("FROM t ORDER BY i") == [(1,), (2,), (3,), (4,)]


# === what it costs ===


def test_a_warm_read_requests_no_metadata(server, buckets, name):
    server.sql(f"CREATE TABLE {name} AS SELECT i, repeat('x', 20) || i AS text FROM range(300000) r(i)")
    server.sql(f"INSERT INTO {name} SELECT i, 'y' FROM range(1000) r(i)")
    server.sql(f"DELETE FROM {name} WHERE i % 7 = 0")
    server.restart()
    read = f"SELECT count(*), max(text) FROM {name}"
    buckets.seen()
    cold = server.sql(read)
    assert buckets.seen(contains=f"/{name}/"), "the first read asked the store"
    assert server.sql(read) == cold
    assert [(it["method"], it["range"]) for it in buckets.seen()] == []


# === who may know what ===


def test_the_key_stays_secret(server, buckets):
    key = buckets.variables["AWS_SECRET_ACCESS_KEY"]
    seen = [
        server.sql(sql)
        for sql in [
            "FROM duckdb_secrets()",
            "FROM duckdb_settings()",
            "SELECT current_setting('s3_secret_access_key'), current_setting('s3_access_key_id')",
            "FROM which_secret('s3://lake', 's3')",
            "FROM duckdb_databases()",
            "FROM lake.options()",
        ]
    ]
    assert "merganser_storage" in str(seen[0])
    with pytest.raises(adbc_driver_manager.ProgrammingError, match="(?i)unredacted"):
        server.sql("FROM duckdb_secrets(redact => false)")
    for sql in ["CREATE SECRET (TYPE s3, ENDPOINT 'evil.example.com')", "DROP SECRET merganser_storage"]:
        with pytest.raises(adbc_driver_manager.NotSupportedError, match="secrets belong to the server"):
            server.sql(sql)
    assert key not in str(seen) and key not in server.log()


def test_objects_elsewhere_are_not_read_with_the_key(server, buckets):
    (buckets.root / "private").mkdir(exist_ok=True)
    (buckets.root / "private" / "x.txt").write_text("private")
    with pytest.raises(adbc_driver_manager.OperationalError, match="HTTP GET error"):
        server.sql("FROM read_text(?)", [f"{buckets.url}/private/x.txt"])
    root = server.sql("SELECT scope FROM duckdb_secrets()")[0][0]
    with pytest.raises(adbc_driver_manager.OperationalError, match="denies access"):
        server.sql("FROM read_text(?)", [f"{root[0]}../../../private/x.txt"])
    with pytest.raises(adbc_driver_manager.ProgrammingError, match="NOT_FOUND.*nothing.parquet"):
        server.sql("FROM read_parquet(?)", [f"{root[0]}nothing.parquet"])


# === TLS ===


def test_a_store_with_tls_is_trusted_by_its_certificates(launch, new_storage, buckets, tmp_path):
    authority = Authority(tmp_path)
    front = Front(buckets.url, *authority.write("store"))
    try:
        flags, settings = new_storage("s3")
        variables = buckets.variables | {"AWS_ENDPOINT_URL": front.url}
        trusting = variables | {"AWS_CA_BUNDLE": str(authority.file)}
        server = launch(*flags, *PATIENCE, **settings | {"variables": trusting})
        server.sql("CREATE TABLE t AS SELECT i FROM range(1000) r(i)")
        server.restart()
        assert server.scalar("SELECT sum(i) FROM t") == 499_500
        assert any(name.endswith(".parquet") for name in objects(server, "lake"))
        said = refused(buckets, tmp_path, flags[1], **variables)
        assert "does not answer" in said and "AWS_CA_BUNDLE" in said
        said = refused(buckets, tmp_path, flags[1], **variables, AWS_CA_BUNDLE="/nowhere.pem")
        assert "/nowhere.pem" in said
    finally:
        front.discard()


# === what goes wrong while it serves ===


def test_temporary_failures_are_not_noticed(server, buckets, name):
    server.sql(f"CREATE TABLE {name} AS SELECT i FROM range(1000) r(i)")
    server.restart()
    for fault in ["unavailable", {"cut_answer": 10}, {"cut_request": 10}, {"delay": 300}]:
        for sql in [f"SELECT count(*) FROM {name}", f"INSERT INTO {name} VALUES (1)"]:
            buckets.order({"fault": fault, "contains": name, "times": 2})
            server.sql(sql)
    assert server.scalar(f"SELECT count(*) FROM {name}") == 1004


@pytest.mark.parametrize("fault", ["unavailable", {"cut_request": 10}, "blackhole"])
def test_a_write_that_cannot_be_stored_commits_nothing(server, buckets, name, fault):
    server.sql(f"CREATE TABLE {name} AS SELECT 1 AS i")
    version = server.head()
    buckets.order({"fault": fault, "contains": name})
    for sql in [f"INSERT INTO {name} VALUES (2)", f"UPDATE {name} SET i = 3", f"CREATE TABLE {name}_b AS SELECT 1 AS i"]:
        assert fails(server, sql, "store") < 30
    buckets.heal()
    assert server.head() == version
    server.sql(f"INSERT INTO {name} VALUES (4)")
    assert server.sql(f"FROM {name} ORDER BY i") == [(1,), (4,)]


@pytest.mark.parametrize(
    ("fault", "request_"),
    [
        ("unavailable", {"method": "PUT", "contains": "partNumber=1&"}),
        ({"cut_request": 1 << 20}, {"method": "PUT", "contains": "partNumber=2&"}),
        ("unavailable", {"method": "POST", "contains": "uploads"}),
        ("unavailable", {"method": "POST", "contains": "uploadId="}),
        # The object exists, which the server does not know.
        ({"cut_answer": 0}, {"method": "POST", "contains": "uploadId="}),
    ],
)
def test_a_large_write_that_breaks_off_commits_nothing(own, buckets, fault, request_):
    own.sql("CREATE TABLE t AS SELECT 1::BIGINT AS i, 1::UBIGINT AS h, 1::UBIGINT AS g")
    version = own.head()
    large = "INSERT INTO t SELECT i, hash(i), hash(i + 1) FROM range(1_500_000) r(i)"
    buckets.seen()
    buckets.order({"fault": fault} | request_)
    fails(own, large, "store")
    assert len([it for it in buckets.seen(request_["method"], request_["contains"])]) >= 4
    buckets.heal()
    assert own.head() == version and own.scalar("SELECT count(*) FROM t") == 1
    own.result("maintain", {"steps": ["orphans"], "grace_hours": 0})
    assert len(objects(own, "lake")) == 1

    def succeeds():
        # On a busy machine the store may need longer than PATIENCE, and then nothing is written.
        with contextlib.suppress(adbc_driver_manager.OperationalError):
            own.sql(large)
            return True

    harness.wait_until(succeeds, "the store takes it", 120)
    assert own.scalar("SELECT count(*) FROM t") == 1_500_001


@pytest.mark.parametrize("fault", ["unavailable", {"cut_request": 10}])
@pytest.mark.parametrize("file", ["shard-00001", ".export.json", "manifest.json"])
def test_an_export_that_cannot_be_stored_is_never_the_latest(server, buckets, name, file, fault):
    server.sql(f"CREATE TABLE gold.{name} AS SELECT i, hash(i) AS h FROM range(200_000) r(i)")
    request = {"table": f"gold.{name}", "format": "arrow", "shard_bytes": 1 << 20}
    first = server.result("export", request)
    assert len(first["files"]) > 2
    buckets.order({"fault": fault, "method": "PUT", "contains": file})
    with pytest.raises(pyarrow.flight.FlightUnavailableError, match="the store"):
        server.result("export", request)
    buckets.heal()
    found = server.result("exports", {"name": f"gold.{name}", "all": True})["exports"]
    assert [it["uri"] for it in found] == [first["path"]]
    again = server.result("export", request)
    assert again["files"] == first["files"]
    assert server.result("verify", {"left": {"export": f"gold.{name}"}})["rows"] == 200_000


@pytest.mark.parametrize("fault", ["unavailable", {"cut_answer": 100}, "blackhole"])
def test_a_read_of_an_unavailable_object_reports_it(server, buckets, name, fault):
    server.sql(f"CREATE TABLE {name} AS SELECT i FROM range(1000) r(i)")
    server.restart()
    buckets.order({"fault": fault, "contains": name, "method": "GET"})
    assert fails(server, f"SELECT sum(i) FROM {name}", "store") < 30
    buckets.heal()
    assert server.scalar(f"SELECT sum(i) FROM {name}") == 499_500


def test_a_blackhole_does_not_block_others(server, buckets, name):
    server.sql(f"CREATE TABLE {name} AS SELECT 1 AS i")
    server.restart()
    buckets.seen()
    buckets.order({"fault": "blackhole", "contains": name})
    reader = threading.Thread(target=fails, args=[server, f"FROM {name}", "store"])
    reader.start()
    harness.wait_until(lambda: buckets.seen(contains=name), "the reader waits for the store")
    assert server.scalar("SELECT 42") == 42 and reader.is_alive()
    reader.join()


@pytest.mark.parametrize("fault", ["unavailable", {"cut_request": 1 << 20}])
def test_a_landing_that_breaks_off_is_aborted(server, buckets, tmp_path, fault):
    # Three parts of 10 MiB.
    rows = pyarrow.table({"noise": pyarrow.array(range(4_000_000), pyarrow.int64())})
    pyarrow.parquet.write_table(rows, tmp_path / "large.parquet", compression="none", use_dictionary=False)
    assert (tmp_path / "large.parquet").stat().st_size > 30_000_000
    dataset = f"broken{next(_numbers)}"
    buckets.seen()
    buckets.order({"fault": fault, "method": "PUT", "contains": "partNumber=2&"})
    with pytest.raises(pyarrow.flight.FlightUnavailableError, match="the store"):
        server.result("ingest", {"source": tmp_path.as_uri(), "dataset": dataset})
    seen = buckets.seen(contains=dataset)
    [started] = [it["target"] for it in seen if it["method"] == "POST" and "?uploads" in it["target"]]
    tries = [it for it in seen if it["method"] == "PUT" and "partNumber=2&" in it["target"]]
    assert len(tries) == 4
    [aborted] = [it["target"] for it in seen if it["method"] == "DELETE" and "uploadId=" in it["target"]]
    assert aborted.split("?")[0] == started.split("?")[0]
    assert objects(server, f"raw/{dataset}") == []
    assert server.scalar("SELECT count(*) FROM duckdb_tables() WHERE table_name = ?", [dataset]) == 0
    buckets.heal()
    result = server.result("ingest", {"source": tmp_path.as_uri(), "dataset": dataset})
    assert result["rows_added"] == 4_000_000
    [landed] = [name for name in objects(server, f"raw/{dataset}") if name.endswith(".parquet")]
    assert (server.store / landed).read_bytes() == (tmp_path / "large.parquet").read_bytes()


# === what is wrong from the start ===


def refused(buckets, tmp_path, storage, command="serve", code=1, **variables):
    flags = ["--home", tmp_path / "home", "--storage", storage]
    flags += ["--listen", "127.0.0.1:0"] if command == "serve" else []
    start = time.monotonic()
    done = harness.run(command, *flags, **buckets.variables | variables)
    assert done.returncode == code, done.stderr
    assert time.monotonic() - start < 15
    for secret in [buckets.variables["AWS_SECRET_ACCESS_KEY"], "hunter2"]:
        assert secret not in done.stderr + done.stdout
    assert len(done.stderr) < 4096
    return done.stderr


@pytest.mark.parametrize("command", ["serve", "check"])
def test_rejected_keys_are_reported(buckets, tmp_path, command):
    storage = buckets.make_bucket(f"keys-{next(_numbers)}")
    said = refused(buckets, tmp_path, storage, command, AWS_SECRET_ACCESS_KEY="hunter2")
    assert "AWS_SECRET_ACCESS_KEY" in said and storage in said
    said = refused(buckets, tmp_path, storage, command, AWS_ACCESS_KEY_ID="AKIASOMEBODY")
    assert "AWS_ACCESS_KEY_ID" in said


def test_a_bucket_that_is_not_there_is_named(buckets, tmp_path):
    said = refused(buckets, tmp_path, "s3://nowhere/at/all")
    assert "no such bucket" in said and "s3://nowhere/at/all" in said and "--storage" in said


def test_a_store_that_does_not_respond_is_reported(buckets, tmp_path):
    storage = buckets.make_bucket(f"silent-{next(_numbers)}")
    with socket.socket() as dead:
        # Bound, and not listening.
        dead.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{dead.getsockname()[1]}"
        said = refused(buckets, tmp_path, storage, AWS_ENDPOINT_URL=endpoint)
        assert "does not answer" in said and "AWS_ENDPOINT_URL" in said
        # Connected, without a response.
        dead.listen()
        said = refused(buckets, tmp_path, storage, AWS_ENDPOINT_URL=endpoint)
        assert "does not answer" in said and "AWS_ENDPOINT_URL" in said
    buckets.order({"fault": "unavailable"})
    assert "internal error" in refused(buckets, tmp_path, storage)


def test_missing_or_misspelt_settings_are_reported_together(buckets, tmp_path):
    said = refused(buckets, tmp_path, "s3://lake", code=2, AWS_SECRET_ACCESS_KEY="", AWS_ENDPOINT_URL="hunter2@store:9000")
    assert "AWS_SECRET_ACCESS_KEY: required for a storage on S3" in said
    assert "AWS_ENDPOINT_URL: expected http://HOST:PORT" in said
    for storage in ["s3://", "s3:///prefix", "gs://bucket"]:
        assert "--storage: expected" in refused(buckets, tmp_path, storage, code=2)


def test_check_examines_the_store(buckets, tmp_path):
    storage = buckets.make_bucket(f"fine-{next(_numbers)}")
    done = harness.run("check", "--home", tmp_path / "home", "--storage", storage, **buckets.variables)
    assert done.returncode == 0, done.stderr
    assert f"storage        ok, {storage}/" in done.stdout
    assert buckets.objects(storage.removeprefix("s3://")) == []
