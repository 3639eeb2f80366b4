"""The faults that a test can inject into an answer or a request; `Server.plan` in faulty_http applies them."""

import dataclasses
import json
from collections.abc import Callable


@dataclasses.dataclass
class Answer:
    status: int = 200
    body: bytes = b""
    headers: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Fault:
    """What happens to a request; the functions below make the useful ones."""

    before: Callable | None = None  # Called with the request before it is handled.
    instead: Answer | None = None  # Sent, and the request is not handled.
    change: Callable | None = None  # Called with the answer; returns the one to be sent.
    read: int | None = None  # The connection ends after this many bytes of the request's body.
    mute: bool = False  # The connection ends before the answer.
    sent: int | None = None  # The connection ends after this many bytes of the answer's body.
    piece: int | None = None  # The body is sent in pieces of this size, …
    pause: float | None = None  # … with a pause before each; None lasts until the test releases it.


def json_answer(value, status=200, headers=None):
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json"} | (headers or {}))


def fail(status, code=None, retry_after=None, body=None, after=False):
    """An error answer. With `after`, the request takes effect nevertheless. `code` is the Hub's X-Error-Code."""
    answer = json_answer({"error": f"planned: {status}"} if body is None else body, status)
    if code is not None:
        answer.headers["X-Error-Code"] = code
    if retry_after is not None:
        answer.headers["Retry-After"] = str(retry_after)
    return Fault(change=lambda _: answer) if after else Fault(instead=answer)


def hang_up(after=False):
    """The connection ends without an answer. With `after`, the request takes effect nevertheless."""
    return Fault(mute=True) if after else Fault(mute=True, instead=Answer())


def cut(sent):
    """The connection ends after so many bytes of the answer's body."""
    return Fault(sent=sent)


def cut_upload(read):
    """The connection ends after so many bytes of the request's body; the request has no effect."""
    return Fault(read=read)


def slow(piece, pause):
    """Sends the body in pieces, and waits for some seconds before each."""
    return Fault(piece=piece, pause=pause)


def stall(sent=0):
    """Sends so many bytes of the body; the rest follows when the test calls `release`."""
    return Fault(piece=sent)


def spoil(position=None):
    """Inverts a byte of the body, by default the middle one; the length and all headers stay."""

    def change(answer):
        body = bytearray(answer.body)
        if body and answer.status < 300:
            body[len(body) // 2 if position is None else position] ^= 0xFF
        return dataclasses.replace(answer, body=bytes(body))

    return Fault(change=change)


def swap(body):
    """Another body, whose length the headers tell; the other headers stay."""
    return Fault(change=lambda answer: dataclasses.replace(answer, body=body))


def edit(function):
    """Applies a function to the value of a JSON answer."""
    return Fault(change=lambda it: dataclasses.replace(it, body=json.dumps(function(json.loads(it.body))).encode()))


def strip(*names):
    """Leaves out headers of the answer."""
    gone = {name.lower() for name in names}

    def change(answer):
        return dataclasses.replace(answer, headers={k: v for k, v in answer.headers.items() if k.lower() not in gone})

    return Fault(change=change)


def ignore_range():
    """Answers with the whole body, whatever range was requested."""
    return Fault(before=lambda request: request.headers.pop("range", None))


def meanwhile(action):
    """Calls the test's function before the request is handled."""
    return Fault(before=lambda _: action())
