#!/usr/bin/env bash
# Installs what the tests need and runs all of them; fails when anything failed.
# Runs with the bash 3.2 of macOS too.
set -euo pipefail

usage() {
    cat <<'EOF'
usage: tests/run.sh

Installs what the tests need and runs all of them: format, clippy, the Rust tests, and the
tests of the Python clients against the built program. One that fails does not stop the others.

  CARGO_TARGET_DIR  where cargo builds (default: target in the cache folder)
  MERGANSER_CACHE   cache folder, shared by all checkouts: downloads, build, Python environments
                    (default: merganser in $XDG_CACHE_HOME, else in ~/.cache)
  CI=true           a skipped part is a failure
EOF
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly root
readonly not_run=77 # what a part returns that set `because` and is skipped
because=
new= # Python environment in the making
summary=
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

# Installs Debian packages where that is possible, else says what is missing.
install_packages() {
    if [ "$(id -u)" -ne 0 ] || ! has apt-get; then
        echo "missing: $* (names of Debian packages); as root: apt-get install $*" >&2
        return 1
    fi
    echo "installing $*"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}

install_tools() {
    local packages=""
    has cc || packages="gcc libc6-dev"
    has python3 && python3 -m pip --version >/dev/null 2>&1 || packages="$packages python3 python3-pip python3-venv"
    has npm || [ -e .deps/duckdb/lib ] || packages="$packages npm"
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

fetch_duckdb() { scripts/fetch-duckdb.sh && duckdb=fetched; }

clippy() {
    [ -n "$duckdb" ] || skip "DuckDB is missing" || return
    cargo clippy --release --all-targets -- -D warnings
}

# With --tests the dependencies get the same features as in `cargo test`, which then compiles none of them again.
build() {
    [ -n "$duckdb" ] || skip "DuckDB is missing" || return
    cargo build --release --bin merganser --tests && program=$CARGO_TARGET_DIR/release/merganser
}

rust_tests() {
    [ -n "$duckdb" ] || skip "DuckDB is missing" || return
    cargo test --release
}

client_tests() {
    [ -n "$program" ] || skip "the program was not built" || return
    make_environment || return
    MERGANSER_BIN=$program PYTHONDONTWRITEBYTECODE=1 \
        "$environment/bin/python" -m pytest -ra -p no:cacheprovider tests/clients
}

# Makes the Python environment, once for each content of requirements.txt and each Python.
make_environment() {
    local key
    key=$(python3 -c 'import hashlib, sys
text = open("tests/clients/requirements.txt").read() + sys.version + sys.base_prefix
print(hashlib.sha256(text.encode()).hexdigest()[:16])') || skip "python3 is missing" || return
    environment=$cache/venv-$key
    [ ! -e "$environment" ] || return 0

    # What a killed run left; a day old, as a younger one may belong to a run that goes on.
    find "$cache" -maxdepth 1 -name '.venv-*' -mmin +1440 -exec rm -rf {} +
    trap 'rm -rf ${new:+"$new"}' EXIT
    new=$(mktemp -d "$cache/.venv-XXXXXX") || skip "$cache cannot be written" || return
    fill_environment "$new" || skip "$because" || return
    # Another run may have made it in the meantime: theirs is as good.
    python3 -c 'import os, sys; os.rename(sys.argv[1], sys.argv[2])' "$new" "$environment" 2>/dev/null \
        || [ -e "$environment" ]
}

fill_environment() {
    if ! python3 -c 'import ensurepip' 2>/dev/null && ! install_packages python3-venv; then
        because="python3 cannot make environments: apt-get install python3-venv"
    elif ! python3 -m venv "$1"; then
        because="python3 -m venv failed"
    elif ! "$1/bin/python" -m pip install --quiet --no-input --disable-pip-version-check \
        --only-binary :all: -r tests/clients/requirements.txt; then
        because="the packages of tests/clients/requirements.txt could not be installed"
    else
        return 0
    fi
    return 1
}

main() {
    case ${1:-} in
        "") ;;
        -h | --help) usage && exit ;;
        *) usage >&2 && exit 2 ;;
    esac
    choose_folders
    cd "$root"

    duckdb=""
    program=""
    section "tools" install_tools
    section "fetch DuckDB" fetch_duckdb
    section "cargo fmt" cargo fmt --check
    section "cargo clippy" clippy
    section "cargo build" build
    section "cargo test" rust_tests
    section "Python clients" client_tests

    printf '\n=== summary (%s s) ===\n%s' "$SECONDS" "$summary"
    [ "$failed" -eq 0 ] || { echo "parts that failed: $failed" && exit 1; }
    echo "everything that ran passed"
}

main "$@"
