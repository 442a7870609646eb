#!/usr/bin/env bash
# socat sends 64 MiB there and back unchanged while hundreds of other clients come, talk, leave and vanish.
source "$(dirname "$0")/common.bash"
need socat
need python3
need sha256sum

head -c $((64 << 20)) /dev/urandom >"$work/sent"
sent=$(sha256sum <"$work/sent")

run_bulk() {
  timeout 100 socat -b 65536 -t 60 - "TCP:$host:$port" <"$work/sent" 2>"$work/socat.err" | sha256sum >"$work/back.sum"
}

for threads in 1 2; do
  start_echo_server --threads "$threads"
  before=$(open_descriptors "$pid")
  run_bulk &
  bulk=$!
  children+=("$bulk")
  timeout 100 python3 "$here/clients.py" churn "$host" "$port" 200 "$bulk" 2>"$work/clients.err" ||
    fail "the other clients had trouble"
  wait "$bulk" || fail "socat failed"
  [ "$(cat "$work/back.sum")" = "$sent" ] || fail "what came back is not what was sent"

  descriptors_are_back() { [ "$(open_descriptors "$pid")" -eq "$before" ]; }
  until_true descriptors_are_back || fail "the server had $before descriptors and has $(open_descriptors "$pid")"
  timeout 30 python3 "$here/clients.py" churn "$host" "$port" 8 0 || fail "the server serves no more"
  stop_cleanly "$pid"
done
