#!/bin/sh
# contract.sh URL|BINARY SPEC: holds a live server against its contract with schemathesis, an outside
# tester that makes requests from openapi.yaml, good and bad ones, and checks every answer.
#
# With the path of the recsysd binary it starts a server of its own, in a temporary folder, with
# generated data and a trained model. Without network, or where schemathesis cannot be installed, it
# says so and exits with 77, which meson counts as skipped.
#   CONTRACT_VENV      where schemathesis is, or is put (default: a folder in $TMPDIR)
#   CONTRACT_EXAMPLES  requests for each operation and phase (default 20)
#   CONTRACT_SEED      repeats a run
set -eu

here=$(cd "$(dirname "$0")" && pwd)
target=${1:?usage: contract.sh URL|BINARY SPEC}
spec=${2:?usage: contract.sh URL|BINARY SPEC}
venv=${CONTRACT_VENV:-${TMPDIR:-/tmp}/recsysd-contract-venv}
version=4.32.5
folder=
server=

cleanup() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    [ -z "$server" ] || wait "$server" 2>/dev/null || true
    [ -z "$folder" ] || rm -rf "$folder"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

skip() {
    echo "contract: skipped: $1"
    exit 77
}

if [ ! -x "$venv/bin/schemathesis" ]; then
    python3 -m venv "$venv" >/dev/null 2>&1 || skip "python3 cannot make a virtual environment"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --retries 1 --timeout 15 \
        "schemathesis==$version" >/dev/null 2>&1 || {
        rm -rf "$venv"
        skip "schemathesis $version cannot be installed (no network?)"
    }
fi

folder=$(mktemp -d)
case $target in
http://* | https://*) url=$target ;;
*)
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    url=http://127.0.0.1:$port
    python3 -c '
for user in range(60):
    for n in range(8):
        item = user % 2 + 2 * ((user // 2 + n * n) % 29)
        print("{\"user_id\": %d, \"item_id\": %d, \"timestamp\": %d}" % (user, 300 + item, 1000000 + n))
' >"$folder/data.ndjson"
    "$target" import --db "$folder/db" --format ndjson "$folder/data.ndjson" >/dev/null 2>"$folder/log"
    "$target" train --db "$folder/db" --model als --set factors=8 --out "$folder/model" >/dev/null 2>>"$folder/log"
    "$target" serve --db "$folder/db" --model-file "$folder/model" --listen "127.0.0.1:$port" 2>>"$folder/log" &
    server=$!
    python3 - "$url/health/ready" <<'PYTHON' || { cat "$folder/log"; exit 1; }
import sys, time, urllib.request
for _ in range(300):
    try:
        urllib.request.urlopen(sys.argv[1], timeout=5)
        sys.exit(0)
    except OSError:
        time.sleep(0.1)
sys.exit("contract: the server does not become ready")
PYTHON
    ;;
esac

cd "$folder" # it leaves files where it runs
status=0
SCHEMATHESIS_HOOKS=contract_hooks PYTHONPATH=$here PYTHONDONTWRITEBYTECODE=1 \
    "$venv/bin/schemathesis" --config-file "$here/contract.toml" run "$spec" --url "$url" \
    --max-examples "${CONTRACT_EXAMPLES:-20}" ${CONTRACT_SEED:+--seed "$CONTRACT_SEED"} \
    --suppress-health-check all --request-timeout 30 --no-color || status=$?
if [ -n "$server" ] && ! kill -0 "$server" 2>/dev/null; then
    echo "contract: the server has died"
    cat "$folder/log"
    status=1
fi
exit "$status"
