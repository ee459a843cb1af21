#!/bin/sh
# Where the processor time of GET /recommend goes: microseconds a list by room and by function, under
# the load of bench_http.sh, and what `mhd_hello` takes in the same run. Needs perf, wrk, nm, cc.
#
# usage: bench_profile.sh BUILD_DIR [BENCH_DIR]
#   BUILD_DIR needs -Ddebug=true only for names; BENCH_DIR holds mhd_hello.c
#   BENCH_DATA=FOLDER  MovieLens 1M (default: shared/data/ml-1m)
#   BENCH_SECONDS=5 BENCH_FUNCTIONS=25
#
# The time is what the kernel counted for the process without perf; the shares are perf's samples.
set -eu

build=${1:?usage: bench_profile.sh BUILD_DIR [BENCH_DIR]}
repository=$(cd "$(dirname "$0")/../.." && pwd)
shared=${RECSYSD_SHARED:-$repository/../shared}
[ -d "$shared" ] || shared=$repository/../../shared
bench=${2:-$shared/bench}
data=${BENCH_DATA:-$shared/data/ml-1m}
seconds=${BENCH_SECONDS:-5}
recsysd=$build/src/app/recsysd
work=$(mktemp -d)
servers=
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
for variable in $(env | sed -n 's/^\(RECSYSD_[A-Z_]*\)=.*/\1/p'); do unset "$variable"; done

stop() {
    trap - EXIT INT TERM
    for server in $servers; do kill "$server" 2>/dev/null || true; done
    wait
    rm -rf "$work"
}
trap stop EXIT INT TERM

load() { # PORT: prints how many requests were answered
    wrk -t1 -c32 -d"${seconds}s" -s "$repository/tests/bench/users.lua" \
        "http://127.0.0.1:$1/recommend" >"$work/wrk"
    if grep -E 'Non-2xx|Socket errors' "$work/wrk" >&2; then exit 1; fi
    awk '/requests in/ { print $1 }' "$work/wrk"
}

ticks() { sed 's/.*) //' "/proc/$1/stat" | awk '{ print $12, $13 }'; }

# cost PID PORT: microseconds a request, user and kernel.
cost() {
    before=$(ticks "$1")
    requests=$(load "$2")
    echo "$before $(ticks "$1") $requests $(getconf CLK_TCK)" |
        awk '{ f = 1e6 / $6 / $5; printf "%.2f %.2f\n", ($3 - $1) * f, ($4 - $2) * f }'
}

sed "s/body\[700\]/body[818]/" "$bench/mhd_hello.c" >"$work/mhd_hello.c"
cc -O2 -w -o "$work/mhd_hello" "$work/mhd_hello.c" -lmicrohttpd
"$recsysd" import --db "$work/db" --format movielens-1m "$data" >/dev/null
"$recsysd" train --db "$work/db" --model als --set factors=64 --out "$work/model" >/dev/null
"$work/mhd_hello" 18480 2 epoll &
hello=$!
"$recsysd" serve --db "$work/db" --model-file "$work/model" --listen 127.0.0.1:18481 --workers 2 \
    >"$work/log" 2>&1 &
lists=$!
servers="$hello $lists"
for _ in $(seq 100); do
    if curl -sf -o /dev/null http://127.0.0.1:18481/health/ready; then break; fi
    sleep 0.1
done
load 18481 >/dev/null # every user's query is made once
hello_cost=$(cost "$hello" 18480)
lists_cost=$(cost "$lists" 18481)
load 18481 >/dev/null &
perf record -q -e cpu-clock -F 499 -p "$lists" -o "$work/perf" -- sleep "$((seconds - 1))"
wait $!

# Which room a function is of: nm knows, static ones included.
for library in "$build"/src/*/lib*.a; do
    room=$(basename "$library" .a)
    nm "$library" 2>/dev/null | awk -v room="${room#lib}" '
        $2 ~ /^[tT]$/ { sub(/\.(constprop|part|isra|cold).*/, "", $3); print $3, room }'
done >"$work/rooms"
perf report -i "$work/perf" --no-children --stdio -g none -F overhead,dso,sym 2>/dev/null |
    sed -n 's/^ *\([0-9.]*\)% *\([^ ]*\) *\[[.k]\] \([^ ]*\).*/\1 \2 \3/p' >"$work/samples"
echo "mhd_hello: $hello_cost us a request, user and kernel; GET /recommend: $lists_cost"
awk -v cost="$lists_cost" -v functions="${BENCH_FUNCTIONS:-25}" '
    NR == FNR { if (!($1 in room)) room[$1] = $2; next }
    {
        name = $3; sub(/\.(constprop|part|isra|cold).*/, "", name)
        where = $2 ~ /kernel/ ? "kernel" : $2 ~ /^lib|vdso/ ? $2 : name in room ? room[name] : "recsysd"
        sub(/\.so.*/, "", where)
        by[where] += $1
        if (where != "kernel" && name !~ /^0x/) each[where ": " name] += $1
    }
    END {
        split(cost, part, " "); all = (part[1] + part[2]) / 100
        for (w in by) printf "1 %.2f us  %s\n", by[w] * all, w
        for (f in each) printf "2 %.2f us  %s\n", each[f] * all, f
    }' "$work/rooms" "$work/samples" | sort -k1,1n -k2,2nr |
    awk -v functions="${BENCH_FUNCTIONS:-25}" '
        $1 == 1 { sub(/^1 /, ""); if ($1 > 0.02) print; next }
        !n { print "functions:" }
        n++ < functions { sub(/^2 /, ""); print }'
