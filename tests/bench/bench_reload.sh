#!/bin/sh
# bench_reload.sh RECSYSD: how long until a model of a million items and 64 factors is live, from
# exec and from SIGHUP; medians of five starts. Beside it the time to read its file once, from the
# page cache.
set -eu
recsysd=${1:?usage: bench_reload.sh RECSYSD}
dir=$(mktemp -d)
pid=
cleanup() {
    [ -z "$pid" ] || kill "$pid" 2>/dev/null || true
    rm -rf "$dir"
}
trap cleanup EXIT
"$recsysd" synth --users 30000 --items 1000000 --interactions 5000000 --exponent 0.3 --taste 0.5 \
    --out "$dir/data.csv" >/dev/null
"$recsysd" import --db "$dir/db" --format csv --type order \
    --columns user=user,item=item,timestamp=timestamp "$dir/data.csv" >/dev/null
"$recsysd" train --db "$dir/db" --model als --set factors=64 --set iterations=1

median() { sort -n "$1" | sed -n 3p; }
# waits FILE EVENT START: adds the seconds from START until the log has EVENT to FILE
waits() {
    until grep -q "event=$2 " "$dir/log"; do sleep 0.005; done
    echo "$3 $(date +%s.%N)" | awk '{print $2 - $1}' >>"$dir/$1"
}

for run in 1 2 3 4 5; do
    : >"$dir/log"
    start=$(date +%s.%N)
    "$recsysd" serve --db "$dir/db" --listen 127.0.0.1:0 2>"$dir/log" &
    pid=$!
    waits live model_live "$start"
    until grep -q "event=ready " "$dir/log"; do sleep 0.005; done
    start=$(date +%s.%N)
    kill -HUP "$pid"
    waits reload reload "$start"
    kill "$pid"
    wait "$pid"
    pid=
    start=$(date +%s.%N)
    cat "$dir/db.model" >/dev/null
    echo "$start $(date +%s.%N)" | awk '{print $2 - $1}' >>"$dir/read"
done
awk -v l="$(median "$dir/live")" -v h="$(median "$dir/reload")" -v r="$(median "$dir/read")" \
    'BEGIN { printf "live %.2f s after exec, %.2f s after SIGHUP; cat reads the file in %.2f s\n", l, h, r }'
