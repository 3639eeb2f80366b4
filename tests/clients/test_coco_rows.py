"""COCO as rows of Parquet and JSON files, as data sets of the Hub have it: to the tables of a COCO folder, and to silver."""

import io
import json
import math

import pyarrow
import pyarrow.flight
import pyarrow.parquet
import pytest

import harness
import official
from hub import Hub
from test_media import medium, png

pytestmark = pytest.mark.own_catalog

TABLES = ["images", "annotations", "categories", "captions"]

# Data sets as their authors make them, with the official library.
PUSH = """
import datasets, io, PIL.Image
from datasets import ClassLabel, Features, Image, List, Value

def picture(number, width=100, height=80):
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (width, height), (number * 40, 0, 0)).save(buffer, "PNG")
    return {"bytes": buffer.getvalue(), "path": f"{number:012}.png"}

box = List(Value("float32"), length=4)
lists = Features({
    "image_id": Value("int64"), "image": Image(), "width": Value("int64"), "height": Value("int64"),
    "objects": {
        "bbox_id": List(Value("int64")), "category": List(ClassLabel(names=["cat", "dog", "owl"])),
        "bbox": List(box), "area": List(Value("float64")),
    },
})

def detected(number, *objects):
    columns = zip(*objects) if objects else [[]] * 4
    fields = dict(zip(["bbox_id", "category", "bbox", "area"], map(list, columns)))
    return {"image_id": number, "image": picture(number), "width": 100, "height": 80, "objects": fields}

train = [
    detected(1, (11, 0, [10, 20, 40, 60], 1200), (12, 1, [50, 30, 90, 70], 900)),
    detected(2),
    detected(3, (13, 0, [0, 0, 100, 80], 5000), (14, None, [1, 1, 9, 9], 60)),
]
validation = [detected(4, (15, 1, [60.5, 10.25, 99.5, 79.25], 500))]
push = lambda rows, features: datasets.Dataset.from_list(rows, features=features)
push(train, lists).push_to_hub("owner/detection", num_shards=2)
push(validation, lists).push_to_hub("owner/detection", split="validation")

structs = Features({
    "image_id": Value("int32"), "image": Image(),
    "objects": List({"id": Value("int64"), "category": Value("string"), "bbox": box, "iscrowd": Value("bool")}),
})
listed = [
    {"image_id": 1, "image": picture(1), "objects": [
        {"id": 5, "category": "cat", "bbox": [70, 5, 30, 40], "iscrowd": False},
        {"id": 6, "category": "owl", "bbox": [60, 50, 20, 10], "iscrowd": True},
    ]},
    {"image_id": 2, "image": None, "objects": None},
]
push(listed, structs).push_to_hub("owner/listed", split="test")

karpathy = Features({
    "filepath": Value("string"), "sentids": List(Value("int64")), "filename": Value("string"), "imgid": Value("int64"),
    "split": Value("string"), "sentences": List(Value("string")), "cocoid": Value("int64"), "url": Value("string"),
})
def sentences(number, split, *texts):
    return {
        "filepath": "train2014", "sentids": [number * 10 + i for i in range(len(texts))], "filename": f"{number}.jpg",
        "imgid": number, "split": split, "sentences": list(texts), "cocoid": number, "url": f"http://images.test/{number}.jpg",
    }
for split, rows in {
    "train": [sentences(1, "train", "A cat.", " A cat on a mat. "), sentences(2, "train", "A dog.")],
    "restval": [sentences(3, "restval", "An owl.")],
    "validation": [sentences(4, "val", "A tree.", "A tree.")],
    "test": [sentences(5, "test", "A lake.")],
}.items():
    push(rows, karpathy).push_to_hub("owner/karpathy", split=split)

captioned = Features({
    "image": Image(), "filepath": Value("string"), "sentids": List(Value("int32")), "filename": Value("string"),
    "imgid": Value("int32"), "split": Value("string"), "cocoid": Value("int32"),
    "sentences": {"tokens": List(Value("string")), "raw": Value("string"), "imgid": Value("int32"), "sentid": Value("int32")},
})
def caption(number, split, sentid, text):
    return {
        "image": picture(number), "filepath": "val2014", "sentids": [number * 10, number * 10 + 1],
        "filename": f"{number:012}.png", "imgid": number, "split": split, "cocoid": number,
        "sentences": {"tokens": text.lower().split(), "raw": text, "imgid": number, "sentid": sentid},
    }
# The captions of one image lie in two files.
train = [caption(1, "train", 10, "A cat."), caption(1, "train", 11, "A red cat."), caption(2, "restval", 20, "A dog.")]
push(train, captioned).push_to_hub("owner/captioned", num_shards=3)
push([caption(3, "val", 30, "An owl.")], captioned).push_to_hub("owner/captioned", split="validation")
result = [[picture(number)["bytes"].hex() for number in range(5)]]
"""


@pytest.fixture(scope="module")
def hub():
    with Hub() as hub:
        yield hub


@pytest.fixture(scope="module")
def pictures(hub, tmp_path_factory):
    """Pushes the data sets; gives the bytes of their pictures, by number."""
    folder = tmp_path_factory.mktemp("push")
    [pictures] = official.run(PUSH, folder, **official.hugging_face(hub, folder))
    return [bytes.fromhex(picture) for picture in pictures]


@pytest.fixture(scope="module")
def server(hub, tmp_path_factory):
    server = harness.Server(tmp_path_factory.mktemp("server"), variables={"HF_ENDPOINT": hub.endpoint, "HF_TOKEN": hub.token})
    try:
        yield server.start()
    finally:
        server.discard()


@pytest.fixture
def lake(server):
    """The server with no tables of the models."""
    for schema, table in server.sql("SELECT schema_name, table_name FROM duckdb_tables() WHERE table_name LIKE 'coco%'"):
        server.sql(f"DROP TABLE {schema}.{table}")
    return server


def ingest(server, source, **request):
    return server.result("ingest", {"source": source, "dataset": "coco"} | request)


def added(result):
    return {table["table"].removeprefix("raw.coco_"): table["rows_added"] for table in result["tables"]}


def transform(server):
    result = server.result("transform")
    assert {model["model"]: model["checks_failed"] for model in result["models"] if model["checks_failed"]} == {}


def annotations(server):
    columns = "annotation_id, image_id, category, bbox, area, is_crowd, split"
    rows = server.sql(f"SELECT {columns} FROM silver.coco_annotations ORDER BY ALL")
    return [(*row[:3], tuple(row[3].values()), *row[4:]) for row in rows]


def asset(server, uri):
    return server.scalar(f"SELECT read_object('{uri}')")


# === what the Hub has ===


def test_objects_become_annotations(lake, hub, pictures):
    result = ingest(lake, "hf://datasets/owner/detection")
    assert added(result) == {"images": 4, "annotations": 5, "categories": 3, "captions": 0}
    assert (result["files"], result["assets"]) == (3, 4)
    transform(lake)
    expected = [
        (11, 1, "cat", (10, 20, 30, 40), 1200, False, "train"),
        (12, 1, "dog", (50, 30, 40, 40), 900, False, "train"),
        # Number 14 has no category.
        (13, 3, "cat", (0, 0, 100, 80), 5000, False, "train"),
        (15, 4, "dog", (60.5, 10.25, 39, 69), 500, False, "val"),
    ]
    assert annotations(lake) == sorted(expected)
    images = lake.sql("SELECT image_id, image_uri, file_name, width, height, split FROM silver.coco_images ORDER BY ALL")
    assert [(*row[:1], *row[2:]) for row in images] == [
        (number, f"{number:012}.png", 100, 80, "val" if number == 4 else "train") for number in range(1, 5)
    ]
    assert [asset(lake, row[1]) for row in images] == pictures[1:]
    uris = lake.sql("SELECT DISTINCT a.image_uri = i.image_uri FROM silver.coco_annotations a JOIN silver.coco_images i USING (image_id)")
    assert uris == [(True,)]
    assert lake.sql("SELECT id, name FROM raw.coco_categories ORDER BY id") == [(0, "cat"), (1, "dog"), (2, "owl")]
    assert lake.sql("SELECT image_id, label, n_objects FROM gold.coco_samples ORDER BY ALL") == [
        (1, "cat", 2), (2, None, 0), (3, "cat", 1), (4, "dog", 1)
    ]
    assert ingest(lake, "hf://datasets/owner/detection")["unchanged"]


def test_further_files_add_what_they_have(lake, hub, pictures):
    source = "hf://datasets/owner/more"
    files = hub.files("owner/detection")
    shards = sorted(path for path in files if path.startswith("data/train-"))
    hub.commit("owner/more", {shards[0]: files[shards[0]]})
    first = added(ingest(lake, source))
    hub.commit("owner/more", {shards[1]: files[shards[1]]})
    # The few boxes of the second file could be of either form; stated, they are added to the others.
    refused(lake, source, "cannot be told")
    second = added(ingest(lake, source, boxes="xyxy"))
    assert {name: first[name] + second[name] for name in TABLES} == {
        "images": 3, "annotations": 4, "categories": 3, "captions": 0
    }
    assert second["categories"] == 0
    assert lake.scalar("SELECT count(DISTINCT landing) FROM raw.coco_images") == 2
    assert ingest(lake, source, boxes="xyxy")["unchanged"]
    # Of tables that were made anew, everything is compared, and what is missing is added.
    lake.sql("CREATE OR REPLACE TABLE raw.coco_annotations AS FROM raw.coco_annotations WHERE id <> 13")
    assert added(ingest(lake, source)) == {"images": 0, "annotations": 1, "categories": 0, "captions": 0}
    assert lake.sql("SELECT id FROM raw.coco_annotations ORDER BY id") == [(11,), (12,), (13,), (14,)]


def test_lists_of_structures_with_texts_as_categories(lake, pictures):
    result = ingest(lake, "hf://datasets/owner/listed")
    assert added(result) == {"images": 2, "annotations": 2, "categories": 2, "captions": 0}
    transform(lake)
    assert annotations(lake) == [
        (5, 1, "cat", (70, 5, 30, 40), 1200, False, "test"),
        (6, 1, "owl", (60, 50, 20, 10), 200, True, "test"),
    ]
    images = "SELECT image_id, file_name, width, height, image_uri IS NULL FROM silver.coco_images ORDER BY ALL"
    # The size of an image comes from its bytes, if no column has it.
    assert lake.sql(images) == [(1, "000000000001.png", 100, 80, False), (2, "2", None, None, True)]
    # A category has the same id in every data set.
    ids = dict(lake.sql("SELECT name, id FROM raw.coco_categories"))
    ingest(lake, "hf://datasets/owner/listed", mode="replace")
    assert dict(lake.sql("SELECT name, id FROM raw.coco_categories")) == ids and len(set(ids.values())) == 2


def test_lists_of_sentences_become_captions(lake, pictures):
    result = ingest(lake, "hf://datasets/owner/karpathy")
    assert added(result) == {"images": 5, "annotations": 0, "categories": 0, "captions": 7}
    assert (result["files"], result["assets"]) == (4, 0)
    transform(lake)
    url = "http://images.test/{}.jpg".format
    assert lake.sql("SELECT caption_id, image_id, image_uri, caption, split FROM silver.coco_captions ORDER BY ALL") == [
        (10, 1, url(1), "A cat.", "train"),
        (11, 1, url(1), "A cat on a mat.", "train"),
        (20, 2, url(2), "A dog.", "train"),
        (30, 3, url(3), "An owl.", "train"),
        (40, 4, url(4), "A tree.", "val"),
        (50, 5, url(5), "A lake.", "test"),
    ]
    images = "SELECT image_id, image_uri, coco_url, file_name, split FROM silver.coco_images ORDER BY ALL"
    splits = {1: "train", 2: "train", 3: "train", 4: "val", 5: "test"}
    assert lake.sql(images) == [(n, url(n), url(n), f"{n}.jpg", split) for n, split in splits.items()]
    assert ingest(lake, "hf://datasets/owner/karpathy")["unchanged"]


def test_images_with_one_sentence_a_row_are_stored_once(lake, pictures):
    result = ingest(lake, "hf://datasets/owner/captioned")
    assert added(result) == {"images": 3, "annotations": 0, "categories": 0, "captions": 4}
    assert result["files"] == 4
    transform(lake)
    assert lake.sql("SELECT caption_id, image_id, caption, split FROM silver.coco_captions ORDER BY ALL") == [
        (10, 1, "A cat.", "train"), (11, 1, "A red cat.", "train"), (20, 2, "A dog.", "train"), (30, 3, "An owl.", "val")
    ]
    images = lake.sql("SELECT id, image, file_name, width, height FROM raw.coco_images ORDER BY ALL")
    assert [(*row[:1], *row[2:]) for row in images] == [(n, f"{n:012}.png", 100, 80) for n in [1, 2, 3]]
    assert [asset(lake, row[1]) for row in images] == pictures[1:4]


def test_an_image_in_two_files_is_one_row(lake, hub, pictures):
    files = hub.files("owner/captioned")
    shards = sorted(path for path in files if path.startswith("data/train-"))
    for shard in shards:
        hub.commit("owner/by_and_by", {shard: files[shard]})
        ingest(lake, "hf://datasets/owner/by_and_by")
    assert lake.sql("SELECT id FROM raw.coco_images ORDER BY id") == [(1,), (2,)]
    assert lake.sql("SELECT id FROM raw.coco_captions ORDER BY id") == [(10,), (11,), (20,)]


def test_modes_and_limits(lake, pictures):
    source = "hf://datasets/owner/detection"
    tables = [f"raw.coco_{table}" for table in TABLES]
    count = lambda: [lake.scalar(f"SELECT count(*) FROM {table}") for table in tables]
    # Of two rows, the first has two objects and the second none.
    assert added(ingest(lake, source, split="train", max_rows=2))["annotations"] == 2
    assert count() == [2, 2, 3, 0]
    assert added(ingest(lake, source, split="train")) == {"images": 1, "annotations": 2, "categories": 0, "captions": 0}
    assert count() == [3, 4, 3, 0]
    # All of them at once.
    ingest(lake, source, mode="replace")
    assert count() == [4, 5, 3, 0]
    assert ingest(lake, source, mode="replace")["unchanged"]
    lake.sql("UPDATE raw.coco_annotations SET area = 1 WHERE id = 11")
    merged = ingest(lake, source, mode="merge", key=["id"])
    assert set(added(merged).values()) == {0} and count() == [4, 5, 3, 0]
    assert lake.scalar("SELECT area FROM raw.coco_annotations WHERE id = 11") == 1200


def test_rows_can_stay_as_they_are(lake, hub, pictures, tmp_path):
    result = ingest(lake, "hf://datasets/owner/detection", as_delivered=True)
    assert [(table["table"], table["rows_added"]) for table in result["tables"]] == [("raw.coco", 4)]
    assert lake.sql("SELECT image_id, objects.bbox_id, image_width FROM raw.coco ORDER BY ALL")[0] == (1, [11, 12], 100)
    # The tables of COCO are another ingest.
    assert added(ingest(lake, "hf://datasets/owner/detection"))["annotations"] == 5
    assert ingest(lake, "hf://datasets/owner/detection", as_delivered=True)["unchanged"]
    # Bytes that are kept in the table have no place in those of COCO.
    kept = ingest(lake, "hf://datasets/owner/detection", table="raw.coco_kept", media="keep")
    assert [table["table"] for table in kept["tables"]] == ["raw.coco_kept"]
    # On the command line and in SQL.
    source = "hf://datasets/owner/karpathy"
    ran = harness.run("ingest", source, "--dataset", "coco_cli", "--as-delivered", "--boxes", "xyxy", "--url", lake.uri)
    assert ran.returncode == 0 and "raw.coco_cli " in ran.stdout, ran.stdout + ran.stderr
    lake.sql(f"CALL merganser.ingest('{source}', 'coco_call', as_delivered => true, boxes => 'xywh')")
    for table in ["raw.coco_cli", "raw.coco_call"]:
        assert lake.scalar(f"SELECT len(sentences) FROM {table} WHERE cocoid = 1") == 2


# === other files ===

OBJECT = {"id": 1, "category": "cat", "bbox": [70.0, 5.0, 30.0, 40.0], "area": 1200.0}


def row(number=1, objects=(OBJECT,), **more):
    return {"image_id": number, "image": f"http://images.test/{number}.png", "width": 100, "height": 80} | {
        "objects": None if objects is None else list(objects)
    } | more


def lines(folder, name, rows):
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path.as_uri()


def parquet(folder, name, rows, schema=None, names=None):
    table = pyarrow.Table.from_pylist(rows, schema=schema)
    if names is not None:
        features = {"objects": {"category": {"feature": {"names": names, "_type": "ClassLabel"}, "_type": "List"}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path = folder / f"{name}.parquet"
    pyarrow.parquet.write_table(table, path)
    return path.as_uri()


def lists(objects, *fields):
    return {field: [it[field] for it in objects] for field in fields or ["id", "category", "bbox", "area"]}


def refused(server, source, told, **request):
    """The ingest is refused, and leaves nothing behind."""
    before, tables = server.head(), server.sql("SELECT schema_name, table_name FROM duckdb_tables()")
    with pytest.raises((pyarrow.ArrowInvalid, pyarrow.flight.FlightError), match=told):
        ingest(server, source, **request)
    assert (server.head(), server.sql("SELECT schema_name, table_name FROM duckdb_tables()")) == (before, tables)


def test_json_is_read_like_parquet(lake, tmp_path):
    rows = [row(1, [OBJECT, OBJECT | {"id": 2, "category": "owl"}], split="dev"), row(2, [], split="training")]
    assert added(ingest(lake, lines(tmp_path, "objects", rows))) == {"images": 2, "annotations": 2, "categories": 2, "captions": 0}
    transform(lake)
    assert annotations(lake) == [
        (1, 1, "cat", (70, 5, 30, 40), 1200, False, "val"), (2, 1, "owl", (70, 5, 30, 40), 1200, False, "val")
    ]
    assert lake.sql("SELECT image_id, image_uri, split FROM silver.coco_images ORDER BY ALL") == [
        (1, "http://images.test/1.png", "val"), (2, "http://images.test/2.png", "train")
    ]
    ingest(lake, parquet(tmp_path, "objects", rows), mode="replace")
    transform(lake)
    assert len(annotations(lake)) == 2
    sentence = {
        "filepath": "x", "sentids": [7], "filename": "1.jpg", "imgid": 1, "split": "val", "sentences": ["A cat."],
        "cocoid": 1, "url": "http://images.test/1.jpg",
    }
    assert added(ingest(lake, lines(tmp_path, "sentences", [sentence]), table="raw.other")) == {
        f"raw.other_{table}": rows for table, rows in zip(TABLES, [1, 0, 0, 1], strict=True)
    }


@pytest.mark.parametrize(
    "change",
    [
        {"weather": "rain"},
        {"image_id": "a"},
        {"width": 1.5},
        {"objects": [OBJECT | {"occluded": True}]},
        {"objects": [{"category": "cat"}]},
        {"objects": [OBJECT | {"bbox": "10,20"}]},
        {"objects": [OBJECT | {"category": 1.5}]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_other_columns_stay_as_they_are(server, tmp_path, name, change):
    """What has no place in the tables of COCO is not lost."""
    changed = row() | change
    source = parquet(tmp_path, name, [changed])
    result = server.result("ingest", {"source": source})
    assert [table["table"] for table in result["tables"]] == [f"raw.{name}"]
    assert set(changed) <= {column for (column, *_) in server.sql(f"DESCRIBE raw.{name}")}


BOXES = [[10.0, 10.0, 20.0, 30.0], [5.0, 5.0, 15.0, 25.0]]


@pytest.mark.parametrize(
    "boxes, areas, size, form",
    [
        # Only one form lies in the image.
        ([[60.0, 10.0, 90.0, 20.0]], [None], (100, 80), "xyxy"),
        ([[10.0, 60.0, 20.0, 79.0]], [None], (100, 80), "xyxy"),
        # The second corner would be before the first.
        ([[60.0, 10.0, 30.0, 20.0]], [None], (100, 80), "xywh"),
        ([[60.0, 10.0, 30.0, 20.0]], [None], (None, None), "xywh"),
        # The area of the outline is at most that of the box.
        (BOXES, [500.0, 300.0], (100, 80), "xywh"),
        (BOXES, [200.0, 200.0], (100, 80), "xyxy"),
        (BOXES, [math.nan, 600.0], (100, 80), None),
        # No size, no area, no image.
        (BOXES, [None, None], (100, 80), None),
        (BOXES, [None, None], (None, None), None),
        # One wrong box among many.
        ([[60.0, 10.0, 90.0, 20.0]] * 200 + [[60.0, 10.0, 30.0, 20.0]], [None] * 201, (100, 80), "xyxy"),
        ([[60.0, 10.0, 90.0, 20.0], [60.0, 10.0, 30.0, 20.0]], [None] * 2, (100, 80), None),
        # Boxes that are none.
        ([[math.nan, 10.0, 30.0, 20.0], [1.0], None, [10.0, 60.0, 20.0, 79.0]], [None] * 4, (100, 80), "xyxy"),
        ([[0.1, 0.2, 0.5, 0.6]], [None], (100, 80), None),
    ],
)
def test_the_form_of_boxes_is_found(server, tmp_path, name, boxes, areas, size, form):
    objects = [{"id": i, "category": "cat", "bbox": box, "area": area} for i, (box, area) in enumerate(zip(boxes, areas, strict=True))]
    schema = pyarrow.schema({
        "image_id": pyarrow.int64(), "image": pyarrow.string(), "width": pyarrow.int64(), "height": pyarrow.int64(),
        "objects": pyarrow.list_(pyarrow.struct({
            "id": pyarrow.int64(), "category": pyarrow.string(), "bbox": pyarrow.list_(pyarrow.float64()), "area": pyarrow.float64(),
        })),
    })
    source = parquet(tmp_path, name, [row(1, objects, width=size[0], height=size[1])], schema)
    if form is None:
        refused(server, source, "fractions|cannot be told", dataset=name)
        # It can be stated.
        server.result("ingest", {"source": source, "boxes": "xyxy"})
        form = "xyxy"
    else:
        server.result("ingest", {"source": source})

    def stored(box):
        return box if form == "xywh" or box is None or len(box) < 4 else [*box[:2], box[2] - box[0], box[3] - box[1]]

    rows = [box for (box,) in server.sql(f"SELECT bbox FROM raw.{name}_annotations ORDER BY id")]
    assert repr(rows) == repr([stored(box) for box in boxes])


@pytest.mark.parametrize(
    "objects, told",
    [
        (lists([OBJECT]) | {"bbox": [[1.0, 2.0, 3.0, 4.0]] * 2}, 'lists in "objects" of the image 1 differ in length'),
        (lists([OBJECT]) | {"area": []}, 'lists in "objects" of the image 1 differ in length'),
        (lists([OBJECT]) | {"category": None}, 'lists in "objects" of the image 1 differ in length'),
    ],
)
def test_lists_that_do_not_belong_together_are_refused(server, tmp_path, name, objects, told):
    source = parquet(tmp_path, name, [row(2) | {"objects": lists([OBJECT])}, row(1) | {"objects": objects}])
    refused(server, source, told, dataset=name)


def test_a_category_must_have_a_name(server, tmp_path, name):
    def labelled(*numbers):
        objects = [OBJECT | {"id": i, "category": number} for i, number in enumerate(numbers)]
        return [row() | {"objects": lists(objects)}]

    for number in [2, -2, 1 << 40]:
        source = parquet(tmp_path, name, labelled(0, number), names=["it's a cat", "dog"])
        refused(server, source, f"image 1 has the category {number}, but the 2 names are for 0 to 1", dataset=name)
    # -1 is a missing label.
    server.result("ingest", {"source": parquet(tmp_path, name, labelled(0, -1, None, 1), names=["it's a cat", "dog"])})
    assert server.sql(f"SELECT category_id FROM raw.{name}_annotations ORDER BY id") == [(0,), (None,), (None,), (1,)]
    assert server.sql(f"SELECT id, name FROM raw.{name}_categories ORDER BY id") == [(0, "it's a cat"), (1, "dog")]
    # Without a ClassLabel, numbers are names.
    server.result("ingest", {"source": parquet(tmp_path, f"{name}_plain", labelled(7, 9, 7))})
    assert server.sql(f"SELECT id, name FROM raw.{name}_plain_categories ORDER BY id") == [(7, "7"), (9, "9")]


def test_what_is_missing_is_null(lake, tmp_path):
    empty = {"bbox_id": None, "category": None, "bbox": None, "area": None}
    objects = [
        {"bbox_id": None, "category": 1, "bbox": [60.0, 10.0, 30.0, math.nan], "area": 4.0},
        {"bbox_id": 7, "category": 1, "bbox": [60.0, 10.0, 30.0, 20.0], "area": math.inf},
    ]
    rows = [
        row(1) | {"objects": lists(objects, *empty), "image": medium(png(100, 80), "a b.png")},
        row(2) | {"objects": None, "image": None, "width": None, "height": None},
        row(3) | {"objects": empty, "image": medium(None, "http://images.test/3.png?size=1")},
    ]
    result = ingest(lake, parquet(tmp_path, "missing", rows))
    assert added(result) == {"images": 3, "annotations": 2, "categories": 1, "captions": 0}
    assert lake.sql("SELECT id, file_name, width FROM raw.coco_images ORDER BY id") == [
        (1, "a b.png", 100), (2, "2", None), (3, "3.png", 100)
    ]
    boxes = lake.sql("SELECT bbox, area, iscrowd FROM raw.coco_annotations ORDER BY ALL")
    assert repr(sorted(boxes, key=repr)) == repr([([60.0, 10.0, 30.0, 20.0], None, 0), ([60.0, 10.0, 30.0, math.nan], 4.0, 0)])
    transform(lake)
    # An image without a split gets one from its id.
    assert [row[:6] for row in annotations(lake)] == [(7, 1, "1", (60, 10, 30, 20), 600, False)]
    refused(lake, parquet(tmp_path, "nobody", [row(None)]), "a row has no id of its image", table="raw.nobody")


def test_ids_that_begin_anew_are_told(lake, tmp_path):
    """Numbers of objects are left out if they are not theirs alone; those of images must be."""
    boxes = [[70.0, 5.0, 30.0, 40.0], [60.0, 6.0, 30.0, 40.0]]
    objects = [{"id": i, "category": "cat", "bbox": box, "area": 1200.0} for i, box in enumerate(boxes)]
    ingest(lake, lines(tmp_path, "objects", [row(1, objects), row(2, objects)]))
    assert lake.sql("SELECT count(*), count(id) FROM raw.coco_annotations") == [(4, 0)]
    transform(lake)
    assert lake.scalar("SELECT count(*) FROM silver.coco_annotations") == 4
    rows = [row(1, split="train"), row(1, split="test", image="http://images.test/other.png")]
    refused(lake, lines(tmp_path, "images", rows), "the id 1 belongs to several images", table="raw.images")
    # The same image in two splits is no contradiction.
    ingest(lake, lines(tmp_path, "twice", [row(1, split="train"), row(1, split="test")]), table="raw.twice")
    assert lake.sql("SELECT id, split FROM raw.twice_images ORDER BY ALL") == [(1, "test"), (1, "train")]
    assert lake.sql("SELECT id, image_id FROM raw.twice_annotations") == [(1, 1), (1, 1)]


@pytest.mark.parametrize(
    "other, told",
    [
        (row(1, split="test", image="http://images.test/x.png"), "raw.clash_images has the id 1 already with file_name \"1.png\""),
        (row(2, [OBJECT | {"id": 1}]), "raw.clash_annotations has the id 1 already with image_id \"1\""),
    ],
)
def test_ids_of_other_things_are_refused(lake, tmp_path, other, told):
    lake.sql("DROP TABLE IF EXISTS raw.clash_images; DROP TABLE IF EXISTS raw.clash_annotations")
    lake.sql("DROP TABLE IF EXISTS raw.clash_categories; DROP TABLE IF EXISTS raw.clash_captions")
    ingest(lake, lines(tmp_path, "first", [row(1, split="train")]), table="raw.clash")
    source = lines(tmp_path, "other", [other])
    refused(lake, source, told, table="raw.clash")
    refused(lake, source, told, table="raw.clash", mode="merge", key=["id"])
    ingest(lake, source, table="raw.clash", mode="replace")
    assert lake.scalar("SELECT count(*) FROM raw.clash_images") == 1


def test_names_that_change_are_refused(server, tmp_path, name):
    rows = [row() | {"objects": lists([OBJECT | {"category": 1}])}]
    server.result("ingest", {"source": parquet(tmp_path, name, rows, names=["cat", "dog"])})
    rows = [row() | {"objects": lists([OBJECT | {"id": 2, "category": 1}])}]
    source = parquet(tmp_path, name, rows, names=["dog", "cat"])
    refused(server, source, f"raw.{name}_categories has the id 0 already with name \"cat\"", dataset=name)
    # More names are no contradiction, and files that differ in them are.
    source = parquet(tmp_path, name, rows, names=["cat", "dog", "owl"])
    assert server.result("ingest", {"source": source})["rows_added"] == 2
    folder = tmp_path / "both"
    folder.mkdir()
    for number, names in enumerate([["cat", "dog"], ["dog", "cat"]]):
        parquet(folder, f"{number}", rows, names=names)
    refused(server, folder.as_uri(), "the files name the categories differently", dataset=name, table="raw.both")


def test_a_source_whose_columns_change_is_not_spread_over_tables(server, tmp_path, name):
    source = lines(tmp_path, name, [row()])
    server.result("ingest", {"source": source})
    lines(tmp_path, name, [row(2, [OBJECT | {"id": 2}], weather="rain")])
    for mode in ["append", "replace"]:
        refused(server, source, f"the columns of the source have changed: its rows are in raw.{name}_images", dataset=name, mode=mode)
    for table in TABLES:
        server.sql(f"DROP TABLE raw.{name}_{table}")
    assert server.result("ingest", {"source": source})["rows_added"] == 1
    lines(tmp_path, name, [row(2, [OBJECT | {"id": 2}])])
    refused(server, source, f"its rows are in raw.{name}, and would be in raw.{name}_images", dataset=name)
