#!/usr/bin/env bash
# netcat and http_get talk to other programs' TLS servers, in both versions, and refuse whom they cannot trust, and say
# why; a stream that is cut off is no end.
source "$(dirname "$0")/common.bash"
source "$(dirname "$0")/tls.bash"
netcat=("$programs/netcat" --tls --ca "$work/ca.pem")
http_get=("$programs/http_get" --timeout 20 --ca "$work/ca.pem")
head -c 1000000 /dev/urandom >"$work/large"
printf 'hello' >"$work/small"

# What is said comes back turned round.
for version in tls1_2 tls1_3; do
  start_s_server good -rev "-$version"
  for name in localhost 127.0.0.1; do
    printf 'stressed\n' | timeout 20 "${netcat[@]}" -v "$name" "$port" >"$work/back" 2>"$work/netcat.err" ||
      fail "netcat failed with $version at $name"
    [ "$(cat "$work/back")" = desserts ] || fail "'$(cat "$work/back")' comes back with $version"
    contains netcat.err "^${version/tls1_/TLSv1.}, .*" || fail "it does not say that it speaks $version"
  done
  stop_s_server

  start_s_server good -WWW "-$version"
  for file in large small; do
    timeout 20 "${http_get[@]}" -v "https://localhost:$port/$file" >"$work/back" 2>"$work/http_get.err" ||
      fail "http_get failed with $version"
    cmp "$work/$file" "$work/back" || fail "what came with $version is not what was asked for"
    contains http_get.err '^HTTP/1.0 200' || fail "it does not say what the server says"
  done
  stop_s_server
done

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
timeout 20 "$programs/http_get" "https://localhost:$port/" >/dev/null 2>"$work/told" && fail "the system trusts everybody"
contains told "^http_get: $verify: .* (host localhost)\$" || fail "it says '$(cat "$work/told")'"
# The server dies in mid-stream: no close_notify, so the body that goes on until the end has none.
timeout 20 "${http_get[@]}" -v "https://localhost:$port/" >"$work/back" 2>"$work/told" &
getting=$!
children+=("$getting")
until_true contains s_server.out '^Connection: close' || fail "the server is not asked"
printf 'HTTP/1.0 200 OK\nSome: header\n\npart of it' >&"$to"
until_true contains told '^Some: header' || fail "the answer does not come"
stop_s_server 2>/dev/null
code=0
wait "$getting" || code=$?
[ "$code" -eq 1 ] || fail "exit code $code of a body that was cut off"
[ "$(cat "$work/back")" = 'part of it' ] || fail "'$(cat "$work/back")' of a body that was cut off"
contains told '^http_get: the stream was cut off before its end$' || fail "it says '$(cat "$work/told")'"

# Somebody who does not speak TLS at all.
start server "$programs/echo_server" --port 0
timeout 20 "${netcat[@]}" localhost "$port" </dev/null >/dev/null 2>"$work/told" && fail "that was no TLS"
contains told '^netcat: .*(host localhost)$' || fail "it says '$(cat "$work/told")'"
stop_cleanly "$pid"
timeout 20 "$programs/http_get" --ca "$work/nothing.pem" "https://localhost:$port/" 2>"$work/told" && fail "no authority"

# nginx: a body of known length, and one in chunks.
serve_with_nginx() {
  mkdir -p "$work/site"
  cp "$work/large" "$work/site/large"
  seq 1 20000 >"$work/site/index.html"
  cat >"$work/nginx.conf" <<END
daemon off;
master_process off;
pid $work/nginx.pid;
error_log stderr;
events {}
http {
  access_log off;
  client_body_temp_path $work/nginx.body;
  proxy_temp_path $work/nginx.proxy;
  fastcgi_temp_path $work/nginx.fastcgi;
  uwsgi_temp_path $work/nginx.uwsgi;
  scgi_temp_path $work/nginx.scgi;
  types { text/html html; }
  server {
    listen 127.0.0.1:$1 ssl;
    ssl_certificate $work/good.pem;
    ssl_certificate_key $work/good.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    root $work/site;
    ssi on;
  }
}
END
  nginx -p "$work" -c "$work/nginx.conf" >"$work/nginx.out" 2>"$work/nginx.log" &
  pid=$!
  children+=("$pid")
  answers() { gone "$pid" || (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
  until_true answers "$1" || fail "nginx does not listen"
  ! gone "$pid"
}
if have nginx; then
  port=
  for attempt in 1 2 3 4 5; do  # it cannot choose a port by itself
    port=$((20000 + (RANDOM + attempt * 1009) % 12000))
    ! serve_with_nginx "$port" || break
    [ "$attempt" -lt 5 ] || fail "nginx cannot listen: $(tail -n 3 "$work/nginx.log")"
  done
  for path in large index.html; do
    timeout 20 "${http_get[@]}" -v "https://localhost:$port/$path" >"$work/back" 2>"$work/told" ||
      fail "http_get fails with nginx: $(tail -n 1 "$work/told")"
    cmp "$work/site/$path" "$work/back" || fail "what nginx has sent for $path is something else"
  done
  contains told '^Transfer-Encoding: chunked' || fail "nginx has sent no chunks"
  timeout 20 "${http_get[@]}" "https://localhost:$port/nothing" >/dev/null 2>"$work/told" && fail "nothing was found"
  contains told '^http_get: HTTP/1.1 404 Not Found$' || fail "it says '$(cat "$work/told")'"
  stop QUIT "$pid"
fi
