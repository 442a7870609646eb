#!/usr/bin/env bash
# netcat and http_get refuse servers that they cannot trust, and say why; a stream that is cut off is no end.
source "$(dirname "$0")/common.bash"
source "$(dirname "$0")/tls.bash"
netcat=("$programs/netcat" --tls --ca "$work/ca.pem")
http_get=("$programs/http_get" --timeout 20 --ca "$work/ca.pem")

# refused TEXT CERTIFICATE HOST [OPTION...]: both programs refuse the server, and say TEXT.
refused() {
  local text=$1 certificate=$2 name=$3 code
  shift 3
  start_s_server "$certificate" "$@"
  for program in netcat http_get; do
    code=0
    if [ "$program" = netcat ]; then
      timeout 20 "${netcat[@]}" "$name" "$port" </dev/null >"$work/told.out" 2>"$work/told" || code=$?
    else
      timeout 20 "${http_get[@]}" "https://$name:$port/" >"$work/told.out" 2>"$work/told" || code=$?
    fi
    [ "$code" -eq 1 ] || fail "exit code $code of $program with the certificate $certificate"
    [ ! -s "$work/told.out" ] || fail "$program takes something from the server with the certificate $certificate"
    contains told "^$program: $text\$" || fail "$program says '$(cat "$work/told")' of the certificate $certificate"
    [ "$(wc -l <"$work/told")" -eq 1 ] || fail "$program says more than one line"
  done
  stop_s_server
}
verify='certificate verify failed'
authority other
issue other stranger DNS:localhost
issue ca elsewhere DNS:example.org,IP:127.0.0.2
issue ca expired DNS:localhost -1
refused "$verify: .*issuer.* (host localhost)" stranger localhost
refused "$verify: self-signed certificate (host localhost)" other localhost
refused "$verify: .*hostname mismatch.* (host localhost)" elsewhere localhost
refused "$verify: .*IP address mismatch.* (host 127.0.0.1)" elsewhere 127.0.0.1
refused "$verify: .*expired.* (host localhost)" expired localhost
refused '.*version.* (host localhost)' good localhost -tls1_1 -cipher DEFAULT@SECLEVEL=0

# Without --ca it is the system that trusts, and it does not trust this one.
start_s_server good
if timeout 20 "$programs/http_get" "https://localhost:$port/" >/dev/null 2>"$work/told"; then
  fail "the system trusts everybody"
fi
contains told "^http_get: $verify: .* (host localhost)\$" || fail "it says '$(cat "$work/told")'"
# The server dies in mid-stream: no close_notify, so the body that goes on until the end has none.
timeout 20 "${http_get[@]}" -v "https://localhost:$port/" >"$work/back" 2>"$work/told" &
getting=$!
children+=("$getting")
until_true contains s_server.out '^Connection: close' || fail "the server is not asked"
printf 'HTTP/1.0 200 OK\nSome: header\n\npart of it' >&"$to"
until_true contains told '^Some: header' || fail "the answer does not come"
stop_s_server
code=0
wait "$getting" || code=$?
[ "$code" -eq 1 ] || fail "exit code $code of a body that was cut off"
[ "$(cat "$work/back")" = 'part of it' ] || fail "'$(cat "$work/back")' of a body that was cut off"
contains told '^http_get: the stream was cut off before its end$' || fail "it says '$(cat "$work/told")'"

# Somebody who does not speak TLS at all.
start server "$programs/echo_server" --port 0
if timeout 20 "${netcat[@]}" localhost "$port" </dev/null >/dev/null 2>"$work/told"; then fail "that was no TLS"; fi
contains told '^netcat: .*(host localhost)$' || fail "it says '$(cat "$work/told")'"
stop_cleanly "$pid"

# Authorities that are not there.
for program in "$programs/http_get --ca $work/nothing.pem https://localhost:1/" \
  "$programs/proxy --listen 0 --to localhost:1 --tls-to --ca $work/nothing.pem"; do
  # shellcheck disable=SC2086
  if timeout 20 $program >/dev/null 2>"$work/told"; then fail "exit code 0 of $program"; fi
  contains told "$work/nothing.pem: No such file or directory\$" || fail "it says '$(cat "$work/told")'"
done
