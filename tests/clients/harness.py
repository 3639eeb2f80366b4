"""A real server for the tests: a process on its own port, called over the network and stopped by signals."""

import json
import os
import pathlib
import signal
import subprocess
import time

import adbc_driver_flightsql.dbapi
import pyarrow.flight

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED_DATA = ROOT.parent / "shared" / "data"
START_SECONDS = 30
STOP_SECONDS = 30
LISTENING = "listening on "


def program():
    return os.environ["MERGANSER_BIN"]


def environment(**variables):
    """The process's environment without settings of the server, and with `variables`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MERGANSER_", "AWS_", "HF_", "KAGGLE_"))}
    return kept | variables


def run(*arguments, seconds=60, **variables):
    """Runs the program to its end and returns the completed process, with its output as text."""
    return subprocess.run(
        [program(), *map(str, arguments)],
        env=environment(**variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
    )


def ffmpeg(folder):
    """Makes a folder in which `ffmpeg` is, as a search path."""
    import imageio_ffmpeg

    folder.mkdir()
    (folder / "ffmpeg").symlink_to(imageio_ffmpeg.get_ffmpeg_exe())
    return str(folder)


def wait_until(condition, what, seconds=10.0):
    """Polls until `condition` returns a true value, and returns that."""
    deadline = time.monotonic() + seconds
    while True:
        outcome = condition()
        if outcome:
            return outcome
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)


class Server:
    """One server process and its home directory; it may be stopped, killed and started again."""

    def __init__(self, folder, *flags, home=None, store=None, tracer=(), variables=None):
        self.folder = pathlib.Path(folder)
        self.home = pathlib.Path(home) if home else self.folder / "home"
        self.store = pathlib.Path(store) if store else self.home / "store"
        self.flags = [str(flag) for flag in flags]
        self.tracer = [str(word) for word in tracer]
        self.variables = variables or {}
        self.storage = self.flags[self.flags.index("--storage") + 1] if "--storage" in self.flags else self.store
        self.process = None
        self.uri = None
        self.runs = 0

    # === life ===

    def start(self):
        self.runs += 1
        self.stdout = self.folder / f"stdout-{self.runs}.txt"
        self.stderr = self.folder / f"stderr-{self.runs}.txt"
        command = [*self.tracer, program(), "serve", "--home", str(self.home), *self.flags]
        if "--listen" not in self.flags:
            command += ["--listen", "127.0.0.1:0"]
        with self.stdout.open("wb") as stdout, self.stderr.open("wb") as stderr:
            self.process = subprocess.Popen(
                command,
                env=environment(**self.variables),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
            )
        line = wait_until(self._first_line, "the server listens", START_SECONDS)
        assert line.startswith((LISTENING + "grpc://", LISTENING + "grpc+tls://")), line
        self.uri = line.removeprefix(LISTENING).strip()
        return self

    def _first_line(self):
        text = self.stdout.read_text()
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended with {self.process.returncode}:\n{self.log()}")
        return text if text.endswith("\n") else None

    def log(self):
        return self.stderr.read_text(errors="replace")

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, seconds=STOP_SECONDS):
        """Waits for the end of the process; returns its exit code."""
        return self.process.wait(seconds)

    def check_output(self):
        """Checks what holds after every run: one line on stdout, and no panic."""
        assert self.stdout.read_text() == f"{LISTENING}{self.uri}\n"
        assert "panicked" not in self.log(), self.log()

    def stop(self):
        if not self.is_running():
            return
        self.signal(signal.SIGTERM)
        try:
            code = self.wait()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the server did not stop within {STOP_SECONDS} s:\n{self.log()}") from None
        assert code == 0, f"exit code {code}:\n{self.log()}"
        self.check_output()

    def kill9(self):
        self.process.kill()
        self.process.wait()

    def restart(self):
        self.stop()
        return self.start()

    def discard(self):
        """Ends a test: stops the server in an orderly way, and leaves no process behind in any case."""
        try:
            if self.is_running():
                self.stop()
            elif self.process is not None:
                assert "panicked" not in self.log(), self.log()
        finally:
            if self.is_running():
                self.kill9()

    # === clients ===

    def adbc(self, autocommit=True, **options):
        """A DBAPI connection; options are ADBC's own names, such as username and password."""
        return adbc_driver_flightsql.dbapi.connect(self.uri, db_kwargs=options, autocommit=autocommit)

    def flight(self):
        return pyarrow.flight.connect(self.uri.replace("grpc://", "grpc+tcp://"))

    def sql(self, text, parameters=None):
        """Executes one statement and returns its rows as tuples."""
        with self.adbc() as connection, connection.cursor() as cursor:
            cursor.execute(text, parameters)
            return cursor.fetchall()

    def scalar(self, text, parameters=None):
        [[value]] = self.sql(text, parameters)
        return value

    def head(self):
        """The lake's newest version."""
        return self.scalar("SELECT id FROM lake.current_snapshot()")

    def events(self, action, body=None, options=None):
        """The events of an action one by one, as they arrive."""
        body = {} if body is None else body
        raw = body if isinstance(body, (bytes, str)) else json.dumps(body)
        raw = raw.encode() if isinstance(raw, str) else raw
        with self.flight() as client:
            for result in client.do_action((action, raw), options):
                yield json.loads(result.body.to_pybytes())

    def action(self, name, body=None):
        """All events of an action that succeeds."""
        return list(self.events(name, body))

    def result(self, name, body=None):
        """The result of an action that succeeds."""
        events = self.action(name, body)
        assert events[-1]["state"] == "succeeded", events[-1]
        return events[-1]["result"]

    @property
    def backup_folder(self):
        """The folder of its backups."""
        return self.store / "backups" / "catalog"

    # === resource usage ===

    def rss_bytes(self):
        return self._kilobytes("VmRSS") * 1024

    def peak_rss_bytes(self):
        return self._kilobytes("VmHWM") * 1024

    def _kilobytes(self, name):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1])
        raise AssertionError(f"no {name} in /proc")

    def open_files(self):
        """The number of open files and connections of the process."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def threads(self):
        return len(os.listdir(f"/proc/{self.process.pid}/task"))

    def cpu_seconds(self):
        text = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text()
        fields = text.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def cpu_used_in(self, seconds):
        """The CPU seconds that the server uses in the next `seconds`."""
        before = self.cpu_seconds()
        time.sleep(seconds)
        return self.cpu_seconds() - before

    def wait_until_idle(self, within=10.0):
        """Waits until the server is idle: less than a tenth of one core over half a second."""
        wait_until(lambda: self.cpu_used_in(0.5) < 0.05, "the server stops computing", within)
