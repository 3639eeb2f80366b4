"""Ingest of CSV and JSON files: rows out are records in, columns out are the union of keys, or file and line are named."""

import csv
import datetime
import decimal
import gzip
import io
import json
import math
import random

import pyarrow
import pytest

import harness

Decimal = decimal.Decimal


@pytest.fixture
def ingest(server, tmp_path, name):
    """Ingests files by name and content; returns the rows of the table."""

    def run(files, table=None, **options):
        folder = tmp_path / "source"
        folder.mkdir(exist_ok=True)
        for file, content in files.items():
            (folder / file).write_bytes(content if isinstance(content, bytes) else content.encode())
        source = folder if len(files) > 1 else folder / next(iter(files))
        request = {"source": source.as_uri(), "dataset": name, "table": table or f"raw.{name}", **options}
        result = server.result("ingest", request)
        rows = server.sql(f"FROM raw.{name}")
        assert result["tables"][0]["rows_read"] == len(rows) or options.get("mode") == "append"
        return rows

    return run


def columns(server, name):
    return dict(server.sql(f"SELECT column_name, column_type FROM (DESCRIBE raw.{name})"))


def refused(ingest, files, message, **options):
    with pytest.raises(pyarrow.ArrowInvalid, match=message):
        ingest(files, **options)


# === CSV: records and fields ===


def test_the_whole_file_decides(ingest, server, name):
    assert ingest({"a.csv": "c0\nv0\na;b\n"}) == [("v0",), ("a;b",)]
    assert columns(server, name) == {"c0": "VARCHAR"}


def test_a_delimiter_in_the_last_line_is_text(ingest):
    lines = ["name", *(f"n{n}" for n in range(50)), "left; right"]
    assert ingest({"a.csv": "\n".join(lines)}) == [(line,) for line in lines[1:]]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters(ingest, delimiter):
    text = "a,b\n1,x\n2,y\n".replace(",", delimiter)
    assert ingest({"a.csv": text}) == [(1, "x"), (2, "y")]


def test_a_decimal_comma_is_no_delimiter(ingest):
    assert ingest({"a.csv": "a;b\n1,5;2\n2,5;3\n"}) == [("1,5", 2), ("2,5", 3)]


def test_a_hash_begins_a_row_unless_it_is_said_otherwise(ingest):
    text = "a,b\n1,x\n#2,y\n"
    assert ingest({"a.csv": text}) == [("1", "x"), ("#2", "y")]
    assert ingest({"a.csv": text}, mode="replace", comment="#") == [(1, "x")]


def test_quotes_line_breaks_and_escapes(ingest):
    assert ingest({"a.csv": 'a,b\r\n"x, ""y""\r\nz",1\r\n5" pipe,2\r\n'}) == [('x, "y"\r\nz', 1), ('5" pipe', 2)]
    assert ingest({"a.csv": 'a,b\n"x \\"y\\"",1\n'}, mode="replace") == [('x "y"', 1)]
    assert ingest({"a.csv": "a,b\n'x,y',1\n"}, mode="replace", quote="'") == [("x,y", 1)]
    assert ingest({"a.csv": 'a,b\n"x,1\n'}, mode="replace", quote="") == [('"x', 1)]


def test_an_empty_text_is_not_null(ingest):
    assert ingest({"a.csv": 'a,b\n"",1\n,2\nx,""\n'}) == [("", 1), (None, 2), ("x", None)]


def test_texts_for_null(ingest, server, name):
    late = "a,b\n" + "1,2\n" * 30_000 + "N/A,3\n"
    assert ingest({"a.csv": late})[-1] == ("N/A", 3)
    assert ingest({"a.csv": late}, mode="replace", null_strings=["N/A"])[-1] == (None, 3)
    assert columns(server, name) == {"a": "BIGINT", "b": "BIGINT"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n3\n4,5\n", r'"a.csv", line 3: it has 1 field, the first record has 2'),
        ("a,b\n1,2\n\n3,4,5\n", r"line 4: it has 3 fields"),
        ('a,b\n"x"y,1\n', "line 2: text follows the closing quote"),
        ('a,b\n1,2\n"x,1\n3,4\n', "line 3: a quoted field is not closed"),
        ("Title\n\na,b\n1,2\n3,4\n", 'line 1: it has 1 field, most records have 2.*"skip"'),
        (b"a,b\ncaf\xe9,1\n", 'line 2: it is not UTF-8.*"encoding"'),
        ("a,b\n1,2\n".encode("utf-16-le"), "set \"encoding\": \"utf-16le\""),
        ("", "is empty"),
        ("\n\n", "no records"),
    ],
)
def test_a_record_that_would_be_lost_is_named(ingest, server, name, text, message):
    refused(ingest, {"a.csv": text}, message)
    assert server.scalar(f"SELECT count(*) FROM duckdb_tables() WHERE table_name = '{name}'") == 0


def test_options_for_records_that_differ(ingest):
    assert ingest({"a.csv": "a,b\n1,2\n3\n"}, null_padding=True) == [(1, 2), (3, None)]
    assert ingest({"a.csv": "Title\n\na,b\n1,2\n"}, mode="replace", skip=2) == [(1, 2)]
    assert ingest({"a.csv": "text\nx,y\nz,w\n"}, mode="replace", delimiter="") == [("x,y",), ("z,w",)]


def test_encodings(ingest):
    text = "a,b\ncafé,1\n"
    for encoding, said in [("latin-1", "latin1"), ("utf-16", None), ("utf-16-be", "utf-16be"), ("utf-8-sig", None)]:
        options = {"encoding": said} if said else {}
        assert ingest({"a.csv": text.encode(encoding)}, mode="replace", **options) == [("café", 1)]


def test_compressed_members_are_all_read(ingest):
    packed = gzip.compress(b"a\n1\n") + gzip.compress(b"2\n")
    assert ingest({"a.csv.gz": packed}) == [(1,), (2,)]


def test_headers(ingest, server, name):
    assert ingest({"a.csv": "1,a\n2,b\n"}) == [(1, "a"), (2, "b")]
    assert list(columns(server, name)) == ["column0", "column1"]
    assert ingest({"a.csv": "x,y\nz,w\n"}, mode="replace", header=False) == [("x", "y"), ("z", "w")]
    assert ingest({"a.csv": "1,2\n3,4\n"}, mode="replace", header=True) == [(3, 4)]
    ingest({"a.csv": "a,,A\n1,2,3\n"}, mode="replace")
    assert list(columns(server, name)) == ["a", "column1", "A_1"]


def test_files_with_other_columns_are_joined_by_name(ingest, server, name):
    assert ingest({"a.csv": "a,b\n1,2\n", "b.csv": "c;B\n3.5;x\n"}) == [(1, "2", None), (None, "x", 3.5)]


def test_generated_files_come_back(ingest, rng):
    texts = ["", "a", "x,y", 'q"uote', "l\nf", "\r\n", "#", "1", "007", "é🦆", " ", "NULL", "a;b", "\\"]
    for _ in range(10):
        width = rng.randint(2, 5)
        rows = [[rng.choice(texts) for _ in range(width)] for _ in range(rng.randint(1, 40))]
        out = io.StringIO()
        writer = csv.writer(out, quoting=rng.choice([csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]), lineterminator="\n")
        writer.writerow([f"c{n}" for n in range(width)])
        writer.writerows(rows)
        assert ingest({"a.csv": out.getvalue()}, mode="replace", all_text=True) == [tuple(row) for row in rows]


@pytest.fixture
def rng(request):
    return random.Random(request.config.getoption("seed"))


# === CSV: types ===

VALUES = [
    ("BIGINT", ["1", "-9223372036854"], [1, -9223372036854]),
    ("DECIMAL(38,0)", ["1", "18446744073709551616"], [Decimal(1), Decimal(2**64)]),
    ("DOUBLE", ["1", "2.5", "-1e-3"], [1.0, 2.5, -0.001]),
    ("VARCHAR", ["9007199254740993", "0.5"], ["9007199254740993", "0.5"]),
    ("VARCHAR", ["007", "8"], ["007", "8"]),
    ("VARCHAR", ["1" * 39], ["1" * 39]),
    ("BOOLEAN", ["true", "FALSE"], [True, False]),
    ("VARCHAR", ["true", "0"], ["true", "0"]),
    ("DATE", ["2024-02-29"], [datetime.date(2024, 2, 29)]),
    ("VARCHAR", ["2023-02-29"], ["2023-02-29"]),
    ("VARCHAR", ["01/02/2024"], ["01/02/2024"]),
    ("TIMESTAMP", ["2024-02-29T10:11:12.5"], [datetime.datetime(2024, 2, 29, 10, 11, 12, 500_000)]),
    ("TIME", ["10:11:12"], [datetime.time(10, 11, 12)]),
]


@pytest.mark.parametrize(("data_type", "texts", "values"), VALUES, ids=lambda value: str(value)[:30])
def test_a_type_is_chosen_if_it_has_all_values(ingest, server, name, data_type, texts, values):
    assert ingest({"a.csv": "\n".join(["name,v", *(f"x,{text}" for text in texts)])}) == [("x", v) for v in values]
    assert columns(server, name)["v"] == data_type


def test_types_can_be_demanded(ingest, server, name):
    text = "a,b,c\n1,2,3\n"
    ingest({"a.csv": text}, types={"A": "DECIMAL(10,2)", "b": "VARCHAR"}, all_text=True)
    assert columns(server, name) == {"a": "DECIMAL(10,2)", "b": "VARCHAR", "c": "VARCHAR"}
    refused(ingest, {"a.csv": "a,b,c\n1,2,3\nx,2,3\n"}, 'line 3: the value "x" of column "a"', mode="replace", types={"a": "INT"})
    refused(ingest, {"a.csv": text}, 'no column "z"', types={"z": "INT"})
    refused(ingest, {"a.csv": text}, "is not a type", types={"a": "INT), (SELECT 1"})


def test_a_later_file_must_fit_the_table(ingest):
    ingest({"a.csv": "a,b\n1,x\n"})
    refused(ingest, {"a.csv": "a,b\n2,y\nN/A,z\n"}, 'line 3: the value "N/A" of column "a" is not BIGINT')
    assert ingest({"a.csv": "a,b\n2,007\n"}, mode="append") == [(1, "x"), (2, "007")]


# === JSON ===


def test_a_key_that_comes_late_is_a_column(ingest):
    rows = ingest({"a.jsonl": '{"a":1}\n' * 30_000 + '{"a":1,"b":2}\n'})
    assert rows[0] == (1, None) and rows[-1] == (1, 2) and len(rows) == 30_001


@pytest.mark.parametrize("text", ['[{"id":1},{"id":2}]', '{"id":1}\n{"id":2}', '{"id":\n1}{"id":2}'])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_forms_of_json(ingest, text, encoding):
    assert ingest({"a.json": text.encode(encoding)}) == [(1,), (2,)]


def test_json_types(ingest, server, name):
    record = {
        "i": 2**64, "d": "2024-02-29", "t": "2024-02-29T10:00:00Z", "s": {"x": [1, 2.5]}, "m": 1, "n": None, "z": "a\0b",
        "f": float("nan"), "l": [{"k": 1}, {"j": "x"}],
    }  # fmt: skip
    rows = ingest({"a.jsonl": f'{json.dumps(record)}\n{{"m": "x", "i": 1}}'})
    types = columns(server, name)
    assert (types["i"], types["d"], types["t"]) == ("DECIMAL(38,0)", "DATE", "TIMESTAMP WITH TIME ZONE")
    assert (types["s"], types["l"]) == ("STRUCT(x DOUBLE[])", "STRUCT(k BIGINT, j VARCHAR)[]")
    first = dict(zip(types, rows[0], strict=True))
    assert first["i"] == Decimal(2**64) and rows[1][0] == 1
    assert first["s"] == {"x": [1.0, 2.5]} and first["z"] == "a\0b" and math.isnan(first["f"])
    assert [row[list(types).index("m")] for row in rows] == ["1", '"x"']


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("a.jsonl", '{"a":1}\n{"a":\n{"a":2}\n', 'line 2: it is not JSON'),
        ("a.json", '[{"a":1},', "line 1: the array does not end"),
        ("a.json", '[{"a":1}\n{"a":2}]', "line 2: expected a comma"),
        ("a.jsonl", '{"a":1}\n[1]\n', "line 2: it is not an object"),
        ("a.jsonl", '{"a":1,"a":2}\n', 'line 1: an object has the key "a" twice'),
        ("a.jsonl", '{"a":1}\n{"A":2}\n', "only in case"),
        ("a.jsonl", b'{"a":"\xff"}\n', "line 1: it is not JSON"),
        ("a.json", "[" * 60_000 + "]" * 60_000, "line 1: it is nested deeper than 1000"),
        ("a.json", "[]", "no records"),
    ],
)
def test_a_json_record_that_would_be_lost_is_named(ingest, file, text, message):
    refused(ingest, {file: text}, message)


def test_options_of_csv_are_not_for_json(ingest):
    refused(ingest, {"a.json": "[{}]"}, '"delimiter" is for CSV', delimiter=";")


# === rejects ===


def test_rejects_of_csv(ingest, server, name):
    text = 'a,b\n1,2\n3\n4,x\n"a"b,1\n5,6\n'
    assert ingest({"a.csv": text}, rejects=True, types={"b": "INT"}) == [(1, 2), (5, 6)]
    assert server.sql(f"FROM raw.{name}_rejects ORDER BY line") == [
        ("a.csv", 3, None, "it has 1 field, the first record has 2", "3"),
        ("a.csv", 4, "b", "the value is not INTEGER", "4,x"),
        ("a.csv", 5, None, "text follows the closing quote of a field", "ab,1"),
    ]


def test_rejects_of_json(ingest, server, name):
    text = '{"a":1}\n{"a":\n{"a":"x"}\n[1]\n{"a":2}\n'
    ingest({"a.jsonl": text}, rejects=True, types={"a": "INT"})
    assert server.sql(f"FROM raw.{name}") == [(1,), (2,)]
    found = server.sql(f"SELECT line, \"column\", record FROM raw.{name}_rejects ORDER BY line")
    assert found == [(2, None, '{"a":'), (3, "a", '{"a":"x"}'), (4, None, "[1]")]


def test_without_faults_the_rejects_are_an_empty_table(ingest, server, name):
    ingest({"a.csv": "a,b\n1,2\n"}, rejects=True)
    assert server.sql(f"FROM raw.{name}_rejects") == []


# === the same in SQL and on the command line ===


def test_options_in_call_and_on_the_command_line(server, tmp_path, name):
    file = tmp_path / "a.csv"
    file.write_text("1;x\n2;N/A\n")
    server.sql(
        f"CALL merganser.ingest('{file.as_uri()}', '{name}_sql', delimiter => ';', header => false, "
        "null_strings => ['N/A'], types => {'column0': 'VARCHAR'})"
    )
    assert server.sql(f"FROM raw.{name}_sql") == [("1", "x"), ("2", None)]
    shown = harness.run(
        "ingest", file, "--url", server.uri, "--dataset", f"{name}_cli", "--delimiter", ";", "--header", "false",
        "--null-string", "N/A", "--type", "column0=VARCHAR",
    )  # fmt: skip
    assert shown.returncode == 0, shown.stderr
    assert server.sql(f"FROM raw.{name}_cli") == [("1", "x"), ("2", None)]


# === small inputs that were read wrongly once ===


@pytest.mark.parametrize(
    ("file", "rows"), [("three.csv", 2), ("semi_last.csv", 51), ("late.jsonl", 30_001), ("bom.json", 1), ("fn1.parquet", 1)]
)
def test_inputs_from_the_field(server, shared_data, name, file, rows):
    result = server.result("ingest", {"source": (shared_data / "field" / file).as_uri(), "dataset": name})
    assert result["rows_read"] == rows
    assert server.scalar(f"SELECT count(*) FROM raw.{name}") == rows
