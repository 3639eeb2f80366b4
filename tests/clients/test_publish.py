"""Publishing to the Hub: what `load_dataset` reads is what the table holds, in one commit, and only once."""

import hashlib
import io
import json
import pathlib
import urllib.parse
import urllib.request

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
def is_image(value):
    return hasattr(value, "tobytes") and hasattr(value, "size")
def shown(image):
    return [image.mode, list(image.size), image.tobytes().hex()]
loaded = datasets.load_dataset(os.environ["REPO"], **json.loads(os.environ["ARGUMENTS"]))
told = {}
for split, data in loaded.items():
    features = {name: repr(feature) for name, feature in data.features.items()}
    rows = list(data)
    for row in rows:
        for name, value in row.items():
            if is_image(value):
                row[name] = shown(value)
            elif isinstance(value, list) and any(map(is_image, value)):
                row[name] = [shown(item) if is_image(item) else item for item in value]
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
    # Names become numbers.
    named = "SELECT unnest(['dog', NULL, 'it''s', 'cat']) AS label"
    publish(server, query=named, repo=f"owner/{name}_named", class_labels={"label": "cat, dog, it's"})
    (loaded,) = load(f"owner/{name}_named").values()
    assert loaded["features"]["label"].startswith("ClassLabel(names=['cat', 'dog'")
    assert [row["label"] for row in loaded["rows"]] == [1, None, 2, 0]


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
    publish(server, query=f"SELECT id, image, image_format, image_sha256 FROM raw.{name}_back ORDER BY id", repo=f"owner/{name}_2")
    again = pyarrow.parquet.read_table(io.BytesIO(hub.files(f"owner/{name}_2")["data/train-00000-of-00001.parquet"]))
    assert again["image"].to_pylist() == stored


def test_uris_stay_on_request(server, load, name, tmp_path):
    rows = pyarrow.table({"image": [{"bytes": picture("red"), "path": "a.png"}]})
    pyarrow.parquet.write_table(rows, tmp_path / "images.parquet")
    server.result("ingest", {"source": (tmp_path / "images.parquet").as_uri(), "dataset": name})
    publish(server, table=f"raw.{name}", repo=f"owner/{name}", media="uri")
    (loaded,) = load(f"owner/{name}").values()
    assert loaded["features"]["image"] == "Value('string')" and loaded["rows"][0]["image"].endswith("a.png")


def test_lists_of_images_are_published(server, hub, load, name, tmp_path):
    """Documents with pages: embedded, as files, and back in the lake."""
    pages = [["red", "green"], [], None, ["blue", None, "red"], *([["green"]] * 40)]
    struct = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    media = [
        None if row is None else [color and {"bytes": picture(color), "path": f"{color}.png"} for color in row]
        for row in pages
    ]
    rows = pyarrow.table({"id": list(range(len(pages))), "pages": pyarrow.array(media, pyarrow.list_(struct))})
    pyarrow.parquet.write_table(rows, tmp_path / "documents.parquet")
    server.result("ingest", {"source": (tmp_path / "documents.parquet").as_uri(), "dataset": name})
    pixel = {"red": "ff0000", "green": "008000", "blue": "0000ff"}
    shown = [row and [color and ["RGB", [4, 3], pixel[color] * 12] for color in row] for row in pages]
    sums = f"SELECT id, pages_sha256, pages_width FROM raw.{name} ORDER BY id"
    for how in ("embed", "upload"):
        repo = f"owner/{name}_{how}"
        publish(server, query=f"SELECT * FROM raw.{name} ORDER BY id", repo=repo, media=how)
        assert len(media_files(hub, repo)) == (3 if how == "upload" else 0)
        (loaded,) = load(repo).values()
        assert list(loaded["features"]) == ["id", "pages"] and loaded["features"]["pages"].startswith("List(Image(")
        assert [row["pages"] for row in loaded["rows"]] == shown
        assert [row["pages"] for row in load(repo, streaming=True)["train"]["rows"]] == shown
        server.result("ingest", {"source": f"hf://datasets/{repo}", "dataset": f"{name}_{how}"})
        assert server.sql(sums.replace(name, f"{name}_{how}")) == server.sql(sums)


# === media as files ===

COLORS = ["red", "green", "blue", "red"]


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def media_path(content, ending):
    return f"media/{sha256(content)[:2]}/{sha256(content)}.{ending}"


def media_files(hub, repo, branch="main"):
    return {path: content for path, content in hub.files(repo, branch).items() if path.startswith("media/")}


@pytest.fixture
def album(server, name, tmp_path):
    return ingest_album(server, name, tmp_path)


def ingest_album(server, name, tmp_path):
    """The table raw.<name> with the images of COLORS, of which two are equal, and a NULL."""
    pictures = [{"bytes": picture(color), "path": f"{color}{at}.png"} for at, color in enumerate(COLORS)]
    rows = pyarrow.table({"id": list(range(len(COLORS) + 1)), "image": [*pictures, None]})
    pyarrow.parquet.write_table(rows, tmp_path / "images.parquet")
    server.result("ingest", {"source": (tmp_path / "images.parquet").as_uri(), "dataset": name})
    return f"raw.{name}"


def asset(server, table, id_):
    """The file of an image."""
    uri = server.scalar(f"SELECT image FROM {table} WHERE id = {id_}")
    return pathlib.Path(urllib.request.url2pathname(urllib.parse.urlparse(uri).path))


def upload(server, table, repo, **request):
    return publish(server, query=f"SELECT * FROM {table} ORDER BY id", repo=repo, media="upload", **request)


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("branch", ["main", "v/1"])
def test_uploaded_images_are_decoded(server, hub, load, album, name, streaming, branch):
    repo = f"owner/{name}"
    result = upload(server, album, repo, branch=branch, private=True)
    expected = {media_path(picture(color), "png"): picture(color) for color in COLORS}
    assert media_files(hub, repo, branch) == expected
    assert (result["media_files"], result["media_bytes"]) == (3, sum(map(len, expected.values())))
    data, texts = "data/train-00000-of-00001.parquet", ["README.md", "lakehouse.json"]
    assert sorted(it["path"] for it in result["files"]) == sorted([data, *texts])
    (loaded,) = load(repo, streaming, revision=branch).values()
    assert list(loaded["features"]) == ["id", "image"] and loaded["features"]["image"].startswith("Image(")
    shown = {color: ["RGB", [4, 3], pixel * 12] for color, pixel in zip(COLORS, ["ff0000", "008000", "0000ff"])}
    assert [row["image"] for row in loaded["rows"]] == [*(shown[color] for color in COLORS), None]
    # The embedded ones are the same.
    publish(server, query=f"SELECT * FROM {album} ORDER BY id", repo=f"{repo}_embedded")
    (embedded,) = load(f"{repo}_embedded", streaming).values()
    assert embedded == loaded


def test_uploaded_media_come_back_equal(server, hub, album, name):
    """From the Hub to the lake, to the Hub, and to the lake again."""
    upload(server, album, f"owner/{name}")
    stored = media_files(hub, f"owner/{name}")
    sums = f"SELECT id, image_sha256, image_width, image_bytes FROM {album} ORDER BY id"
    for turn in (1, 2):
        before, back = f"owner/{name}" + "_again" * (turn - 1), f"{name}_{turn}"
        server.result("ingest", {"source": f"hf://datasets/{before}", "dataset": back})
        assert server.sql(sums.replace(album, f"raw.{back}")) == server.sql(sums)
        upload(server, f"(SELECT * EXCLUDE (split) FROM raw.{back})", f"{before}_again")
        assert media_files(hub, f"{before}_again") == stored


def test_a_token_that_is_passed_opens_private_media(server, hub, album, name, tmp_path):
    upload(server, album, f"owner/{name}", private=True)
    script = """
import os, datasets
data = datasets.load_dataset(os.environ["REPO"], streaming=True, token=os.environ["PASSED"], split="train")
result = [row["image"] and row["image"].getpixel((0, 0)) for row in data]
"""
    variables = official.hugging_face(hub, tmp_path, token="") | {"REPO": f"owner/{name}", "PASSED": hub.token}
    assert official.run(script, tmp_path, **variables)[2:] == [[0, 0, 255], [255, 0, 0], None]


def test_rows_have_the_addresses_of_uploaded_media(server, hub, album, name):
    upload(server, album, f"owner/{name}")
    files = hub.files(f"owner/{name}")
    stored = pyarrow.parquet.read_table(io.BytesIO(files["data/train-00000-of-00001.parquet"]))
    root = f"hf://datasets/owner/{name}@main/"
    paths = [root + media_path(picture(color), "png") for color in COLORS]
    assert stored["image"].to_pylist() == [*({"bytes": None, "path": path} for path in paths), None]
    readme = files["README.md"].decode()
    assert "dtype: image" in readme and "3 files with media" in readme
    size = len(files["data/train-00000-of-00001.parquet"])
    assert f"download_size: {size}" in readme and f"dataset_size: {size}" in readme
    listed = "".join(f"{sha256(content)} {path}\n" for path, content in media_files(hub, f"owner/{name}").items())
    media = json.loads(files["lakehouse.json"])["media"]
    assert media["files"] == 3 and media["sha256"] == sha256(listed.encode())


@pytest.mark.parametrize("kind", ["audio", "video"])
def test_sounds_and_videos_are_uploaded(server, hub, name, tmp_path, kind):
    sample = {"audio": b"RIFF-not-really" * 99, "video": b"ftyp-not-really" * 99}[kind]
    folder = pathlib.Path(server.storage) / "assets" / name
    folder.mkdir(parents=True)
    (folder / "a b.WAV").write_bytes(sample)
    uri = (folder / "a b.WAV").as_uri()
    query = f"SELECT unnest(['{uri}', 'https://example.org/x.wav', NULL]) AS clip"
    result = publish(server, query=query, repo=f"owner/{name}", media="upload", media_columns={"clip": kind})
    assert media_files(hub, f"owner/{name}") == {media_path(sample, "wav"): sample} and result["media_files"] == 1
    script = """
import json, os, datasets, fsspec
(loaded,) = datasets.load_dataset(os.environ["REPO"]).values()
result = [type(loaded.features["clip"]).__name__]
for row in loaded.cast_column("clip", type(loaded.features["clip"])(decode=False)):
    path = row["clip"] and row["clip"]["path"]
    result.append(fsspec.open(path).open().read().hex() if path and path.startswith("hf://") else path)
"""
    told = official.run(script, tmp_path, **official.hugging_face(hub, tmp_path), REPO=f"owner/{name}")
    assert told == [kind.capitalize(), sample.hex(), "https://example.org/x.wav", None]


def test_uploading_again_changes_nothing(server, hub, album, name):
    first = upload(server, album, f"owner/{name}")
    hub.forget_requests()
    again = upload(server, album, f"owner/{name}")
    assert again["unchanged"] and again["commit"] == first["commit"] and again["media_files"] == 0
    assert {seen.method for seen in hub.seen()} == {"GET"}
    publish(server, table=album, repo=f"owner/{name}_table", media="upload")
    asset(server, album, 0).unlink()
    hub.forget_requests()
    # Of a table, not even the media are read.
    assert publish(server, table=album, repo=f"owner/{name}_table", media="upload")["unchanged"]
    assert len(hub.seen()) <= 3 and {seen.method for seen in hub.seen()} == {"GET"}


def test_changed_media_are_replaced_in_one_commit(server, hub, album, name, tmp_path):
    repo = f"owner/{name}"
    # What others have put there stays.
    hub.commit(repo, {"media/notes.txt": b"x", "media/ab/photo.png": b"y"})
    others = media_files(hub, repo)
    upload(server, album, repo)
    server.sql(f"DELETE FROM {album} WHERE id IN (0, 1)")
    more = pyarrow.table({"id": [9], "image": [{"bytes": picture("white"), "path": "white.png"}]})
    pyarrow.parquet.write_table(more, tmp_path / "more.parquet")
    server.result("ingest", {"source": (tmp_path / "more.parquet").as_uri(), "dataset": name, "mode": "append"})
    hub.forget_requests()
    result = upload(server, album, repo)
    assert (result["media_files"], result["media_removed"], result["removed"]) == (1, 1, [])
    # The file with rows and the new image.
    assert len(hub.seen("PUT")) == 2 and len(hub.log(repo)) == 4
    left = {media_path(picture(color), "png"): picture(color) for color in ["red", "blue", "white"]}
    assert media_files(hub, repo) == left | others
    # Embedded media leave no files.
    assert publish(server, table=album, repo=repo)["media_removed"] == 3
    assert media_files(hub, repo) == others and len(hub.log(repo)) == 5


def test_media_that_somebody_changed_are_repaired(server, hub, album, name):
    repo, lost = f"owner/{name}", media_path(picture("green"), "png")
    publish(server, table=album, repo=repo, media="upload")
    complete = media_files(hub, repo)
    for change in [{"delete": [lost]}, {"files": {lost: b"other"}}, {"files": {media_path(b"old", "png"): b"old"}}]:
        hub.commit(repo, **change)
        assert not publish(server, table=album, repo=repo, media="upload")["unchanged"]
        assert media_files(hub, repo) == complete


def test_a_dry_run_counts_media(server, hub, album, name):
    planned = upload(server, album, f"owner/{name}", dry_run=True)
    assert ("datasets", f"owner/{name}") not in hub.repos
    done = upload(server, album, f"owner/{name}")
    counts = ["media_files", "media_bytes", "files"]
    assert [planned[field] for field in counts] == [done[field] for field in counts] and done["media_files"] == 3


def test_missing_media_are_refused_before_anything_is_sent(server, hub, album, name):
    asset(server, album, 2).unlink()
    for request in [{}, {"dry_run": True}, {"media": "embed"}]:
        with pytest.raises(KeyError, match="blue2.png.*does not exist"):
            publish(server, **{"table": album, "repo": f"owner/{name}", "media": "upload"} | request)
    assert ("datasets", f"owner/{name}") not in hub.repos and hub.seen("PUT") == []


def test_files_of_the_lake_are_not_uploaded(server, hub, name):
    (pathlib.Path(server.storage) / "lake").mkdir(exist_ok=True)
    for path in ["lake/secret.png", "backups/x.png", "assets/../lake/secret.png", "no-such-folder/x.png"]:
        uri = f"{pathlib.Path(server.storage).as_uri()}/{path}"
        with pytest.raises(pyarrow.ArrowInvalid, match="is not the URI of an asset"):
            query, columns = f"SELECT '{uri}' AS image", {"image": "image"}
            publish(server, query=query, repo=f"owner/{name}", media="upload", media_columns=columns)
    assert ("datasets", f"owner/{name}") not in hub.repos


def test_media_that_are_replaced_meanwhile_are_refused(server, hub, album, name):
    hub.plan(meanwhile(lambda: asset(server, album, 1).write_bytes(b"other")), "POST", "/repos/create")
    with pytest.raises(pyarrow.ArrowException, match="was replaced") as failed:
        upload(server, album, f"owner/{name}")
    assert "green1.png" in str(failed.value) and hub.files(f"owner/{name}") == {}


@pytest.mark.parametrize("fault", [fail(503), hang_up(after=True)])
def test_an_upload_of_media_survives_faults(server, hub, album, name, fault):
    hub.plan(fault, "PUT", "/lfs/")
    hub.plan(fault, "POST", "/commit/")
    result = upload(server, album, f"owner/{name}")
    assert result["commit"] == hub.head(f"owner/{name}")
    assert len(hub.log(f"owner/{name}")) == 2 and len(media_files(hub, f"owner/{name}")) == 3


def test_media_in_a_bucket_are_uploaded(hub, launch, new_storage, name, tmp_path):
    flags, settings = new_storage("s3")
    settings["variables"] = settings["variables"] | {"HF_ENDPOINT": hub.endpoint, "HF_TOKEN": hub.token}
    server = launch(*flags, **settings)
    album = ingest_album(server, name, tmp_path)
    upload(server, album, f"owner/{name}")
    assert sorted(media_files(hub, f"owner/{name}").values()) == sorted({picture(color) for color in COLORS})


def test_empty_objects_are_files(server, hub, name):
    folder = pathlib.Path(server.storage) / "assets" / name
    folder.mkdir(parents=True)
    (folder / "none.png").touch()
    query, columns = f"SELECT '{(folder / 'none.png').as_uri()}' AS image", {"image": "image"}
    for unchanged in [False, True]:
        result = publish(server, query=query, repo=f"owner/{name}", media="upload", media_columns=columns)
        assert result["unchanged"] == unchanged
    assert media_files(hub, f"owner/{name}") == {media_path(b"", "png"): b""}


def test_many_media_are_uploaded_in_little_space(server, hub, name):
    count, folder = 600, pathlib.Path(server.storage) / "assets" / name
    folder.mkdir(parents=True)
    for number in range(count):
        (folder / f"{number}.bin").write_bytes(bytes([number % 251]) * 1000 + str(number).encode())
    query = f"SELECT '{folder.as_uri()}/' || range || '.bin' AS clip FROM range({count})"
    result = publish(server, query=query, repo=f"owner/{name}", media="upload", media_columns={"clip": "image"})
    assert result["media_files"] == count and len(media_files(hub, f"owner/{name}")) == count
    assert len(hub.seen("POST", "/objects/batch")) == 3


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


def test_other_configurations_stay(server, hub, load, table, name):
    repo = f"owner/{name}"
    out = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"word": ["a", "b"]}), out)
    readme = """---
configs:
- config_name: words
  data_files:
  - split: test
    path: words/*.parquet
dataset_info:
- config_name: words
  features:
  - name: word
    dtype: string
  splits:
  - name: test
    num_examples: 2
---
# Mine
"""
    hub.commit(repo, {"README.md": readme.encode(), "words/a.parquet": out.getvalue()})
    publish(server, table=table, repo=repo)
    assert [row["word"] for row in load(repo, name="words")["test"]["rows"]] == ["a", "b"]
    assert len(load(repo)["train"]["rows"]) == server.scalar(f"SELECT count(*) FROM {table}")
    commits = len(hub.log(repo))
    assert publish(server, table=table, repo=repo)["unchanged"]
    server.sql(f"INSERT INTO {table} (id) VALUES (1000)")
    publish(server, table=table, repo=repo)
    assert [row["word"] for row in load(repo, name="words")["test"]["rows"]] == ["a", "b"]
    # The published files are in the folder "data", where others are removed.
    moved = readme.replace("words/*", "data/words-*").encode()
    hub.commit(repo, {"README.md": moved, "data/words-0.parquet": out.getvalue()})
    with pytest.raises(pyarrow.ArrowException, match='the configuration "words".*reads files in the folder data'):
        publish(server, table=table, repo=repo)
    assert len(hub.log(repo)) == commits + 2


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
        ({"query": "SELECT 'x' AS c", "class_labels": {"c": "a,b"}}, pyarrow.ArrowInvalid, "class_labels.*the value x"),
        ({"query": "SELECT 2 AS c", "class_labels": {"c": "a,b"}}, pyarrow.ArrowInvalid, "class_labels.*the value 2"),
        ({"query": "SELECT 1.5 AS c", "class_labels": {"c": "a,b"}}, pyarrow.ArrowInvalid, "class_labels"),
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


def test_publish_media_on_the_command_line(server, hub, album, name):
    arguments = ["publish", f"owner/{name}", "--table", album, "--media", "upload", "--url", server.uri]
    done = harness.run(*arguments)
    assert "media/ (3 files)" in done.stdout, done
    assert "nothing new" in harness.run(*arguments).stderr
