"""Frame folders: VisDrone and MOTChallenge become clips of their JPEG files, an index with statistics, and tracks."""

import io
import json
import os
import shutil
import zipfile

import av
import numpy
import PIL.Image
import pyarrow
import pytest

import harness

pytestmark = pytest.mark.own_catalog

SIZE = (64, 48)


def jpeg(number, size=SIZE):
    """A picture that differs from frame to frame."""
    pixels = numpy.random.default_rng(number).integers(0, 255, (size[1] // 8, size[0] // 8, 3), dtype=numpy.uint8)
    out = io.BytesIO()
    PIL.Image.fromarray(pixels).resize(size).save(out, "JPEG", quality=95, subsampling=0)
    return out.getvalue()


def visdrone(folder, name, n_frames, lines=None, split="train"):
    """Writes a sequence; returns the bytes of its frames."""
    root = folder / f"VisDrone2019-MOT-{split}"
    frames = root / "sequences" / name
    frames.mkdir(parents=True)
    pictures = [jpeg(number) for number in range(1, n_frames + 1)]
    for number, picture in enumerate(pictures, 1):
        (frames / f"{number:07}.jpg").write_bytes(picture)
    if lines is not None:
        (root / "annotations").mkdir(exist_ok=True)
        (root / "annotations" / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines))
    return pictures


def mot(folder, name, n_frames, lines=None, info="[Sequence]\nname=x\nframeRate=29.97\nimDir=img1\n"):
    frames = folder / name / "img1"
    frames.mkdir(parents=True)
    for number in range(1, n_frames + 1):
        (frames / f"{number:06}.jpg").write_bytes(jpeg(number))
    if lines is not None:
        (folder / name / "gt").mkdir()
        (folder / name / "gt" / "gt.txt").write_text("\r\n".join(lines))
    if info is not None:
        (folder / name / "seqinfo.ini").write_text(info)


def decoded(mp4):
    with av.open(io.BytesIO(mp4)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def left(server, name):
    """What an ingest has left in the store, and its tables."""
    files = [file for kind in ("assets", "raw") for file in server.store.glob(f"{kind}/{name}/**/*") if file.is_file()]
    tables = server.sql(f"SELECT table_name FROM duckdb_tables() WHERE table_name LIKE '{name}%'")
    return [str(file.relative_to(server.store)) for file in files] + [name for (name,) in tables]


# By line: a car in frames 1 to 5; a pedestrian in frames 4 and 5, the second time with a comma at the end; an ignored
# region, others, a box with score 0, and one without width, none of which count; a bus in the last frame.
LINES = [
    "1,7,10,5,20,10,1,4,0,0",
    "2,7,11,5,20,10,1,4,0,1",
    "3,7,12,5,20,10,1,4,0,0",
    "5,7,50,5,20,10,1,4,1,2",
    "4,7,13,5,20,10,1,4,0,0",
    "4,8,0,0,4,8,1,1,0,0",
    "5,8,1,0,4,8,1,1,0,0,",
    "",
    "1,0,0,0,64,5,0,0,0,0",
    "2,9,30,30,5,5,1,11,0,0",
    "3,10,30,30,5,5,0,4,0,0",
    "3,11,30,30,0,5,1,4,0,0",
    "10,12,-5,40,30,20,1,9,1,0",
]


@pytest.fixture(scope="module")
def drone(server, tmp_path_factory):
    """A data set with two sequences, of which the second has no annotations."""
    folder = tmp_path_factory.mktemp("visdrone")
    pictures = visdrone(folder, "uav0000001_00000_v", 10, LINES)
    visdrone(folder, "uav0000002_00000_v", 3, split="val")
    result = server.result("ingest", {"source": folder.as_uri(), "dataset": "drone", "frames_per_fragment": 4})
    return folder, pictures, result


def test_visdrone_becomes_clips_fragments_and_tracks(server, drone):
    _, _, result = drone
    rows = {table["table"]: table["rows_added"] for table in result["tables"]}
    assert rows == {"silver.drone_clips": 2, "silver.drone_fragments": 4, "silver.drone_tracks": 12}
    assert result["assets"] == 2 and result["files"] == 1
    clips = server.sql(
        "SELECT file, split, codec, width, height, n_frames, n_fragments, frame_rate, duration, has_audio "
        "FROM silver.drone_clips ORDER BY file"
    )
    assert clips == [
        ("VisDrone2019-MOT-train/sequences/uav0000001_00000_v", "train", "mjpeg", 64, 48, 10, 3, 25.0, 0.4, False),
        ("VisDrone2019-MOT-val/sequences/uav0000002_00000_v", "val", "mjpeg", 64, 48, 3, 1, 25.0, 0.12, False),
    ]


def test_statistics_count_by_convention(server, drone):
    rows = server.sql(
        "SELECT file, fragment_id, start_frame, end_frame, start_time, end_time, f.n_frames, n_objects, n_tracks, classes "
        "FROM silver.drone_fragments f JOIN silver.drone_clips USING (clip_uri) ORDER BY file, fragment_id"
    )
    found = [(*row[1:4], round(row[4], 3), round(row[5], 3), *row[6:9], row[9] and dict(row[9])) for row in rows]
    assert found == [
        (0, 0, 3, 0.0, 0.16, 4, 5, 2, {"car": 4, "pedestrian": 1}),
        (1, 4, 7, 0.16, 0.32, 4, 2, 2, {"car": 1, "pedestrian": 1}),
        (2, 8, 9, 0.32, 0.4, 2, 1, 1, {"bus": 1}),
        # Nobody has looked.
        (0, 0, 2, 0.0, 0.12, 3, None, None, None),
    ]


def test_tracks_have_every_line(server, drone):
    rows = server.sql(
        "SELECT source_line, source_frame, frame, fragment_id, track_id, bbox, category_id, category, score, counted, "
        "truncation, occlusion, visibility FROM silver.drone_tracks ORDER BY source_line"
    )
    assert [row[0] for row in rows] == [1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13]
    assert rows[3] == (4, 5, 4, 1, 7, {"x": 50.0, "y": 5.0, "w": 20.0, "h": 10.0}, 4, "car", 1.0, True, 1, 2, None)
    assert rows[-1][2:9] == (9, 2, 12, {"x": -5.0, "y": 40.0, "w": 30.0, "h": 20.0}, 9, "bus", 1.0)
    assert [row[0] for row in rows if not row[9]] == [9, 10, 11, 12]


def test_fragments_hold_each_jpeg_and_decode_alone(server, drone):
    _, pictures, _ = drone
    rows = server.sql(
        "SELECT start_frame, end_frame, fragment_bytes(clip_uri, init_length, byte_offset, byte_length) "
        "FROM silver.drone_fragments WHERE n_objects IS NOT NULL ORDER BY fragment_id"
    )
    assert len(rows) == 3
    for start, end, mp4 in rows:
        expected = pictures[start : end + 1]
        with av.open(io.BytesIO(mp4)) as container:
            assert [bytes(packet) for packet in container.demux(video=0) if packet.size] == expected
        for frame, picture in zip(decoded(mp4), expected, strict=True):
            with PIL.Image.open(io.BytesIO(picture)) as image:
                difference = numpy.abs(frame.astype(int) - numpy.asarray(image.convert("RGB")).astype(int))
            # Decoders differ in their rounding.
            assert difference.mean() < 2


def test_a_repeated_ingest_adds_nothing_and_corrected_lines_are_merged(server, tmp_path, name):
    visdrone(tmp_path, "a", 4, LINES[:3])
    request = {"source": tmp_path.as_uri(), "dataset": name, "mode": "merge", "key": ["clip_uri"]}
    assert server.result("ingest", request)["assets"] == 1
    again = server.result("ingest", request)
    assert again["unchanged"] and again["rows_added"] == 0
    annotations = tmp_path / "VisDrone2019-MOT-train" / "annotations" / "a.txt"
    annotations.write_text("\n".join([LINES[0], LINES[1].replace(",4,0,1", ",5,0,1"), LINES[2]]))
    changed = server.result("ingest", request)
    assert (changed["assets"], changed["rows_added"]) == (0, 0)
    assert [dict(row[0]) for row in server.sql(f"SELECT classes FROM silver.{name}_fragments")] == [{"car": 2, "van": 1}]
    query = f"SELECT category FROM silver.{name}_tracks ORDER BY source_line"
    assert server.sql(query) == [("car",), ("van",), ("car",)]
    # One more sequence.
    visdrone(tmp_path, "b", 1, [])
    added = server.result("ingest", request)
    assert {table["table"].rsplit("_")[-1]: table["rows_added"] for table in added["tables"]} == {
        "clips": 1, "fragments": 1, "tracks": 0
    }
    # It has annotations, which say that nothing is there.
    assert server.sql(f"SELECT n_objects, n_tracks FROM silver.{name}_fragments WHERE n_frames = 1") == [(0, 0)]


def test_other_options_are_another_ingest(server, tmp_path, name):
    visdrone(tmp_path, "a", 4, LINES[:3])
    request = {"source": tmp_path.as_uri(), "dataset": name, "mode": "replace"}
    server.result("ingest", request)
    changed = server.result("ingest", {**request, "frames_per_fragment": 2})
    assert not changed["unchanged"]
    assert server.sql(f"SELECT n_frames FROM silver.{name}_fragments") == [(2,), (2,)]
    assert server.result("ingest", {**request, "frames_per_fragment": 2})["unchanged"]


def test_mot_challenge(server, tmp_path, name):
    lines = ["1,1,5.5,6.25,10,20,1,1,0.75", "2,1,6,6,10,20,1,1,1", "1,2,6,6,10,20,1,8,1", "2,3,6,6,10,20,0,3,1", "3,-1,1,1,5,5,0.5,-1,-1,-1"]
    mot(tmp_path / "train", "MOT17-02", 3, lines)
    mot(tmp_path / "test", "MOT17-01", 1, info=None)
    server.result("ingest", {"source": tmp_path.as_uri(), "dataset": name})
    clips = f"SELECT file, split, round(frame_rate, 4), n_fragments FROM silver.{name}_clips ORDER BY file"
    assert server.sql(clips) == [("test/MOT17-01/img1", "test", 25.0, 1), ("train/MOT17-02/img1", "train", 29.97, 1)]
    index = f"SELECT n_objects, n_tracks, classes FROM silver.{name}_fragments ORDER BY n_objects"
    [known, unknown] = server.sql(index)
    assert (known[0], known[1], dict(known[2])) == (3, 2, {"pedestrian": 3}) and unknown == (None, None, None)
    tracks = f"SELECT frame, track_id, bbox.x, category, counted, visibility FROM silver.{name}_tracks ORDER BY source_line"
    assert server.sql(tracks) == [
        (0, 1, 5.5, "pedestrian", True, 0.75),
        (1, 1, 6.0, "pedestrian", True, 1.0),
        (0, 2, 6.0, "distractor", False, 1.0),
        (1, 3, 6.0, "car", False, 1.0),
        (2, -1, 1.0, "pedestrian", True, None),
    ]
    assert all("MOT17-0" in uri for (uri,) in server.sql(f"SELECT clip_uri FROM silver.{name}_clips"))


def test_frame_numbers_may_have_gaps(server, tmp_path, name):
    visdrone(tmp_path, "a", 6, ["6,1,1,1,5,5,1,4,0,0"])
    (tmp_path / "VisDrone2019-MOT-train/sequences/a/0000002.jpg").unlink()
    server.result("ingest", {"source": tmp_path.as_uri(), "dataset": name})
    assert server.sql(f"SELECT frame, source_frame FROM silver.{name}_tracks") == [(4, 6)]


def test_a_zip_file_and_a_split_of_the_request(server, tmp_path, name):
    visdrone(tmp_path / "data", "a", 2, LINES[:1], split="x")
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        for file in sorted((tmp_path / "data").rglob("*.*")):
            archive.write(file, file.relative_to(tmp_path / "data"))
    request = {"source": (tmp_path / "data.zip").as_uri(), "dataset": name, "split": "val", "frame_rate": 12.5}
    server.result("ingest", request)
    assert server.sql(f"SELECT split, frame_rate FROM silver.{name}_clips") == [("val", 12.5)]
    assert server.result("ingest", request)["unchanged"]


@pytest.mark.parametrize("lines", [None, LINES[:1]])
def test_a_prefix_of_a_bucket_adds_nothing_again(launch, buckets, name, lines):
    uri = buckets.make_bucket(f"frames-{name}")
    folder = buckets.root / f"frames-{name}"
    visdrone(folder, "a", 3, lines)
    server = launch(variables=buckets.variables)
    request = {"source": f"{uri}/", "dataset": name}
    first = server.result("ingest", request)
    assert first["assets"] == 1 and first["downloaded"] > 1000
    # The store of the tests has no entity tags: objects are compared after they are fetched.
    again = server.result("ingest", request)
    assert (again["unchanged"], again["rows_added"], again["downloaded"]) == (True, 0, first["downloaded"])
    # One more frame, and its box.
    (folder / "VisDrone2019-MOT-train/sequences/a/0000004.jpg").write_bytes(jpeg(4))
    (folder / "VisDrone2019-MOT-train/annotations").mkdir(exist_ok=True)
    (folder / "VisDrone2019-MOT-train/annotations/a.txt").write_text("4,1,1,1,5,5,1,4,0,0\n")
    assert server.result("ingest", {**request, "mode": "replace"})["assets"] == 1
    assert server.sql(f"SELECT n_frames, n_objects FROM silver.{name}_fragments") == [(4, 1)]


def test_models_make_a_training_table(server, tmp_path):
    """The built-in models, which a lake without this data set leaves out."""
    visdrone(tmp_path, "a", 10, LINES)
    visdrone(tmp_path, "b", 3, [], split="val")
    visdrone(tmp_path, "c", 3, split="val")
    server.result("ingest", {"source": tmp_path.as_uri(), "dataset": "visdrone", "frames_per_fragment": 4})
    models = server.result("transform")["models"]
    made = {model["model"]: model.get("change", "unchanged") for model in models}
    assert made.pop("gold.visdrone_fragments") == "created"
    assert made == {f"silver.visdrone_{table}": "checked" for table in ("clips", "fragments", "tracks")}
    rows = server.sql(
        "SELECT fragment_id, n_frames, n_objects, n_tracks, n_car, n_pedestrian, n_bus, n_van, mean_area, split "
        "FROM gold.visdrone_fragments ORDER BY split, fragment_id"
    )
    frame = 64 * 48
    assert [row[:8] + row[9:] for row in rows] == [
        (0, 4, 5, 2, 4, 1, 0, 0, "train"),
        (1, 4, 2, 2, 1, 1, 0, 0, "train"),
        (2, 2, 1, 1, 0, 0, 1, 0, "train"),
        (0, 3, 0, 0, 0, 0, 0, 0, "val"),
    ]
    assert [row[8] for row in rows] == [pytest.approx(832 / 5 / frame), pytest.approx(116 / frame), pytest.approx(600 / frame), None]
    # A line is corrected: it counts once.
    annotations = tmp_path / "VisDrone2019-MOT-train" / "annotations" / "a.txt"
    annotations.write_text(annotations.read_text().replace("2,7,11,5,20,10,1,4", "2,7,11,5,20,10,1,5"))
    server.result("ingest", {"source": tmp_path.as_uri(), "dataset": "visdrone", "frames_per_fragment": 4})
    server.result("transform", {"select": ["gold.visdrone_fragments"]})
    assert server.sql("SELECT n_objects, n_car, n_van FROM gold.visdrone_fragments WHERE fragment_id = 0 AND split = 'train'") == [(5, 3, 1)]


def test_the_sample_is_what_its_summary_says(server, tmp_path):
    written = harness.run("sample", tmp_path / "sample", "--layout", "visdrone", "--frames", "25", "--json")
    assert written.returncode == 0, written.stderr
    summary = json.loads(written.stdout)
    request = {"source": (tmp_path / "sample").as_uri(), "dataset": "sample", "mode": "replace"}
    server.result("ingest", request)
    counts = "SELECT sum(n_frames), sum(n_objects), sum(n_fragments) FILTER (split = 'val') FROM silver.sample_clips c"
    fragments = "(SELECT clip_uri, sum(n_objects) AS n_objects FROM silver.sample_fragments GROUP BY ALL)"
    assert server.sql(f"{counts} JOIN {fragments} USING (clip_uri)") == [
        (summary["frames"], summary["counted_boxes"], 3 * summary["val_sequences"])
    ]
    [(lines, ignored, tracks)] = server.sql(
        "SELECT count(*), count(*) FILTER (NOT counted), count(DISTINCT (clip_uri, track_id)) FILTER (counted) "
        "FROM silver.sample_tracks"
    )
    assert (lines, tracks) == (summary["lines"], summary["tracks"])
    assert ignored == summary["lines"] - summary["counted_boxes"]
    boxes = server.sql("SELECT category_id, count(*) FROM silver.sample_tracks WHERE counted GROUP BY ALL")
    assert {str(category): n for category, n in boxes} == summary["boxes_by_category"]
    # What the index counts in all fragments is what the tracks count in each.
    differences = server.sql(
        "SELECT clip_uri, fragment_id, n_objects, n_tracks, count(track_id), count(DISTINCT track_id) "
        "FROM silver.sample_fragments LEFT JOIN (FROM silver.sample_tracks WHERE counted) USING (clip_uri, fragment_id) "
        "GROUP BY ALL HAVING count(track_id) <> n_objects OR count(DISTINCT track_id) <> n_tracks"
    )
    assert differences == []


def test_missing_data_sets_are_left_out_but_not_silently(server):
    """Named models are not left out, nor those of which only some sources are missing."""
    with pytest.raises(pyarrow.ArrowException, match="raw.coco_.*ingest it first"):
        server.result("transform", {"select": ["silver.coco_images"]})
    server.sql("CREATE SCHEMA IF NOT EXISTS raw")
    server.sql("CREATE TABLE raw.coco_categories (id BIGINT, name VARCHAR, supercategory VARCHAR, landing VARCHAR)")
    try:
        with pytest.raises(pyarrow.ArrowException, match="raw.coco_.*ingest it first"):
            server.result("transform")
    finally:
        server.sql("DROP TABLE raw.coco_categories")


# === encoding ===


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A server that has ffmpeg."""
    folder = tmp_path_factory.mktemp("encoder")
    server = harness.Server(folder, variables={"PATH": harness.ffmpeg(folder / "bin")}).start()
    yield server
    server.discard()


def test_frames_are_encoded(encoder, tmp_path):
    # An odd height.
    for number in range(1, 8):
        frames = tmp_path / "VisDrone2019-MOT-train/sequences/a"
        frames.mkdir(parents=True, exist_ok=True)
        (frames / f"{number:07}.jpg").write_bytes(jpeg(1, (64, 49)))
    request = {"source": tmp_path.as_uri(), "dataset": "encoded", "encode": "h264", "frames_per_fragment": 3, "frame_rate": 30}
    encoder.result("ingest", request)
    [clip] = encoder.sql("SELECT codec, width, height, n_frames, hidden_frames, frame_rate FROM silver.encoded_clips")
    assert clip[0].startswith("avc1.") and clip[1:5] == (64, 50, 7, 0) and clip[5] == pytest.approx(30)
    rows = encoder.sql(
        "SELECT n_frames, fragment_bytes(clip_uri, init_length, byte_offset, byte_length) "
        "FROM silver.encoded_fragments ORDER BY fragment_id"
    )
    assert [row[0] for row in rows] == [3, 3, 1]
    with PIL.Image.open(io.BytesIO(jpeg(1, (64, 49)))) as image:
        expected = numpy.asarray(image.convert("RGB")).astype(int)
    for n_frames, mp4 in rows:
        frames = decoded(mp4)
        assert len(frames) == n_frames
        for frame in frames:
            assert numpy.abs(frame[:49].astype(int) - expected).mean() < 12


def test_png_frames_are_encoded_too(encoder, tmp_path):
    frames = tmp_path / "MOT" / "img1"
    frames.mkdir(parents=True)
    for number in range(1, 4):
        PIL.Image.new("RGB", SIZE, (number * 60, 0, 0)).save(frames / f"{number}.png")
    request = {"source": tmp_path.as_uri(), "dataset": "png"}
    with pytest.raises(pyarrow.ArrowInvalid, match='read frame "1.png": only JPEG.*h264'):
        encoder.result("ingest", request)
    encoder.result("ingest", {**request, "encode": "h264"})
    assert encoder.sql("SELECT n_frames, n_objects FROM silver.png_fragments") == [(3, None)]


def test_without_ffmpeg_encoding_is_refused(tmp_path):
    visdrone(tmp_path / "data", "a", 2, [])
    empty = tmp_path / "bin"
    empty.mkdir()
    server = harness.Server(tmp_path, variables={"PATH": str(empty)}).start()
    try:
        request = {"source": (tmp_path / "data").as_uri(), "dataset": "a", "encode": "h264"}
        with pytest.raises(pyarrow.ArrowException, match='encoding needs the program ffmpeg.*leave out "encode"'):
            server.result("ingest", request)
        assert left(server, "a") == []
        # One that fails.
        broken = empty / "ffmpeg"
        shutil.copy(shutil.which("false"), broken)
        os.chmod(broken, 0o755)
        with pytest.raises(pyarrow.ArrowException, match="ffmpeg failed"):
            server.result("ingest", request)
        assert left(server, "a") == []
        del request["encode"]
        assert server.result("ingest", request)["assets"] == 1
    finally:
        server.discard()


# === what is refused ===


def spoiled(folder, how):
    """Spoils a sequence of VisDrone in `folder`."""
    sequence = folder / "VisDrone2019-MOT-train/sequences/a"
    match how:
        case "broken":
            (sequence / "0000002.jpg").write_bytes(jpeg(2)[:300])
        case "empty":
            (sequence / "0000002.jpg").write_bytes(b"")
        case "size":
            (sequence / "0000002.jpg").write_bytes(jpeg(2, (32, 48)))
        case "twice":
            (sequence / "2.jpg").write_bytes(jpeg(2))
        case lines:
            (folder / "VisDrone2019-MOT-train/annotations/a.txt").write_text(lines)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("broken", 'read sequence "VisDrone2019-MOT-train/sequences/a": read frame "0000002.jpg": read image: '),
        ("empty", 'read frame "0000002.jpg": read image: the file is empty'),
        ("size", "it is a Jpeg of 32 x 48 pixels, but the first frame a Jpeg of 64 x 48 pixels"),
        ("twice", "two files are frame 2"),
        ("1,1,1,1,5,5,1,4,0,0\n9,1,1,1,5,5,1,4,0,0", 'read "a.txt": line 2: there is no frame 9'),
        ("0,1,1,1,5,5,1,4,0,0", "line 1: there is no frame 0"),
        ("1,1,1,1,5,5,1,4,0", "line 1: it has 9 values, not 10"),
        ("1,1,1,x,5,5,1,4,0,0", 'line 1: top is "x", not a number'),
        ("1,1,1,inf,5,5,1,4,0,0", 'line 1: top is "inf", not a number'),
    ],
)
def test_broken_sequences_are_refused_and_leave_nothing(server, tmp_path, name, how, message):
    visdrone(tmp_path, "a", 3, LINES[:2])
    visdrone(tmp_path, "0", 3, LINES[:2])
    spoiled(tmp_path, how)
    with pytest.raises(pyarrow.ArrowInvalid, match=message):
        server.result("ingest", {"source": tmp_path.as_uri(), "dataset": name})
    assert left(server, name) == []


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"frame_rate": 0}, "a frame rate of 0 is not between"),
        ({"frame_rate": -25}, "a frame rate of -25 is not between"),
        ({"frames_per_fragment": 0}, '"frames_per_fragment" is 0'),
        ({"max_rows": 5}, '"max_rows" does not apply'),
        ({"media": "keep"}, "clips, images and sounds in files are always stored as assets"),
        ({"delimiter": ","}, "delimiter"),
    ],
)
def test_options_that_do_not_fit_are_refused(server, tmp_path, name, option, message):
    visdrone(tmp_path, "a", 2)
    with pytest.raises(pyarrow.ArrowInvalid, match=message):
        server.result("ingest", {"source": tmp_path.as_uri(), "dataset": name, **option})
    assert left(server, name) == []


def test_options_of_frames_do_not_fit_tables(server, tmp_path, name):
    (tmp_path / "a.csv").write_text("i\n1\n")
    with pytest.raises(pyarrow.ArrowInvalid, match="apply to frame folders"):
        server.result("ingest", {"source": tmp_path.as_uri(), "dataset": name, "frame_rate": 5})


def test_a_rate_of_seqinfo_that_is_none(server, tmp_path, name):
    mot(tmp_path, "a", 1, info="frameRate=fast\n")
    with pytest.raises(pyarrow.ArrowInvalid, match='seqinfo.ini": frameRate is "fast", not a number above 0'):
        server.result("ingest", {"source": tmp_path.as_uri(), "dataset": name})


def test_a_folder_without_data_says_what_could_be_there(server, tmp_path, name):
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "a.txt").write_text(LINES[0])
    with pytest.raises(pyarrow.ArrowInvalid, match="no frame folder of VisDrone or MOTChallenge"):
        server.result("ingest", {"source": tmp_path.as_uri(), "dataset": name})
