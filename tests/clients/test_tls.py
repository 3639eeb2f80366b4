"""TLS: trusted authorities, certificates that change, and clients that never complete the handshake."""

import contextlib
import os
import resource
import socket
import ssl

import pyarrow
import pyarrow.flight
import pytest

import harness
import protobuf
from authority import DAY, Authority
from harness import run, wait_until

LARGE = "SELECT i, repeat('x', 200) AS text FROM range(500_000) t(i)"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def clients(tmp_path_factory):
    """The authority of the clients' certificates."""
    return Authority(tmp_path_factory.mktemp("clients"), "authority of clients")


@pytest.fixture(scope="module")
def encrypted(authority, tmp_path_factory):
    cert, key = authority.write("server")
    server = harness.Server(tmp_path_factory.mktemp("server"), "--tls-cert", cert, "--tls-key", key)
    try:
        yield server.start()
    finally:
        server.discard()


@pytest.fixture(scope="module")
def mutual(authority, clients, tmp_path_factory):
    cert, key = authority.write("mutual")
    flags = ["--tls-cert", cert, "--tls-key", key, "--tls-client-ca", clients.file]
    server = harness.Server(tmp_path_factory.mktemp("server"), *flags)
    try:
        yield server.start()
    finally:
        server.discard()


def connect(server, authority, **options):
    uri = server.uri.replace("127.0.0.1", "localhost")
    return pyarrow.flight.connect(uri, tls_root_certs=authority.pem, **options)


def answer(client):
    info = client.get_flight_info(pyarrow.flight.FlightDescriptor.for_command(protobuf.statement("SELECT 42 AS i")))
    return client.do_get(info.endpoints[0].ticket).read_all().to_pydict()


def sql(server, *arguments, **variables):
    return run("sql", "SELECT 42 AS i", "--format", "csv", "--url", server.uri, *arguments, **variables)


def served_certificate(server):
    """The certificate that the server presents to a new connection."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(address(server), timeout=20) as plain:
        with context.wrap_socket(plain) as encrypted:
            return ssl.DER_cert_to_PEM_cert(encrypted.getpeercert(True)).strip().encode()


def address(server):
    host, port = server.uri.rpartition("://")[2].rsplit(":", 1)
    return host, int(port)


# === one-sided ===


def test_the_ready_line_contains_tls_and_clients_connect(encrypted, authority):
    assert encrypted.uri.startswith("grpc+tls://127.0.0.1:")
    with connect(encrypted, authority) as client:
        assert answer(client) == {"i": [42]}
    with encrypted.adbc(**{"adbc.flight.sql.client_option.tls_root_certs": authority.pem.decode()}) as connection:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 42")
            assert cursor.fetchall() == [(42,)]


def test_the_protocol_is_agreed_on(encrypted):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    with socket.create_connection(address(encrypted), timeout=20) as plain, context.wrap_socket(plain) as stream:
        assert stream.selected_alpn_protocol() == "h2"


def test_clients_do_not_trust_another_authority(encrypted, clients):
    with connect(encrypted, clients) as client, pytest.raises(pyarrow.flight.FlightUnavailableError):
        answer(client)


def test_the_command_line_connects(encrypted, authority, clients, tmp_path):
    ended = sql(encrypted, "--ca", authority.file)
    assert (ended.returncode, ended.stdout) == (0, "i\n42\n"), ended.stderr
    ended = sql(encrypted, MERGANSER_CA_CERT=str(authority.file))
    assert ended.returncode == 0, ended.stderr
    for arguments in ([], ["--ca", clients.file]):
        ended = sql(encrypted, *arguments)
        assert ended.returncode == 1 and "certificate" in ended.stderr and "--ca" in ended.stderr, ended.stderr
    ended = sql(encrypted, "--ca", tmp_path / "missing.pem")
    assert ended.returncode == 1 and "missing.pem" in ended.stderr
    (tmp_path / "empty.pem").write_text("")
    assert sql(encrypted, "--ca", tmp_path / "empty.pem").returncode == 1


def test_clients_without_tls_get_a_hint(encrypted):
    ended = run("sql", "SELECT 1", "--url", encrypted.uri.replace("grpc+tls", "grpc"))
    assert ended.returncode == 1 and "grpc+tls://" in ended.stderr, ended.stderr


# === mutual ===


def test_a_certificate_of_the_authority_lets_in(mutual, authority, clients):
    cert, key = clients.issue("alice")
    with connect(mutual, authority, cert_chain=cert, private_key=key) as client:
        assert answer(client) == {"i": [42]}
    options = {
        "adbc.flight.sql.client_option.tls_root_certs": authority.pem.decode(),
        "adbc.flight.sql.client_option.mtls_cert_chain": cert.decode(),
        "adbc.flight.sql.client_option.mtls_private_key": key.decode(),
    }
    with mutual.adbc(**options) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 42")
        assert cursor.fetchall() == [(42,)]


def test_the_command_line_shows_its_certificate(mutual, authority, clients):
    cert, key = clients.write("command line")
    ended = sql(mutual, "--ca", authority.file, "--client-cert", cert, "--client-key", key)
    assert (ended.returncode, ended.stdout) == (0, "i\n42\n"), ended.stderr
    ended = sql(mutual, "--ca", authority.file, MERGANSER_CLIENT_CERT=str(cert), MERGANSER_CLIENT_KEY=str(key))
    assert ended.returncode == 0, ended.stderr
    ended = sql(mutual, "--ca", authority.file, "--client-cert", cert)
    assert ended.returncode == 1 and "--client-key" in ended.stderr
    ended = sql(mutual, "--ca", authority.file)
    assert ended.returncode == 1 and ended.stdout == "", ended.stderr


@pytest.mark.parametrize("shown", ["nothing", "another authority's", "expired"])
def test_other_certificates_are_rejected(mutual, authority, clients, shown):
    options = {}
    if shown != "nothing":
        issuer, lifetime = (authority, DAY) if shown == "another authority's" else (clients, -DAY)
        options["cert_chain"], options["private_key"] = issuer.issue("mallory", lifetime)
    with connect(mutual, authority, **options) as client, pytest.raises(pyarrow.flight.FlightUnavailableError):
        answer(client)


# === files that change ===


def test_a_new_certificate_is_served_and_streams_go_on(authority, launch):
    cert, key = authority.write("renewed")
    server = launch("--tls-cert", cert, "--tls-key", key)
    assert served_certificate(server) == cert.read_bytes().strip()
    with connect(server, authority) as client:
        info = client.get_flight_info(pyarrow.flight.FlightDescriptor.for_command(protobuf.statement(LARGE)))
        reader = client.do_get(info.endpoints[0].ticket)
        rows = reader.read_chunk().data.num_rows
        # Half replaced, then broken, then complete: the old one is used until there is a valid one.
        old, (new_cert, new_key) = cert.read_bytes().strip(), authority.issue("renewed")
        cert.write_bytes(new_cert)
        wait_until(lambda: "keeping the current one" in server.log(), "the half is noticed")
        assert served_certificate(server) == old
        key.write_bytes(b"garbage")
        wait_until(lambda: "no private key" in server.log(), "the garbage is noticed")
        os.remove(key)
        wait_until(lambda: "No such file" in server.log(), "the absence is noticed")
        assert served_certificate(server) == old
        key.write_bytes(new_key)
        wait_until(lambda: served_certificate(server) == new_cert.strip(), "the new certificate is served", 5)
        rows += sum(chunk.data.num_rows for chunk in reader)
        assert rows == 500_000
        assert answer(client) == {"i": [42]}


def test_a_new_authority_of_clients_counts_for_new_connections(authority, clients, launch, tmp_path):
    cert, key = authority.write("rotated")
    ca = tmp_path / "clients.pem"
    ca.write_bytes(clients.pem)
    server = launch("--tls-cert", cert, "--tls-key", key, "--tls-client-ca", ca)
    old, other = clients.issue("old"), Authority(tmp_path)
    new = other.issue("new")

    def is_let_in(certificate):
        with connect(server, authority, cert_chain=certificate[0], private_key=certificate[1]) as client:
            with contextlib.suppress(pyarrow.flight.FlightUnavailableError):
                return answer(client) == {"i": [42]}

    assert is_let_in(old) and not is_let_in(new)
    ca.write_bytes(other.pem)
    wait_until(lambda: is_let_in(new), "the new authority counts", 5)
    assert not is_let_in(old)


# === half-open connections ===


@pytest.mark.parametrize("scheme", ["grpc", "grpc+tls"])
def test_half_open_connections_do_not_block_others(scheme, authority, launch):
    flags = []
    if scheme == "grpc+tls":
        cert, key = authority.write("besieged")
        flags = ["--tls-cert", cert, "--tls-key", key]
    server = launch(*flags)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    count = min(700, limit // 2 - 50)
    with contextlib.ExitStack() as sockets:
        held = []
        for number in range(count):
            held.append(sockets.enter_context(socket.create_connection(address(server), timeout=20)))
            if scheme == "grpc+tls" and number % 2:
                held[-1].send(b"\x16\x03\x01\x02\x00")
        ended = sql(server, "--ca", authority.file)
        assert (ended.returncode, ended.stdout) == (0, "i\n42\n"), ended.stderr
        # Connections that never send anything are closed.
        held[-1].settimeout(20)
        try:
            assert held[-1].recv(1) == b""
        except ConnectionResetError:
            pass
    assert server.is_running()


# === faults ===


def test_files_that_cannot_be_used_are_named(authority, tmp_path):
    cert, key = authority.write("good")
    _, other_key = authority.write("other")
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    for flags, texts in [
        (["--tls-cert", tmp_path / "no.crt", "--tls-key", key], ["no.crt", "No such file"]),
        (["--tls-cert", empty, "--tls-key", key], ["empty.pem", "no certificate"]),
        (["--tls-cert", cert, "--tls-key", empty], ["empty.pem", "no private key"]),
        (["--tls-cert", key, "--tls-key", key], ["good.key", "no certificate"]),
        (["--tls-cert", cert, "--tls-key", other_key], ["good.crt", "tls_key"]),
        (["--tls-cert", cert, "--tls-key", key, "--tls-client-ca", empty], ["empty.pem", "no certificate"]),
    ]:
        for command in ("serve", "check"):
            ended = run(command, "--home", tmp_path / "home", "--listen", "127.0.0.1:0", *flags)
            assert ended.returncode == 1, ended.stderr
            for text in texts:
                assert text in ended.stderr, ended.stderr
            assert "BEGIN" not in ended.stderr
    ended = run("serve", "--home", tmp_path / "home", "--tls-cert", cert)
    assert ended.returncode == 2 and "tls_key" in ended.stderr


def test_check_reports_tls(authority, clients, tmp_path):
    cert, key = authority.write("checked")
    flags = ["--tls-cert", cert, "--tls-key", key]
    ended = run("check", "--home", tmp_path / "home", *flags)
    assert ended.returncode == 0 and "TLS            ok\n" in ended.stdout, ended.stderr
    ended = run("check", "--home", tmp_path / "home", *flags, "--tls-client-ca", clients.file)
    assert ended.returncode == 0 and "clients must show a certificate" in ended.stdout, ended.stderr
