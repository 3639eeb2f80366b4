"""Clips: ingest makes fragmented MP4 files and an index, and fragments decode alone to exactly their frames."""

import hashlib
import io
import pathlib
import shutil
import urllib.parse

import av
import pyarrow
import pytest

import harness

pytestmark = pytest.mark.own_catalog

INDEX = "start_frame, end_frame, start_time, end_time, byte_offset, byte_length, init_length, n_frames, sha256"
# Frames and audio packets of the clips, as stored; the fragments begin at the sync samples.
CLIPS = {
    "car-detection": ([60, 60, 60, 60, 60, 60, 17], [0, 4.8, 9.6, 14.4, 19.2, 24, 28.8], 1416),
    "bottle-detection": ([250, 250, 250, 250, 189], [0, 250, 500, 750, 1000], 0),
}


def path_of(uri):
    return pathlib.Path(urllib.parse.unquote(urllib.parse.urlparse(uri).path))


def frames(source):
    """A digest of each frame, in presentation order."""
    with av.open(source) as container:
        decoded = container.decode(container.streams.video[0])
        return [hashlib.md5(frame.to_ndarray().tobytes()).hexdigest() for frame in decoded]


def audio_packets(source):
    # Packets before the start of the edit list are there, too.
    with av.open(source, options={"ignore_editlist": "1"}) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size] if container.streams.audio else []


@pytest.fixture(scope="module")
def shared_videos():
    folder = harness.SHARED_DATA / "video"
    if not folder.is_dir():
        pytest.skip("skipped: ../shared/data is absent")
    return folder


@pytest.fixture(scope="module")
def clips(server, shared_videos):
    server.result("ingest", {"source": shared_videos.as_uri(), "dataset": "clips"})
    return {name: uri for uri, name in server.sql("SELECT clip_uri, file FROM silver.clips_clips")}


@pytest.mark.parametrize("name", CLIPS)
def test_each_fragment_decodes_alone_to_its_frames(server, clips, shared_videos, name):
    uri = clips[f"{name}.mp4"]
    content = path_of(uri).read_bytes()
    expected = frames(str(shared_videos / f"{name}.mp4"))
    counts, starts, n_audio = CLIPS[name]
    rows = server.sql(f"SELECT {INDEX} FROM silver.clips_fragments WHERE clip_uri = ? ORDER BY fragment_id", [uri])
    assert [row[7] for row in rows] == counts
    rate = {"car-detection": 1, "bottle-detection": 179 / 6}[name]
    assert [row[2] * rate for row in rows] == pytest.approx(starts)
    audio = []
    for start, end, _, _, offset, length, init, n_frames, sha256 in rows:
        fragment = content[offset : offset + length]
        assert hashlib.sha256(fragment).hexdigest() == sha256 and end - start + 1 == n_frames
        alone = content[:init] + fragment
        assert frames(io.BytesIO(alone)) == expected[start : end + 1]
        audio += audio_packets(io.BytesIO(alone))
    assert len(audio) == n_audio and audio == audio_packets(str(shared_videos / f"{name}.mp4"))
    # Without gaps.
    ends = [row[4] + row[5] for row in rows]
    assert [row[4] for row in rows[1:]] == ends[:-1] and ends[-1] == len(content)


def test_clips_are_described(server, clips):
    rows = server.sql(
        "SELECT file, codec, width, height, n_frames, has_audio, n_fragments, round(duration, 2), round(frame_rate, 2) "
        "FROM silver.clips_clips ORDER BY file"
    )
    assert rows == [
        ("bottle-detection.mp4", "avc1.64001e", 640, 360, 1189, False, 5, 39.85, 29.83),
        ("car-detection.mp4", "avc1.428016", 768, 432, 377, True, 7, 30.16, 12.5),
    ]


def test_the_same_clip_is_stored_once_and_merged(server, clips, shared_videos, tmp_path):
    shutil.copytree(shared_videos, tmp_path / "again")
    request = {"source": (tmp_path / "again").as_uri(), "dataset": "clips", "mode": "merge", "key": ["clip_uri"]}
    result = server.result("ingest", request)
    assert (result["assets"], result["rows_added"], result["rows_read"]) == (0, 0, 14)


def test_a_fragmented_clip_keeps_its_bytes(server, clips, tmp_path, name):
    source = path_of(clips["car-detection.mp4"])
    shutil.copy(source, tmp_path / "again.mp4")
    server.result("ingest", {"source": tmp_path.as_uri(), "dataset": name})
    [(uri,)] = server.sql(f"SELECT clip_uri FROM silver.{name}_clips")
    assert path_of(uri).read_bytes() == source.read_bytes()


def test_clips_beside_tables_are_no_tables(server, shared_videos, tmp_path, name):
    (tmp_path / "a.csv").write_text("i\n1\n")
    shutil.copy(shared_videos / "car-detection.mp4", tmp_path / "a.mp4")
    result = server.result("ingest", {"source": tmp_path.as_uri(), "dataset": name})
    assert [it["table"] for it in result["tables"]] == [f"raw.{name}"]


# === what is no clip ===


def broken(shared_videos):
    """Files that are no clips, by what the refusal says."""
    clip = (shared_videos / "car-detection.mp4").read_bytes()
    return {
        "truncated": clip[: len(clip) // 2],
        "only the start": clip[:30],
        "text": b"this is no video\n" * 20,
        "no samples": clip.replace(b"stsz", b"xxxx"),
        "no tracks": clip.replace(b"trak", b"xxxx"),
        "audio only": clip.replace(b"vide", b"soun", 1),
    }


@pytest.mark.parametrize("fault", ["truncated", "only the start", "text", "no samples", "no tracks", "audio only"])
def test_what_is_no_clip_is_refused_by_name(server, shared_videos, tmp_path, name, fault):
    (tmp_path / "good.mp4").write_bytes((shared_videos / "car-detection.mp4").read_bytes())
    (tmp_path / "z.mp4").write_bytes(broken(shared_videos)[fault])
    with pytest.raises(pyarrow.ArrowInvalid, match="read \"z.mp4\": fragment video: "):
        server.result("ingest", {"source": tmp_path.as_uri(), "dataset": name})
    # Nothing is left, and the good one alone works.
    assert not list(server.store.glob(f"assets/{name}/**/*.mp4")) and not list(server.store.glob(f"raw/{name}/**/*.mp4"))
    (tmp_path / "z.mp4").unlink()
    assert server.result("ingest", {"source": tmp_path.as_uri(), "dataset": name})["assets"] == 1


def test_an_empty_file_is_refused(server, tmp_path, name):
    (tmp_path / "empty.mp4").write_bytes(b"")
    with pytest.raises(pyarrow.ArrowInvalid, match="empty"):
        server.result("ingest", {"source": tmp_path.as_uri(), "dataset": name})


@pytest.mark.parametrize("option", [{"max_rows": 1}, {"media": "keep"}, {"delimiter": ","}])
def test_options_of_other_formats_are_refused(server, shared_videos, name, option):
    with pytest.raises(pyarrow.ArrowInvalid):
        server.result("ingest", {"source": shared_videos.as_uri(), "dataset": name, **option})
