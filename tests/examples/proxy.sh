#!/usr/bin/env bash
# The proxy passes words on to the echo server and back, tells a client whose target cannot be reached, and lives on;
# with nothing but bash for a client.
source "$(dirname "$0")/../interop/common.bash"
[ -x "$programs/proxy" ] || fail "there is no $programs/proxy"

start_echo_server
echo_pid=$pid echo_port=$port

# talk: three words there and back through the proxy.
talk() {
  exec {connection}<>"/dev/tcp/$host/$port" || fail "cannot connect to $host:$port"
  for word in one two three; do
    printf '%s\n' "$word" >&"$connection"
    answer=
    read -r -t 20 answer <&"$connection" || fail "no answer to $word"
    [ "$answer" = "$word" ] || fail "'$answer' in answer to $word"
  done
  exec {connection}>&-
}

start server "$programs/proxy" --listen 0 --to "127.0.0.1:$echo_port"
[ "$host" = 127.0.0.1 ] || fail "it listens on $host"
talk
talk
stop_cleanly "$pid"

# Each connection's end is told, with -v.
start server "$programs/proxy" -v --linger 20 --listen '[::1]:0' --to "localhost:$echo_port"
[ "$host" = ::1 ] || fail "it listens on $host"
talk
its_end_is_told() { grep -q 'proxy: \[::1\]:[0-9]*: 14 bytes there, 14 back, complete' "$work/server.err"; }
until_true its_end_is_told || fail "the end of the connection is not told"
proxy_pid=$pid proxy_host=$host proxy_port=$port

# The target goes away: clients are turned away, one after another, and told so in whatever way.
pid=$echo_pid
stop TERM "$pid"
host=$proxy_host port=$proxy_port
for _ in 1 2 3; do
  exec {connection}<>"/dev/tcp/$host/$port" || fail "cannot connect to $host:$port"
  if read -r -t 20 answer 2>/dev/null <&"$connection"; then fail "somebody answers '$answer'"; fi
  exec {connection}>&-
done
was_refused() { [ "$(grep -c 'Connection refused' "$work/server.err")" -eq 3 ]; }
until_true was_refused || fail "it does not say that it was refused"

# The target comes back.
start again "$programs/echo_server" --port "$echo_port"
host=$proxy_host port=$proxy_port
talk
stop INT "$proxy_pid"
[ "$code" -eq 0 ] || fail "SIGINT: exit code $code"

# told CODE TEXT ARGUMENT...: ends with CODE, and says one line with TEXT in it.
told() {
  local expected=$1 text=$2 code=0
  shift 2
  timeout 20 "$programs/proxy" "$@" >"$work/told.out" 2>"$work/told.err" || code=$?
  [ "$code" -eq "$expected" ] || fail "exit code $code for: $*"
  grep -qF -- "$text" "$work/told.err" || fail "no '$text' is said for: $*"
  [ "$(wc -l <"$work/told.err")" -eq 1 ] || fail "more than one line is said for: $*"
}
told 1 'Address already in use' --listen "$echo_port" --to 127.0.0.1:1
told 2 usage
told 2 usage --listen 0
told 2 usage --to 127.0.0.1:1
told 2 usage --listen 0 --to 1
told 2 usage --listen 0 --to :1
told 2 usage --listen 0 --to 127.0.0.1:http
told 2 usage --listen 65536 --to 127.0.0.1:1
told 2 usage --listen 0 --to 127.0.0.1:1 --linger
told 2 usage --listen 0 --to 127.0.0.1:1 --linger -1
