#!/bin/sh
# Lists over HTTP, beside what libmicrohttpd does with a fixed body of the same size: requests a
# second and p99, in turns on the same machine; then p99 while models are trained and swapped.
#
# usage: bench_http.sh BUILD_DIR [BENCH_DIR]
#   BENCH_DIR holds mhd_hello.c (default: shared/bench beside the repository)
#   BENCH_REALTIME=1   servers and wrk before everything else on a busy machine (chrt, needs root);
#                      Linux then stops them for 50 ms of every full second, all of them alike
#   BENCH_OTHER=FILE   another recsysd binary, measured in the same turns
#   BENCH_DATA=FOLDER  MovieLens 1M (default: shared/data/ml-1m)
#   BENCH_TURNS=5 BENCH_SECONDS=3
set -eu

build=${1:?usage: bench_http.sh BUILD_DIR [BENCH_DIR]}
repository=$(cd "$(dirname "$0")/../.." && pwd)
shared=${RECSYSD_SHARED:-$repository/../shared}
[ -d "$shared" ] || shared=$repository/../../shared
bench=${2:-$shared/bench}
users=$repository/tests/bench/users.lua
data=${BENCH_DATA:-$shared/data/ml-1m}
turns=${BENCH_TURNS:-5}
seconds=${BENCH_SECONDS:-3}
recsysd=$build/src/app/recsysd
work=$(mktemp -d)
servers=
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
for variable in $(env | sed -n 's/^\(RECSYSD_[A-Z_]*\)=.*/\1/p'); do unset "$variable"; done

stop() {
    trap - EXIT INT TERM
    rm -f "$work/training"
    for server in $servers; do kill "$server" 2>/dev/null || true; done
    wait
    rm -rf "$work"
}
trap stop EXIT INT TERM

realtime() {
    if [ "${BENCH_REALTIME:-0}" = 1 ]; then exec chrt -r 1 "$@"; else exec "$@"; fi
}

# Waits until a port answers.
await() {
    for _ in $(seq 100); do
        if curl -s -o /dev/null "http://127.0.0.1:$1/"; then return; fi
        sleep 0.1
    done
    echo "bench_http: nothing answers on port $1" >&2
    exit 1
}

# serve BINARY PORT: with a database and model of its own.
serve() {
    cp "$work/db" "$work/db-$2"
    cp "$work/model" "$work/model-$2"
    (realtime "$1" serve --db "$work/db-$2" --model-file "$work/model-$2" \
        --listen "127.0.0.1:$2" --workers 2 >"$work/log-$2" 2>&1) &
    servers="$servers $!"
    await "$2"
}

# load NAME PORT SCRIPT...: one turn; appends "requests_a_second p99_ms" to NAME.
load() {
    name=$1 port=$2
    shift 2
    (realtime wrk -t1 -c32 -d"${seconds}s" --latency "$@" "http://127.0.0.1:$port/recommend") \
        >"$work/wrk"
    if grep -E 'Non-2xx|Socket errors' "$work/wrk" >&2; then exit 1; fi
    awk '/99%/ { p = $2 + 0; if ($2 ~ /us$/) p /= 1000; else if ($2 !~ /ms$/) p *= 1000 }
         /Requests\/sec/ { print $2, p }' "$work/wrk" >>"$work/$name"
}

# median NAME COLUMN
median() {
    sort -n -k"$2" "$work/$1" | awk -v c="$2" '{ v[NR] = $c } END { print v[int((NR + 1) / 2)] }'
}

row() {
    awk -v name="$1" -v r="$(median "$2" 1)" -v p="$(median "$2" 2)" -v hr="$(median "$3" 1)" \
        -v hp="$(median "$3" 2)" \
        'BEGIN { printf "%-28s %9.0f requests/s %7.2f ms p99   %.2f x   %.2f x\n", name, r, p, r / hr, p / hp }'
}

# Trains without a pause, as long as the file is there.
train() {
    while [ -e "$work/training" ]; do
        curl -s -o /dev/null -X POST -H 'Content-Type: application/json' -d '{"force": true}' \
            "http://127.0.0.1:$1/retrain" || true
        while nice -n 19 curl -s "http://127.0.0.1:$1/jobs" |
            grep -qE '"state": ?"(queued|running)"'; do
            sleep 0.2 # asking is no part of what is measured
        done
    done
}

# The same size of answer as a list of ten with titles.
sed "s/body\[700\]/body[818]/" "$bench/mhd_hello.c" >"$work/mhd_hello.c"
cc -O2 -w -o "$work/mhd_hello" "$work/mhd_hello.c" -lmicrohttpd
"$recsysd" import --db "$work/db" --format movielens-1m "$data" >/dev/null
"$recsysd" train --db "$work/db" --model als --set factors=64 --out "$work/model" >/dev/null
(realtime "$work/mhd_hello" 18470 2 epoll) &
servers=$!
await 18470
serve "$recsysd" 18471
if [ -n "${BENCH_OTHER:-}" ]; then serve "$BENCH_OTHER" 18472; fi
load warm 18471 -s "$users" # every user's query is made once

for _ in $(seq "$turns"); do
    load hello 18470 -s "$users"
    load lists 18471 -s "$users"
    if [ -n "${BENCH_OTHER:-}" ]; then load other 18472 -s "$users"; fi
done
# beside PORT NAME: without a training, then with.
beside() {
    load "$2-still" "$1" -s "$users"
    touch "$work/training"
    train "$1" &
    trainer=$!
    sleep 0.2
    load "$2-trained" "$1" -s "$users"
    rm "$work/training"
    wait "$trainer"
}

for _ in $(seq "$turns"); do
    beside 18471 this
    if [ -n "${BENCH_OTHER:-}" ]; then beside 18472 other; fi
done

echo "wrk -t1 -c32, $turns turns of $seconds s, medians; ml-1m, als, 64 factors, k = 10, 2 workers"
row "hello (libmicrohttpd alone)" hello hello
row "GET /recommend" lists hello
if [ -n "${BENCH_OTHER:-}" ]; then row "GET /recommend, other" other hello; fi
echo "and against itself without a retrain:"
row "GET /recommend" this-still this-still
row "GET /recommend, retraining" this-trained this-still
if [ -n "${BENCH_OTHER:-}" ]; then
    row "other" other-still other-still
    row "other, retraining" other-trained other-still
fi
curl -s "http://127.0.0.1:18471/metrics" | sed -n \
    's/^recsysd_generation_serial \(.*\)/models made live: \1/p; s/^process_resident_memory_bytes \(.*\)/resident: \1 bytes/p'
