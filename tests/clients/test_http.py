"""Health and metrics, over HTTP and gRPC, as orchestrators and Prometheus read them."""

import contextlib
import re
import shutil
import signal
import socket
import subprocess
import urllib.error
import urllib.request

import adbc_driver_manager
import grpc
import pyarrow
import pyarrow.flight
import pytest

import harness
import protobuf
from harness import run, wait_until

SERVING, NOT_SERVING = 1, 2
FLIGHT = "arrow.flight.protocol.FlightService"


def endpoint(server):
    return re.search(r"health and metrics .*(http://[0-9.:]+)", server.log()).group(1)


def get(server, path, method="GET"):
    """The status, the body and the headers of a response."""
    request = urllib.request.Request(endpoint(server) + path, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as reply:
            return reply.status, reply.read().decode(), reply.headers
    except urllib.error.HTTPError as err:
        return err.code, err.read().decode(), err.headers


def metrics(server):
    """Every sample by name and labels."""
    status, text, headers = get(server, "/metrics")
    assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def check_health(channel, service):
    check = channel.unary_unary("/grpc.health.v1.Health/Check")
    return protobuf.parse(check(protobuf.message((1, service)), timeout=20)).get(1, [0])[0]


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    server = harness.Server(tmp_path_factory.mktemp("server"), "--http", "127.0.0.1:0")
    try:
        yield server.start()
    finally:
        server.discard()


@pytest.fixture
def channel(watched):
    with grpc.insecure_channel(watched.uri.removeprefix("grpc://")) as channel:
        yield channel


# === HTTP ===


def test_a_server_that_serves_is_alive_and_ready(watched):
    assert get(watched, "/healthz")[:2] == (200, "ok\n")
    assert get(watched, "/readyz")[:2] == (200, "ready\n")


def test_other_paths_and_methods_are_refused(watched):
    assert get(watched, "/")[0] == 404
    assert get(watched, "/metrics/x")[0] == 404
    for path in ("/healthz", "/readyz", "/metrics"):
        assert get(watched, path, "POST")[0] == 405
        assert get(watched, path, "DELETE")[0] == 405
        assert get(watched, path, "HEAD")[:2] == (200, "")


def test_slow_clients_do_not_block_others_for_long(watched):
    host, port = endpoint(watched).removeprefix("http://").split(":")
    with contextlib.ExitStack() as sockets:
        held = [sockets.enter_context(socket.create_connection((host, int(port)), timeout=30)) for _ in range(100)]
        for slow in held:
            slow.send(b"GET /metr")
        assert get(watched, "/healthz")[0] == 200
        assert held[0].recv(1000) in (b"", b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")


def test_it_is_off_by_default(launch):
    assert "health and metrics" not in launch().log()


def test_any_address_is_served(launch):
    server = launch("--http", "0.0.0.0:0")
    assert get(server, "/healthz")[0] == 200


def test_an_address_in_use_is_named(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = run("serve", "--home", tmp_path / "home", "--listen", "127.0.0.1:0", "--http", address)
        assert ended.returncode == 1 and address in ended.stderr and "in use" in ended.stderr


# === metrics ===


def test_metrics_follow_prometheus_conventions(watched):
    watched.sql("SELECT 1")
    text = get(watched, "/metrics")[1]
    names = set(re.findall(r"^# TYPE (\S+) ", text, re.M))
    assert names and all(name.startswith("merganser_") for name in names)
    assert names == set(re.findall(r"^# HELP (\S+) \S", text, re.M))
    counters = set(re.findall(r"^# TYPE (\S+) counter", text, re.M))
    assert counters and all(name.endswith("_total") for name in counters)
    for line in text.splitlines():
        assert not line or line.startswith("#") or re.fullmatch(r'[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? \S+', line)


def test_requests_are_counted_by_method_and_code(watched):
    def count(method, code):
        return metrics(watched).get(f'merganser_requests_total{{method="{method}",code="{code}"}}', 0)

    methods = ["GetFlightInfo", "DoGet"]
    before = [count(method, "OK") for method in methods]
    refused = count("GetFlightInfo", "INVALID_ARGUMENT")
    sent = metrics(watched).get('merganser_bytes_sent_total{method="DoGet"}', 0)
    with watched.flight() as client:
        descriptor = pyarrow.flight.FlightDescriptor.for_command(protobuf.statement("FROM range(100_000)"))
        info = client.get_flight_info(descriptor)
        assert client.do_get(info.endpoints[0].ticket).read_all().num_rows == 100_000
        with pytest.raises(pyarrow.ArrowInvalid):
            client.get_flight_info(pyarrow.flight.FlightDescriptor.for_command(protobuf.statement("SELEC")))
    wait_until(lambda: [count(method, "OK") for method in methods] == [n + 1 for n in before], "both are counted")
    assert count("GetFlightInfo", "INVALID_ARGUMENT") == refused + 1
    now = metrics(watched)
    assert 800_000 < now['merganser_bytes_sent_total{method="DoGet"}'] - sent < 900_000
    assert now['merganser_request_duration_seconds_count{method="DoGet"}'] >= 1
    assert now['merganser_request_duration_seconds_bucket{method="DoGet",le="+Inf"}'] >= 1


def test_a_client_that_disconnects_counts_as_cancelled(watched):
    cancelled = 'merganser_requests_total{method="DoGet",code="CANCELLED"}'
    before = metrics(watched).get(cancelled, 0)
    with watched.flight() as client:
        command = protobuf.statement("SELECT i, repeat('x', 200) AS text FROM range(2_000_000) t(i)")
        info = client.get_flight_info(pyarrow.flight.FlightDescriptor.for_command(command))
        reader = client.do_get(info.endpoints[0].ticket)
        reader.read_chunk()
        reader.cancel()
    wait_until(lambda: metrics(watched).get(cancelled, 0) == before + 1, "the call is counted")


def test_names_that_clients_make_up_make_no_metrics(watched, channel):
    for path in ("/arrow.flight.protocol.FlightService/Made", "/made.Up/Name"):
        with pytest.raises(grpc.RpcError):
            channel.unary_unary(path)(b"", timeout=20)
    text = get(watched, "/metrics")[1]
    assert "Made" not in text and "Name" not in text
    assert metrics(watched)['merganser_requests_total{method="other",code="UNIMPLEMENTED"}'] >= 1


def test_what_is_open_is_counted(launch):
    server = launch("--http", "127.0.0.1:0", "--max-connections", 3)
    idle = metrics(server)
    assert idle["merganser_pool_connections_limit"] == 3 and idle["merganser_ready"] == 1
    for name in ("connections", "sessions", "transactions"):
        assert idle[f"merganser_open_{name}"] == 0
    assert idle["merganser_pool_connections_in_use"] == 0 and idle["merganser_waiting_results"] == 0
    with server.adbc(username="alice", password="", autocommit=False) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchall()
        busy = metrics(server)
        assert (busy["merganser_open_sessions"], busy["merganser_open_transactions"]) == (1, 1)
        assert busy["merganser_open_connections"] == 1 and busy["merganser_pool_connections_in_use"] == 1
    server.result("tag", {})
    client = server.flight()
    command = protobuf.statement("SELECT i, repeat('x', 200) AS text FROM range(2_000_000) t(i)")
    client.get_flight_info(pyarrow.flight.FlightDescriptor.for_command(command))
    now = metrics(server)
    assert now["merganser_waiting_results"] == 1 and now["merganser_pool_connections_in_use"] == 1
    client.close()
    wait_until(lambda: metrics(server)["merganser_open_connections"] == 0, "the connections are gone")
    assert metrics(server)["merganser_open_transactions"] == 0


def test_jobs_are_counted_by_state(launch, tmp_path):
    server = launch("--http", "127.0.0.1:0")
    with pytest.raises(pyarrow.ArrowException):
        server.action("ingest", {"source": (tmp_path / "nothing").as_uri(), "dataset": "x"})
    (tmp_path / "t.csv").write_text("i\n1\n")
    server.result("ingest", {"source": (tmp_path / "t.csv").as_uri(), "dataset": "y"})
    now = metrics(server)
    states = {state: now[f'merganser_jobs{{state="{state}"}}'] for state in ("running", "succeeded", "failed", "cancelled")}
    assert states == {"running": 0, "succeeded": 1, "failed": 1, "cancelled": 0}


def test_the_need_for_maintenance_is_reported(launch):
    server = launch("--http", "127.0.0.1:0")
    server.sql("CREATE TABLE t AS SELECT i FROM range(100) r(i)")
    server.sql("INSERT INTO t VALUES (1)")
    server.sql("DELETE FROM t WHERE i = 50")

    def lake():
        now = metrics(server)
        return [now.get(f"merganser_lake_{what}") for what in ("data_files", "small_data_files", "delete_files")]

    wait_until(lambda: lake() == [2, 2, 1], "the lake was counted", 30)
    assert metrics(server)["merganser_lake_snapshots"] == server.scalar("SELECT count(*) FROM lake.snapshots()")
    server.result("maintain", {"rewrite_share": 0.001})
    wait_until(lambda: lake() == [1, 1, 0], "the lake was counted again", 30)


def test_memory_and_build_are_reported(watched):
    watched.sql("CREATE OR REPLACE TABLE memory AS SELECT 1 AS i")
    wait_until(lambda: metrics(watched).get("merganser_duckdb_memory_bytes", 0) > 0, "DuckDB was asked")
    now = metrics(watched)
    assert now["merganser_duckdb_temporary_bytes"] >= 0
    assert any(re.fullmatch(r'merganser_build_info\{version="[0-9.]+",duckdb="v1.5.5"\}', name) for name in now)


# === gRPC ===


@pytest.mark.parametrize("service", ["", FLIGHT])
def test_grpc_health_reports_serving(channel, service):
    assert check_health(channel, service) == SERVING


def test_grpc_health_does_not_know_other_services(channel):
    with pytest.raises(grpc.RpcError) as raised:
        check_health(channel, "made.Up")
    assert raised.value.code() == grpc.StatusCode.NOT_FOUND


def test_health_is_reported_without_credentials_and_when_all_connections_are_taken(launch, tmp_path):
    hashed = subprocess.run([harness.program(), "hash-password"], input="x", capture_output=True, text=True).stdout
    config = tmp_path / "merganser.toml"
    config.write_text(f'max_connections = 1\n[users]\nalice = "{hashed.strip()}"\n')
    server = launch("--config", config, "--http", "127.0.0.1:0")
    with server.adbc(username="alice", password="x", autocommit=False) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchall()
        assert metrics(server)["merganser_pool_connections_in_use"] == 1
        asked = metrics(server)
        with grpc.insecure_channel(server.uri.removeprefix("grpc://")) as channel:
            assert check_health(channel, FLIGHT) == SERVING
        assert asked["merganser_open_sessions"] == metrics(server)["merganser_open_sessions"]


def test_while_it_stops_it_is_not_ready_and_a_watch_holds_up_nothing(launch):
    server = launch("--http", "127.0.0.1:0")
    with grpc.insecure_channel(server.uri.removeprefix("grpc://")) as channel, server.flight() as client:
        watch = channel.unary_stream("/grpc.health.v1.Health/Watch")(protobuf.message((1, FLIGHT)))
        assert protobuf.parse(next(watch)) == {1: [SERVING]}
        command = protobuf.statement("SELECT i, repeat('x', 200) AS text FROM range(2_000_000) t(i)")
        info = client.get_flight_info(pyarrow.flight.FlightDescriptor.for_command(command))
        reader = client.do_get(info.endpoints[0].ticket)
        reader.read_chunk()
        server.signal(signal.SIGTERM)
        assert protobuf.parse(next(watch)) == {1: [NOT_SERVING]}
        assert next(watch, None) is None
        assert get(server, "/readyz")[:2] == (503, "stopping\n")
        assert get(server, "/healthz")[0] == 200
        assert metrics(server)["merganser_ready"] == 0
        for _ in reader:
            pass
        assert server.wait(10) == 0


# === an engine that failed for good ===


@contextlib.contextmanager
def nothing_can_be_synced(server):
    """Within the block, the operating system fails to sync a file of the server."""
    if not shutil.which("strace"):
        pytest.skip("skipped: strace is absent")
    calls = ["-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO", "-o", str(server.folder / "calls")]
    tracer = subprocess.Popen(["strace", "-f", "-p", str(server.process.pid), *calls], stderr=subprocess.PIPE)
    try:
        if b"attached" not in tracer.stderr.readline():
            pytest.skip("skipped: strace may not attach")
        yield
    finally:
        tracer.terminate()
        tracer.wait()


def test_a_fatal_error_of_the_engine_ends_the_process_for_its_supervisor(launch):
    server = launch("--http", "127.0.0.1:0")
    server.sql("CREATE TABLE t (i BIGINT)")
    with grpc.insecure_channel(server.uri.removeprefix("grpc://")) as channel:
        watch = channel.unary_stream("/grpc.health.v1.Health/Watch")(protobuf.message((1, "")), timeout=30)
        assert protobuf.parse(next(watch)) == {1: [SERVING]}
        with nothing_can_be_synced(server):
            with server.flight() as client, pytest.raises((pyarrow.ArrowException, OSError)):
                for i in range(100):
                    # It writes no data file: the first file to be synced is the catalog's.
                    command = protobuf.statement(f"CREATE SCHEMA s{i}")
                    client.get_flight_info(pyarrow.flight.FlightDescriptor.for_command(command))
            assert protobuf.parse(next(watch)) == {1: [NOT_SERVING]}
            assert server.wait(10) == 1
    assert "DuckDB failed and must be restarted" in server.log()
    server.start()
    assert server.scalar("SELECT count(*) >= 0 FROM t")


def test_a_commit_whose_files_cannot_be_synced_is_refused(launch):
    server = launch()
    server.sql("CREATE TABLE t AS SELECT 1 AS i")
    with nothing_can_be_synced(server), pytest.raises(adbc_driver_manager.InternalError, match="sync data files"):
        server.sql("INSERT INTO t VALUES (2)")
    assert server.sql("FROM t") == [(1,)]
    server.sql("INSERT INTO t VALUES (3)")
    assert server.sql("SELECT i FROM t ORDER BY i") == [(1,), (3,)]
