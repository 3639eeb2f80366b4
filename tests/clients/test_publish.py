"""Publishing to the Hub: what `load_dataset` reads is what the table holds, in one commit, and only once."""

import io
import json

import PIL.Image
import pyarrow
import pyarrow.flight
import pyarrow.parquet
import pytest

import harness
import official
from faults import fail, hang_up, meanwhile
from hub import Hub

pytestmark = pytest.mark.own_catalog
MIB = 1 << 20


@pytest.fixture(scope="module")
def hub():
    with Hub() as hub:
        yield hub
        assert not hub.credentials_at_storage


@pytest.fixture(scope="module")
def server(hub, tmp_path_factory):
    variables = {"HF_ENDPOINT": hub.endpoint, "HF_TOKEN": hub.token}
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


@pytest.fixture
def load(hub, tmp_path):
    """load(repo): what load_dataset reads, as features and rows by split."""

    def load(repo, streaming=False, **arguments):
        script = """
import json, os, datasets
loaded = datasets.load_dataset(os.environ["REPO"], **json.loads(os.environ["ARGUMENTS"]))
told = {}
for split, data in loaded.items():
    features = {name: repr(feature) for name, feature in data.features.items()}
    rows = list(data)
    for row in rows:
        for name, value in row.items():
            if hasattr(value, "tobytes") and hasattr(value, "size"):
                row[name] = [value.mode, list(value.size), value.tobytes().hex()]
            elif not isinstance(value, (int, float, str, list, dict, type(None))):
                row[name] = str(value)
    told[split] = {"features": features, "rows": rows}
result = told
"""
        arguments = json.dumps(arguments | {"streaming": streaming})
        variables = official.hugging_face(hub, tmp_path)
        return official.run(script, tmp_path, **variables, REPO=repo, ARGUMENTS=arguments)

    return load


@pytest.fixture
def table(server, name):
    server.sql(
        f"CREATE TABLE gold.{name} AS SELECT range AS id, 'text ' || range AS text, range / 4 AS number, "
        "[range, range + 1] AS list, {'a': range, 'b': 'x'} AS struct, "
        "TIMESTAMPTZ '2026-01-31 12:00:00+00' + INTERVAL 1 MINUTE * range AS at, "
        "CASE range % 3 WHEN 0 THEN 'test' ELSE 'train' END AS part FROM range(300)"
    )
    return f"gold.{name}"


def publish(server, **request):
    return server.result("publish", request)


# === what arrives ===


@pytest.mark.parametrize("streaming", [False, True])
def test_load_dataset_reads_the_rows(server, hub, load, table, name, streaming):
    result = publish(server, table=table, repo=f"owner/{name}")
    assert result["rows"] == 300 and not result["unchanged"]
    assert result["commit"] == hub.head(f"owner/{name}") and result["url"].endswith(f"/datasets/owner/{name}")
    assert sorted(hub.files(f"owner/{name}")) == ["README.md", "data/train-00000-of-00001.parquet", "lakehouse.json"]
    (loaded,) = load(f"owner/{name}", streaming=streaming).values()
    assert [row["id"] for row in loaded["rows"]] == list(range(300))
    assert loaded["rows"][5]["list"] == [5, 6] and loaded["rows"][5]["struct"] == {"a": 5, "b": "x"}
    assert loaded["features"]["id"] == "Value('int64')" and "timestamp[us, tz=UTC]" in loaded["features"]["at"]


def test_splits_come_from_a_column(server, hub, load, table, name):
    publish(server, table=table, repo=f"owner/{name}", split_column="part", shard_bytes=MIB)
    loaded = load(f"owner/{name}")
    assert {split: len(data["rows"]) for split, data in loaded.items()} == {"test": 100, "train": 200}
    assert "part" not in loaded["train"]["features"]
    readme = hub.files(f"owner/{name}")["README.md"].decode()
    assert "num_examples: 100" in readme and "| train | 200 | 1 |" in readme and f'load_dataset("owner/{name}")' in readme


def test_classes_have_names(server, load, name):
    server.sql(f"CREATE TABLE gold.{name} AS SELECT (range % 2)::INTEGER AS label FROM range(4)")
    publish(server, table=f"gold.{name}", repo=f"owner/{name}", class_labels={"label": "cat, dog"})
    (loaded,) = load(f"owner/{name}").values()
    assert loaded["features"]["label"] == "ClassLabel(names=['cat', 'dog'])"
    assert [row["label"] for row in loaded["rows"]] == [0, 1, 0, 1]


def picture(color, size=(4, 3)):
    buffer = io.BytesIO()
    PIL.Image.new("RGB", size, color).save(buffer, "png")
    return buffer.getvalue()


def test_images_are_embedded_and_decoded(server, hub, load, name, tmp_path):
    pictures = [{"bytes": picture(color), "path": f"{color}.png"} for color in ["red", "green", "blue"]]
    rows = pyarrow.table({"id": [1, 2, 3, 4], "image": [*pictures, None]})
    pyarrow.parquet.write_table(rows, tmp_path / "images.parquet")
    server.result("ingest", {"source": (tmp_path / "images.parquet").as_uri(), "dataset": name})
    publish(server, query=f"SELECT * FROM raw.{name} ORDER BY id", repo=f"owner/{name}")
    (loaded,) = load(f"owner/{name}").values()
    assert loaded["features"]["image"].startswith("Image(")
    shown = [row["image"] for row in loaded["rows"]]
    assert shown[0] == ["RGB", [4, 3], "ff0000" * 12] and shown[3] is None
    content = hub.files(f"owner/{name}")["data/train-00000-of-00001.parquet"]
    stored = pyarrow.parquet.read_table(io.BytesIO(content))["image"].to_pylist()
    assert stored == [*pictures, None]
    # And back again.
    assert list(loaded["features"]) == ["id", "image"]
    server.result("ingest", {"source": f"hf://datasets/owner/{name}", "dataset": f"{name}_back"})
    sums = f"SELECT id, image_sha256, image_width FROM raw.{name} ORDER BY id"
    assert server.sql(sums) == server.sql(sums.replace(name, f"{name}_back"))
    publish(server, query=f"SELECT id, image, image_format, image_sha256 FROM raw.{name}_back ORDER BY id", repo=f"owner/{name}2")
    again = pyarrow.parquet.read_table(io.BytesIO(hub.files(f"owner/{name}2")["data/train-00000-of-00001.parquet"]))
    assert again["image"].to_pylist() == stored


def test_uris_stay_on_request(server, load, name, tmp_path):
    rows = pyarrow.table({"image": [{"bytes": picture("red"), "path": "a.png"}]})
    pyarrow.parquet.write_table(rows, tmp_path / "images.parquet")
    server.result("ingest", {"source": (tmp_path / "images.parquet").as_uri(), "dataset": name})
    publish(server, table=f"raw.{name}", repo=f"owner/{name}", media="uri")
    (loaded,) = load(f"owner/{name}").values()
    assert loaded["features"]["image"] == "Value('string')" and loaded["rows"][0]["image"].endswith("a.png")


# === once ===


def test_publishing_again_changes_nothing(server, hub, table, name):
    first = publish(server, table=table, repo=f"owner/{name}")
    hub.forget_requests()
    server.sql(f"CREATE TABLE gold.{name}_other AS SELECT 1 AS a")
    again = publish(server, table=table, repo=f"owner/{name}")
    assert again["unchanged"] and again["commit"] == first["commit"] and again["files"] == []
    requests = hub.seen()
    assert len(requests) <= 3 and {seen.method for seen in requests} == {"GET"}


def test_the_same_rows_of_a_query_change_nothing(server, hub, table, name):
    first = publish(server, query=f"SELECT id FROM {table} ORDER BY id", repo=f"owner/{name}")
    hub.forget_requests()
    again = publish(server, query=f"SELECT id FROM {table} ORDER BY id", repo=f"owner/{name}")
    assert again["unchanged"] and again["commit"] == first["commit"]
    assert hub.seen("PUT") == [] and hub.seen("POST", "/commit/") == []


def test_changed_rows_replace_the_files(server, hub, table, name):
    publish(server, table=table, repo=f"owner/{name}", split_column="part")
    server.sql(f"DELETE FROM {table} WHERE part = 'test'")
    result = publish(server, table=table, repo=f"owner/{name}", split_column="part")
    assert result["removed"] == ["data/test-00000-of-00001.parquet"]
    assert {it["path"] for it in result["files"]} == {"README.md", "lakehouse.json"}
    assert len(hub.log(f"owner/{name}")) == 3


def test_a_readme_keeps_what_others_wrote(server, hub, table, name):
    mine = b"---\nlicense: mit\ndataset_info:\n  features: []\n---\n# Mine\n\nAbout it.\n"
    hub.commit(f"owner/{name}", {"README.md": mine, "notes.txt": b"x", "data/old.parquet": b"old"})
    result = publish(server, table=table, repo=f"owner/{name}")
    assert result["removed"] == ["data/old.parquet"]
    files = hub.files(f"owner/{name}")
    readme = files["README.md"].decode()
    assert readme.startswith("---\nlicense: mit\n") and "# Mine\n\nAbout it.\n" in readme
    assert readme.count("dataset_info:") == 1 and files["notes.txt"] == b"x"
    hub.commit(f"owner/{name}", {"README.md": readme.replace("About it.", "More about it.").encode()})
    server.sql(f"INSERT INTO {table} (id) VALUES (1000)")
    publish(server, table=table, repo=f"owner/{name}")
    assert "More about it." in hub.files(f"owner/{name}")["README.md"].decode()


def test_the_past_goes_to_a_branch_of_a_private_data_set(server, hub, table, name):
    version = server.head()
    server.sql(f"DELETE FROM {table}")
    publish(server, table=table, repo=f"owner/{name}", at={"version": version}, branch="v1", private=True)
    assert hub.repos["datasets", f"owner/{name}"].private
    provenance = json.loads(hub.files(f"owner/{name}", "v1")["lakehouse.json"])
    assert provenance["table"] == table and provenance["snapshot_id"] == version
    assert list(hub.files(f"owner/{name}")) == []


def test_a_dry_run_writes_nothing(server, hub, table, name):
    planned = publish(server, table=table, repo=f"owner/{name}", dry_run=True)
    assert planned["dry_run"] and "commit" not in planned
    assert ("datasets", f"owner/{name}") not in hub.repos
    done = publish(server, table=table, repo=f"owner/{name}")
    assert done["files"] == planned["files"] and len(done["files"]) == 3


# === faults ===


@pytest.mark.parametrize("in_parts", [False, True])
def test_large_files_are_uploaded_whole_or_in_parts(server, hub, name, in_parts):
    server.sql(f"CREATE TABLE gold.{name} AS SELECT md5(range::VARCHAR) AS text FROM range(100_000)")
    try:
        hub.multipart_above, hub.part_size = (MIB, MIB) if in_parts else (5 << 30, 16 << 20)
        publish(server, table=f"gold.{name}", repo=f"owner/{name}")
    finally:
        hub.multipart_above, hub.part_size = 5 << 30, 16 << 20
    content = hub.files(f"owner/{name}")["data/train-00000-of-00001.parquet"]
    assert pyarrow.parquet.read_table(io.BytesIO(content)).num_rows == 100_000
    assert len(hub.seen("PUT")) == (-(-len(content) // MIB) if in_parts else 1)


@pytest.mark.parametrize(
    ("fault", "where"),
    [
        (fail(503), ("POST", "/commit/")),
        (fail(503, after=True), ("POST", "/commit/")),
        (hang_up(), ("POST", "/commit/")),
        (hang_up(after=True), ("POST", "/commit/")),
        (fail(412), ("POST", "/commit/")),
        (fail(409), ("POST", "/commit/")),
        (fail(503), ("PUT", "/lfs/")),
        (hang_up(after=True), ("PUT", "/lfs/")),
        (fail(429, retry_after=0), ("POST", "/objects/batch")),
        (hang_up(after=True), ("POST", "/repos/create")),
        (fail(503), ("POST", "/verify")),
    ],
)
def test_a_fault_leads_to_one_commit(server, hub, table, name, fault, where):
    hub.plan(fault, *where)
    result = publish(server, table=table, repo=f"owner/{name}")
    assert result["commit"] == hub.head(f"owner/{name}")
    assert len(hub.log(f"owner/{name}")) == 2 and len(hub.files(f"owner/{name}")) == 3


def test_a_branch_that_moves_is_read_again(server, hub, table, name):
    publish(server, table=table, repo=f"owner/{name}")
    server.sql(f"INSERT INTO {table} (id) VALUES (1000)")
    other = {"data/intruder.parquet": b"x", "notes.txt": b"y"}
    hub.plan(meanwhile(lambda: hub.commit(f"owner/{name}", other)), "POST", "/commit/")
    publish(server, table=table, repo=f"owner/{name}")
    files = hub.files(f"owner/{name}")
    assert "data/intruder.parquet" not in files and files["notes.txt"] == b"y"


@pytest.mark.parametrize("step", ["/repos/create", "/objects/batch", "/lfs/", "/verify", "/commit/"])
def test_a_publication_that_was_killed_is_completed_by_the_next(hub, launch, name, step):
    server = launch(variables={"HF_ENDPOINT": hub.endpoint, "HF_TOKEN": hub.token})
    server.sql(f"CREATE TABLE gold.{name} AS SELECT range AS id FROM range(100)")
    hub.plan(meanwhile(server.kill9), None, step)
    with pytest.raises((pyarrow.ArrowException, OSError)):
        server.action("publish", {"table": f"gold.{name}", "repo": f"owner/{name}"})
    server.start()
    result = publish(server, table=f"gold.{name}", repo=f"owner/{name}")
    assert result["commit"] == hub.head(f"owner/{name}") and len(hub.log(f"owner/{name}")) == 2


@pytest.mark.parametrize(
    ("request_", "error", "words"),
    [
        ({}, pyarrow.ArrowInvalid, 'either "table" or "query"'),
        ({"query": "SELECT 1 AS a", "repo": "no-owner"}, pyarrow.ArrowInvalid, "OWNER/NAME"),
        ({"query": "SELECT 1 AS a", "repo": "a/../b"}, pyarrow.ArrowInvalid, "OWNER/NAME"),
        ({"query": "SELECT 1 AS a", "branch": "a b"}, pyarrow.ArrowInvalid, "branch"),
        ({"query": "SELECT MAP {'a': 1} AS m"}, pyarrow.ArrowInvalid, "map_entries"),
        ({"query": "SELECT 'x' AS s", "split_column": "t"}, pyarrow.ArrowInvalid, 'no column "t"'),
        ({"query": "SELECT NULL::VARCHAR AS s", "split_column": "s"}, pyarrow.ArrowInvalid, "has NULLs"),
        ({"query": "SELECT 'a/b' AS s", "split_column": "s"}, pyarrow.ArrowInvalid, "name of a split"),
        ({"query": "SELECT 1 AS s", "split_column": "s"}, pyarrow.ArrowInvalid, "expected VARCHAR"),
        ({"query": "SELECT 'x' AS c", "class_labels": {"c": "a,b"}}, pyarrow.ArrowInvalid, "class_labels"),
        ({"query": "SELECT 'x' AS c", "media_columns": {"c": "smell"}}, pyarrow.ArrowInvalid, "smell"),
        ({"query": "SELECT 'no' AS c", "media_columns": {"c": "image"}}, pyarrow.ArrowInvalid, "no"),
        ({"table": "gold.no_such_table"}, KeyError, "no_such_table"),
    ],
    ids=str,
)
def test_what_cannot_be_published_is_said(server, hub, name, request_, error, words):
    with pytest.raises(error, match=words):
        server.action("publish", {"repo": f"owner/{name}"} | request_)
    assert ("datasets", f"owner/{name}") not in hub.repos


def test_without_the_right_to_write_nothing_is_written(hub, launch, name):
    hub.commit(f"owner/{name}", {"a.txt": b"a"})
    for token, words in [(None, "HF_TOKEN"), (hub.stranger_token, "may not write"), ("hf_wrong", "valid one")]:
        server = launch(variables={"HF_ENDPOINT": hub.endpoint} | ({"HF_TOKEN": token} if token else {}))
        server.sql("CREATE TABLE gold.t AS SELECT 1 AS a")
        with pytest.raises(pyarrow.ArrowException, match=words) as failed:
            server.action("publish", {"table": "gold.t", "repo": f"owner/{name}"})
        assert not token or token not in str(failed.value)
    assert len(hub.log(f"owner/{name}")) == 2


def test_publish_on_the_command_line(server, hub, table, name):
    done = harness.run("publish", f"owner/{name}", "--table", table, "--dry-run", "--url", server.uri)
    assert "add" in done.stdout and "would be published" in done.stdout, done
    done = harness.run("publish", f"owner/{name}", "--table", table, "--url", server.uri)
    assert "300 rows are in" in done.stdout and "data/train-00000-of-00001.parquet" in done.stdout
    done = harness.run("publish", f"owner/{name}", "--table", table, "--url", server.uri)
    assert "nothing new" in done.stderr
