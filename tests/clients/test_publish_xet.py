"""Publishing to a Hub that demands Xet: the same rows and bytes arrive, and failures of its storage are survived or said."""

import hashlib
import io
import os
import pathlib
import random
import threading

import pyarrow
import pyarrow.parquet
import pytest

import harness
import official
from faults import edit, fail, hang_up, meanwhile
from hub import Hub

pytestmark = pytest.mark.own_catalog
MIB = 1 << 20
DATA = "data/train-00000-of-00001.parquet"
# The requests that an upload makes, in their order.
STEPS = [
    ("GET", "/xet-write-token/"),
    ("POST", "/xorb-grants/"),
    ("PUT", "/xet-storage/"),
    ("POST", "/xorb-commits/"),
    ("POST", "/cas/v1/shards"),
]


@pytest.fixture(scope="module")
def hub():
    with Hub() as hub:
        hub.demands_xet = True
        yield hub
        assert not hub.credentials_at_storage


@pytest.fixture(scope="module")
def server(hub, tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    variables = {"HF_ENDPOINT": hub.endpoint, "HF_TOKEN": hub.token, "HOME": str(folder), "NO_PROXY": "*"}
    server = harness.Server(folder, variables=variables)
    try:
        yield server.start()
        assert not (folder / ".cache").exists()
        assert [it for it in os.listdir(server.home / "staging") if not it.startswith("pin-")] == []
        assert hub.token not in server.log() and not any(token in server.log() for token in hub.xet.tokens)
        assert " xet" not in server.log()
    finally:
        server.discard()


@pytest.fixture(autouse=True)
def sound(hub):
    hub.forget_requests()
    hub.xet.forget()
    hub.xet.grants, hub.demands_xet = True, True
    yield
    hub.heal()
    assert not hub.errors, hub.errors


@pytest.fixture
def table(server, name):
    server.sql(f"CREATE TABLE gold.{name} AS SELECT range AS id, md5(range::VARCHAR) AS text FROM range(3000)")
    return f"gold.{name}"


@pytest.fixture
def media(server, name):
    """media(contents): a query with the addresses of files with these contents."""

    def media(contents):
        folder = pathlib.Path(server.storage) / "assets" / name
        folder.mkdir(parents=True)
        for number, content in enumerate(contents):
            (folder / f"{number}.bin").write_bytes(content)
        return f"SELECT '{folder.as_uri()}/' || range || '.bin' AS clip FROM range({len(contents)})"

    return media


def publish(server, **request):
    return server.result("publish", request)


def upload(server, query, repo):
    return publish(server, query=query, repo=repo, media="upload", media_columns={"clip": "image"})


def noise(size, seed=0):
    return random.Random(seed).randbytes(size)


def read_by_xet(hub, folder, repo):
    """What the official client reads by Xet: the SHA-256 of each large file."""
    script = """
import hashlib, os
from huggingface_hub import *
repo = os.environ["REPO"]
paths = [it for it in HfApi().list_repo_files(repo, repo_type="dataset") if it.startswith(("data/", "media/"))]
def digest(path):
    return hashlib.sha256(open(hf_hub_download(repo, path, repo_type="dataset"), "rb").read()).hexdigest()
result = {path: digest(path) for path in paths}
"""
    hub.forget_requests()
    read = official.run(script, folder, **official.hugging_face(hub, folder, xet=True), REPO=repo)
    assert hub.seen("GET", "/xet-blocks/") and not hub.seen("GET", "/cdn/")
    return read


def large_files(hub, repo):
    """The SHA-256 of the large files that the branch has."""
    files = hub.files(repo).items()
    return {path: hashlib.sha256(it).hexdigest() for path, it in files if path.startswith(("data/", "media/"))}


# === what arrives ===


@pytest.mark.parametrize("grants", [True, False])
@pytest.mark.parametrize("xet", [True, False])
def test_load_dataset_reads_the_rows(server, hub, table, name, tmp_path, grants, xet):
    hub.xet.grants = grants
    result = publish(server, table=table, repo=f"owner/{name}")
    assert result["commit"] == hub.head(f"owner/{name}") and len(hub.log(f"owner/{name}")) == 2
    assert hub.seen("PUT", "/lfs/") == [] and bool(hub.seen("PUT", "/xet-storage/")) == grants
    assert all(seen.headers["user-agent"].startswith("merganser/") for seen in hub.seen(None, "/cas/"))
    script = """
import datasets, os
(loaded,) = datasets.load_dataset(os.environ["REPO"]).values()
result = list(loaded)
"""
    rows = official.run(script, tmp_path, **official.hugging_face(hub, tmp_path, xet=xet), REPO=f"owner/{name}")
    assert rows == [{"id": id_, "text": hashlib.md5(str(id_).encode()).hexdigest()} for id_ in range(3000)]
    assert bool(hub.seen("GET", "/xet-blocks/")) == xet


def test_the_official_client_reads_the_bytes_by_xet(server, hub, media, name, tmp_path):
    # Text, noise, numbers whose bytes are grouped, and more than fits into a block of 64 MiB.
    numbers = b"".join(number.to_bytes(4, "little") for number in range(300_000))
    contents = [b"text " * 50_000, noise(200_000), numbers, b"a", noise(70 * MIB)]
    result = upload(server, media(contents), f"owner/{name}")
    assert result["media_files"] == 5 and len(hub.xet.blocks) > 1
    read = read_by_xet(hub, tmp_path, f"owner/{name}")
    assert read == large_files(hub, f"owner/{name}") and len(read) == 6
    assert {hashlib.sha256(content).hexdigest() for content in contents} < set(read.values())


def test_a_branch_of_a_private_data_set_gets_its_files(server, hub, table, name, tmp_path):
    publish(server, table=table, repo=f"owner/{name}", branch="v/1", private=True)
    assert hub.seen("GET", "/xet-write-token/v%2F1")
    script = f"""
from huggingface_hub import *
result = len(open(hf_hub_download("owner/{name}", "{DATA}", repo_type="dataset", revision="v/1"), "rb").read())
"""
    read = official.run(script, tmp_path, **official.hugging_face(hub, tmp_path, xet=True))
    assert read == len(hub.files(f"owner/{name}", "v/1")[DATA]) and hub.files(f"owner/{name}") == {}


def test_empty_files_arrive(server, hub, media, name):
    upload(server, media([b"", b"x"]), f"owner/{name}")
    assert sorted(content for path, content in hub.files(f"owner/{name}").items() if "media/" in path) == [b"", b"x"]


def test_equal_parts_are_stored_once(server, hub, media, name):
    common = noise(20 * MIB)
    upload(server, media([common, b"other start" + common, common]), f"owner/{name}")
    assert len(large_files(hub, f"owner/{name}")) == 3
    assert sum(map(len, hub.xet.blocks.values())) < 21 * MIB


def test_many_files_arrive_in_several_batches(server, hub, media, name):
    upload(server, media([b"%d" % number * 500 for number in range(300)]), f"owner/{name}")
    assert len(large_files(hub, f"owner/{name}")) == 301 and len(hub.seen("POST", "/objects/batch")) == 2


def test_memory_is_bounded(hub, launch, name):
    server = launch(variables={"HF_ENDPOINT": hub.endpoint, "HF_TOKEN": hub.token})
    folder = pathlib.Path(server.storage) / "assets" / name
    folder.mkdir(parents=True)
    peaks = []
    for size in [1, 600 * MIB]:
        (folder / f"{size}.bin").write_bytes(os.urandom(size))
        upload(server, f"SELECT '{folder.as_uri()}/{size}.bin' AS clip", f"owner/{name}{size}")
        peaks.append(server.peak_rss_bytes() // MIB)
    print("MiB:", peaks)
    assert peaks[1] - peaks[0] < 512


# === once ===


def test_publishing_again_sends_nothing(server, hub, table, name):
    first = publish(server, table=table, repo=f"owner/{name}")
    hub.forget_requests()
    again = publish(server, table=table, repo=f"owner/{name}")
    assert again["unchanged"] and again["commit"] == first["commit"]
    assert len(hub.seen()) <= 3 and {seen.method for seen in hub.seen()} == {"GET"} and hub.bytes_received == 0


def test_what_is_stored_is_not_sent_again(server, hub, table, name):
    hub.plan(fail(400, body="no"), "POST", "/commit/")
    with pytest.raises(pyarrow.ArrowInvalid):
        publish(server, table=table, repo=f"owner/{name}")
    hub.forget_requests()
    publish(server, table=table, repo=f"owner/{name}")
    assert hub.seen(None, "/cas/") == hub.seen("PUT") == [] and len(hub.log(f"owner/{name}")) == 2


def test_files_that_were_sent_before_a_failure_are_not_sent_again(server, hub, media, name):
    # One is stored when the second fails.
    query = media([noise(9 * MIB, seed) for seed in range(2)])
    hub.plan(fail(403), "POST", "/cas/v1/shards", skip=1)
    with pytest.raises(pyarrow.ArrowInvalid, match="HF_TOKEN"):
        upload(server, query, f"owner/{name}")
    hub.forget_requests()
    upload(server, query, f"owner/{name}")
    # The block of the second was there, too; the rows were not.
    assert hub.bytes_received < MIB and len(large_files(hub, f"owner/{name}")) == 3


def test_progress_counts_the_bytes(server, hub, media, name):
    told, seen = threading.Event(), []
    body = {"repo": f"owner/{name}", "media": "upload", "media_columns": {"clip": "image"}}
    body["query"] = media([noise(12 * MIB), noise(30_000)])
    # The last shard waits until the bytes before it were told.
    hub.plan(meanwhile(lambda: told.wait(30)), "POST", "/cas/v1/shards", skip=1)
    for event in server.events("publish", body):
        if event.get("phase") == "upload" and event["done"]:
            seen.append((event["done"], event["total"]))
            if event["done"] >= 12 * MIB:
                told.set()
    assert told.is_set() and seen == sorted(seen) and all(done <= total for done, total in seen), seen


# === the way that is demanded ===


def test_each_batch_goes_its_way(server, hub, media, name):
    query = media([noise(5_000, seed=number) for number in range(300)])
    hub.plan(meanwhile(lambda: setattr(hub, "demands_xet", False)), "POST", "/objects/batch", skip=1)
    upload(server, query, f"owner/{name}")
    assert len(large_files(hub, f"owner/{name}")) == 301
    assert hub.seen("POST", "/cas/v1/shards") and hub.seen("PUT", "/lfs/")


def test_an_unknown_way_is_refused(server, hub, table, name):
    hub.plan(edit(lambda it: it | {"transfer": "pigeon"}), "POST", "/objects/batch")
    with pytest.raises(pyarrow.ArrowNotImplementedError, match='"pigeon"'):
        publish(server, table=table, repo=f"owner/{name}")


# === faults ===


@pytest.mark.parametrize("fault", [fail(503), hang_up(), hang_up(after=True)], ids=["503", "cut", "lost"])
@pytest.mark.parametrize("step", STEPS, ids=str)
def test_a_fault_is_survived(server, hub, table, name, step, fault):
    plan = hub.plan(fault, *step)
    result = publish(server, table=table, repo=f"owner/{name}")
    assert plan.hits == 1 and result["commit"] == hub.head(f"owner/{name}")
    assert len(hub.log(f"owner/{name}")) == 2 and len(large_files(hub, f"owner/{name}")) == 1


@pytest.mark.parametrize(
    ("fault", "step", "error", "words"),
    [
        (fail(403), ("GET", "/xet-write-token/"), pyarrow.ArrowInvalid, "may not write"),
        (fail(401), ("POST", "/xorb-grants/"), pyarrow.ArrowInvalid, "HF_TOKEN.*401"),
        (fail(403), ("POST", "/xorb-grants/"), pyarrow.ArrowInvalid, "HF_TOKEN.*403"),
        (fail(403), ("POST", "/cas/v1/shards"), pyarrow.ArrowInvalid, "HF_TOKEN.*403"),
        (fail(400), ("POST", "/cas/v1/shards"), pyarrow.ArrowException, "rejects it.*400"),
        (fail(503), ("POST", "/cas/v1/shards"), pyarrow.ArrowException, "failed at every attempt.*503"),
        (fail(429), ("POST", "/xorb-grants/"), pyarrow.ArrowException, "too many requests"),
    ],
    ids=range(7),
)
def test_a_lasting_fault_is_said(server, hub, table, name, fault, step, error, words):
    hub.plan(fault, *step, times=None)
    with pytest.raises(error, match=words) as failed:
        publish(server, table=table, repo=f"owner/{name}")
    assert not any(secret in str(failed.value) for secret in [hub.token, "xet_", "/cas"])
    assert hub.files(f"owner/{name}") == {} and len(hub.log(f"owner/{name}")) == 1
    hub.heal()
    publish(server, table=table, repo=f"owner/{name}")
    assert len(large_files(hub, f"owner/{name}")) == 1


@pytest.mark.parametrize(
    ("place", "words"),
    [("http://127.0.0.1:1", "cannot be reached"), ("local:///tmp/x", "where its storage is"), ("memory://", "where its storage is")],
)
def test_a_storage_that_is_not_there_is_said(server, hub, table, name, place, words):
    hub.plan(edit(lambda it: it | {"casUrl": place}), "GET", "/xet-write-token/", times=None)
    with pytest.raises(pyarrow.ArrowException, match=words):
        publish(server, table=table, repo=f"owner/{name}")


def test_a_token_that_expires_is_renewed(server, hub, table, name):
    hub.xet.token_seconds = 25
    try:
        publish(server, table=table, repo=f"owner/{name}")
    finally:
        hub.xet.token_seconds = 900
    assert len(hub.seen("GET", "/xet-write-token/")) > 1 and len(large_files(hub, f"owner/{name}")) == 1


@pytest.mark.parametrize("step", [it[1] for it in STEPS])
def test_an_upload_is_cancelled(server, hub, table, name, step):
    reached, go_on = threading.Event(), threading.Event()
    hub.plan(meanwhile(lambda: (reached.set(), go_on.wait(30))), None, step)
    events = server.events("publish", {"table": table, "repo": f"owner/{name}"})
    job_id = next(events)["job_id"]
    rest = threading.Thread(target=lambda: [None for _ in swallowed(events)])
    rest.start()
    assert reached.wait(30)
    server.action("job.cancel", {"job_id": job_id})
    rest.join(10)
    assert not rest.is_alive()
    harness.wait_until(lambda: "xet" not in thread_names(server), "the threads of the upload end")
    count = len(hub.seen())
    go_on.set()
    # What was cancelled sends nothing more, and the next call completes it.
    assert len(hub.seen()) == count
    publish(server, table=table, repo=f"owner/{name}")
    assert len(large_files(hub, f"owner/{name}")) == 1


def swallowed(events):
    try:
        yield from events
    except pyarrow.ArrowException:
        pass


def thread_names(server):
    tasks = pathlib.Path(f"/proc/{server.process.pid}/task")
    return [(task / "comm").read_text().strip() for task in tasks.iterdir()]


@pytest.mark.parametrize("step", [it[1] for it in STEPS])
def test_an_upload_that_was_killed_is_completed_by_the_next(hub, launch, name, step):
    server = launch(variables={"HF_ENDPOINT": hub.endpoint, "HF_TOKEN": hub.token})
    server.sql(f"CREATE TABLE gold.{name} AS SELECT range AS id FROM range(100)")
    hub.plan(meanwhile(server.kill9), None, step)
    with pytest.raises((pyarrow.ArrowException, OSError)):
        server.action("publish", {"table": f"gold.{name}", "repo": f"owner/{name}"})
    server.start()
    publish(server, table=f"gold.{name}", repo=f"owner/{name}")
    content = hub.files(f"owner/{name}")[DATA]
    assert pyarrow.parquet.read_table(io.BytesIO(content)).num_rows == 100 and len(hub.log(f"owner/{name}")) == 2
