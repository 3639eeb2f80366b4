"""Actions through DoAction: the effects of ingest, tag and the job actions, and that a failed one leaves nothing
behind."""

import json
import pathlib
import struct
import threading
import urllib.parse
import zlib

import pyarrow
import pyarrow.csv
import pyarrow.flight
import pyarrow.parquet
import pytest

import harness
import protobuf
from harness import wait_until

MEDIA = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])


def png(red, green, blue):
    """A PNG of one pixel."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes([0, red, green, blue]))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def table(rows, start=0):
    return pyarrow.table({"id": list(range(start, start + rows)), "text": [f"t{i}" for i in range(start, start + rows)]})


def write_parquet(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(data, path)
    return path.as_uri()


def write_text(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path.as_uri()


def local_path(uri):
    assert uri.startswith("file:///"), uri
    return pathlib.Path(urllib.parse.unquote(urllib.parse.urlparse(uri).path))


def rows_of(server, dataset):
    return server.sql(f"SELECT * FROM raw.{dataset} ORDER BY ALL")


def files_of(server, dataset):
    """Everything in the store that belongs to a data set, except the tables' own files."""
    folders = [server.store / "raw" / dataset, server.store / "assets" / dataset]
    return sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())


def state_of(server):
    """The state that a failed action must not change."""
    tables = server.sql("SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = 'lake' ORDER BY ALL")
    files = [path for name in ("raw", "assets") for path in (server.store / name).rglob("*") if path.is_file()]
    snapshot = server.scalar("SELECT id FROM lake.current_snapshot()")
    return snapshot, tables, sorted(files), sorted((server.home / "staging").rglob("*"))


def check_refused(server, body, error, text):
    """The ingest fails in this way, and leaves nothing behind."""
    before = state_of(server)
    with pytest.raises(error, match=text):
        server.action("ingest", body)
    assert state_of(server) == before
    assert server.scalar("SELECT 42") == 42


# === ListActions ===


def test_every_action_is_listed_with_its_fields(server):
    with server.flight() as client:
        actions = {action.type: action.description for action in client.list_actions()}
    assert {"ingest", "transform", "snapshots", "diff", "rollback", "tag", "jobs", "job.attach", "job.cancel"} <= set(actions)
    assert {"CreatePreparedStatement", "ClosePreparedStatement", "BeginTransaction", "EndTransaction"} <= set(actions)
    assert all(actions.values())
    for field in ("source", "dataset", "table", "mode", "key", "max_rows", "media", "idempotency_key"):
        assert f'"{field}"' in actions["ingest"], field
    assert "append|replace|merge" in actions["ingest"]


# === ingest: formats ===


def test_events_lead_to_a_result_with_all_fields(server, tmp_path, name):
    source = write_parquet(tmp_path / "data.parquet", table(10))
    events = server.action("ingest", {"source": source, "dataset": name})
    last = events[-1]
    assert {event["job_id"] for event in events} == {last["job_id"]} and last["job_id"]
    assert [event["state"] for event in events[:-1]] == ["running"] * (len(events) - 1)
    assert all("result" not in event for event in events[:-1])
    assert {"job_id", "state", "phase", "done", "unit", "message"} <= set(last)
    result = last["result"]
    assert last["state"] == "succeeded"
    assert result["snapshot_id"] == server.scalar("SELECT id FROM lake.current_snapshot()")
    assert (result["files"], result["rows_read"], result["rows_added"], result["assets"]) == (1, 10, 10, 0)
    assert result["bytes"] == (tmp_path / "data.parquet").stat().st_size
    assert result["tables"] == [{"table": f"raw.{name}", "rows_read": 10, "rows_added": 10}]
    landing = local_path(result["landing"])
    assert (landing / "data.parquet").read_bytes() == (tmp_path / "data.parquet").read_bytes()
    manifest = json.loads((server.store / "raw" / name / "manifest.json").read_text())
    assert manifest == {"dataset": name, "latest": f"{landing.parent.name}/{landing.name}"}
    assert rows_of(server, name) == [(i, f"t{i}") for i in range(10)]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("data.csv", "id,text\n1,a\n2,\"b, c\"\n"),
        ("data.tsv", "id\ttext\n1\ta\n2\tb, c\n"),
        ("data.json", '[{"id": 1, "text": "a"}, {"id": 2, "text": "b, c"}]'),
        ("data.ndjson", '{"id": 1, "text": "a"}\n{"id": 2, "text": "b, c"}\n'),
        ("data.jsonl", '{"id": 1, "text": "a"}\n{"id": 2, "text": "b, c"}'),
    ],
)
def test_text_formats_are_read(server, tmp_path, name, file, text):
    result = server.result("ingest", {"source": write_text(tmp_path / file, text), "dataset": name})
    assert result["rows_added"] == 2
    assert rows_of(server, name) == [(1, "a"), (2, "b, c")]


def test_a_folder_is_read_as_one_table(server, tmp_path, name):
    for i in range(3):
        write_parquet(tmp_path / "data" / f"part {i}" / "x.parquet", table(5, 5 * i))
    write_text(tmp_path / "data" / "README.md", "not data")
    result = server.result("ingest", {"source": (tmp_path / "data").as_uri(), "dataset": name})
    assert (result["files"], result["rows_added"]) == (3, 15)
    assert [row[0] for row in rows_of(server, name)] == list(range(15))
    assert (local_path(result["landing"]) / "part 2" / "x.parquet").is_file()


def test_names_of_files_may_hold_anything(server, tmp_path, name):
    folder = tmp_path / "it's a [folder] * with 100% ünïcode"
    source = write_parquet(folder / "da'ta {x}?.parquet", table(3))
    assert server.result("ingest", {"source": source, "dataset": name})["rows_added"] == 3


def test_max_rows_limits_the_rows(server, tmp_path, name):
    source = write_parquet(tmp_path / "data.parquet", table(100))
    result = server.result("ingest", {"source": source, "dataset": name, "max_rows": 7})
    assert result["rows_added"] == 7
    assert len(rows_of(server, name)) == 7


def test_another_table_may_be_named(server, tmp_path, name):
    source = write_parquet(tmp_path / "data.parquet", table(3))
    result = server.result("ingest", {"source": source, "dataset": name, "table": f"silver.{name}_x"})
    assert result["tables"][0]["table"] == f"silver.{name}_x"
    assert server.scalar(f"SELECT count(*) FROM silver.{name}_x") == 3


# === ingest: modes ===


def test_append_adds_rows(server, tmp_path, name):
    for start in (0, 3):
        source = write_parquet(tmp_path / "data.parquet", table(3, start))
        server.action("ingest", {"source": source, "dataset": name, "mode": "append"})
    assert [row[0] for row in rows_of(server, name)] == list(range(6))


def test_replace_puts_rows_in_the_place_of_others(server, tmp_path, name):
    for start in (0, 3):
        source = write_parquet(tmp_path / "data.parquet", table(3, start))
        result = server.result("ingest", {"source": source, "dataset": name, "mode": "replace"})
    assert [row[0] for row in rows_of(server, name)] == [3, 4, 5]
    old = server.sql(f"SELECT id FROM raw.{name} AT (VERSION => {result['snapshot_id'] - 1}) ORDER BY id")
    assert old == [(0,), (1,), (2,)]


def test_replace_may_change_the_columns(server, tmp_path, name):
    server.action("ingest", {"source": write_parquet(tmp_path / "a.parquet", table(3)), "dataset": name})
    other = write_parquet(tmp_path / "b.parquet", pyarrow.table({"only": ["x"]}))
    server.action("ingest", {"source": other, "dataset": name, "mode": "replace"})
    assert rows_of(server, name) == [("x",)]


def test_merge_updates_rows_with_the_key_and_adds_others(server, tmp_path, name):
    server.action("ingest", {"source": write_parquet(tmp_path / "a.parquet", table(3)), "dataset": name})
    changed = pyarrow.table({"id": [1, 7], "text": ["new", "t7"]})
    body = {"source": write_parquet(tmp_path / "b.parquet", changed), "dataset": name, "mode": "merge", "key": ["id"]}
    result = server.result("ingest", body)
    assert (result["rows_read"], result["rows_added"]) == (2, 1)
    expected = [(0, "t0"), (1, "new"), (2, "t2"), (7, "t7")]
    assert rows_of(server, name) == expected
    server.action("ingest", body)
    assert rows_of(server, name) == expected


def test_merge_may_leave_existing_rows_as_they_are(server, tmp_path, name):
    server.action("ingest", {"source": write_parquet(tmp_path / "a.parquet", table(3)), "dataset": name})
    changed = pyarrow.table({"id": [1, 7], "text": ["new", "t7"]})
    body = {"source": write_parquet(tmp_path / "b.parquet", changed), "dataset": name, "mode": "merge", "key": ["id"]}
    result = server.result("ingest", body | {"when_matched": "do_nothing"})
    assert (result["rows_read"], result["rows_added"]) == (2, 1)
    assert rows_of(server, name) == [(0, "t0"), (1, "t1"), (2, "t2"), (7, "t7")]
    again = server.result("ingest", body | {"when_matched": "do_nothing"})
    assert again["unchanged"] and again["snapshot_id"] == result["snapshot_id"]
    # What was left out then is not left out now.
    assert server.result("ingest", body)["rows_added"] == 0
    assert rows_of(server, name) == [(0, "t0"), (1, "new"), (2, "t2"), (7, "t7")]


@pytest.mark.parametrize(
    ("fields", "rows", "text"),
    [
        ({"mode": "merge"}, {"id": [1]}, "key"),
        ({"mode": "merge", "key": ["absent"]}, {"id": [1]}, "absent"),
        ({"mode": "merge", "key": ["id"]}, {"id": [1, 1]}, "not unique"),
        ({"mode": "merge", "key": ["id"]}, {"id": [None, 1]}, "NULL"),
        ({"mode": "append", "key": ["id"]}, {"id": [1]}, "key"),
        ({"mode": "replace", "when_matched": "do_nothing"}, {"id": [1]}, "belongs to mode merge"),
        ({"mode": "merge", "key": ["id"], "when_matched": "do_nothing"}, {"id": [1, 1]}, "not unique"),
    ],
    ids=str,
)
def test_a_wrong_key_changes_nothing(server, tmp_path, name, fields, rows, text):
    source = write_parquet(tmp_path / "data.parquet", pyarrow.table(rows))
    check_refused(server, {"source": source, "dataset": name} | fields, pyarrow.ArrowInvalid, text)


def test_columns_that_do_not_fit_change_nothing(server, tmp_path, name):
    server.action("ingest", {"source": write_parquet(tmp_path / "a.parquet", table(3)), "dataset": name})
    other = write_parquet(tmp_path / "b.parquet", pyarrow.table({"id": [9], "extra": [1]}))
    check_refused(server, {"source": other, "dataset": name}, pyarrow.ArrowInvalid, "extra")
    assert len(rows_of(server, name)) == 3


# === ingest: media ===


def images_of(server, name):
    return [uri for (uri,) in server.sql(f"SELECT image FROM raw.{name} ORDER BY n")]


def media_table(blobs, paths=None):
    paths = paths or [None] * len(blobs)
    media = [{"bytes": blob, "path": path} for blob, path in zip(blobs, paths, strict=True)]
    return pyarrow.table({"n": list(range(len(blobs))), "image": pyarrow.array(media, MEDIA)})


def test_media_become_assets_and_the_table_holds_their_uris(server, tmp_path, name):
    blobs = [png(i, 0, 0) for i in range(5)]
    names = ["a.png", "b c.png", None, "folder/d.png", "a.png"]
    result = server.result(
        "ingest", {"source": write_parquet(tmp_path / "data.parquet", media_table(blobs, names)), "dataset": name}
    )
    assert result["assets"] == 5
    uris = images_of(server, name)
    assert [local_path(uri).read_bytes() for uri in uris] == blobs
    folder = server.store / "assets" / name / "image"
    assert all(local_path(uri).parent == folder for uri in uris)
    assert len({str(local_path(uri)) for uri in uris}) == 5


def test_the_same_media_are_stored_once(server, tmp_path, name):
    source = write_parquet(tmp_path / "data.parquet", media_table([png(1, 2, 3)] * 3, ["a.png"] * 3))
    assert server.result("ingest", {"source": source, "dataset": name})["assets"] == 1
    again = write_parquet(tmp_path / "again.parquet", media_table([png(1, 2, 3)] * 2, ["a.png"] * 2))
    result = server.result("ingest", {"source": again, "dataset": name})
    assert (result["assets"], result["rows_added"]) == (0, 2)
    assert server.scalar(f"SELECT count(DISTINCT image) FROM raw.{name}") == 1


def test_media_may_be_missing(server, tmp_path, name):
    media = pyarrow.array([None, {"bytes": None, "path": "elsewhere.png"}, {"bytes": png(1, 1, 1), "path": "x.png"}], MEDIA)
    source = write_parquet(tmp_path / "data.parquet", pyarrow.table({"n": [0, 1, 2], "image": media}))
    assert server.result("ingest", {"source": source, "dataset": name})["assets"] == 1
    uris = images_of(server, name)
    assert uris[:2] == [None, "elsewhere.png"] and local_path(uris[2]).read_bytes() == png(1, 1, 1)


def test_media_may_stay_in_the_table(server, tmp_path, name):
    source = write_parquet(tmp_path / "data.parquet", media_table([png(9, 9, 9)], ["a.png"]))
    result = server.result("ingest", {"source": source, "dataset": name, "media": "keep"})
    assert result["assets"] == 0
    assert rows_of(server, name) == [(0, {"bytes": png(9, 9, 9), "path": "a.png"})]
    assert not (server.store / "assets" / name).exists()


def test_real_media_keep_their_bytes(server, tmp_path, name, shared_data):
    files = sorted((shared_data / "media").iterdir())
    source = write_parquet(
        tmp_path / "data.parquet", media_table([file.read_bytes() for file in files], [file.name for file in files])
    )
    assert server.result("ingest", {"source": source, "dataset": name})["assets"] == len(files)
    stored = [local_path(uri) for uri in images_of(server, name)]
    assert [path.name for path in stored] == [file.name for file in files]
    assert [path.read_bytes() for path in stored] == [file.read_bytes() for file in files]


# === ingest: faults ===


@pytest.mark.parametrize(
    ("fields", "error", "text"),
    [
        ({"source": "file:///nowhere/at_all.parquet"}, pyarrow.ArrowKeyError, "/nowhere/at_all.parquet"),
        ({"source": "/a/path"}, pyarrow.ArrowInvalid, "file:///"),
        ({"source": ""}, pyarrow.ArrowInvalid, "source"),
        ({"source": "ftp://host/x.parquet"}, pyarrow.ArrowNotImplementedError, "ftp"),
        ({"dataset": "No Name"}, pyarrow.ArrowInvalid, "No Name"),
        ({"dataset": "../escape"}, pyarrow.ArrowInvalid, "escape"),
        ({"dataset": ""}, pyarrow.ArrowInvalid, "data set"),
        ({"mode": "upsert"}, pyarrow.ArrowInvalid, "upsert"),
        ({"table": "a.b.c.d"}, pyarrow.ArrowInvalid, "a.b.c.d"),
        ({"max_rows": -1}, pyarrow.ArrowInvalid, "max_rows|-1|negative|invalid"),
        ({"config": "en"}, pyarrow.ArrowInvalid, "config"),
    ],
    ids=str,
)
def test_wrong_requests_are_refused(server, tmp_path, name, fields, error, text):
    body = {"source": write_parquet(tmp_path / "data.parquet", table(3)), "dataset": name} | fields
    check_refused(server, body, error, text)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("empty.parquet", ""),
        ("empty.csv", ""),
        ("broken.parquet", "this is no Parquet"),
        ("broken.json", '{"id": 1'),
        ("broken.ndjson", '{"id": 1}\n{"id": \n'),
        ("notes.txt", "no data"),
    ],
)
def test_a_broken_file_is_named_and_leaves_nothing(server, tmp_path, name, file, text):
    source = write_text(tmp_path / file, text)
    check_refused(server, {"source": source, "dataset": name}, pyarrow.ArrowInvalid, file)


def test_an_empty_folder_is_refused(server, tmp_path, name):
    (tmp_path / "data").mkdir()
    check_refused(server, {"source": (tmp_path / "data").as_uri(), "dataset": name}, pyarrow.ArrowInvalid, "data")


def test_mixed_formats_are_refused(server, tmp_path, name):
    write_parquet(tmp_path / "data" / "a.parquet", table(1))
    write_text(tmp_path / "data" / "b.csv", "id\n1\n")
    check_refused(server, {"source": (tmp_path / "data").as_uri(), "dataset": name}, pyarrow.ArrowInvalid, "several formats")


def test_a_broken_image_is_named_and_leaves_nothing(server, tmp_path, name):
    blobs = [png(1, 1, 1), png(2, 2, 2)[:40], png(3, 3, 3)]
    source = write_parquet(tmp_path / "data.parquet", media_table(blobs, ["good.png", "bad.png", "fine.png"]))
    check_refused(server, {"source": source, "dataset": name}, pyarrow.ArrowInvalid, "bad.png")


def test_a_failed_ingest_keeps_the_table_and_the_assets_of_an_earlier_one(server, tmp_path, name):
    good = write_parquet(tmp_path / "good.parquet", media_table([png(1, 1, 1)], ["a.png"]))
    server.action("ingest", {"source": good, "dataset": name})
    mixed = write_parquet(tmp_path / "mixed.parquet", media_table([png(1, 1, 1), b"\x89PNG broken"], ["a.png", "z.png"]))
    check_refused(server, {"source": mixed, "dataset": name, "mode": "replace"}, pyarrow.ArrowInvalid, "z.png")
    [uri] = images_of(server, name)
    assert local_path(uri).read_bytes() == png(1, 1, 1)


COCO = {
    "images": [{"id": 1, "file_name": "a.png", "width": 1, "height": 1}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "area": 1, "iscrowd": 0, "segmentation": []}
    ],
    "categories": [{"id": 1, "name": "duck", "supercategory": "bird"}],
}


def write_coco(folder, picture=None, **changes):
    write_text(folder / "instances.json", json.dumps(COCO | changes))
    (folder / "images").mkdir()
    (folder / "images" / "a.png").write_bytes(png(1, 2, 3) if picture is None else picture)
    return folder.as_uri()


def test_a_small_coco_folder_becomes_four_tables(server, tmp_path, name):
    result = server.result("ingest", {"source": write_coco(tmp_path / "coco"), "dataset": name})
    counts = {table["table"]: table["rows_added"] for table in result["tables"]}
    assert counts == {f"raw.{name}_{part}": n for part, n in
                      {"images": 1, "annotations": 1, "categories": 1, "captions": 0}.items()}
    assert local_path(server.scalar(f"SELECT image FROM raw.{name}_images")).read_bytes() == png(1, 2, 3)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"annotations": [COCO["annotations"][0] | {"image_id": 99}]}, "99"),
        ({"annotations": [COCO["annotations"][0] | {"bbox": "wide"}]}, "bbox"),
        ({"images": [{"id": "one", "file_name": "a.png"}]}, "id"),
        ({"images": [{"id": 1, "width": 1}]}, "file_name"),
    ],
    ids=str,
)
def test_malformed_coco_annotations_are_refused(server, tmp_path, name, changes, text):
    source = write_coco(tmp_path / "coco", **changes)
    check_refused(server, {"source": source, "dataset": name}, pyarrow.ArrowInvalid, f"instances.json.*{text}")


def test_coco_as_other_tools_write_it(server, tmp_path, name):
    folder = tmp_path / "coco"
    write_coco(folder)
    annotation = COCO["annotations"][0] | {"area": float("nan"), "iscrowd": False}
    text = json.dumps(COCO | {"annotations": [annotation]})
    assert "NaN" in text
    (folder / "instances.json").write_bytes(b"\xef\xbb\xbf" + text.encode())
    server.action("ingest", {"source": folder.as_uri(), "dataset": name})
    assert server.sql(f"SELECT area, iscrowd FROM raw.{name}_annotations") == [(None, 0)]


def write_pictures(folder, names, images):
    for file in names:
        (folder / file).parent.mkdir(parents=True)
        (folder / file).write_bytes(png(len(file), 2, 3))
    images = [{"id": index, "file_name": file} for index, file in enumerate(images)]
    write_text(folder / "instances.json", json.dumps(COCO | {"images": images, "annotations": []}))
    return folder.as_uri()


def test_pictures_of_one_name_are_found_by_their_folder(server, tmp_path, name):
    names = ["train/a.png", "val/a.png"]
    source = write_pictures(tmp_path / "coco", names, names)
    server.action("ingest", {"source": source, "dataset": name})
    uris = server.sql(f"SELECT file_name, image FROM raw.{name}_images ORDER BY id")
    assert [(file, local_path(uri).read_bytes()) for file, uri in uris] == [(file, png(len(file), 2, 3)) for file in names]


def test_a_picture_that_could_be_another_is_refused(server, tmp_path, name):
    source = write_pictures(tmp_path / "coco", ["x/a.png", "yy/a.png"], ["a.png"])
    check_refused(server, {"source": source, "dataset": name}, pyarrow.ArrowInvalid, "could both be the image \"a.png\"")


def test_a_broken_picture_of_a_coco_folder_is_named(server, tmp_path, name):
    source = write_coco(tmp_path / "coco", picture=b"\x89PNG\r\n\x1a\nbroken")
    check_refused(server, {"source": source, "dataset": name}, pyarrow.ArrowInvalid, "a.png")


def test_coco_json_that_is_cut_off_is_refused(server, tmp_path, name):
    source = write_coco(tmp_path / "coco")
    file = tmp_path / "coco" / "instances.json"
    file.write_text(file.read_text()[:-20])
    check_refused(server, {"source": source, "dataset": name}, pyarrow.ArrowInvalid, "instances.json")


# === protobuf bodies ===


def test_a_protobuf_body_is_answered_in_protobuf(server, tmp_path, name):
    source = write_parquet(tmp_path / "data.parquet", table(4))
    request = protobuf.message((1, source), (2, name), (8, 3))
    with server.flight() as client:
        action = ("ingest", protobuf.pack(protobuf.MERGANSER + "IngestRequest", request))
        bodies = [result.body.to_pybytes() for result in client.do_action(action)]
    type_url, event = protobuf.unpack(bodies[-1])
    assert type_url.endswith("merganser.v1.Event")
    assert event[2] == [1], "succeeded"
    result_type, result = protobuf.unpack(event[8][0])
    assert result_type.endswith("merganser.v1.IngestResult")
    assert (result[3], result[4], result[5]) == ([1], [3], [3])
    assert len(rows_of(server, name)) == 3


# === jobs ===


def test_an_idempotency_key_gives_the_first_outcome(server, tmp_path, name):
    body = {
        "source": write_parquet(tmp_path / "data.parquet", table(4)),
        "dataset": name,
        "idempotency_key": f"key-{name}",
    }
    first, second = server.action("ingest", body)[-1], server.action("ingest", body)[-1]
    assert second == first
    assert len(rows_of(server, name)) == 4


def test_an_idempotency_key_gives_a_first_failure_again(server, name):
    body = {"source": "file:///nowhere.parquet", "dataset": name, "idempotency_key": f"key-{name}"}
    for _ in range(2):
        with pytest.raises(pyarrow.ArrowKeyError, match="nowhere"):
            server.action("ingest", body)


def test_jobs_lists_what_ran(server, tmp_path, name):
    last = server.action("ingest", {"source": write_parquet(tmp_path / "d.parquet", table(1)), "dataset": name})[-1]
    with pytest.raises(pyarrow.ArrowKeyError):
        server.action("ingest", {"source": "file:///nowhere.parquet", "dataset": name})
    failed, succeeded = server.result("jobs")["jobs"][:2]
    assert (failed["state"], failed["action"]) == ("failed", "ingest")
    assert "nowhere" in failed["message"]
    assert (succeeded["state"], succeeded["job_id"]) == ("succeeded", last["job_id"])
    assert succeeded["started"] <= succeeded["ended"]


def test_attach_returns_the_outcome_of_a_finished_job(server, tmp_path, name):
    last = server.action("ingest", {"source": write_parquet(tmp_path / "d.parquet", table(1)), "dataset": name})[-1]
    assert server.action("job.attach", {"job_id": last["job_id"]}) == [last]


@pytest.mark.parametrize("action", ["job.attach", "job.cancel"])
def test_an_unknown_job_is_not_found(server, action):
    with pytest.raises(pyarrow.ArrowKeyError, match="never"):
        server.action(action, {"job_id": "never"})


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A source whose ingest takes some seconds: many pictures, and rows."""
    folder = tmp_path_factory.mktemp("large")
    for part in range(4):
        blobs = [png(i % 256, i // 256 % 256, part) for i in range(8_000)]
        names = [f"{part}-{i}.png" for i in range(8_000)]
        write_parquet(folder / f"{part}.parquet", media_table(blobs, names))
    return folder.as_uri()


def start_in_background(server, body):
    """Starts an ingest; returns its job id once it stores files, the events so far, and the thread that follows it."""
    events, failures = [], []

    def follow():
        try:
            for event in server.events("ingest", body):
                events.append(event)
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=follow)
    thread.start()
    wait_until(lambda: any("assets" in event["phase"] for event in events) or failures, "the ingest stores assets", 30)
    assert not failures
    return events[0]["job_id"], thread, failures


def test_cancel_leaves_nothing(server, name, large):
    before = state_of(server)
    job_id, thread, failures = start_in_background(server, {"source": large, "dataset": name})
    server.action("job.cancel", {"job_id": job_id})
    thread.join(30)
    assert isinstance(failures[0], pyarrow.flight.FlightCancelledError)
    assert state_of(server) == before
    assert not files_of(server, name)
    [job] = [job for job in server.result("jobs")["jobs"] if job["job_id"] == job_id]
    assert job["state"] == "cancelled"


def job_state(server, job_id):
    return next(job["state"] for job in server.result("jobs")["jobs"] if job["job_id"] == job_id)


@pytest.mark.parametrize(("cancels", "outcome"), [(False, "succeeded"), (True, "cancelled")])
def test_a_dropped_stream_cancels_only_on_request(server, tmp_path, name, large, cancels, outcome):
    source = large if cancels else write_parquet(tmp_path / "d.parquet", media_table([png(i, 0, 0) for i in range(256)]))
    body = {"source": source, "dataset": name, "cancel_on_disconnect": cancels}
    events = server.events("ingest", body)
    job_id = next(events)["job_id"]
    events.close()
    wait_until(lambda: job_state(server, job_id) != "running", "the job ends", 30)
    assert job_state(server, job_id) == outcome
    if cancels:
        assert not files_of(server, name)
    else:
        assert len(rows_of(server, name)) == 256


# === tags ===


def tags(server, **fields):
    return {tag["name"]: tag["version"] for tag in server.result("tag", fields)["tags"]}


def test_tags_are_set_listed_and_deleted(server, name):
    version = server.scalar("SELECT id FROM lake.current_snapshot()")
    assert tags(server, name=f"v/{name}")[f"v/{name}"] == version
    assert tags(server, name=f"first-{name}", version=1)[f"first-{name}"] == 1
    assert {f"v/{name}", f"first-{name}"} <= set(tags(server))
    assert f"v/{name}" not in tags(server, name=f"v/{name}", delete=True)
    assert server.scalar("SELECT id FROM lake.current_snapshot()") == version, "tags make no snapshots"


def test_setting_a_tag_to_its_own_snapshot_changes_nothing(server, name):
    assert tags(server, name=name, version=1) == tags(server, name=name, version=1)


def test_a_tag_does_not_move(server, name):
    tags(server, name=name, version=0)
    with pytest.raises(pyarrow.ArrowException, match="is on snapshot 0") as caught:
        server.action("tag", {"name": name, "version": 1})
    assert "exists" in str(caught.value) and "replace" in str(caught.value)
    assert tags(server)[name] == 0


def test_a_tag_moves_when_it_is_replaced(server, name):
    assert tags(server, name=name, version=0, replace=True)[name] == 0
    assert tags(server, name=name, version=1, replace=True)[name] == 1
    moved = harness.run("tag", "--url", server.uri, name, "--version", 0, "--replace")
    assert moved.returncode == 0, moved.stderr
    assert tags(server)[name] == 0


@pytest.mark.parametrize(
    ("fields", "error", "text"),
    [
        ({"name": "x", "version": 999_999}, pyarrow.ArrowKeyError, "999999"),
        ({"name": "x", "version": -1}, pyarrow.ArrowKeyError, "-1"),
        ({"name": "no blanks"}, pyarrow.ArrowInvalid, "no blanks"),
        ({"name": ""}, pyarrow.ArrowInvalid, "name"),
        ({"name": "never", "delete": True}, pyarrow.ArrowKeyError, "never"),
        ({"delete": True}, pyarrow.ArrowInvalid, "name"),
        ({"name": "x", "version": 1, "delete": True}, pyarrow.ArrowInvalid, "exclude"),
        ({"name": "x", "replace": True, "delete": True}, pyarrow.ArrowInvalid, "exclude"),
    ],
    ids=str,
)
def test_wrong_tags_are_refused(server, fields, error, text):
    before = tags(server)
    with pytest.raises(error, match=text):
        server.action("tag", fields)
    assert tags(server) == before


def test_tags_outlive_a_restart(launch):
    server = launch()
    tags(server, name="kept", version=1)
    server.restart()
    assert tags(server) == {"kept": 1}


def test_file_names_are_no_patterns(server, tmp_path, name):
    folder = tmp_path / "parts"
    folder.mkdir()
    (folder / "part1.csv").write_text("i\n1\n")
    (folder / "part[1].csv").write_text("i\n111\n")
    server.action("ingest", {"source": folder.as_uri(), "dataset": name})
    assert server.scalar(f"SELECT sum(i) FROM raw.{name}") == 112
