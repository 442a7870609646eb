#!/usr/bin/env bash
# What cannot be done is said in one line, with the exit code 1; what was not understood, with the exit code 2.
source "$(dirname "$0")/common.bash"

# refused CODE TEXT ARGUMENT...: the server ends with CODE, and a line on standard error has TEXT in it.
refused() {
  local expected=$1 text=$2 code=0
  shift 2
  timeout 20 "$programs/echo_server" "$@" >"$work/refused.out" 2>"$work/refused.err" || code=$?
  [ "$code" -eq "$expected" ] || fail "exit code $code for: $*"
  [ ! -s "$work/refused.out" ] || fail "it says that it listens: $*"
  grep -qF -- "$text" "$work/refused.err" || fail "no '$text' is said for: $*"
  [ "$expected" -ne 1 ] || [ "$(wc -l <"$work/refused.err")" -eq 1 ] || fail "more than one line is said for: $*"
}

start_echo_server
refused 1 "127.0.0.1:$port" --port "$port"
refused 1 "Address already in use" --port "$port"
refused 1 "Address already in use" --port "$port" --threads 2
stop_cleanly "$pid"

refused 1 "Cannot assign requested address" --port 0 --host 192.0.2.1
refused 1 "no-such-host" --port 0 --host no-such-host

refused 1 "No such file or directory" --unix "$work/no/such/directory/x.sock"
refused 1 "File name too long" --unix "$work/$(printf '%0120d' 0)"
: >"$work/file"
refused 1 "Address already in use" --unix "$work/file"
[ -e "$work/file" ] || fail "a file that is no socket was removed"

refused 2 usage
refused 2 usage --port
refused 2 usage --port 0 --unix "$work/x.sock"
refused 2 --unix --unix ''
refused 2 --reactor --port 0 --reactor select
refused 2 --port --port http
refused 2 --port --port 65536
refused 2 --port --port -1
refused 2 --port --port ''
refused 2 --threads --port 0 --threads 0
refused 2 --threads --port 0 --threads many
refused 2 --mode --port 0 --mode loud
refused 2 --mode --port 0 --mode
refused 2 --no-such-option --port 0 --no-such-option 1
refused 2 word word
