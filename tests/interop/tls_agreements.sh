#!/usr/bin/env bash
# What both sides of TLS may agree on beyond the version, with OpenSSL's client and server: certificates of clients,
# application protocols, sessions of TLS 1.3 taken up again, and new keys that the server wants.
source "$(dirname "$0")/common.bash"
source "$(dirname "$0")/tls.bash"
issue ca client DNS:client.example
authority stranger_ca
issue stranger_ca stranger DNS:client.example
shows() { printf '%s\n' -cert "$work/$1.pem" -key "$work/$1.key"; }

# ask OPTION...: s_client says a line to the echo server and waits for it to come back; 1 if it does not.
heard_or_gone() { contains asked.out '^question$' || gone "$asking"; }
ask() {
  rm -f "$work/asked.pipe"
  mkfifo "$work/asked.pipe"
  : >"$work/asked.out"
  openssl s_client -connect "127.0.0.1:$port" -CAfile "$work/ca.pem" -verify_return_error -brief -no_ign_eof "$@" \
    <"$work/asked.pipe" >"$work/asked.out" 2>"$work/asked.log" &
  asking=$!
  children+=("$asking")
  exec {to}>"$work/asked.pipe"
  printf 'question\n' >&"$to"
  until_true heard_or_gone || fail "neither an answer nor an end with $*"
  exec {to}>&-
  until_true gone "$asking" || fail "s_client does not end with $*"
  contains asked.out '^question$'
}

# look OPTION...: what s_client tells about a connection is in the file `seen`.
look() {
  timeout 20 openssl s_client -connect "127.0.0.1:$port" -CAfile "$work/ca.pem" "$@" </dev/null >"$work/seen" 2>&1 ||
    fail "s_client fails with $*"
}

# The server wants to know its clients.
start_echo_server --tls --cert "$work/good.pem" --key "$work/good.key" --client-ca "$work/ca.pem" --alpn echo/1
server=$pid
for version in tls1_2 tls1_3; do
  mapfile -t known < <(shows client)
  mapfile -t unknown < <(shows stranger)
  ask "-$version" -alpn other/1,echo/1 "${known[@]}" || fail "a client that it knows gets no answer with $version"
  look "-$version" -alpn other/1,echo/1 "${known[@]}"
  contains seen '^ALPN protocol: echo/1$' || fail "the client does not hear of the protocol with $version"
  ! ask "-$version" "${unknown[@]}" || fail "a stranger gets an answer with $version"
  ! ask "-$version" || fail "a client that shows nothing gets an answer with $version"
  ! ask "-$version" -alpn other/1 "${known[@]}" || fail "a client without a protocol in common gets an answer"
done

# So does netcat, as a client.
talk=("$programs/netcat" -v --tls --ca "$work/ca.pem")
mapfile -t known < <(printf '%s\n' --cert "$work/client.pem" --key "$work/client.key")
printf 'hello' | timeout 20 "${talk[@]}" "${known[@]}" --alpn echo/1 localhost "$port" >"$work/back" \
  2>"$work/netcat.err" || fail "netcat fails with a certificate"
[ "$(cat "$work/back")" = hello ] || fail "'$(cat "$work/back")' comes back"
contains netcat.err ', echo/1$' || fail "netcat does not say what was agreed on"
if printf 'hello' | timeout 20 "${talk[@]}" --alpn echo/1 localhost "$port" >"$work/back" 2>"$work/netcat.err"; then
  fail "netcat without a certificate gets an answer"
fi
stop_cleanly "$server"

# A server of OpenSSL's that does: it is the client's certificate that it names.
for version in tls1_2 tls1_3; do
  start_s_server good -rev "-$version" -CAfile "$work/ca.pem" -Verify 2 -verify_return_error -alpn echo/1
  printf 'stressed\n' | timeout 20 "${talk[@]}" "${known[@]}" --alpn echo/1 localhost "$port" \
    >"$work/back" 2>"$work/netcat.err" || fail "netcat fails where s_server wants a certificate with $version"
  [ "$(cat "$work/back")" = desserts ] || fail "'$(cat "$work/back")' comes back with $version"
  if printf 'stressed\n' | timeout 20 "${talk[@]}" localhost "$port" >"$work/back" 2>"$work/netcat.err"; then
    fail "netcat gets an answer without a certificate with $version"
  fi
  contains netcat.err 'certificate required\|handshake failure' || fail "netcat does not say what is wrong with $version"
  stop_s_server
done

# A session of TLS 1.3 is taken up again: its ticket came behind the handshake.
start_echo_server --tls --cert "$work/good.pem" --key "$work/good.key"
server=$pid
ask -tls1_3 -sess_out "$work/session" || fail "no answer on a first connection"
[ -s "$work/session" ] || fail "the server gives no ticket"
look -tls1_3 -sess_in "$work/session"
contains seen '^Reused, TLSv1.3' || fail "the session of TLS 1.3 is not taken up again"
stop_cleanly "$server"

# New keys that the server wants: of its own, and of both.
start_s_server good -tls1_3 -msg -msgfile "$work/messages"
said_new_keys() { [ "$(grep -c '^>>> .*KeyUpdate' "$work/messages")" -eq "$number" ]; }
mkfifo "$work/words"
timeout 60 "$programs/netcat" --tls --ca "$work/ca.pem" localhost "$port" <>"$work/words" >"$work/back" \
  2>"$work/netcat.err" &
talking=$!
children+=("$talking")
number=0
for key in k K K k; do
  number=$((number + 1))
  printf 'from the client %s\n' "$number" >"$work/words"
  until_true contains s_server.out "from the client $number\$" || fail "s_server does not hear line $number"
  printf '%s\n' "$key" >&"$to"
  until_true said_new_keys || fail "s_server does not change its keys at '$key'"
  printf 'from the server %s\n' "$number" >&"$to"
  until_true contains back "^from the server $number\$" || fail "line $number of s_server's does not come with '$key'"
done
[ "$(grep -c '^<<< .*KeyUpdate' "$work/messages")" -eq 2 ] || fail "netcat has not changed its keys twice"
stop TERM "$talking"
stop_s_server
