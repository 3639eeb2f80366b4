"""An S3 server for the tests, whose signatures are checked, with faults in front of it (tests/s3)."""

import json
import pathlib
import subprocess
import urllib.request

import harness


def program():
    """The built server; None where it was not built."""
    built = pathlib.Path(harness.program()).parent / "examples" / "s3"
    return built if built.exists() else None


class S3:
    """One process; its buckets are folders, so that a test sees what lies in them."""

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
        """An empty bucket; gives its URI."""
        (self.root / name).mkdir()
        return f"s3://{name}"

    def objects(self, bucket):
        """The keys in a bucket."""
        folder = self.root / bucket
        return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())

    # === faults ===

    def order(self, *rules):
        """From now on these faults happen, and no others: {"fault": …, "method": …, "contains": …, "times": …}."""
        self._call("PUT", "/faults", json.dumps(rules))

    def heal(self):
        self.order()

    def seen(self, method=None, contains=""):
        """The requests since the last call, of all that came."""
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
