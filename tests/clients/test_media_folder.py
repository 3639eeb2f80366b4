"""Folders of images and sounds: what the library `datasets` reads of them is in the table."""

import hashlib
import io
import json
import pathlib
import urllib.parse
import zipfile

import pyarrow
import pyarrow.flight
import pyarrow.parquet
import pytest

import harness
import official
from hub import Hub
from test_media import png, wav

pytestmark = pytest.mark.own_catalog

# What load_dataset gives, by split: the file, the label's name, the SHA-256 of the bytes, and the other columns.
LOAD = """
import datasets, hashlib, json, os, pathlib, sys
def rows(folder):
    loaded = datasets.load_dataset("imagefolder", data_dir=folder)
    def row(part, it):
        it = dict(it)
        image = it.pop("image")
        content = image["bytes"] or pathlib.Path(image["path"]).read_bytes()
        label = it.pop("label", None)
        if label is not None and isinstance(part.features["label"], datasets.ClassLabel):
            label = part.features["label"].int2str(label)
        return [os.path.relpath(image["path"], folder), label, hashlib.sha256(content).hexdigest(), it]
    raw = lambda part: part.cast_column("image", datasets.Image(decode=False))
    return {split: sorted([row(raw(part), it) for it in raw(part)], key=str) for split, part in loaded.items()}
result = {folder: rows(folder) for folder in FOLDERS}
"""

FOLDERS = {
    "labels": (["cat/a.png", "cat/b.PNG", "dog/a.png"], {}),
    "one_label": (["cat/a.png", "cat/b.png"], {}),
    "depths": (["cat/a.png", "dog/old/b.png"], {}),
    "flat": (["a.png", "b.jpeg.png", "notes.png"], {"notes.txt": "ignored"}),
    "splits": (["train/cat/a.png", "train/dog/b.png", "test/cat/c.png", "test/dog/a.png"], {}),
    "outside": (["train/cat/a.png", "train/dog/b.png", "other/cat/c.png"], {}),
    "named": (["train_1.png", "my-val.png", "x.png"], {}),
    "nested": (["data/validation/cat/a.png", "data/validation/dog/b.png"], {}),
    "csv": (["a.png", "b.png", "c.png"], {"metadata.csv": "file_name,caption,n\nb.png,B,1\na.png,,2\n"}),
    "jsonl": (
        ["a.png", "more/b.png"],
        {"metadata.jsonl": '{"file_name": "more/b.png", "o": {"bbox": [1, 2]}}\n{"file_name": "./a.png", "o": null}\n'},
    ),
    "both": (
        ["train/x/a.png", "test/b.png"],
        {"train/metadata.csv": "n,file_name\n1,x/a.png\n", "test/metadata.csv": "n,file_name\n2,b.png\n"},
    ),
    "label_column": (["cat/a.png", "dog/b.png"], {"metadata.csv": "file_name,label\ncat/a.png,x\ndog/b.png,y\n"}),
    "twice": (["a.png"], {"metadata.csv": "file_name,n\na.png,1\na.png,2\n"}),
}


def make(folder, images, texts=None):
    for number, image in enumerate(images):
        path = folder / image
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(number + 1, 3, number))
    for path, text in (texts or {}).items():
        (folder / path).write_text(text)
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = harness.Server(tmp_path_factory.mktemp("server"))
    try:
        yield server.start()
    finally:
        server.discard()


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The folders, and what the library gives for each."""
    root = tmp_path_factory.mktemp("folders")
    made = {name: make(root / name, *content) for name, content in FOLDERS.items()}
    settings = {"HF_HOME": str(root / "hf"), "HF_HUB_OFFLINE": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
    given = official.run(f"FOLDERS = {[str(folder) for folder in made.values()]}\n{LOAD}", root, **settings)
    return {name: (folder, given[str(folder)]) for name, folder in made.items()}


def ingest(server, folder, **request):
    return server.result("ingest", {"source": folder if isinstance(folder, str) else folder.as_uri()} | request)


def columns(server, name):
    return [column for (column, *_) in server.sql(f"DESCRIBE raw.{name}")]


def read(server, name):
    """The table as LOAD gives it."""
    known = ["image", "label", "file_name", "split"] + [f"image_{it}" for it in ["width", "height", "format", "duration", "bytes", "sha256"]]
    others = [column for column in columns(server, name) if column not in known]
    label = "label" if "label" in columns(server, name) else "NULL"
    other = ", ".join(f'"{column}"' for column in others)
    sql = f"SELECT split, file_name, {label}, read_object(image), image_sha256, image_width{', ' if other else ''}{other} FROM raw.{name}"
    found = {}
    for split, file, label, content, sha256, width, *rest in server.sql(sql):
        assert hashlib.sha256(content).hexdigest() == sha256 and width > 0
        found.setdefault(split, []).append([file, label, sha256, dict(zip(others, rest, strict=True))])
    return {split: sorted(rows, key=str) for split, rows in found.items()}


@pytest.mark.parametrize("name", FOLDERS)
def test_what_the_library_reads_is_in_the_table(server, folders, name):
    folder, given = folders[name]
    ingest(server, folder, dataset=name)
    assert read(server, name) == given
    assert ingest(server, folder, dataset=name)["unchanged"]


def test_folders_of_splits_are_no_labels(server, tmp_path, name):
    """The library gives the rows of the first split no label there, and those of the others the name of their split."""
    ingest(server, make(tmp_path, ["train/a.png", "val/b.png"]), dataset=name)
    assert "label" not in columns(server, name)
    assert server.sql(f"SELECT file_name, split FROM raw.{name} ORDER BY ALL") == [("train/a.png", "train"), ("val/b.png", "validation")]


def test_only_what_is_new_is_added(server, tmp_path, name):
    make(tmp_path, ["cat/a.png", "dog/b.png"])
    first = ingest(server, tmp_path, dataset=name)
    assert (first["files"], first["rows_added"], first["assets"]) == (2, 2, 2)
    (tmp_path / "dog" / "c.png").write_bytes(png(9, 9))
    second = ingest(server, tmp_path, dataset=name)
    assert (second["files"], second["rows_added"], second["assets"]) == (3, 1, 1)
    # Moved to another folder, it has another label.
    (tmp_path / "dog" / "c.png").rename(tmp_path / "cat" / "c.png")
    assert ingest(server, tmp_path, dataset=name)["rows_added"] == 1
    assert server.sql(f"SELECT label FROM raw.{name} WHERE file_name LIKE '%c.png' ORDER BY ALL") == [("cat",), ("dog",)]
    ingest(server, tmp_path, dataset=name, mode="replace")
    assert server.sql(f"SELECT label, file_name FROM raw.{name} ORDER BY ALL") == [
        ("cat", "cat/a.png"), ("cat", "cat/c.png"), ("dog", "dog/b.png")
    ]
    assert ingest(server, tmp_path, dataset=name, mode="replace")["unchanged"]
    (tmp_path / "cat" / "a.png").write_bytes(png(7, 7))
    merged = ingest(server, tmp_path, dataset=name, mode="merge", key=["file_name"])
    assert (merged["rows_read"], merged["rows_added"]) == (3, 0)
    assert server.scalar(f"SELECT image_width FROM raw.{name} WHERE file_name = 'cat/a.png'") == 7
    limited = ingest(server, tmp_path, dataset=f"{name}_limited", max_rows=1)
    assert (limited["rows_added"], limited["assets"]) == (1, 1)


def test_metadata_that_grows(server, tmp_path, name):
    make(tmp_path, ["a.png"], {"metadata.csv": "file_name,n\na.png,1\n"})
    ingest(server, tmp_path, dataset=name)
    (tmp_path / "b.png").write_bytes(png(5, 5))
    # The library does not read what has no metadata.
    assert ingest(server, tmp_path, dataset=name)["rows_added"] == 0
    (tmp_path / "metadata.csv").write_text("file_name,n\na.png,1\nb.png,2\n")
    assert ingest(server, tmp_path, dataset=name)["rows_added"] == 1
    assert server.sql(f"SELECT file_name, n FROM raw.{name} ORDER BY ALL") == [("a.png", 1), ("b.png", 2)]


def test_several_columns_of_files_and_parquet(server, tmp_path, name):
    make(tmp_path, ["left/a.png", "right/a.png", "right/b.png"])
    rows = [
        {"left_file_name": "left/a.png", "right_file_name": "right/a.png", "n": 1},
        {"left_file_name": None, "right_file_name": "right/b.png", "n": 2},
    ]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "metadata.parquet")
    ingest(server, tmp_path, dataset=name)
    found = server.sql(f"SELECT n, left_width, right_width, left_file_name, right_file_name, split FROM raw.{name} ORDER BY ALL")
    assert found == [(1, 1, 2, "left/a.png", "right/a.png", "train"), (2, None, 3, None, "right/b.png", "train")]
    uris = server.sql(f'SELECT "left", "right" FROM raw.{name} ORDER BY n')
    assert uris[1][0] is None and server.scalar(f"SELECT read_object('{uris[0][0]}')") == png(1, 3, 0)


def test_sounds(server, tmp_path, name):
    for number, path in enumerate(["hum/a.wav", "buzz/b.wav"], 1):
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).write_bytes(wav(number))
    ingest(server, tmp_path, dataset=name)
    rows = server.sql(f"SELECT label, file_name, audio_duration, audio_format, split FROM raw.{name} ORDER BY ALL")
    assert rows == [("buzz", "buzz/b.wav", 2.0, "audio/wav", "train"), ("hum", "hum/a.wav", 1.0, "audio/wav", "train")]


def test_an_archive_is_read_like_its_folder(server, tmp_path, name):
    path = tmp_path / f"{name}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number, image in enumerate(["test/cat/a.png", "test/dog/b.png"]):
            archive.writestr(image, png(number + 1, 1))
        archive.writestr("__MACOSX/test/cat/._a.png", b"nothing")
    ingest(server, path)
    assert server.sql(f"SELECT label, file_name, split FROM raw.{name} ORDER BY ALL") == [
        ("cat", "test/cat/a.png", "test"), ("dog", "test/dog/b.png", "test")
    ]
    assert ingest(server, path)["unchanged"]


def test_a_folder_on_the_hub(tmp_path_factory, name):
    with Hub() as hub:
        variables = {"HF_ENDPOINT": hub.endpoint, "HF_TOKEN": hub.token}
        server = harness.Server(tmp_path_factory.mktemp("server"), variables=variables)
        try:
            server.start()
            images = {f"train/{label}/{n}.png": png(n, 2, n) for n, label in enumerate(["cat", "dog", "cat"], 1)}
            hub.commit("owner/labelled", images | {"test/dog/4.png": png(4, 2, 4), "README.md": b"# Pets"})
            source = "hf://datasets/owner/labelled"
            ingest(server, source)
            assert server.sql("SELECT label, file_name, split FROM raw.labelled ORDER BY file_name") == [
                ("dog", "test/dog/4.png", "test"), ("cat", "train/cat/1.png", "train"),
                ("cat", "train/cat/3.png", "train"), ("dog", "train/dog/2.png", "train"),
            ]
            assert ingest(server, source)["unchanged"]
            # Only what is new is downloaded.
            hub.commit("owner/labelled", {"test/cat/5.png": png(5, 2, 5)})
            more = ingest(server, source)
            assert (more["rows_added"], more["downloaded"], more["files"]) == (1, len(png(5, 2, 5)), 5)
            # A metadata file beside many images, and only one split of them.
            lines = "".join(json.dumps({"file_name": f"{n}.png", "n": n}) + "\n" for n in [1, 2])
            files = {"test/1.png": png(1, 1), "test/2.png": png(2, 1), "test/metadata.jsonl": lines.encode(), "train/3.png": png(3, 1)}
            hub.commit("owner/described", files)
            ingest(server, "hf://datasets/owner/described", split="test")
            assert server.sql("SELECT n, file_name, image_width, split FROM raw.described ORDER BY n") == [
                (1, "test/1.png", 1, "test"), (2, "test/2.png", 2, "test")
            ]
        finally:
            server.discard()


def test_a_folder_in_a_landing(server, name):
    landing = server.result("ingest", {"source": "manual", "dataset": name})["landing"]
    folder = pathlib.Path(urllib.parse.unquote(urllib.parse.urlparse(landing).path))
    make(folder, ["cat/a.png", "dog/b.png"])
    assert ingest(server, "manual", dataset=name)["rows_added"] == 2
    assert server.sql(f"SELECT label FROM raw.{name} ORDER BY ALL") == [("cat",), ("dog",)]


def refused(server, folder, name, told, **request):
    before = server.head()
    with pytest.raises((pyarrow.ArrowInvalid, pyarrow.flight.FlightError), match=told):
        ingest(server, folder, dataset=name, **request)
    assert server.head() == before
    assert not [path for path in (server.store / "assets" / name).rglob("*") if path.is_file()]
    assert server.result("datasets", {"dataset": name})["landings"] == []


@pytest.mark.parametrize(
    "texts, told",
    [
        ({"metadata.csv": "file_name,n\na.png,1\nz.png,2\n"}, '"metadata.csv" names the file "z.png", which is not there'),
        ({"metadata.csv": "file_name,n\n../x.png,1\n"}, '"metadata.csv" names the file "../x.png", which leads out of its folder'),
        ({"metadata.csv": "file_name,n\n/etc/passwd,1\n"}, "leads out of its folder"),
        ({"metadata.csv": "file_name,n\nfile:///etc/passwd,1\n"}, "leads out of its folder"),
        ({"metadata.csv": "name,n\na.png,1\n"}, 'no column "file_name"'),
        ({"metadata.csv": "file_name,image\na.png,1\n"}, 'cannot have a column "image"'),
        ({"metadata.csv": "file_name,Image_Width\na.png,1\n"}, 'cannot have a column "image_width"'),
        ({"metadata.csv": 'file_name,n\na.png,"1\n'}, "metadata.csv"),
        ({"metadata.csv": "file_name,n\na.png,1\n", "metadata.jsonl": '{"file_name": "a.png"}\n'}, "several formats"),
        ({"broken.png": "no picture"}, 'store "broken.png"'),
        ({"empty.png": ""}, '"empty.png" is empty'),
        ({"sound.wav": "x"}, "several formats"),
    ],
)
def test_bad_folders_are_refused(server, tmp_path, name, texts, told):
    refused(server, make(tmp_path, ["a.png"], texts), name, told)


def test_broken_images_are_named(server, tmp_path, name):
    make(tmp_path, ["cat/a.png", "dog/b.png"])
    (tmp_path / "dog" / "c.jpg").write_bytes(b"\xff\xd8\xff\xe0 and so on")
    refused(server, tmp_path, name, "c.jpg")
    (tmp_path / "dog" / "c.jpg").unlink()
    refused(server, tmp_path, name, "images and sounds in files are always stored", media="keep")
    refused(server, tmp_path, name, '"media_columns" applies to', media_columns=["image"])
    refused(server, tmp_path, name, "delimiter", delimiter=";")


def test_tables_beside_images_stay_tables(server, tmp_path, name):
    make(tmp_path, ["a.png"], {"metadata.csv": "file_name,n\na.png,1\n", "rows.csv": "file_name,n\nb,2\n"})
    ingest(server, tmp_path, dataset=name)
    assert server.sql(f"SELECT file_name, n FROM raw.{name} ORDER BY n") == [("a.png", 1), ("b", 2)]
    other = tmp_path / "other"
    make(other, [], {}).mkdir()
    (other / "metadata.csv").write_text("file_name,n\na.png,1\n")
    ingest(server, other, dataset=f"{name}_other")
    assert server.sql(f"SELECT file_name, n FROM raw.{name}_other") == [("a.png", 1)]
    buffer = io.BytesIO(png(1, 1))
    (tmp_path / "single.png").write_bytes(buffer.getvalue())
    refused(server, (tmp_path / "single.png").as_uri(), f"{name}_single", "contains no Parquet")
