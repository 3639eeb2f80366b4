"""A local Hugging Face Hub for tests: repositories in memory, behind the Hub's HTTP interface.

    with Hub() as hub:
        sha = hub.commit("owner/name", {"data/train.parquet": content, "README.md": b"..."})
        ...  # A client with HF_ENDPOINT=hub.endpoint and the token hub.token.
        assert hub.files("owner/name")["README.md"] == b"..."
        assert len(hub.seen("POST", "/commit/")) == 1

Access: `token` may do everything. `stranger_token` belongs to another user: it sees no private repository, no
content of a gated one, and writes nothing. Any other token is refused with 401. Faults: see faults.py.

Xet: see hub_xet.py. Python clients upload by it without being asked, so that those of the other tests need
HF_HUB_DISABLE_XET=1.

Not served: compare; discussions; checks of the README's YAML beyond its frame.
"""

import base64
import secrets
import urllib.parse

import hub_writes  # noqa: F401 (registers its routes)
import hub_xet
from faults import Answer, json_answer
from faulty_http import content_answer
from hub_routes import API, PREFIXED, REV, Routed, refusal, route
from hub_store import File, Repo, Unknown

PATHS_AT_ONCE = 1_000


class Hub(Routed):
    def __init__(self):
        self.token = "hf_" + secrets.token_hex(16)
        self.stranger_token = "hf_" + secrets.token_hex(16)
        self.repos = {}
        # Files above this size are LFS, and *.parquet at any size.
        self.lfs_above = 10 << 20
        # Larger objects are uploaded in parts of this size.
        self.multipart_above = 5 << 30
        self.part_size = 16 << 20
        # Whether files are to be uploaded by Xet, if the client offers that.
        self.demands_xet = False
        self.xet = hub_xet.Xet()
        # The greatest page of a list.
        self.page_size = 1_000
        # LFS files come by redirect from the storage host; regular ones, if wanted, by a relative one from a cache.
        self.lfs_redirect = True
        self.cache_redirect = False
        super().__init__()

    # === the test's side ===

    def commit(
        self,
        name,
        files=None,
        delete=(),
        revision="main",
        private=False,
        gated=False,
        kind="datasets",
        title="a commit",
        description="",
    ):
        """Commits files and deletions; returns the commit id. The first commit creates the repository."""
        with self.lock:
            if (kind, name) not in self.repos:
                self.repos[kind, name] = Repo(kind, name, private, gated)
            repo = self.repos[kind, name]
            changes = {
                path: File.of(bytes(content), self.is_lfs(path, len(content)))
                for path, content in (files or {}).items()
            }
            repo.objects |= {file.sha256: file.content for file in changes.values() if file.lfs}
            changes |= {path: None for path in delete}
            ref = repo.ref(revision) or f"refs/heads/{revision}"
            base = None if ref in repo.refs else repo.at("main")
            return repo.commit(ref, changes, title, description, base=base).sha

    def head(self, name, revision="main", kind="datasets"):
        """The commit id of a revision."""
        return self.repos[kind, name].at(revision).sha

    def files(self, name, revision="main", kind="datasets"):
        """The content of all files, without .gitattributes, by path."""
        files = self.repos[kind, name].at(revision).files
        return {path: file.content for path, file in sorted(files.items()) if path != ".gitattributes"}

    def log(self, name, revision="main", kind="datasets"):
        """The commits, newest first, with sha, parent, title and description; the last one created the repository."""
        return self.repos[kind, name].log(revision)

    def objects(self, name, kind="datasets"):
        """The SHA-256 of all uploaded LFS objects, whether a commit refers to them or not."""
        return set(self.repos[kind, name].objects)

    def forget(self, name, sha, kind="datasets"):
        """Makes a commit vanish: it is unknown from now on, and its branches are at its parent."""
        with self.lock:
            repo = self.repos[kind, name]
            parent = repo.commits.pop(sha).parent
            repo.refs = {ref: parent if target == sha else target for ref, target in repo.refs.items()}

    def is_lfs(self, path, size):
        return path.endswith(".parquet") or size > self.lfs_above

    def page(self, request, items):
        """One page of a list, with the link to the next one."""
        limit = min(int(request.first("limit", self.page_size)), self.page_size)
        start = int(base64.urlsafe_b64decode(request.first("cursor", "")) or 0)
        headers = {}
        if start + limit < len(items):
            cursor = base64.urlsafe_b64encode(str(start + limit).encode()).decode()
            query = {name: values for name, values in request.query.items() if name != "cursor"} | {"cursor": cursor}
            url = f"{self.base(request)}{request.path}?{urllib.parse.urlencode(query, doseq=True)}"
            headers["Link"] = f'<{url}>; rel="next"'
        return json_answer(items[start : start + limit], headers=headers)


# === entries ===


def entry(commit, path, expand=False):
    """A file or folder as the tree shows it; None if there is none."""
    path = path.rstrip("/")
    file = commit.files.get(path)
    if file is None:
        if not commit.below(path) or not path:
            return None
        shown = {"type": "directory", "oid": commit.tree_oid(path), "size": 0, "path": path}
    else:
        shown = {"type": "file", "oid": file.oid, "size": file.size, "path": path}
        if file.lfs:
            shown["lfs"] = {"oid": file.sha256, "size": file.size, "pointerSize": file.pointer_size}
    if expand:
        newest = commit.changed[path if file else next(iter(commit.below(path)))]
        shown["lastCommit"] = {"id": newest, "title": "a commit", "date": commit.date}
        if file:
            checks = {"status": "unscanned", "avScan": None, "pickleImportScan": None}
            shown["securityFileStatus"] = checks
    return shown


def sibling(path, file, with_sizes):
    shown = {"rfilename": path}
    if with_sizes:
        shown |= {"size": file.size, "blobId": file.oid}
        if file.lfs:
            shown["lfs"] = {"sha256": file.sha256, "size": file.size, "pointerSize": file.pointer_size}
    return shown


def is_true(text):
    return str(text).lower() in ("true", "1")


# === reading ===


@route("GET", "/api/whoami-v2")
def whoami(hub, request):
    user = hub.user(request)
    if user is None:
        raise refusal(401, "Invalid username or password.")
    return json_answer(
        {
            "type": "user",
            "id": "000000000000000000000001",
            "name": user,
            "fullname": user,
            "email": f"{user}@example.org",
            "emailVerified": True,
            "canPay": False,
            "isPro": False,
            "orgs": [],
            "auth": {
                "type": "access_token",
                "accessToken": {"displayName": "test", "role": "write", "createdAt": "2026-01-01T00:00:00.000Z"},
            },
        }
    )


@route("GET", API)
@route("GET", f"{API}/revision/{REV}")
def info(hub, request, kind, name, revision="main"):
    repo = hub.repo(request, kind, name)
    commit = repo.at(revision)
    with_sizes = is_true(request.first("blobs"))
    shown = {
        "_id": "000000000000000000000002",
        "id": name,
        "author": name.split("/")[0],
        "sha": commit.sha,
        "lastModified": commit.date,
        "createdAt": next(iter(repo.commits.values())).date,
        "private": repo.private,
        "gated": "manual" if repo.gated else False,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": [],
        "siblings": [sibling(path, file, with_sizes) for path, file in sorted(commit.files.items())],
    }
    wanted = request.query.get("expand", []) + request.query.get("expand[]", [])
    if wanted:
        shown = {field: value for field, value in shown.items() if field in ["_id", "id", *wanted]}
    return json_answer(shown)


@route("GET", f"{API}/tree/{REV}(?:/(?P<path>.*))?")
def tree(hub, request, kind, name, revision, path=""):
    commit = hub.repo(request, kind, name).at(revision)
    path = path.strip("/")
    below = commit.below(path)
    if path and not below:
        raise Unknown("EntryNotFound", f"{path} does not exist on {revision}", commit.sha)
    paths = sorted([*below, *commit.folders(path)])
    if not is_true(request.first("recursive")):
        depth = path.count("/") + 1 if path else 0
        paths = [it for it in paths if it.count("/") == depth]
    return hub.page(request, [entry(commit, it, is_true(request.first("expand"))) for it in paths])


@route("POST", f"{API}/paths-info/{REV}")
def paths_info(hub, request, kind, name, revision):
    commit = hub.repo(request, kind, name).at(revision)
    if "json" in request.headers.get("content-type", ""):
        asked = request.json()
        paths, expand = asked["paths"], asked.get("expand", False)
    else:
        asked = urllib.parse.parse_qs(request.body.decode())
        paths, expand = asked.get("paths", []), is_true(asked.get("expand", [""])[0])
    if len(paths) > PATHS_AT_ONCE:
        raise refusal(413, f"more than {PATHS_AT_ONCE} paths")
    shown = [entry(commit, path, expand) for path in paths]
    return json_answer([it for it in shown if it])


@route("GET", f"{PREFIXED}/resolve/{REV}/(?P<path>.+)")
@route("GET", f"/api/resolve-cache/(?P<kind>models|datasets|spaces)/(?P<name>[^/]+/[^/]+)/{REV}/(?P<path>.+)")
def resolve(hub, request, kind, name, revision, path):
    repo = hub.repo(request, kind, name, content=True)
    commit = repo.at(revision)
    file = commit.files.get(path)
    if file is None:
        raise Unknown("EntryNotFound", "Entry not found", commit.sha)
    headers = {"X-Repo-Commit": commit.sha, "ETag": f'"{file.etag}"'}
    if file.lfs:
        headers |= {"X-Linked-Etag": f'"{file.sha256}"', "X-Linked-Size": str(file.size)}
        headers |= hub_xet.offer(hub, request, repo, commit, file)
    if request.headers.get("if-none-match", "").removeprefix("W/") == f'"{file.etag}"':
        return Answer(304, b"", headers)
    if file.lfs and hub.lfs_redirect:
        place = f"/cdn/{kind}/{urllib.parse.quote(name)}/{file.sha256}"
        return Answer(302, b"", headers | {"Location": hub.signed(request, place)})
    if hub.cache_redirect and not file.lfs and not request.path.startswith("/api/"):
        place = f"/api/resolve-cache/{kind}/{urllib.parse.quote(name)}/{commit.sha}/{urllib.parse.quote(path)}"
        linked = {"X-Linked-Etag": f'"{file.oid}"', "X-Linked-Size": str(file.size)}
        return Answer(307, b"", headers | linked | {"Location": place})
    return content_answer(request, file.content, headers)


@route("GET", "/cdn/(?P<kind>models|datasets|spaces)/(?P<name>[^/]+/[^/]+)/(?P<sha256>[0-9a-f]{64})")
def cdn(hub, request, kind, name, sha256):
    hub.check_signed(request)
    content = hub.repos[kind, name].objects.get(sha256)
    if content is None:
        return Answer(404, b"<Error><Code>NoSuchKey</Code></Error>", {"Content-Type": "application/xml"})
    return content_answer(request, content, {"ETag": f'"{sha256}"'})


# === refs ===


@route("GET", f"{API}/refs")
def refs(hub, request, kind, name):
    repo = hub.repo(request, kind, name)
    groups = {"branches": "refs/heads/", "converts": "refs/convert/", "tags": "refs/tags/"}
    if is_true(request.first("include_prs")):
        groups["pullRequests"] = "refs/pr/"
    return json_answer(
        {
            group: [
                {"name": ref.removeprefix(start), "ref": ref, "targetCommit": sha}
                for ref, sha in repo.refs.items()
                if ref.startswith(start)
            ]
            for group, start in groups.items()
        }
    )


@route("GET", f"{API}/commits/{REV}")
def commits(hub, request, kind, name, revision):
    repo = hub.repo(request, kind, name)
    shown = [
        {
            "id": it.sha,
            "title": it.title,
            "message": it.description,
            "authors": [{"user": name.split("/")[0]}],
            "date": it.date,
        }
        for it in repo.log(revision)
    ]
    return hub.page(request, shown)
