#!/usr/bin/env bash
# Clients that know nothing of coflow talk by the chat server; one that does not read is dropped while the others go on;
# a signal ends it.
source "$(dirname "$0")/../interop/common.bash"
need nc
need socat
chat=$programs/chat
[ -x "$chat" ] || fail "there is no $chat"

says_so() { [ -s "$work/server.out" ] || gone "$server"; }
start_chat() {
  rm -f "$work/server.out"
  "$chat" --port 0 "$@" >"$work/server.out" 2>"$work/server.err" &
  server=$!
  children+=("$server")
  until_true says_so || fail "the server does not say that it listens"
  port=$(sed -n 's/^chat: listening on 127\.0\.0\.1:\([0-9]*\)$/\1/p' "$work/server.out")
  [ -n "$port" ] || fail "the server says '$(cat "$work/server.out")'"
}

# join NAME COMMAND...: a client that says what comes on descriptor $NAME, and whose ears are $work/NAME.heard.
join() {
  local name=$1 pipe=$work/$1.pipe
  shift
  mkfifo "$pipe"
  timeout 100 "$@" <"$pipe" >"$work/$name.heard" 2>/dev/null &
  children+=("$!")
  eval "exec {$name}>'$pipe'"
}
hears() { grep -q "$2" "$work/$1.heard"; }
heard() { until_true hears "$1" "$2" || fail "$1 does not hear '$2'"; }

start_chat --limit 20000
join anna nc 127.0.0.1 "$port"
join ben socat - "TCP:127.0.0.1:$port"
# Whoever hears the other's greeting has come first, so one of them does; then they hear each other.
both_are_here() { hears anna ' is here$' || hears ben ' is here$'; }
until_true both_are_here || fail "nobody hears that somebody is here"
printf 'hello from anna\nhalf a ' >&"$anna"
heard ben '^127\.0\.0\.1:[0-9]*: hello from anna$'
printf 'hello from ben\n' >&"$ben"
heard anna ': hello from ben$'
printf 'line\n' >&"$anna"
heard ben ': half a line$'
if hears anna 'hello from anna'; then fail "anna hears herself"; fi

# A third one comes and never reads. Anna talks, no faster than ben hears it, until the third is dropped.
exec {deaf}<>"/dev/tcp/127.0.0.1/$port" || fail "cannot connect"
printf 'i will not listen\n' >&"$deaf"
heard ben ': i will not listen$'
line=$(printf '%4000s' '' | tr ' ' x)
for ((round = 1; round <= 400; ++round)); do
  for ((i = 0; i < 64; ++i)); do printf '%s\n' "$line"; done >&"$anna"
  printf 'round %d\n' "$round" >&"$anna"
  heard ben ": round $round\$"
  ! hears ben ' was too slow$' || break
done
heard ben ' was too slow$'
heard anna ' was too slow$'
[ "$(grep -c ' was too slow$' "$work/ben.heard")" -eq 1 ] || fail "more than one was too slow"
[ "$(grep -c ": $line\$" "$work/ben.heard")" -ge $((64 * (round - 1))) ] || fail "ben has missed something"
exec {deaf}>&-
printf 'still here\n' >&"$ben"
heard anna ': still here$'

# A line without an end is not heard for ever, and whoever leaves is missed.
exec {endless}<>"/dev/tcp/127.0.0.1/$port" || fail "cannot connect"
heard ben ' is here$'
(head -c 100000 /dev/zero | tr '\0' y >&"$endless") 2>/dev/null || true
heard anna ' has left$'
exec {endless}>&-
exec {ben}>&-
until_true eval '[ "$(grep -c " has left$" "$work/anna.heard")" -eq 2 ]' || fail "anna does not hear that ben has left"

stop TERM "$server"
[ "$code" -eq 0 ] || fail "SIGTERM: exit code $code"
[ ! -s "$work/server.err" ] || fail "the server complained"
start_chat
stop INT "$server"
[ "$code" -eq 0 ] || fail "SIGINT: exit code $code"

for wrong in '' '--port' '--port x' '--port 70000' '--port 0 --limit' '--limit 5' '--port 0 --loud 1'; do
  code=0
  # shellcheck disable=SC2086
  timeout 20 "$chat" $wrong >/dev/null 2>&1 || code=$?
  [ "$code" -eq 2 ] || fail "'$wrong' gives exit code $code"
done
code=0
start_chat
timeout 20 "$chat" --port "$port" >/dev/null 2>"$work/second" || code=$?
[ "$code" -eq 1 ] || fail "a port that is taken gives exit code $code"
grep -q 'Address already in use' "$work/second" || fail "it is not said why"
stop TERM "$server"
