#!/usr/bin/env bash
# Other programs' TLS clients talk to the echo server, in both versions; it outlives those that break off, vanish, or
# speak something else, and whoever never ends the handshake is sent away.
source "$(dirname "$0")/common.bash"
source "$(dirname "$0")/tls.bash"

start_echo_server --tls --cert "$work/good.pem" --key "$work/good.key" --threads 2
echo_pid=$pid
at_first=$(open_descriptors "$echo_pid")
exec {mute}<>"/dev/tcp/127.0.0.1/$port" || fail "cannot connect"  # says nothing; see the end

# client COMMAND...: in the background; hears what is written to descriptor $to. What it writes is in client.out.
client() {
  rm -f "$work/client.pipe"
  mkfifo "$work/client.pipe"
  : >"$work/client.out"
  "$@" <"$work/client.pipe" >"$work/client.out" 2>"$work/client.err" &
  client=$!
  children+=("$client")
  exec {to}>"$work/client.pipe"
}
# Says a line, and waits for it to come back.
say() {
  printf '%s\n' "$1" >&"$to"
  until_true contains client.out "^$1\$" || fail "'$1' does not come back to $client_name"
}
# The client's input ends, and so does it, in peace.
client_ends() {
  exec {to}>&-
  until_true gone "$client" || fail "$client_name does not end"
  local code=0
  wait "$client" || code=$?
  [ "$code" -eq 0 ] || fail "$client_name ends with exit code $code"
}
s_client=(openssl s_client -connect "127.0.0.1:$port" -servername localhost -CAfile "$work/ca.pem"
  -verify_hostname localhost -verify_return_error -quiet -no_ign_eof)

for version in tls1_2 tls1_3; do
  client_name="s_client -$version"
  client "${s_client[@]}" "-$version"
  say "hello over $version"
  say "again over $version"
  client_ends
done

# New keys, in both directions: the server answers the wish with keys of its own, and goes on with them.
client_name='s_client with new keys'
client "${s_client[@]}" -tls1_3 -msg -msgfile "$work/messages"
say before
for count in 1 2 3; do
  printf 'K\n' >&"$to"
  until_true eval '[ "$(grep -c KEYUPDATE "$work/client.err")" -eq $count ]' || fail "s_client does not change its keys"
  say "after $count"
done
client_ends
[ "$(grep -c '^<<< .*KeyUpdate' "$work/messages")" -eq 3 ] || fail "the server has not changed its keys three times"

# Sessions are taken up again: by ticket, five times.
timeout 20 "${s_client[@]:0:4}" -CAfile "$work/ca.pem" -tls1_2 -reconnect </dev/null >"$work/reused" 2>/dev/null ||
  fail "s_client cannot connect again"
[ "$(grep -c '^Reused, TLSv1.2' "$work/reused")" -eq 5 ] || fail "sessions of TLS 1.2 are not taken up again"

# All of a stream comes back to a client that has ended its half.
head -c 3000000 /dev/urandom >"$work/sent"
timeout 60 "$programs/netcat" --tls --ca "$work/ca.pem" localhost "$port" <"$work/sent" >"$work/back" \
  2>"$work/netcat.err" || fail "netcat failed"
cmp "$work/sent" "$work/back" || fail "what came back is not what was sent"

if have gnutls-cli; then
  for priority in NORMAL NORMAL:-VERS-TLS1.3; do
    client_name="gnutls-cli $priority"
    client gnutls-cli --x509cafile "$work/ca.pem" --priority "$priority" -p "$port" localhost
    say "hello from $priority"
    client_ends
  done
fi

# Versions that nobody should speak any more.
if timeout 20 "${s_client[@]}" -tls1_1 -cipher DEFAULT@SECLEVEL=0 </dev/null >"$work/old" 2>&1; then
  fail "the server speaks TLS 1.1"
fi

# Clients that mean no good, or have an accident.
hears_the_end() { timeout 25 cat <&"$1" >/dev/null || fail "the server does not end a connection $2"; }
for garbage in 'GET / HTTP/1.0\r\n\r\n' '\x16\x03\x01\x00\x05hello' '\x15\x03\x01\x00\x02\x02\x28' '\x00' ''; do
  exec {raw}<>"/dev/tcp/127.0.0.1/$port" || fail "cannot connect"
  # shellcheck disable=SC2059
  printf "$garbage" >&"$raw"
  if [ "${#garbage}" -gt 4 ]; then hears_the_end "$raw" "that begins with '$garbage'"; fi
  exec {raw}>&-
done
for version in tls1_2 tls1_3; do
  client_name="s_client -$version that vanishes"
  client openssl s_client -connect "127.0.0.1:$port" -CAfile "$work/ca.pem" -quiet "-$version"
  say "I am about to vanish"
  stop KILL "$client"
  exec {to}>&-
  client_name="s_client -$version after that"
  client "${s_client[@]}" "-$version"
  say "and still it speaks"
  client_ends
done

# The one that was silent all the time: the limit of a handshake is ten seconds.
hears_the_end "$mute" "whose handshake does not end"
exec {mute}>&-
as_at_first() { [ "$(open_descriptors "$echo_pid")" -le "$at_first" ]; }
until_true as_at_first || fail "the server keeps descriptors of connections that have ended"
stop_cleanly "$echo_pid"

told() {
  local text=$1 code=0
  shift
  timeout 20 "$programs/echo_server" --port 0 "$@" >/dev/null 2>"$work/told.err" || code=$?
  [ "$code" -ne 0 ] || fail "exit code 0 for $*"
  grep -qF -- "$text" "$work/told.err" || fail "no '$text' is said for $*"
}
told 'go together' --tls
told 'go together' --cert "$work/good.pem" --key "$work/good.key"
told "$work/nothing.pem" --tls --cert "$work/nothing.pem" --key "$work/good.key"
told "$work/ca.key" --tls --cert "$work/good.pem" --key "$work/ca.key"
