#!/usr/bin/env bash
# A signal ends the server at once and cleanly, with idle, talking and blocked connections open; they all hear the end.
source "$(dirname "$0")/common.bash"
need python3

for signal in TERM INT; do
  for threads in 1 2; do
    start_echo_server --threads "$threads"
    rm -f "$work/clients.out"
    timeout 100 python3 "$here/clients.py" stay "$host" "$port" 60 >"$work/clients.out" 2>"$work/clients.err" &
    clients=$!
    children+=("$clients")
    clients_are_ready() { [ -s "$work/clients.out" ] || gone "$clients"; }
    until_true clients_are_ready || fail "the clients are not ready"
    stop "$signal" "$pid"
    [ "$code" -eq 0 ] || fail "SIG$signal with $threads threads: exit code $code"
    [ ! -s "$work/server.err" ] || fail "the server complained"
    wait "$clients" || fail "SIG$signal with $threads threads: the clients did not hear the end"
  done
done

# Also before anybody has come.
for signal in TERM INT; do
  start_echo_server
  stop "$signal" "$pid"
  [ "$code" -eq 0 ] || fail "SIG$signal without clients: exit code $code"
done
