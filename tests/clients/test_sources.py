"""Sources of ingest beside local files: web servers, buckets and landings that wait for files; their landings and prune."""

import hashlib
import json
import pathlib
import urllib.parse

import pyarrow
import pyarrow.flight
import pytest

import harness
from faults import Answer, Fault, cut, fail, hang_up, ignore_range, meanwhile, slow
from faulty_http import Server, content_answer

pytestmark = pytest.mark.own_catalog

CSV = b"i,s\n1,a\n2,b\n"
MIB = 1 << 20


class Web(Server):
    """A web server: files by path, and redirects."""

    def __init__(self):
        super().__init__()
        self.files, self.redirects = {}, {}

    def answer(self, request):
        path = urllib.parse.unquote(request.path)
        if path in self.redirects:
            return Answer(302, b"", {"Location": self.redirects[path]})
        if path not in self.files:
            return Answer(404, b"no such file")
        content = self.files[path]
        return content_answer(request, content, {"ETag": f'"{hashlib.sha256(content).hexdigest()}"'})

    def publish(self, path, content):
        self.files[path] = content
        return self.endpoint + urllib.parse.quote(path)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = harness.Server(tmp_path_factory.mktemp("server"), "--allow-private-sources", "true")
    try:
        yield server.start()
    finally:
        server.discard()


@pytest.fixture
def web():
    with Web() as web:
        yield web


def large():
    """A file of some megabytes, and the sum of its only column."""
    numbers = range(400_000)
    return b"i\n" + b"".join(b"%d\n" % number for number in numbers), sum(numbers)


def landings(server, **request):
    return server.result("datasets", request)["landings"]


def folder_of(server, dataset):
    return server.store / "raw" / dataset


def nothing_is_left(server, dataset):
    assert not [path for path in folder_of(server, dataset).rglob("*") if path.is_file()]
    assert not list((server.home / "staging").glob(".tmp*"))


# === web servers ===


def test_a_file_of_a_web_server_lands_with_its_hash(server, web):
    source = web.publish("/files/My Data.csv", CSV) + "?key=hunter2"
    result = server.result("ingest", {"source": source})
    assert (result["rows_added"], result["files"], result["bytes"]) == (2, 1, len(CSV))
    assert server.sql("FROM raw.my_data") == [(1, "a"), (2, "b")]
    [landing] = landings(server, dataset="my_data")
    assert (landing["state"], landing["latest"], landing["uri"]) == ("complete", True, result["landing"])
    assert landing["source"] == source.removesuffix("?key=hunter2")
    digest = hashlib.sha256(CSV).hexdigest()
    assert landing["files"] == [{"path": "My Data.csv", "bytes": len(CSV), "sha256": digest}]
    written = b"".join(path.read_bytes() for path in folder_of(server, "my_data").rglob("*.json"))
    assert b"hunter2" not in written and "hunter2" not in server.log()
    assert b"hunter2" not in json.dumps(server.sql("FROM ducklake_snapshots('lake')"), default=str).encode()


@pytest.mark.parametrize("fault", [cut(0), cut(100_000), hang_up(), fail(503), fail(429, retry_after=0), fail(500)])
def test_a_failed_download_is_repeated(server, web, name, fault):
    content, total = large()
    source = web.publish("/data.csv", content)
    plan = web.plan(fault, "GET", times=2)
    server.result("ingest", {"source": source, "dataset": name})
    assert (plan.hits, server.scalar(f"SELECT sum(i) FROM raw.{name}")) == (2, total)


def test_a_cut_download_is_resumed(server, web, name):
    content, total = large()
    source = web.publish("/data.csv", content)
    web.plan(cut(MIB), "GET", times=2)
    server.result("ingest", {"source": source, "dataset": name})
    assert server.scalar(f"SELECT sum(i) FROM raw.{name}") == total
    assert [it.range for it in web.seen("GET")][0] is None
    assert all(it.range for it in web.seen("GET")[1:]) and web.bytes_sent <= len(content) + 16


def test_a_server_without_ranges_is_read_from_the_start(server, web, name):
    content, total = large()
    source = web.publish("/data.csv", content)
    web.plan(cut(MIB), "GET")
    web.plan(ignore_range(), "GET")
    server.result("ingest", {"source": source, "dataset": name})
    assert server.scalar(f"SELECT sum(i) FROM raw.{name}") == total


def short_answer(length, start=0):
    """A partial answer that is shorter than what was asked for, or begins elsewhere."""

    def change(answer):
        first, rest = answer.headers["Content-Range"].removeprefix("bytes ").split("-", 1)
        size, first = rest.split("/")[1], int(first)
        answer.headers["Content-Range"] = f"bytes {first + start}-{first + start + length - 1}/{size}"
        return Answer(206, answer.body[max(start, 0) :][:length], answer.headers)

    return Fault(change=change)


@pytest.mark.parametrize("fault", [short_answer(1000), short_answer(1000, 5), fail(416)])
def test_a_partial_answer_is_no_whole_file(server, web, name, fault):
    content, total = large()
    source = web.publish("/data.csv", content)
    web.plan(cut(MIB), "GET")
    web.plan(fault, "GET")
    server.result("ingest", {"source": source, "dataset": name})
    assert server.scalar(f"SELECT sum(i) FROM raw.{name}") == total


@pytest.mark.parametrize("status", [201, 202, 204])
def test_an_answer_without_the_file_is_refused(server, web, name, status):
    source = web.publish("/data.csv", CSV)
    web.plan(Fault(instead=Answer(status)), "GET", times=None)
    with pytest.raises(pyarrow.ArrowInvalid, match="rejects the request"):
        server.result("ingest", {"source": source, "dataset": name})


def test_a_key_does_not_follow_a_redirect(server, web, name):
    with Web() as other:
        web.redirects = {"/old.csv": other.publish("/data.csv", CSV)}
        server.result("ingest", {"source": web.endpoint + "/old.csv?key=hunter2", "dataset": name})
        [seen] = other.requests
    assert "hunter2" not in str(seen)


def test_parts_of_two_files_are_not_put_together(server, web, name):
    content, total = large()
    source = web.publish("/data.csv", b"j\n" + b"0\n" * len(content))
    web.plan(cut(MIB), "GET")
    web.plan(meanwhile(lambda: web.publish("/data.csv", content)), "GET")
    server.result("ingest", {"source": source, "dataset": name})
    assert server.scalar(f"SELECT sum(i) FROM raw.{name}") == total


def test_a_slow_server_is_waited_for(server, web, name):
    source = web.publish("/data.csv", CSV)
    web.plan(slow(3, 0.05), "GET")
    assert server.result("ingest", {"source": source, "dataset": name})["rows_added"] == 2


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        (fail(404), KeyError, "no such file"),
        (fail(410), KeyError, "no such file"),
        (fail(401), pyarrow.ArrowInvalid, "requires a login"),
        (fail(403), pyarrow.ArrowInvalid, "denies access"),
        (fail(400), pyarrow.ArrowInvalid, "rejects the request"),
        (fail(503), pyarrow.flight.FlightUnavailableError, "try again later"),
        (cut(0), pyarrow.flight.FlightUnavailableError, "the connection failed"),
    ],
)
def test_a_download_that_fails_leaves_nothing(server, web, name, fault, kind, words):
    source = web.publish("/data.csv", CSV) + "?key=hunter2"
    web.plan(fault, "GET", times=None)
    with pytest.raises(kind, match=words) as error:
        server.result("ingest", {"source": source, "dataset": name})
    assert "hunter2" not in str(error.value) and "/data.csv" in str(error.value)
    nothing_is_left(server, name)
    web.heal()
    assert server.result("ingest", {"source": source, "dataset": name})["rows_added"] == 2


def test_redirects_are_followed_and_end(server, web, name):
    web.publish("/data.csv", CSV)
    web.redirects = {"/old.csv": "/data.csv", "/circle.csv": "/circle.csv"}
    assert server.result("ingest", {"source": web.endpoint + "/old.csv", "dataset": name})["rows_added"] == 2
    with pytest.raises(pyarrow.ArrowInvalid, match="redirects without end"):
        server.result("ingest", {"source": web.endpoint + "/circle.csv", "dataset": name})


@pytest.mark.parametrize("source", ["http://user:hunter2@127.0.0.1/a.csv", "http://user@127.0.0.1/a.csv"])
def test_a_password_in_a_url_is_refused(server, name, source):
    with pytest.raises(pyarrow.ArrowInvalid, match="user or a password") as error:
        server.result("ingest", {"source": source, "dataset": name})
    assert "hunter2" not in str(error.value)


def test_a_url_without_a_file_is_refused(server, web, name):
    with pytest.raises(pyarrow.ArrowInvalid, match="names no file"):
        server.result("ingest", {"source": web.endpoint, "dataset": name})
    web.publish("/a/../../b.csv", CSV)
    with pytest.raises(pyarrow.ArrowInvalid, match="leads out of its folder"):
        server.result("ingest", {"source": web.endpoint + "/a%2F..%2F..%2Fb.csv", "dataset": name})


def test_a_download_can_be_cancelled(server, web, name):
    content, _ = large()
    source = web.publish("/data.csv", content)
    web.plan(slow(1000, 0.05), "GET", times=None)
    events = server.events("ingest", {"source": source, "dataset": name})
    job = next(events)["job_id"]
    harness.wait_until(lambda: web.bytes_sent > 0, "the download has begun")
    server.result("job.cancel", {"job_id": job})
    with pytest.raises(pyarrow.flight.FlightCancelledError):
        list(events)
    nothing_is_left(server, name)


# === addresses ===

OURS = [
    "https://127.0.0.1/a.csv",
    "https://[::1]/a.csv",
    "https://localhost/a.csv",
    "https://2130706433/a.csv",
    "https://0x7f.1/a.csv",
    "https://169.254.169.254/latest/meta-data/a.csv",
    "https://10.0.0.1/a.csv",
    "https://192.168.0.1/a.csv",
    "https://[::ffff:127.0.0.1]/a.csv",
    "https://[fd00::1]/a.csv",
]


def test_a_proxy_of_the_environment_is_not_used(launch, web, name):
    careful = launch(variables={"HTTPS_PROXY": web.endpoint, "HTTP_PROXY": web.endpoint})
    with pytest.raises(pyarrow.ArrowInvalid, match="loopback, link-local or private"):
        careful.result("ingest", {"source": "https://localhost/a.csv", "dataset": name})
    assert not web.requests


def test_private_addresses_are_not_reached(launch, web, name):
    careful = launch()
    for source in OURS:
        with pytest.raises(pyarrow.ArrowInvalid, match="loopback, link-local or private"):
            careful.result("ingest", {"source": source, "dataset": name})
    plain = web.publish("/data.csv", CSV)
    with pytest.raises(pyarrow.ArrowInvalid, match="use https://"):
        careful.result("ingest", {"source": plain, "dataset": name})
    assert not web.requests


# === buckets ===


@pytest.fixture
def bucket(buckets, name):
    """A bucket as a folder, and its URI."""
    return buckets.root / f"bucket-{name}", buckets.make_bucket(f"bucket-{name}")


@pytest.fixture
def with_s3(launch, buckets):
    """A server with a local storage, and with keys for S3."""
    return launch(variables=buckets.variables)


def test_objects_below_a_prefix_are_one_source(with_s3, bucket):
    folder, uri = bucket
    for path, content in {"data/a.csv": "i\n1\n", "data/more/b ü.csv": "i\n2\n", "other/c.csv": "i\n3\n"}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)
    result = with_s3.result("ingest", {"source": f"{uri}/data/"})
    assert (result["files"], with_s3.sql("FROM raw.data ORDER BY i")) == (2, [(1,), (2,)])
    assert with_s3.result("ingest", {"source": f"{uri}/data/a.csv"})["rows_added"] == 1
    assert with_s3.sql("FROM raw.a") == [(1,)]


def test_empty_objects_that_stand_for_folders_are_left_out(with_s3, buckets, bucket, name):
    folder, uri = bucket
    (folder / "d" / "sub").mkdir(parents=True)
    (folder / "d" / "sub" / "a.csv").write_text("i\n1\n")
    result = with_s3.result("ingest", {"source": f"{uri}/d", "dataset": name})
    assert (result["files"], result["rows_added"]) == (1, 1)


@pytest.mark.parametrize("missing", ["/nothing", "/nothing.csv"])
def test_objects_that_do_not_exist_are_not_found(with_s3, bucket, missing, name):
    with pytest.raises(KeyError, match="no object"):
        with_s3.result("ingest", {"source": bucket[1] + missing, "dataset": name})


def test_a_bucket_without_a_valid_name_is_refused(with_s3, name):
    with pytest.raises(pyarrow.ArrowInvalid, match="name of the bucket"):
        with_s3.result("ingest", {"source": "s3://x/data", "dataset": name})


def test_a_bucket_needs_keys(server, name):
    with pytest.raises(pyarrow.ArrowInvalid, match="AWS_ACCESS_KEY_ID"):
        server.result("ingest", {"source": "s3://bucket/data", "dataset": name})


# === landings that wait for files ===


def test_a_manual_landing_is_made_filled_and_ingested(server, name):
    request = {"source": "manual", "dataset": name}
    made = server.result("ingest", request)
    assert (made["files"], made["rows_added"], made["tables"]) == (0, 0, [])
    # Nothing was put there: it is the same.
    assert server.result("ingest", request)["landing"] == made["landing"]
    [landing] = landings(server, dataset=name)
    assert (landing["state"], landing["latest"], landing["files"]) == ("waiting", False, [])
    folder = pathlib.Path(urllib.parse.urlparse(made["landing"]).path)
    (folder / "part").mkdir()
    (folder / "part" / "a.csv").write_bytes(CSV)
    (folder / "part" / "notes.txt").write_text("not data")
    result = server.result("ingest", request)
    assert (result["landing"], result["files"], result["rows_added"]) == (made["landing"], 1, 2)
    [landing] = landings(server, dataset=name)
    assert (landing["state"], landing["latest"], landing["source"]) == ("complete", True, "manual")
    assert server.result("ingest", request)["landing"] != made["landing"]


def test_a_landing_is_ingested_once(server, name):
    request = {"source": "manual", "dataset": name}
    folder = pathlib.Path(urllib.parse.urlparse(server.result("ingest", request)["landing"]).path)
    (folder / "a.csv").write_bytes(CSV)
    server.result("ingest", request)
    # As if the server had been killed before it removed the mark.
    (folder / ".keep").write_bytes(b"")
    assert server.result("ingest", request)["rows_added"] == 0
    assert server.scalar(f"SELECT count(*) FROM raw.{name}") == 2


def test_files_that_were_not_read_are_not_pruned(server, tmp_path, name):
    request = {"source": "manual", "dataset": name}
    folder = pathlib.Path(urllib.parse.urlparse(server.result("ingest", request)["landing"]).path)
    (folder / "a.csv").write_bytes(CSV)
    server.result("ingest", request)
    (folder / "late.csv").write_bytes(CSV)
    (tmp_path / "b.csv").write_bytes(CSV)
    server.result("ingest", {"source": tmp_path.as_uri(), "dataset": name})
    assert server.result("prune", {"datasets": [name]})["removed"] == []
    (folder / "late.csv").unlink()
    assert len(server.result("prune", {"datasets": [name]})["removed"]) == 1


def test_the_latest_landing_does_not_go_back(server, tmp_path, name):
    waiting = server.result("ingest", {"source": "manual", "dataset": name})["landing"]
    (tmp_path / "b.csv").write_bytes(CSV)
    latest = server.result("ingest", {"source": tmp_path.as_uri(), "dataset": name})["landing"]
    (pathlib.Path(urllib.parse.urlparse(waiting).path) / "a.csv").write_bytes(CSV)
    assert server.result("ingest", {"source": "manual", "dataset": name})["landing"] == waiting
    assert [it["uri"] for it in landings(server, dataset=name)] == [latest]


def test_a_hidden_file_is_refused(server, web, name):
    source = web.publish("/.landing.json", b'{"a": 1}')
    with pytest.raises(pyarrow.ArrowInvalid, match="hidden"):
        server.result("ingest", {"source": source, "dataset": name})


def test_errors_of_downloads_name_the_source(server, web, name):
    for path, content in {"/empty.csv": b"", "/text.txt": b"x"}.items():
        source = web.publish(path, content)
        with pytest.raises(pyarrow.ArrowInvalid) as error:
            server.result("ingest", {"source": source, "dataset": name})
        assert source in str(error.value) and "staging" not in str(error.value)


def test_files_of_a_manual_landing_stay_when_they_are_refused(server, name):
    request = {"source": "manual", "dataset": name}
    folder = pathlib.Path(urllib.parse.urlparse(server.result("ingest", request)["landing"]).path)
    (folder / "a.parquet").write_bytes(b"no Parquet")
    with pytest.raises(pyarrow.ArrowInvalid):
        server.result("ingest", request)
    assert (folder / "a.parquet").read_bytes() == b"no Parquet"
    (folder / "a.parquet").unlink()
    (folder / "a.csv").write_bytes(CSV)
    assert server.result("ingest", request)["rows_added"] == 2


@pytest.mark.parametrize("source", ["manual", "file:///", "https://host/"])
def test_a_source_without_a_name_needs_one(server, source):
    with pytest.raises(pyarrow.ArrowInvalid, match='specify the name of the data set as "dataset"'):
        server.result("ingest", {"source": source})


@pytest.mark.parametrize("source", ["ftp://host/a.csv", "hdfs://host/a", "a.csv", "", "//host/a", "gopher://x"])
def test_other_sources_are_refused_with_those_that_are_known(server, name, source):
    with pytest.raises(pyarrow.ArrowException, match="https://host/file.*s3://bucket/prefix.*manual"):
        server.result("ingest", {"source": source, "dataset": name})


# === listing and pruning ===


def test_the_latest_landing_is_kept_and_older_ones_are_pruned(server, tmp_path, name):
    request = {"source": tmp_path.as_uri(), "dataset": name}
    uris = []
    for number in range(3):
        (tmp_path / "a.csv").write_bytes(CSV.replace(b"1", b"%d" % (number + 3)))
        uris.append(server.result("ingest", request)["landing"])
    assert server.result("ingest", request)["landing"] == uris[-1]
    waiting = server.result("ingest", {"source": "manual", "dataset": name})["landing"]
    assert [it["uri"] for it in landings(server, dataset=name, all=True)] == [waiting, *reversed(uris)]
    assert [it["uri"] for it in landings(server, dataset=name)] == [waiting, uris[-1]]
    planned = server.result("prune", {"datasets": [name], "dry_run": True})
    assert {it["uri"] for it in planned["removed"]} == set(uris[:2])
    assert len(landings(server, dataset=name, all=True)) == 4
    removed = server.result("prune", {"datasets": [name]})["removed"]
    assert [(it["files"], it["bytes"]) for it in removed] == [(1, len(CSV))] * 2
    assert [it["uri"] for it in landings(server, dataset=name, all=True)] == [waiting, uris[-1]]
    assert server.result("prune", {"datasets": [name]})["removed"] == []
    assert server.sql(f"SELECT i FROM raw.{name} ORDER BY i") == [(2,), (3,), (4,), (5,)]


def test_a_landing_that_is_being_written_is_not_pruned(server, tmp_path, name):
    (tmp_path / "a.csv").write_bytes(CSV)
    latest = server.result("ingest", {"source": tmp_path.as_uri(), "dataset": name})["landing"]
    today = pathlib.Path(urllib.parse.urlparse(latest).path).parent
    for landing in [today / "00_00_00_000", today.parent / "2020_01_01" / "00_00_00_000"]:
        landing.mkdir(parents=True)
        (landing / "part.csv").write_bytes(b"i")
    removed = server.result("prune", {"datasets": [name]})["removed"]
    assert [it["landing"] for it in removed] == ["2020_01_01/00_00_00_000"]


@pytest.mark.parametrize("action", ["datasets", "prune"])
def test_names_of_data_sets_are_checked(server, action):
    bad = {"datasets": {"dataset": "../x"}, "prune": {"datasets": ["../x"]}}[action]
    with pytest.raises(pyarrow.ArrowInvalid, match="not a valid name"):
        server.result(action, bad)
    none = {"datasets": {"dataset": "nothing"}, "prune": {"datasets": ["nothing"]}}[action]
    assert server.result(action, none) in (
        {"landings": []},
        {"removed": [], "removed_exports": [], "dry_run": False},
    )


def test_the_command_line_says_where_to_put_files(server, name):
    made = harness.run("ingest", "manual", "--dataset", name, "--url", server.uri)
    folder = pathlib.Path(urllib.parse.urlparse(made.stdout.strip()).path)
    assert folder.is_dir() and "put the files there" in made.stderr, made
    (folder / "a.csv").write_bytes(CSV)
    assert "1 files landed" in harness.run("ingest", "manual", "--dataset", name, "--url", server.uri).stdout


def test_the_command_line_lists_and_prunes(server, tmp_path, name):
    for content in [CSV.replace(b"1", b"3"), CSV]:
        (tmp_path / f"{name}.csv").write_bytes(content)
        done = harness.run("ingest", tmp_path / f"{name}.csv", "--url", server.uri)
        assert done.returncode == 0, done.stderr
    listed = harness.run("datasets", name, "--all", "--url", server.uri)
    assert listed.stdout.count("complete") == 2, listed
    files = harness.run("datasets", name, "--files", "--url", server.uri).stdout
    assert hashlib.sha256(CSV).hexdigest() in files
    pruned = harness.run("prune", name, "--dry-run", "--url", server.uri)
    assert "1 landings and 0 exports with 12 bytes would be removed" in pruned.stdout, pruned
    assert "were removed" in harness.run("prune", name, "--url", server.uri).stdout
    listed = harness.run("datasets", name, "--all", "--url", server.uri, "--json")
    assert len(json.loads(listed.stdout.splitlines()[-1])["result"]["landings"]) == 1
