#!/usr/bin/env bash
# Through the proxy: 64 MiB (1 GiB with COFLOW_LONG=1) between two socats, in each direction and both at once, whichever
# half is closed first; and half-closes and resets as they are.
source "$(dirname "$0")/common.bash"
need socat
need python3
[ -x "$programs/proxy" ] || fail "there is no $programs/proxy"

size=$((64 << 20))
[ -z "${COFLOW_LONG:-}" ] || size=$((1 << 30))
limit=$((100 + 500 * ${COFLOW_LONG:-0}))
head -c "$size" /dev/urandom >"$work/large"
seq 1 2000 >"$work/small"

far_port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
start proxy "$programs/proxy" -v --listen 127.0.0.1:0 --to "127.0.0.1:$far_port"
proxy=$pid
descriptors=$(open_descriptors "$proxy")

waits() { grep -q 'listening on' "$work/far.err" || gone "$far"; }
all_are_told() { [ "$(grep -c complete "$work/proxy.err")" -eq "$runs" ]; }
# The loop keeps up to two pipes for the next transfer of bulk.
descriptors_are_back() { [ "$(open_descriptors "$proxy")" -le $((descriptors + 4)) ]; }
runs=0
for ends in 'small large' 'large small' 'large large' '/dev/null large' 'large /dev/null' '/dev/null /dev/null'; do
  read -r near there <<<"$ends"
  case $near in /*) ;; *) near=$work/$near ;; esac
  case $there in /*) ;; *) there=$work/$there ;; esac
  : >"$work/far.err"
  timeout "$limit" socat -d -d -b 65536 -t 60 "TCP-LISTEN:$far_port,bind=127.0.0.1,reuseaddr" - \
    <"$there" >"$work/at.far" 2>"$work/far.err" &
  far=$!
  children+=("$far")
  until_true waits || fail "the far end does not listen"
  timeout "$limit" socat -b 65536 -t 60 - "TCP:$host:$port" <"$near" >"$work/at.near" 2>"$work/near.err" ||
    fail "the near end failed: $ends"
  wait "$far" || fail "the far end failed: $ends"
  cmp "$near" "$work/at.far" || fail "what arrived at the far end is not what was sent: $ends"
  cmp "$there" "$work/at.near" || fail "what arrived at the near end is not what was sent: $ends"
  runs=$((runs + 1))
  until_true all_are_told || fail "the proxy does not call it complete: $ends"
done
until_true descriptors_are_back || fail "the proxy had $descriptors descriptors and has $(open_descriptors "$proxy")"
stop TERM "$proxy"
[ "$code" -eq 0 ] || fail "the proxy ended with exit code $code"
rm -f "$work"/*.err

coproc ends { timeout 100 python3 "$here/proxied.py" 2>"$work/ends.err"; }
ends_pid=$!
children+=("$ends_pid")
read -r -t 20 far_port <&"${ends[0]}" || fail "the ends do not listen"
start proxy "$programs/proxy" --listen '[::1]:0' --to "127.0.0.1:$far_port"
echo "$host $port" >&"${ends[1]}"
wait "$ends_pid" || fail "something was not passed on as it is"
stop_cleanly "$pid"
[ ! -s "$work/proxy.err" ] || fail "the proxy complained"
