#!/usr/bin/env bash
# netcat talks to nc and socat, in either role, and to a person at a terminal, which it leaves as it was.
source "$(dirname "$0")/common.bash"
netcat=$programs/netcat
[ -x "$netcat" ] || fail "there is no $netcat"
need nc
need socat
need python3
[[ $(nc -h 2>&1) == *N* ]] || skip "this nc cannot end its half"

size=$((64 << 20))
[ -z "${COFLOW_LONG:-}" ] || size=$((1 << 30))
limit=$((100 + 500 * ${COFLOW_LONG:-0}))
head -c "$size" /dev/urandom >"$work/near"
head -c "$size" /dev/urandom >"$work/far"
seq 1 100 >"$work/few"

says_where() { grep -qi 'listening on' "$work/server.err" || gone "$server"; }

# Calls "$@", which says somewhere on standard error that it listens, in the background; sets server and port.
listen() {
  : >"$work/server.err"
  timeout "$limit" "$@" <"$far" >"$work/at.server" 2>"$work/server.err" &
  server=$!
  children+=("$server")
  until_true says_where || fail "it does not say that it listens: $*"
  port=$(sed -n 's/.*[Ll]istening on .*[: ]\([0-9]*\)$/\1/p' "$work/server.err" | head -n 1)
  [ -n "$port" ] || fail "it does not listen: $*"
}
talk() {
  timeout "$limit" "$@" <"$near" >"$work/at.client" 2>"$work/client.err" || fail "failed: $*"
  local code=0
  wait "$server" || code=$?
  [ "$code" -eq 0 ] || fail "the other side of $* ended with exit code $code"
  cmp "$near" "$work/at.server" || fail "what arrived at the listening side is not what was sent: $*"
  cmp "$far" "$work/at.client" || fail "what arrived at the connecting side is not what was sent: $*"
}

for ends in 'near far' 'near few' 'near /dev/null' '/dev/null far'; do
  read -r near far <<<"$ends"
  case $near in /*) ;; *) near=$work/$near ;; esac
  case $far in /*) ;; *) far=$work/$far ;; esac
  # A listening nc ends when the other side's stream does, and what it has not sent by then is lost.
  case $ends in 'near few' | 'near /dev/null')
    listen nc -v -N -l 127.0.0.1 0
    talk "$netcat" 127.0.0.1 "$port" ;;
  esac
  listen "$netcat" -v -l 127.0.0.1 0
  talk nc -N 127.0.0.1 "$port"
  listen socat -d -d -t "$limit" TCP-LISTEN:0,bind=127.0.0.1 -
  talk "$netcat" 127.0.0.1 "$port"
  listen "$netcat" -v -l ::1 0
  talk socat -t "$limit" - "TCP:[::1]:$port"
done

# A person at a terminal, who types two lines and the end. The terminal blocks again when netcat has gone, also when a
# signal has ended it.
cat >"$work/terminal.py" <<'END'
import fcntl, os, pty, signal, subprocess, sys, time

def blocks(fd):
    return not fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK

def wait_until(holds, what):
    deadline = time.monotonic() + 20
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit(f"in vain: {what}")
        time.sleep(0.01)

netcat, host, port, heard, how = sys.argv[1:]
person, terminal = pty.openpty()
child = subprocess.Popen([netcat, host, port], stdin=terminal, stdout=terminal)
wait_until(lambda: not blocks(terminal), "netcat takes the terminal")
os.write(person, b"one\ntwo\n")
wait_until(lambda: open(heard).read() == "one\ntwo\n", "the lines arrive")
if how == "end":
    os.write(person, b"\x04")
else:
    child.send_signal(signal.SIGINT)
code = child.wait(timeout=20)
if code != (0 if how == "end" else 130):
    raise SystemExit(f"exit code {code}")
if not blocks(terminal):
    raise SystemExit("the terminal does not block any more")
END
far=/dev/null
for how in end signal; do
  listen "$netcat" -v -l 127.0.0.1 0
  timeout "$limit" python3 "$work/terminal.py" "$netcat" 127.0.0.1 "$port" "$work/at.server" "$how" ||
    fail "the person at the terminal had trouble"
  wait "$server" || fail "the other side of the terminal failed"
done
