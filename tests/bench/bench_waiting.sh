#!/bin/sh
# Lists of a catalogue of a million items over HTTP: requests a second and latency on one connection,
# where no list waits, and on 64, where lists are scored together; in turns with another binary.
#
# usage: bench_waiting.sh BUILD_DIR [SKEW]
#   SKEW 1: every item is taken by about as many users, so factors are about equally long (default);
#   SKEW 4: a few items are taken by most
#   BENCH_OTHER=FILE  another recsysd binary
#   BENCH_ITEMS=1000000 BENCH_TURNS=3 BENCH_SECONDS=3
set -eu

recsysd=${1:?usage: bench_waiting.sh BUILD_DIR [SKEW]}/src/app/recsysd
skew=${2:-1}
items=${BENCH_ITEMS:-1000000}
turns=${BENCH_TURNS:-3}
seconds=${BENCH_SECONDS:-3}
users=20000
work=${BENCH_WORK:-$(mktemp -d)}
servers=
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE

stop() {
    trap - EXIT INT TERM
    for server in $servers; do kill "$server" 2>/dev/null || true; done
    wait
    [ -n "${BENCH_WORK:-}" ] || rm -rf "$work"
}
trap stop EXIT INT TERM

await() {
    for _ in $(seq 300); do
        if curl -s -o /dev/null "http://127.0.0.1:$1/health/ready"; then return; fi
        sleep 0.1
    done
    echo "bench_waiting: nothing answers on port $1" >&2
    exit 1
}

serve() {
    [ -f "$work/db-$2" ] || { cp "$work/db" "$work/db-$2" && cp "$work/model" "$work/model-$2"; }
    "$1" serve --db "$work/db-$2" --model-file "$work/model-$2" --listen "127.0.0.1:$2" \
        --workers 2 >"$work/log-$2" 2>&1 &
    servers="$servers $!"
    await "$2"
}

# Every item once, and twice as many that follow the skew.
if [ ! -f "$work/model" ]; then
    awk -v items="$items" -v users="$users" -v skew="$skew" 'BEGIN {
        srand(1)
        print "user,item,timestamp"
        for (n = 0; n < 3 * items; n++)
            printf "%d,%d,%d\n", int(rand() * users),
                n < items ? n : int(items * rand() ^ skew), 1500000000 + n
    }' >"$work/rows.csv"
    "$recsysd" import --db "$work/db" --format csv --type order \
        --columns user=user,item=item,timestamp=timestamp "$work/rows.csv" >"$work/log" 2>&1
    "$recsysd" train --db "$work/db" --model als --set factors=64 --set iterations=2 \
        --out "$work/model" >>"$work/log" 2>&1
    rm -f "$work/rows.csv"
fi
[ -z "${BENCH_PREPARE:-}" ] || exit 0
cat >"$work/users.lua" <<'LUA'
local seed = 1
function setup(thread) thread:set("seed", seed); seed = seed + 1 end
function init() math.randomseed(seed) end
function request()
    return wrk.format("GET", "/recommend?user_id=" .. math.random(0, 19999) .. "&k=10")
end
LUA

measure() { # NAME PORT CONNECTIONS
    wrk -t1 -c"$3" -d"${seconds}s" --latency -s "$work/users.lua" "http://127.0.0.1:$2" |
        awk -v name="$1" -v connections="$3" '
            /50%/ { median = $2 } /99%/ { p99 = $2 } /Requests\/sec/ { rate = $2 }
            /Non-2xx/ { wrong = "  " $0 }
            END { printf "%-8s %3d connections %10.1f requests/s  median %s  p99 %s%s\n",
                  name, connections, rate, median, p99, wrong }'
}

serve "$recsysd" 8471
[ -z "${BENCH_OTHER:-}" ] || serve "$BENCH_OTHER" 8472
for _ in $(seq "$turns"); do
    for connections in 1 2 64; do
        measure this 8471 "$connections"
        [ -z "${BENCH_OTHER:-}" ] || measure other 8472 "$connections"
    done
done
