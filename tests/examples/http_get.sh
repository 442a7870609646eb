#!/usr/bin/env bash
# http_get reads every kind of body, and says what is wrong with the others; from a server that answers what it is told.
source "$(dirname "$0")/../interop/common.bash"
need python3
[ -x "$programs/http_get" ] || skip "there is no http_get: built without OpenSSL"

# One connection after another is answered with the next line of `answers`; what was asked is in `asked`.
cat >"$work/server.py" <<'END'
import socket, sys
listener = socket.create_server(("127.0.0.1", 0))
print("listening on 127.0.0.1:%d" % listener.getsockname()[1], flush=True)
for line in open(sys.argv[1]):
    connection, _ = listener.accept()
    asked = b""
    while b"\r\n\r\n" not in asked:
        asked += connection.recv(4096)
    with open(sys.argv[2], "wb") as file:
        file.write(asked)
    answer = line.rstrip("\n")
    connection.sendall(answer.removesuffix("<silence>").encode().decode("unicode_escape").encode("latin-1"))
    if answer.endswith("<silence>"):
        connection.recv(1)
    connection.close()
END

# The answer | the exit code | what is written | what is said.
cat >"$work/cases" <<'END'
HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and more|0|hello|
HTTP/1.1 200 OK\r\ncontent-length:5\t \r\n\r\nhello|0|hello|
HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n|0||
HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\nA \r\n, everyone\r\n0\r\nLast: x\r\n\r\n|0|hello, everyone|
HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\nuntil the end|0|until the end|
HTTP/1.0 200 OK\n\nold|0|old|
HTTP/1.1 204 Nothing\r\n\r\n|0||
HTTP/1.1 404 Not\x1bFound\r\nContent-Length: 4\r\n\r\nnope|1|nope|http_get: HTTP/1.1 404 Not?Found
HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello|1|hello|http_get: the stream was cut off before its end
HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello|1|hello|http_get: the stream was cut off before its end
HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n|1|hello|http_get: the stream was cut off before its end
HTTP/1.1 200 OK\r\nContent-Len|1||http_get: the stream was cut off before its end
|1||http_get: the stream was cut off before its end
HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello more\r\n|1|hello|http_get: the server's answer is malformed: a chunk that is longer than its size
HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n|1||http_get: the server's answer is malformed: a chunk without a size
HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nhello\r\n|1||http_get: the server's answer is malformed: a chunk without a size
HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello|1||http_get: the server's answer is malformed: an unknown Transfer-Encoding
HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\nhello|1||http_get: the server's answer is malformed: a Content-Length that is none
HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello|1||http_get: the server's answer is malformed: two lengths
HTTP/1.1 200 OK\r\nnonsense\r\n\r\nhello|1||http_get: the server's answer is malformed: a header without a colon
SSH-2.0-OpenSSH\r\n|1||http_get: the server's answer is malformed: no status
HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel<silence>|1|hel|http_get: the deadline has passed
END
{
  cut -d '|' -f 1 "$work/cases"
  echo 'HTTP/1.1 200 Fine\r\nContent-Length: 5\r\n\r\nhello'
} >"$work/answers"
start server python3 "$work/server.py" "$work/answers" "$work/asked"

# get ARGUMENT...: sets code; what is written is in `body`, what is said in `said`.
get() {
  code=0
  timeout 20 "$programs/http_get" "$@" >"$work/body" 2>"$work/said" || code=$?
}
while IFS='|' read -r answer expected body said; do
  limit=20
  [[ $answer != *'<silence>' ]] || limit=1
  get --timeout "$limit" "http://localhost:$port/some/where?x=1#here"
  [ "$code" -eq "$expected" ] || fail "exit code $code for $answer"
  [ "$(cat "$work/body")" = "$body" ] || fail "'$(cat "$work/body")' of $answer"
  [ "$(cat "$work/said")" = "$said" ] || fail "it says '$(cat "$work/said")' of $answer"
done <"$work/cases"
[ "$(tr -d '\r' <"$work/asked")" = "GET /some/where?x=1 HTTP/1.1
Host: localhost:$port
Connection: close" ] || fail "it asks '$(cat "$work/asked")'"

get -v "http://127.0.0.1:$port"
[ "$code" -eq 0 ] || fail "exit code $code with -v"
[ "$(cat "$work/said")" = 'HTTP/1.1 200 Fine
Content-Length: 5' ] || fail "with -v it says '$(cat "$work/said")'"

get http://127.0.0.1:1/
[ "$code" -eq 1 ] || fail "exit code $code where nobody listens"
grep -q 'Connection refused' "$work/said" || fail "it does not say that nobody listens"
for wrong in '' ftp://host/ http:// http://me@host/ http://host:port/ http://host:65536/ 'http://host/a b' \
  http://host:/ 'http://host/ http://host/' '--ca'; do
  # shellcheck disable=SC2086
  [[ $wrong == *'a b' ]] && get "$wrong" || get $wrong
  [ "$code" -eq 2 ] || fail "exit code $code for '$wrong'"
done
