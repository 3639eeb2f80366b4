"""The package's media loaders: frames of selected fragments and images, exactly those, and no other bytes."""

import datetime
import io
import itertools
import pathlib
import re
import shutil
import urllib.parse
import urllib.request

import adbc_driver_manager
import av
import numpy
import PIL.Image
import pytest

import harness
import videos

pytestmark = pytest.mark.own_catalog

INDEX = "silver.clips_fragments"
# An apostrophe, a quotation mark, a placeholder, a percent sign: names are data, wherever they go.
ODD_NAME = 'it\'s a "clip"? 100%; --'


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A folder of clips: with frames out of order, with hidden frames, with another codec, with an odd name."""
    folder = tmp_path_factory.mktemp("drawn")
    videos.draw(folder / "reordered.mp4", options={"bf": "3"})
    videos.draw(folder / "hidden.mp4", hidden=10, options={"bf": "3"})
    videos.draw(folder / "mpeg4.mp4", codec="mpeg4", busy=range(25))
    shutil.copy(folder / "reordered.mp4", folder / f"{ODD_NAME}.mp4")
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory, drawn, sample):
    server = harness.Server(tmp_path_factory.mktemp("server"), "--http", "127.0.0.1:0")
    try:
        server.start().result("ingest", {"source": drawn.as_uri(), "dataset": "clips"})
        server.result("ingest", {"source": sample[0].as_uri(), "dataset": "coco"})
        yield server
    finally:
        server.discard()


@pytest.fixture(scope="module")
def lake(package, server):
    with package.connect(server.uri) as lake:
        yield lake


def clip(lake, name):
    return lake.sql("SELECT clip_uri FROM silver.clips_clips WHERE file = ?", [f"{name}.mp4"])[0][0].as_py()


def of_clip(lake, name, **options):
    return lake.fragments(INDEX, where="clip_uri = ?", parameters=[clip(lake, name)], order_by="fragment_id", **options)


def path_of(uri):
    return pathlib.Path(urllib.parse.unquote(urllib.parse.urlparse(uri).path))


def received(server):
    """The number of bytes that the server has read from the store for the loaders, by its own metrics."""
    address = re.search(r"health and metrics .*(http://[0-9.:]+)", server.log()).group(1)
    with urllib.request.urlopen(address + "/metrics", timeout=20) as reply:
        text = reply.read().decode()
    found = re.search(r"^merganser_object_read_bytes_total (\d+)$", text, re.MULTILINE)
    return int(found.group(1)) if found else 0


def resident():
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * 4096


# === frames ===


def assert_same_frames(fragments, path):
    """Compares the frames of fragments with those of the whole clip, one by one; returns their number."""
    fragments = list(fragments)
    of_fragments = itertools.chain.from_iterable(fragment.frames() for fragment in fragments)
    with av.open(str(path), options={"ignore_editlist": "1"}) as container:
        whole = container.decode(container.streams.video[0])
        first = None
        for number, (expected, frame) in enumerate(zip(whole, of_fragments, strict=True)):
            first = expected.time if first is None else first
            assert numpy.array_equal(frame.picture.to_ndarray(), expected.to_ndarray()), number
            assert frame.number == number and frame.time == pytest.approx(expected.time - first)
    assert [it.end_frame - it.start_frame + 1 for it in fragments] == [it.n_frames for it in fragments]
    return number + 1


@pytest.mark.parametrize(("name", "n_frames"), [("car-detection", 377), ("bottle-detection", 1189)])
def test_frames_of_real_clips_equal_those_of_the_whole_clip(package, server, shared_data, name, n_frames):
    source = shared_data / "video" / f"{name}.mp4"
    server.result("ingest", {"source": source.as_uri(), "dataset": name.replace("-", "_")})
    with package.connect(server.uri) as lake:
        fragments = lake.fragments(f"silver.{name.replace('-', '_')}_fragments", order_by="fragment_id")
        assert assert_same_frames(fragments, source) == n_frames


@pytest.mark.parametrize("name", ["reordered", "hidden", "mpeg4", ODD_NAME])
def test_frames_of_any_clip_equal_those_of_the_whole_clip(lake, drawn, name):
    assert assert_same_frames(of_clip(lake, name), drawn / f"{name}.mp4") == videos.N_FRAMES


def test_the_clips_are_what_their_names_say(lake, drawn):
    with av.open(str(drawn / "reordered.mp4")) as container:
        shown = [packet.pts for packet in container.demux(video=0) if packet.size]
    assert shown != sorted(shown)
    hidden = lake.sql("SELECT hidden_frames FROM silver.clips_clips WHERE file = 'hidden.mp4'")
    assert hidden[0].to_pylist() == [10]


def test_a_frame_is_an_image_and_an_array(lake):
    *_, last = next(of_clip(lake, "mpeg4")).frames()
    assert (last.number, last.time) == (24, pytest.approx(0.96))
    image, array = last.image(), last.array()
    assert (image.mode, image.size, array.shape) == ("RGB", (160, 120), (120, 160, 3))
    assert numpy.array_equal(numpy.asarray(image), array)
    # The bar, in its colour.
    assert abs(array[5, 34].astype(int) - [200, 180, 40]).max() < 40


def test_frames_may_be_left_unread(lake):
    fragment = next(of_clip(lake, "reordered"))
    assert [it.number for it in itertools.islice(fragment.frames(), 3)] == [0, 1, 2]
    assert sum(1 for _ in fragment.frames()) == 25


# === selection ===


def test_fragments_are_selected_by_their_index(lake):
    chosen = {"where": "clip_uri = ?", "parameters": [clip(lake, "reordered")]}
    busiest = list(lake.fragments(INDEX, **chosen, order_by="byte_length DESC", limit=2))
    assert busiest[0].fragment_id == 2 and len(busiest) == 2
    assert (busiest[0].start_frame, busiest[0].end_frame, busiest[0].start_time, busiest[0].end_time) == (50, 74, 2, 3)
    assert busiest[0].row["codec"].startswith("avc1.") and busiest[0].row["n_objects"] is None
    assert list(lake.fragments(INDEX, where="false")) == [] == list(lake.fragments(INDEX, limit=0))


def test_fragments_of_a_query_carry_its_columns(lake):
    source = f"(SELECT f.*, file, MAP {{'duck': ?}} AS n FROM {INDEX} f JOIN silver.clips_clips USING (clip_uri))"
    fragments = list(
        lake.fragments(source, where="file LIKE ?", order_by="fragment_id", limit=3, parameters=[7, "hid%"])
    )
    assert [it.row["file"] for it in fragments] == ["hidden.mp4"] * 3
    assert fragments[0].row["n"] == {"duck": 7} and sum(1 for _ in fragments[0].frames()) == 25


def test_fragments_of_an_earlier_version_are_decoded(lake, server, drawn, name):
    server.result("ingest", {"source": (drawn / "mpeg4.mp4").as_uri(), "dataset": name})
    version, time = server.head(), server.scalar("SELECT max(snapshot_time) FROM lake.snapshots()")
    lake.sql(f"DELETE FROM silver.{name}_fragments")
    assert list(lake.fragments(f"silver.{name}_fragments")) == []
    for at in (version, time, time.astimezone(datetime.timezone(datetime.timedelta(hours=5)))):
        fragments = lake.fragments(f"silver.{name}_fragments", where="fragment_id > ?", parameters=[1], limit=9, at=at)
        assert sum(1 for it in fragments for _ in it.frames()) == 50
    with pytest.raises(ValueError, match="no time zone"):
        lake.fragments(f"silver.{name}_fragments", at=time.replace(tzinfo=None))


def test_what_is_no_index_is_refused(lake):
    with pytest.raises(ValueError, match="lacks the columns fragment_id, start_frame, .*, sha256$"):
        lake.fragments("silver.clips_clips")
    with pytest.raises(adbc_driver_manager.Error, match="nonsense"):
        lake.fragments("silver.nonsense")


# === bytes ===


def test_no_other_bytes_are_read(lake, server):
    before = received(server)
    fragments = list(lake.fragments(INDEX))
    assert len(fragments) == 16 and received(server) == before
    chosen = [it for it in fragments if it.fragment_id in (1, 2)]
    for fragment in chosen:
        assert sum(1 for _ in fragment.frames()) == 25
    assert received(server) - before == sum(it.init_length + it.byte_length for it in chosen)


def test_a_fragment_is_saved_as_a_playable_file(lake, tmp_path):
    *_, fragment = of_clip(lake, "reordered")
    path = fragment.save(tmp_path / "last.mp4")
    assert path.stat().st_size == fragment.init_length + fragment.byte_length
    with av.open(str(path)) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert all(
        numpy.array_equal(*pair) for pair in zip(pictures, (it.array() for it in fragment.frames()), strict=True)
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("n_frames + 1 AS n_frames", "it has only 25 of its 26 frames"),
        ("n_frames - 1 AS n_frames", "it has more of its 24 frames"),
        ("byte_offset + 1 AS byte_offset", "do not have the SHA-256"),
        ("upper(sha256) AS sha256", "do not have the SHA-256"),
        ("clip_uri || 'x' AS clip_uri", "does not exist"),
        ("'file:///etc/passwd' AS clip_uri", "not the URI of an asset"),
        ("99_999_999 AS byte_length", "ends before the bytes"),
        ("-1 AS byte_length", "must not be negative"),
        (
            "byte_length // 2 AS byte_length, sha256(read_range(clip_uri, byte_offset, byte_length // 2)) AS sha256",
            "cannot be decoded|frames",
        ),
        ("20 AS init_length", "cannot be decoded"),
    ],
)
def test_a_fragment_that_is_not_what_the_index_says_is_named(package, lake, change, words):
    chosen = f"(FROM {INDEX} WHERE fragment_id = 1 AND clip_uri LIKE '%reordered%')"
    [fragment] = lake.fragments(f"(SELECT * REPLACE ({change}) FROM {chosen})")
    with pytest.raises(package.MediaError, match=words) as error:
        list(fragment.frames())
    assert error.value.uri == fragment.clip_uri and f"{fragment.clip_uri}: fragment 1: " in str(error.value)


def test_memory_stays_flat(lake, server, tmp_path, name):
    """However many fragments are selected, one is held at a time."""
    videos.draw(tmp_path / "large.mp4", busy=range(100), options={"crf": "1"})
    server.result("ingest", {"source": tmp_path.as_uri(), "dataset": name})
    many = f"(SELECT f.* FROM silver.{name}_fragments f, range(30))"
    for fragment in lake.fragments(many, limit=2):
        list(fragment.frames())
    before = resident()
    n_bytes = sum(len(fragment.read()) for fragment in lake.fragments(many))
    n_bytes += sum(it.array().nbytes for fragment in lake.fragments(many, limit=8) for it in fragment.frames())
    assert n_bytes > 60 << 20 and resident() - before < 16 << 20


# === images ===


def test_images_are_decoded_with_their_rows(lake, sample):
    originals = {path.name: path for path in sample[0].rglob("*.jpg")}
    query = "SELECT image, file_name, width, height FROM raw.coco_images WHERE width > ? ORDER BY id DESC"
    found = list(lake.images(query, [100]))
    assert len(found) > 32 and [it.row for it in found] == lake.sql(query, [100]).to_pylist()
    for it in found:
        assert it.uri == it.row["image"] and it.image.size == (it.row["width"], it.row["height"])
        assert numpy.array_equal(numpy.asarray(it.image), numpy.asarray(PIL.Image.open(originals[it.row["file_name"]])))


def test_images_of_uris_are_read_a_few_at_a_time(lake, server):
    uris = lake.sql("SELECT image FROM raw.coco_images ORDER BY id LIMIT 3")[0].to_pylist()
    sizes = {uri: path_of(uri).stat().st_size for uri in uris}
    before = received(server)
    found = list(itertools.islice(lake.images(itertools.cycle(uris)), 32))
    assert [it.uri for it in found] == list(itertools.islice(itertools.cycle(uris), 32))
    # Two groups of 16; what is repeated in one is read once.
    assert received(server) - before == 2 * sum(sizes.values())
    assert list(lake.images([])) == [] == list(lake.images("SELECT image FROM raw.coco_images WHERE false"))


def test_memory_stays_flat_with_images(lake):
    list(lake.images("SELECT image FROM raw.coco_images"))
    before = resident()
    total = sum(it.image.width * it.image.height for it in lake.images("SELECT image FROM raw.coco_images, range(12)"))
    assert total * 3 > 100 << 20 and resident() - before < 24 << 20


@pytest.fixture(scope="module")
def broken(server, lake, tmp_path_factory):
    """URIs of objects that are no images, by what is wrong with them."""
    uri = lake.sql("SELECT image FROM raw.coco_images ORDER BY id")[0][0].as_py()
    content = path_of(uri).read_bytes()
    for name, bytes_of in {"truncated": content[: len(content) // 2], "empty": b"", "text": b"quack " * 99}.items():
        path_of(uri).with_name(f"{name}.jpg").write_bytes(bytes_of)
    names = {name: uri.replace(path_of(uri).name, f"{name}.jpg") for name in ("truncated", "empty", "text", "absent")}
    return names | {"a folder": uri.rsplit("/", 1)[0], "outside": "file:///etc/passwd"}


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("truncated", "truncated"),
        ("empty", "cannot identify"),
        ("text", "cannot identify"),
        ("absent", "does not exist"),
        ("a folder", "does not exist"),
        ("outside", "not the URI of an asset"),
    ],
)
def test_a_broken_image_is_named_in_its_place(package, lake, broken, fault, words):
    good = lake.sql("SELECT image FROM raw.coco_images ORDER BY id LIMIT 5")[0].to_pylist()
    found = []
    with pytest.raises(package.MediaError, match=words) as error:
        found.extend(it.uri for it in lake.images([*good, broken[fault], *good]))
    assert error.value.uri == broken[fault] and str(error.value).startswith(f"{broken[fault]}: ")
    assert found == good


@pytest.mark.parametrize("query", ["SELECT 5", "SELECT NULL::VARCHAR", "SELECT id, image FROM raw.coco_images"])
def test_a_query_without_uris_is_refused(lake, query):
    with pytest.raises(ValueError, match="first column must hold the URI"):
        lake.images(query)


def test_an_object_larger_than_usual_messages_is_read(lake):
    """ADBC's own limit is 16 MiB."""
    image = PIL.Image.fromarray(numpy.random.default_rng(7).integers(0, 256, (2600, 2600, 3), numpy.uint8))
    buffer = io.BytesIO()
    image.save(buffer, "BMP")
    uri = lake.sql("SELECT image FROM raw.coco_images ORDER BY id")[0][0].as_py()
    path_of(uri).with_name("large.bmp").write_bytes(buffer.getvalue())
    [found] = lake.images([uri.replace(path_of(uri).name, "large.bmp")])
    assert len(buffer.getvalue()) > 19 << 20 and numpy.array_equal(numpy.asarray(found.image), numpy.asarray(image))
