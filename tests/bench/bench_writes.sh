#!/bin/sh
# POST /interactions, durable: single ones on 32 connections beside SQLite committing the same rows
# one by one into a copy of the same database on the same file system with the same settings, and
# beside libmicrohttpd answering the same requests without doing anything; the p99 at half that
# load; arrays of 1,000; and what writes take from GET /recommend.
#
# usage: bench_writes.sh BUILD_DIR
#   BENCH_DATA=FOLDER  MovieLens 1M (default: shared/data/ml-1m beside the repository)
#   BENCH_DIR=FOLDER   where the databases go (default: a new one in /tmp)
#   BENCH_TURNS=3 BENCH_SECONDS=3 BENCH_PORT=18480
set -eu

build=${1:?usage: bench_writes.sh BUILD_DIR}
here=$(cd "$(dirname "$0")" && pwd)
shared=${RECSYSD_SHARED:-$here/../../../shared}
[ -d "$shared" ] || shared=$here/../../../../shared
data=${BENCH_DATA:-$shared/data/ml-1m}
turns=${BENCH_TURNS:-3}
seconds=${BENCH_SECONDS:-3}
port=${BENCH_PORT:-18480}
recsysd=$build/src/app/recsysd
work=$(mktemp -d "${BENCH_DIR:-/tmp}/bench_writes.XXXXXX")
server=
hello=
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE BENCH_ROWS BENCH_DELAY_MS
for variable in $(env | sed -n 's/^\(RECSYSD_[A-Z_]*\)=.*/\1/p'); do unset "$variable"; done

stop() {
    trap - EXIT INT TERM
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    [ -z "$hello" ] || kill "$hello" 2>/dev/null || true
    wait
    rm -rf "$work"
}
trap stop EXIT INT TERM

# one_by_one: appends commits a second to its file.
one_by_one() {
    cp "$work/db" "$work/copy"
    rm -f "$work/copy-wal" "$work/copy-shm"
    awk -v seed="$1" 'BEGIN {
        srand(seed)
        print "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 1000;"
        for (i = 1; i <= 3000; i++)
            printf "INSERT INTO interactions (user, timestamp, sequence, item, type, value) VALUES" \
                " (%d, 1700000000, %d, %d, 0, 1.0);\n", rand() * 6040, 10000000 + i, rand() * 3706
    }' >"$work/sql"
    began=$(date +%s%N)
    sqlite3 "$work/copy" <"$work/sql" >/dev/null
    ended=$(date +%s%N)
    echo "3000 $began $ended" | awk '{ print $1 / (($3 - $2) / 1e9) }' >>"$work/sqlite"
}

# port_of NAME: libmicrohttpd alone is on a port of its own.
port_of() {
    if [ "$1" = hello ]; then echo $((port + 1)); else echo "$port"; fi
}

# load NAME SECONDS CONNECTIONS SCRIPT PATH: appends "requests_a_second p99_ms" to NAME.
load() {
    wrk -t1 -c"$3" -d"$2s" --latency -s "$here/$4" "http://127.0.0.1:$(port_of "$1")$5" \
        >"$work/wrk-$1"
    if grep -E 'Non-2xx|Socket errors' "$work/wrk-$1" >&2; then exit 1; fi
    awk '/99%/ { p = $2 + 0; if ($2 ~ /us$/) p /= 1000; else if ($2 !~ /ms$/) p *= 1000 }
         /Requests\/sec/ { print $2, p }' "$work/wrk-$1" >>"$work/$1"
}

# median NAME COLUMN
median() {
    sort -n -k"$2" "$work/$1" | awk -v c="$2" '{ v[NR] = $c } END { print v[int((NR + 1) / 2)] }'
}

"$recsysd" import --db "$work/db" --format movielens-1m "$data" >/dev/null
"$recsysd" train --db "$work/db" --model als --set factors=64 --out "$work/model" >/dev/null
cp "$work/db" "$work/live"
"$recsysd" serve --db "$work/live" --model-file "$work/model" --listen "127.0.0.1:$port" \
    --workers 2 >"$work/log" 2>&1 &
server=$!
"$build/tests/bench/hello_post" $((port + 1)) 2 &
hello=$!
for _ in $(seq 100); do
    if curl -s -o /dev/null "http://127.0.0.1:$port/"; then break; fi
    sleep 0.1
done

for turn in $(seq "$turns"); do
    one_by_one "$turn"
    load hello "$seconds" 32 interactions.lua /interactions
    load single "$seconds" 32 interactions.lua /interactions
done
# At half the rate, 32 connections answer and rest for 64 / rate seconds together.
BENCH_DELAY_MS=$(median single 1 | awk '{ print 64 * 1000 / $1 - 1 }')
export BENCH_DELAY_MS
for _ in $(seq "$turns"); do load half "$seconds" 32 interactions.lua /interactions; done
unset BENCH_DELAY_MS
BENCH_ROWS=1000
export BENCH_ROWS
for _ in $(seq "$turns"); do load arrays "$seconds" 4 interactions.lua /interactions; done
unset BENCH_ROWS
load warm 1 32 users.lua /recommend
for _ in $(seq "$turns"); do
    load still "$seconds" 32 users.lua /recommend
    BENCH_DELAY_MS=8 load beside $((seconds + 1)) 32 interactions.lua /interactions &
    writer=$!
    sleep 0.5
    load busy "$seconds" 32 users.lua /recommend
    wait "$writer"
done

echo "wrk -t1, $turns turns of $seconds s, medians; ml-1m, als, 64 factors, 2 workers"
awk -v s="$(median sqlite 1)" -v h="$(median hello 1)" \
    -v r="$(median single 1)" -v p="$(median single 2)" \
    -v hr="$(median half 1)" -v hp="$(median half 2)" -v a="$(median arrays 1)" \
    -v ap="$(median arrays 2)" -v q="$(median still 1)" -v b="$(median busy 1)" \
    -v w="$(median beside 1)" 'BEGIN {
    printf "SQLite, one by one          %9.0f commits/s\n", s
    printf "libmicrohttpd alone         %9.0f requests/s\n", h
    printf "single, 32 connections      %9.0f interactions/s   %6.2f ms p99   %.1f x SQLite, %.2f x libmicrohttpd\n",
        r, p, r / s, r / h
    printf "single, at half that        %9.0f interactions/s   %6.2f ms p99\n", hr, hp
    printf "arrays of 1,000, 4 at once  %9.0f interactions/s   %6.2f ms p99\n", a * 1000, ap
    printf "GET /recommend              %9.0f requests/s\n", q
    printf "the same beside %5.0f w/s   %9.0f requests/s   %.2f x\n", w, b, b / q
}'
