"""Every DuckDB type with an Arrow equivalent round-trips by SELECT; ADBC itself compares the announced with the sent
columns."""

import datetime
import decimal

import pytest

UTC = datetime.timezone.utc
SELECTED = {
    "true": True,
    "1::TINYINT": 1,
    "1::UBIGINT": 1,
    "1::HUGEINT": decimal.Decimal(1),
    "1.5::DECIMAL(38, 10)": decimal.Decimal("1.5"),
    "0.5::FLOAT": 0.5,
    "''": "",
    "'ä'": "ä",
    "'x'::BLOB": b"x",
    "DATE '2020-01-02'": datetime.date(2020, 1, 2),
    "TIME '01:02:03'": datetime.time(1, 2, 3),
    "TIMESTAMP '2020-01-02 03:04:05'": datetime.datetime(2020, 1, 2, 3, 4, 5),
    "TIMESTAMP_S '2020-01-02'": datetime.datetime(2020, 1, 2),
    "TIMESTAMPTZ '2020-01-02 03:04:05+02'": datetime.datetime(2020, 1, 2, 1, 4, 5, tzinfo=UTC),
    "'{}'::JSON": "{}",
    "'977fb511-ac85-4049-9cb6-7cac82cf5efa'::UUID": "977fb511-ac85-4049-9cb6-7cac82cf5efa",
    "'a'::ENUM('a', 'b')": "a",
    "['a'::ENUM('a', 'b')]": ["a"],
    "{'x': 'b'::ENUM('a', 'b')}": {"x": "b"},
    "[1, NULL]": [1, None],
    "[1, 2]::INTEGER[2]": [1, 2],
    "{'a': 1, 'b': [1.5]}": {"a": 1, "b": [decimal.Decimal("1.5")]},
    "MAP {'a': 1}": [("a", 1)],
    "NULL": None,
}


@pytest.mark.parametrize("expression", SELECTED)
def test_a_value_comes_back_as_it_is(server, expression):
    with server.adbc() as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT {expression} AS v")
        assert cursor.fetch_arrow_table().column("v").to_pylist() == [SELECTED[expression]]
