#!/usr/bin/env bash
# netcat and http_get talk to other programs' TLS servers, in both versions.
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

# Servers that cannot choose a port by themselves get one below those that the system gives to anybody who asks for
# any: else it may be somebody's a moment later.
takes_connections() { (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; }
free_port() {
  port=$((20000 + RANDOM % 12000))
  while takes_connections; do port=$((port + 1)); done
}
# behind_port COMMAND...: starts it, and waits until it listens there; sets pid.
listens_or_has_ended() { gone "$pid" || takes_connections; }
behind_port() {
  "$@" </dev/null >"$work/other.err" 2>&1 &
  pid=$!
  children+=("$pid")
  until_true listens_or_has_ended || fail "$1 does not listen at port $port"
  ! gone "$pid" || fail "$1 has ended"
}

# It sends back what it hears.
if have gnutls-serv; then
  for priority in NORMAL NORMAL:-VERS-TLS1.3; do
    free_port
    behind_port gnutls-serv --echo --x509certfile "$work/good.pem" --x509keyfile "$work/good.key" \
      --priority "$priority" -p "$port"
    mkfifo "$work/words"
    timeout 20 "${netcat[@]}" localhost "$port" <>"$work/words" >"$work/back" 2>"$work/netcat.err" &
    talking=$!
    children+=("$talking")
    for word in one two three; do
      printf '%s\n' "$word" >"$work/words"
      until_true contains back "^$word\$" || fail "'$word' does not come back from gnutls-serv with $priority"
    done
    rm "$work/words"
    stop TERM "$talking"
    stop TERM "$pid"
  done
fi

# A body of known length, and one in chunks.
if have nginx; then
  free_port
  mkdir "$work/site"
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
    listen 127.0.0.1:$port ssl;
    ssl_certificate $work/good.pem;
    ssl_certificate_key $work/good.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    root $work/site;
    ssi on;
  }
}
END
  behind_port nginx -p "$work" -c "$work/nginx.conf"
  for path in large index.html; do
    timeout 20 "${http_get[@]}" -v "https://localhost:$port/$path" >"$work/back" 2>"$work/told" ||
      fail "http_get fails with nginx: $(tail -n 1 "$work/told")"
    cmp "$work/site/$path" "$work/back" || fail "what nginx has sent for $path is something else"
  done
  contains told '^Transfer-Encoding: chunked' || fail "nginx has sent no chunks"
  if timeout 20 "${http_get[@]}" "https://localhost:$port/nothing" >/dev/null 2>"$work/told"; then
    fail "exit code 0 for what is not there"
  fi
  contains told '^http_get: HTTP/1.1 404 Not Found$' || fail "it says '$(cat "$work/told")'"
  stop QUIT "$pid"
fi
