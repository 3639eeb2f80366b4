"""The faults of the test Hub and the test Kaggle, seen by a plain HTTP client."""

import contextlib
import http.client
import threading
import urllib.parse

import pytest

import faults
from hub import Hub

pytestmark = pytest.mark.own_catalog
NAME = "owner/things"
CONTENT = bytes(range(256)) * 400
FILE = f"/datasets/{NAME}/resolve/main/a.bin"


@pytest.fixture
def hub():
    with Hub() as hub:
        hub.commit(NAME, {"a.bin": CONTENT})
        yield hub


def ask(hub, method="GET", path=FILE, body=None, **headers):
    """One request: status, headers, body."""
    connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=10)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def commit(hub, *lines, parent=None):
    """Commits files with the content "x": the answer's status."""
    header = '{"key": "header", "value": {"summary": "s", "parentCommit": "%s"}}' % (parent or "")
    files = ['{"key": "file", "value": {"path": "%s", "content": "eA==", "encoding": "base64"}}' % it for it in lines]
    body = "\n".join([header, *files])
    status, _, _ = ask(hub, "POST", f"/api/datasets/{NAME}/commit/main", body, Authorization=f"Bearer {hub.token}")
    return status


def test_errors_are_planned_by_method_path_and_count(hub):
    plan = hub.plan(faults.fail(429, retry_after=7), "GET", "/resolve/", times=2, skip=1)
    gone = hub.plan(faults.fail(404, code="EntryNotFound"), when=lambda method, path: path.endswith("?gone"))
    assert [ask(hub)[0] for _ in range(4)] == [200, 429, 429, 200]
    status, headers, _ = ask(hub, path=FILE + "?gone")
    assert (status, headers["X-Error-Code"], plan.hits, gone.hits) == (404, "EntryNotFound", 2, 1)
    assert ask(hub, "HEAD")[2] == b"" and len(hub.seen("HEAD")) == 1
    hub.plan(faults.fail(500), times=None)
    assert ask(hub)[1]["Retry-After"] is None
    hub.heal()
    assert ask(hub)[0] == 200


def test_bodies_are_cut_changed_and_slowed_down(hub):
    hub.plan(faults.cut(1_000))
    with pytest.raises(http.client.IncompleteRead) as cut:
        ask(hub)
    assert cut.value.partial == CONTENT[:1_000] and hub.bytes_sent == 1_000
    hub.plan(faults.spoil())
    spoilt = ask(hub)[2]
    assert sum(a != b for a, b in zip(spoilt, CONTENT, strict=True)) == 1
    hub.plan(faults.swap(b"other"))
    assert ask(hub)[2] == b"other"
    hub.plan(faults.edit(lambda entries: [entries[0] | {"size": 7}]))
    assert b'"size": 7' in ask(hub, path=f"/api/datasets/{NAME}/tree/main")[2]
    hub.plan(faults.slow(30_000, 0.01))
    assert ask(hub)[2] == CONTENT
    hub.plan(faults.hang_up())
    with pytest.raises(http.client.RemoteDisconnected):
        ask(hub)
    hub.plan(faults.strip("ETag", "X-Repo-Commit"))
    assert not {"ETag", "X-Repo-Commit"} & set(ask(hub)[1])
    assert ask(hub, Range="bytes=5-9")[2] == CONTENT[5:10]
    assert ask(hub, Range="bytes=-3")[2] == CONTENT[-3:]
    assert ask(hub, Range=f"bytes={len(CONTENT)}-")[0] == 416
    hub.plan(faults.ignore_range())
    assert ask(hub, Range="bytes=5-9")[::2] == (200, CONTENT)
    assert hub.requests[-1].range == "bytes=5-9"


def test_a_stalled_body_continues_when_released(hub):
    hub.plan(faults.stall(10))
    connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=10)
    connection.request("GET", FILE)
    response = connection.getresponse()
    assert response.read(10) == CONTENT[:10]
    assert hub.bytes_sent == 10
    hub.release()
    assert response.read() == CONTENT[10:]
    connection.close()


def test_the_end_of_the_server_ends_stalled_bodies():
    with Hub() as hub:
        hub.commit(NAME, {"a.bin": CONTENT})
        hub.plan(faults.stall(10))
        connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=10)
        connection.request("GET", FILE)
        response = connection.getresponse()
        response.read(10)
    # The rest arrives, or the connection ends; the test does not hang.
    with contextlib.suppress(http.client.IncompleteRead, ConnectionResetError):
        assert response.read() == CONTENT[10:]
    connection.close()


def test_commits_are_all_or_nothing_and_may_lose_their_answer(hub):
    first = hub.head(NAME)
    hub.plan(faults.fail(409), "POST", "/commit/")
    assert commit(hub, "b") == 409 and hub.head(NAME) == first
    assert commit(hub, "b", "../c") == 400 and hub.head(NAME) == first
    hub.plan(faults.fail(500, after=True), "POST", "/commit/")
    assert commit(hub, "b") == 500 and hub.files(NAME)["b"] == b"x"
    hub.plan(faults.hang_up(after=True), "POST", "/commit/")
    with pytest.raises(http.client.RemoteDisconnected):
        commit(hub, "c")
    assert hub.files(NAME)["c"] == b"x"
    hub.plan(faults.cut_upload(20), "POST", "/commit/")
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)):
        commit(hub, "d")
    assert "d" not in hub.files(NAME)


def test_the_repository_changes_meanwhile(hub):
    head = hub.head(NAME)
    hub.plan(faults.meanwhile(lambda: hub.commit(NAME, {"other": b"o"})), "POST", "/commit/")
    assert commit(hub, "b", parent=head) == 412
    assert commit(hub, "b", parent=hub.head(NAME)[:7]) == 200
    # A revision that vanishes between the list and the download.
    sha = hub.head(NAME)
    hub.plan(faults.meanwhile(lambda: hub.forget(NAME, sha)), "GET", "/resolve/")
    assert ask(hub, path=f"/api/datasets/{NAME}/tree/{sha}")[0] == 200
    status, headers, _ = ask(hub, path=FILE.replace("main", sha))
    assert (status, headers["X-Error-Code"]) == (404, "RevisionNotFound")


def test_links_to_the_storage(hub):
    hub.lfs_above = 10
    hub.commit(NAME, {"a.bin": CONTENT})
    status, headers, _ = ask(hub)
    link = urllib.parse.urlsplit(headers["Location"])
    assert status == 302 and link.hostname == "localhost"
    target = f"{link.path}?{link.query}"
    assert ask(hub, path=target)[2] == CONTENT and not hub.credentials_at_storage
    ask(hub, path=target, Authorization="Bearer x")
    assert len(hub.credentials_at_storage) == 1
    hub.expire_links()
    assert ask(hub, path=target)[0] == 403
    hub.lfs_redirect, hub.lfs_above, hub.cache_redirect = False, 1 << 20, True
    assert ask(hub)[2] == CONTENT
    hub.commit(NAME, {"small.txt": b"s"})
    status, headers, _ = ask(hub, path=FILE.replace("a.bin", "small.txt"))
    assert status == 307 and ask(hub, path=headers["Location"])[2] == b"s"


def test_uploads_are_checked(hub):
    token = {"Authorization": f"Bearer {hub.token}"}
    asked = '{"operation": "upload", "transfers": ["basic"], "objects": [{"oid": "%s", "size": 3}]}' % ("0" * 64)
    batch = f"/datasets/{NAME}.git/info/lfs/objects/batch"
    assert ask(hub, "POST", batch, asked)[0] == 401
    answer = ask(hub, "POST", batch, asked, **token)[2].decode()
    target = answer.split(f"localhost:{hub.port}")[1].split('"')[0]
    assert ask(hub, "PUT", target, b"abc")[0] == 400
    assert ask(hub, "PUT", target.split("?")[0], b"abc")[0] == 403
    # A body of unknown length arrives in chunks.
    assert ask(hub, "PUT", target, iter([b"a", b"bc"]))[0] == 400
    assert hub.requests[-1].headers["transfer-encoding"] == "chunked" and hub.bytes_received >= 6
    assert hub.objects(NAME) == set()


def test_requests_at_the_same_time(hub):
    threads = [threading.Thread(target=commit, args=[hub, f"file{i}"]) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(hub.files(NAME)) == 17 and len(hub.log(NAME)) == 18


def test_a_bug_of_the_server_is_no_answer_to_trust():
    with pytest.raises(AssertionError, match="ZeroDivisionError"), Hub() as hub:
        hub.plan(faults.meanwhile(lambda: 1 / 0))
        assert ask(hub)[0] == 500
