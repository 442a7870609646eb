#!/usr/bin/env bash
# System calls fail under the example programs, from outside: each of them goes on or says what was wrong, in one line,
# and never crashes or hangs.
source "$(dirname "$0")/common.bash"
need strace
need nc
[[ $(nc -h 2>&1) == *N* ]] || skip "this nc cannot end its half"
sanitized && skip "the sanitizers' own calls would be hit"
strace -qq -o /dev/null -e inject=getpid:error=EINTR true 2>/dev/null || skip "strace cannot inject here"
seq 1 20000 >"$work/sent"
points=0

# The server under a fault: others are served all the same.
serves_on() {
  start server strace -D -f -qq -o /dev/null -e "inject=$1" "$programs/echo_server" --port 0 "${@:2}"
  for _ in 1 2 3; do timeout 30 nc -N "$host" "$port" <"$work/sent" >"$work/back" 2>/dev/null || true; done
  timeout 30 nc -N "$host" "$port" <"$work/sent" >"$work/back" || fail "with $1 the server does not serve"
  cmp "$work/sent" "$work/back" || fail "with $1 what came back is not what was sent"
  stop TERM "$pid"
  [ "$code" -eq 0 ] || fail "with $1 the server ends with exit code $code"
  points=$((points + 1))
}
for fault in recvfrom:error=ECONNRESET:when=1 recvfrom:error=ETIMEDOUT:when=2 recvfrom:error=EINTR:when=1..3 \
  sendto:error=EPIPE:when=1 sendto:error=ECONNRESET:when=2 sendto:error=ENOBUFS:when=1 sendto:error=EINTR:when=1..3 \
  accept4:error=EMFILE:when=1..2 accept4:error=ECONNABORTED:when=1 accept4:error=EINTR:when=1 \
  accept4:error=ENOMEM:when=1 epoll_wait:error=EINTR:when=2+3 epoll_ctl:error=ENOMEM:when=4; do
  serves_on "$fault"
done
for fault in ppoll:error=EINTR:when=2+3 ppoll:error=ENOMEM:when=2; do serves_on "$fault" --reactor poll; done

# What cannot be done is said, with exit code 1.
refused() {
  local code=0
  timeout 30 strace -f -qq -o /dev/null -e "inject=$1" "${@:3}" </dev/null >"$work/said.out" 2>"$work/said.err" || code=$?
  [ "$code" -eq 1 ] || fail "with $1: exit code $code of ${*:3}"
  grep -qF -- "$2" "$work/said.err" || fail "with $1 it is not said: $2"
  [ "$(wc -l <"$work/said.err")" -eq 1 ] || fail "with $1 more than one line is said"
  rm -f "$work/said.err"
  points=$((points + 1))
}
server=$programs/echo_server
refused socket:error=EMFILE 'Too many open files' "$server" --port 0
refused listen:error=EADDRINUSE 'Address already in use' "$server" --port 0
refused bind:error=EACCES 'Permission denied' "$server" --port 0
refused epoll_create1:error=EMFILE 'Too many open files' "$server" --port 0
refused eventfd2:error=ENFILE 'Too many open files in system' "$server" --port 0
refused setsockopt:error=ENOBUFS 'No buffer space available' "$server" --port 0
start_echo_server
netcat=$programs/netcat
refused connect:error=ENETUNREACH 'Network is unreachable' "$netcat" "$host" "$port"
refused connect:error=EHOSTUNREACH 'No route to host' "$netcat" "$host" "$port"
refused socket:error=ENFILE 'Too many open files in system' "$netcat" "$host" "$port"
refused recvfrom:error=ECONNRESET 'Connection reset by peer' "$netcat" "$host" "$port"
stop_cleanly "$pid"
echo "points: $points"
