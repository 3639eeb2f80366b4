"""Login: accepted and rejected credentials, and the error messages, with stock clients."""

import base64
import os
import pty
import queue
import statistics
import subprocess
import termios
import threading
import time

import adbc_driver_manager
import grpc
import pyarrow
import pyarrow.flight
import pytest

import harness
import protobuf
import wire
from harness import run

PASSWORD = "correct horse: battery"
WRONG = "invalid user name or password"
TOO_MANY = "too many failed logins"


def hash_of(password):
    made = subprocess.run([harness.program(), "hash-password"], input=password, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


@pytest.fixture(scope="module")
def credentials(tmp_path_factory):
    """A configuration file with users and a token, and the token."""
    made = run("new-token", "robot")
    token, line = made.stdout.splitlines()
    hashed = hash_of(PASSWORD)
    users = "".join(f'{user} = "{hashed}"\n' for user in ["alice", "bob", "victim", "attacked", "carol"])
    config = tmp_path_factory.mktemp("config") / "merganser.toml"
    config.write_text(f"[users]\n{users}\n[tokens]\n{line}\n")
    return config, token


@pytest.fixture(scope="module")
def guarded(credentials, tmp_path_factory):
    """A server that is configured with those users and that token."""
    server = harness.Server(tmp_path_factory.mktemp("server"), "--config", credentials[0])
    try:
        yield server.start()
    finally:
        server.discard()


def query(client, headers, sql="SELECT 42 AS i"):
    options = pyarrow.flight.FlightCallOptions(headers=headers)
    descriptor = pyarrow.flight.FlightDescriptor.for_command(protobuf.statement(sql))
    info = client.get_flight_info(descriptor, options)
    return client.do_get(info.endpoints[0].ticket, options).read_all().to_pydict()


def bearer(token):
    return [(b"authorization", f"Bearer {token}".encode())]


class Handshake(pyarrow.flight.ClientAuthHandler):
    """The older handshake, with a payload; keeps the response."""

    def __init__(self, payload):
        super().__init__()
        self.payload = payload
        self.token = None

    def authenticate(self, outgoing, incoming):
        outgoing.write(self.payload)
        self.token = incoming.read()

    def get_token(self):
        return b""


# === who is let in ===


def test_adbc_logs_in_with_user_and_password(guarded, name):
    with guarded.adbc(username="alice", password=PASSWORD) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {name} AS SELECT 1 AS i")
        cursor.execute("SELECT author FROM lake.snapshots() ORDER BY snapshot_id DESC LIMIT 1")
        assert cursor.fetchall() == [("alice",)]


def test_current_user_is_who_logged_in_whatever_connection_is_used(guarded, name):
    with guarded.adbc(username="alice", password=PASSWORD) as alice, guarded.adbc(username="bob", password=PASSWORD) as bob:
        alice.cursor().execute(f"CREATE VIEW {name} AS SELECT current_user AS name")
        for connection, user in ((alice, "alice"), (bob, "bob"), (alice, "alice")):
            with connection.cursor() as cursor:
                cursor.execute(f"SELECT current_user, session_user, current_role, user, name FROM {name} WHERE name = ?", [user])
                assert cursor.fetchall() == [(user,) * 5]
                cursor.execute("CREATE TEMP TABLE mine AS SELECT current_user AS name")
                cursor.execute("SELECT name, current_user() FROM mine")
                assert cursor.fetchall() == [(user,) * 2]
                cursor.execute("DROP TABLE mine")


def test_the_python_package_logs_in_with_a_password_or_a_token(guarded, credentials, package):
    for login, user in (({"user": "alice", "password": PASSWORD}, "alice"), ({"token": credentials[1]}, "robot")):
        with package.connect(guarded.uri, **login) as lake:
            assert lake.sql("SELECT current_user AS u").to_pylist() == [{"u": user}]
    for login in ({}, {"user": "alice"}, {"token": "mgn_wrong"}):
        with pytest.raises(adbc_driver_manager.Error) as error:
            package.connect(guarded.uri, **login).sql("SELECT 1")
        assert error.value.status_code.name == "UNAUTHENTICATED"


def test_pyarrow_logs_in_with_user_and_password(guarded):
    with guarded.flight() as client:
        header = client.authenticate_basic_token("bob", PASSWORD)
        assert query(client, [header]) == {"i": [42]}


def test_the_handshake_with_a_payload_gives_a_token(guarded):
    payload = protobuf.message((2, "carol"), (3, PASSWORD))
    handler = Handshake(payload)
    with guarded.flight() as client:
        client.authenticate(handler)
        assert query(client, bearer(handler.token.decode())) == {"i": [42]}


@pytest.mark.parametrize("padded", [True, False])
def test_basic_credentials_come_padded_or_not(guarded, padded):
    text = base64.b64encode(f"alice:{PASSWORD}".encode()).decode()
    assert text.endswith("=")
    header = f"Basic {text if padded else text.rstrip('=')}".encode()
    handler = Handshake(b"")
    with guarded.flight() as client:
        client.authenticate(handler, pyarrow.flight.FlightCallOptions(headers=[(b"authorization", header)]))
        assert query(client, bearer(handler.token.decode())) == {"i": [42]}


def test_a_static_token_needs_no_handshake(guarded, credentials, name):
    _, token = credentials
    options = {"adbc.flight.sql.authorization_header": f"Bearer {token}"}
    with guarded.adbc(**options) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {name} AS SELECT 1 AS i")
        cursor.execute("SELECT author FROM lake.snapshots() ORDER BY snapshot_id DESC LIMIT 1")
        assert cursor.fetchall() == [("robot",)]
    with guarded.adbc(autocommit=False, **options) as connection, connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {name} VALUES (2)")
        connection.commit()
        cursor.execute(f"SELECT count(*) FROM {name}")
        assert cursor.fetchall() == [(2,)]


def test_a_token_login_succeeds_and_repeats_no_token(guarded, credentials):
    _, token = credentials
    with guarded.flight() as client:
        _, session = client.authenticate_basic_token("alice", PASSWORD)
        for shown in (f"Bearer {token}".encode(), session):
            handler = Handshake(b"")
            client.authenticate(handler, pyarrow.flight.FlightCallOptions(headers=[(b"authorization", shown)]))
            assert handler.token == b""


def test_any_address_is_served_with_credentials(credentials, launch):
    server = launch("--config", credentials[0], "--listen", "0.0.0.0:0")
    assert "without TLS" in server.log()
    server.uri = server.uri.replace("0.0.0.0", "127.0.0.1")
    with server.adbc(username="alice", password=PASSWORD) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchall() == [(1,)]
    server.uri = server.uri.replace("127.0.0.1", "0.0.0.0")


# === who is not ===


def check_not_let_in(guarded, text, **options):
    """Neither a query nor a login succeeds, and the message contains the reason."""
    with pytest.raises((adbc_driver_manager.ProgrammingError, adbc_driver_manager.OperationalError)) as raised:
        with guarded.adbc(**options) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    assert text in str(raised.value) and "Unauthenticated" in str(raised.value), raised.value


def test_wrong_passwords_and_unknown_users_get_one_answer(guarded):
    for user, password in [("bob", "wrong"), ("bob", ""), ("nobody", PASSWORD), ("BOB", PASSWORD), ("", ""), ("", PASSWORD)]:
        with guarded.flight() as client, pytest.raises(pyarrow.flight.FlightUnauthenticatedError) as raised:
            client.authenticate_basic_token(user, password)
        assert WRONG in str(raised.value)
    check_not_let_in(guarded, WRONG, username="nobody2", password="wrong")


def test_no_credentials_are_not_enough_for_any_call(guarded):
    descriptor = pyarrow.flight.FlightDescriptor.for_command(protobuf.statement("SELECT 1"))
    with guarded.flight() as client:
        for call in (
            lambda: client.get_flight_info(descriptor),
            lambda: client.get_schema(descriptor),
            lambda: client.do_get(pyarrow.flight.Ticket(protobuf.statement("SELECT 1"))).read_all(),
            lambda: list(client.do_action(("jobs", b"{}"))),
            lambda: list(client.list_actions()),
        ):
            # pyarrow raises an OSError for errors of GetSchema.
            with pytest.raises((pyarrow.flight.FlightUnauthenticatedError, OSError), match="log in"):
                call()
        with pytest.raises(pyarrow.flight.FlightUnauthenticatedError):
            writer, _ = client.do_put(descriptor, pyarrow.schema([]))
            writer.close()
    check_not_let_in(guarded, "log in")


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "Bearer mgn_",
        "Bearer 00000000-0000-4000-8000-000000000000",
        "Bearer " + "x" * 8000,
        "Basic !!!",
        "Basic " + base64.b64encode(f"alice:{PASSWORD}".encode()).decode(),
        "Digest x",
        "",
    ],
)
def test_other_headers_are_refused(guarded, header):
    with guarded.flight() as client:
        with pytest.raises(pyarrow.flight.FlightUnauthenticatedError):
            query(client, [(b"authorization", header.encode())])
        assert guarded.is_running()


def test_a_changed_letter_makes_another_token(guarded, credentials):
    _, token = credentials
    other = token[:-1] + ("a" if token[-1] != "a" else "b")
    with guarded.flight() as client, pytest.raises(pyarrow.flight.FlightUnauthenticatedError):
        query(client, bearer(other))


@pytest.mark.parametrize("payload", [b"", b"\xff\xff\xff", protobuf.message((2, "alice"))])
def test_handshakes_without_credentials_are_refused(guarded, payload):
    with guarded.flight() as client, pytest.raises(pyarrow.flight.FlightUnauthenticatedError):
        client.authenticate(Handshake(payload))


def wait_for_headers(server, user, password):
    """Opens the handshake's stream and waits for the response's headers before it closes it, like Go's client."""
    credentials = base64.b64encode(f"{user}:{password}".encode()).decode()
    closed = queue.SimpleQueue()
    with wire.Wire(server) as connection:
        handshake = connection.channel.stream_stream(wire.SERVICE + "Handshake")
        call = handshake(iter(closed.get, None), metadata=[("authorization", f"Basic {credentials}")], timeout=60)
        headers = dict(call.initial_metadata())
        closed.put(None)
        replies = list(call)
    return headers, replies


def test_a_client_that_waits_for_the_headers_gets_its_token(guarded):
    headers, [reply] = wait_for_headers(guarded, "alice", PASSWORD)
    assert headers["authorization"] == "Bearer " + protobuf.parse(reply)[2][0].decode()
    with guarded.flight() as client:
        assert query(client, [(b"authorization", headers["authorization"].encode())]) == {"i": [42]}


def test_a_client_that_waits_for_the_headers_is_told_of_a_wrong_password(guarded):
    with wire.refused(grpc.StatusCode.UNAUTHENTICATED):
        wait_for_headers(guarded, "alice", "wrong")


def test_unknown_users_take_as_long_as_wrong_passwords(guarded):
    def seconds(user):
        with guarded.flight() as client:
            started = time.monotonic()
            with pytest.raises(pyarrow.flight.FlightUnauthenticatedError, match=WRONG):
                client.authenticate_basic_token(user, "wrong")
            return time.monotonic() - started

    known = statistics.median(seconds("attacked") for _ in range(4))
    unknown = statistics.median(seconds(f"unknown{i}") for i in range(4))
    # Without the decoy, an unknown user takes a hundredth of the time.
    assert unknown > known / 4, (known, unknown)


# === many misses ===


def test_an_account_that_misses_often_is_refused_unseen_and_others_are_not(guarded):
    answers = []
    stop = threading.Event()

    def attack():
        with guarded.flight() as client:
            while not stop.is_set():
                try:
                    client.authenticate_basic_token("victim", "wrong")
                except pyarrow.flight.FlightUnauthenticatedError as err:
                    answers.append(str(err))

    attackers = [threading.Thread(target=attack) for _ in range(8)]
    started = time.monotonic()
    for attacker in attackers:
        attacker.start()
    try:
        harness.wait_until(lambda: len(answers) > 200, "the attack is under way", 30)
        waits = []
        for _ in range(20):
            login = time.monotonic()
            with guarded.flight() as client:
                client.authenticate_basic_token("alice", PASSWORD)
            waits.append(time.monotonic() - login)
    finally:
        stop.set()
        for attacker in attackers:
            attacker.join()
    examined = sum(WRONG in answer for answer in answers)
    minutes = (time.monotonic() - started) / 60
    # Those that were verified at the same time may all still fail.
    assert 5 <= examined <= 5 + 4 + 10 * minutes, (examined, len(answers))
    assert examined + sum(TOO_MANY in answer for answer in answers) == len(answers)
    assert statistics.median(waits) < 0.5, waits
    # The right password is rejected as well.
    with guarded.flight() as client, pytest.raises(pyarrow.flight.FlightUnauthenticatedError, match="try again in"):
        client.authenticate_basic_token("victim", PASSWORD)


# === secrets stay secret ===


def test_no_secret_is_logged(credentials, launch):
    config, token = credentials
    server = launch("--config", config, "--log", "trace")
    with server.flight() as client:
        client.authenticate_basic_token("alice", PASSWORD)
        with pytest.raises(pyarrow.flight.FlightUnauthenticatedError):
            client.authenticate_basic_token("alice", "hunter2-and-more")
        query(client, bearer(token))
    log = server.log()
    basic = base64.b64encode(f"alice:{PASSWORD}".encode()).decode().rstrip("=")
    hashes = [line.split('"')[1] for line in config.read_text().splitlines() if '"' in line]
    for secret in [PASSWORD, "hunter2-and-more", token, basic, *hashes]:
        assert secret not in log


# === the command line ===


def sql(server, *arguments, input=None, **variables):
    return subprocess.run(
        [harness.program(), "sql", "SELECT 42 AS i", "--format", "csv", "--url", server.uri, *map(str, arguments)],
        env=harness.environment(**variables),
        input="" if input is None else input,
        capture_output=True,
        text=True,
        timeout=60,
    )


def check_42(ended):
    assert (ended.returncode, ended.stdout) == (0, "i\n42\n"), ended.stderr


def test_the_command_line_logs_in(guarded, credentials):
    _, token = credentials
    check_42(sql(guarded, "--user", "alice", MERGANSER_PASSWORD=PASSWORD))
    check_42(sql(guarded, MERGANSER_USER="alice", MERGANSER_PASSWORD=PASSWORD))
    check_42(sql(guarded, "--user", "alice", "--password-stdin", input=PASSWORD + "\n"))
    check_42(sql(guarded, MERGANSER_TOKEN=token))


def test_the_command_line_explains_how_to_log_in(guarded):
    ended = sql(guarded, "--user", "robot")
    assert ended.returncode == 1
    for text in ["robot", WRONG, "MERGANSER_PASSWORD", "--password-stdin", "MERGANSER_TOKEN"]:
        assert text in ended.stderr
    for ended in (sql(guarded, "--user", "carol", MERGANSER_PASSWORD="no"), sql(guarded, MERGANSER_TOKEN="no")):
        assert ended.returncode == 1 and ended.stdout == ""
    assert "no password on stdin" in sql(guarded, "--password-stdin").stderr


def on_terminal(arguments, answers):
    """Runs the program on a terminal, enters each answer at its prompt, and returns all of its output."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(harness.program(), [harness.program(), *arguments], harness.environment())
    shown = b""
    for prompt, answer in [*answers, (None, None)]:
        while prompt is None or prompt not in shown:
            try:
                shown += os.read(terminal, 4096)
            except OSError:
                break
        if answer:
            # Disabling the echo discards earlier input.
            harness.wait_until(lambda: not termios.tcgetattr(terminal)[3] & termios.ECHO, "the echo is off")
            os.write(terminal, answer.encode() + b"\n")
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), shown.decode()


def test_the_command_line_prompts_for_the_password_on_a_terminal(guarded):
    arguments = ["sql", "SELECT 42 AS i", "--url", guarded.uri, "--user", "alice"]
    code, shown = on_terminal(arguments, [(b"password of alice: ", PASSWORD)])
    assert code == 0 and "42" in shown and PASSWORD not in shown


def test_hash_password_prompts_twice_on_a_terminal():
    code, shown = on_terminal(["hash-password"], [(b"password: ", "a"), (b"repeat the password: ", "b")])
    assert code == 1 and "do not match" in shown
    code, shown = on_terminal(["hash-password"], [(b"password: ", "secret!"), (b"repeat the password: ", "secret!")])
    assert code == 0 and "$argon2id$v=19$" in shown and "[users]" in shown and "secret!" not in shown
    assert run("hash-password").returncode == 1


def test_new_token_refuses_names_that_cannot_be():
    ended = run("new-token", "a:b")
    assert ended.returncode == 1 and ended.stdout == "" and "expected a name" in ended.stderr


# === faults ===


def test_faults_of_credentials_are_reported_together_without_secrets(tmp_path):
    config = tmp_path / "merganser.toml"
    config.write_text('[users]\nalice = "hunter2"\n[tokens]\nrobot = "hunter2"\nother = 1\n')
    for command in ("serve", "check"):
        ended = run(command, "--home", tmp_path / "home", "--config", config)
        assert ended.returncode == 2 and "hunter2" not in ended.stderr
        for text in ["3 faults", ":2: user \"alice\"", "hash-password", ":4: token \"robot\"", "new-token", "other"]:
            assert text in ended.stderr


def test_check_counts_the_credentials(credentials, tmp_path):
    ended = run("check", "--home", tmp_path / "home", "--config", credentials[0])
    assert ended.returncode == 0 and "credentials    ok, users: 5, tokens: 1" in ended.stdout, ended.stderr
    ended = run("check", "--home", tmp_path / "home", "--listen", "0.0.0.0:0")
    assert ended.returncode == 1 and "[users]" in ended.stderr
