# shellcheck shell=bash
# Sourced by run.sh and profile.sh, which have set `root`: a Python environment with the peers, DuckDB's files, and the
# program to measure. Sets `environment` and exports what the Python files read.

bench=$root/tests/bench
cache=${MERGANSER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/merganser}

# Creates the Python environment once per list of packages and Python version. Other systems are installed one by one:
# one that cannot be installed here is reported as such in the table.
make_environment() {
    local key package
    key=$(cat "$bench/requirements.txt" <(python3 -c 'import sys; print(sys.version, sys.base_prefix)') | cksum)
    environment=$cache/bench-venv-${key%% *}
    if [ ! -e "$environment/complete" ]; then
        rm -rf "$environment"
        python3 -m venv "$environment"
        pip_install -r "$bench/requirements.txt"
        touch "$environment/complete"
    fi
    while read -r package; do
        is_installed "$package" || pip_install "$package" || echo "$package could not be installed" >&2
    done <"$bench/peers.txt"
}

pip_install() {
    "$environment/bin/python" -m pip install --quiet --no-input --disable-pip-version-check --only-binary :all: "$@"
}

is_installed() {
    "$environment/bin/python" -c 'import importlib.metadata, sys
name, version = sys.argv[1].split("==")
sys.exit(importlib.metadata.version(name) != version)' "$1" 2>/dev/null
}

build() {
    export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/target}
    (cd "$root" && cargo build --release --bin merganser)
    MERGANSER_BIN=$CARGO_TARGET_DIR/release/merganser
}

[ "$(uname -s)" = Linux ] || { echo "the benchmark reads /proc: it runs on Linux only" >&2 && exit 2; }
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
"$root/scripts/fetch-duckdb.sh"
make_environment
[ -n "${MERGANSER_BIN:-}" ] || build
[ -x "$MERGANSER_BIN" ] || { echo "MERGANSER_BIN must be the built program, but is \"$MERGANSER_BIN\"" >&2 && exit 2; }
MERGANSER_BIN=$(cd "$(dirname "$MERGANSER_BIN")" && pwd)/$(basename "$MERGANSER_BIN")
export MERGANSER_BIN BENCH_CACHE=$cache/bench BENCH_EXTENSIONS=$root/.deps/duckdb/extensions PYTHONDONTWRITEBYTECODE=1
