"""The writing half of the test Hub: repositories, refs, uploads to LFS, and commits."""

import base64
import binascii
import hashlib
import json
import re

import hub_xet
from faults import Answer, json_answer
from hub_routes import API, PREFIXED, REV, refusal, route
from hub_store import File, Repo, Unknown

FILES_AT_ONCE = 256
SHA256 = r"(?P<sha256>[0-9a-f]{64})"
STORAGE = r"/lfs/(?P<kind>models|datasets|spaces)/(?P<name>[^/]+/[^/]+)/"

# === repositories and refs ===


def named(request):
    """The kind and name of the repository that a request names in its body."""
    asked = request.json()
    return asked.get("type", "model") + "s", f"{asked.get('organization') or 'owner'}/{asked['name']}"


@route("POST", "/api/repos/create")
def create(hub, request):
    user = hub.user(request)
    if user != "owner":
        raise refusal(401 if user is None else 403, "You have no right to create a repository here")
    kind, name = named(request)
    asked = request.json()
    if (kind, name) in hub.repos:
        url = hub.base(request) + hub.repos[kind, name].url_path
        raise refusal(409, f"You already created this {kind[:-1]} repo: {name}", url=url)
    private = asked.get("visibility") == "private" or asked.get("private", False)
    repo = hub.repos[kind, name] = Repo(kind, name, private)
    return json_answer({"url": hub.base(request) + repo.url_path, "name": name, "id": name})


@route("DELETE", "/api/repos/delete")
def delete(hub, request):
    kind, name = named(request)
    hub.repo(request, kind, name, write=True)
    del hub.repos[kind, name]
    return json_answer({})


@route("POST", "/api/repos/move")
def move(hub, request):
    asked = request.json()
    kind = asked.get("type", "model") + "s"
    repo = hub.repo(request, kind, asked["fromRepo"], write=True)
    if (kind, asked["toRepo"]) in hub.repos:
        raise refusal(409, f"{asked['toRepo']} already exists")
    del hub.repos[kind, repo.name]
    repo.name = asked["toRepo"]
    hub.repos[kind, repo.name] = repo
    return json_answer({})


@route("POST", f"{API}/branch/(?P<branch>[^/]+)")
def create_branch(hub, request, kind, name, branch):
    repo = hub.repo(request, kind, name, write=True)
    return new_ref(repo, f"refs/heads/{branch}", request.json().get("startingPoint", "main"))


@route("POST", f"{API}/tag/{REV}")
def create_tag(hub, request, kind, name, revision):
    repo = hub.repo(request, kind, name, write=True)
    return new_ref(repo, f"refs/tags/{request.json()['tag']}", revision)


@route("DELETE", f"{API}/(?P<group>branch|tag)/(?P<ref>[^/]+)")
def delete_ref(hub, request, kind, name, group, ref):
    repo = hub.repo(request, kind, name, write=True)
    if repo.refs.pop(f"refs/{'heads' if group == 'branch' else 'tags'}/{ref}", None) is None:
        raise Unknown("RevisionNotFound", f"Invalid rev id: {ref}")
    return json_answer({})


def new_ref(repo, ref, revision):
    target = repo.at(revision).sha
    if ref in repo.refs:
        raise refusal(409, f"Reference {ref} already exists")
    repo.refs[ref] = target
    return json_answer({})


# === uploads ===


@route("POST", f"{API}/preupload/{REV}")
def preupload(hub, request, kind, name, revision):
    commit = hub.repo(request, kind, name, write=True).at(revision)
    asked = request.json()["files"]
    if len(asked) > FILES_AT_ONCE:
        raise refusal(413, f"more than {FILES_AT_ONCE} files")
    shown = []
    for it in asked:
        mode = "lfs" if hub.is_lfs(it["path"], it["size"]) else "regular"
        shown.append({"path": it["path"], "uploadMode": mode, "shouldIgnore": False})
        if it["path"] in commit.files:
            shown[-1]["oid"] = commit.files[it["path"]].etag
    return json_answer({"files": shown, "commitOid": commit.sha})


@route("POST", rf"{PREFIXED}\.git/info/lfs/objects/batch")
def batch(hub, request, kind, name):
    repo = hub.repo(request, kind, name, write=True)
    asked = request.json()
    if asked["operation"] != "upload" or asked.get("hash_algo", "sha256") != "sha256":
        raise refusal(422, "only uploads with SHA-256")
    if len(asked["objects"]) > FILES_AT_ONCE:
        raise refusal(413, f"more than {FILES_AT_ONCE} objects")
    if hub.demands_xet and "xet" in asked.get("transfers", []):
        return hub_xet.batch_answer(hub, request, repo, asked)
    multipart = "multipart" in asked.get("transfers", [])
    transfer, shown = "basic", []
    for it in asked["objects"]:
        shown.append({"oid": it["oid"], "size": it["size"]})
        if it["oid"] in repo.objects:
            continue
        in_parts = multipart and it["size"] > hub.multipart_above
        upload = upload_in_parts(hub, request, repo, it) if in_parts else whole_upload(hub, request, repo, it)
        verify = {"href": f"{hub.base(request)}{repo.url_path}.git/info/lfs/objects/verify"}
        shown[-1] |= {"authenticated": True, "actions": {"upload": upload, "verify": verify}}
        transfer = "multipart" if in_parts else transfer
    headers = {"Content-Type": "application/vnd.git-lfs+json"}
    return json_answer({"transfer": transfer, "objects": shown}, headers=headers)


def whole_upload(hub, request, repo, it):
    return {"href": hub.signed(request, f"/lfs/{repo.kind}/{repo.name}/{it['oid']}")}


def upload_in_parts(hub, request, repo, it):
    header = {"chunk_size": str(hub.part_size)}
    for number in range(1, -(-it["size"] // hub.part_size) + 1):
        header[str(number)] = hub.signed(request, f"/lfs/{repo.kind}/{repo.name}/{it['oid']}/{number}")
    repo.parts[it["oid"]] = {}
    return {"href": hub.signed_here(request, f"/api/complete/{repo.kind}/{repo.name}/{it['oid']}"), "header": header}


@route("PUT", STORAGE + SHA256)
def put_object(hub, request, kind, name, sha256):
    hub.check_signed(request)
    store(hub.repos[kind, name], sha256, request.body)
    return Answer(200, b"", {"ETag": f'"{hashlib.md5(request.body).hexdigest()}"'})


@route("PUT", f"{STORAGE}{SHA256}/(?P<number>[0-9]+)")
def put_part(hub, request, kind, name, sha256, number):
    hub.check_signed(request)
    hub.repos[kind, name].parts.setdefault(sha256, {})[int(number)] = request.body
    return Answer(200, b"", {"ETag": f'"{hashlib.md5(request.body).hexdigest()}"'})


@route("POST", rf"/api/complete/(?P<kind>models|datasets|spaces)/(?P<name>[^/]+/[^/]+)/{SHA256}")
def complete(hub, request, kind, name, sha256):
    hub.check_signature(request)
    repo = hub.repos[kind, name]
    asked = request.json()
    parts = repo.parts.get(sha256, {})
    expected = [(number, hashlib.md5(parts[number]).hexdigest()) for number in sorted(parts)]
    if asked["oid"] != sha256 or [(it["partNumber"], it["etag"].strip('"')) for it in asked["parts"]] != expected:
        raise refusal(400, "One or more of the specified parts could not be found")
    store(repo, sha256, b"".join(parts[number] for number, _ in expected))
    del repo.parts[sha256]
    return json_answer({"success": True})


def store(repo, sha256, content):
    """Keeps an uploaded object if it is what its name says."""
    if hashlib.sha256(content).hexdigest() != sha256:
        raise refusal(400, "The content has another SHA-256")
    repo.objects[sha256] = content


@route("POST", rf"{PREFIXED}\.git/info/lfs/objects/verify")
def verify(hub, request, kind, name):
    repo = hub.repo(request, kind, name, write=True)
    asked = request.json()
    content = repo.objects.get(asked["oid"])
    if content is None or len(content) != asked["size"]:
        raise refusal(404, "The object was not uploaded, or has another size")
    return json_answer({"success": True})


@route("POST", "/api/validate-yaml")
def validate_yaml(hub, request):
    content = request.json()["content"].replace("\r\n", "\n")
    errors = []
    if content.startswith("---\n") and not re.match(r"---\n(.*\n)?---(\n|$)", content, re.DOTALL):
        errors.append({"message": "The metadata at the start has no end"})
    return json_answer({"errors": errors, "warnings": []}, 400 if errors else 200)


# === commits ===


@route("POST", f"{API}/commit/{REV}")
def commit(hub, request, kind, name, revision):
    repo = hub.repo(request, kind, name, write=True)
    lines = [json.loads(line) for line in request.body.splitlines() if line.strip()]
    if not lines or lines[0].get("key") != "header" or not lines[0]["value"].get("summary"):
        raise refusal(400, "The first line must be a header with a summary")
    header = lines[0]["value"]
    as_request = request.first("create_pr") == "1"
    base = repo.at(revision)
    ref = f"refs/pr/{1 + sum(it.startswith('refs/pr/') for it in repo.refs)}" if as_request else repo.ref(revision)
    if ref is None or ref.startswith("refs/tags/"):
        raise refusal(400, "Commits go to branches only")
    parent = header.get("parentCommit")
    if parent and not re.fullmatch("[0-9a-f]{5,40}", parent):
        raise refusal(400, "parentCommit is no commit id")
    if parent and not base.sha.startswith(parent):
        raise refusal(412, "A commit has happened since. Please refresh and try again.")
    changes = {}
    for line in lines[1:]:
        changes |= changed(hub, repo, base, line["key"], line["value"])
    done = repo.commit(ref, changes, header["summary"], header.get("description", ""), base=base)
    url = hub.base(request) + repo.url_path
    shown = {"success": True, "commitOid": done.sha, "commitUrl": f"{url}/commit/{done.sha}", "hookOutput": ""}
    if as_request:
        shown["pullRequestUrl"] = f"{url}/discussions/{ref.removeprefix('refs/pr/')}"
    return json_answer(shown)


def changed(hub, repo, base, key, value):
    """The changes that one line of a commit means."""
    path = value["path"]
    if key in ("file", "lfsFile") and (path.startswith("/") or {"", ".", "..", ".git"} & set(path.split("/"))):
        raise refusal(400, f"{path} is no path for a file")
    match key:
        case "file":
            try:
                content = base64.b64decode(value["content"], validate=True)
            except binascii.Error:
                raise refusal(400, f"{path} is not in base64") from None
            if len(content) > hub.lfs_above:
                raise refusal(400, f"{path} is too large; use LFS")
            return {path: File.of(content, False)}
        case "lfsFile":
            content = repo.objects.get(value["oid"])
            if content is None or value.get("algo") != "sha256" or value.get("size", len(content)) != len(content):
                raise refusal(400, f"The LFS object of {path} was not uploaded")
            return {path: File.of(content, True)}
        case "deletedFile" if path in base.files:
            return {path: None}
        case "deletedFolder" if base.below(path):
            return dict.fromkeys(base.below(path))
        case "deletedFile" | "deletedFolder":
            kind = key.removeprefix("deleted").lower()
            raise Unknown("EntryNotFound", f"A {kind} with this name doesn't exist: {path}", base.sha)
    raise refusal(400, f"{key} is unknown")
