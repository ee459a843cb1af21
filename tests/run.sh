#!/usr/bin/env bash
# Installs what the tests need, builds, runs every suite:
#   gcc and clang with warnings as errors; all suites; unit, conformance and golden again with the
#   kernels' definitions; all under ASan+UBSan; all under TSan; fuzzing; lint.
# The last line is "N passed, N failed, N skipped" over all of them. Logs stay in build-*/meson-logs.
#
# tests/run.sh quick    gcc, all suites and lint: for every day
# FUZZ_SECONDS=30       time of each fuzz target
set -u
cd "$(dirname "$0")/.." || exit 1
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
mode=${1:-all}
passed=0 failed=0 skipped=0
# The instrumentation makes gcc guess lengths that the plain builds know.
lax=-Dc_args=-Wno-format-truncation

packages="gcc g++ clang-14 clang-format-14 libclang-rt-14-dev meson ninja-build pkg-config python3
  python3-venv python3-numpy curl wrk sqlite3 libmicrohttpd-dev libjansson-dev libsqlite3-dev
  libopenblas-pthread-dev libcmocka-dev libinih-dev libxxhash-dev libsystemd-dev"

step() { printf '\n== %s\n' "$*"; }

install_packages() {
  step "packages"
  local missing=""
  for p in $packages; do
    dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
  done
  [ -z "$missing" ] && { echo "all installed"; return; }
  echo "installing:$missing"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q >/dev/null && apt-get install -y -q --no-install-recommends $missing >/dev/null ||
    { echo "apt-get could not install:$missing" >&2; exit 1; }
}

# one NAME COMMAND...: a step that passes or fails as one
one() {
  local name=$1; shift
  if "$@"; then passed=$((passed + 1)); echo "ok: $name"
  else failed=$((failed + 1)); echo "FAILED: $name"; fi
}

# build DIR [meson options]: 0 when it compiles without a warning
build() {
  local dir=$1; shift
  if [ -d "$dir" ]; then meson setup --reconfigure "$dir" -Dwerror=true "$@" >"$dir.log" 2>&1
  else meson setup "$dir" -Dwerror=true "$@" >"$dir.log" 2>&1; fi &&
    ninja -C "$dir" >>"$dir.log" 2>&1 || { tail -40 "$dir.log"; return 1; }
}

# suites DIR [meson test options]: runs them and adds up their results
suites() {
  local dir=$1; shift
  rm -f "$dir"/meson-logs/testlog*.json
  meson test -C "$dir" --no-rebuild --print-errorlogs "$@"
  local log
  log=$(ls -t "$dir"/meson-logs/testlog*.json 2>/dev/null | head -1)
  if [ -z "$log" ]; then failed=$((failed + 1)); echo "FAILED: no results of $dir"; return; fi
  local ok skip all
  ok=$(grep -cE '"result": "(OK|EXPECTEDFAIL)"' "$log")
  skip=$(grep -c '"result": "SKIP"' "$log")
  all=$(grep -c '"result":' "$log")
  passed=$((passed + ok)); skipped=$((skipped + skip)); failed=$((failed + all - ok - skip))
}

lint() {
  step "lint"
  one format bash -c 'git ls-files "*.c" "*.h" | xargs clang-format-14 --dry-run -Werror'
  one layers tools/check_layers
  one banned tools/check_banned
  one openapi tools/check_openapi
  tools/check_size
}

fuzz() {
  step "fuzz: ${FUZZ_SECONDS:-30} s each"
  build build-fuzz -Db_sanitize=address,undefined -Db_lundef=false || { failed=$((failed + 1)); return; }
  for target in build-fuzz/tests/fuzz/fuzz_*; do
    [ -f "$target" ] && [ -x "$target" ] || continue
    local name corpus regressions
    name=$(basename "$target")
    corpus=$(mktemp -d)
    regressions=tests/fuzz/regressions/$name
    [ -d "$regressions" ] || regressions=
    one "$name" "$target" -max_total_time="${FUZZ_SECONDS:-30}" -rss_limit_mb=4096 -verbosity=0 \
      -print_final_stats=0 "$corpus" $regressions
    rm -rf "$corpus"
  done
}

install_packages
step "gcc: build and all suites"
CC=gcc build build-gcc && suites build-gcc || failed=$((failed + 1))
lint
if [ "$mode" = all ]; then
  step "gcc: the definitions of the kernels (REC_KERNELS=ref)"
  REC_KERNELS=ref suites build-gcc --suite unit --suite conformance --suite golden
  step "clang: build"
  CC=clang-14 build build-clang && passed=$((passed + 1)) || failed=$((failed + 1))
  step "ASan and UBSan: all suites"
  export ASAN_OPTIONS=abort_on_error=1:detect_leaks=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
  CC=gcc build build-asan -Db_sanitize=address,undefined -Ddebug=true -Doptimization=1 $lax &&
    suites build-asan -t 5 || failed=$((failed + 1))
  step "TSan: all suites"
  # SQLite's locks are not seen but some of its unlocks are, so misuse of mutexes is not judged.
  export TSAN_OPTIONS="halt_on_error=1:report_mutex_bugs=0:suppressions=$PWD/tests/tsan.supp"
  CC=gcc build build-tsan -Db_sanitize=thread -Ddebug=true -Doptimization=1 $lax &&
    suites build-tsan -t 10 || failed=$((failed + 1))
  CC=clang-14 fuzz
fi
printf '\n%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" -eq 0 ]
