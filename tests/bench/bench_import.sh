#!/bin/sh
# bench_import.sh RECSYSD ML-1M-FOLDER: import of MovieLens 1M, all of it committed, beside what the
# sqlite3 program needs to put the same rows, ids as they are, into one plain table of the same
# durability. In turn, five times; medians and their ratio.
set -eu
recsysd=${1:?usage: bench_import.sh RECSYSD ML-1M-FOLDER}
data=${2:?usage: bench_import.sh RECSYSD ML-1M-FOLDER}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
sed 's/::/,/g' "$data/ratings.dat" >"$dir/ratings.csv"
rows=$(wc -l <"$dir/ratings.csv")

now() { date +%s.%N; }
median() { sort -n "$1" | sed -n 3p; }

for run in 1 2 3 4 5; do
    rm -f "$dir"/db*
    start=$(now)
    "$recsysd" import --db "$dir/db" --format movielens-1m "$data" >/dev/null
    end=$(now)
    echo "$start $end" | awk '{print $2 - $1}' >>"$dir/ours"
    rm -f "$dir"/plain*
    start=$(now)
    sqlite3 "$dir/plain" >/dev/null <<END
PRAGMA journal_mode=WAL;
PRAGMA synchronous=FULL;
CREATE TABLE interactions(user TEXT, item TEXT, value REAL, timestamp INTEGER);
.mode csv
.import $dir/ratings.csv interactions
PRAGMA wal_checkpoint(TRUNCATE);
END
    end=$(now)
    echo "$start $end" | awk '{print $2 - $1}' >>"$dir/peer"
done
ours=$(median "$dir/ours") peer=$(median "$dir/peer")
awk -v n="$rows" -v o="$ours" -v p="$peer" 'BEGIN {
    printf "import of %d rows: recsysd %.2f s (%.0f rows/s), sqlite3 .import %.2f s (%.0f rows/s), ratio %.2f\n",
        n, o, n / o, p, n / p, p / o }'
