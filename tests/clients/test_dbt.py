"""dbt with GizmoSQL's adapter: seeds, models of every incremental strategy, snapshots and tests of data."""

import datetime
import shutil

import dbt.cli.main
import pytest

PROFILE = """
lake:
  target: test
  outputs:
    test:
      type: gizmosql
      host: {host}
      port: {port}
      username: ann
      password: secret
      use_encryption: false
      database: lake
      schema: made
      threads: 2
"""
PROJECT = """
name: lake
profile: lake
flags: {send_anonymous_usage_stats: false}
"""
SOURCES = """
sources:
  - name: given
    schema: made
    tables:
      - name: orders
        config: {event_time: ordered_at}
      - name: people
"""


class Project:
    """A project in a folder, whose relations are in a schema of their own."""

    def __init__(self, server, folder):
        self.server, self.folder = server, folder
        host, port = server.uri.removeprefix("grpc://").split(":")
        self.write("profiles.yml", PROFILE.format(host=host, port=port))
        self.write("dbt_project.yml", PROJECT)
        self.write("models/sources.yml", SOURCES)

    def write(self, path, text):
        path = self.folder / path
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def run(self, *arguments):
        """Runs a command of dbt, which may fail, and returns its result."""
        folders = ["--project-dir", str(self.folder), "--profiles-dir", str(self.folder)]
        done = dbt.cli.main.dbtRunner().invoke(["--no-version-check", "--no-use-colors", *arguments, *folders])
        assert done.exception is None, done.exception
        return done.result

    def results(self, *arguments):
        """Runs a command that may fail; returns the results by node."""
        return {result.node.name: result for result in self.run(*arguments)}

    def dbt(self, *arguments):
        """Runs a command that succeeds; returns the results by node."""
        results = self.results(*arguments)
        assert results
        for name, result in results.items():
            assert result.status in ("success", "pass"), f"{name}: {result.message}"
        return results

    def sql(self, text):
        return self.server.sql(text)


@pytest.fixture(scope="module")
def parsed(server, tmp_path_factory):
    """What dbt knows after it has parsed its own macros, which takes longer than most tests."""
    project = Project(server, tmp_path_factory.mktemp("parsed"))
    project.run("parse")
    return project.folder / "target" / "partial_parse.msgpack"


@pytest.fixture
def project(server, parsed, tmp_path, monkeypatch):
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    monkeypatch.chdir(tmp_path)
    project = Project(server, tmp_path)
    (tmp_path / "target").mkdir()
    shutil.copy(parsed, tmp_path / "target")
    server.sql("CREATE SCHEMA made")
    yield project
    server.sql("DROP SCHEMA made CASCADE")


# === seeds and tests of data ===

PEOPLE = 'id,name,city,since\n1,"Ann, A.",Berlin,2024-01-01\n2,Bob,,2024-01-02\n3,ä 🦆,Paris,\n'
CHECKS = """
seeds:
  - name: seeded
    columns:
      - name: id
        data_tests: [unique, not_null]
      - name: city
        data_tests:
          - accepted_values: {arguments: {values: [Berlin, Paris]}}
      - name: id
        data_tests:
          - relationships: {arguments: {to: "source('given', 'people')", field: id}}
"""


def test_a_seed_becomes_a_table(project):
    project.write("seeds/seeded.csv", PEOPLE)
    project.dbt("seed")
    day = datetime.date
    assert project.sql("FROM made.seeded ORDER BY id") == [
        (1, "Ann, A.", "Berlin", day(2024, 1, 1)),
        (2, "Bob", None, day(2024, 1, 2)),
        (3, "ä 🦆", "Paris", None),
    ]
    project.write("seeds/seeded.csv", "id,city\n7,Rome\n")
    project.dbt("seed", "--full-refresh")
    assert project.sql("FROM made.seeded") == [(7, "Rome")]


def test_tests_of_data_count_the_failures(project):
    project.write("seeds/seeded.csv", PEOPLE)
    project.write("models/checks.yml", CHECKS)
    project.write("tests/named.sql", "SELECT * FROM {{ ref('seeded') }} WHERE name IS NULL")
    project.sql("CREATE TABLE made.people AS SELECT i AS id FROM range(1, 4) t(i)")
    project.dbt("seed")
    assert len(project.dbt("test")) == 5

    wrong = "(1, NULL, 'Rome'), (NULL, 'Eve', NULL), (9, 'Zoe', NULL)"
    project.sql(f"INSERT INTO made.seeded (id, name, city) VALUES {wrong}")
    failures = {name: result.failures for name, result in project.results("test", "--store-failures").items()}
    kinds = ["unique", "not_null", "accepted_values", "relationships", "named"]
    counted = {kind: count for kind in kinds for name, count in failures.items() if name.startswith(kind)}
    assert counted == dict.fromkeys(kinds, 1)
    assert project.sql("FROM made_dbt_test__audit.named") == [(1, None, "Rome", None)]


# === models ===


def test_views_tables_and_ephemeral_models_are_built_in_their_order(project):
    project.sql("CREATE TABLE made.orders AS SELECT i AS id, i * 10 AS amount FROM range(4) t(i)")
    project.write("models/stage.sql", "SELECT * FROM {{ source('given', 'orders') }} WHERE id > 0")
    between = "SELECT id % 2 AS odd, amount FROM {{ ref('stage') }}"
    project.write("models/between.sql", "{{ config(materialized='ephemeral') }} " + between)
    sums = "SELECT odd, sum(amount) AS s FROM {{ ref('between') }} GROUP BY odd"
    project.write("models/sums.sql", "{{ config(materialized='table') }} " + sums)
    project.dbt("build")
    assert project.sql("FROM made.sums ORDER BY odd") == [(0, 20), (1, 40)]
    project.sql("DELETE FROM made.orders WHERE id = 3")
    assert project.sql("SELECT count(*) FROM made.stage") == [(2,)]
    project.dbt("build")
    assert project.sql("FROM made.sums ORDER BY odd") == [(0, 20), (1, 10)]
    kinds = "SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = 'made' ORDER BY ALL"
    assert project.sql(kinds) == [("orders", "BASE TABLE"), ("stage", "VIEW"), ("sums", "BASE TABLE")]


def test_a_model_that_fails_keeps_what_there_was(project):
    project.write("models/numbers.sql", "{{ config(materialized='table') }} SELECT 1 AS n")
    project.dbt("run")
    project.write("models/numbers.sql", "{{ config(materialized='table') }} SELECT 'x'::INTEGER AS n")
    project.write("models/after.sql", "SELECT * FROM {{ ref('numbers') }}")
    results = project.results("run")
    assert {name: result.status for name, result in results.items()} == {"numbers": "error", "after": "skipped"}
    assert "Could not convert string 'x'" in results["numbers"].message
    assert project.sql("FROM made.numbers") == [(1,)]


DESCRIBED = """
models:
  - name: described
    description: "it's described"
    config:
      materialized: table
      persist_docs: {relation: true, columns: true}
      contract: {enforced: true}
    columns:
      - {name: id, data_type: bigint, description: "the key", constraints: [{type: not_null}]}
      - {name: tags, data_type: "varchar[]"}
"""


def test_a_contract_is_enforced_and_descriptions_are_comments(project):
    project.write("models/described.yml", DESCRIBED)
    project.write("models/described.sql", "SELECT 1::BIGINT AS id, ['a'] AS tags")
    project.dbt("run")
    assert project.sql("FROM made.described") == [(1, ["a"])]
    columns = "SELECT column_name, is_nullable, comment FROM duckdb_columns() WHERE schema_name = 'made' ORDER BY ALL"
    assert project.sql(columns) == [("id", False, "the key"), ("tags", True, "")]
    assert project.sql("SELECT comment FROM duckdb_tables() WHERE schema_name = 'made'") == [("it's described",)]

    project.write("models/described.sql", "SELECT NULL::BIGINT AS id, ['a'] AS tags")
    assert "NOT NULL" in project.results("run")["described"].message
    project.write("models/described.sql", "SELECT 1::INTEGER AS id, ['a'] AS tags")
    assert "contract" in project.results("run")["described"].message


# === incremental models ===

ORDERS = "CREATE TABLE made.orders (id BIGINT, amount BIGINT, ordered_at TIMESTAMP)"
INCREMENTAL = """
{{ config(materialized='incremental', incremental_strategy='%s', unique_key='id') }}
SELECT id, amount, ordered_at FROM {{ source('given', 'orders') }}
{%% if is_incremental() %%} WHERE ordered_at > (SELECT max(ordered_at) FROM {{ this }}) {%% endif %%}
"""
SECOND = {
    "append": [(1, -1), (2, 20), (2, 25), (3, 30)],
    "delete+insert": [(1, -1), (2, 25), (3, 30)],
    "merge": [(1, -1), (2, 25), (3, 30)],
}


@pytest.mark.parametrize("strategy", SECOND)
def test_the_second_run_of_an_incremental_model_changes_only_new_rows(project, strategy):
    project.sql(ORDERS)
    project.sql("INSERT INTO made.orders VALUES (1, 10, '2024-01-01'), (2, 20, '2024-01-02')")
    project.write("models/kept.sql", INCREMENTAL % strategy)
    rows = "SELECT id, amount FROM made.kept ORDER BY ALL"
    project.dbt("run")
    assert project.sql(rows) == [(1, 10), (2, 20)]

    # A run that computed everything again would undo this.
    project.sql("UPDATE made.kept SET amount = -1 WHERE id = 1")
    project.sql("UPDATE made.orders SET amount = 25, ordered_at = '2024-01-03' WHERE id = 2")
    project.sql("INSERT INTO made.orders VALUES (3, 30, '2024-01-04')")
    project.dbt("run")
    assert project.sql(rows) == SECOND[strategy]
    project.dbt("run")
    assert project.sql(rows) == SECOND[strategy]
    project.dbt("run", "--full-refresh")
    assert project.sql(rows) == [(1, 10), (2, 25), (3, 30)]


MERGED = """
{{ config(materialized='incremental', incremental_strategy='merge', unique_key=['a', 'b'],
          merge_update_columns=['v']) }}
SELECT * FROM {{ source('given', 'orders') }}
"""


def test_a_merge_by_two_keys_updates_the_configured_columns(project):
    project.sql("CREATE TABLE made.orders AS SELECT 1 AS a, 1 AS b, 'x' AS v, 'x' AS w")
    project.write("models/kept.sql", MERGED)
    project.dbt("run")
    project.sql("UPDATE made.orders SET v = 'y', w = 'y'")
    project.sql("INSERT INTO made.orders VALUES (1, 2, 'z', 'z')")
    project.dbt("run")
    assert project.sql("FROM made.kept ORDER BY ALL") == [(1, 1, "y", "x"), (1, 2, "z", "z")]


CHANGED_COLUMNS = {
    "ignore": ("2 AS a, 2 AS b, 2 AS c", [("a",), ("b",)], [(1, 1), (2, 2)]),
    "append_new_columns": ("2 AS a, 2 AS c", [("a",), ("b",), ("c",)], [(1, 1, None), (2, None, 2)]),
    "sync_all_columns": ("2 AS a, 2 AS c", [("a",), ("c",)], [(1, None), (2, 2)]),
}


@pytest.mark.parametrize("change", CHANGED_COLUMNS)
def test_an_incremental_model_whose_columns_change(project, change):
    config = "{{ config(materialized='incremental', incremental_strategy='append', on_schema_change='%s') }}" % change
    project.write("models/kept.sql", config + " SELECT 1 AS a, 1 AS b")
    project.dbt("run")
    second, columns, rows = CHANGED_COLUMNS[change]
    project.write("models/kept.sql", config + f" SELECT {second}")
    project.dbt("run")
    assert project.sql("SELECT column_name FROM (DESCRIBE made.kept)") == columns
    assert project.sql("FROM made.kept ORDER BY ALL") == rows


# === microbatch ===

MICROBATCH = """
{{ config(materialized='incremental', incremental_strategy='microbatch', event_time='ordered_at', batch_size='day',
          begin='2024-01-01', lookback=0) }}
SELECT id, amount, ordered_at FROM {{ source('given', 'orders') }}
"""


def windows(result):
    """The first days of the windows that succeeded; none failed."""
    assert result.batch_results.failed == []
    starts = [start.astimezone(datetime.timezone.utc) for start, _ in result.batch_results.successful]
    return [f"{start:%d}" for start in sorted(starts)]


def test_a_microbatch_model_replaces_the_windows_of_a_run(project):
    project.sql(ORDERS)
    project.sql(
        "INSERT INTO made.orders VALUES (1, 10, '2024-01-01 00:00:00'), (2, 20, '2024-01-02 23:59:59.999999'),"
        " (3, 30, '2024-01-03 12:00:00'), (4, 40, '2024-01-04 00:00:00')"
    )
    project.write("models/daily.sql", MICROBATCH)
    rows = "SELECT id, amount FROM made.daily ORDER BY ALL"
    first = project.dbt("run", "--event-time-start", "2024-01-01", "--event-time-end", "2024-01-04")
    assert windows(first["daily"]) == ["01", "02", "03"]
    assert project.sql(rows) == [(1, 10), (2, 20), (3, 30)]

    project.sql("UPDATE made.orders SET amount = amount + 1")
    project.sql("DELETE FROM made.orders WHERE id = 3")
    project.sql("INSERT INTO made.orders VALUES (5, 50, '2024-01-01 12:00:00'), (6, 60, '2024-01-02 00:00:00')")
    second = project.dbt("run", "--event-time-start", "2024-01-02", "--event-time-end", "2024-01-04")
    assert windows(second["daily"]) == ["02", "03"]
    assert project.sql(rows) == [(1, 10), (2, 21), (6, 60)]


def test_a_failed_window_leaves_the_others_and_is_retried(project):
    project.sql(ORDERS)
    project.sql("INSERT INTO made.orders VALUES (1, 10, '2024-01-01'), (2, NULL, '2024-01-02'), (3, 30, '2024-01-03')")
    project.write("models/daily.sql", MICROBATCH.replace("amount", "coalesce(amount::VARCHAR, 'x')::BIGINT AS amount"))
    days = ["--event-time-start", "2024-01-01", "--event-time-end", "2024-01-04"]
    result = project.results("run", *days)["daily"]
    assert (len(result.batch_results.successful), len(result.batch_results.failed)) == (2, 1)
    rows = "SELECT id, amount FROM made.daily ORDER BY ALL"
    assert project.sql(rows) == [(1, 10), (3, 30)]
    project.sql("UPDATE made.orders SET amount = 20 WHERE id = 2")
    project.sql("UPDATE made.daily SET amount = -1 WHERE id = 3")
    project.dbt("retry")
    assert project.sql(rows) == [(1, 10), (2, 20), (3, -1)]


# === snapshots ===

BY_TIME = """
snapshots:
  - name: history
    relation: source('given', 'people')
    config: {unique_key: id, strategy: timestamp, updated_at: changed_at}
"""
BY_VALUE = """
snapshots:
  - name: history
    relation: source('given', 'people')
    config: {unique_key: id, strategy: check, check_cols: [city], hard_deletes: new_record}
"""


def test_a_snapshot_by_time_is_valid_from_one_change_to_the_next(project):
    project.sql("CREATE TABLE made.people (id BIGINT, city VARCHAR, changed_at TIMESTAMP)")
    project.sql("INSERT INTO made.people VALUES (1, 'Berlin', '2024-01-01'), (2, 'Paris', '2024-01-02')")
    project.write("snapshots/history.yml", BY_TIME)
    project.dbt("snapshot")
    project.sql("UPDATE made.people SET city = 'Rome', changed_at = '2024-02-01' WHERE id = 2")
    project.sql("INSERT INTO made.people VALUES (3, NULL, '2024-02-02')")
    rows = "SELECT id, city, dbt_valid_from, dbt_valid_to FROM made.history ORDER BY id, dbt_valid_from"
    expected = [
        (1, "Berlin", datetime.datetime(2024, 1, 1), None),
        (2, "Paris", datetime.datetime(2024, 1, 2), datetime.datetime(2024, 2, 1)),
        (2, "Rome", datetime.datetime(2024, 2, 1), None),
        (3, None, datetime.datetime(2024, 2, 2), None),
    ]
    for _ in range(2):
        project.dbt("snapshot")
        assert project.sql(rows) == expected


def test_a_snapshot_by_value_records_what_was_deleted(project):
    project.sql("CREATE TABLE made.people (id BIGINT, city VARCHAR, seen BIGINT)")
    project.sql("INSERT INTO made.people VALUES (1, 'Berlin', 1), (2, 'Paris', 1), (3, 'Oslo', 1)")
    project.write("snapshots/history.yml", BY_VALUE)
    project.dbt("snapshot")
    project.sql("UPDATE made.people SET seen = 2")
    project.sql("UPDATE made.people SET city = NULL WHERE id = 2")
    project.sql("DELETE FROM made.people WHERE id = 3")
    project.dbt("snapshot")
    rows = "SELECT id, city, seen, dbt_is_deleted, dbt_valid_to IS NULL FROM made.history ORDER BY id, dbt_valid_from"
    assert project.sql(rows) == [
        (1, "Berlin", 1, "False", True),
        (2, "Paris", 1, "False", False),
        (2, None, 2, "False", True),
        (3, "Oslo", 1, "False", False),
        (3, "Oslo", 1, "True", True),
    ]
    next_one = "lead(dbt_valid_from) OVER (PARTITION BY id ORDER BY dbt_valid_from)"
    versions = f"SELECT dbt_valid_to AS until, {next_one} AS next FROM made.history"
    assert project.sql(f"SELECT count(*) FROM ({versions}) WHERE until IS DISTINCT FROM next") == [(0,)]


# === what dbt learns of the lake ===


def test_the_documentation_has_the_columns(project):
    project.sql("CREATE TABLE made.people (id BIGINT, tags VARCHAR[])")
    project.write("models/names.sql", "SELECT id FROM {{ source('given', 'people') }}")
    project.dbt("run")
    documentation = project.run("docs", "generate")
    [source] = documentation.sources.values()
    assert {name: column.type for name, column in source.columns.items()} == {"id": "BIGINT", "tags": "VARCHAR[]"}
    [model] = documentation.nodes.values()
    assert model.metadata.type == "VIEW" and list(model.columns) == ["id"]
