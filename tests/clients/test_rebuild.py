"""./rebuild.sh: a new lakehouse, on this machine and on PostgreSQL and S3."""

import re
import subprocess

import pytest

import harness
import official
from hub import Hub


def rebuild(home, *flags, **variables):
    return subprocess.run(
        [harness.ROOT / "rebuild.sh", "--home", home, *flags],
        env=harness.environment(MERGANSER_BIN=harness.program(), **variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture
def elsewhere(buckets, cluster, name):
    """An empty bucket and an empty database; the flags and variables for them."""
    bucket = buckets.make_bucket(f"rebuild-{name}")
    return ["--storage", f"{bucket}/lake", "--catalog", cluster.make_database(f"rebuild_{name}")], buckets.variables


def test_a_lakehouse_is_rebuilt_on_postgresql_and_s3(elsewhere, buckets, cluster, tmp_path):
    flags, variables = elsewhere
    done = rebuild(tmp_path / "home", *flags, **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "people after the rollback" in done.stdout and "done in" in done.stdout
    # The busiest fragment, and the size of its file.
    assert re.search(r"\| uav\d+_\d+_v-\w+\.mp4 +\| +\d+ +\| +\d+ +\| +\d+ +\| +\d{3} +\| +\d+ +\| +\d{6}", done.stdout)
    for secret in [cluster.password, variables["AWS_SECRET_ACCESS_KEY"]]:
        assert secret not in done.stdout + done.stderr
    bucket = flags[1].removeprefix("s3://").split("/")[0]
    kinds = {key.split("/")[1] for key in buckets.objects(bucket)}
    assert kinds == {"assets", "lake", "raw"}
    before = buckets.objects(bucket)
    # The second time, it is not empty: its content is neither removed nor mixed.
    again = rebuild(tmp_path / "home", *flags, **variables)
    assert again.returncode == 1 and "the catalog holds a lake" in again.stderr
    other_catalog = rebuild(tmp_path / "home", *flags[:2], **variables)
    assert other_catalog.returncode == 1 and f"is not empty, it has {len(before)} objects" in other_catalog.stderr
    assert buckets.objects(bucket) == before


# COCO as the Hub has it: boxes by their corners, categories as numbers with names.
PUSH = """
import datasets, io, PIL.Image
from datasets import ClassLabel, Features, Image, List, Value

def picture(number):
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (100, 80), (number, 0, 0)).save(buffer, "PNG")
    return {"bytes": buffer.getvalue(), "path": None}

features = Features({
    "image_id": Value("int64"), "image": Image(), "width": Value("int64"), "height": Value("int64"),
    "objects": {
        "bbox_id": List(Value("int64")), "category": List(ClassLabel(names=["person", "cat"])),
        "bbox": List(List(Value("float64"), length=4)), "area": List(Value("float64")),
    },
})
people = [[60.0 + i, 10.0, 90.0 + i, 70.0] for i in range(6)]
rows = [
    {"image_id": 1, "image": picture(1), "width": 100, "height": 80, "objects": {
        "bbox_id": list(range(6)), "category": [0] * 6, "bbox": people, "area": [1000.0] * 6}},
    {"image_id": 2, "image": picture(2), "width": 100, "height": 80, "objects": {
        "bbox_id": [6], "category": [1], "bbox": [[50.0, 50.0, 99.0, 79.0]], "area": [900.0]}},
]
for split in ["train", "val"]:
    datasets.Dataset.from_list(rows if split == "val" else rows[:1], features=features).push_to_hub(
        "detection-datasets/coco", split=split)
result = []
"""


def test_real_data_of_the_hub_and_of_a_folder(tmp_path):
    (tmp_path / "push").mkdir()
    with Hub() as hub:
        official.run(PUSH, tmp_path / "push", **official.hugging_face(hub, tmp_path / "push"))
        drawn = harness.run("sample", tmp_path / "drones", "--layout", "visdrone", "--sequences", "1", "--frames", "10")
        assert drawn.returncode == 0, drawn.stderr
        flags = ["--source", "hf", "--visdrone", tmp_path / "drones"]
        done = rebuild(tmp_path / "home", *flags, HF_ENDPOINT=hub.endpoint, HF_TOKEN=hub.token)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "people after the rollback: 6" in done.stdout and "sample data" not in done.stdout
    assert re.search(r"silver.visdrone_clips +1 +1\n", done.stdout) and re.search(r"\| file:.*\| 6 +\|", done.stdout)
    assert hub.token not in done.stdout + done.stderr


def test_an_unknown_source_is_a_usage_error(tmp_path):
    done = rebuild(tmp_path / "home", "--source", "moon")
    assert done.returncode == 2 and "--source is sample or hf" in done.stderr and not (tmp_path / "home").exists()


def test_only_a_lakehouse_is_removed(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home/letters.txt").write_text("dear duck")
    done = rebuild(tmp_path / "home")
    assert done.returncode == 1 and "no lakehouse" in done.stderr
    (tmp_path / "store").mkdir()
    (tmp_path / "store/letters.txt").write_text("dear duck")
    done = rebuild(tmp_path / "new", "--storage", tmp_path / "store")
    assert done.returncode == 1 and "--storage is not empty" in done.stderr
    assert (tmp_path / "home/letters.txt").exists() and (tmp_path / "store/letters.txt").exists()
