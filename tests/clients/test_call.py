"""Actions in SQL, for clients without DoAction: CALL merganser.<action>(…) returns the action's events as rows."""

import contextlib
import json

import pyarrow
import pyarrow.flight
import pyarrow.parquet
import pytest

import harness
import protobuf
from harness import wait_until

COLUMNS = ["job_id", "state", "phase", "done", "total", "unit", "message", "result"]

MODELS = """
-- model: silver.three
-- check: not_null(i)
SELECT i FROM range(3) t(i)
;
-- model: silver.endless
SELECT sum(hash(a.i * b.i) % 7) AS n FROM range(10_000_000) a(i), range(10_000_000) b(i)
;
-- model: silver.broken
SELECT error('no such luck') AS n
;
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server with its own models: a good one, one that never ends, and one that fails."""
    folder = tmp_path_factory.mktemp("server")
    models = folder / "models"
    models.mkdir()
    (models / "models.sql").write_text(MODELS)
    server = harness.Server(folder, "--models", models)
    try:
        yield server.start()
    finally:
        server.discard()


@pytest.fixture
def versions(server, name):
    """A table with one more row in each of its versions."""
    server.sql(f"CREATE TABLE {name} (i BIGINT)")
    found = []
    for i in range(3):
        server.sql(f"INSERT INTO {name} VALUES ({i})")
        found.append(server.scalar("SELECT id FROM lake.current_snapshot()"))
    return found


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "data.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"id": [1, 2, 3], "text": ["a", "b", "c"]}), path)
    return path.as_uri()


def call(server, text, parameters=None):
    """The events of a CALL that succeeds, as dicts."""
    with server.adbc() as connection, connection.cursor() as cursor:
        cursor.execute(f"CALL merganser.{text}", parameters)
        events = cursor.fetch_arrow_table().to_pylist()
    assert events[-1]["state"] == "succeeded", events
    assert all(list(event) == COLUMNS for event in events)
    return events


def result(server, text, parameters=None):
    return json.loads(call(server, text, parameters)[-1]["result"])


def failure(server, text, parameters=None, **options):
    """The exception of a statement that fails, immediately or while its rows are read."""
    with server.adbc(**options) as connection, connection.cursor() as cursor:
        with pytest.raises(connection.Error) as caught:
            cursor.execute(text, parameters)
            cursor.fetchall()
    return caught.value


def rows_of(server, table):
    return [row[0] for row in server.sql(f"SELECT * FROM {table} ORDER BY ALL")]


def jobs_of(server, action):
    return server.scalar(f"SELECT count(*) FROM merganser_jobs() WHERE action = '{action}'")


def descriptor(sql):
    return pyarrow.flight.FlightDescriptor.for_command(protobuf.statement(sql))


# === every action ===


def test_ingest(server, source, name):
    events = call(server, f"ingest('{source}', '{name}', mode => 'append', max_rows => 2)")
    assert {event["job_id"] for event in events} == {events[0]["job_id"]} != {None}
    assert json.loads(events[-1]["result"])["rows_added"] == 2
    assert rows_of(server, f"raw.{name}") == [1, 2]
    # Lists, and names in any case.
    assert result(server, f"INGEST(SOURCE := '{source}', dataset := '{name}', mode := 'merge', key := ['id'])")[
        "rows_read"
    ] == 3
    assert rows_of(server, f"raw.{name}") == [1, 2, 3]


def test_transform(server):
    [model] = result(server, "transform(['silver.three'])")["models"]
    assert (model["model"], model["rows"], model["checks_failed"]) == ("silver.three", 3, 0)
    assert result(server, "transform(dry_run => true, \"select\" => ['silver.three'])")["dry_run"] is True


def test_rollback_in_all_its_forms(server, versions, name):
    table = f"main.{name}"
    assert result(server, f"rollback('{table}', version => {versions[0]})")["restored_from"] == versions[0]
    assert rows_of(server, name) == [0]
    assert result(server, f"rollback('{table}', to => {{'version': {versions[1]}}})")["restored_from"] == versions[1]
    assert rows_of(server, name) == [0, 1]
    result(server, f"tag('{name}', {versions[2]})")
    assert result(server, f"rollback(tag => '{name}', \"table\" => '{table}')")["restored_from"] == versions[2]
    assert rows_of(server, name) == [0, 1, 2]
    moment = server.scalar(f"SELECT snapshot_time FROM lake.snapshots() WHERE snapshot_id = {versions[0]}")
    assert result(server, f"rollback('{table}', timestamp => '{moment}', dry_run => true)")["dry_run"] is True
    assert rows_of(server, name) == [0, 1, 2]


def test_tag(server, name):
    assert name in [tag["name"] for tag in result(server, f"tag('{name}')")["tags"]]
    assert name in [tag["name"] for tag in result(server, "tag()")["tags"]]
    assert name not in [tag["name"] for tag in result(server, f"tag('{name}', NULL, delete => true)")["tags"]]


def test_an_action_that_is_no_job_has_one_event(server):
    [event] = call(server, "jobs()")
    assert (event["job_id"], event["state"], event["total"]) == (None, "succeeded", None)


@pytest.mark.parametrize("form", ["job_attach", '"job.attach"', "job.attach"])
def test_a_job_is_followed_under_all_forms_of_the_name(server, form):
    job = call(server, "transform(['silver.three'])")[-1]["job_id"]
    [event] = call(server, f"{form}('{job}')")
    assert event["job_id"] == job


def test_every_action_can_be_called_and_names_a_field_it_lacks(server):
    with server.flight() as client:
        actions = [action.type for action in client.list_actions() if action.type[0].islower()]
    assert len(actions) >= 7
    for action in actions:
        text = str(failure(server, f"CALL merganser.{action.replace('.', '_')}(nonsense => 1)"))
        assert "nonsense" in text and f"call {action}" in text, text


def test_rows_come_while_the_job_works(server):
    with server.flight() as client:
        info = client.get_flight_info(
            descriptor("CALL merganser.transform(['silver.endless'], cancel_on_disconnect => true)")
        )
        assert info.schema.names == COLUMNS
        reader = client.do_get(info.endpoints[0].ticket)
        [event] = reader.read_chunk().data.to_pylist()
        assert event["state"] == "running"
        reader.cancel()
    state = f"SELECT state FROM merganser_jobs() WHERE job_id = '{event['job_id']}'"
    wait_until(lambda: server.scalar(state) == "cancelled", "the job is cancelled with its reader")


def test_a_job_survives_its_reader_and_is_cancelled_in_sql(server):
    with server.flight() as client:
        info = client.get_flight_info(descriptor("CALL merganser.transform(['silver.endless'])"))
        reader = client.do_get(info.endpoints[0].ticket)
        job = reader.read_chunk().data.to_pylist()[0]["job_id"]
        reader.cancel()
    state = f"SELECT state FROM merganser_jobs() WHERE job_id = '{job}'"
    assert server.scalar(state) == "running"
    assert result(server, f"job_cancel('{job}')")["job_id"] == job
    wait_until(lambda: server.scalar(state) == "cancelled", "the job is cancelled")


def test_a_timeout_ends_the_rows(server):
    with server.adbc(username="ann", password="x") as connection, connection.cursor() as cursor:
        cursor.execute("SET timeout = 0.5")
        with pytest.raises(connection.Error, match="timeout"):
            cursor.execute("CALL merganser.transform(['silver.endless'], cancel_on_disconnect => true)")
            cursor.fetchall()
    running = "SELECT count(*) FROM merganser_jobs() WHERE state = 'running'"
    wait_until(lambda: server.scalar(running) == 0, "the job is cancelled with its reader")


# === exactly once ===


def test_a_call_starts_when_it_is_requested_and_never_again(server, source, name):
    sql = f"CALL merganser.ingest('{source}', '{name}')"
    with server.flight() as client:
        before = jobs_of(server, "ingest")
        schema = client.get_schema(descriptor(sql)).schema
        assert jobs_of(server, "ingest") == before
        info = client.get_flight_info(descriptor(sql))
        assert info.schema == schema
        assert jobs_of(server, "ingest") == before + 1
        rows = client.do_get(info.endpoints[0].ticket).read_all()
        assert rows.schema == schema
        assert rows.to_pylist()[-1]["state"] == "succeeded"
        assert jobs_of(server, "ingest") == before + 1
        with pytest.raises(pyarrow.ArrowKeyError, match="gone"):
            client.do_get(info.endpoints[0].ticket).read_all()
        # In one round trip; the same SQL text is another call.
        server.sql(f"DROP TABLE raw.{name}")
        ticket = pyarrow.flight.Ticket(protobuf.statement(sql))
        assert client.do_get(ticket).read_all().to_pylist()[-1]["state"] == "succeeded"
    assert jobs_of(server, "ingest") == before + 2
    assert rows_of(server, f"raw.{name}") == [1, 2, 3]


def test_a_call_that_is_not_fetched_is_completed(server, source, name):
    with server.flight() as client:
        for number in range(3):
            client.get_flight_info(descriptor(f"CALL merganser.ingest('{source}', '{name}_{number}')"))
        done = "SELECT count(*) FROM merganser_jobs() WHERE action = 'ingest' AND state = 'running'"
        wait_until(lambda: server.scalar(done) == 0, "the jobs are done")
    assert [rows_of(server, f"raw.{name}_{number}") for number in range(3)] == [[1, 2, 3]] * 3


def test_the_idempotency_key_works_in_sql(server, source, name):
    before = jobs_of(server, "ingest")
    for _ in range(2):
        call(server, f"ingest('{source}', '{name}', idempotency_key => '{name}')")
    assert jobs_of(server, "ingest") == before + 1
    assert rows_of(server, f"raw.{name}") == [1, 2, 3]


def put_update(server, sql):
    """Runs a statement by DoPut; returns the count of the response."""
    command = protobuf.sql_command("CommandStatementUpdate", (1, sql))
    with server.flight() as client:
        writer, reader = client.do_put(pyarrow.flight.FlightDescriptor.for_command(command), pyarrow.schema([]))
        with contextlib.closing(writer):
            writer.done_writing()
            return protobuf.parse(reader.read().to_pybytes())


def test_an_update_waits_for_the_end_and_reports_the_failure(server, source, name):
    put_update(server, f"CALL merganser.ingest('{source}', '{name}')")
    assert rows_of(server, f"raw.{name}") == [1, 2, 3]
    with pytest.raises(pyarrow.ArrowInvalid, match="no such luck"):
        put_update(server, "CALL merganser.transform(['silver.broken'])")


# === prepared ===


def test_parameters_are_bound(server, versions, name):
    for index, version in enumerate(versions):
        found = result(server, "rollback(?, version => ?)", (f"main.{name}", version))
        assert found["restored_from"] == version
        assert rows_of(server, name) == list(range(index + 1))
    assert result(server, "transform(?)", (["silver.three"],))["models"][0]["rows"] == 3
    text = str(failure(server, "CALL merganser.tag(?, version => ?)", (name, "nonsense")))
    assert "to.version" in text or "version" in text
    assert "2 parameters" in str(failure(server, "CALL merganser.tag(?, version => ?)", (name,)))


def test_several_rows_of_parameters_are_refused_and_nothing_starts(server, name):
    with server.adbc() as connection, connection.cursor() as cursor:
        with pytest.raises(connection.Error, match="one row of parameters"):
            cursor.executemany("CALL merganser.tag(?)", [(f"{name}a",), (f"{name}b",)])
    assert not [tag for tag in result(server, "tag()")["tags"] if tag["name"].startswith(name)]


def test_a_prepared_call_is_a_query_that_starts_when_executed(server, source, name):
    sql = f"CALL merganser.ingest('{source}', ?)"
    body = protobuf.sql_command("ActionCreatePreparedStatementRequest", (1, sql))
    with server.flight() as client:
        before = jobs_of(server, "ingest")
        [reply] = client.do_action(("CreatePreparedStatement", body))
        _, created = protobuf.unpack(reply.body.to_pybytes())
        assert created[4] == [0], "is_update"
        columns = pyarrow.ipc.read_schema(pyarrow.py_buffer(created[2][0]))
        assert columns.names == COLUMNS
        assert pyarrow.ipc.read_schema(pyarrow.py_buffer(created[3][0])).types == [pyarrow.string()]
        assert jobs_of(server, "ingest") == before
    with server.adbc() as connection, connection.cursor() as cursor:
        for _ in range(2):
            cursor.execute(sql, (name,))
            assert cursor.fetchall()[-1][1] == "succeeded"
    assert jobs_of(server, "ingest") == before + 2


# === refused ===


def test_an_invalid_call_of_any_size_reports_the_mistake(server):
    """The other mistakes are in tests/slt/calls.slt."""
    message = str(failure(server, f"CALL merganser.tag('{'a' * (1 << 20)}', 'x')"))
    assert "version" in message
    assert len(message) < 4096
    assert server.scalar("SELECT 42") == 42


def test_a_parenthesis_that_is_not_closed_is_an_argument_error(server):
    with server.flight() as client, pytest.raises(pyarrow.ArrowInvalid, match="read the CALL: a parenthesis is not closed"):
        client.get_flight_info(descriptor("CALL merganser.tag('a'"))


def test_a_call_among_several_statements_runs_in_its_place(server, name):
    assert server.sql(f"CALL merganser.tag('{name}a'); SELECT 1") == [(1,)]
    rows = server.sql(f"SELECT 1; CALL merganser.tag('{name}b')")
    assert [row[1] for row in rows] == ["running", "succeeded"]
    assert {tag["name"] for tag in result(server, "tag()")["tags"]} >= {f"{name}a", f"{name}b"}


def test_a_failed_job_fails_behind_its_events(server):
    with server.flight() as client:
        info = client.get_flight_info(descriptor("CALL merganser.transform(['silver.broken'])"))
        reader = client.do_get(info.endpoints[0].ticket)
        states = []
        with pytest.raises(pyarrow.ArrowInvalid, match="no such luck"):
            while True:
                states += reader.read_chunk().data["state"].to_pylist()
    assert states[-1] == "failed"


def test_a_call_in_a_transaction_is_refused(server, name):
    assert "in their own transactions" in str(failure(server, f"CALL merganser.tag('{name}')", autocommit=False))
    with server.adbc(username="ann", password="x") as connection, connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.fetchall()
        with pytest.raises(connection.Error, match="in their own transactions"):
            cursor.execute(f"CALL merganser.tag('{name}')")
        cursor.execute("ROLLBACK")
        cursor.fetchall()
        cursor.execute("CALL merganser.tag()")
        assert name not in cursor.fetchall()[-1][-1]
        cursor.execute(f"CALL merganser.tag('{name}')")
        assert name in cursor.fetchall()[-1][-1]
