"""The benchmark: starts all systems, runs the parts, writes the tables. Called by tests/bench/run.sh."""

import argparse
import contextlib
import datetime
import importlib.metadata
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import data
import exports
import fragments
import media
import parts
import processes
import report
import servers
import versions
from processes import Failed

PACKAGES = (
    "adbc-driver-flightsql",
    "datasets",
    "duckdb",
    "duckdb-extension-quack",
    "pillow",
    "pyarrow",
    "pylance",
    "pysail",
    "roapi",
)
PARTS = parts.PARTS | versions.PARTS | fragments.PARTS | media.PARTS | exports.PARTS
PEER_WORDS = {
    "in-process": servers.IN_PROCESS,
    "buffered": servers.BUFFERED,
    "ceiling": servers.CEILING,
    "roapi": servers.ROAPI,
    "roapi-memory": servers.ROAPI_MEMORY,
    "sail": servers.SAIL,
    "quack": servers.QUACK,
}


def arguments():
    """The options; run.sh --help explains them."""
    parser = argparse.ArgumentParser(usage="tests/bench/run.sh --help", add_help=False, allow_abbrev=False)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", type=words(PARTS), default=list(PARTS))
    parser.add_argument("--without", type=words(PEER_WORDS), default=[])
    parser.add_argument("--repeats", type=int)
    parser.add_argument("--crowd-seconds", type=float)
    parser.add_argument("--slow-seconds", type=float)
    parser.add_argument("--markdown", type=pathlib.Path)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--keep", action="store_true")
    settings = parser.parse_args()
    if settings.rounds < 1 or settings.scale <= 0:
        parser.error("--rounds must be at least 1 and --scale above 0")
    small = settings.scale < 0.1
    settings.repeats = settings.repeats or (40 if small else 400)
    settings.crowd_seconds = settings.crowd_seconds or (2 if small else 10)
    settings.slow_seconds = settings.slow_seconds or (5 if small else 60)
    return settings


def words(known):
    def read(text):
        given = text.split(",")
        unknown = [word for word in given if word not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: not among {', '.join(known)}")
        return given

    return read


def fill_lake(running, lake):
    """Creates the lake with merganser, and copies its catalog for the others."""
    served = servers.start_merganser(running, lake.home)
    with servers.Clients(running, [served]) as clients:
        for table in data.TABLES:
            sql = f"CREATE TABLE lake.main.{table} AS FROM read_parquet('{lake.tpch / table}.parquet')"
            clients.ask(servers.MERGANSER, "execute", sql=sql)
    running.end(served.server)
    for suffix in ("", ".wal"):
        source = lake.home / f"catalog.ducklake{suffix}"
        if source.exists():
            shutil.copy(source, f"{lake.catalog}{suffix}")


def start_all(running, lake, left_out):
    """The systems that can be started here, and why the others cannot."""
    subjects = {servers.MERGANSER: servers.start_merganser(running, lake.home)}
    absent = {}
    for name, start in servers.STARTS.items():
        if name in left_out:
            continue
        try:
            subject = start(running, lake)
            with servers.Clients(running, [subject]) as clients:
                # Read as a stream: the ceiling returns the whole table.
                clients.ask(name, "whole", sql="SELECT count(*) FROM lineitem", way="stream")
            subjects[name] = subject
        except Failed as failure:
            absent[name] = str(failure)
            print(f"{name} is not available here: {failure}", flush=True)
    return subjects, absent


def measure(settings, cache, folder):
    with processes.Processes(folder) as running:
        lake = servers.Lake(folder, data.tpch(cache, settings.scale))
        fill_lake(running, lake)
        left_out = [PEER_WORDS[word] for word in settings.without]
        subjects, absent = start_all(running, lake, left_out)
        run = parts.Run(settings, running, lake, subjects, absent, left_out)
        for name in settings.only:
            run.say(f"part {name}")
            try:
                PARTS[name](run)
            except Failed as failure:
                run.wrong.append(f"part {name} failed: {failure}")
        return run


def facts(settings):
    version = subprocess.run([os.environ["MERGANSER_BIN"], "--version"], capture_output=True, text=True, check=True)
    return {
        "date": datetime.date.today().isoformat(),
        "scale": settings.scale,
        "rounds": settings.rounds,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "merganser": version.stdout.strip(),
        "versions": {name: found for name in PACKAGES if (found := installed(name))},
    }


def installed(package):
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(package)
    return None


def write(settings, cache, run):
    """Prints the table and writes the files; returns whether all results were correct."""
    known, table = facts(settings), report.Report(run)
    print("\n" + report.text(known, table))
    for line in report.cpu(run):
        print(line)
    for text in run.wrong:
        print(f"WRONG: {text}")
    if settings.markdown:
        settings.markdown.write_text(report.markdown(known, table))
    target = settings.json or cache / f"bench-{datetime.datetime.now():%Y%m%d-%H%M%S}.json"
    samples = {"facts": known, "table": [report.HEAD, *table.lines], "samples": run.samples, "wrong": run.wrong}
    absent = {"absent": run.absent, "failures": [[*key, why] for key, why in run.failures.items()]}
    target.write_text(json.dumps(samples | absent, indent=1) + "\n")
    print(f"all samples: {target}")
    return not run.wrong and not any(name == servers.MERGANSER for _, name in run.failures)


def end_on_signals():
    """Ctrl-c and SIGTERM end the run through its `with`s, which end all processes."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: sys.exit(128 + number))


def scratch(cache):
    """A new folder for lakes and logs. Folders left by runs that were killed more than a day ago are removed."""
    cache.mkdir(parents=True, exist_ok=True)
    for left in cache.glob("run-*"):
        if time.time() - left.stat().st_mtime > 24 * 3600:
            shutil.rmtree(left, ignore_errors=True)
    return pathlib.Path(tempfile.mkdtemp(prefix="run-", dir=cache))


def main():
    settings = arguments()
    end_on_signals()
    cache = pathlib.Path(os.environ["BENCH_CACHE"])
    folder = scratch(cache)
    try:
        run = measure(settings, cache, folder)
        sys.exit(0 if write(settings, cache, run) else 1)
    except Failed as failure:
        sys.exit(f"benchmark: {failure}")
    finally:
        if settings.keep:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
