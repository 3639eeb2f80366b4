"""Exports of video frames: a row for each frame as WebP, checked against what PyAV decodes."""

import fractions
import hashlib
import io
import json
import os
import pathlib

import av
import lance
import numpy
import PIL.Image
import pyarrow
import pyarrow.flight
import pytest

import harness
from test_exports import export, folder
from test_samples import verified

pytestmark = pytest.mark.own_catalog

SIZE = (64, 48)
SECOND = 1_000_000


def frame(number, size=SIZE, noise=False):
    """A picture with a bar whose place and color tell the number."""
    if noise:
        return numpy.random.default_rng(number).integers(0, 255, (size[1], size[0], 3), dtype=numpy.uint8)
    pixels = numpy.full((size[1], size[0], 3), 60, numpy.uint8)
    start = number * 4 % size[0]
    pixels[:, start : start + 8] = (200, number * 10 % 255, 40)
    return pixels


def video(count, format="mp4", codec="libx264", size=SIZE, times=None, noise=False, **options):
    """A video in which `count` frames are shown at `times`, in milliseconds."""
    out = io.BytesIO()
    with av.open(out, "w", format=format) as container:
        stream = container.add_stream(codec, rate=1000, options={"bf": "2", "g": "12", **options})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.time_base = fractions.Fraction(1, 1000)
        for number in range(count):
            picture = av.VideoFrame.from_ndarray(frame(number, size, noise), format="rgb24")
            picture.pts = times[number] if times else number * 40
            picture.time_base = fractions.Fraction(1, 1000)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return out.getvalue()


def decoded(bytes):
    """Times in seconds, and pictures."""
    with av.open(io.BytesIO(bytes)) as container:
        return [(frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def frames_of(server, result):
    return lance.dataset(str(folder(server, result) / "data.lance")).to_table().to_pylist()


def metadata_of(server, result):
    return json.loads((folder(server, result) / "_metadata.json").read_text())


def pixels(webp):
    with PIL.Image.open(io.BytesIO(webp)) as image:
        assert image.format == "WEBP"
        return numpy.asarray(image.convert("RGB")).astype(int)


def fill(server, name, rows, schema):
    with server.adbc() as connection, connection.cursor() as cursor:
        cursor.adbc_ingest(name, pyarrow.Table.from_pylist(rows, schema), mode="create", db_schema_name="silver")


BYTES = pyarrow.schema([("video", pyarrow.binary()), ("label", pyarrow.string()), ("score", pyarrow.float64())])


@pytest.fixture(scope="module")
def filmed(tmp_path_factory):
    """A server that has ffmpeg."""
    folder = tmp_path_factory.mktemp("filmed")
    server = harness.Server(folder, variables={"PATH": harness.ffmpeg(folder / "bin")}).start()
    yield server
    server.discard()


def test_frames_are_those_of_the_videos(filmed):
    # Frames that refer to later ones, that are not shown at regular times, and other containers.
    videos = [
        video(30),
        video(7, times=[0, 10, 20, 500, 510, 3_600_000, 3_600_001]),
        video(5, "matroska", "libvpx"),
        video(1, size=(50, 30)),
        video(12, "avi", "mpeg4", bf="0"),
    ]
    rows = [{"video": video, "label": f"é {at}", "score": at / 3} for at, video in enumerate(videos)]
    fill(filmed, "clips", rows, BYTES)
    result = export(filmed, table="silver.clips", format="lance_frames", quality=90, verify=True)
    assert result["verified"] and result["skipped"] == 0
    frames, metadata = frames_of(filmed, result), metadata_of(filmed, result)
    assert result["rows"] == len(frames) == 55
    about = {name: value for name, value in metadata.items() if name not in ("videos", "schema_fingerprint")}
    assert about == {
        "cache_format_version": 1,
        "format": "lance",
        "layout": "lance-video-frames",
        "num_rows": 55,
        "total_rows": 55,
        "n_videos": 5,
        "n_skipped": 0,
        "skipped": [],
        "encoding": "webp",
        "quality": 90,
        "resize": None,
        "video_column": "video",
    }
    for at, (row, told) in enumerate(zip(rows, metadata["videos"], strict=True)):
        expected = decoded(row["video"])
        found = frames[told["start_row"] : told["start_row"] + told["T"]]
        assert [it["video_id"] for it in found] == [at] * len(expected)
        assert [it["frame_idx"] for it in found] == list(range(len(expected)))
        assert [it["time"] for it in found] == pytest.approx([time for time, _ in expected], abs=2e-6)
        for (_, picture), it in zip(expected, found, strict=True):
            assert pixels(it["bytes"]).shape == picture.shape == (told["H"], told["W"], 3)
            assert numpy.abs(pixels(it["bytes"]) - picture).mean() < 6
        assert (told["id"], told["key"], told["path"]) == (at, at, None)
        assert told["checksum"] == hashlib.sha256(row["video"]).hexdigest()
        assert told["metadata"] == {"label": row["label"], "score": row["score"]}
    assert verified(filmed, {"export": "silver.clips"}) == 55


def test_videos_are_files_of_the_lake(filmed, tmp_path):
    source = tmp_path / "clips"
    source.mkdir()
    films = {f"{name}.mp4": video(count) for name, count in [("a", 3), ("b", 5)]}
    for name, film in films.items():
        (source / name).write_bytes(film)
    filmed.result("ingest", {"source": source.as_uri(), "dataset": "films"})
    uris = dict(filmed.sql("SELECT file, clip_uri FROM silver.films_clips"))
    assert set(uris) == set(films)
    # At a snapshot, in the order of the query.
    query = "SELECT clip_uri AS film, n_frames FROM silver.films_clips ORDER BY file DESC"
    request = {"query": query, "format": "lance_frames", "destination": "gold.films", "video_column": "film", "resize": 40}
    result = export(filmed, **request, verify=True)
    first, second = metadata_of(filmed, result)["videos"]
    assert [first["path"], second["path"]] == [uris["b.mp4"], uris["a.mp4"]]
    assert (first["T"], first["H"], first["W"]) == (5, 30, 40) and second["start_row"] == 5
    assert first["metadata"] == {"n_frames": 5}
    assert all(pixels(row["bytes"]).shape == (30, 40, 3) for row in frames_of(filmed, result))
    # Frames that are small enough stay as they are.
    result = export(filmed, **{**request, "resize": 64, "destination": "gold.large"})
    assert pixels(frames_of(filmed, result)[0]["bytes"]).shape == (48, 64, 3)


def test_videos_and_frames_are_in_a_bucket(buckets, tmp_path):
    uri = buckets.make_bucket("frames")
    variables = {**buckets.variables, "PATH": harness.ffmpeg(tmp_path / "bin")}
    server = harness.Server(tmp_path, "--storage", uri, store=buckets.root / "frames", variables=variables).start()
    try:
        (tmp_path / "clips").mkdir()
        (tmp_path / "clips/a.mp4").write_bytes(video(6))
        server.result("ingest", {"source": (tmp_path / "clips").as_uri(), "dataset": "films"})
        result = export(server, table="silver.films_clips", format="lance_frames", verify=True)
        assert len(frames_of(server, result)) == metadata_of(server, result)["videos"][0]["T"] == 6
        missing = f"SELECT * FROM silver.films_clips UNION ALL BY NAME SELECT '{uri}/assets/no.mp4' AS clip_uri"
        request = {"query": missing, "format": "lance_frames", "destination": "gold.films"}
        result = export(server, **request, skip_corrupt=True)
        assert (result["rows"], result["skipped"]) == (6, 1)
        # A store that does not answer is not a broken video.
        buckets.order({"fault": "unavailable", "method": "GET", "contains": "assets/"})
        with pytest.raises(pyarrow.flight.FlightUnavailableError):
            export(server, **request, skip_corrupt=True)
    finally:
        buckets.heal()
        server.discard()


def test_colors_are_those_that_players_show(filmed):
    """High definition has other primary colors than WebP."""
    size = (128, 96)
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.colorspace, stream.codec_context.color_range = 1, 1
        picture = av.VideoFrame.from_ndarray(numpy.full((96, 128, 3), (20, 200, 60), numpy.uint8), format="rgb24")
        picture = picture.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
        container.mux(stream.encode(picture))
        container.mux(stream.encode())
    fill(filmed, "green", [{"video": out.getvalue()}], BYTES)
    (row,) = frames_of(filmed, export(filmed, table="silver.green", format="lance_frames", quality=95))
    assert numpy.abs(pixels(row["bytes"]) - (20, 200, 60)).max() <= 5


def broken():
    """Videos that cannot be decoded, by what is wrong with them."""
    whole = video(40, movflags="faststart")
    changed = bytearray(whole)
    start = whole.index(b"mdat") + len(whole) // 4
    for at in range(start, min(start + 600, len(whole)), 7):
        changed[at] ^= 0x55
    sound = io.BytesIO()
    with av.open(sound, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=8000)
        silence = av.AudioFrame.from_ndarray(numpy.zeros((1, 1024), numpy.float32), format="fltp", layout="mono")
        silence.sample_rate = 8000
        container.mux(stream.encode(silence))
        container.mux(stream.encode())
    playlist = b"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:10.0,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
    return {
        "absent": None,
        "empty": b"",
        "text": b"not a video",
        "cut off": whole[: len(whole) * 3 // 4],
        "no end": video(40)[:-200],
        "changed": bytes(changed),
        "sound": sound.getvalue(),
        # These would have ffmpeg open other files.
        "playlist": playlist,
        "list": b"ffconcat version 1.0\nfile /etc/passwd\n",
    }


def test_videos_that_cannot_be_decoded(filmed):
    wrong = broken()
    rows = [{"video": video(2), "label": "first"}]
    rows += [{"video": bytes, "label": label} for label, bytes in wrong.items()]
    rows += [{"video": video(3), "label": "last"}]
    fill(filmed, "broken", rows, BYTES)
    request = {"table": "silver.broken", "format": "lance_frames"}
    with pytest.raises(pyarrow.ArrowException, match='the video of row 1 has no frames.*set "skip_corrupt"'):
        export(filmed, **request)
    assert filmed.result("exports", {"name": "silver.broken", "all": True})["exports"] == []
    result = export(filmed, **request, skip_corrupt=True, verify=True)
    metadata = metadata_of(filmed, result)
    assert result["rows"] == 5 and result["skipped"] == metadata["n_skipped"] == len(wrong)
    assert [told["key"] for told in metadata["skipped"]] == list(range(1, len(wrong) + 1))
    assert all(told["reason"] and len(told["reason"]) <= 2000 for told in metadata["skipped"])
    assert "passwd" not in json.dumps(metadata) and str(filmed.home) not in json.dumps(metadata)
    assert [(told["key"], told["T"], told["metadata"]["label"]) for told in metadata["videos"]] == [
        (0, 2, "first"),
        (len(rows) - 1, 3, "last"),
    ]


def test_uris_that_are_not_of_the_lake(filmed, tmp_path):
    (tmp_path / "secret.mp4").write_bytes(video(2))
    uris = [(tmp_path / "secret.mp4").as_uri(), "https://example.com/a.mp4", "", "concat:a|b", None]
    store = filmed.store.as_uri()
    (filmed.store / "assets/folder").mkdir(parents=True, exist_ok=True)
    uris += [f"{store}/lake/../assets/a.mp4", f"{store}/assets/folder", f"{store}/assets/no/such.mp4"]
    schema = pyarrow.schema([("video_uri", pyarrow.string())])
    fill(filmed, "outside", [{"video_uri": uri} for uri in uris], schema)
    result = export(filmed, table="silver.outside", format="lance_frames", skip_corrupt=True)
    reasons = [told["reason"] for told in metadata_of(filmed, result)["skipped"]]
    assert result["rows"] == 0 and result["skipped"] == len(uris)
    assert "is not the URI" in reasons[0] and reasons[-1] == "it does not exist"


def test_no_rows(filmed):
    result = export(filmed, query="SELECT ''::BLOB AS video LIMIT 0", format="lance_frames", verify=True)
    assert result["rows"] == 0 and metadata_of(filmed, result)["videos"] == []


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"query": "SELECT 1 AS a"}, "needs one column with videos"),
        ({"query": "SELECT ''::BLOB AS video, '' AS video_uri"}, "needs one column with videos"),
        ({"query": "SELECT 1 AS video"}, 'column "video" has no videos'),
        ({"query": "SELECT [''] AS video"}, 'column "video" has no videos'),
        ({"query": "SELECT '' AS video", "video_column": "other"}, 'there is no column "other"'),
        ({"query": "SELECT '' AS video", "quality": 101}, "from 0 to 100"),
        ({"query": "SELECT '' AS video", "resize": 0}, "from 1 to"),
        ({"query": "SELECT '' AS video", "compression": "zstd"}, "compression"),
        ({"query": "SELECT '' AS video", "shard_bytes": 1 << 30}, "shard_bytes"),
        ({"query": "SELECT '' AS video", "materialize": "warn"}, "for samples"),
        ({"query": "SELECT '' AS video, INTERVAL 1 DAY AS wait"}, "INTERVAL cannot be stored"),
        ({"query": "SELECT '' AS video", "format": "lance", "quality": 3}, "for the format lance_frames"),
    ],
    ids=str,
)
def test_what_is_refused(filmed, request_, words):
    with pytest.raises(pyarrow.ArrowInvalid, match=words):
        export(filmed, **{"format": "lance_frames", **request_})


def test_without_ffmpeg(tmp_path):
    bin = tmp_path / "bin"
    bin.mkdir()
    server = harness.Server(tmp_path, variables={"PATH": str(bin)}).start()
    try:
        fill(server, "clips", [{"video": video(1)}], BYTES)
        request = {"table": "silver.clips", "format": "lance_frames", "skip_corrupt": True}
        with pytest.raises(pyarrow.ArrowException, match="needs the program ffmpeg.*install it"):
            export(server, **request)
        fake = bin / "ffmpeg"
        fake.write_text("#!/bin/sh\necho \"Unknown encoder 'libwebp'\" >&2; exit 8\n")
        os.chmod(fake, 0o755)
        with pytest.raises(pyarrow.ArrowException, match="an ffmpeg with libwebp"):
            export(server, **request)
        assert server.result("exports", {"all": True})["exports"] == []
    finally:
        server.discard()


def children(pid):
    """The processes that a process has started."""
    tasks = pathlib.Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def test_a_cancelled_export_ends_ffmpeg(filmed):
    long = video(1500, size=(640, 480), preset="ultrafast")
    fill(filmed, "long", [{"video": long}] * 3, BYTES)
    events = filmed.events("export", {"table": "silver.long", "format": "lance_frames"})
    job = next(events)["job_id"]
    harness.wait_until(lambda: children(filmed.process.pid), "ffmpeg runs")
    filmed.result("job.cancel", {"job_id": job})
    with pytest.raises(pyarrow.flight.FlightCancelledError):
        list(events)
    harness.wait_until(lambda: not children(filmed.process.pid), "ffmpeg ends")
    assert filmed.result("exports", {"name": "silver.long", "all": True})["exports"] == []
