#!/usr/bin/env bash
# netcat against itself: every byte in both directions, whichever side ends first, from files, pipes and /dev/null; and
# what it says when it cannot. COFLOW_LONG=1 sends 1 GiB instead of 64 MiB.
source "$(dirname "$0")/../interop/common.bash"
netcat=$programs/netcat
[ -x "$netcat" ] || fail "there is no $netcat"

size=$((64 << 20))
[ -z "${COFLOW_LONG:-}" ] || size=$((1 << 30))
limit=$((100 + 500 * ${COFLOW_LONG:-0}))
head -c "$size" /dev/urandom >"$work/large"
seq 1 2000 >"$work/small"

port_is_known() { grep -q '^listening on ' "$work/server.err" || gone "$server"; }

# listen INPUT ARGUMENT...: a netcat in the background that waits for a connection; sets server and port.
listen() {
  local input=$1
  shift
  : >"$work/server.err"
  timeout "$limit" "$netcat" -v -l "$@" <"$input" >"$work/at.server" 2>"$work/server.err" &
  server=$!
  children+=("$server")
  until_true port_is_known || fail "it does not say that it listens"
  port=$(sed -n 's/^listening on .*:\([0-9]*\)$/\1/p' "$work/server.err")
  [ -n "$port" ] || fail "it does not listen"
}
server_ends() {
  local code=0
  wait "$server" || code=$?
  [ "$code" -eq 0 ] || fail "the listening side ended with exit code $code"
}
# In error or not, but by itself.
server_ends_somehow() {
  local code=0
  wait "$server" || code=$?
  [ "$code" -le 1 ] || fail "the listening side ended with exit code $code"
}
arrived() { cmp "$1" "$2" || fail "what arrived is not what was sent: $3"; }

# The two ends send different amounts, so that one of them is done first.
for ends in 'small large' 'large small' 'large large' '/dev/null large' 'large /dev/null' '/dev/null /dev/null'; do
  read -r near far <<<"$ends"
  case $near in /*) ;; *) near=$work/$near ;; esac
  case $far in /*) ;; *) far=$work/$far ;; esac
  listen "$far" 127.0.0.1 0
  timeout "$limit" "$netcat" -N 127.0.0.1 "$port" <"$near" >"$work/at.client" 2>"$work/client.err" ||
    fail "the connecting side failed: $ends"
  [ ! -s "$work/client.err" ] || fail "it complained: $ends"
  server_ends
  arrived "$near" "$work/at.server" "$ends, at the listening side"
  arrived "$far" "$work/at.client" "$ends, at the connecting side"
done

# From a pipe, to a pipe; on every address.
listen "$work/small" 0
cat "$work/large" | timeout "$limit" "$netcat" 127.0.0.1 "$port" | cat >"$work/at.client"
server_ends
arrived "$work/large" "$work/at.server" "from a pipe"
arrived "$work/small" "$work/at.client" "to a pipe"

# Standard input that stays open does not keep what comes from being shown.
listen "$work/small" 127.0.0.1 0
mkfifo "$work/silent"
rm "$work/at.client"
timeout "$limit" "$netcat" 127.0.0.1 "$port" <>"$work/silent" >"$work/at.client" 2>"$work/client.err" &
client=$!
children+=("$client")
all_is_there() { cmp -s "$work/small" "$work/at.client"; }
until_true all_is_there || fail "what comes is not shown while standard input is silent"
# A signal ends both, at once.
stop TERM "$client"
[ "$code" -eq 143 ] || fail "SIGTERM: exit code $code"
server_ends_somehow

# told CODE TEXT COMMAND...: ends with CODE, and says one line with TEXT in it.
told() {
  local expected=$1 text=$2 code=0
  shift 2
  timeout 20 "$@" >"$work/told.out" 2>"$work/told.err" </dev/null || code=$?
  [ "$code" -eq "$expected" ] || fail "exit code $code for: $*"
  grep -qF -- "$text" "$work/told.err" || fail "no '$text' is said for: $*"
  [ "$(wc -l <"$work/told.err")" -eq 1 ] || fail "more than one line is said for: $*"
}
told 1 'Connection refused' "$netcat" 127.0.0.1 1
told 2 usage "$netcat"
told 2 usage "$netcat" 127.0.0.1
told 2 usage "$netcat" 127.0.0.1 http
told 2 usage "$netcat" 127.0.0.1 65536
told 2 usage "$netcat" -x 127.0.0.1 1
told 2 usage "$netcat" -l
listen /dev/null 127.0.0.1 0
told 1 'Address already in use' "$netcat" -l 127.0.0.1 "$port"
told 1 'Is a directory' bash -c '"$1" 127.0.0.1 "$2" </' - "$netcat" "$port"
server_ends_somehow

# Nobody reads what it writes: an error, and no signal.
listen "$work/large" 127.0.0.1 0
{ codes=$({ timeout 20 "$netcat" 127.0.0.1 "$port" </dev/null 2>"$work/told.err" || echo $? >&3; } 3>&1 >&4 |
  cat); } 4> >(head -c 10 >/dev/null)
[ "$codes" = 1 ] || fail "exit code '$codes' when nobody reads its output"
grep -qF 'cannot write standard output' "$work/told.err" || fail "it does not say that nobody reads its output"
server_ends_somehow
