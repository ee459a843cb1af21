#!/bin/sh
# bench_start.sh RECSYSD ML-1M-FOLDER: from exec to ready with MovieLens 1M and an als model of 64
# factors, and the resident memory then and after 6,040 lists; medians of five starts. Beside it the
# time the sqlite3 program needs to read the same rows once.
set -eu
recsysd=${1:?usage: bench_start.sh RECSYSD ML-1M-FOLDER}
data=${2:?usage: bench_start.sh RECSYSD ML-1M-FOLDER}
dir=$(mktemp -d)
pid=
cleanup() {
    [ -z "$pid" ] || kill "$pid" 2>/dev/null || true
    rm -rf "$dir"
}
trap cleanup EXIT
"$recsysd" import --db "$dir/db" --format movielens-1m "$data" >/dev/null
"$recsysd" train --db "$dir/db" --model als --set factors=64 >/dev/null

median() { sort -n "$1" | sed -n 3p; }
resident() { awk '/VmRSS/ {print $2 / 1024}' "/proc/$pid/status"; }

for run in 1 2 3 4 5; do
    : >"$dir/log"
    start=$(date +%s.%N)
    "$recsysd" serve --db "$dir/db" --listen 127.0.0.1:0 2>"$dir/log" &
    pid=$!
    until grep -q event=ready "$dir/log"; do sleep 0.005; done
    echo "$start $(date +%s.%N)" | awk '{print $2 - $1}' >>"$dir/ready"
    resident >>"$dir/memory"
    port=$(sed -n 's/.*port=\([0-9]*\).*/\1/p' "$dir/log")
    curl -s "http://127.0.0.1:$port/recommend?user_id=[1-6040]&k=10" >/dev/null
    resident >>"$dir/memory_after"
    kill "$pid"
    wait "$pid"
    pid=
    start=$(date +%s.%N)
    sqlite3 "$dir/db" 'SELECT sum(user + timestamp + item + type + value) FROM interactions' >/dev/null
    echo "$start $(date +%s.%N)" | awk '{print $2 - $1}' >>"$dir/scan"
done
awk -v r="$(median "$dir/ready")" -v s="$(median "$dir/scan")" -v m="$(median "$dir/memory")" \
    -v a="$(median "$dir/memory_after")" 'BEGIN {
    printf "start to ready %.2f s; sqlite3 reads the rows once in %.2f s, ratio %.2f\n", r, s, r / s
    printf "resident memory %.0f MB when ready, %.0f MB after 6,040 lists\n", m, a }'
