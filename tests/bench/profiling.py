"""Profiles a server while lineitem is read. Called by tests/bench/profile.sh."""

import argparse
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

import bench
import data
import processes
import queries
import servers

TOP = 45


def arguments():
    """The options; profile.sh --help explains them."""
    parser = argparse.ArgumentParser(usage="tests/bench/profile.sh --help", add_help=False, allow_abbrev=False)
    default = "perf" if shutil.which("perf") else "callgrind"
    parser.add_argument("--tool", choices=["perf", "callgrind"], default=default)
    parser.add_argument("--scale", type=float)
    parser.add_argument("--reads", type=int)
    parser.add_argument("--graph", action="store_true")
    parser.add_argument("--sql", default=queries.WHOLE)
    parser.add_argument("--output", type=pathlib.Path)
    settings = parser.parse_args()
    # Under callgrind everything takes fifty times as long.
    quick = settings.tool == "perf"
    settings.scale = settings.scale or (1 if quick else 0.02)
    settings.reads = settings.reads or (10 if quick else 1)
    settings.output = (settings.output or pathlib.Path(tempfile.mkdtemp(prefix="merganser-profile-"))).resolve()
    settings.output.mkdir(parents=True, exist_ok=True)
    return settings


def read(running, served, settings):
    with servers.Clients(running, [served]) as clients:
        for _ in range(settings.reads):
            sample = clients.ask(servers.MERGANSER, "whole", sql=settings.sql, way="stream", seconds=3600)
            print(f"read in {sample['seconds']:.3f} s", flush=True)


def perf(running, lake, settings):
    """Samples the running server during the reads only."""
    served = servers.start_merganser(running, lake.home)
    file = settings.output / "perf.data"
    graph = ["--call-graph", "dwarf,16384"] if settings.graph else []
    # The CPU clock: virtual machines often have no cycle counter.
    command = ["perf", "record", "-e", "cpu-clock", "-F", "997", *graph, "-p", served.server.pid, "-o", file]
    recorder = running.start("perf", command)
    read(running, served, settings)
    recorder.send_signal(signal.SIGINT)
    recorder.wait()
    running.end(served.server)
    show = ["perf", "report", "--stdio", "-i", file]
    for sort in ("dso", "comm,dso,symbol"):
        table = subprocess.run([*show, "--no-children", "-g", "none", "--sort", sort], capture_output=True, text=True)
        lines = [line for line in table.stdout.split("\n") if line and not line.startswith("#")]
        print(*lines[:TOP], sep="\n", end="\n\n")
    print(f"more: perf report -i {file}; perf annotate -i {file} SYMBOL")


def callgrind(running, lake, settings):
    """Counts the instructions of a server from its start to its end."""
    file = settings.output / "callgrind.out"
    tool = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={file}"]
    served = servers.start_merganser(running, lake.home, under=tool)
    read(running, served, settings)
    served.server.send_signal(signal.SIGTERM)
    served.server.wait()
    show = ["callgrind_annotate", "--threshold=90", str(file)]
    table = subprocess.run(show, capture_output=True, text=True)
    print(*table.stdout.split("\n")[:TOP], sep="\n")
    print(f"more: callgrind_annotate --tree=both {file}")


def main():
    settings = arguments()
    cache = pathlib.Path(os.environ["BENCH_CACHE"])
    folder = bench.scratch(cache)
    bench.end_on_signals()
    try:
        with processes.Processes(folder) as running:
            lake = servers.Lake(folder, data.tpch(cache, settings.scale))
            bench.fill_lake(running, lake)
            {"perf": perf, "callgrind": callgrind}[settings.tool](running, lake, settings)
    except processes.Failed as failure:
        sys.exit(f"profile: {failure}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
