# For the scripts about TLS, behind common.bash: an authority, what it has signed, and OpenSSL's own server.
need openssl
[ -x "$programs/http_get" ] || skip "the examples are built without TLS"

new_key=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes)
openssl_quietly() { openssl "$@" >/dev/null 2>"$work/openssl.err" || fail "openssl $1 failed"; }

# authority NAME: makes NAME.pem and NAME.key. Its directory is $work, as for all that follow.
authority() {
  openssl_quietly req -x509 "${new_key[@]}" -keyout "$work/$1.key" -out "$work/$1.pem" -days 1 -subj "/CN=authority $1"
}
# issue AUTHORITY NAME HOSTS [DAYS]: makes NAME.pem and NAME.key, for HOSTS as in DNS:localhost,IP:127.0.0.1.
issue() {
  printf 'subjectAltName=%s\n' "$3" >"$work/extensions"
  openssl_quietly req "${new_key[@]}" -keyout "$work/$2.key" -out "$work/request.pem" -subj "/CN=$2"
  openssl_quietly x509 -req -in "$work/request.pem" -CA "$work/$1.pem" -CAkey "$work/$1.key" -CAcreateserial \
    -days "${4:-1}" -extfile "$work/extensions" -out "$work/$2.pem"
}
authority ca
issue ca good DNS:localhost,IP:127.0.0.1

# start_s_server CERTIFICATE OPTION...: OpenSSL's server, which takes its input from descriptor $to; sets pid and port,
# and what it writes is in s_server.out.
s_server_listens() { grep -q '^ACCEPT .*:[0-9]' "$work/s_server.out" || gone "$pid"; }
start_s_server() {
  local certificate=$1
  shift
  rm -f "$work/s_server.pipe"
  mkfifo "$work/s_server.pipe"
  exec {to}<>"$work/s_server.pipe"
  : >"$work/s_server.out"
  (cd "$work" && exec openssl s_server -accept 127.0.0.1:0 -cert "$certificate.pem" -key "$certificate.key" "$@") \
    <"$work/s_server.pipe" >"$work/s_server.out" 2>"$work/s_server.err" &
  pid=$!
  children+=("$pid")
  until_true s_server_listens || fail "s_server does not say that it listens"
  port=$(sed -n 's/^ACCEPT .*:\([0-9]*\)$/\1/p' "$work/s_server.out" | head -n 1)
  [ -n "$port" ] || fail "s_server has ended: $*"
}
stop_s_server() {
  stop KILL "$pid"
  exec {to}>&-
}

# Talks about what is left out, and goes on.
have() {
  ! command -v "$1" >/dev/null || return 0
  printf '%s: without %s, which is not here\n' "$(basename "$0")" "$1" >&2
  return 1
}
contains() { grep -q -e "$2" "$work/$1"; }
