"""Data sets of the Hugging Face Hub as sources: what is read, what is read again, and what goes wrong."""

import hashlib
import io
import tarfile
import zipfile

import PIL.Image
import pyarrow
import pyarrow.flight
import pyarrow.parquet
import pytest

import harness
import official
from faults import cut, fail, slow, spoil
from hub import Hub

pytestmark = pytest.mark.own_catalog

README = """---
configs:
- config_name: plain
  default: true
  data_files:
  - split: train
    path: plain/train-*
  - split: test
    path: [plain/test.csv]
- config_name: more
  data_dir: more
---
# Things
"""


@pytest.fixture(scope="module")
def hub():
    with Hub() as hub:
        yield hub
        assert not hub.credentials_at_storage


@pytest.fixture(scope="module")
def server(hub, tmp_path_factory):
    variables = {"HF_ENDPOINT": hub.endpoint, "HF_TOKEN": hub.token + "\n"}
    server = harness.Server(tmp_path_factory.mktemp("server"), variables=variables)
    try:
        yield server.start()
    finally:
        server.discard()


@pytest.fixture(autouse=True)
def sound(hub):
    hub.forget_requests()
    yield
    hub.heal()


def parquet(rows, **options):
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), buffer, **options)
    return buffer.getvalue()


def numbers(first, last):
    return parquet([{"i": number, "s": f"row {number}"} for number in range(first, last)])


def ingest(server, name, **request):
    return server.result("ingest", {"source": f"hf://datasets/{name}"} | request)


def counted(server, table):
    return server.sql(f"SELECT split, count(*), sum(i)::BIGINT FROM {table} GROUP BY ALL ORDER BY ALL")


def fetched(hub):
    """The paths of the files that were downloaded."""
    return [request.path.rpartition("/resolve/")[2].split("/", 1)[1] for request in hub.seen("GET", "/resolve/")]


def test_splits_come_with_their_rows_and_nothing_comes_twice(server, hub):
    files = {
        "data/train-00000-of-00002.parquet": numbers(0, 10),
        "data/train-00001-of-00002.parquet": numbers(10, 15),
        "data/test-00000-of-00001.parquet": numbers(100, 103),
        "README.md": b"# Things",
    }
    sha = hub.commit("owner/My-Things", files)
    result = ingest(server, "owner/My-Things")
    assert counted(server, "raw.my_things") == [("test", 3, 303), ("train", 15, sum(range(15)))]
    landed = {path: content for path, content in files.items() if path.endswith(".parquet")}
    assert result["downloaded"] == result["bytes"] == sum(map(len, landed.values()))
    [landing] = server.result("datasets", {"dataset": "my_things"})["landings"]
    assert {it["path"]: it["sha256"] for it in landing["files"]} == {
        path: hashlib.sha256(content).hexdigest() for path, content in landed.items()
    }
    assert sorted(set(fetched(hub))) == sorted(files)
    assert all(sha in request.path for request in hub.seen("GET", "/resolve/"))

    hub.forget_requests()
    again = ingest(server, "owner/My-Things")
    assert (again["unchanged"], again["rows_added"], again["downloaded"]) == (True, 0, 0)
    assert (again["snapshot_id"], again["landing"]) == (result["snapshot_id"], result["landing"])
    assert fetched(hub) == ["README.md"]

    # What is new is downloaded and added, and nothing else.
    hub.commit("owner/My-Things", {"data/test-00001-of-00002.parquet": numbers(103, 104)})
    hub.forget_requests()
    more = ingest(server, "owner/My-Things")
    assert (more["rows_added"], more["files"]) == (1, 4)
    assert fetched(hub) == ["README.md", "data/test-00001-of-00002.parquet"]
    assert counted(server, "raw.my_things") == [("test", 4, 406), ("train", 15, sum(range(15)))]


def test_a_file_that_changed_brings_its_new_rows_only(server, hub):
    hub.commit("owner/grows", {"train.csv": b"i,s\n1,a\n2,b\n2,b\n", "other.csv": b"i,s\n7,x\n"})
    ingest(server, "owner/grows", split="train")
    hub.commit("owner/grows", {"train.csv": b"i,s\n2,b\n3,c\n1,a\n2,b\n2,b\n"})
    result = ingest(server, "owner/grows", split="train")
    assert (result["rows_read"], result["rows_added"]) == (5, 2)
    rows = [(1, "a", "train"), (2, "b", "train"), (2, "b", "train"), (2, "b", "train"), (3, "c", "train")]
    assert server.sql("FROM raw.grows ORDER BY ALL") == rows
    # Cut into other files: the rows are the same.
    hub.commit("owner/grows", {"train-1.csv": b"i,s\n2,b\n3,c\n", "train-2.csv": b"i,s\n1,a\n2,b\n2,b\n"}, delete=["train.csv"])
    assert ingest(server, "owner/grows", split="train")["rows_added"] == 0
    assert ingest(server, "owner/grows", split="train")["unchanged"]


def test_replace_and_merge_follow_the_source(server, hub):
    hub.commit("owner/moves", {"data.jsonl": b'{"id": 1, "v": "a"}\n{"id": 2, "v": "b"}\n'})
    for mode in [{"mode": "replace"}, {"mode": "merge", "key": ["id"]}]:
        request = {"dataset": f"moves_{mode['mode']}"} | mode
        ingest(server, "owner/moves", **request)
        assert ingest(server, "owner/moves", **request)["unchanged"]
    hub.commit("owner/moves", {"data.jsonl": b'{"id": 2, "v": "B"}\n{"id": 3, "v": "c"}\n'})
    for mode in [{"mode": "replace"}, {"mode": "merge", "key": ["id"]}]:
        ingest(server, "owner/moves", dataset=f"moves_{mode['mode']}", **mode)
    assert server.sql("SELECT id, v FROM raw.moves_replace ORDER BY ALL") == [(2, "B"), (3, "c")]
    assert server.sql("SELECT id, v FROM raw.moves_merge ORDER BY ALL") == [(1, "a"), (2, "B"), (3, "c")]
    # What somebody else changed is put right, from the landing.
    server.sql("UPDATE raw.moves_replace SET v = 'other'")
    hub.forget_requests()
    result = ingest(server, "owner/moves", dataset="moves_replace", mode="replace")
    assert (result["unchanged"], result["downloaded"], fetched(hub)) == (False, 0, [])
    assert server.sql("SELECT id, v FROM raw.moves_replace ORDER BY ALL") == [(2, "B"), (3, "c")]


def test_rows_that_are_gone_come_again(server, hub):
    hub.commit("owner/comes", {"a.parquet": numbers(0, 3)})
    before = server.sql("SELECT max(snapshot_id) FROM lake.snapshots()")[0][0]
    ingest(server, "owner/comes")
    server.sql("DROP TABLE raw.comes")
    assert ingest(server, "owner/comes")["rows_added"] == 3
    server.sql("CREATE TABLE raw.comes_too AS FROM raw.comes LIMIT 0")
    server.result("rollback", {"schema": "raw", "to": {"version": before}})
    assert ingest(server, "owner/comes")["rows_added"] == 3
    version = server.sql("SELECT max(snapshot_id) FROM lake.snapshots()")[0][0]
    hub.commit("owner/comes", {"b.parquet": numbers(3, 5)})
    assert ingest(server, "owner/comes")["rows_added"] == 2
    server.result("rollback", {"table": "raw.comes", "to": {"version": version}})
    assert server.sql("SELECT count(*) FROM raw.comes") == [(3,)]
    # What is missing is known from the rows: the record is that of the ingest that was rolled back.
    assert ingest(server, "owner/comes")["rows_added"] == 2
    # Rows that somebody deleted stay deleted.
    server.sql("DELETE FROM raw.comes WHERE i < 2")
    assert ingest(server, "owner/comes")["unchanged"]


def test_equal_rows_of_other_files_count(server, hub):
    rows = {"a.csv": b"s\n" + b"cat\n" * 10, "b.csv": b"s\n" + b"cat\n" * 20}
    hub.commit("owner/equal", rows)
    ingest(server, "owner/equal")
    hub.commit("owner/equal", {"a.csv": b"s\n" + b"cat\n" * 15})
    assert ingest(server, "owner/equal")["rows_added"] == 5
    # A table that was made anew keeps its rows, too.
    server.sql("CREATE OR REPLACE TABLE raw.equal AS FROM raw.equal")
    assert ingest(server, "owner/equal")["rows_added"] == 0
    assert server.scalar("SELECT count(*) FROM raw.equal") == 35


def test_media_are_read_again_from_the_landing(server, hub):
    sounds = {split: f"sound of {split}".encode() for split in ("test", "train")}
    rows = {split: [{"clip": {"bytes": sound, "path": f"{split}.dat"}}] for split, sound in sounds.items()}
    hub.commit("owner/sounds", {f"data/{split}-0.parquet": parquet(them) for split, them in rows.items()})
    ingest(server, "owner/sounds", mode="replace")
    server.sql("UPDATE raw.sounds SET clip = 'other'")
    hub.forget_requests()
    result = ingest(server, "owner/sounds", mode="replace")
    assert (result["downloaded"], fetched(hub)) == (0, [])
    read = server.sql("SELECT split, read_object(clip), clip_bytes FROM raw.sounds ORDER BY split")
    assert read == [(split, sound, len(sound)) for split, sound in sounds.items()]


def test_replace_after_append_replaces(server, hub):
    server.sql("CREATE TABLE raw.mixed (i BIGINT, s VARCHAR, split VARCHAR)")
    server.sql("INSERT INTO raw.mixed VALUES (100, 'old', 'none')")
    hub.commit("owner/mixed", {"a.parquet": numbers(0, 3)})
    ingest(server, "owner/mixed")
    assert ingest(server, "owner/mixed")["unchanged"]
    assert ingest(server, "owner/mixed", mode="replace")["rows_added"] == 3
    assert server.scalar("SELECT count(*) FROM raw.mixed") == 3
    assert ingest(server, "owner/mixed", mode="replace")["unchanged"]


def test_lists_of_several_pages_are_read_to_their_end(server, hub):
    hub.commit("owner/pages", {f"part{number:02}.csv": b"i\n%d\n" % number for number in range(25)})
    before, hub.page_size = hub.page_size, 7
    try:
        assert ingest(server, "owner/pages")["rows_added"] == 25
    finally:
        hub.page_size = before


def test_archives_keep_their_folders(server, hub):
    def zipped(content):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("x.csv", content)
        return buffer.getvalue()

    hub.commit("owner/archived", {"a.zip": zipped(b"i\n1\n"), "b.zip": zipped(b"i\n2\n")})
    ingest(server, "owner/archived")
    hub.commit("owner/archived", {"c.zip": zipped(b"i\n3\n")})
    assert ingest(server, "owner/archived")["rows_added"] == 1
    assert ingest(server, "owner/archived")["unchanged"]
    ingest(server, "owner/archived", mode="replace")
    assert server.sql("SELECT i FROM raw.archived ORDER BY i") == [(1,), (2,), (3,)]
    [landing] = server.result("datasets", {"dataset": "archived"})["landings"]
    assert sorted(it["path"] for it in landing["files"]) == ["a/x.csv", "b/x.csv", "c/x.csv"]


def test_a_limit_of_rows_can_be_raised(server, hub):
    hub.commit("owner/limited", {"a.parquet": numbers(0, 6), "b.parquet": numbers(6, 9)})
    assert ingest(server, "owner/limited", max_rows=4)["rows_added"] == 4
    assert ingest(server, "owner/limited", max_rows=4)["unchanged"]
    assert ingest(server, "owner/limited", max_rows=7)["rows_added"] == 3
    assert ingest(server, "owner/limited")["rows_added"] == 2
    assert server.sql("SELECT i FROM raw.limited ORDER BY ALL") == [(number,) for number in range(9)]


def test_configurations_and_splits_are_those_of_the_card(server, hub):
    files = {
        "README.md": README.encode(),
        "plain/train-1.csv": b"i\n1\n",
        "plain/train-2.csv": b"i\n2\n",
        "plain/test.csv": b"i\n3\n",
        "plain/unused.csv": b"i\n4\n",
        "more/validation.csv": b"i\n5\n",
    }
    hub.commit("owner/configured", files)
    ingest(server, "owner/configured")
    assert server.sql("FROM raw.configured ORDER BY ALL") == [(1, "train"), (2, "train"), (3, "test")]
    ingest(server, "owner/configured", dataset="only_test", split="test")
    assert server.sql("FROM raw.only_test") == [(3, "test")]
    ingest(server, "owner/configured", dataset="more", config="more")
    assert server.sql("FROM raw.more") == [(5, "validation")]
    for request, told in [
        ({"config": "other"}, 'there is no configuration "other": choose one of plain, more'),
        ({"split": "dev"}, 'there is no split "dev": choose one of test, train'),
    ]:
        with pytest.raises(pyarrow.ArrowKeyError, match=told):
            ingest(server, "owner/configured", dataset="none", **request)
    hub.commit("owner/configured", {"README.md": README.replace("default: true", "default: false").encode()})
    with pytest.raises(pyarrow.ArrowInvalid, match='choose a configuration as "config": plain, more'):
        ingest(server, "owner/configured", dataset="none")


def test_what_datasets_pushes_is_read_like_load_dataset_reads_it(server, hub, tmp_path):
    script = """
import datasets
features = datasets.Features({"i": datasets.Value("int64"), "label": datasets.ClassLabel(names=["cat", "dog"]),
                              "tags": datasets.List(datasets.Value("string"))})
def rows(numbers):
    values = {"i": numbers, "label": [n % 2 for n in numbers], "tags": [["a"] * (n % 3) for n in numbers]}
    return datasets.Dataset.from_dict(values, features=features)
both = datasets.DatasetDict({"train": rows(list(range(7))), "validation": rows([10, 11])})
both.push_to_hub("owner/pushed", num_shards={"train": 3, "validation": 1})
loaded = datasets.load_dataset("owner/pushed")
result = {split: loaded[split].to_list() for split in loaded}
"""
    loaded = official.run(script, tmp_path, **official.hugging_face(hub, tmp_path))
    ingest(server, "owner/pushed")
    for split, rows in loaded.items():
        asked = f"SELECT i, label, tags FROM raw.pushed WHERE split = '{split}' ORDER BY i"
        assert server.sql(asked) == [(row["i"], row["label"], row["tags"]) for row in rows]


def test_revisions_are_branches_tags_and_commits(server, hub):
    first = hub.commit("owner/versions", {"a.csv": b"i\n1\n"})
    hub.commit("owner/versions", {"a.csv": b"i\n2\n"})
    hub.commit("owner/versions", {"default/train/0000.parquet": numbers(5, 6)}, ["a.csv"], "refs/convert/parquet")
    for revision, dataset, rows in [
        (first, "at_commit", [(1, "train")]),
        ("main", "at_main", [(2, "train")]),
        ("refs/convert/parquet", "at_convert", [(5, "row 5", "train")]),
    ]:
        ingest(server, f"owner/versions@{revision}", dataset=dataset)
        assert server.sql(f"FROM raw.{dataset}") == rows
    with pytest.raises(pyarrow.ArrowKeyError, match="has no such revision"):
        ingest(server, "owner/versions@gone", dataset="gone")


def test_access_is_denied_with_a_remedy(server, hub, tmp_path):
    hub.commit("owner/private", {"a.csv": b"i\n1\n"}, private=True)
    assert ingest(server, "owner/private")["rows_added"] == 1
    with pytest.raises(pyarrow.ArrowKeyError, match="does not exist, or the account of HF_TOKEN may not read it"):
        ingest(server, "owner/nothing")
    for variables, kind, told in [
        ({}, pyarrow.ArrowKeyError, "does not exist, or is private: start the server with HF_TOKEN"),
        ({"HF_TOKEN": "hf_wrong"}, pyarrow.ArrowException, "does not accept the token|may not read"),
    ]:
        folder = tmp_path / f"server{len(variables)}"
        folder.mkdir()
        other = harness.Server(folder, variables={"HF_ENDPOINT": hub.endpoint} | variables)
        try:
            other.start()
            with pytest.raises(kind, match=told):
                ingest(other, "owner/private")
        finally:
            other.discard()


@pytest.mark.parametrize(
    "fault", [fail(429, retry_after=1), fail(503, retry_after=0), cut(1000)], ids=["429", "503", "cut"]
)
def test_what_passes_is_tried_again(server, hub, fault, request):
    name = request.node.callspec.id
    content = numbers(0, 5000)
    hub.commit(f"owner/tried{name}", {"a.parquet": content})
    hub.plan(fault, contains="a.parquet")
    assert ingest(server, f"owner/tried{name}")["rows_added"] == 5000


def test_a_spoiled_file_is_refused_and_leaves_nothing(server, hub):
    hub.commit("owner/spoiled", {"a.parquet": numbers(0, 100)})
    hub.plan(spoil(), contains="a.parquet", times=100)
    hub.plan(spoil(), contains="/cdn/", times=100)
    with pytest.raises(pyarrow.ArrowException, match="does not have the stated checksum"):
        ingest(server, "owner/spoiled")
    assert not list((server.store / "raw" / "spoiled").rglob("*.parquet"))
    hub.heal()
    assert ingest(server, "owner/spoiled")["rows_added"] == 100


def test_the_token_is_nowhere(server, hub):
    assert hub.token not in server.log()
    assert hub.token not in repr(server.sql("SELECT * FROM lake.snapshots()"))
    written = b"".join(path.read_bytes() for path in (server.store / "raw").rglob("*.json"))
    assert written
    assert hub.token.encode() not in written


def test_a_killed_ingest_continues_where_it_stopped(hub, tmp_path):
    rows = [{"i": number, "s": hashlib.sha256(b"%d" % number).hexdigest()} for number in range(40_000)]
    files = {f"data/train-{n:05}-of-00004.parquet": parquet(rows[n::4], compression=None) for n in range(4)}
    hub.commit("owner/killed", files)
    total = sum(map(len, files.values()))
    # The last file comes in small pieces.
    hub.plan(slow(20_000, 0.05), contains=hashlib.sha256(files["data/train-00003-of-00004.parquet"]).hexdigest(), times=1)
    hub.plan(slow(20_000, 0.05), contains="train-00003", times=1)
    server = harness.Server(tmp_path, variables={"HF_ENDPOINT": hub.endpoint})
    try:
        server.start()
        downloads = server.home / "staging" / "downloads"
        with server.flight() as client:
            body = b'{"source": "hf://datasets/owner/killed"}'
            client.do_action(pyarrow.flight.Action("ingest", body))

            def is_under_way():
                part = list(downloads.rglob("train-00003*.part"))
                whole = list(downloads.rglob("*.parquet"))
                return len(whole) == 3 and part and part[0].stat().st_size > 100_000

            harness.wait_until(is_under_way, "three files and a part are there", 30)
            server.kill9()
        hub.heal()
        sent = hub.bytes_sent
        server.start()
        assert ingest(server, "owner/killed")["rows_added"] == len(rows)
        assert hub.bytes_sent - sent < total / 4
        assert server.sql("SELECT count(*), count(DISTINCT i) FROM raw.killed") == [(len(rows), len(rows))]
        assert not list(downloads.rglob("*.p*"))
    finally:
        server.discard()


def shard(*samples):
    """A tar file of samples: for each a key and its fields."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for key, fields in samples:
            for field, content in fields.items():
                member = tarfile.TarInfo(f"{key}.{field}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def test_samples_of_shards_become_rows(server, hub):
    sounds = [bytes([number]) * 2000 for number in range(5)]
    samples = [
        (f"{number:04}", {"txt": f"number {number}".encode(), "cls": b"%d" % number, "wav": sounds[number]})
        for number in range(5)
    ]
    files = {"train-0.tar": shard(*samples[:3]), "train-1.tar": shard(*samples[3:4]), "test-0.tar": shard(*samples[4:])}
    hub.commit("owner/samples", files)
    result = ingest(server, "owner/samples")
    assert (result["rows_added"], result["assets"]) == (5, 5)
    rows = server.sql("SELECT __key__, __url__, txt, cls, wav, split FROM raw.samples ORDER BY 1")
    for number, (key, url, text, label, uri, split) in enumerate(rows):
        shard_name = "test-0.tar" if number == 4 else "train-1.tar" if number == 3 else "train-0.tar"
        assert (key, url, text, label) == (f"{number:04}", shard_name, f"number {number}", number)
        assert split == ("test" if number == 4 else "train")
        assert server.scalar(f"SELECT read_object('{uri}')") == sounds[number]
    assert ingest(server, "owner/samples")["unchanged"]
    hub.commit("owner/samples", {"train-2.tar": shard(("0009", {"txt": b"x", "cls": b"9", "wav": sounds[0]}))})
    assert ingest(server, "owner/samples")["rows_added"] == 1


def test_an_archive_of_a_split_is_unpacked(server, hub):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.csv", b"i\n1\n2\n")
    hub.commit("owner/zipped", {"validation.zip": buffer.getvalue()})
    assert ingest(server, "owner/zipped")["rows_added"] == 2
    assert server.sql("FROM raw.zipped ORDER BY i") == [(1, "validation"), (2, "validation")]


# === media that rows name ===


def test_media_beside_the_rows_are_downloaded(server, hub):
    picture = io.BytesIO()
    PIL.Image.new("RGB", (4, 3), "red").save(picture, "png")
    paths = {
        "hf://datasets/owner/named@main/media/a.png": True,
        "hf://datasets/owner/named/media/a.png": True,
        # Of another data set, another revision, and nowhere.
        "hf://datasets/owner/other@main/media/a.png": False,
        "hf://datasets/owner/named@old/media/a.png": False,
        "hf://datasets/owner/named@main/media/b.png": False,
        "https://example.com/media/a.png": False,
    }
    rows = pyarrow.table({"i": list(range(len(paths))), "image": [{"bytes": None, "path": path} for path in paths]})
    struct = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    rows = rows.set_column(1, "image", rows["image"].cast(struct))
    out = io.BytesIO()
    pyarrow.parquet.write_table(rows, out)
    files = {"data/train.parquet": out.getvalue(), "media/a.png": picture.getvalue()}
    hub.commit("owner/other", files)
    hub.commit("owner/named", {**files, "README.md": b"---\nconfigs:\n- config_name: default\n  data_files: data/*\n---\n"})
    assert ingest(server, "owner/named")["assets"] == 1
    told = server.sql("SELECT image, image_width, image_bytes FROM raw.named ORDER BY i")
    size = (4, len(picture.getvalue()))
    for (path, is_fetched), (uri, *sides) in zip(paths.items(), told, strict=True):
        assert tuple(sides) == (size if is_fetched else (None, None))
        assert uri.endswith("assets/named/image/a.png") if is_fetched else uri == path
    # As they are, on request.
    ingest(server, "owner/named", dataset="linked", media="link")
    assert [uri for (uri,) in server.sql("SELECT image FROM raw.linked ORDER BY i")] == list(paths)
