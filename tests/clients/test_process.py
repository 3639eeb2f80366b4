"""The process: its messages if it cannot start, how it stops, and that a kill loses nothing that was acknowledged."""

import contextlib
import pathlib
import signal
import socket
import struct
import threading

import pyarrow
import pyarrow.flight
import pyarrow.parquet
import pytest

import protobuf
from harness import run, wait_until

LARGE = "SELECT i, repeat('x', 200) AS text FROM range(2_000_000) t(i)"


def check_refused(*arguments, code=1, texts=(), **variables):
    """The program ends with that code, reports the reason on stderr, and has printed nothing to stdout."""
    ended = run(*arguments, seconds=30, **variables)
    assert ended.returncode == code, ended.stderr
    assert ended.stdout == ""
    assert "panicked" not in ended.stderr
    for text in texts:
        assert text in ended.stderr, ended.stderr
    return ended.stderr


def serve(home, *flags):
    return ("serve", "--home", home, "--listen", "127.0.0.1:0", *flags)


# === faults at start ===


def test_a_port_in_use_is_named(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        check_refused("serve", "--home", tmp_path / "home", "--listen", address, texts=[address, "in use"])


def test_a_home_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    home = tmp_path / "file" / "home"
    check_refused(*serve(home), texts=[str(home)])


def test_a_storage_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    storage = tmp_path / "file" / "store"
    check_refused(*serve(tmp_path / "home", "--storage", storage), texts=[str(storage)])


def test_an_extension_that_was_changed_is_refused(server, launch, tmp_path):
    [file] = server.sql("SELECT install_path FROM duckdb_extensions() WHERE extension_name = 'ducklake'")[0]
    folder = pathlib.Path(file).parents[2]
    for original in folder.rglob("*.duckdb_extension"):
        copy = tmp_path / original.relative_to(folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(original.read_bytes())
    assert launch("--extensions", tmp_path).scalar("SELECT 42") == 42
    changed = tmp_path / pathlib.Path(file).relative_to(folder)
    data = bytearray(changed.read_bytes())
    data[len(data) // 2] ^= 1
    # Another file, because the server has mapped this one.
    changed.unlink()
    changed.write_bytes(data)
    check_refused(*serve(tmp_path / "home", "--extensions", tmp_path), texts=['extension "ducklake"', "signature"])


def test_a_second_server_on_one_home_fails_and_the_first_continues(launch):
    server = launch()
    check_refused(*serve(server.home), texts=["catalog.ducklake", "another process", "--home"])
    assert server.scalar("SELECT 42") == 42


def checksum(block):
    """DuckDB's checksum of a block."""
    result = 5381
    for (word,) in struct.iter_unpack("<Q", block):
        result ^= word * 0xBF58476D1CE4E5B9 % (1 << 64)
    return result


def test_a_catalog_of_a_newer_format_is_refused_and_left_alone(launch):
    server = launch()
    server.stop()
    catalog = server.home / "catalog.ducklake"
    data = bytearray(catalog.read_bytes())
    # The main header: checksum, magic bytes, version of the storage.
    assert data[8:12] == b"DUCK" and checksum(bytes(data[8:4096])) == struct.unpack_from("<Q", data)[0]
    struct.pack_into("<Q", data, 12, 9999)
    struct.pack_into("<Q", data, 0, checksum(bytes(data[8:4096])))
    catalog.write_bytes(data)
    check_refused(*serve(server.home), texts=["catalog.ducklake", "newer"])
    assert catalog.read_bytes() == data


def test_a_catalog_that_is_none_is_refused_and_left_alone(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    catalog = home / "catalog.ducklake"
    catalog.write_bytes(b"my diary, not a database. " * 1000)
    before = catalog.read_bytes()
    check_refused(*serve(home), texts=["catalog.ducklake", "not a DuckDB database"])
    assert catalog.read_bytes() == before


def test_missing_extensions_are_reported_with_the_remedy(tmp_path):
    check_refused(
        *serve(tmp_path / "home", "--extensions", "/nonexistent"), texts=["ducklake", "/nonexistent", "--extensions"]
    )


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0"])
def test_an_address_that_others_reach_is_refused(tmp_path, address):
    check_refused("serve", "--home", tmp_path / "home", "--listen", address, texts=["credentials", "127.0.0.1"])


def test_an_unknown_flag_is_a_usage_error(tmp_path):
    check_refused(*serve(tmp_path / "home", "--colour", "blue"), code=2, texts=["--colour"])
    assert not (tmp_path / "home").exists()


def test_all_faults_of_the_configuration_are_reported_together(tmp_path):
    config = tmp_path / "merganser.toml"
    config.write_text('lisen = "127.0.0.1:0"\nmax_connections = 0\nthreads = "many"\n')
    check_refused(
        "serve",
        "--config",
        config,
        "--memory-limit",
        "lots",
        code=2,
        texts=[str(config), "lisen", '"listen"', "max_connections", "threads", "--memory-limit", "MERGANSER_GRACE_SECONDS"],
        MERGANSER_GRACE_SECONDS="soon",
    )


def test_a_file_that_is_no_toml_is_named_with_the_line(tmp_path):
    config = tmp_path / "merganser.toml"
    config.write_text('home = "x"\nlisten = \n')
    check_refused("serve", "--config", config, code=2, texts=[str(config), "2"])


def test_a_misspelt_variable_is_a_fault(tmp_path):
    check_refused(*serve(tmp_path / "home"), code=2, texts=["MERGANSER_LISEN", "MERGANSER_LISTEN"], MERGANSER_LISEN="x")


def test_a_flag_overrides_a_variable_and_a_variable_the_file(launch, tmp_path):
    config = tmp_path / "merganser.toml"
    config.write_text(f'home = "{tmp_path / "unused"}"\nmax_connections = 2\n')
    server = launch("--config", config)
    assert (server.home / "catalog.ducklake").is_file()
    assert not (tmp_path / "unused").exists()


# === check ===


def test_check_reports_a_valid_configuration(tmp_path):
    ended = run("check", "--home", tmp_path / "home")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("ok") >= 4 and "v1.5.5" in ended.stdout


def test_check_reports_faults(launch, tmp_path):
    ended = run("check", "--home", launch().home)
    assert ended.returncode == 1 and "another process" in ended.stderr
    ended = run("check", "--home", tmp_path / "home", "--extensions", "/nonexistent")
    assert ended.returncode == 1 and "/nonexistent" in ended.stderr


# === stop ===


def start_reading(server):
    """A reader of a large result that has read its first batch."""
    client = server.flight()
    command = pyarrow.flight.FlightDescriptor.for_command(protobuf.statement(LARGE))
    reader = client.do_get(client.get_flight_info(command).endpoints[0].ticket)
    return client, reader, reader.read_chunk().data.num_rows


def test_sigterm_lets_a_stream_finish_and_takes_no_new_calls(launch):
    server = launch()
    client, reader, rows = start_reading(server)
    server.signal(signal.SIGTERM)
    wait_until(lambda: "stopping" in server.log(), "the server stops")

    def is_refused():
        with server.flight() as other:
            try:
                other.get_flight_info(pyarrow.flight.FlightDescriptor.for_command(protobuf.statement("SELECT 1")))
            except pyarrow.ArrowException:
                return True
        return False

    wait_until(is_refused, "new calls are refused")
    assert server.is_running()
    rows += sum(chunk.data.num_rows for chunk in reader)
    assert rows == 2_000_000
    client.close()
    assert server.wait() == 0
    server.check_output()


def test_sigterm_ends_an_unread_stream_after_the_grace_period(launch):
    server = launch("--grace-seconds", 1)
    client, reader, _ = start_reading(server)
    server.signal(signal.SIGTERM)
    assert server.wait(15) == 0
    with pytest.raises((pyarrow.ArrowException, OSError)):
        reader.read_all()
    client.close()


def test_a_second_sigterm_ends_the_process_at_once(launch):
    server = launch()
    client, reader, _ = start_reading(server)
    server.signal(signal.SIGTERM)
    wait_until(lambda: "stopping" in server.log(), "the server stops")
    assert server.is_running()
    server.signal(signal.SIGTERM)
    assert server.wait(5) == 130
    reader.cancel()
    client.close()


def test_sigterm_with_open_transactions_and_unfetched_results_stops_soon(launch):
    server = launch()
    server.sql("CREATE TABLE t (i BIGINT)")
    with server.flight() as client:
        begin = ("BeginTransaction", protobuf.sql_command("ActionBeginTransactionRequest"))
        [reply] = client.do_action(begin)
        _, begun = protobuf.unpack(reply.body.to_pybytes())
        for command in (protobuf.statement("INSERT INTO t VALUES (1)", begun[1][0]), protobuf.statement(LARGE)):
            client.get_flight_info(pyarrow.flight.FlightDescriptor.for_command(command))
        server.signal(signal.SIGTERM)
        assert server.wait(15) == 0
    server.start()
    assert server.scalar("SELECT count(*) FROM t") == 0


# === restart and kill ===


def test_everything_is_there_after_a_restart(launch):
    server = launch()
    server.sql("CREATE TABLE silver.t AS SELECT i FROM range(1000) t(i)")
    server.sql("CREATE VIEW gold.v AS SELECT sum(i) AS total FROM silver.t")
    snapshot = server.scalar("SELECT id FROM lake.current_snapshot()")
    server.restart()
    assert server.scalar("SELECT total FROM gold.v") == 499500
    assert server.scalar("SELECT id FROM lake.current_snapshot()") == snapshot


@pytest.mark.parametrize("commits", [5, 40])
def test_inserts_that_were_acknowledged_survive_a_kill(launch, commits):
    server = launch()
    server.sql("CREATE TABLE t (i BIGINT, part BIGINT)")
    acknowledged = []

    def write():
        command = "INSERT INTO t SELECT {}, part FROM range(10) p(part)"
        with contextlib.suppress(pyarrow.ArrowException, OSError), server.flight() as client:
            for i in range(10_000):
                # Ten rows per statement: a part of them would be a torn write.
                statement = protobuf.statement(command.format(i))
                client.get_flight_info(pyarrow.flight.FlightDescriptor.for_command(statement))
                acknowledged.append(i)

    writer = threading.Thread(target=write)
    writer.start()
    wait_until(lambda: len(acknowledged) >= commits, "some inserts are acknowledged", 30)
    server.kill9()
    writer.join()
    server.start()
    found = dict(server.sql("SELECT i, count(*) FROM t GROUP BY i"))
    assert set(found.values()) == {10}
    # The last one may have been committed without a response.
    assert set(acknowledged) <= set(found) <= set(range(len(acknowledged) + 1))
    server.sql("INSERT INTO t VALUES (-1, 0)")


def test_a_kill_during_a_large_ingest_leaves_no_part_of_it(launch, tmp_path):
    server = launch()
    rows = pyarrow.table({"id": range(200_000), "text": [f"text {i}" * 20 for i in range(200_000)]})
    for part in range(4):
        pyarrow.parquet.write_table(rows, tmp_path / f"{part}.parquet")
    body = {"source": tmp_path.as_uri(), "dataset": "large"}
    events = server.events("ingest", body)
    next(events)
    server.kill9()
    with pytest.raises((pyarrow.ArrowException, OSError)):
        list(events)
    server.start()
    tables = server.sql("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'raw'")
    if tables:
        assert server.scalar("SELECT count(*) FROM raw.large") == 800_000
    else:
        assert not (server.store / "raw" / "large" / "manifest.json").exists()
    mode = body | {"mode": "replace"}
    assert server.result("ingest", mode)["rows_added"] == 800_000
    assert server.scalar("SELECT count(*) FROM raw.large") == 800_000


def test_an_interrupt_stops_like_sigterm(launch):
    server = launch()
    server.signal(signal.SIGINT)
    assert server.wait(10) == 0
    server.check_output()


def test_the_server_needs_nothing_of_the_working_directory(launch, tmp_path):
    directory = tmp_path / "directory"
    directory.mkdir(mode=0o555)
    server = launch(home=tmp_path / "a b" / "ünïcode's home", tracer=["sh", "-c", 'cd "$0" && exec "$@"', str(directory)])
    server.sql("CREATE TABLE t AS SELECT 42 AS i")
    assert server.scalar("SELECT i FROM t") == 42
    assert list(directory.iterdir()) == []
