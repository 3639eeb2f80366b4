#!/usr/bin/env bash
# Where the server's time goes while lineitem is read: perf where it is there (Debian: linux-perf), else callgrind.
set -euo pipefail

usage() {
    cat <<'EOF'
usage: tests/bench/profile.sh [option]...

  --scale N         TPC-H scale factor [1; callgrind 0.02]
  --reads N         how often a client reads lineitem [10; callgrind 1]
  --tool TOOL       perf or callgrind [perf, where it is installed]
  --graph           perf: with the callers, from the line tables (slower)
  --sql TEXT        what is read instead of lineitem, such as "SELECT 1"
  --output FOLDER   where perf.data or callgrind.out goes [a new folder in /tmp]

Ends with the table of functions, and how to see more. The variables are those of run.sh.
EOF
}

case " $* " in
    *" --help "* | *" -h "*) usage && exit ;;
esac
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=SCRIPTDIR/environment.sh
. "$root/tests/bench/environment.sh"
exec "$environment/bin/python" "$bench/profiling.py" "$@"
