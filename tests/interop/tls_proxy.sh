#!/usr/bin/env bash
# The proxy in front of a plain web server speaks TLS with curl, and a second one speaks TLS with the first; clients and
# servers that cannot be trusted are turned away, and the proxy lives on.
source "$(dirname "$0")/common.bash"
source "$(dirname "$0")/tls.bash"
need curl
need python3

mkdir "$work/site"
head -c 2000000 /dev/urandom >"$work/site/large"
seq 1 1000 >"$work/site/small"
(cd "$work/site" && exec python3 -u -m http.server 0 --bind 127.0.0.1) >"$work/web.out" 2>"$work/web.log" &
web=$!
children+=("$web")
web_listens() { [ -s "$work/web.out" ] || gone "$web"; }
until_true web_listens || fail "the web server does not say that it listens"
web_port=$(sed -n 's/^Serving HTTP on .* port \([0-9]*\) .*/\1/p' "$work/web.out")
[ -n "$web_port" ] || fail "the web server says '$(cat "$work/web.out")'"

curl=(curl -sS --noproxy '*' --max-time 20)
get() { "${curl[@]}" -o "$work/back" "$@" 2>"$work/curl.err"; }

# ---- TLS on the side of the clients

start ending "$programs/proxy" -v --listen 0 --to "127.0.0.1:$web_port" \
  --tls-cert "$work/good.pem" --tls-key "$work/good.key"
ending=$pid ending_port=$port
for version in 1.2 1.3; do
  for file in small large; do
    get --cacert "$work/ca.pem" --tlsv"$version" --tls-max "$version" "https://localhost:$ending_port/$file" ||
      fail "curl failed with TLS $version"
    cmp "$work/site/$file" "$work/back" || fail "what came over TLS $version is not what was asked for"
  done
done
status=$("${curl[@]}" -o "$work/back" -w '%{http_code}' --cacert "$work/ca.pem" "https://127.0.0.1:$ending_port/none")
[ "$status" = 404 ] || fail "'$status' for what is not there"
is_told() { contains "$1.err" "^proxy: 127\.0\.0\.1:[0-9]*: $2\$"; }
told() { until_true is_told "$1" "$2" || fail "the proxy does not say '$2'"; }
told ending '[0-9]* bytes there, 2000[0-9]* back, complete'

# Several at once.
getting=()
for i in 1 2 3 4 5 6 7 8; do
  "${curl[@]}" -o "$work/back.$i" --cacert "$work/ca.pem" "https://localhost:$ending_port/large" 2>/dev/null &
  getting+=("$!")
done
for i in 1 2 3 4 5 6 7 8; do
  wait "${getting[i - 1]}" || fail "curl number $i failed"
  cmp "$work/site/large" "$work/back.$i" || fail "what came to curl number $i is not what was asked for"
done

# A client that does not trust it, and one that speaks no TLS.
if get "https://localhost:$ending_port/small"; then fail "curl trusts everybody"; fi
if get "http://localhost:$ending_port/small"; then fail "curl gets something without TLS"; fi
told ending '.*not speak TLS.*\|.*http request.*'

# ---- TLS on the side of the server

start beginning "$programs/proxy" -v --listen 0 --to "localhost:$ending_port" --tls-to --ca "$work/ca.pem"
beginning=$pid beginning_port=$port
for file in small large; do
  get "http://127.0.0.1:$beginning_port/$file" || fail "curl failed through both"
  cmp "$work/site/$file" "$work/back" || fail "what came through both is not what was asked for"
  timeout 20 "$programs/http_get" "http://127.0.0.1:$beginning_port/$file" >"$work/back" 2>"$work/http_get.err" ||
    fail "http_get failed through both"
  cmp "$work/site/$file" "$work/back" || fail "what came through both to http_get is not what was asked for"
done

# Both ends at once, and a server that cannot be trusted: the client is told by a reset, not by an end.
authority other
for trusted in ca other; do
  start "both_$trusted" "$programs/proxy" -v --listen 0 --to "localhost:$ending_port" \
    --tls-cert "$work/good.pem" --tls-key "$work/good.key" --tls-to --ca "$work/$trusted.pem"
  both=$pid
  if [ "$trusted" = ca ]; then
    get --cacert "$work/ca.pem" "https://localhost:$port/large" || fail "curl failed with TLS on both sides"
    cmp "$work/site/large" "$work/back" || fail "what came with TLS on both sides is not what was asked for"
  else
    if get --cacert "$work/ca.pem" "https://localhost:$port/small"; then fail "the proxy trusts everybody"; fi
    told both_other 'certificate verify failed: .*issuer.* (host localhost)'
  fi
  stop TERM "$both"
  [ "$code" -eq 0 ] || fail "the proxy ended with exit code $code"
done

# After all of that.
get --cacert "$work/ca.pem" "https://localhost:$ending_port/small" || fail "curl failed in the end"
cmp "$work/site/small" "$work/back" || fail "what came in the end is not what was asked for"
for one in "$ending" "$beginning"; do
  stop TERM "$one"
  [ "$code" -eq 0 ] || fail "the proxy ended with exit code $code"
done

for wrong in '--tls-cert F' '--tls-key F' '--ca F' '--tls-cert F --tls-to' '--tls-to --ca'; do
  code=0
  # shellcheck disable=SC2086
  timeout 20 "$programs/proxy" --listen 0 --to localhost:1 $wrong >/dev/null 2>&1 || code=$?
  [ "$code" -eq 2 ] || fail "exit code $code for $wrong"
done
