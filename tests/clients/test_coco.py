"""COCO: real annotations and generated ones, from the folder to raw, silver and gold."""

import json
import pathlib
import urllib.parse

import pytest

import harness

CROWDED = """
    SELECT image_id, count(*) AS people FROM silver.coco_annotations
    WHERE category = 'person' AND NOT is_crowd GROUP BY image_id HAVING count(*) >= 5 ORDER BY image_id
"""


def counts(server, *tables):
    return {table: server.scalar(f"SELECT count(*) FROM {table}") for table in tables}


def local_path(uri):
    assert uri.startswith("file:///"), uri
    return pathlib.Path(urllib.parse.unquote(urllib.parse.urlparse(uri).path))


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """A server that has ingested and transformed the shared COCO folder; the ingest's result and the folder."""
    folder = harness.SHARED_DATA / "coco"
    if not folder.is_dir():
        pytest.skip("skipped: ../shared/data is absent")
    server = harness.Server(tmp_path_factory.mktemp("server"))
    try:
        server.start()
        result = server.result("ingest", {"source": folder.as_uri(), "dataset": "coco"})
        yield server, result, folder
    finally:
        server.discard()


@pytest.fixture(scope="module")
def refined(real):
    server, _, folder = real
    return server, server.result("transform"), folder


@pytest.fixture(scope="module")
def generated(sample, tmp_path_factory):
    """A server that has ingested and transformed the generated folder; the true counts."""
    folder, summary = sample
    server = harness.Server(tmp_path_factory.mktemp("server"))
    try:
        server.start()
        ingested = server.result("ingest", {"source": folder.as_uri(), "dataset": "coco"})
        yield server, ingested, summary, folder
    finally:
        server.discard()


@pytest.fixture(scope="module")
def refined_sample(generated):
    server, _, summary, _ = generated
    return server, server.result("transform"), summary


# === real annotations ===


def test_raw_matches_the_files(real):
    server, result, folder = real
    instances = json.loads((folder / "instances_sample.json").read_text())
    captions = json.loads((folder / "captions_val2014_results.json").read_text())
    expected = {
        "raw.coco_images": len(instances["images"]),
        "raw.coco_annotations": len(instances["annotations"]),
        "raw.coco_categories": len(instances["categories"]),
        "raw.coco_captions": len(captions),
    }
    assert expected == {
        "raw.coco_images": 4, "raw.coco_annotations": 14, "raw.coco_categories": 1, "raw.coco_captions": 1000
    }
    assert counts(server, *expected) == expected
    assert {table["table"]: table["rows_added"] for table in result["tables"]} == expected
    assert result["files"] == 2


def test_the_picture_that_is_there_becomes_an_asset_with_the_same_bytes(real):
    server, result, folder = real
    assert result["assets"] == 1
    uri = server.scalar("SELECT image FROM raw.coco_images WHERE id = 785")
    assert local_path(uri).read_bytes() == (folder / "000000000785.jpg").read_bytes()
    assets = [path for path in (server.store / "assets").rglob("*") if path.is_file()]
    assert assets == [local_path(uri)]


def test_the_landing_holds_the_annotation_files(real):
    _, result, folder = real
    landed = sorted(path.name for path in local_path(result["landing"]).rglob("*") if path.is_file())
    assert landed == [".landing.json", "captions_val2014_results.json", "instances_sample.json"]


def test_silver_keeps_all_good_rows(refined):
    server, _, _ = refined
    expected = {"silver.coco_images": 4, "silver.coco_annotations": 14}
    assert counts(server, *expected) == expected


def test_every_check_passes(refined):
    _, result, _ = refined
    assert result["models"] and not result["dry_run"]
    assert {model["model"]: model["checks_failed"] for model in result["models"] if model["checks_failed"]} == {}
    assert all(model["checks_passed"] > 0 for model in result["models"] if model["model"].startswith("silver."))


def test_two_scenes_are_crowded_with_five_people_each(refined):
    server, _, _ = refined
    crowded = server.sql(CROWDED)
    assert [people for _, people in crowded] == [5, 5]


def test_gold_has_one_sample_an_image_with_its_uri(refined):
    server, _, _ = refined
    assert server.sql("SELECT count(*), count(DISTINCT image_id), count(image_uri) FROM gold.coco_samples") == [(4, 4, 4)]


def test_transforming_again_changes_nothing(refined):
    server, first, _ = refined
    before = server.scalar("SELECT id FROM lake.current_snapshot()")
    again = server.result("transform")
    assert server.scalar("SELECT id FROM lake.current_snapshot()") == before
    assert {m["model"]: m["rows"] for m in again["models"]} == {m["model"]: m["rows"] for m in first["models"]}
    assert all(model["rows_inserted"] == model["rows_deleted"] == 0 for model in again["models"])


def test_a_dry_run_changes_nothing(real, launch):
    server, folder = launch(), real[2]
    server.action("ingest", {"source": folder.as_uri(), "dataset": "coco"})
    before = server.scalar("SELECT id FROM lake.current_snapshot()")
    assert server.result("transform", {"dry_run": True})["dry_run"] is True
    assert server.scalar("SELECT id FROM lake.current_snapshot()") == before
    assert server.sql("SELECT table_name FROM duckdb_tables() WHERE schema_name IN ('silver', 'gold')") == []


def test_a_folder_can_be_merged_again_without_doubling(real, launch):
    server, folder = launch(), real[2]
    body = {"source": folder.as_uri(), "dataset": "coco", "mode": "merge", "key": ["id"]}
    server.action("ingest", body)
    tables = [f"raw.coco_{part}" for part in ("images", "annotations", "categories", "captions")]
    before = counts(server, *tables)
    server.action("ingest", body)
    assert counts(server, *tables) == before


# === generated annotations ===


def test_the_generator_makes_equal_bytes_for_equal_seeds(tmp_path):
    made = []
    for name in ("first", "second"):
        folder = tmp_path / name
        assert harness.run("sample", folder, "--images", 10).returncode == 0
        made.append({path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()})
    assert made[0] == made[1]
    assert len(made[0]) == 14


def test_raw_holds_the_generated_entries_with_their_flaws(generated):
    server, ingested, summary, _ = generated
    assert ingested["assets"] == summary["image_files"]
    # The captions files list the images a second time.
    distinct = server.scalar("SELECT count(DISTINCT id) FROM raw.coco_images")
    assert distinct == summary["image_files"]
    assert counts(server, "raw.coco_annotations", "raw.coco_captions") == {
        "raw.coco_annotations": summary["annotations"],
        "raw.coco_captions": summary["captions"],
    }


def test_generated_pictures_are_stored_byte_for_byte(generated):
    server, _, summary, folder = generated
    pictures = {path.name: path.read_bytes() for path in folder.rglob("*.jpg")}
    stored = dict(server.sql("SELECT DISTINCT file_name, image FROM raw.coco_images"))
    assert len(stored) == summary["image_files"] == len(pictures)
    assert all(local_path(uri).read_bytes() == pictures[name] for name, uri in stored.items())


def test_silver_has_no_duplicates_and_no_empty_entries(refined_sample):
    server, _, summary = refined_sample
    expected = {
        "silver.coco_images": summary["image_files"],
        "silver.coco_annotations": summary["annotations"]
        - summary["duplicate_annotations"]
        - summary["degenerate_annotations"],
        "silver.coco_captions": summary["captions"] - summary["duplicate_captions"] - summary["missing_captions"],
    }
    assert counts(server, *expected) == expected


def test_the_generated_crowds_are_found(refined_sample):
    server, _, summary = refined_sample
    assert len(server.sql(CROWDED)) == summary["crowded_images"]


def test_checks_of_the_generated_data_pass(refined_sample):
    _, result, _ = refined_sample
    assert {model["model"]: model["checks_failed"] for model in result["models"] if model["checks_failed"]} == {}


def test_gold_has_one_sample_a_generated_image(refined_sample):
    server, _, summary = refined_sample
    rows, images, uris = server.sql("SELECT count(*), count(DISTINCT image_id), count(image_uri) FROM gold.coco_samples")[0]
    assert (rows, images, uris) == (summary["image_files"],) * 3
