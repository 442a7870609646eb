#!/usr/bin/env bash
# The echo server answers, and a signal ends it; with nothing but bash for a client.
source "$(dirname "$0")/../interop/common.bash"

start_echo_server
exec {connection}<>"/dev/tcp/$host/$port" || fail "cannot connect to $host:$port"
for word in one two three; do
  printf '%s\n' "$word" >&"$connection"
  answer=
  read -r -t 20 answer <&"$connection" || fail "no answer to $word"
  [ "$answer" = "$word" ] || fail "'$answer' in answer to $word"
done
exec {connection}>&-
stop_cleanly "$pid"
