#!/usr/bin/env bash
# Once a connection talks, the whole program allocates nothing: a thousand messages cost what ten thousand more do.
source "$(dirname "$0")/common.bash"
need python3
need gcc
sanitized && skip "a sanitizer brings an allocator of its own, and coflow keeps no pool there"
gcc -O1 -shared -fPIC -fno-builtin "$here/count_allocations.c" -o "$work/count.so" || fail "the counter does not compile"

count_for() {
  start server env LD_PRELOAD="$work/count.so" COUNT_ALLOCATIONS_TO="$work/count" "$programs/echo_server" --port 0
  timeout 60 python3 "$here/clients.py" talk "$host" "$port" "$1" 0 || fail "the client had trouble"
  stop_cleanly "$pid"
  counted=$(cat "$work/count") || fail "nothing was counted"
}

count_for 1000
few=$counted
count_for 11000
[ "$few" -gt 0 ] || fail "the counter counts nothing"
[ "$counted" -eq "$few" ] || fail "1000 messages cost $few allocations, 11000 cost $counted"
