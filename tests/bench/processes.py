"""The processes of a run: each is started here, has its own log, and none of them outlives the run."""

import ctypes
import json
import os
import pathlib
import re
import select
import signal
import subprocess
import time

START_SECONDS = 300
STOP_SECONDS = 20
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


class Failed(Exception):
    """A process ended, did not respond in time or responded with an error; the message contains the cause."""


class Processes:
    """Starts processes and ends them all, whatever happens, by their ids."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.running = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in reversed(self.running[:]):
            self.end(process)

    def start(self, name, command, pipes=False, **variables):
        """Starts a process whose output goes to a log, or, with `pipes`, whose stdin and stdout are ours."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("MERGANSER_")}
        log = self.folder / f"{name}-{len(list(self.folder.glob(name + '-*.log')))}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [str(word) for word in command],
                env=kept | variables,
                cwd=self.folder,
                stdin=subprocess.PIPE if pipes else subprocess.DEVNULL,
                stdout=subprocess.PIPE if pipes else output,
                stderr=output,
                text=True,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        process.name, process.log = name, log
        self.running.append(process)
        return process

    def end(self, process):
        """Terminates the process, and kills it if it does not end."""
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        self.running.remove(process)


def _die_with_parent():
    """Runs between fork and exec: if the benchmark is killed, the kernel ends its processes too."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def announced(process, pattern):
    """The match of the group of `pattern` in the process's log, once it appears."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        match = re.search(pattern, process.log.read_text(errors="replace"))
        if match:
            return match.group(1)
        if process.poll() is not None:
            raise Failed(f"{process.name} ended with {process.returncode}: {last_line(process)}")
        time.sleep(0.05)
    raise Failed(f"{process.name} did not start within {START_SECONDS} s: {last_line(process)}")


def last_line(process):
    lines = process.log.read_text(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


def ask(process, request):
    """Sends one request to a process with pipes; `answer` returns the response."""
    try:
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
    except BrokenPipeError:
        raise Failed(f"{process.name} ended with {process.wait()}: {last_line(process)}") from None


def answer(process, seconds):
    """The response to the last request. A process that sends none within `seconds` is killed: a late response would be
    taken for the next one."""
    if not select.select([process.stdout], [], [], seconds)[0]:
        process.kill()
        raise Failed(f"{process.name} did not respond within {seconds:g} s")
    line = process.stdout.readline()
    if not line:
        raise Failed(f"{process.name} ended with {process.wait()}: {last_line(process)}")
    reply = json.loads(line)
    if "error" in reply:
        raise Failed(reply["error"])
    return reply


# === resource usage ===


def resident_bytes(pid):
    """The resident memory of the process."""
    pages = pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pid):
    """The CPU time of the process since its start."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
