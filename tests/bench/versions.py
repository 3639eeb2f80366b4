"""The parts about a changing lake: reading older versions, rollback, a long history, and many small writers."""

import itertools
import shutil
import statistics

import parts
import queries
import servers

AT_HEAD, AT_VERSION = "lineitem at head", "lineitem at an older version"
POINT_AT_HEAD, POINT_AT_VERSION = "point query at head", "point query at an older version"
COPY = "copy of 10 million rows"
ROLLBACK, SCATTERED = (f"rollback of 10 million rows, 1,000 changed{where}" for where in (" in a row", " all over"))
YOUNG, OLD, YOUNG_AGAIN, MAINTAINED = (
    f"point query, {what}" for what in ("10 snapshots", "10,000 snapshots", "10 snapshots, later", "maintained")
)
WRITERS = "8 writers of single rows"

BIG_ROWS = 10_000_000
CHANGED_ROWS = 1_000
YOUNG_SNAPSHOTS, OLD_SNAPSHOTS = 10, 10_000
HISTORY_ROWS = 1_000_000
WRITER_DRIVERS, WRITER_CONNECTIONS = 4, 8
WRITE_SECONDS = 5
# All of these are reduced if the scale is small.
SMALL = 0.02


def travel(run):
    """The same reads at head and at the version before a change of another table."""
    run.say("a snapshot after those of the tables")
    with run.clients(()) as clients:
        version = clients.ask(servers.MERGANSER, "value", sql="SELECT id FROM lake.current_snapshot()")["value"]
        clients.ask(servers.MERGANSER, "execute", sql="CREATE OR REPLACE TABLE later AS SELECT 1 AS i")
        at = f"lineitem AT (VERSION => {version})"

        def whole(measure, name, number):
            # An aggregate of all columns: the transfer of results is measured elsewhere.
            table = at if measure == AT_VERSION else "lineitem"
            sql = f"SELECT count(*), {', '.join(f'max({column})' for column in queries.COLUMNS)} FROM {table}"
            return parts.milliseconds(clients.ask(name, "repeat", statements=[sql]))

        def point(measure, name, number):
            keys = itertools.islice(queries.order_keys(run.settings.scale, number), max(10, run.settings.repeats // 4))
            table = at if measure == POINT_AT_VERSION else "lineitem"
            statements = [f"SELECT * FROM {table} WHERE l_orderkey = {key}" for key in keys]
            return parts.milliseconds(clients.ask(name, "repeat", statements=statements))

        run.interleave([AT_HEAD, AT_VERSION], [servers.MERGANSER], whole)
        run.interleave([POINT_AT_HEAD, POINT_AT_VERSION], [servers.MERGANSER], point)


def rollback(run):
    """A rollback of a large table with few changes, compared with a copy of it."""
    rows = scaled(run, BIG_ROWS)
    with run.clients(()) as clients:

        def ask(sql):
            return clients.ask(servers.MERGANSER, "timed", sql=sql)["seconds"]

        ask(f"CREATE OR REPLACE TABLE big AS SELECT i, hash(i) AS h, 'text ' || i % 1000 AS s FROM range({rows}) t(i)")
        expected = clients.ask(servers.MERGANSER, "value", sql=_TOTAL)["value"]

        def one(measure, name, number):
            if measure == COPY:
                seconds = ask("CREATE TABLE copied AS FROM big")
                ask("DROP TABLE copied")
                return {"value": seconds}
            version = clients.ask(name, "value", sql="SELECT id FROM lake.current_snapshot()")["value"]
            step = rows // CHANGED_ROWS
            first = number * CHANGED_ROWS
            near = f"i >= {first} AND i < {first + CHANGED_ROWS}"
            where = near if measure == ROLLBACK else f"i % {step} = {number % step}"
            ask(f"UPDATE big SET s = 'changed' WHERE {where}")
            seconds = ask(f"CALL merganser.rollback('main.big', version => {version})")
            found = clients.ask(name, "value", sql=_TOTAL)["value"]
            run.compare("rollback: total of the table", [("before", expected), ("after", found)])
            return {"value": seconds}

        run.interleave([COPY, ROLLBACK, SCATTERED], [servers.MERGANSER], one)
        ask("DROP TABLE big")


_TOTAL = "SELECT CAST(sum(i) AS VARCHAR) || ' ' || CAST(sum(length(s)) AS VARCHAR) FROM big"


def history(run):
    """A point query on a table after many commits, and after maintenance, each compared with one after few
    commits: the speed of machines varies in the minutes that the commits take."""
    folders = [run.lake.folder / name for name in ("young", "aged")]
    served = [servers.start_merganser(run.running, folder) for folder in folders]
    commits = scaled(run, OLD_SNAPSHOTS)
    with servers.Clients(run.running, served[:1]) as young, servers.Clients(run.running, served[1:]) as aged:

        def ask(clients, do, **fields):
            return clients.ask(servers.MERGANSER, do, seconds=3600.0, **fields)

        def one(measure, name, number):
            clients = young if measure in (YOUNG, YOUNG_AGAIN) else aged
            keys = [(place * 7919 + number) % HISTORY_ROWS for place in range(run.settings.repeats)]
            statements = [f"SELECT * FROM events WHERE i = {key}" for key in keys]
            return parts.milliseconds(ask(clients, "repeat", statements=statements))

        for clients, number in ((young, YOUNG_SNAPSHOTS), (aged, commits)):
            run.say(f"{number} commits")
            rows = f"SELECT i, 'event ' || i AS s FROM range({HISTORY_ROWS}) t(i)"
            ask(clients, "execute", sql=f"CREATE TABLE events AS {rows}")
            ask(clients, "commits", table="events", first=HISTORY_ROWS, number=number)
        run.interleave([YOUNG, OLD], [servers.MERGANSER], one)
        run.say("maintenance")
        ask(aged, "execute", sql="CALL merganser.maintain(expire_days => 0)")
        run.interleave([YOUNG_AGAIN, MAINTAINED], [servers.MERGANSER], one)
    for subject, folder in zip(served, folders, strict=True):
        run.running.end(subject.server)
        shutil.rmtree(folder)


def writers(run):
    """Eight connections insert one row after the other, each commit acknowledged; compared with one in process."""
    folder = run.lake.folder / "writers"
    folder.mkdir()
    served = servers.start_merganser(run.running, folder / "home")
    subjects = {served.name: (served, WRITER_DRIVERS, WRITER_CONNECTIONS // WRITER_DRIVERS)}
    if servers.IN_PROCESS in run.subjects:
        settings = {"catalog": str(folder / "lake.ducklake"), "data": str(folder / "data")}
        subjects[servers.IN_PROCESS] = (servers.Subject(servers.IN_PROCESS, "duckdb", settings), 1, 1)
    drivers = {}
    try:
        for name, (subject, number, connections) in subjects.items():
            drivers[name] = servers.start_clients(run.running, [subject] * number)
            parts.ask_all(drivers[name], 120, lambda place: {"do": "gather", "number": connections})

        def one(measure, name, number):
            table = f"rows_{number}"
            create = f"CREATE TABLE {table} (i BIGINT, s VARCHAR)"
            parts.ask_all(drivers[name][:1], 60, lambda place: {"do": "execute", "sql": create})
            request = {"do": "write", "table": table, "seconds": WRITE_SECONDS}
            answers = parts.ask_all(drivers[name], WRITE_SECONDS + 120, lambda place: request)
            each = sorted(itertools.chain.from_iterable(answer["each"] for answer in answers))
            count = f"SELECT count(*) FROM {table}"
            (stored,) = parts.ask_all(drivers[name][:1], 60, lambda place: {"do": "value", "sql": count})
            run.compare(f"rows of {name}", [("acknowledged", len(each)), ("stored", stored["value"])])
            return {
                "value": len(each) / WRITE_SECONDS,
                "p50": statistics.median(each),
                "p99": each[int(len(each) * 0.99)],
            }

        run.interleave([WRITERS], list(drivers), one)
    finally:
        for process in itertools.chain.from_iterable(drivers.values()):
            run.running.end(process)
    run.running.end(served.server)
    shutil.rmtree(folder)


def scaled(run, number):
    return number if run.settings.scale >= 0.1 else round(number * SMALL)


PARTS = {"travel": travel, "rollback": rollback, "history": history, "writers": writers}
