"""The parts of the benchmark. Each subject takes its turn in every round, so that all run under the same conditions."""

import itertools
import shutil
import statistics
import threading
import time

import processes
import queries
import servers
from processes import Failed

CROWDS = (8, 64)
RAMP = 0.3  # of the measured time: how long the clients send queries before it
DRIVERS = 4  # processes that the concurrent clients share
FLIGHT_SQL_PEERS = (servers.ROAPI, servers.ROAPI_MEMORY, servers.SAIL)
CROWD_PEERS = (servers.IN_PROCESS, *FLIGHT_SQL_PEERS)
QUICK_PEERS = (*CROWD_PEERS, servers.QUACK)
SAMPLING_SECONDS = 0.2
SLOW = "slow reader"


class Run:
    """The state that the parts share: the settings, the available and the missing subjects, and all samples."""

    def __init__(self, settings, running, lake, subjects, absent, left_out):
        self.settings, self.running, self.lake = settings, running, lake
        self.subjects = subjects
        self.absent = absent  # name → why it could not be started
        self.left_out = left_out  # names
        self.samples = {}  # measure → name → samples; each has a `value`
        self.failures = {}  # (measure, name) → the error
        self.wrong = []  # results that differ from the others'

    def present(self, names):
        return [self.subjects[name] for name in names if name in self.subjects]

    def clients(self, names):
        return servers.Clients(self.running, self.present([servers.MERGANSER, *names]))

    def say(self, text):
        print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)

    def interleave(self, measures, names, measure_one, first=0):
        """Runs `measure_one(measure, name, round)` for each measure and subject, round by round; round 0 warms up."""
        for number in range(first, self.settings.rounds + 1):
            for measure in measures:
                for name in rotated(names, number):
                    self.take(measure, name, number, measure_one)

    def take(self, measure, name, number, measure_one):
        """One sample, unless the subject has failed in this measure before."""
        if (measure, name) in self.failures:
            return
        try:
            sample = measure_one(measure, name, number)
        except Failed as failure:
            self.failures[measure, name] = str(failure)
            self.say(f"{measure}, {name}: {failure}")
            return
        self.say(f"{measure}, {name}, {f'round {number}' if number else 'warm-up'}: {sample['value']:.4g}")
        if number:
            self.samples.setdefault(measure, {}).setdefault(name, []).append(sample)

    def compare(self, what, answers):
        """Records the results that differ from the first: `answers` are pairs of a name and its result."""
        (first, expected), *others = answers
        for name, got in others:
            if got != expected:
                self.wrong.append(f"{what}: {name} returned {got}, {first} returned {expected}")


def rotated(names, number):
    """The names in a different order each round, so that none always follows the same other one."""
    place = number % len(names)
    return names[place:] + names[:place]


# === lineitem ===


def lineitem(run):
    """The whole of lineitem, as a stream of batches and as one table."""
    ways = {"lineitem, streamed": "stream", "lineitem, Arrow table": "table"}
    with run.clients(servers.PEERS) as clients:
        names = list(clients.processes)
        _compare_lineitem(run, clients, names)

        def one(measure, name, number):
            served_by = run.subjects[name].server
            before = processes.cpu_seconds(served_by.pid) if served_by else 0
            sample = clients.ask(name, "whole", sql=queries.WHOLE, way=ways[measure])
            after = processes.cpu_seconds(served_by.pid) if served_by else 0
            return sample | {"value": sample["seconds"], "server_cpu": after - before}

        run.interleave(list(ways), names, one)


def _compare_lineitem(run, clients, names):
    answers = []
    for name in names:
        try:
            start = time.monotonic()
            answers.append((name, clients.ask(name, "fingerprint", sql=queries.WHOLE)["fingerprint"]))
            run.say(f"lineitem, {name}, read and summed up: {time.monotonic() - start:.4g}")
        except Failed as failure:
            run.say(f"lineitem, {name}: {failure}")
    if answers:
        # The in-process engine is the reference if it takes part.
        answers.sort(key=lambda answer: answer[0] != servers.IN_PROCESS)
        run.compare("lineitem: rows, and totals of its columns", answers)


# === small queries ===


def select1(run):
    """SELECT 1 repeatedly on a warm connection."""
    statements = [queries.ONE] * run.settings.repeats
    with run.clients(QUICK_PEERS) as clients:
        run.interleave(
            ["SELECT 1"],
            list(clients.processes),
            lambda measure, name, number: milliseconds(clients.ask(name, "repeat", statements=statements)),
        )
        run.interleave(
            ["SELECT 1, cursor kept"],
            [subject.name for subject in run.present([servers.MERGANSER, *FLIGHT_SQL_PEERS])],
            lambda measure, name, number: milliseconds(
                clients.ask(name, "kept_cursor", sql=queries.ONE, number=run.settings.repeats)
            ),
        )


def point(run):
    """All lines of one order, a different order each time."""
    rows = {}
    with run.clients(QUICK_PEERS) as clients:

        def one(measure, name, number):
            keys = itertools.islice(queries.order_keys(run.settings.scale, number), max(10, run.settings.repeats // 4))
            sample = milliseconds(clients.ask(name, "repeat", statements=[queries.point(key) for key in keys]))
            rows.setdefault(number, []).append((name, sample["rows"]))
            return sample

        run.interleave(["point query"], list(clients.processes), one)
    for number, answers in rows.items():
        run.compare(f"point query, rows of round {number}", answers)


def milliseconds(answer):
    """The median and the 99th percentile of small queries."""
    each = sorted(seconds * 1000 for seconds in answer["each"])
    return {"value": statistics.median(each), "p99": each[int(len(each) * 0.99)], "rows": answer["rows"]}


# === many clients ===


def clients(run):
    """Concurrent clients that send a mix of queries for a while: the number of queries per second."""
    subjects = run.present([servers.MERGANSER, *CROWD_PEERS])
    drivers = {subject.name: _drivers(run, subject) for subject in subjects}
    names = list(drivers)
    try:
        for number in CROWDS:
            gathered = [name for name in names if _gather(run, drivers[name], number, name)]
            if gathered:
                run.interleave(
                    [crowd_measure(number)],
                    gathered,
                    lambda measure, name, turn: _crowd(run, drivers[name], turn),
                    first=1,  # the clients warm up before the measured time, in each round
                )
    finally:
        for process in itertools.chain.from_iterable(drivers.values()):
            run.running.end(process)


def crowd_measure(number):
    return f"{number} clients, mix"


def _drivers(run, subject):
    """The processes of the concurrent clients; an in-process engine has only one."""
    number = DRIVERS if subject.server else 1
    return servers.start_clients(run.running, [subject] * number)


def _gather(run, drivers, number, name):
    """Opens the connections of the concurrent clients; returns whether that succeeded."""
    try:
        ask_all(drivers, 120, lambda place: {"do": "gather", "number": number // len(drivers)})
        return True
    except Failed as failure:
        run.failures[crowd_measure(number), name] = str(failure)
        run.say(f"{crowd_measure(number)}, {name}: {failure}")
        return False


def _crowd(run, drivers, turn):
    seconds = run.settings.crowd_seconds

    def request(place):
        # The same queries for every subject, different ones in each round.
        first_seed = turn * 10_000 + place * 1_000
        return {
            "do": "crowd",
            "ramp": seconds * RAMP,
            "seconds": seconds,
            "scale": run.settings.scale,
            "first_seed": first_seed,
        }

    answers = ask_all(drivers, seconds + 300, request)
    latencies = sorted(itertools.chain.from_iterable(answer["latencies"] for answer in answers))
    errors = list(itertools.chain.from_iterable(answer["errors"] for answer in answers))
    if not latencies:
        raise Failed(f"no query ended within {seconds:g} s")
    return {
        "value": (len(latencies) - len(errors)) / seconds,
        "p50": statistics.median(latencies),
        "p99": latencies[int(len(latencies) * 0.99)],
        "errors": len(errors),
        "error_texts": sorted(set(errors))[:3],
    }


def ask_all(drivers, seconds, request):
    """Sends a request to all drivers concurrently and collects their responses."""
    for place, process in enumerate(drivers):
        processes.ask(process, request(place))
    return [processes.answer(process, seconds) for process in drivers]


# === ingest ===


def ingest(run):
    """Ingest of lineitem from the client's memory into a table of a separate lake."""
    folder = run.lake.folder / "ingest"
    folder.mkdir()
    file = run.lake.tpch / "lineitem.parquet"
    served = servers.start_merganser(run.running, folder / "home")
    subjects = [served]
    if servers.IN_PROCESS in run.subjects:
        settings = {"catalog": str(folder / "lake.ducklake"), "data": str(folder / "data")}
        subjects.append(servers.Subject(servers.IN_PROCESS, "duckdb", settings))
    with servers.Clients(run.running, subjects) as opened:
        loaded = {name: opened.ask(name, "load", file=str(file))["fingerprint"] for name in opened.processes}

        def one(measure, name, number):
            table = f"ingest_{number}"
            opened.ask(name, "execute", sql=f"CREATE TABLE {table} AS FROM read_parquet('{file}') LIMIT 0")
            sample = opened.ask(name, "ingest", table=table)
            stored = opened.ask(name, "fingerprint", sql=f"SELECT * FROM {table}")["fingerprint"]
            run.compare(f"ingest by {name}", [("the data", loaded[name]), ("the table", stored)])
            opened.ask(name, "execute", sql=f"DROP TABLE {table}")
            return sample | {"value": sample["seconds"]}

        run.interleave(["ingest of lineitem"], list(opened.processes), one)
    run.running.end(served.server)
    shutil.rmtree(folder)


# === slow reader ===


def slow(run):
    """The memory growth of a new server while a client reads 50 GB at one batch per second."""
    folder = run.lake.folder / "slow"
    served = servers.start_merganser(run.running, folder)
    with servers.Clients(run.running, [served]) as clients:
        process = clients.processes[servers.MERGANSER]

        def one(measure, name, number):
            clients.ask(name, "whole", sql=queries.WIDE.format(rows=10_000), way="stream")
            before = processes.resident_bytes(served.server.pid)
            wide = queries.WIDE.format(rows=queries.WIDE_ROWS)
            processes.ask(process, {"do": "slow", "sql": wide, "seconds": run.settings.slow_seconds})
            watch = Watch(served.server.pid)
            answer = processes.answer(process, run.settings.slow_seconds + 60)
            held = [(size - before) / 2**20 for size in watch.stop()]
            return answer | {"value": max(held), "before": before / 2**20, "trace": held}

        run.take(SLOW, servers.MERGANSER, 1, one)
    run.running.end(served.server)
    shutil.rmtree(folder)


class Watch:
    """Samples the resident memory of a process."""

    def __init__(self, pid):
        self.pid, self.sizes = pid, []
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._follow, daemon=True)
        self.thread.start()

    def _follow(self):
        while not self.stopped.is_set():
            self.sizes.append(processes.resident_bytes(self.pid))
            self.stopped.wait(SAMPLING_SECONDS)

    def stop(self):
        """The samples in bytes."""
        self.stopped.set()
        self.thread.join()
        return self.sizes


PARTS = {"lineitem": lineitem, "select1": select1, "point": point, "clients": clients, "ingest": ingest, "slow": slow}
