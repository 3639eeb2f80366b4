"""Media columns: what becomes an asset, and what the side columns say about it."""

import hashlib
import io
import math
import struct
import wave
import zlib

import pyarrow
import pyarrow.parquet
import pytest

import harness

pytestmark = pytest.mark.own_catalog

MEDIA = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = harness.Server(tmp_path_factory.mktemp("server"))
    try:
        yield server.start()
    finally:
        server.discard()


def png(width, height, shade=0):
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + bytes([shade]) * width for _ in range(height)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def large_png(number, mebibytes=12):
    """A picture of pixels that do not compress, whose content no other number has."""
    side = 1024
    header = struct.pack(">IIBBBBB", side, mebibytes * side, 8, 0, 0, 0, 0)
    row = b"\0" + bytes(range(256)) * (side // 256)
    pixels = zlib.compress(row * (mebibytes * side), 0)
    chunks = [(b"IHDR", header), (b"tEXt", b"number\0%d" % number), (b"IDAT", pixels), (b"IEND", b"")]
    frames = (struct.pack(">I", len(it)) + kind + it + struct.pack(">I", zlib.crc32(kind + it)) for kind, it in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(frames)


def wav(seconds):
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(int(seconds * 8000) * 2))
    return buffer.getvalue()


def medium(content, path=None):
    return {"bytes": content, "path": path}


def ingest(server, folder, name, columns, **request):
    path = folder / f"{name}.parquet"
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return server.result("ingest", {"source": path.as_uri(), "dataset": name} | request)


def described(content, width, height, media_type, duration=None):
    return (width, height, media_type, duration, len(content), hashlib.sha256(content).hexdigest())


SIDES = ["width", "height", "format", "duration", "bytes", "sha256"]


def sides(column):
    return ", ".join(f"{column}_{side}" for side in SIDES)


def test_side_columns_describe_images_and_sounds(server, tmp_path, name):
    picture, sound, other = png(7, 5), wav(1.5), b"neither"
    column = [medium(picture, "a.png"), medium(sound, "b.wav"), medium(other, "c.dat"), medium(None, "https://x/y.jpg"), None]
    result = ingest(server, tmp_path, name, {"n": range(5), "media": pyarrow.array(column, MEDIA)})
    assert result["assets"] == 3
    rows = server.sql(f"SELECT {sides('media')} FROM raw.{name} ORDER BY n")
    assert rows == [
        described(picture, 7, 5, "image/png"),
        described(sound, None, None, "audio/wav", 1.5),
        described(other, None, None, None),
        (None,) * 6,
        (None,) * 6,
    ]
    uris = server.sql(f"SELECT media FROM raw.{name} ORDER BY n")
    assert uris[3:] == [("https://x/y.jpg",), (None,)]
    for (uri,), content in zip(uris, [picture, sound, other], strict=False):
        assert server.scalar(f"SELECT read_object('{uri}')") == content


def test_lists_of_media_become_lists_of_uris(server, tmp_path, name):
    pictures = [png(width, 3) for width in range(1, 6)]
    lists = [
        [medium(pictures[0], "a.png"), medium(pictures[1], "b.png"), None],
        [],
        None,
        [medium(pictures[2]), medium(pictures[3]), medium(pictures[4])],
    ]
    ingest(server, tmp_path, name, {"n": range(4), "views": pyarrow.array(lists, pyarrow.list_(MEDIA))})
    rows = server.sql(f"SELECT views, views_width, views_sha256 FROM raw.{name} ORDER BY n")
    assert [row[1] for row in rows] == [[1, 2, None], [], None, [3, 4, 5]]
    assert rows[1][0] == [] and rows[2][0] is None and rows[0][0][2] is None
    assert rows[3][2] == [hashlib.sha256(content).hexdigest() for content in pictures[2:]]
    for uri, content in zip(rows[0][0][:2] + rows[3][0], pictures, strict=True):
        assert server.scalar(f"SELECT read_object('{uri}')") == content


def test_blobs_are_media_if_they_are_named(server, tmp_path, name):
    columns = {"n": [0, 1], "scan": [png(2, 2), None], "raw": [b"x", b"y"]}
    columns = {"n": columns["n"]} | {it: pyarrow.array(columns[it], pyarrow.binary()) for it in ["scan", "raw"]}
    result = ingest(server, tmp_path, name, columns, media_columns=["SCAN"])
    assert result["assets"] == 1
    rows = server.sql(f"SELECT scan LIKE '%/assets/{name}/scan/%.png', scan_width, raw FROM raw.{name} ORDER BY n")
    assert rows == [(True, 2, b"x"), (None, None, b"y")]
    for wrong, told in [("nothing", 'no column "nothing"'), ("n", '"n" is BIGINT, which cannot contain media')]:
        with pytest.raises(pyarrow.ArrowInvalid, match=told):
            ingest(server, tmp_path, f"{name}_wrong", columns, media_columns=[wrong])


def test_urls_can_be_left_where_they_are(server, tmp_path, name):
    column = [medium(png(3, 3), "https://example.org/a.png"), medium(png(4, 4), "b.png")]
    result = ingest(server, tmp_path, name, {"n": [0, 1], "image": pyarrow.array(column, MEDIA)}, media="link")
    assert result["assets"] == 1
    rows = server.sql(f"SELECT image, image_width FROM raw.{name} ORDER BY n")
    assert rows[0] == ("https://example.org/a.png", 3)
    assert rows[1][0].endswith(f"assets/{name}/image/b.png") and rows[1][1] == 4


def test_equal_contents_are_stored_once_and_equal_names_apart(server, tmp_path, name):
    same, others = png(9, 9), [png(9, 9, shade) for shade in range(1, 40)]
    column = [medium(same, f"{n}.png") for n in range(3)] + [medium(other, "x/name.png") for other in others]
    result = ingest(server, tmp_path, name, {"n": range(len(column)), "image": pyarrow.array(column, MEDIA)})
    uris = [uri for (uri,) in server.sql(f"SELECT image FROM raw.{name} ORDER BY n")]
    assert len(set(uris[3:])) == len(others)
    # Those that are written at the same time may be written under each of their names.
    assert 1 + len(others) <= result["assets"] <= 3 + len(others)
    read = server.sql(f"SELECT n, read_object(image) FROM raw.{name} ORDER BY n")
    assert [content for _, content in read] == [same] * 3 + others


def test_media_without_names_come_once(server, tmp_path, name):
    pictures = [png(width, 2) for width in range(1, 5)]
    for count in (3, 4):
        # The new one comes first: every row has another number.
        column = pyarrow.array([medium(content) for content in reversed(pictures[:count])], MEDIA)
        result = ingest(server, tmp_path, name, {"image": column})
    assert (result["rows_read"], result["rows_added"]) == (4, 1)
    assert server.scalar(f"SELECT count(DISTINCT image) FROM raw.{name}") == 4


def test_two_columns_with_files_of_one_name(server, tmp_path, name):
    left, right = png(1, 1), png(2, 2)
    columns = {it: pyarrow.array([medium(content, "a.png")], MEDIA) for it, content in [("left", left), ("right", right)]}
    ingest(server, tmp_path, name, columns)
    row = server.sql(f'SELECT read_object("left"), read_object("right") FROM raw.{name}')
    assert row == [(left, right)]


def test_a_name_with_signs_of_patterns(server, tmp_path, name):
    picture = png(3, 1)
    path = tmp_path / "part [1] 50%*.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"image": pyarrow.array([medium(picture)], MEDIA)}), path)
    server.result("ingest", {"source": path.as_uri(), "dataset": name})
    assert server.scalar(f"SELECT read_object(image) FROM raw.{name}") == picture


def test_files_of_a_folder_differ_in_their_media_columns(server, tmp_path, name):
    folder = tmp_path / "parts"
    folder.mkdir()
    tables = {
        "a": {"n": [0, 1], "image": pyarrow.array([medium(png(1, 1)), medium(png(2, 1))], MEDIA)},
        "b": {"n": [2, 3]},
        "c": {"Image": pyarrow.array([medium(png(3, 1)), medium(png(4, 1))], MEDIA), "n": [4, 5]},
    }
    for part, columns in tables.items():
        pyarrow.parquet.write_table(pyarrow.table(columns), folder / f"{part}.parquet")
    request = {"source": folder.as_uri(), "dataset": name, "max_rows": 5}
    assert server.result("ingest", request)["assets"] == 3
    assert server.sql(f"SELECT n, image_width FROM raw.{name} ORDER BY n") == [(0, 1), (1, 2), (2, None), (3, None), (4, 3)]


def test_memory_does_not_grow_with_the_images_of_a_row_group(launch, tmp_path, name):
    path = tmp_path / "large.parquet"
    numbers = range(60)
    schema = pyarrow.schema([("n", pyarrow.int64()), ("image", MEDIA)])
    # 720 MB in one row group, a page for each image.
    with pyarrow.parquet.ParquetWriter(
        path, schema, compression="none", use_dictionary=False, data_page_size=1, write_batch_size=1
    ) as writer:
        images = pyarrow.array([medium(large_png(number)) for number in numbers], MEDIA)
        writer.write_table(pyarrow.table([numbers, images], schema=schema))
    server = launch()
    idle = server.rss_bytes()
    result = server.result("ingest", {"source": path.as_uri(), "dataset": name})
    assert result["assets"] == len(numbers)
    assert server.peak_rss_bytes() - idle < 512 << 20
    assert server.scalar(f"SELECT count(*) FROM raw.{name} WHERE image_height = {12 * 1024}") == len(numbers)


@pytest.mark.parametrize("path", ["../../escape.png", "/etc/passwd", "..", "a\\..\\b.png", "x" * 300 + ".png", "\n.png"])
def test_names_from_outside_stay_inside(server, tmp_path, name, path):
    ingest(server, tmp_path, name, {"image": pyarrow.array([medium(png(1, 1), path)], MEDIA)})
    [[uri]] = server.sql(f"SELECT image FROM raw.{name}")
    folder = server.store / "assets" / name / "image"
    assert [file.read_bytes() for file in folder.iterdir()] == [png(1, 1)]
    assert f"/assets/{name}/image/" in uri and ".." not in uri.split("/")


def test_a_side_column_must_not_exist(server, tmp_path, name):
    columns = {"image": pyarrow.array([medium(png(1, 1))], MEDIA), "image_width": [1]}
    with pytest.raises(pyarrow.ArrowInvalid, match='cannot have a column "image_width"'):
        ingest(server, tmp_path, name, columns)
    ingest(server, tmp_path, name, columns, media="keep")


def test_real_media_are_described(server, tmp_path, name, shared_data):
    files = {
        "test_image_rgb.jpg": (640, 480, "image/jpeg", None),
        "test_image_rgba.png": (200, 200, "image/png", None),
        "test_audio_16000.mp3": (None, None, "audio/mpeg", pytest.approx(3.8, abs=1.5)),
    }
    contents = [(shared_data / "media" / file).read_bytes() for file in files]
    video = (shared_data / "video" / "car-detection.mp4").read_bytes()
    column = [medium(content) for content in [*contents, video]]
    ingest(server, tmp_path, name, {"n": range(4), "media": pyarrow.array(column, MEDIA)})
    rows = server.sql(f"SELECT media_width, media_height, media_format, media_duration FROM raw.{name} ORDER BY n")
    assert rows[:3] == list(files.values())
    assert rows[3][:3] == (768, 432, "video/mp4") and math.isclose(rows[3][3], 30.16, abs_tol=0.01)
