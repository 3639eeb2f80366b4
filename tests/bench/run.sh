#!/usr/bin/env bash
# Compares merganser with other systems and prints a table of ratios. One command: it creates its own Python
# environment, builds the program, generates the data, starts and ends all servers.
set -euo pipefail

usage() {
    cat <<'EOF'
usage: tests/bench/run.sh [option]...

  tests/bench/run.sh                             all measures: TPC-H scale 1, 5 rounds
  tests/bench/run.sh --scale 0.01 --rounds 1     everything once, on little data: about a minute
  tests/bench/run.sh --only lineitem,select1 --without roapi

  --scale N             TPC-H scale factor [1]
  --rounds N            measured rounds, after one warm-up round [5]
  --only PART,…         lineitem, select1, point, clients, ingest, slow, travel, rollback, history,
                        writers, fragments, media, exports [all]
  --without PEER,…      in-process, buffered, ceiling, roapi, roapi-memory, sail, quack [none]
  --repeats N           executions of SELECT 1 per round; a quarter as many point queries [400; below scale 0.1: 40]
  --crowd-seconds N     how long the concurrent clients run per round [10; below scale 0.1: 2]
  --slow-seconds N      how long the slow reader reads [60; below scale 0.1: 5]
  --markdown FILE       writes the table as Markdown too
  --json FILE           file for all samples [a new file in the cache folder]
  --keep                keeps the lakes and logs of the run

  MERGANSER_BIN     the program to measure (default: built here with the release profile)
  CARGO_TARGET_DIR  where cargo builds (default: target in the cache folder)
  MERGANSER_CACHE   cache folder: build, Python environment, data of TPC-H, results
                    (default: merganser in $XDG_CACHE_HOME, else in ~/.cache)
EOF
}

case " $* " in
    *" --help "* | *" -h "*) usage && exit ;;
esac
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=SCRIPTDIR/environment.sh
. "$root/tests/bench/environment.sh"
exec "$environment/bin/python" "$bench/bench.py" "$@"
