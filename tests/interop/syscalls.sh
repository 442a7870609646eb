#!/usr/bin/env bash
# Once a connection talks, an echoed message costs one receive, one send and one wait, and nothing else; messages come
# one at a time, when the server waits.
source "$(dirname "$0")/common.bash"
need strace
need python3
strace -D -o /dev/null true 2>/dev/null || skip "strace may not trace here"

start server strace -D -f -qq -o "$work/trace" "$programs/echo_server" --port 0
timeout 60 python3 "$here/clients.py" talk "$host" "$port" 1000 "$pid" || fail "the client had trouble"
stop_cleanly "$pid"
trace_is_written() { grep -q exit_group "$work/trace"; }
until_true trace_is_written || fail "the trace has no end"

# From the answer to one message, when the connection is under way, to the answer to the 800th after it.
messages=800
sed -n 's/^[0-9]* *\([a-z0-9_]*\)(.*/\1/p' "$work/trace" |
  awk -v first=100 -v last=$((100 + messages)) '
    answers >= first && answers < last { times[$1]++ }
    $1 == "sendto" { answers++ }
    END { for (name in times) print name, times[name] }' >"$work/calls"

received=0 sent=0 waited=0
while read -r name times; do
  case $name in
    recvfrom) received=$times ;;
    sendto) sent=$times ;;
    epoll_wait | epoll_pwait) waited=$((waited + times)) ;;
    mmap | munmap | madvise | mprotect | brk | futex) sanitized || fail "$messages messages cost $times times $name" ;;
    *) fail "$messages messages cost $times times $name" ;;
  esac
done <"$work/calls"
[ "$received" -eq "$messages" ] || fail "$messages messages took $received receives"
[ "$sent" -eq "$messages" ] || fail "$messages messages took $sent sends"
[ "$waited" -eq "$messages" ] || fail "$messages messages took $waited waits"
