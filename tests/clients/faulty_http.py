"""An HTTP server for tests: it records what it is asked and injects the faults that a test plans.

    server.plan(fail(503, retry_after=1), "GET", "/resolve/", times=2)
    server.plan(meanwhile(lambda: server.commit("owner/name", {"b": b"2"})), "POST", "/commit/")

The first plan that matches a request, and is not used up, applies to it. Nothing here knows a protocol.
"""

import dataclasses
import hashlib
import http.server
import json
import re
import secrets
import socket
import threading
import traceback
import urllib.parse
from collections.abc import Callable
from typing import NamedTuple

from faults import Answer, Fault, json_answer

HOSTS = ["127.0.0.1", "localhost"]


class Seen(NamedTuple):
    """A request as it was recorded. The path includes the query, both as sent; header names are in lower case."""

    method: str
    path: str
    headers: dict
    range: str | None


@dataclasses.dataclass
class Request:
    """A request to be answered. `path` is as sent, without the query."""

    method: str
    target: str
    headers: dict
    body: bytes = b""

    def __post_init__(self):
        self.path, _, query = self.target.partition("?")
        self.query = urllib.parse.parse_qs(query, keep_blank_values=True)

    def first(self, name, default=None):
        """The first value of a query parameter."""
        return self.query.get(name, [default])[0]

    def json(self):
        try:
            return json.loads(self.body or b"{}")
        except ValueError as error:
            raise Refusal(json_answer({"error": f"no JSON: {error}"}, 400)) from None


class Refusal(Exception):
    """Ends a request with this answer."""

    def __init__(self, answer):
        super().__init__(answer)
        self.answer = answer


@dataclasses.dataclass
class Plan:
    fault: Fault
    method: str | None
    contains: str
    when: Callable | None
    times: int | None
    skip: int
    hits: int = 0

    def applies(self, method, path):
        if self.times == self.hits or self.method not in (None, method) or self.contains not in path:
            return False
        if self.when and not self.when(method, path):
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.hits += 1
        return True


# === answers ===


def content_answer(request, content, headers):
    """The content, or the requested range of it."""
    headers = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes"} | headers
    wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("range", ""))
    validator = request.headers.get("if-range")
    if not wanted or wanted.group(0) == "bytes=-" or validator not in (None, headers.get("ETag")):
        return Answer(200, content, headers)
    size = len(content)
    first, last = wanted.groups()
    start = int(first) if first else max(0, size - int(last))
    end = min(int(last), size - 1) if first and last else size - 1
    if start > end:
        return Answer(416, b"", headers | {"Content-Range": f"bytes */{size}"})
    return Answer(206, content[start : end + 1], headers | {"Content-Range": f"bytes {start}-{end}/{size}"})


# === server ===


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body are written separately, which would wait for the client's delayed acknowledgement.
    disable_nagle_algorithm = True

    def handle_request(self):
        self.server.owner.serve(self)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_request

    def log_message(self, *_):
        pass

    def read_body(self, limit=None):
        """Reads the request's body, or at most `limit` bytes of it."""
        left = float("inf") if limit is None else limit
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(min(left, int(self.headers.get("Content-Length", 0))))
        body = bytearray()
        while (size := int(self.rfile.readline().split(b";")[0], 16)) and len(body) < left:
            body += self.rfile.read(size)
            self.rfile.readline()
        while not size and self.rfile.readline().strip():
            pass
        return bytes(body)

    def send(self, answer):
        """Sends the head of an answer."""
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != 304 and "Transfer-Encoding" not in answer.headers:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()

    def cut(self):
        self.close_connection = True
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def process_request(self, request, address):
        self.owner.connections.add(request)
        super().process_request(request, address)

    def shutdown_request(self, request):
        self.owner.connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request, address):
        """Connections that a client has left are no error; others are reported by `Server.serve`."""


class Server:
    """Listens on a free port; a subclass answers the requests in `answer`. As a context manager, it ends itself."""

    def __init__(self):
        self.requests = []
        self.bytes_sent = 0
        self.bytes_received = 0
        self.errors = []
        self.connections = set()
        # The recorded requests to the storage host that carry credentials, which clients must never send there.
        self.credentials_at_storage = []
        self.lock = threading.RLock()
        self.released = threading.Event()
        self._plans = []
        self._key = secrets.token_hex()
        self._listener = Listener((HOSTS[0], 0), Handler)
        self._listener.owner = self
        self.port = self._listener.server_address[1]
        self.endpoint = f"http://{HOSTS[0]}:{self.port}"
        threading.Thread(target=self._listener.serve_forever, args=[0.05], daemon=True).start()

    def answer(self, request):
        raise NotImplementedError

    def plan(self, fault, method=None, contains="", when=None, times=1, skip=0):
        """Injects a fault into `times` requests (None: all) that match, after `skip` ones; `.hits` counts them."""
        plan = Plan(fault, method, contains, when, times, skip)
        with self.lock:
            self._plans.append(plan)
        return plan

    def heal(self):
        """Forgets all plans, and lets stalled answers continue."""
        with self.lock:
            self._plans.clear()
        self.release()

    def release(self):
        """Lets stalled answers continue."""
        self.released.set()
        self.released = threading.Event()

    def seen(self, method=None, contains=""):
        """The recorded requests that match."""
        return [it for it in self.requests if method in (None, it.method) and contains in it.path]

    def forget_requests(self):
        """Sets the records and counters to zero."""
        with self.lock:
            self.requests.clear()
            self.credentials_at_storage.clear()
            self.bytes_sent = self.bytes_received = 0

    # === one request ===

    def serve(self, handler):
        headers = {name.lower(): value for name, value in handler.headers.items()}
        method, path = handler.command, handler.path
        with self.lock:
            self.requests.append(Seen(method, path, dict(headers), headers.get("range")))
            released = self.released
            fault = next((plan.fault for plan in self._plans if plan.applies(method, path)), Fault())
        body = handler.read_body(fault.read)
        with self.lock:
            self.bytes_received += len(body)
        if fault.read is not None:
            return handler.cut()
        answer = fault.instead or self._handle(Request(method, path, headers, body), fault)
        if fault.mute:
            return handler.cut()
        handler.send(answer)
        if method != "HEAD" and answer.status != 304:
            self._send_body(handler, answer.body, fault, released)

    def _handle(self, request, fault):
        try:
            if fault.before:
                fault.before(request)
            with self.lock:
                answer = self.answer(request)
        except Refusal as refusal:
            answer = refusal.answer
        except Exception:
            self.errors.append(f"{request.method} {request.target}\n{traceback.format_exc()}")
            answer = Answer(500, b"a bug of the test server")
        return fault.change(answer) if fault.change else answer

    def _send_body(self, handler, body, fault, released):
        whole = body if fault.sent is None else body[: fault.sent]
        pieces = [whole]
        if fault.pause is not None:
            pieces = [whole[start : start + fault.piece] for start in range(0, len(whole), fault.piece)]
        elif fault.piece is not None:
            pieces = [whole[: fault.piece], whole[fault.piece :]]
        for number, piece in enumerate(pieces):
            if fault.pause is not None or number:
                released.wait(fault.pause)
            # Counted first, so that a client that has the body finds it counted.
            with self.lock:
                self.bytes_sent += len(piece)
            handler.wfile.write(piece)
        if fault.sent is not None:
            handler.cut()

    # === links to the storage ===

    def base(self, request):
        """The address under which the client reaches this server, perhaps through a proxy."""
        return "http://" + request.headers.get("host", f"{HOSTS[0]}:{self.port}")

    def signed(self, request, path):
        """A link for `path` on the storage host, which is this server under another name."""
        host = HOSTS[1] if HOSTS[0] in request.headers.get("host", "") else HOSTS[0]
        return f"http://{host}:{self.port}{path}?signature={self._signature(path)}"

    def signed_here(self, request, path):
        """A link that needs no credentials, on the same host."""
        return f"{self.base(request)}{path}?signature={self._signature(path)}"

    def check_signed(self, request):
        """Checks a request to the storage host, and records credentials."""
        if "authorization" in request.headers:
            self.credentials_at_storage.append(request)
        self.check_signature(request)

    def check_signature(self, request):
        """Refuses a request whose link is wrong or outdated."""
        if request.first("signature") != self._signature(request.path):
            raise Refusal(Answer(403, b"<Error><Code>AccessDenied</Code></Error>", {"Content-Type": "application/xml"}))

    def expire_links(self):
        """Makes all links to the storage that exist invalid."""
        self._key = secrets.token_hex()

    def _signature(self, path):
        return hashlib.sha256(f"{self._key} {path}".encode()).hexdigest()

    # === life ===

    def discard(self):
        """Stops, and reports bugs of the server itself."""
        self._listener.shutdown()
        self._listener.server_close()
        self.release()
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        assert not self.errors, "\n".join(self.errors)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.discard()
