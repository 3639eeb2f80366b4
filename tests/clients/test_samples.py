"""WebDataset exports: what the official readers give is what the rows hold, and the files read back as the same rows."""

import hashlib
import io
import json
import re
import tarfile

import datasets
import PIL.Image
import pyarrow
import pyarrow.flight
import pyarrow.ipc
import pyarrow.parquet
import pytest
import webdataset

import harness
from test_exports import ALL_TYPES, export, folder

# Rows as pipelines for documents with images make them.
SCHEMA = pyarrow.schema(
    [
        ("sample_id", pyarrow.string()),
        ("position", pyarrow.int32()),
        ("modality", pyarrow.string()),
        ("content_type", pyarrow.string()),
        ("text_content", pyarrow.string()),
        ("binary_content", pyarrow.binary()),
        ("source_ref", pyarrow.string()),
        ("materialize_error", pyarrow.string()),
        ("metadata_json", pyarrow.string()),
        ("nv_width", pyarrow.int64()),
        ("nv_height", pyarrow.int64()),
        ("match_status", pyarrow.string()),
        ("score", pyarrow.float64()),
        ("tags", pyarrow.list_(pyarrow.string())),
        ("seen_at", pyarrow.timestamp("us", tz="UTC")),
    ]
)


def image(width, height, kind="JPEG"):
    out = io.BytesIO()
    PIL.Image.new("RGB", (width, height), (width % 256, height % 256, 7)).save(out, kind)
    return out.getvalue()


def row(sample, position, modality, **values):
    return {"sample_id": sample, "position": position, "modality": modality, **values}


def documents(count=10):
    """Documents with texts and images in turn; some of each are missing."""
    rows = []
    for number in range(count):
        sample = f"doc/{number}.html"
        rows.append(row(sample, -1, "metadata", metadata_json="{}", match_status="source", score=number / 3))
        rows.append(row(sample, 0, "text", text_content=f"text {number} 'é\0'", tags=["a", None], match_status="x"))
        width, height = 400 + number, 300 + number
        kind = ["JPEG", "PNG"][number % 2]
        picture = image(width, height, kind)
        sized = {"nv_width": width, "nv_height": height, "match_status": "matched"}
        rows.append(
            row(sample, 1, "image", binary_content=picture, content_type=f"image/{kind.lower()}", **sized)
        )
        rows.append(row(sample, 2, "text", text_content=None, score=float("nan"), seen_at=number * 10**6))
        rows.append(row(sample, 4, "image", match_status="lost", tags=[]))
        rows.append(row(sample, 4, "text", text_content=""))
    return rows


def fill(server, name, rows):
    table = pyarrow.Table.from_pylist(rows, SCHEMA)
    with server.adbc() as connection, connection.cursor() as cursor:
        cursor.adbc_ingest(name, table, mode="create", db_schema_name="silver")
    return table


def samples(server, result):
    """The samples, by the official reader."""
    urls = [str(folder(server, result) / file["path"]) for file in result["files"]]
    return list(webdataset.WebDataset(urls, shardshuffle=False, empty_check=False))


def verified(server, left, right=None):
    """That both sides are equal; the number of their rows."""
    body = {"left": left, "right": right} if right else {"left": left}
    found = server.result("verify", {**body, "max_differences": 3})
    assert found["equal"], found["differences"]
    return found["rows"]


def as_rows(sample):
    """The rows of one sample, as the documentation of the format says."""
    text = json.loads(sample["json"])
    lists, seen, rows = text.get("_row_extra"), set(), []
    for entry in text["_rows"]:
        position, modality = entry["position"], entry["modality"]
        made = {name: value for name, value in entry.items() if name not in ("extra", "member")}
        made["sample_id"] = text["sample_id"]
        if "text_content" not in made:
            first = modality == "text" and position not in seen
            made["text_content"] = text["texts"][position] if first else None
        if modality == "text":
            seen.add(position)
        listed = lists["metadata"] if modality == "metadata" else lists.get(modality, {})
        made |= entry["extra"] if "extra" in entry else listed if modality == "metadata" else listed[position]
        made["binary_content"] = sample[entry["member"]] if "member" in entry else None
        rows.append(made)
    return rows


def test_interleaved_samples_are_what_training_reads(server, name):
    rows = documents()
    fill(server, name, rows)
    result = export(server, table=f"silver.{name}", format="webdataset", verify=True)
    assert result["rows"] == len(rows) and result["verified"]
    found = samples(server, result)
    assert len(found) == 10
    images = 0
    for sample in found:
        text = json.loads(sample["json"])
        number = int(text["sample_id"].removeprefix("doc/").removesuffix(".html"))
        assert text["texts"] == [f"text {number} 'é\0'", None, None, None, ""]
        assert [bool(it) for it in text["images"]] == [False, True, False, False, False]
        assert text["match_status"] == "source" and text["score"] == number / 3
        extra = text["_row_extra"]
        for modality, listed in [("text", text["texts"]), ("image", text["images"])]:
            assert [it is None for it in extra[modality]] == [it is None for it in listed], modality
        assert set(extra["image"][1]) == {"nv_width", "nv_height", "match_status", "score", "tags", "seen_at"}
        for position, field in enumerate(text["images"]):
            if field is not None:
                with PIL.Image.open(io.BytesIO(sample[field])) as picture:
                    sized = extra["image"][position]
                    assert picture.size == (sized["nv_width"], sized["nv_height"])
                    assert field == f"{position}.{['jpg', 'png'][number % 2]}"
                images += 1
    assert images == 10


def test_no_value_of_interleaved_samples_is_lost(server, name):
    rows = documents(4)
    strange = "strange"
    for position in (0, 0, 5):
        # Two at one place, other kinds of rows, bytes that are empty, columns named like parts of the JSON.
        for modality in ("text", "image", "audio", "metadata"):
            content = b"" if position == 5 else b"RIFF" + modality.encode()
            rows.append(row(strange, position, modality, text_content=modality, binary_content=content, score=-0.0))
    rows.append(row(strange, -1, "metadata", text_content="first", source_ref='{"path": "x"}', score=float("inf")))
    rows.append(row(strange, -1, "metadata", materialize_error="second", seen_at=-(10**17)))
    fill(server, name, rows)
    server.sql(f"ALTER TABLE silver.{name} ADD COLUMN texts INTEGER")
    server.sql(f"ALTER TABLE silver.{name} ADD COLUMN _row_extra STRUCT(a BLOB, b DATE)")
    server.sql(f"UPDATE silver.{name} SET texts = position, _row_extra = {{'a': '\\xFF', 'b': DATE '12026-01-31'}}")
    query = f"FROM silver.{name} ORDER BY sample_id, position, modality"
    for format in ("webdataset", "parquet", "arrow", "lance"):
        done = export(server, query=query, format=format, destination=f"gold.{name}_{format}", verify=True)
        assert done["rows"] == len(rows)
    tar, parquet, arrow, lance = (
        {"export": f"gold.{name}_{format}"} for format in ("webdataset", "parquet", "arrow", "lance")
    )
    pairs = [(tar, parquet), (arrow, tar), (parquet, arrow), (lance, tar), (parquet, lance), (tar, {"query": query})]
    for one, two in pairs:
        assert verified(server, one, two) == len(rows)
    # What a reader in Python makes of the samples is what the table holds, column by column.
    (listed,) = server.result("exports", {"name": f"gold.{name}_webdataset"})["exports"]
    back = [made for sample in samples(server, listed) for made in as_rows(sample)]
    columns = ["sample_id", "position", "modality", "content_type", "text_content", "binary_content", "source_ref",
               "materialize_error", "metadata_json", "nv_width", "match_status", "tags", "texts"]  # fmt: skip
    expected = server.sql(f"SELECT {', '.join(columns)} FROM ({query})")
    assert [tuple(made[column] for column in columns) for made in back] == [tuple(it) for it in expected]


def test_keys_that_would_collide_are_kept_apart(server, name):
    ids = ["a.b", "a_b-" + hashlib.sha256(b"a.b").hexdigest()[:16], "a_b", "a/b", "a b", "A.b", "ä", "", "x" * 300 + "1", "x" * 300 + "2", "-", "__m__"]
    fill(server, name, [row(sample, 0, "text", text_content=sample) for sample in ids])
    result = export(server, table=f"silver.{name}", format="webdataset", verify=True)
    found = samples(server, result)
    assert sorted(json.loads(sample["json"])["sample_id"] for sample in found) == sorted(ids)
    assert len({sample["__key__"] for sample in found}) == len(ids)
    with tarfile.open(folder(server, result) / result["files"][0]["path"]) as tar:
        members = tar.getmembers()
    assert {(member.mtime, member.mode, member.type) for member in members} == {(0, 0o444, tarfile.REGTYPE)}


def test_the_same_rows_make_the_same_shards_of_whole_samples(server, name):
    rows = []
    for number in range(40):
        for position in range(3):
            rows.append(row(f"s{number:03}", position, "image", binary_content=bytes([number]) * 50_000))
    fill(server, name, rows)
    request = {"table": f"silver.{name}", "format": "webdataset", "shard_bytes": 1 << 20}
    first, second = export(server, **request), export(server, **request)
    assert [file["sha256"] for file in first["files"]] == [file["sha256"] for file in second["files"]]
    assert len(first["files"]) > 3 and sum(file["rows"] for file in first["files"]) == 120
    assert [file["path"] for file in first["files"]][:2] == ["shard-00000.tar", "shard-00001.tar"]
    assert all(file["rows"] % 3 == 0 for file in first["files"])
    assert len(samples(server, first)) == 40
    assert verified(server, {"export": f"silver.{name}"}) == 120


def test_rows_of_other_tables_are_samples_by_themselves(server, name, tmp_path):
    server.sql(f"CREATE TABLE silver.{name} (img BLOB, txt VARCHAR, cls BIGINT, note VARCHAR, extra BLOB)")
    with server.adbc() as connection, connection.cursor() as cursor:
        for number in range(8):
            picture = image(20 + number, 10, "PNG")
            values = [picture, f"caption {number}", number, None if number == 3 else f"n{number}", b"\1\2"]
            cursor.execute(f"INSERT INTO silver.{name} VALUES (?, ?, ?, ?, ?)", values)
    query = f"FROM silver.{name} ORDER BY cls"
    result = export(server, query=query, format="webdataset", destination=f"gold.{name}", verify=True)
    found = samples(server, result)
    assert [sample["__key__"] for sample in found] == [f"{number:09}" for number in range(8)]
    assert set(found[0]) >= {"img.png", "txt", "cls", "json", "extra"}
    assert found[5]["txt"] == b"caption 5" and found[5]["cls"] == b"5"
    assert json.loads(found[3]["json"]) == {"note": None}
    url = str(folder(server, result) / "shard-00000.tar")
    decoded = next(iter(webdataset.WebDataset(url, shardshuffle=False).decode("pil")))
    assert decoded["img.png"].size == (20, 10) and decoded["cls"] == 0
    loaded = datasets.load_dataset("webdataset", data_files=url, split="train", cache_dir=str(tmp_path))
    assert loaded[7]["img.png"].size == (27, 10) and loaded[7]["json"] == {"note": "n7"}


def test_values_of_all_types_are_kept_as_json(server, name):
    server.sql(ALL_TYPES.format(name=f"silver.{name}"))
    server.sql(f"INSERT INTO silver.{name} (f8, f4, d, ts) VALUES ('-inf', 'nan', DATE '-0044-03-15', 'infinity')")
    server.sql(f"INSERT INTO silver.{name} (f8, f4, d, tz) VALUES (-0.0, 3.4e38, 'infinity', '290000-01-01')")
    server.sql(f"INSERT INTO silver.{name} (f8, t) SELECT 'inf'::DOUBLE - 'inf'::DOUBLE, TIME '24:00:00'")
    result = export(server, table=f"silver.{name}", format="webdataset", verify=True)
    assert result["rows"] == 5


def test_no_rows_and_no_columns_but_blobs(server, name):
    fill(server, name, documents(1))
    server.sql(f"DELETE FROM silver.{name}")
    result = export(server, table=f"silver.{name}", format="webdataset", verify=True)
    assert result["rows"] == 0 and samples(server, result) == []
    query = "SELECT NULL::BLOB AS a UNION ALL SELECT ''::BLOB UNION ALL SELECT '\\x00'::BLOB"
    assert export(server, query=query, format="webdataset", verify=True)["rows"] == 3


@pytest.mark.parametrize(
    "query, words",
    [
        ("SELECT MAP {1: 'a'} AS m", r"type of column \"?m.*converts"),
        ("SELECT ''::BLOB AS \"a/b\"", "cannot name members"),
        ("SELECT ''::BLOB AS a, ''::BLOB AS \"a.b\"", "rename one"),
        ("SELECT '{}' AS json, ''::BLOB AS \"row.json\", 1 AS n", "rename one"),
        ("SELECT ''::BLOB AS __url__", "cannot name members"),
        ("SELECT row(1, 2) AS r", "STRUCT"),
        ("SELECT NULL::VARCHAR AS __key__, 1 AS x", "has no __key__"),
        ("SELECT 'k' AS __key__, range AS x FROM range(2)", "follow each other"),
        ("SELECT 's' AS sample_id, 'x' AS position, 'text' AS modality", "position must be INTEGER"),
        ("SELECT 's' AS sample_id, -2 AS position, 'text' AS modality", "position -2"),
        ("SELECT 's' AS sample_id, 5000000 AS position, 'text' AS modality", "position 5000000"),
        ("SELECT 's' AS sample_id, NULL::INTEGER AS position, 'text' AS modality", "position is NULL"),
        (
            "SELECT unnest(['a', 'b', 'a']) AS sample_id, 0 AS position, 'text' AS modality",
            'sample "a" are not next to each other.*ORDER BY',
        ),
        ("SELECT 1::VARIANT AS v", "VARIANT"),
    ],
)
def test_what_is_no_sample_is_said_and_nothing_is_left(server, name, query, words):
    request = {"query": query, "format": "webdataset", "destination": f"gold.{name}"}
    with pytest.raises(pyarrow.lib.ArrowInvalid, match=words):
        server.action("export", request)
    assert server.result("exports", {"name": f"gold.{name}", "all": True})["exports"] == []


def referring(server, name):
    """A table whose images are elsewhere: in a landed tar file, of which the places of its members are known."""
    source = server.home.parent / f"{name}_source"
    source.mkdir()
    pictures = {f"{number}.png": image(30 + number, 20, "PNG") for number in range(4)}
    with tarfile.open(source / "shard.tar", "w") as tar:
        for member, content in pictures.items():
            info = tarfile.TarInfo(member)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    server.result("ingest", {"source": source.as_uri(), "dataset": name, "table": f"raw.{name}"})
    (tar_file,) = server.store.glob(f"raw/{name}/*/*/shard.tar")
    uri = f"{server.store.as_uri()}/{tar_file.relative_to(server.store)}"
    with tarfile.open(tar_file) as tar:
        places = {it.name: (it.offset_data, it.size) for it in tar.getmembers()}
    return uri, pictures, places


def ref(path, **places):
    return json.dumps({"path": path, "member": None, "byte_offset": None, "byte_size": None} | places)


def test_bytes_are_fetched_by_reference(launch, name):
    server = launch()
    uri, pictures, places = referring(server, name)
    rows = []
    for number in range(200):
        member = f"{number % 4}.png"
        offset, size = places[member]
        forms = [ref(uri, member=member), ref(uri, member=member, byte_offset=offset, byte_size=size), ref(uri), None]
        for position, form in enumerate(forms):
            rows.append(row(f"s{number:03}", position, "image", source_ref=form, materialize_error="old"))
    fill(server, name, rows)
    whole = (server.store / uri[uri.index("/raw/") + 1 :]).read_bytes()
    for format in ("parquet", "webdataset", "arrow"):
        result = export(
            server, table=f"silver.{name}", format=format, materialize="error", destination=f"gold.{format}", verify=True
        )
        assert result["rows"] == 800 and result["verified"]
    record = server.result("exports", {"name": "gold.parquet"})["exports"][0]
    read = pyarrow.parquet.read_table(folder(server, record) / "shard-00000.parquet").to_pylist()
    for number, found in enumerate(read):
        picture = pictures[f"{number // 4 % 4}.png"]
        assert found["binary_content"] == [picture, picture, whole, None][number % 4]
        assert found["materialize_error"] == ("old" if number % 4 == 3 else None)
    assert verified(server, {"export": "gold.webdataset"}, {"export": "gold.parquet"}) == 800


def test_missing_bytes_are_treated_as_asked(launch, name):
    server = launch()
    uri, pictures, places = referring(server, name)
    offset, size = places["1.png"]
    whole = (server.store / uri[uri.index("/raw/") + 1 :]).stat().st_size
    wrong = {
        ref(uri + "x"): "failed to read path.*does not exist",
        ref(uri, member="9.png"): "missing member '9.png'",
        ref(uri, byte_offset=whole - 5, byte_size=6): "range read error.*ends before",
        ref("file:///etc/passwd"): "not the URI of an asset",
        ref(None, member="x"): "missing path",
        ref(uri, frame_index=2): "failed to extract frame 2",
        "no json": "invalid source_ref",
    }
    rows = [row("good", 0, "image", source_ref=ref(uri, byte_offset=offset, byte_size=size))]
    for number, reference in enumerate(wrong):
        rows.append(row(f"wrong{number}", 0, "text", text_content="stays"))
        rows.append(row(f"wrong{number}", 1, "image", source_ref=reference))
    fill(server, name, rows)
    request = {"table": f"silver.{name}", "format": "parquet"}
    with pytest.raises(pyarrow.lib.ArrowInvalid, match=f"precondition.*{len(wrong)} of 8 rows.*wrong0.*position 1.*drop_sample"):
        server.action("export", request | {"materialize": "error"})
    assert server.result("exports", {"name": f"silver.{name}", "all": True})["exports"] == []

    def exported(policy):
        result = export(server, **request, materialize=policy, verify=True)
        return pyarrow.parquet.read_table(folder(server, result) / "shard-00000.parquet").to_pylist()

    kept = exported("warn")
    assert len(kept) == len(rows) and kept[0]["binary_content"] == pictures["1.png"]
    errors = [it["materialize_error"] for it in kept if it["materialize_error"]]
    for error, words in zip(errors, wrong.values(), strict=True):
        assert re.search(words, error), (error, words)
    assert [it["modality"] for it in exported("drop_row")] == ["image"] + ["text"] * len(wrong)
    assert [it["sample_id"] for it in exported("drop_sample")] == ["good"]
    with pytest.raises(pyarrow.lib.ArrowInvalid, match="interleaved samples"):
        server.action("export", {"query": "SELECT 1 AS x", "materialize": "warn"})
    with pytest.raises(pyarrow.lib.ArrowInvalid, match="do not hold bytes"):
        server.action("export", {"query": "SELECT 1 AS x", "format": "csv", "materialize": "warn"})


def test_images_are_decoded_by_verify(server, name):
    rows = [*documents(6), row("y", 0, "audio", binary_content=b"BMW 320d")]
    rows.append(row("z", 0, "image", binary_content=image(40, 30, "WEBP")))
    fill(server, name, rows)
    export(server, table=f"silver.{name}", format="webdataset")
    body = {"left": {"export": f"silver.{name}"}, "decode_images": True}
    assert server.result("verify", body) == {"equal": True, "rows": 38, "differences": [], "images": 7}
    broken = image(50, 50, "PNG")[:-40]
    fill(server, f"{name}_broken", [*rows, row("zz", 3, "image", binary_content=broken)])
    export(server, table=f"silver.{name}_broken", format="parquet")
    found = server.result("verify", body | {"left": {"export": f"silver.{name}_broken"}})
    (difference,) = found["differences"]
    assert (difference["row"], difference["column"], found["images"]) == (38, "binary_content", 7)
    assert "cannot be decoded" in difference["left"]
    done = harness.run("verify", f"silver.{name}", "--decode-images", "--url", server.uri)
    assert done.stdout == "38 rows are equal, 7 images decode\n", done.stdout


def test_a_changed_shard_is_data_loss(server, name):
    fill(server, name, documents(3))
    result = export(server, table=f"silver.{name}", format="webdataset")
    file = folder(server, result) / "shard-00000.tar"
    file.chmod(0o644)
    content = bytearray(file.read_bytes())
    content[content.index(b"text 1")] ^= 1
    file.write_bytes(content)
    with pytest.raises(pyarrow.flight.FlightError, match="data loss.*is not what was exported"):
        server.action("verify", {"left": {"export": f"silver.{name}"}})


def test_samples_on_the_command_line(server, name):
    fill(server, name, documents(2))
    done = harness.run(
        "export", f"silver.{name}", "--format", "webdataset", "--materialize", "warn", "--verify", "--url", server.uri
    )
    assert done.returncode == 0, done.stderr
    assert "12 rows of snapshot" in done.stdout and "read back and equal" in done.stdout
    assert "shard-00000.tar" in done.stdout
