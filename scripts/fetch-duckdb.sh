#!/usr/bin/env bash
# Fetches libduckdb and DuckDB's extensions into .deps/duckdb, each by exact version and sha256.
# Runs with the bash 3.2 of macOS too.
set -euo pipefail

readonly VERSION=1.5.5
readonly NPM_VERSION=1.5.5-r.5
readonly EXTENSIONS=(ducklake httpfs icu postgres_scanner sqlite_scanner tpch)
readonly OPTIONAL=(lance) # large, and for one format of exports only

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly root
readonly sums=$root/scripts/duckdb.sums
readonly deps=$root/.deps/duckdb
scratch=     # temporary folder among the downloads
stage=       # temporary folder in .deps/duckdb, so that mv from it is atomic
own_version= # of a libduckdb that was put into place by hand

usage() {
    cat <<EOF
usage: scripts/fetch-duckdb.sh [${OPTIONAL[*]}]

Puts libduckdb $VERSION and the extensions ${EXTENSIONS[*]}
into .deps/duckdb of this checkout, and with "lance" (254 MB) the one for exports as Lance. The library comes with npm, the extensions with
python3 -m pip; scripts/duckdb.sums holds the sha256 of every archive and file.
When everything is in place already, it only checks the sums.

  MERGANSER_CACHE  folder that keeps the archives, in downloads/, for other checkouts
                   (default: merganser in \$XDG_CACHE_HOME, else in ~/.cache)
EOF
}

# Ends with a message, one argument a line.
die() {
    printf 'fetch-duckdb.sh: %s\n' "$1" >&2
    shift
    [ $# -eq 0 ] || printf '  %s\n' "$@" >&2
    exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

clean_up() { rm -rf ${scratch:+"$scratch"} ${stage:+"$stage"}; }

# --- what this machine needs ---

detect_platform() {
    case "$(uname -s) $(uname -m)" in
        "Linux x86_64" | "Linux amd64")
            platform=linux_amd64 npm_platform=linux-x64 wheel_platform=manylinux2014_x86_64
            ;;
        "Linux aarch64" | "Linux arm64")
            platform=linux_arm64 npm_platform=linux-arm64 wheel_platform=manylinux2014_aarch64
            ;;
        "Darwin arm64")
            platform=osx_arm64 npm_platform=darwin-arm64 wheel_platform=macosx_11_0_arm64
            ;;
        "Darwin x86_64") unsupported "macOS on Intel" osx_amd64 ;;
        *) unsupported "$(uname -s) on $(uname -m)" "<platform>" ;;
    esac
    library=libduckdb.so release_archive=libduckdb-${platform/_/-}.zip
    if [ "$platform" = osx_arm64 ]; then
        library=libduckdb.dylib release_archive=libduckdb-osx-universal.zip
    elif (ldd --version 2>&1 || true) | grep -qi musl; then
        unsupported "Linux with musl" "${platform}_musl"
    fi
}

unsupported() {
    die "no packages of DuckDB $VERSION and its extensions exist for $1." \
        "Build DuckDB from source instead: cargo build --release --features bundled." \
        "The server installs the extensions from DuckDB's own repository where the network allows it;" \
        "else put them into FOLDER/v$VERSION/$2 and start it with --extensions FOLDER."
}

# openssl comes first because it uses the processor's SHA instructions: it checks everything in a fraction of a second.
find_sha256() {
    if has openssl; then
        sha256_command=(openssl dgst -sha256 -r)
    elif has sha256sum; then
        sha256_command=(sha256sum)
    elif has shasum; then
        sha256_command=(shasum -a 256)
    else
        die "sha256sum is missing, and so are shasum and openssl: install one of them (Debian: coreutils)."
    fi
}

choose_downloads() {
    downloads=${MERGANSER_CACHE:-${XDG_CACHE_HOME:-${HOME:-}/.cache}/merganser}/downloads
    if ! mkdir -p "$downloads" 2>/dev/null || ! [ -w "$downloads" ]; then
        downloads=$root/.deps/downloads
        mkdir -p "$downloads"
    fi
    downloads=$(cd "$downloads" && pwd)
}

# Says where the piece "libduckdb" or an extension comes from and goes to.
describe() {
    if [ "$1" = libduckdb ]; then
        package=@duckdb/node-bindings-$npm_platform package_version=$NPM_VERSION
        archive=duckdb-node-bindings-$npm_platform-$NPM_VERSION.tgz
        member=package/$library
        target=lib/$library
    else
        package=duckdb-extension-${1//_/-} package_version=$VERSION
        archive=duckdb_extension_$1-$VERSION-py3-none-$wheel_platform.whl
        member=duckdb_extension_$1/extensions/v$VERSION/$1.duckdb_extension
        target=extensions/v$VERSION/$platform/$1.duckdb_extension
    fi
}

# --- sums ---

sum_of() {
    local line
    line=$("${sha256_command[@]}" "$1")
    echo "${line%% *}"
}

# Prints the sum that scripts/duckdb.sums gives for an archive or a file of this platform.
expected_sum() {
    awk -v platform="$platform" -v file="$1" \
        '$2 == platform && $3 == file { print $1; found = 1 } END { exit !found }' "$sums" \
        || die "$sums has no line for \"$platform  $1\"."
}

# Whether the file $1 is the one listed as $2; sets `expected` and `got`.
matches() {
    got="no file"
    expected=$(expected_sum "$2") || exit 1
    [ -f "$1" ] || return 1
    got=$(sum_of "$1")
    [ "$got" = "$expected" ]
}

# --- fetching ---

make_temporary_folders() {
    # What a killed run left; a day old, as a younger one may belong to a run that goes on.
    find "$downloads" "$deps" -maxdepth 1 -name '.partial-*' -mmin +1440 -exec rm -rf {} +
    scratch=$(mktemp -d "$downloads/.partial-XXXXXX")
    stage=$(mktemp -d "$deps/.partial-XXXXXX")
}

need_client() {
    case $archive in
        *.tgz)
            [ -z "$own_version" ] || echo ".deps/duckdb/$target is not DuckDB v$VERSION, but: $own_version" >&2
            has npm || die "npm is missing: libduckdb comes with it." \
                "Install it (Debian: apt-get install npm; macOS: brew install node) and run this script again." \
                "Without npm: unpack DuckDB's own release archive of v$VERSION, $release_archive," \
                "into .deps/duckdb/lib of this checkout and run this script again for the extensions;" \
                "the server verifies the library's version when it starts."
            ;;
        *.whl)
            python3 -m pip --version >/dev/null 2>&1 \
                || die "python3 with pip is missing: the extensions come with it." \
                    "Install it (Debian: apt-get install python3-pip; macOS: brew install python)" \
                    "and run this script again."
            ;;
    esac
}

# Runs the package client in the scratch folder.
run_client() {
    cd "$scratch"
    case $archive in
        *.tgz) npm pack --loglevel=error --no-update-notifier "$package@$package_version" ;;
        *.whl)
            python3 -m pip download --quiet --no-input --disable-pip-version-check --no-deps --only-binary :all: \
                --platform "$wheel_platform" --dest . "$package==$package_version"
            ;;
    esac
}

download() {
    need_client
    if ! (run_client) >"$scratch/log" 2>&1 || ! [ -f "$scratch/$archive" ]; then
        printf 'fetch-duckdb.sh: %s %s could not be fetched (%s); the last lines of its client:\n' \
            "$package" "$package_version" "$archive" >&2
        tail -n 8 "$scratch/log" | sed 's/^/    /' >&2
        die "Run this script again when the package registry can be reached; what was fetched so far is kept."
    fi
    matches "$scratch/$archive" "$archive" || die "the sha256 of the downloaded $archive differs from $sums:" \
        "  expected $expected" \
        "  got      $got" \
        "Nothing of it is used. Run this script again; when the sum differs again, the registry or proxy" \
        "that the client is set up with serves another file than the one this project was tested with."
    mv -f "$scratch/$archive" "$downloads/$archive"
}

unpack() {
    case $archive in
        *.tgz) tar -xozf "$downloads/$archive" -C "$stage" "$member" ;;
        *.whl)
            has python3 || die "python3 is missing: it unpacks the extensions."
            python3 -m zipfile -e "$downloads/$archive" "$stage"
            ;;
    esac
    matches "$stage/$member" "$target" || die "the sha256 of $member in $archive differs from $sums:" \
        "  expected $expected" \
        "  got      $got" \
        "The archive itself is right: is the disk full? Else the sums file is wrong."
    mkdir -p "$(dirname "$deps/$target")"
    mv -f "$stage/$member" "$deps/$target"
}

# Whether a libduckdb of the right version was put into place by hand, on a machine without npm.
is_own_library() {
    [ "$1" = libduckdb ] && ! has npm && [ -f "$deps/$target" ] || return 1
    own_version=$(library_version "$deps/$target" 2>/dev/null) || own_version="not a whole library"
    [ "$own_version" = "v$VERSION" ]
}

library_version() {
    python3 - "$1" <<'EOF'
import ctypes, sys
library = ctypes.CDLL(sys.argv[1])
library.duckdb_library_version.restype = ctypes.c_char_p
print(library.duckdb_library_version().decode())
EOF
}

# Puts piece $1 into place; $2 is its place among those to fetch, as in 1/6.
put() {
    describe "$1"
    if matches "$downloads/$archive" "$archive"; then
        echo "unpacking $package $package_version from the cache ($2)"
    elif is_own_library "$1"; then
        echo "keeping .deps/duckdb/$target: its version is right, but it is not npm's file, so its sha256 is not known"
        return
    else
        if [ "$got" != "no file" ]; then
            echo "the cached $archive is damaged and fetched again (sha256 expected $expected, got $got)"
        fi
        echo "fetching $package $package_version ($2)"
        download
    fi
    unpack
}

main() {
    local wanted=("${EXTENSIONS[@]}")
    case ${1:-} in
        "") ;;
        -h | --help) usage && exit ;;
        lance) wanted+=(lance) ;;
        *) usage >&2 && exit 2 ;;
    esac
    detect_platform
    find_sha256

    local piece missing=() number=0
    for piece in libduckdb "${wanted[@]}"; do
        describe "$piece"
        matches "$deps/$target" "$target" || missing+=("$piece")
    done
    if [ ${#missing[@]} -gt 0 ]; then
        trap clean_up EXIT
        mkdir -p "$deps"
        choose_downloads
        make_temporary_folders
        for piece in "${missing[@]}"; do
            number=$((number + 1))
            put "$piece" "$number/${#missing[@]}"
        done
    fi
    echo "DuckDB $VERSION and ${#wanted[@]} extensions for $platform are in .deps/duckdb"
}

main "$@"
