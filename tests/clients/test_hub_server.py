"""The test Hub, proven with the official clients: huggingface_hub and datasets."""

import hashlib

import pytest

import official
from faults import cut, fail, hang_up
from hub import Hub

pytestmark = pytest.mark.own_catalog
NAME = "owner/things"
PARQUET = bytes(range(256)) * 40


@pytest.fixture
def hub():
    with Hub() as hub:
        yield hub
        assert not hub.credentials_at_storage


@pytest.fixture
def run(hub, tmp_path):
    """run(script, variable="…"): the script's result, with huggingface_hub's API as `api`."""

    def run(script, **variables):
        start = "from huggingface_hub import *\nfrom huggingface_hub.errors import *\napi = HfApi()\nkind = 'dataset'\n"
        return official.run(start + script, tmp_path, **official.hugging_face(hub, tmp_path), **variables)

    return run


def git_oid(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def test_commits_are_made_once_and_on_their_parent_only(hub, run):
    hub.lfs_above = 1_000
    hub.multipart_above = 2_000
    hub.part_size = 700
    told = run("""
import os
created = [api.create_repo("owner/things", repo_type=kind, exist_ok=exist_ok) for exist_ok in [False, True]]
try:
    api.create_repo("owner/things", repo_type=kind)
except HfHubHTTPError as error:
    again = error.response.status_code
first = api.repo_info("owner/things", repo_type=kind).sha
contents = {
    "README.md": b"---\\nlicense: mit\\n---\\n# Things\\n",
    "data/a b.parquet": bytes(range(256)) * 2,
    "data/parts.bin": os.urandom(2_500),
    "data/empty.parquet": b"",
    "notes/deep/é.txt": b"small",
}
def commit(contents, **more):
    additions = [CommitOperationAdd(path, content) for path, content in contents.items()]
    more = dict(commit_message="data", commit_description="twice", repo_type=kind) | more
    return api.create_commit("owner/things", additions, **more)
oids = [commit(contents).oid for _ in range(2)]
errors = []
for parent in [first, first[:7]]:
    try:
        commit({"late.txt": b"late"}, parent_commit=parent)
    except HfHubHTTPError as error:
        errors.append(error.response.status_code)
moved = commit({"late.txt": b"late"}, parent_commit=oids[0][:10])
deletions = [CommitOperationDelete("late.txt"), CommitOperationDelete("notes/")]
api.create_commit("owner/things", deletions, commit_message="less", repo_type=kind)
try:
    api.delete_file("absent.txt", "owner/things", repo_type=kind)
except EntryNotFoundError as error:
    absent = str(error)
request = commit({"pr.txt": b""}, create_pr=True)
copies = [CommitOperationCopy("data/a b.parquet", "copy.parquet")]
copied = api.create_commit("owner/things", copies, commit_message="copy", repo_type=kind)
api.create_repo("owner/short", repo_type=kind)
api.move_repo("owner/short", "owner/long", repo_type=kind)
api.delete_repo("owner/long", repo_type=kind)
result = dict(
    url=str(created[1]), again=again, oids=oids, errors=errors, parts=contents["data/parts.bin"].hex(),
    absent=absent, pull=request.pr_num, repo=copied.repo_url.repo_id, who=api.whoami()["name"],
)
""")
    assert told["url"] == f"{hub.endpoint}/datasets/{NAME}" and told["again"] == 409 and told["who"] == "owner"
    assert told["oids"][0] == told["oids"][1]
    assert told["errors"] == [412, 412]
    assert "A file with this name doesn't exist" in told["absent"]
    assert told["pull"] == 1 and told["repo"] == NAME
    titles = [commit.title for commit in hub.log(NAME)]
    assert titles == ["copy", "less", "data", "data", "initial commit"]
    assert hub.log(NAME)[3].description == "twice"
    whole = hub.files(NAME, told["oids"][0])
    data = ["data/a b.parquet", "data/empty.parquet", "data/parts.bin"]
    assert sorted(whole) == ["README.md", *data, "notes/deep/é.txt"]
    assert whole["data/parts.bin"].hex() == told["parts"]
    assert len([it for it in hub.seen("PUT") if "/lfs/" in it.path]) == 1 + 4
    assert len(hub.seen("POST", "/api/complete/")) == 1
    assert list(hub.repos) == [("datasets", NAME)]
    assert sorted(hub.files(NAME)) == ["README.md", "copy.parquet", *data]
    assert "pr.txt" in hub.files(NAME, "refs/pr/1")


def test_reading(hub, run):
    hub.page_size = 3
    files = {f"data/{i}.txt": b"%d" % i for i in range(6)} | {"README.md": b"# T", "data/deep/a b.parquet": PARQUET}
    sha = hub.commit(NAME, files)
    later = hub.commit(NAME, {"new.txt": b"new"}, delete=["README.md"])
    cutting = hub.plan(cut(2_000), "GET", "/cdn/")
    told = run(
        """
import os
sha = os.environ["SHA"]
def shown(it):
    return [it.path, it.blob_id, it.size, it.lfs and it.lfs.sha256] if hasattr(it, "blob_id") else [it.path, it.tree_id]
tree = [shown(it) for it in api.list_repo_tree("owner/things", recursive=True, repo_type=kind, revision=sha)]
flat = [it.path for it in api.list_repo_tree("owner/things", "data", repo_type=kind, expand=True)]
infos = [it.path for it in api.get_paths_info("owner/things", ["data", "new.txt", "absent"], repo_type=kind)]
parquet = hf_hub_download("owner/things", "data/deep/a b.parquet", repo_type=kind, revision=sha[:9])
meta = get_hf_file_metadata(hf_hub_url("owner/things", "data/deep/a b.parquet", repo_type=kind))
small = get_hf_file_metadata(hf_hub_url("owner/things", "data/1.txt", repo_type=kind))
folder = snapshot_download("owner/things", repo_type=kind)
found = sorted(os.path.relpath(os.path.join(root, it), folder) for root, _, names in os.walk(folder) for it in names)
sizes = {it.rfilename: [it.size, it.blob_id, it.lfs and it.lfs.sha256]
    for it in api.repo_info("owner/things", files_metadata=True, repo_type=kind).siblings}
api.create_branch("owner/things", branch="feature/x", revision=sha, repo_type=kind)
api.create_branch("owner/things", branch="feature/x", repo_type=kind, exist_ok=True)
api.create_tag("owner/things", tag="v1", revision=sha, repo_type=kind)
upload = [CommitOperationAdd("x.txt", b"x")]
api.create_commit("owner/things", upload, commit_message="x", repo_type=kind, revision="feature/x")
refs = api.list_repo_refs("owner/things", repo_type=kind)
commits = [it.commit_id for it in api.list_repo_commits("owner/things", repo_type=kind)]
errors = []
for name, revision, path in [["things", "nowhere", "x"], ["things", sha, "x"], ["absent", "main", "x"]]:
    try:
        hf_hub_download("owner/" + name, path, revision=revision, repo_type=kind)
    except Exception as error:
        errors.append(type(error).__name__)
case = api.repo_info("Owner/Things", repo_type=kind).id
result = dict(
    tree=tree, flat=flat, infos=infos, parquet=open(parquet, "rb").read().hex(),
    meta=[meta.commit_hash, meta.etag, meta.size],
    small=[small.etag, small.size], found=found, sizes=sizes, commits=commits, errors=errors, case=case,
    branches=[it.name for it in refs.branches], tags={it.name: it.target_commit for it in refs.tags},
)
""",
        SHA=sha,
    )
    sha256 = hashlib.sha256(PARQUET).hexdigest()
    tree = {path: rest for path, *rest in told["tree"]}
    assert sorted(tree) == sorted([".gitattributes", "data", "data/deep", *files])
    assert tree["README.md"] == [git_oid(b"# T"), 3, None]
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {len(PARQUET)}\n"
    assert tree["data/deep/a b.parquet"] == [git_oid(pointer.encode()), len(PARQUET), sha256]
    assert told["flat"] == [*(f"data/{i}.txt" for i in range(6)), "data/deep"]
    assert told["infos"] == ["data", "new.txt"]
    assert told["parquet"] == PARQUET.hex()
    assert told["meta"] == [later, sha256, len(PARQUET)]
    assert told["small"] == [git_oid(b"1"), 1]
    assert told["found"] == sorted([".gitattributes", "new.txt", *(it for it in files if it != "README.md")])
    assert told["sizes"]["data/deep/a b.parquet"] == [len(PARQUET), git_oid(pointer.encode()), sha256]
    assert sorted(told["branches"]) == ["feature/x", "main"] and told["tags"] == {"v1": sha}
    assert told["commits"] == [later, sha, hub.log(NAME)[-1].sha]
    assert told["errors"] == ["RevisionNotFoundError", "RemoteEntryNotFoundError", "RepositoryNotFoundError"]
    assert told["case"] == NAME
    # This client keeps only whole chunks of 10 MiB of a body that was cut, so that it starts again.
    assert cutting.hits == 1 and [it.range for it in hub.seen("GET", "/cdn/")] == [None, None]
    # 11 entries in pages of 3.
    assert len(hub.seen("GET", f"/tree/{sha}?recursive=true")) == 4


def test_access(hub, run):
    hub.commit("owner/secret", {"a.txt": b"a"}, private=True)
    hub.commit("owner/gated", {"a.txt": b"a"}, gated=True)
    told = run(
        """
import os
def write(api):
    api.create_commit("owner/gated", [CommitOperationAdd("b.txt", b"b")], commit_message="b", repo_type=kind)
result = {}
for user, token in dict(owner=None, stranger=os.environ["STRANGER"], nobody=False, wrong="hf_wrong").items():
    api = HfApi(token=token)
    calls = {
        "whoami": api.whoami,
        "secret": lambda: api.repo_info("owner/secret", repo_type=kind),
        "absent": lambda: api.repo_info("owner/absent", repo_type=kind),
        "gated": lambda: api.repo_info("owner/gated", repo_type=kind),
        "gated file": lambda: api.get_hf_file_metadata(url=hf_hub_url("owner/gated", "a.txt", repo_type=kind)),
        "write": lambda: write(api),
    }
    found = result[user] = {}
    for name, call in calls.items():
        try:
            call()
            found[name] = "ok"
        except HfHubHTTPError as error:
            found[name] = f"{error.response.status_code} {type(error).__name__}"
        except ValueError as error:
            found[name] = "no token" if "requires authentication" in str(error) else str(error)
""",
        STRANGER=hub.stranger_token,
    )
    absent, gated, other = "RepositoryNotFoundError", "GatedRepoError", "HfHubHTTPError"
    names = ["whoami", "secret", "absent", "gated", "gated file", "write"]
    assert {user: [found[name] for name in names] for user, found in told.items()} == {
        "owner": ["ok", "ok", f"404 {absent}", "ok", "ok", "ok"],
        "stranger": ["ok", f"404 {absent}", f"404 {absent}", "ok", f"403 {gated}", f"403 {other}"],
        "nobody": ["no token", f"401 {absent}", f"401 {absent}", "ok", f"401 {gated}", f"401 {other}"],
        "wrong": [f"401 {other}"] * 6,
    }


def test_faults_reach_the_client(hub, run):
    hub.commit(NAME, {"a.txt": b"a"})
    busy = hub.plan(fail(503, retry_after=0), "POST", "/preupload/")
    lost = hub.plan(hang_up(after=True), "POST", "/commit/")
    told = run("""
try:
    api.upload_file(path_or_fileobj=b"b", path_in_repo="b", repo_id="owner/things", repo_type=kind)
except Exception as error:
    result = type(error).__name__
""")
    assert (busy.hits, lost.hits, told) == (1, 1, "RemoteProtocolError")
    # The commit took effect although its answer was lost.
    assert hub.files(NAME) == {"a.txt": b"a", "b": b"b"}


def test_datasets(hub, run, tmp_path):
    """Pushed in 2 and then 3 shards, with a second split and images; read back whole and streamed."""
    push = """
import datasets, io, PIL.Image
made = datasets.Dataset.from_dict({"i": list(range(3_000)), "s": [f"row {i}" * 20 for i in range(3_000)]})
first = made.push_to_hub("owner/things", num_shards=2, private=True).oid
files = [api.list_repo_files("owner/things", repo_type=kind)]
made.push_to_hub("owner/things", num_shards=3)
files.append(api.list_repo_files("owner/things", repo_type=kind))
made.select(range(10)).push_to_hub("owner/things", split="test")
def image(color):
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (8, 6), color).save(buffer, "PNG")
    return {"bytes": buffer.getvalue(), "path": f"{color}.png"}
features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])})
images = datasets.Dataset.from_dict({"image": [image("red"), image("blue")], "label": [0, 1]}, features=features)
images.push_to_hub("owner/images")
"""
    read = """
loaded = datasets.load_dataset("owner/things")
counts = {split: part.num_rows for split, part in loaded.items()}
stream = datasets.load_dataset("owner/things", split="train", streaming=True)
streamed = [row["i"] for row in stream.skip(1_500).take(2)]
shown = datasets.load_dataset("owner/images", split="train")
raw = shown.cast_column("image", datasets.Image(decode=False))[1]["image"]
result = dict(
    files=files, counts=counts, total=sum(loaded["train"]["i"]), streamed=streamed,
    pixel=shown[0]["image"].getpixel((0, 0)),
    label=shown.features["label"].names, path=raw["path"], storage=str(shown.data.schema.field("image").type),
)
"""
    told = run(push + read)
    shards = [[f"data/train-{i:05}-of-{n:05}.parquet" for i in range(n)] for n in [2, 3]]
    assert [[it for it in files if it.startswith("data/")] for files in told["files"]] == shards
    assert sorted(hub.files(NAME)) == ["README.md", "data/test-00000-of-00001.parquet", *shards[1]]
    assert told["counts"] == {"train": 3_000, "test": 10}
    assert told["total"] == sum(range(3_000)) and told["streamed"] == [1_500, 1_501]
    assert told["pixel"] == [255, 0, 0] and told["label"] == ["cat", "dog"] and told["path"] == "blue.png"
    assert told["storage"] == "struct<bytes: binary, path: string>"
    assert [it for it in hub.seen("GET", "/cdn/") if it.range]
    assert hub.repos["datasets", NAME].private


@pytest.mark.parametrize("grants", [True, False])
def test_files_go_by_xet_and_come_back_so(hub, tmp_path, grants):
    hub.xet.grants = grants
    script = """
import hashlib, os, random
from huggingface_hub import *
api, kind, name = HfApi(), "dataset", "owner/things"
api.create_repo(name, repo_type=kind)
random.seed(1)
large = random.randbytes(3_000_000)
contents = {
    "a.parquet": large,
    "b.parquet": large[:1_000_000] + b"changed" + large[1_000_000:],
    "numbers.parquet": b"".join(number.to_bytes(4, "little") for number in range(200_000)),
    "copy.parquet": large,
    "small.txt": b"small",
}
for paths in [["a.parquet"], list(contents)]:
    additions = [CommitOperationAdd(path, contents[path]) for path in paths]
    api.create_commit(name, additions, commit_message="data", repo_type=kind)
result = {}
for path, content in contents.items():
    read = open(hf_hub_download(name, path, repo_type=kind), "rb").read()
    result[path] = [read == content, hashlib.sha256(read).hexdigest()]
"""
    told = official.run(script, tmp_path, **official.hugging_face(hub, tmp_path, xet=True))
    contents = hub.files(NAME)
    assert told == {path: [True, hashlib.sha256(content).hexdigest()] for path, content in contents.items()}
    assert len(contents) == 5 and len(hub.xet.files) == 3
    # What is equal is stored once, and all of it was read by Xet.
    assert sum(map(len, hub.xet.blocks.values())) < 4_500_000
    assert hub.seen("GET", "/xet-blocks/") and not hub.seen("GET", "/cdn/")
    assert bool(hub.seen("PUT", "/xet-storage/")) == grants == (not hub.seen("POST", "/cas/v1/xorbs/"))


def test_xet_refuses_what_it_should(hub, tmp_path):
    hub.commit(NAME, {"a.txt": b"a"})
    refusals = {}
    for token in [hub.stranger_token, "hf_wrong"]:
        script = """
from huggingface_hub import *
try:
    HfApi().upload_file(path_or_fileobj=b"x" * 99, path_in_repo="x.parquet", repo_id="owner/things", repo_type="dataset")
    result = "done"
except Exception as error:
    result = type(error).__name__
"""
        settings = official.hugging_face(hub, tmp_path, token=token, xet=True)
        refusals[token] = official.run(script, tmp_path, **settings)
    assert "done" not in refusals.values() and hub.xet.blocks == {}
