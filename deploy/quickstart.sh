#!/bin/sh
# From a fresh Debian 12 to lists over HTTP: packages, build, data, import, training, daemon.
#
#   deploy/quickstart.sh          (again: keeps what was recorded, imports the films and their ratings anew, starts the present build)
#   deploy/quickstart.sh stop
#
# RECSYSD_MOVIELENS_DIR  a folder with ratings.csv and movies.csv; otherwise MovieLens latest-small is
#                        downloaded, and where that is not possible a made-up catalogue is used
# RECSYSD_STATE_DIR      where all of it goes (default: /var/lib/recsysd-quickstart for root, else
#                        ~/.local/state/recsysd)
# RECSYSD_LISTEN         default 127.0.0.1:8080
set -eu

packages="gcc libc6-dev meson ninja-build pkg-config python3 curl ca-certificates
    libmicrohttpd-dev libjansson-dev libsqlite3-dev libopenblas-pthread-dev libinih-dev
    libxxhash-dev libsystemd-dev"
movielens=https://files.grouplens.org/datasets/movielens/ml-latest-small.zip

source=$(cd "$(dirname "$0")/.." && pwd)
if [ "$(id -u)" = 0 ]; then
    state=${RECSYSD_STATE_DIR:-/var/lib/recsysd-quickstart}
else
    state=${RECSYSD_STATE_DIR:-$HOME/.local/state/recsysd}
fi
listen=${RECSYSD_LISTEN:-127.0.0.1:8080}
build=$source/build-quickstart
recsysd=$state/bin/recsysd
pid_file=$state/recsysd.pid
log_file=$state/recsysd.log

say() {
    printf '\n== %s\n' "$*"
}

fail() {
    printf 'quickstart: %s\n' "$*" >&2
    exit 1
}

# Some settings are this script's to make; others in the environment would change what it shows.
unset RECSYSD_DB RECSYSD_MODEL RECSYSD_MODEL_FILE RECSYSD_CONFIG RECSYSD_OUT RECSYSD_FORMAT
# OpenBLAS would obey these, set for other programs, and run slower code.
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE

install_packages() {
    missing=
    for package in $packages; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
            missing="$missing $package"
    done
    [ -z "$missing" ] && return
    say "installing$missing"
    as_root=
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || fail "run this as root once, or install:$missing"
        as_root=sudo
    fi
    $as_root apt-get update
    # shellcheck disable=SC2086 # a list of words
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing
}

build_release() {
    say "building"
    if [ -f "$build/build.ninja" ]; then
        meson setup --reconfigure "$build" "$source" >/dev/null
    else
        rm -rf "$build"
        meson setup "$build" "$source" --buildtype=release -Dtests=false
    fi
    meson compile -C "$build"
    mkdir -p "$state/bin"
    # Beside and renamed, so that a daemon that still runs keeps its own file.
    cp "$(find "$build" -name recsysd -type f -perm -u+x | head -n 1)" "$recsysd.new"
    mv "$recsysd.new" "$recsysd"
}

download() {
    say "downloading MovieLens latest-small (1 MB) from GroupLens"
    curl -fsSL --connect-timeout 15 --max-time 180 -o "$state/ml.zip" "$movielens" || return 1
    rm -rf "$state/ml.new"
    python3 -m zipfile -e "$state/ml.zip" "$state/ml.new" || return 1
    [ -f "$state/ml.new/ml-latest-small/ratings.csv" ] || return 1
    mv "$state/ml.new/ml-latest-small" "$state/movielens"
    rm -rf "$state/ml.new" "$state/ml.zip"
}

# Sets data and name. Real and made-up data must not meet in one database, whose ids they share; and
# what was used once is used again, so that a second run finds what was posted to the first.
find_data() {
    name=movielens
    if [ -n "${RECSYSD_MOVIELENS_DIR:-}" ]; then
        data=$(cd "$RECSYSD_MOVIELENS_DIR" 2>/dev/null && pwd) ||
            fail "RECSYSD_MOVIELENS_DIR=$RECSYSD_MOVIELENS_DIR is no folder"
        [ -f "$data/ratings.csv" ] || fail "RECSYSD_MOVIELENS_DIR=$data has no ratings.csv"
    elif [ -f "$state/data" ]; then
        read -r name data <"$state/data"
    elif download; then
        data=$state/movielens
    else
        rm -rf "$state/ml.new" "$state/ml.zip"
        name=generated
        data=$state/generated
        say "MovieLens cannot be downloaded here: using a MADE-UP catalogue of the same shape"
        echo "   (for the real one: RECSYSD_MOVIELENS_DIR=/path/to/ml-latest-small $0)"
        python3 "$source/deploy/make_catalogue.py" "$data"
    fi
    printf '%s %s\n' "$name" "$data" >"$state/data"
}

# The database has one writer, so the daemon pauses while a data set goes in. Importing the same file
# again adds nothing; what was posted to the daemon since stays, and is trained on.
import_data() {
    if [ ! -f "$data/ratings.csv" ] && [ -f "$db" ]; then
        say "$data is gone; going on with what $db holds"
        added="0 interactions added"
        return
    fi
    say "importing $data"
    added=$("$recsysd" import --db "$db" --format movielens "$data")
    printf '%s\n' "$added"
}

# A model that is there is kept when nothing has come in: it may be one that was chosen.
train_model() {
    case $added in
    *" 0 interactions added"* | "0 interactions added")
        if "$recsysd" models "$db.model" >/dev/null 2>&1; then
            say "nothing new: keeping the model $db.model (POST /retrain makes another)"
            return
        fi
        ;;
    esac
    say "training"
    "$recsysd" train --db "$db" --model als --out "$db.model"
}

daemon_pid() {
    pid=$(cat "$pid_file" 2>/dev/null) || return 1
    # A pid can be somebody else's by now: the program must be ours.
    case $(readlink "/proc/$pid/exe" 2>/dev/null) in
    "$recsysd" | "$recsysd (deleted)") echo "$pid" ;;
    *) return 1 ;;
    esac
}

stop_daemon() {
    pid=$(daemon_pid) || return 1
    say "stopping the daemon that runs (pid $pid): it answers what it has and commits"
    kill -TERM "$pid"
    tries=0
    while daemon_pid >/dev/null; do
        tries=$((tries + 1))
        [ "$tries" -le 600 ] || fail "pid $pid has not stopped after 60 s"
        sleep 0.1
    done
    rm -f "$pid_file"
}

start_daemon() {
    say "starting the daemon on $listen"
    # Asked before, because an answer afterwards could be another daemon's.
    ! "$recsysd" healthcheck --listen "$listen" 2>/dev/null ||
        fail "another recsysd answers on $listen already; stop it, or set RECSYSD_LISTEN"
    setsid "$recsysd" serve --db "$db" --model-file "$db.model" --listen "$listen" \
        </dev/null >>"$log_file" 2>&1 &
    echo $! >"$pid_file"
    tries=0
    until "$recsysd" healthcheck --listen "$listen" 2>/dev/null && daemon_pid >/dev/null; do
        tries=$((tries + 1))
        if ! kill -0 "$(cat "$pid_file")" 2>/dev/null || [ "$tries" -gt 300 ]; then
            tail -n 5 "$log_file" >&2
            fail "the daemon did not start; its log is $log_file"
        fi
        sleep 0.1
    done
}

if [ "${1:-}" = stop ]; then
    stop_daemon || say "no daemon of $state runs (RECSYSD_STATE_DIR must be what it was at the start)"
    exit 0
fi
[ $# = 0 ] || fail "unknown argument '$1'; usage: deploy/quickstart.sh [stop]"

mkdir -p "$state"
install_packages
build_release
find_data
db=$state/$name.db

stop_daemon || true
import_data
train_model
start_daemon

cat <<END

recsysd answers on http://$listen (pid $(cat "$pid_file"), log $log_file, state $state).
Try, in this order: a list for user 1; a liked movie for somebody new; that person's list.

  curl 'http://$listen/recommend?user_id=1&k=5'
  curl -H 'Content-Type: application/json' -d '{"user_id":"me","item_id":"1","type":"rating","value":5}' http://$listen/interactions
  curl 'http://$listen/recommend?user_id=me&k=5'

The program itself, for data of your own: $recsysd --help
Stop it with: ${RECSYSD_STATE_DIR:+RECSYSD_STATE_DIR='$RECSYSD_STATE_DIR' }$source/deploy/quickstart.sh stop
END
