# For the scripts beside this file: a directory that is removed at the end, and servers that are stopped at the end.
# $1 is the directory of the example programs.
set -euo pipefail

[ $# -eq 1 ] || { echo "usage: $0 <directory of the example programs>" >&2; exit 2; }
programs=$(cd "$1" && pwd)
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
children=()
# The programs may be built with sanitizers; leaks are looked for elsewhere, and not under a tracer.
export ASAN_OPTIONS=detect_leaks=0${ASAN_OPTIONS:+:$ASAN_OPTIONS}

finish() {
  exec 2>/dev/null
  for child in "${children[@]}"; do kill -KILL "$child" || true; done
  wait || true
  rm -rf "$work"
}
trap finish EXIT

fail() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  for file in "$work"/*.err; do [ ! -s "$file" ] || { echo "-- $file"; tail -n 20 "$file"; } >&2; done
  exit 1
}
skip() { printf '%s: skipped, %s\n' "$(basename "$0")" "$*" >&2; exit 77; }
need() { command -v "$1" >/dev/null || skip "there is no $1"; }

# Calls "$@" until it succeeds, for as long as only something that is broken takes.
until_true() {
  local deadline=$((SECONDS + 20))
  until "$@"; do
    [ "$SECONDS" -lt "$deadline" ] || return 1
    sleep 0.02
  done
}

listens() { [ -s "$work/$1.out" ] || ! kill -0 "$pid" 2>/dev/null; }

# start NAME COMMAND...: a server in the background; sets pid, host and port when it says that it listens.
start() {
  local name=$1
  shift
  rm -f "$work/$name.out"
  "$@" >"$work/$name.out" 2>"$work/$name.err" &
  pid=$!
  children+=("$pid")
  until_true listens "$name" || fail "$name does not say that it listens"
  local line
  read -r line <"$work/$name.out" || fail "$name has ended: $*"
  [[ $line =~ ^([a-z_]+:\ )?listening\ on\ (.*):([0-9]+)$ ]] || fail "$name says '$line'"
  host=${BASH_REMATCH[2]#[} port=${BASH_REMATCH[3]}
  host=${host%]}
}
start_echo_server() {
  [ -x "$programs/echo_server" ] || fail "there is no $programs/echo_server"
  start server "$programs/echo_server" --port 0 "$@"
}

gone() { ! kill -0 "$1" 2>/dev/null; }

# stop SIGNAL PID: sends it, and gives the exit code in `code`.
stop() {
  kill -"$1" "$2" || fail "process $2 has ended before it was told to"
  until_true gone "$2" || fail "process $2 goes on after SIG$1"
  code=0
  wait "$2" || code=$?
  local left=()
  for child in "${children[@]}"; do [ "$child" = "$2" ] || left+=("$child"); done
  children=("${left[@]}")
}
stop_cleanly() {
  stop TERM "$1"
  [ "$code" -eq 0 ] || fail "the server ended with exit code $code"
  [ ! -s "$work/server.err" ] || fail "the server complained"
}

sanitized() { grep -qa -e __asan_init -e __tsan_init "$programs/echo_server"; }
open_descriptors() { find "/proc/$1/fd" -mindepth 1 2>/dev/null | wc -l; }
