#!/usr/bin/env bash
# Builds merganser and rebuilds a medallion lakehouse from nothing through the server's own Flight endpoint.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

usage() {
    cat <<'USAGE'
Usage: ./rebuild.sh [--home DIR] [--storage URI] [--catalog URI] [--source sample|hf] [--visdrone SOURCE]
                    [--listen HOST:PORT] [--serve]

Builds the server, makes sample data, and rebuilds the lakehouse: raw, silver, gold, a query of fragments of video, time
travel, a bad transform and its rollback. What lies in DIR is removed first; nothing is removed elsewhere.

  --home DIR          where the lakehouse lies [default: ./lakehouse]
  --storage URI       where the data lies instead: s3://BUCKET/PREFIX with nothing in it, reached by the AWS variables,
                      or an empty folder [env: MERGANSER_STORAGE]
  --catalog URI       where the catalog lies instead: postgres://USER:PASSWORD@HOST/DATABASE of a database without a
                      lake, or sqlite:FILE [env: MERGANSER_CATALOG]
  --source sample|hf  where the data comes from: drawn by the program, or COCO of the Hugging Face Hub, the split val of
                      detection-datasets/coco (5,000 images, 0.8 GB), with HF_TOKEN if it is set [default: sample]
  --visdrone SOURCE   sequences in the layout of VisDrone instead of drawn ones: a folder, a zip file, or any other source
                      of merganser ingest
  --listen HOST:PORT  where the server listens [default: 127.0.0.1:31337; with a free port instead if not --serve]
  --serve             go on serving at the end

The variable MERGANSER_BIN names a built program, which is taken instead of building one.
USAGE
}

home=lakehouse
storage=${MERGANSER_STORAGE:-}
catalog=${MERGANSER_CATALOG:-}
source=sample
visdrone=
listen=
serve=
while [ $# -gt 0 ]; do
    case $1 in
        --home) home=${2:?--home needs a folder}; shift 2 ;;
        --storage) storage=${2:?--storage needs a URI}; shift 2 ;;
        --catalog) catalog=${2:?--catalog needs a URI}; shift 2 ;;
        --source) source=${2:?--source needs sample or hf}; shift 2 ;;
        --visdrone) visdrone=${2:?--visdrone needs a source}; shift 2 ;;
        --listen) listen=${2:?--listen needs HOST:PORT}; shift 2 ;;
        --serve) serve=yes; shift ;;
        --help | -h) usage; exit 0 ;;
        *) echo "rebuild.sh: unknown option $1" >&2; usage >&2; exit 2 ;;
    esac
done
case $source in
    sample | hf) ;;
    *) echo "rebuild.sh: --source is sample or hf, not $source" >&2; exit 2 ;;
esac
[ -n "$listen" ] || { [ -n "$serve" ] && listen=127.0.0.1:31337 || listen=127.0.0.1:0; }

step() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
fail() { printf 'rebuild.sh: %s\n' "$*" >&2; exit 1; }

# Only a lakehouse, or nothing, is ever removed. One whose catalog lies elsewhere has a folder of temporary files.
if [ -e "$home" ] && [ ! -e "$home/catalog.ducklake" ]; then
    case $(ls -A "$home") in
        "" | staging) ;;
        *) fail "$home is not empty and no lakehouse; name another folder with --home" ;;
    esac
fi
case $storage in
    "" | s3://*) ;;
    *) [ -z "$(ls -A "${storage#file://}" 2>/dev/null)" ] || fail "--storage is not empty: $storage" ;;
esac
# The server reads them from its variables: a flag, and the password in it, would be seen by whoever lists processes.
export MERGANSER_STORAGE=$storage MERGANSER_CATALOG=$catalog

merganser=${MERGANSER_BIN:-}
unset MERGANSER_BIN
if [ -z "$merganser" ]; then
    step "build"
    ./scripts/fetch-duckdb.sh
    cache=${MERGANSER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/merganser}
    export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/target}
    cargo build --release --bin merganser
    merganser=$CARGO_TARGET_DIR/release/merganser
fi

work=$(mktemp -d)
server=
# shellcheck disable=SC2329  # called by the trap
clean_up() {
    if [ -n "$server" ] && kill -0 "$server" 2>/dev/null; then
        kill "$server"
        wait "$server" || true
    fi
    rm -rf "$work"
}
trap clean_up EXIT

step "start the server on an empty lake"
started=$SECONDS
rm -rf "$home"
mkdir -p "$home"
"$merganser" serve --home "$home" --listen "$listen" --log warn > "$work/stdout" 2> "$work/stderr" &
server=$!
until grep -q '^listening on ' "$work/stdout"; do
    kill -0 "$server" 2>/dev/null || { cat "$work/stderr" >&2; server=; fail "the server did not start"; }
    sleep 0.1
done
cat "$work/stdout"
MERGANSER_URL=$(sed -n 's/^listening on //p' "$work/stdout")
export MERGANSER_URL
sql() { "$merganser" sql "$@"; }
one() { sql --format csv "$1" | tail -n 1; }

# A lake that is there already is neither removed nor mixed with the new one.
[ "$(one "SELECT count(*) FROM duckdb_tables() WHERE database_name = 'lake'")" = 0 ] \
    || fail "the catalog holds a lake with tables; name an empty one with --catalog"
case $storage in
    s3://*)
        objects=$(one "SELECT count(*) FROM glob('${storage%/}/**')")
        [ "$objects" = 0 ] || fail "$storage is not empty, it has $objects objects; name another prefix with --storage"
        ;;
esac

if [ "$source" = sample ]; then
    step "sample data: drawn pictures, boxes and captions in the COCO layout"
    "$merganser" sample "$work/coco"
    set -- "$work/coco"
else
    set -- hf://datasets/detection-datasets/coco --split val
fi
step "raw: files landed, pictures stored as assets, rows loaded"
"$merganser" ingest "$@" --dataset coco

if [ -z "$visdrone" ]; then
    step "sample data: drawn sequences of moving objects in the VisDrone layout"
    visdrone=$work/visdrone
    "$merganser" sample "$visdrone" --layout visdrone
fi
step "silver: each sequence a clip of its frames, an index of fragments, and the tracks of the objects"
"$merganser" ingest "$visdrone" --dataset visdrone

step "silver and gold: models run in the order of their dependencies, each with its checks"
"$merganser" transform
"$merganser" tag medallion

step "crowded scenes: images with at least five people"
sql "SELECT image_uri, count(*) AS n_people FROM silver.coco_annotations
     WHERE category = 'person' GROUP BY image_uri HAVING count(*) >= 5
     ORDER BY n_people DESC, image_uri LIMIT 5"

step "busy fragments: of the clips, only the bytes of these are read"
sql "SELECT regexp_extract(clip_uri, '[^/]+$') AS clip, fragment_id, start_frame, end_frame, n_objects, n_tracks,
         octet_length(fragment_bytes(clip_uri, init_length, byte_offset, byte_length)) AS mp4_bytes
     FROM gold.visdrone_fragments WHERE n_objects > 20
     ORDER BY n_objects DESC, clip, fragment_id LIMIT 5"

step "schema evolution: one table at two versions"
before=$(one "SELECT id FROM lake.current_snapshot()")
sql "ALTER TABLE gold.coco_categories ADD COLUMN share DOUBLE" \
    "UPDATE gold.coco_categories SET share = round(n_objects / (SELECT sum(n_objects) FROM gold.coco_categories), 3)"
after=$(one "SELECT id FROM lake.current_snapshot()")
echo "version $before, without the column:"
sql "SELECT * FROM gold.coco_categories AT (VERSION => $before) ORDER BY n_objects DESC, category LIMIT 3"
echo "version $after, with it:"
sql "SELECT * FROM gold.coco_categories AT (VERSION => $after) ORDER BY n_objects DESC, category LIMIT 3"

step "a bad transform, and its rollback"
good=$(one "SELECT id FROM lake.current_snapshot()")
sql "UPDATE silver.coco_annotations SET category = 'cat' WHERE category = 'person'"
echo "people after the bad transform: $(one "SELECT count(*) FROM silver.coco_annotations WHERE category = 'person'")"
"$merganser" rollback silver.coco_annotations --version "$good"
echo "people after the rollback: $(one "SELECT count(*) FROM silver.coco_annotations WHERE category = 'person'")"

step "history: every snapshot stays readable"
sql "SELECT snapshot_id, author, commit_message FROM lake.snapshots() ORDER BY snapshot_id DESC LIMIT 8"

step "done in $((SECONDS - started)) s after the build"
url=$MERGANSER_URL
[ -n "$serve" ] || url=grpc://127.0.0.1:31337
cat <<NEXT
The lakehouse lies in ${storage:-$home}. Serve it with

    $merganser serve --home $home${storage:+ --storage $storage}${catalog:+  # and --catalog, or MERGANSER_CATALOG}

and connect from Python (pip install adbc-driver-flightsql pyarrow):

    import adbc_driver_flightsql.dbapi as flightsql
    cursor = flightsql.connect("$url", autocommit=True).cursor()
    print(cursor.execute("FROM gold.coco_samples LIMIT 5").fetch_arrow_table())
NEXT
if [ -n "$serve" ]; then
    printf '\nserving on %s; stop with ctrl-c\n' "$MERGANSER_URL"
    trap 'kill "$server" 2>/dev/null' INT TERM
    wait "$server" || true
fi
