"""What is stored equals what is read: every type of docs/types.md at its extremes, alone and nested, by every way of
writing, beside the values that DuckDB has in this process."""

import adbc_driver_manager
import duckdb
import pytest

import harness

# Values of the types that are stored as they are.
KEPT = {
    "BOOLEAN": ["true", "false"],
    "TINYINT": ["-128", "127"],
    "SMALLINT": ["-32768", "32767"],
    "INTEGER": ["-2147483648", "2147483647"],
    "BIGINT": ["-9223372036854775808", "9223372036854775807"],
    "UTINYINT": ["0", "255"],
    "USMALLINT": ["0", "65535"],
    "UINTEGER": ["0", "4294967295"],
    "UBIGINT": ["0", "18446744073709551615"],
    "FLOAT": ["'3.4028235e38'", "'-3.4028235e38'", "'1e-45'", "'nan'", "'inf'", "'-inf'", "'-0.0'", "16777217"],
    "DOUBLE": ["'1.7976931348623157e308'", "'5e-324'", "'nan'", "'inf'", "'-inf'", "'-0.0'", "0.1"],
    "DECIMAL(4,1)": ["-999.9", "999.9"],
    "DECIMAL(9,0)": ["-999999999", "999999999"],
    "DECIMAL(18,6)": ["-999999999999.999999", "999999999999.999999"],
    "DECIMAL(38,0)": ["'-" + "9" * 38 + "'", "'" + "9" * 38 + "'"],
    "DECIMAL(38,38)": ["'-0." + "9" * 38 + "'", "'0." + "0" * 37 + "1'"],
    "VARCHAR": ["''", "'ä𝄞'", "chr(0) || 'b'", "repeat('x', 5000)", "' NULL '"],
    "BLOB": ["''", r"'\x00\xFF'", r"'\x5Cx41'"],
    "UUID": ["'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"],
    "JSON": ["'null'", """'{"a": [1, 9223372036854775808, 1e400]}'"""],
    "DATE": ["'5877642-06-25 (BC)'", "'5881580-07-10'", "'infinity'", "'-infinity'", "'0000-01-01'", "'1582-10-10'"],
    "TIME": ["'00:00:00'", "'23:59:59.999999'", "'24:00:00'"],
    "TIMESTAMP": ["'290309-12-22 (BC) 00:00:00'", "'294247-01-10 04:00:54.775806'", "'infinity'", "'-infinity'"],
    "TIMESTAMP_S": ["'290309-12-22 (BC) 00:00:00'", "'294247-01-10 04:00:54'", "'1969-12-31 23:59:59'"],
    "TIMESTAMP_MS": ["'290309-12-22 (BC) 00:00:00'", "'294247-01-10 04:00:54.775'", "'1969-12-31 23:59:59.999'"],
    "TIMESTAMP_NS": ["'1677-09-22 00:00:00'", "'2262-04-11 23:47:16.854775806'", "'1969-12-31 23:59:59.999999999'"],
    "TIMESTAMPTZ": ["'290309-12-22 (BC) 00:00:00+00'", "'294247-01-10 04:00:54.775806+00'", "'infinity'", "'-infinity'"],
}
# Values of those that are stored as others, and these.
REPLACED = {
    "HUGEINT": (["'-" + "9" * 38 + "'", "'" + "9" * 38 + "'", "9007199254740993"], "DECIMAL(38,0)"),
    "UHUGEINT": (["0", "'" + "9" * 38 + "'"], "DECIMAL(38,0)"),
    "ENUM('a', 'b''c')": (["'a'", "'b''c'"], "VARCHAR"),
    "FLOAT[2]": (["['1', 'nan']", "[NULL, '-0.0']"], "FLOAT[]"),
}
REFUSED = {
    "INTERVAL": "'1 month -1 day 1 microsecond'",
    "TIMETZ": "'10:00:00+02'",
    "TIME_NS": "'10:00:00.000000001'",
    "BIT": "'101'",
    "BIGNUM": "1",
    "UNION(i INTEGER, s VARCHAR)": "1",
}
# How a value comes in a column: an expression and its type.
NESTED = {
    "alone": ("{0}", "{0}"),
    "list": ("[{0}, NULL]", "{0}[]"),
    "struct": ("{{'f': {0}, 'g': [{0}]}}", "STRUCT(f {0}, g {0}[])"),
    "map": ("MAP {{'k': {0}}}", "MAP(VARCHAR, {0})"),
    "key": ("MAP {{{0}: 'v'}}", "MAP({0}, VARCHAR)"),
}
CASES = [(kind, values, kind) for kind, values in KEPT.items()] + [(k, v, stored) for k, (v, stored) in REPLACED.items()]
ROWS = max(len(values) for _, values, _ in CASES)


def query(shape, cases):
    """A query with a column for each type, a row for each of their values, and a row of NULLs."""
    form, nested = NESTED[shape]

    def cell(kind, values, row):
        value = form.format(f"({values[row]})::{kind}") if row < len(values) else "NULL"
        return f"{value}::{nested.format(kind)}"

    rows = range(ROWS + 1)
    cells = [[f"{row} AS i", *(f"{cell(k, v, row)} AS c{n}" for n, (k, v, _) in enumerate(cases))] for row in rows]
    return " UNION ALL ".join(f"SELECT {', '.join(row)}" for row in cells)


def texts(source, cases):
    """A query of the types of the columns, and of their values as texts."""
    columns = (f"typeof(c{n}), c{n}::VARCHAR" for n in range(len(cases)))
    return f"SELECT {', '.join(columns)} FROM {source} ORDER BY i"


def of_models(shape):
    """DuckDB cannot show the tables that a query reads if it has an ENUM in another type."""
    return [case for case in CASES if shape == "alone" or not case[0].startswith("ENUM")]


@pytest.fixture(scope="module")
def reference():
    """DuckDB in this process, without the extension for time zones: UTC."""
    with duckdb.connect() as connection:
        yield connection


def stored(reference, shape, cases=CASES):
    """What has to be read: the values in the types that the lake stores."""
    nested = NESTED[shape][1]
    columns = (f"c{n}::{nested.format(stored)} AS c{n}" for n, (_, _, stored) in enumerate(cases))
    return reference.sql(texts(f"(SELECT i, {', '.join(columns)} FROM ({query(shape, cases)}))", cases)).fetchall()


def check(server, table, expected, cases=CASES):
    rows = server.sql(texts(table, cases))
    for n, (kind, _, _) in enumerate(cases):
        for at in (2 * n, 2 * n + 1):
            assert [row[at] for row in rows] == [row[at] for row in expected], (table, kind)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server whose models are the queries."""
    models = tmp_path_factory.mktemp("models")
    for shape in NESTED:
        (models / f"{shape}.sql").write_text(f"-- model: silver.model_{shape}\n{query(shape, of_models(shape))}")
    server = harness.Server(tmp_path_factory.mktemp("server"), "--models", models)
    try:
        server.start().sql("CREATE TABLE silver.narrow (i INTEGER)")
        yield server
    finally:
        server.discard()


@pytest.fixture(params=NESTED)
def shape(request):
    return request.param


def test_create_table_as(server, reference, shape):
    server.sql(f"CREATE TABLE silver.created_{shape} AS {query(shape, CASES)}")
    check(server, f"silver.created_{shape}", stored(reference, shape))


def test_insert(server, reference, shape):
    columns = (f"c{n} {NESTED[shape][1].format(kind)}" for n, (kind, _, _) in enumerate(CASES))
    server.sql(f"CREATE TABLE silver.inserted_{shape} (i INTEGER, {', '.join(columns)})")
    server.sql(f"INSERT INTO silver.inserted_{shape} {query(shape, CASES)}")
    check(server, f"silver.inserted_{shape}", stored(reference, shape))


def test_bulk_ingest(server, reference, shape):
    """Arrow has no JSON and UUID of its own, so these are texts."""
    rows = reference.sql(query(shape, CASES)).to_arrow_table()
    with server.adbc() as connection, connection.cursor() as cursor:
        cursor.adbc_ingest(f"bulk_{shape}", rows, mode="create", db_schema_name="silver")
    cases = [(kind, values, "VARCHAR" if stored in ("JSON", "UUID") else stored) for kind, values, stored in CASES]
    check(server, f"silver.bulk_{shape}", stored(reference, shape, cases))


def test_models(server, reference, shape):
    for change in ("created", "unchanged"):
        result = server.result("transform", {"select": [f"silver.model_{shape}"]})
        assert [model["change"] for model in result["models"]] == [change]
        check(server, f"silver.model_{shape}", stored(reference, shape, of_models(shape)), of_models(shape))


def test_files(server, reference, shape, tmp_path):
    """Parquet files of DuckDB, which has no 128-bit integers in them either."""
    cases = CASES[: len(KEPT)]
    reference.sql(f"COPY ({query(shape, cases)}) TO '{tmp_path}/a.parquet'")
    server.result("ingest", {"source": f"file://{tmp_path}/a.parquet", "dataset": f"file_{shape}"})
    check(server, f"raw.file_{shape}", reference.sql(texts(f"'{tmp_path}/a.parquet'", cases)).fetchall(), cases)


@pytest.mark.parametrize("kind", REFUSED)
def test_what_would_change_is_refused_before_anything_is_written(server, reference, name, shape, kind):
    value, remedy = f"({REFUSED[kind]})::{kind}", "VARCHAR|STRUCT"
    form, column = NESTED[shape][0].format(value), NESTED[shape][1].format(kind)
    if (shape, kind) == ("list", "UNION(i INTEGER, s VARCHAR)"):
        form = f"[{value}]"
    head = server.head()
    for sql in (
        f"CREATE TABLE silver.{name} AS SELECT {form} AS v",
        f"CREATE TABLE silver.{name} (i INTEGER, v {column})",
        f"ALTER TABLE silver.narrow ADD COLUMN v {column}",
    ):
        with pytest.raises(adbc_driver_manager.Error, match=f'INVALID_ARGUMENT.*column "v".*({remedy})'):
            server.sql(sql)
    assert server.head() == head
    assert server.sql(f"SELECT ({form})::VARCHAR") == reference.sql(f"SELECT ({form})::VARCHAR").fetchall()


def test_tables_of_other_programs_are_read_and_not_written(launch):
    server = launch()
    extension = server.scalar("SELECT install_path FROM duckdb_extensions() WHERE extension_name = 'ducklake'")
    server.stop()
    with duckdb.connect(config={"autoinstall_known_extensions": False}) as other:
        other.execute(f"LOAD '{extension}'")
        other.execute(f"ATTACH 'ducklake:{server.home / 'catalog.ducklake'}' AS lake")
        other.execute("CREATE TABLE lake.silver.h AS SELECT i::HUGEINT AS h, {'f': i::HUGEINT} AS s FROM range(3) t(i)")
        other.execute("CREATE TABLE lake.silver.d AS SELECT INTERVAL '1 day' AS d")
    server.start()
    head = server.head()
    assert server.sql("SELECT h FROM silver.h ORDER BY h") == [(0,), (1,), (2,)]
    for table, column, statement in [
        ("h", '"h" has the type HUGEINT', "INSERT INTO silver.h VALUES (9007199254740993, NULL)"),
        ("h", '"h" has the type HUGEINT', "UPDATE silver.h SET h = h + 1"),
        ("h", '"h" has the type HUGEINT', "MERGE INTO silver.h USING range(3) r(i) ON h = i WHEN MATCHED THEN UPDATE SET h = 1"),
        ("d", '"d"', "INSERT INTO silver.d VALUES (INTERVAL '1200 hours')"),
        ("d", '"d"', "UPDATE silver.d SET d = -d"),
    ]:
        with pytest.raises(adbc_driver_manager.Error, match=f"INVALID_ARGUMENT.*column {column}"):
            server.sql(statement)
    with pytest.raises(adbc_driver_manager.Error, match="CREATE OR REPLACE TABLE h AS FROM h"):
        server.sql("INSERT INTO silver.h VALUES (1, NULL)")
    assert server.head() == head
    server.sql("CREATE OR REPLACE TABLE silver.h AS FROM silver.h")
    server.sql("INSERT INTO silver.h VALUES ('99999999999999999999999999999999999999', NULL)")
    assert server.scalar("SELECT max(h)::VARCHAR FROM silver.h") == "9" * 38
