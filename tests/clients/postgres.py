"""PostgreSQL for the tests: a cluster in a separate folder, on a Unix socket, run by its own user."""

import os
import pathlib
import pwd
import secrets
import shutil
import subprocess
import tempfile
import urllib.parse

SUPERUSER = "merganser"
# Debian keeps the programs of each version in a folder that is not on the path.
VERSIONS = pathlib.Path("/usr/lib/postgresql")


def programs():
    """The folder with initdb and pg_ctl; None if PostgreSQL is absent."""
    found = [path.parent for path in VERSIONS.glob("*/bin/initdb")]
    on_path = shutil.which("initdb")
    if on_path:
        found.append(pathlib.Path(on_path).resolve().parent)
    return max(found, key=lambda folder: folder.parent.name, default=None)


class Postgres:
    """One cluster; it can be stopped as if it had crashed, and started again."""

    def __init__(self):
        self.programs = programs()
        # It cannot be run by root, and its user cannot read pytest's folders.
        self.user = "postgres" if os.getuid() == 0 else None
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="merganser-postgres-"))
        self.data = self.folder / "data"
        # Characters that are special in a URI, in SQL and in a connection string.
        self.password = f"p@s's w/o\\rd-{secrets.token_hex(4)}"
        if self.user:
            account = pwd.getpwnam(self.user)
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        file = self.folder / "password"
        file.write_text(self.password)
        file.chmod(0o644)
        self._run("initdb", "-D", self.data, "-U", SUPERUSER, "-E", "UTF8", "--locale=C", "-N",
                  "--auth=scram-sha-256", f"--pwfile={file}")  # fmt: skip
        file.unlink()
        self.start()

    def _run(self, program, *arguments):
        # The server keeps its parent's output open.
        with (self.folder / "output.txt").open("a") as output:
            subprocess.run(
                [self.programs / program, *map(str, arguments)],
                user=self.user,
                group=self.user,
                extra_groups=[] if self.user else None,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                timeout=60,
                check=True,
            )

    def start(self):
        options = f"-c listen_addresses= -c unix_socket_directories={self.folder} -c fsync=off"
        self._run("pg_ctl", "-D", self.data, "-w", "-l", self.folder / "log.txt", "-o", options, "start")

    def crash(self):
        """Stops it without notifying its clients."""
        self._run("pg_ctl", "-D", self.data, "-w", "-m", "immediate", "stop")

    def restart(self):
        self.crash()
        self.start()

    def uri(self, database, password=None, folder=None):
        password = urllib.parse.quote(password or self.password, safe="")
        return f"postgres://{SUPERUSER}:{password}@/{database}?host={folder or self.folder}"

    def make_database(self, name):
        """Creates a database; returns its URI."""
        self.sql(f"CREATE DATABASE {name}")
        return self.uri(name)

    def sql(self, text, database="postgres"):
        """Executes one statement and returns its rows as printed by psql."""
        command = [shutil.which("psql") or self.programs / "psql", "-h", self.folder, "-U", SUPERUSER, "-d", database]
        return subprocess.run(
            [*command, "-At", "-v", "ON_ERROR_STOP=1", "-c", text],
            env=os.environ | {"PGPASSWORD": self.password},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout.strip()

    def discard(self):
        if (self.data / "postmaster.pid").exists():
            self.crash()
        shutil.rmtree(self.folder)
