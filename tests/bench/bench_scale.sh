#!/bin/bash
# bench_scale.sh RECSYSD FOLDER MILLIONS...: how time and memory grow with the number of interactions.
#
# For each size: made-up data (N / 100 users, N / 500 items), import, start without a model, one
# retraining of als (64 factors, 5 iterations) while lists are asked for, the swap, a restart with the
# model. One line a size; bytes are a process's own memory (RssAnon at its highest, the page cache
# left out) by interaction. FOLDER needs about 65 bytes an interaction, twice that while importing.
#   STAGES="synth import start retrain restart"   which to run: files of earlier ones are used again
set -eu
recsysd=${1:?usage: bench_scale.sh RECSYSD FOLDER MILLIONS...}
folder=${2:?usage: bench_scale.sh RECSYSD FOLDER MILLIONS...}
shift 2
stages=${STAGES:-synth import start retrain restart}
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
mkdir -p "$folder"
pid=
cleanup() { [ -z "$pid" ] || kill "$pid" 2>/dev/null || true; }
trap cleanup EXIT

has() { case " $stages " in *" $1 "*) true ;; *) false ;; esac; }
now() { date +%s.%N; }
since() { echo "$1 $(now)" | awk '{printf "%.2f", $2 - $1}'; }
anonymous() { awk '/^RssAnon/ {print $2}' "/proc/$1/status" 2>/dev/null || true; }

# Runs a command; its seconds and its own memory at its highest (KB), which a loop looks at.
measure() {
    local begin most=0 at child
    begin=$(now)
    "$@" &
    child=$!
    while at=$(anonymous "$child") && [ -n "$at" ]; do
        [ "$at" -le "$most" ] || most=$at
        sleep 0.1
    done
    wait "$child"
    seconds=$(since "$begin") peak=$most
}

# Starts the daemon; seconds to ready, and its port.
serve() {
    local begin
    : >"$db.log"
    begin=$(now)
    "$recsysd" serve --db "$db" --listen 127.0.0.1:0 2>"$db.log" &
    pid=$!
    until grep -q event=ready "$db.log"; do
        kill -0 "$pid" 2>/dev/null || { cat "$db.log" >&2; exit 1; }
        sleep 0.02
    done
    seconds=$(since "$begin")
    port=$(sed -n 's/.*port=\([0-9]*\).*/\1/p' "$db.log")
}

stop() {
    kill "$pid"
    wait "$pid" || true
    pid=
}

bytes() { awk -v k="$1" -v n="$n" 'BEGIN {printf "%.1f", k * 1024 / n}'; }

retrain() {
    local job begin state=queued most=0 at list="$db.lists" user
    : >"$list"
    begin=$(now)
    job=$(curl -sf -X POST "http://127.0.0.1:$port/retrain" -H 'Content-Type: application/json' \
        -d '{"model": "als", "set": {"factors": 64, "iterations": 5}}' | sed 's/.*"id": *"*\([0-9]*\).*/\1/')
    while :; do
        state=$(curl -sf "http://127.0.0.1:$port/jobs/$job" | sed 's/.*"state": *"\([a-z_]*\)".*/\1/')
        case $state in queued | running) ;; *) break ;; esac
        at=$(anonymous "$pid")
        [ "$at" -le "$most" ] || most=$at
        user=$((RANDOM * 32768 + RANDOM))
        curl -sf -o /dev/null -w '%{time_total}\n' \
            "http://127.0.0.1:$port/recommend?k=10&user_id=$((user % users + 1))" >>"$list" || echo failed >>"$list"
        sleep 0.1
    done
    curl -sf "http://127.0.0.1:$port/jobs/$job" >"$db.job"
    seconds=$(since "$begin") peak=$most
    [ "$state" = succeeded ] || { cat "$db.job" >&2; exit 1; }
    failed=$(grep -c failed "$list" || true)
    median=$(grep -v failed "$list" | sort -n | awk '{a[NR] = $1} END {printf "%.1f", a[int((NR + 1) / 2)] * 1000}')
    p99=$(grep -v failed "$list" | sort -n | awk '{a[NR] = $1} END {printf "%.1f", a[int(NR * 0.99 + 0.999)] * 1000}')
}

for millions in "$@"; do
    n=$((millions * 1000000)) users=$((millions * 10000)) items=$((millions * 2000))
    csv=$folder/$millions.csv db=$folder/$millions.db
    if has synth; then
        measure "$recsysd" synth --users $users --items $items --interactions $n --out "$csv" 2>"$csv.log"
        echo "$millions M: synth $seconds s"
    fi
    if has import; then
        rm -rf "$db" "$db"-* "$db".*
        measure "$recsysd" import --db "$db" --format csv --type order \
            --columns user=user,item=item,timestamp=timestamp "$csv"
        echo "$millions M: import $seconds s, $(bytes "$peak") bytes an interaction; the database has" \
            "$(stat -c %s "$db" | awk -v n=$n '{printf "%.1f", $1 / n}') on disk"
    fi
    if has start || has retrain; then
        rm -rf "$db".model*
        serve
        echo "$millions M: start without a model $seconds s, $(bytes "$(anonymous "$pid")") bytes"
        if has retrain; then
            retrain
            echo "$millions M: retraining $seconds s, $(bytes "$peak") bytes at most; lists meanwhile:" \
                "median $median ms, p99 $p99 ms, $failed failed"
            sleep 1
            echo "$millions M: after the swap $(bytes "$(anonymous "$pid")") bytes"
        fi
        stop
    fi
    if has restart; then
        serve
        echo "$millions M: start with the model $seconds s"
        stop
    fi
done
