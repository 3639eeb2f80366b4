"""An S3 server for the tests, which checks signatures, behind a proxy that injects faults (tests/s3)."""

import json
import pathlib
import subprocess
import urllib.request

import harness


def program():
    """The built server; None if it was not built."""
    built = pathlib.Path(harness.program()).parent / "examples" / "s3"
    return built if built.exists() else None


class S3:
    """One process; its buckets are folders, so that a test can inspect their content."""

    def __init__(self, folder):
        self.root = pathlib.Path(folder) / "buckets"
        self.root.mkdir()
        self.process = subprocess.Popen([program(), self.root], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        told = json.loads(self.process.stdout.readline())
        self.url, self.control = told["url"], told["control"]
        self.variables = {
            "AWS_ACCESS_KEY_ID": told["key_id"],
            "AWS_SECRET_ACCESS_KEY": told["secret_key"],
            "AWS_ENDPOINT_URL": self.url,
        }

    def make_bucket(self, name):
        """Creates an empty bucket; returns its URI."""
        (self.root / name).mkdir()
        return f"s3://{name}"

    def objects(self, bucket):
        """The keys in a bucket."""
        folder = self.root / bucket
        return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())

    # === faults ===

    def order(self, *rules):
        """Injects these faults, and no others, from now on: {"fault": …, "method": …, "contains": …, "times": …}."""
        self._call("PUT", "/faults", json.dumps(rules))

    def heal(self):
        self.order()

    def seen(self, method=None, contains=""):
        """The requests since the last call that match."""
        seen = json.loads(self._call("POST", "/seen"))
        return [it for it in seen if method in (None, it["method"]) and contains in it["target"]]

    def _call(self, method, path, body=""):
        request = urllib.request.Request(self.control + path, data=body.encode(), method=method)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
            return answer.read()

    def discard(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        finally:
            self.process.kill()
            self.process.stdout.close()
