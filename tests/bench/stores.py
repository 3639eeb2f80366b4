"""Where assets lie: a folder, or the S3 server of the tests."""

import json
import os
import pathlib
import urllib.request

import processes
from processes import Failed

FOLDER, S3 = "folder", "S3"
BUCKET = "bench"


class Store:
    """A store, and what a server and its peers need to reach it."""

    def __init__(self, folder, told=None):
        self.folder, self.told = pathlib.Path(folder), told
        self.home = self.folder / "home"
        self.uri = f"s3://{BUCKET}" if told else str(folder)

    def start_server(self, running, start):
        """A server whose lake is in this store."""
        if not self.told:
            return start(running, self.home)
        variables = {
            "AWS_ACCESS_KEY_ID": self.told["key_id"],
            "AWS_SECRET_ACCESS_KEY": self.told["secret_key"],
            "AWS_ENDPOINT_URL": self.told["url"],
        }
        return start(running, self.home, flags=["--storage", f"{self.uri}/lake"], **variables)

    @property
    def lake(self):
        """The folder that contains the server's objects."""
        return self.copies / "lake" if self.told else self.home / "store"

    @property
    def copies(self):
        """The folder that contains what others than the server write."""
        return self.folder / "buckets" / BUCKET if self.told else self.folder

    @property
    def options(self):
        """The options of the crate object_store, which Lance takes."""
        if not self.told:
            return {}
        return {
            "access_key_id": self.told["key_id"],
            "secret_access_key": self.told["secret_key"],
            "endpoint": self.told["url"],
            "region": "us-east-1",
            "allow_http": "true",
        }

    def delay(self, milliseconds):
        """From now on, every request is answered so much later."""
        rules = json.dumps([{"fault": {"delay": milliseconds}}]).encode()
        request = urllib.request.Request(f"{self.told['control']}/faults", data=rules, method="PUT")
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10):
            pass


def open_store(running, place, folder):
    """The store for `place`, in an existing empty folder."""
    if place == FOLDER:
        return Store(folder)
    program = pathlib.Path(os.environ["MERGANSER_BIN"]).parent / "examples" / "s3"
    if not program.exists():
        raise Failed(f"{program} is absent: cargo build --release --example s3")
    (folder / "buckets" / BUCKET).mkdir(parents=True)
    process = running.start("s3", [program, folder / "buckets"], pipes=True)
    return Store(folder, processes.answer(process, processes.START_SECONDS))
