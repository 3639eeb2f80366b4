"""The Xet storage of the test Hub: tokens, blocks of chunks, shards, and what files consist of.

A Hub demands it of uploads with `hub.demands_xet = True`; nothing else changes for clients that do not offer it. What
was uploaded so is offered to readers by Xet, too. Uploads are checked: a block must consist of chunks, a shard must
name blocks that are there, and its files must have the SHA-256 that it states. The hashes of blocks and files are not
computed here; the official client does that while it reads.
"""

import hashlib
import secrets
import time

import xet_format
from faults import Answer, json_answer
from faulty_http import content_answer
from hub_routes import API, REV, refusal, route

HASH = "(?P<hash_>[0-9a-f]{64})"
CAS = "/cas"


class Xet:
    """What is stored."""

    def __init__(self):
        # The repository and the right of each token, and when it expires.
        self.tokens = {}
        self.token_seconds = 900
        # Whether blocks are sent to the storage host, with permission, rather than to the server.
        self.grants = True
        self.granted = {}
        # The blocks, and their chunks; the terms of the files, and their names by SHA-256.
        self.blocks = {}
        self.chunks = {}
        self.files = {}
        self.by_sha256 = {}

    def forget(self):
        """Loses all that is stored; tokens stay valid."""
        for stored in [self.granted, self.blocks, self.chunks, self.files, self.by_sha256]:
            stored.clear()

    def token(self, repo, write):
        token = "xet_" + secrets.token_hex(16)
        self.tokens[token] = (repo, write, time.time() + self.token_seconds)
        return token

    def repo(self, request, write=False):
        """The repository that the token of a request opens."""
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        repo, may_write, end = self.tokens.get(token, (None, False, 0))
        if time.time() > end:
            raise refusal(401, "The token is unknown, or has expired")
        if write and not may_write:
            raise refusal(403, "The token is for reading")
        return repo

    def store(self, hash_, block):
        try:
            chunks = xet_format.chunks_of(block)
        except Exception as error:
            raise refusal(400, f"This is no block: {error}") from None
        is_new = hash_ not in self.blocks
        self.blocks[hash_], self.chunks[hash_] = block, chunks
        return is_new

    def content(self, terms):
        """The bytes of a file."""
        parts = []
        for term in terms:
            chunks = self.chunks.get(term.block, [])[term.first : term.end]
            if len(chunks) != term.end - term.first or sum(len(chunk.content) for chunk in chunks) != term.size:
                raise refusal(400, f"The block {term.block} was not uploaded, or has other chunks")
            parts += [chunk.content for chunk in chunks]
        return b"".join(parts)


# === the Hub's side ===


def batch_answer(hub, request, repo, asked):
    """The answer to a batch of LFS: how those of its objects that are missing are to be uploaded."""
    shown = []
    for it in asked["objects"]:
        shown.append({"oid": it["oid"], "size": it["size"]})
        if it["oid"] not in repo.objects:
            place = f"{hub.base(request)}/api/{repo.kind}/{repo.name}/xet-write-token/main"
            upload = {"href": place, "header": {"X-Xet-Cas-Url": hub.base(request) + CAS}}
            shown[-1] |= {"authenticated": True, "actions": {"upload": upload}}
    headers = {"Content-Type": "application/vnd.git-lfs+json"}
    return json_answer({"transfer": "xet", "objects": shown}, headers=headers)


def offer(hub, request, repo, commit, file):
    """The headers with which a file that was uploaded by Xet is offered to readers; none for others."""
    hash_ = hub.xet.by_sha256.get(file.sha256)
    if hash_ is None:
        return {}
    place = f"{hub.base(request)}/api/{repo.kind}/{repo.name}/xet-read-token/{commit.sha}"
    return {"X-Xet-Hash": hash_, "X-Xet-Refresh-Route": place}


@route("GET", f"{API}/xet-(?P<right>write|read)-token/{REV}")
def token(hub, request, kind, name, right, revision):
    repo = hub.repo(request, kind, name, write=right == "write", content=right == "read")
    repo.at(revision)
    token, place = hub.xet.token(repo, right == "write"), hub.base(request) + CAS
    end = int(hub.xet.tokens[token][2])
    headers = {"X-Xet-Cas-Url": place, "X-Xet-Access-Token": token, "X-Xet-Token-Expiration": str(end)}
    return json_answer({"casUrl": place, "accessToken": token, "exp": end}, headers=headers)


# === uploads ===


@route("POST", f"{CAS}/v1/xorb-grants/default/{HASH}")
def grant(hub, request, hash_):
    hub.xet.repo(request, write=True)
    if not hub.xet.grants:
        raise refusal(404, "no grants")
    if hash_ in hub.xet.blocks:
        return json_answer({})
    id_ = secrets.token_hex(8)
    hub.xet.granted[id_] = (hash_, request.json()["length"], None)
    url = hub.signed(request, f"/xet-storage/{id_}")
    return json_answer({"id": id_, "method": "PUT", "url": url, "headers": {"If-None-Match": "*"}}, 201)


@route("PUT", "/xet-storage/(?P<id_>[0-9a-f]+)")
def put_block(hub, request, id_):
    hub.check_signed(request)
    hash_, length, block = hub.xet.granted[id_]
    if block is not None:
        return Answer(412)
    if len(request.body) != length:
        raise refusal(400, "another length than that of the grant")
    hub.xet.granted[id_] = (hash_, length, request.body)
    return Answer()


@route("POST", f"{CAS}/v1/xorb-commits/default/{HASH}/grant/(?P<id_>[0-9a-f]+)")
def commit_block(hub, request, hash_, id_):
    hub.xet.repo(request, write=True)
    granted, _, block = hub.xet.granted.get(id_, (None, 0, None))
    if granted != hash_ or block is None:
        raise refusal(404, "nothing was uploaded")
    hub.xet.store(hash_, block)
    return json_answer({})


@route("POST", f"{CAS}/v1/xorbs/default/{HASH}")
def post_block(hub, request, hash_):
    hub.xet.repo(request, write=True)
    return json_answer({"was_inserted": hub.xet.store(hash_, request.body)})


@route("POST", f"{CAS}/v1/shards")
def post_shard(hub, request):
    repo = hub.xet.repo(request, write=True)
    try:
        entries = xet_format.files_of(request.body)
    except ValueError as error:
        raise refusal(400, str(error)) from None
    for entry in entries:
        content = hub.xet.content(entry.terms)
        sha256 = hashlib.sha256(content).hexdigest()
        if entry.sha256 not in (None, sha256):
            raise refusal(400, "The file has another SHA-256")
        hub.xet.files[entry.hash], hub.xet.by_sha256[sha256] = entry.terms, entry.hash
        repo.objects[sha256] = content
    return json_answer({"result": 1})


# === reading ===


@route("GET", f"{CAS}/v1/reconstructions/{HASH}")
def reconstruction(hub, request, hash_):
    hub.xet.repo(request)
    terms = hub.xet.files.get(hash_)
    if terms is None:
        raise refusal(404, "no such file")
    terms, skipped = part_of(terms, request.headers.get("range"))
    shown, places = [], {}
    for term in terms:
        chunks = {"start": term.first, "end": term.end}
        shown.append({"hash": term.block, "unpacked_length": term.size, "range": chunks})
        stored = hub.xet.chunks[term.block]
        place = {"start": stored[term.first].start, "end": stored[term.end - 1].end - 1}
        url = hub.signed(request, f"/xet-blocks/{term.block}")
        if all(it["range"] != chunks for it in places.setdefault(term.block, [])):
            places[term.block].append({"range": chunks, "url": url, "url_range": place})
    return json_answer({"offset_into_first_range": skipped, "terms": shown, "fetch_info": places})


def part_of(terms, range_):
    """The terms with a range of a file, and where it begins in the first one."""
    if range_ is None:
        return terms, 0
    first, last = (int(it or 1 << 62) for it in range_.removeprefix("bytes=").split("-"))
    found, skipped, at = [], 0, 0
    for term in terms:
        if at <= last and at + term.size > first:
            skipped = skipped if found else first - at
            found.append(term)
        at += term.size
    if not found:
        raise refusal(416, "the file is shorter")
    return found, max(skipped, 0)


@route("GET", f"/xet-blocks/{HASH}")
def block(hub, request, hash_):
    hub.check_signed(request)
    return content_answer(request, hub.xet.blocks[hash_], {})
