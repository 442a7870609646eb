# For the scripts beside this file that run a guest in another event loop.

has_ticked() { [ "$(grep -c '^tick ' "$work/server.out")" -ge "$1" ]; }
# Until the host has ticked twice more.
let_it_tick() {
  local ticks
  ticks=$(grep -c '^tick ' "$work/server.out" || true)
  until_true has_ticked $((ticks + 2)) || fail "the host does not tick while $1"
}
say() {  # DESCRIPTOR WORD: says it and hears it again
  printf '%s\n' "$2" >&"$1"
  local answer=
  read -r -t 20 answer <&"$1" || fail "no answer to $2"
  [ "$answer" = "$2" ] || fail "'$answer' in answer to $2"
}

# check_guest PROGRAM: four clients, one after another and at once, of which the last ends it.
check_guest() {
  [ -x "$programs/$1" ] || skip "$1 is not built: its library is not here"
  need nc
  start server "$programs/$1" --port 0 --clients 4
  let_it_tick 'nobody is there'

  local one two
  exec {one}<>"/dev/tcp/$host/$port" || fail "cannot connect to $host:$port"
  say "$one" first
  let_it_tick 'a client is silent'
  exec {two}<>"/dev/tcp/$host/$port" || fail "cannot connect to $host:$port"
  for word in second third fourth; do
    say "$two" "$word"
    say "$one" "$word"
  done
  let_it_tick 'two clients are there'
  say "$one" fifth
  exec {one}>&-

  head -c 1000000 /dev/urandom >"$work/sent"
  timeout 60 nc -N "$host" "$port" <"$work/sent" >"$work/heard" || fail "nc has failed"
  cmp "$work/sent" "$work/heard" || fail "what came back is not what was sent"

  # Nothing to do: it uses no time while it waits.
  local before after
  before=$(awk '{ print $14 + $15 }' "/proc/$pid/stat")
  let_it_tick 'it has nothing to do'
  let_it_tick 'it has nothing to do'
  after=$(awk '{ print $14 + $15 }' "/proc/$pid/stat")
  [ $((after - before)) -le 5 ] || fail "it is busy while it has nothing to do: $((after - before)) ticks of the clock"

  printf 'last\n' | timeout 60 nc -N "$host" "$port" >"$work/heard" || fail "nc has failed"
  [ "$(cat "$work/heard")" = last ] || fail "nc has heard '$(cat "$work/heard")'"
  exec {two}>&-
  until_true gone "$pid" || fail "it goes on after its last client"
  local code=0
  wait "$pid" || code=$?
  children=()
  [ "$code" -eq 0 ] || fail "it ended with exit code $code"
  [ ! -s "$work/server.err" ] || fail "it complained"
  grep -qE '^served 4 clients, and the host has ticked [0-9]+ times$' "$work/server.out" || fail "it does not say what it did"
}
