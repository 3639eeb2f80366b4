#!/usr/bin/env bash
# Profiles the server while lineitem is read: with perf if it is installed (Debian: linux-perf), else callgrind.
set -euo pipefail

usage() {
    cat <<'EOF'
usage: tests/bench/profile.sh [option]...

  --scale N         TPC-H scale factor [1; callgrind 0.02]
  --reads N         how often a client reads lineitem [10; callgrind 1]
  --tool TOOL       perf or callgrind [perf, if it is installed]
  --graph           perf: with the callers, from the line tables (slower)
  --sql TEXT        the query to run instead of lineitem, such as "SELECT 1"
  --output FOLDER   folder for perf.data or callgrind.out [a new folder in /tmp]

Prints the table of functions, and the command for details. The variables are those of run.sh.
EOF
}

case " $* " in
    *" --help "* | *" -h "*) usage && exit ;;
esac
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=SCRIPTDIR/environment.sh
. "$root/tests/bench/environment.sh"
exec "$environment/bin/python" "$bench/profiling.py" "$@"
