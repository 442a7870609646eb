#!/usr/bin/env bash
# nc and socat talk to the echo server over a local socket, whose file comes and goes with it.
source "$(dirname "$0")/common.bash"
need nc
need socat
[[ $(nc -h 2>&1) == *N* ]] || skip "this nc cannot end its half"
path=$work/echo.sock
seq 1 20000 >"$work/sent"

# serve ARGUMENT...: the server on $path; sets pid.
says_so() { [ -s "$work/server.out" ] || gone "$pid"; }
serve() {
  rm -f "$work/server.out"
  "$programs/echo_server" --unix "$path" "$@" >"$work/server.out" 2>"$work/server.err" &
  pid=$!
  children+=("$pid")
  until_true says_so || fail "the server does not say that it listens"
  [ "$(cat "$work/server.out")" = "listening on $path" ] || fail "the server says $(cat "$work/server.out")"
}

for reactor in '' poll; do
  serve ${reactor:+--reactor "$reactor"}
  [ -S "$path" ] || fail "there is no socket at its path"
  timeout 30 nc -N -U "$path" <"$work/sent" >"$work/back" || fail "nc failed"
  cmp "$work/sent" "$work/back" || fail "what came back to nc is not what was sent"
  timeout 30 socat -t 20 - "UNIX-CONNECT:$path" <"$work/sent" >"$work/back" || fail "socat failed"
  cmp "$work/sent" "$work/back" || fail "what came back to socat is not what was sent"
  for signal in TERM INT; do
    timeout 100 nc -U "$path" </dev/zero >/dev/null 2>&1 & talker=$!
    children+=("$talker")
    stop "$signal" "$pid"
    [ "$code" -eq 0 ] || fail "SIG$signal: exit code $code"
    [ ! -s "$work/server.err" ] || fail "the server complained"
    [ ! -e "$path" ] || fail "the socket's file is left behind"
    wait "$talker" || true
    [ "$signal" = INT ] || serve ${reactor:+--reactor "$reactor"}
  done
done

# A server that was killed leaves its file, and the next one takes its place; of one that lives the file stays.
serve
kill -KILL "$pid"
until_true gone "$pid"
[ -S "$path" ] || fail "the killed server's file is gone"
serve
code=0
timeout 20 "$programs/echo_server" --unix "$path" >"$work/second.out" 2>"$work/second.err" || code=$?
[ "$code" -eq 1 ] || fail "a second server ends with exit code $code"
grep -qF 'Address already in use' "$work/second.err" || fail "it is not said why"
rm -f "$work/second.err"
timeout 30 nc -N -U "$path" <"$work/sent" >"$work/back" || fail "nc failed after that"
cmp "$work/sent" "$work/back" || fail "what came back after that is not what was sent"
stop_cleanly "$pid"
