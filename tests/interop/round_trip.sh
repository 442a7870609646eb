#!/usr/bin/env bash
# netcat and the echo server: what is sent comes back, and the end of one direction is answered by the end of the other.
source "$(dirname "$0")/common.bash"
need nc
nc -h 2>&1 | grep -q -e '-N' || [[ $(nc -h 2>&1) == *lkN* ]] || skip "this nc cannot end its half"

seq 1 20000 >"$work/sent"

there_and_back() {
  timeout 30 nc -N "$host" "$port" <"$work/sent" >"$work/back" || fail "nc to $host failed"
  cmp "$work/sent" "$work/back" || fail "what came back from $host is not what was sent"
  timeout 30 nc -N "$host" "$port" </dev/null >"$work/back" || fail "nc to $host failed with nothing to send"
  [ ! -s "$work/back" ] || fail "nothing was sent to $host, but something came back"
}

start_echo_server
[ "$host" = 127.0.0.1 ] || fail "it listens on $host"
there_and_back
printf 'x' | timeout 30 nc -N "$host" "$port" >"$work/back"
[ "$(cat "$work/back")" = x ] || fail "one byte did not come back"
stop_cleanly "$pid"

start_echo_server --host ::1
[ "$host" = ::1 ] || fail "it listens on $host"
there_and_back
stop_cleanly "$pid"

start_echo_server --threads 2
for _ in 1 2 3 4 5 6 7 8; do there_and_back; done
stop_cleanly "$pid"

start_echo_server --mode sink
timeout 30 nc -N "$host" "$port" <"$work/sent" >"$work/back" || fail "nc to the sink failed"
[ ! -s "$work/back" ] || fail "the sink answered"
stop_cleanly "$pid"
