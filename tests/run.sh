#!/usr/bin/env bash
# Installs what the tests need and runs all of them; fails when anything failed.
# Runs with the bash 3.2 of macOS too.
set -euo pipefail

usage() {
    cat <<'EOF'
usage: tests/run.sh

Installs what the tests need and runs all of them: format, clippy, the Rust tests, and the
tests of the clients (Python, Java, Go, Node) against the built program. One that fails does not
stop the others; Java, Go and Node are not installed, and their parts skipped where they are absent.

  CARGO_TARGET_DIR  where cargo builds (default: target in the cache folder)
  MERGANSER_CACHE   cache folder, shared by all checkouts: downloads, build, packages
                    (default: merganser in $XDG_CACHE_HOME, else in ~/.cache)
  MERGANSER_SEED    seed of the random tests, by default the day; printed
  CI=true           a skipped part is a failure
EOF
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly root
readonly not_run=77 # what a part returns that set `because` and is skipped
because=
new=    # folder of the cache in the making
server= # process id of the server that runs
home=   # its folder
summary=
failures= # file with the failures of the Python tests
failed=0

# --- parts and their outcome ---

# Runs a part: section NAME COMMAND...
section() {
    local name=$1 start=$SECONDS status=0 outcome
    shift
    printf '\n=== %s ===\n' "$name"
    because=
    "$@" || status=$?
    if [ "$status" -eq "$not_run" ] && [ -n "$because" ]; then
        outcome="skipped: $name because $because"
        [ "${CI:-}" != true ] || status=1 outcome="FAILED:  $name was skipped because $because"
    elif [ "$status" -eq 0 ]; then
        outcome="ok:      $name ($((SECONDS - start)) s)"
    else
        outcome="FAILED:  $name ($((SECONDS - start)) s)"
    fi
    [ "$status" -eq 0 ] || [ "$status" -eq "$not_run" ] || failed=$((failed + 1))
    echo "$outcome"
    summary="$summary$outcome"$'\n'
}

skip() {
    because=$1
    return "$not_run"
}

has() { command -v "$1" >/dev/null 2>&1; }

# --- what the tests need ---

choose_folders() {
    cache=${MERGANSER_CACHE:-${XDG_CACHE_HOME:-${HOME:-}/.cache}/merganser}
    if ! mkdir -p "$cache" 2>/dev/null || ! [ -w "$cache" ]; then
        cache=$root/target
        mkdir -p "$cache"
        : "${CARGO_TARGET_DIR:=$cache}"
    fi
    cache=$(cd "$cache" && pwd)
    : "${CARGO_TARGET_DIR:=$cache/target}"
    mkdir -p "$CARGO_TARGET_DIR"
    CARGO_TARGET_DIR=$(cd "$CARGO_TARGET_DIR" && pwd)
    MERGANSER_CACHE=$cache
    export CARGO_TARGET_DIR MERGANSER_CACHE
}

# One seed for all parts, also for a run past midnight.
choose_seed() {
    : "${MERGANSER_SEED:=$(($(date +%s) / 86400))}"
    export MERGANSER_SEED
    echo "seed of the random tests: MERGANSER_SEED=$MERGANSER_SEED"
}

can_install() { [ "$(id -u)" -eq 0 ] && has apt-get; }

# Installs Debian packages where that is possible, else says what is missing.
install_packages() {
    if ! can_install; then
        echo "missing: $* (names of Debian packages); as root: apt-get install $*" >&2
        return 1
    fi
    echo "installing $*"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}

# Debian keeps it off the path.
has_postgres() { has initdb || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; }

install_tools() {
    local packages=""
    has cc || packages="gcc libc6-dev"
    has python3 && python3 -m pip --version >/dev/null 2>&1 || packages="$packages python3 python3-pip python3-venv"
    # A test looks at what the server syncs.
    has strace || ! can_install || packages="$packages strace"
    has npm || [ -e .deps/duckdb/lib ] || packages="$packages npm"
    # Where it cannot be installed, the tests that need it say that they were skipped.
    has_postgres || [ "$(id -u)" -ne 0 ] || ! has apt-get || packages="$packages postgresql"
    # shellcheck disable=SC2086 # several words
    [ -z "$packages" ] || install_packages $packages || return 1
    if ! has cargo; then
        echo "missing: cargo; install Rust with rustup, at least $(sed -n 's/^rust-version = //p' Cargo.toml)" >&2
        return 1
    fi
    if ! { cargo fmt --version && cargo clippy --version; } >/dev/null 2>&1; then
        has rustup && rustup component add rustfmt clippy
    fi
    cargo --version
    python3 --version
    echo "building in $CARGO_TARGET_DIR"
}

# --- parts ---

# Many tests only wait, so files run side by side; those of one file share a server. Four, as each has servers of its own.
side_by_side="-n auto --maxprocesses 4 --dist loadfile"

fetch_duckdb() { scripts/fetch-duckdb.sh lance && duckdb=fetched; }

clippy() {
    [ -n "$duckdb" ] || skip "DuckDB is missing" || return
    cargo clippy --release --workspace --all-targets -- -D warnings
}

# With --tests the dependencies get the same features as in `cargo test`, which then compiles none of them again.
build() {
    [ -n "$duckdb" ] || skip "DuckDB is missing" || return
    cargo build --release --workspace --bin merganser --tests --examples && program=$CARGO_TARGET_DIR/release/merganser
}

rust_tests() {
    [ -n "$duckdb" ] || skip "DuckDB is missing" || return
    cargo test --release --workspace
}

python_clients() {
    [ -n "$program" ] || skip "the program was not built" || return
    make_environment tests/clients/requirements.txt || return
    # shellcheck disable=SC2086 # several words
    run_pytest $side_by_side tests/clients --ignore tests/clients/gizmosql
}

# The tests that look at DuckLake's own tables, or at its files, once more.
other_catalogs() {
    [ -n "$program" ] || skip "the program was not built" || return
    make_environment tests/clients/requirements.txt || return
    local status=0 catalog tests="tests/clients/test_backup.py tests/clients/test_restore.py tests/clients/test_rollback.py tests/clients/test_snapshots.py tests/clients/test_pins.py"
    for catalog in sqlite postgres; do
        # shellcheck disable=SC2086 # several words
        run_pytest $side_by_side $tests --catalog "$catalog" || status=1
    done
    tests="tests/clients/test_maintain.py tests/clients/test_pins.py tests/clients/test_rollback.py tests/clients/test_coco.py tests/clients/test_exports.py"
    # shellcheck disable=SC2086 # several words
    run_pytest $side_by_side $tests --storage s3 || status=1
    return "$status"
}

# They pin older packages than the others, so they have an environment of their own.
gizmosql_clients() {
    [ -n "$program" ] || skip "the program was not built" || return
    make_environment tests/clients/gizmosql/requirements.txt || return
    run_pytest tests/clients/gizmosql
}

jdbc_client() {
    [ -n "$program" ] || skip "the program was not built" || return
    javac --release 17 -version >/dev/null 2>&1 || skip "a JDK of at least Java 17 is missing" || return
    has mvn || skip "mvn is missing" || return
    make_once "jdbc-$(digest tests/clients/jdbc/pom.xml)" fetch_jars || return
    new=$(mktemp -d "$cache/.new-XXXXXX") || skip "$cache cannot be written" || return
    javac -Xlint:all -Werror -d "$new" tests/clients/jdbc/*.java || return
    with_server run_java "$new:$made/*" && with_server run_java_example "$made/*" || return
    rm -rf "$new"
}

go_client() {
    [ -n "$program" ] || skip "the program was not built" || return
    has go || skip "go is missing" || return
    (cd tests/clients/go && GOTOOLCHAIN=local go mod download) || skip "its modules could not be fetched" || return
    with_server run_go
}

node_client() {
    [ -n "$program" ] || skip "the program was not built" || return
    has npm && has node || skip "node or npm is missing" || return
    make_once "node-$(digest tests/clients/node/package-lock.json)" fetch_node_packages || return
    NODE_PATH=$made/node_modules with_server node --test tests/clients/node/*.test.cjs
}

# --- clients ---

run_pytest() {
    MERGANSER_BIN=$program MERGANSER_FAILURES=$failures PYTHONDONTWRITEBYTECODE=1 \
        "$made/bin/python" -m pytest -ra -p no:cacheprovider --seed "$MERGANSER_SEED" "$@"
}

# The driver reads Arrow's memory through java.nio, and gets timestamps right in UTC only.
java_flags="--add-opens=java.base/java.nio=ALL-UNNAMED -Duser.timezone=UTC"

# shellcheck disable=SC2086 # several words
run_java() { java $java_flags -Djava.util.logging.config.file=tests/clients/jdbc/logging.properties -cp "$1" Main; }

# shellcheck disable=SC2086 # several words
run_java_example() { java $java_flags -cp "$1" clients/jdbc/Example.java 2>/dev/null | grep -x "mallard: 3"; }

run_go() { (cd tests/clients/go && GOTOOLCHAIN=local go vet ./... && GOTOOLCHAIN=local go test -count=1 ./...); }

fetch_jars() {
    mvn -q -B -f tests/clients/jdbc/pom.xml dependency:copy-dependencies -DoutputDirectory="$1" \
        || { because="the driver of tests/clients/jdbc/pom.xml could not be fetched" && return 1; }
}

fetch_node_packages() {
    cp tests/clients/node/package.json tests/clients/node/package-lock.json "$1"
    (cd "$1" && npm ci --silent --ignore-scripts --no-audit --no-fund) \
        || { because="the packages of tests/clients/node could not be installed" && return 1; }
}

# Runs a command against a server of its own, whose address the command finds in MERGANSER_URL.
with_server() {
    local status=0
    home=$(mktemp -d "$cache/.new-XXXXXX") || skip "$cache cannot be written" || return
    mkfifo "$home/ready"
    "$program" serve --home "$home/lake" --listen 127.0.0.1:0 >"$home/ready" 2>"$home/log" &
    server=$!
    # One line says where it listens; a server that ended has written none.
    if read -r _ _ MERGANSER_URL <"$home/ready"; then
        export MERGANSER_URL
        "$@" || status=1
    else
        status=1
    fi
    stop_server || status=1
    if [ "$status" -ne 0 ] || grep -q panicked "$home/log"; then
        echo "--- the server's log ends with" >&2
        tail -n 20 "$home/log" >&2
        status=1
    fi
    unset MERGANSER_URL
    rm -rf "$home"
    return "$status"
}

# Stops the server in an orderly way; fails when it did not end so.
stop_server() {
    local pid=$server
    [ -n "$pid" ] || return 0
    server=
    kill "$pid" 2>/dev/null
    wait "$pid"
}

# --- what is made once and kept in the cache ---

# Makes the folder NAME of the cache, whose path is then in `made`, unless it is there: make_once NAME COMMAND...
# The command gets the folder to fill as its last argument; when it fails, it says in `because` why.
make_once() {
    made=$cache/$1
    shift
    [ ! -e "$made" ] || return 0

    # What a killed run left; a day old, as a younger one may belong to a run that goes on.
    find "$cache" -maxdepth 1 \( -name '.new-*' -o -name '.venv-*' \) -mmin +1440 -exec rm -rf {} +
    new=$(mktemp -d "$cache/.new-XXXXXX") || skip "$cache cannot be written" || return
    "$@" "$new" || skip "$because" || return
    # Another run may have made it in the meantime: theirs is as good.
    python3 -c 'import os, sys; os.rename(sys.argv[1], sys.argv[2])' "$new" "$made" 2>/dev/null || [ -e "$made" ]
}

# A word for a file's content.
digest() { cksum <"$1" | tr ' ' -; }

# Makes a Python environment with the packages of a file, once for each content of it and each Python.
make_environment() {
    local key
    key=$(python3 -c 'import hashlib, sys
text = open(sys.argv[1]).read() + sys.version + sys.base_prefix
print(hashlib.sha256(text.encode()).hexdigest()[:16])' "$1") || skip "python3 is missing" || return
    make_once "venv-$key" fill_environment "$1"
}

fill_environment() {
    if ! python3 -c 'import ensurepip' 2>/dev/null && ! install_packages python3-venv; then
        because="python3 cannot make environments: apt-get install python3-venv"
    elif ! python3 -m venv "$2"; then
        because="python3 -m venv failed"
    elif ! "$2/bin/python" -m pip install --quiet --no-input --disable-pip-version-check \
        --only-binary :all: -r "$1"; then
        because="the packages of $1 could not be installed"
    else
        return 0
    fi
    return 1
}

clean_up() {
    stop_server || true
    rm -rf ${new:+"$new"} ${home:+"$home"} ${failures:+"$failures"}
}

main() {
    case ${1:-} in
        "") ;;
        -h | --help) usage && exit ;;
        *) usage >&2 && exit 2 ;;
    esac
    choose_folders
    choose_seed
    trap clean_up EXIT
    failures=$(mktemp)
    cd "$root"

    duckdb=""
    program=""
    section "tools" install_tools
    section "fetch DuckDB" fetch_duckdb
    section "cargo fmt" cargo fmt --all --check
    section "cargo clippy" clippy
    section "cargo build" build
    section "cargo test" rust_tests
    section "Python clients" python_clients
    section "Python clients, other catalogs and storage" other_catalogs
    section "GizmoSQL's clients" gizmosql_clients
    section "JDBC client" jdbc_client
    section "Go client" go_client
    section "Node client" node_client

    [ ! -s "$failures" ] || printf '\n=== failures of the Python tests ===\n%s\n' "$(cat "$failures")"
    printf '\n=== summary (%s s) ===\n%s' "$SECONDS" "$summary"
    [ "$failed" -eq 0 ] || { echo "parts that failed: $failed" && exit 1; }
    echo "everything that ran passed"
}

main "$@"
