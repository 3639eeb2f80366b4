"""Data sets of Kaggle as sources, by both generations of its interface, and archives from everywhere."""

import io
import tarfile
import zipfile

import pyarrow
import pytest

import harness
from faults import cut, fail, spoil
from kaggle_server import Kaggle

pytestmark = pytest.mark.own_catalog

CSV = b"i,s\n1,a\n2,b\n"


@pytest.fixture(scope="module")
def kaggle():
    with Kaggle() as kaggle:
        yield kaggle
        assert not kaggle.credentials_at_storage


@pytest.fixture(scope="module")
def server(kaggle, tmp_path_factory):
    variables = {"KAGGLE_API_ENDPOINT": kaggle.endpoint, "KAGGLE_API_TOKEN": kaggle.token}
    server = harness.Server(tmp_path_factory.mktemp("server"), variables=variables)
    try:
        yield server.start()
    finally:
        server.discard()


@pytest.fixture(autouse=True)
def sound(kaggle):
    kaggle.forget_requests()
    yield
    kaggle.heal()


def ingest(server, name, **request):
    return server.result("ingest", {"source": f"kaggle://{name}"} | request)


def zipped(*entries):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


def tarred(*entries):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in entries:
            member = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
            else:
                member.type, member.linkname = content
                archive.addfile(member)
    return buffer.getvalue()


def test_a_version_is_downloaded_once(server, kaggle):
    kaggle.publish("owner/Some-Things", {"train.csv": CSV, "notes/readme.txt": b"hello", "more/test.csv": b"i,s\n3,c\n"})
    result = ingest(server, "owner/Some-Things")
    assert server.sql("FROM raw.some_things ORDER BY i") == [(1, "a"), (2, "b"), (3, "c")]
    [landing] = server.result("datasets", {"dataset": "some_things"})["landings"]
    assert sorted(it["path"] for it in landing["files"]) == ["more/test.csv", "train.csv"]
    assert (landing["source"], result["files"]) == ("kaggle://owner/Some-Things", 2)
    kaggle.forget_requests()
    for _ in range(3):
        again = ingest(server, "owner/Some-Things")
        assert (again["unchanged"], again["downloaded"], again["files"]) == (True, 0, 2)
    assert not kaggle.seen(contains="/storage/")
    # A new version brings its new files.
    kaggle.publish("owner/Some-Things", {"train.csv": CSV, "more/test.csv": b"i,s\n3,c\n", "more/new.csv": b"i,s\n4,d\n"})
    assert ingest(server, "owner/Some-Things")["rows_added"] == 1
    assert ingest(server, "owner/Some-Things@1", dataset="first")["rows_added"] == 3


@pytest.mark.parametrize(("generation", "other"), [("new", "/api/v1/"), ("old", "DatasetApiService")])
def test_either_generation_suffices(kaggle, tmp_path, generation, other):
    kaggle.publish("owner/private", {"a.csv": CSV}, private=True)
    kaggle.plan(fail(404), contains=other, times=100)
    ours = {"KAGGLE_API_TOKEN": kaggle.token}
    if generation == "old":
        ours = {"KAGGLE_USERNAME": kaggle.username, "KAGGLE_KEY": kaggle.key}
    server = harness.Server(tmp_path, variables={"KAGGLE_API_ENDPOINT": kaggle.endpoint} | ours)
    try:
        server.start()
        assert ingest(server, "owner/private")["rows_added"] == 2
        log = server.log()
        assert kaggle.token not in log and kaggle.key not in log
    finally:
        server.discard()


def test_access_is_denied_with_a_remedy(server, kaggle, tmp_path):
    kaggle.publish("owner/closed", {"a.csv": CSV}, private=True)
    with pytest.raises(pyarrow.ArrowKeyError, match='"owner/nothing" does not exist on Kaggle'):
        ingest(server, "owner/nothing")
    other = harness.Server(tmp_path, variables={"KAGGLE_API_ENDPOINT": kaggle.endpoint})
    try:
        other.start()
        with pytest.raises(pyarrow.ArrowException, match="KAGGLE_API_TOKEN, or KAGGLE_USERNAME and KAGGLE_KEY"):
            ingest(other, "owner/closed")
    finally:
        other.discard()


@pytest.mark.parametrize("fault", [fail(429, retry_after=1), fail(503), cut(100)], ids=["429", "503", "cut"])
def test_what_passes_is_tried_again(server, kaggle, fault, request):
    name = f"owner/tried{request.node.callspec.id}"
    kaggle.publish(name, {"a.csv": b"i\n" + b"".join(b"%d\n" % number for number in range(10_000))})
    kaggle.plan(fault, contains="/storage/")
    assert ingest(server, name)["rows_added"] == 10_000


def test_a_spoiled_archive_is_refused(server, kaggle):
    kaggle.publish("owner/spoiled", {"a.csv": CSV})
    kaggle.plan(spoil(), contains="/storage/", times=100)
    with pytest.raises(pyarrow.ArrowException, match="does not have the stated checksum"):
        ingest(server, "owner/spoiled")
    kaggle.heal()
    assert ingest(server, "owner/spoiled")["rows_added"] == 2


BAD = {
    "climbs": (zipped(("../a.csv", CSV)), "leads out of its folder"),
    "absolute": (zipped(("/etc/a.csv", CSV)), "leads out of its folder"),
    "twice": (zipped(("a.csv", CSV), ("a.csv", CSV)), "another entry has this name"),
    "below a file": (zipped(("a", b"x"), ("a/b.csv", CSV)), "another entry has this name"),
    "cut": (zipped(("a.csv", CSV))[:-10], "unpack"),
    "no archive": (b"<html>", "unpack"),
    "empty": (zipped(), "contains no Parquet"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_archives_are_refused_and_leave_nothing(server, kaggle, kind):
    archive, told = BAD[kind]
    name = f"bad_{kind.replace(' ', '_')}"
    kaggle.publish_archive(f"owner/{name}", archive)
    with pytest.raises(pyarrow.ArrowInvalid, match=told):
        ingest(server, f"owner/{name}", dataset=name)
    assert not [path for path in (server.store / "raw" / name).rglob("*") if path.is_file()]
    assert not [path for path in (server.home / "staging").rglob("*") if path.is_file()]


@pytest.mark.parametrize("link", [(tarfile.SYMTYPE, "/etc/passwd"), (tarfile.LNKTYPE, "b.csv"), (tarfile.FIFOTYPE, "")])
def test_links_and_pipes_are_refused(server, tmp_path, link):
    (tmp_path / "a.tar.gz").write_bytes(tarred(("b.csv", CSV), ("a.csv", link)))
    with pytest.raises(pyarrow.ArrowInvalid, match='"a.csv": it is a'):
        server.result("ingest", {"source": (tmp_path / "a.tar.gz").as_uri(), "dataset": "links"})


def test_archives_of_a_folder_are_unpacked(server, tmp_path):
    (tmp_path / "one.zip").write_bytes(zipped(("x/a.csv", CSV)))
    (tmp_path / "two.tgz").write_bytes(tarred(("a.csv", b"i,s\n3,c\n")))
    result = server.result("ingest", {"source": tmp_path.as_uri(), "dataset": "archives"})
    assert (result["files"], result["rows_added"]) == (2, 3)
    [landing] = server.result("datasets", {"dataset": "archives"})["landings"]
    assert sorted(it["path"] for it in landing["files"]) == ["one/x/a.csv", "two/a.csv"]
    assert server.result("ingest", {"source": tmp_path.as_uri(), "dataset": "archives"})["unchanged"]


@pytest.mark.parametrize("source", ["kaggle://owner", "kaggle://a/b/c", "kaggle://a/b@x", "kaggle://../x", "kaggle://"])
def test_names_are_checked(server, source):
    with pytest.raises(pyarrow.ArrowInvalid, match="kaggle://OWNER/SLUG"):
        server.result("ingest", {"source": source})
