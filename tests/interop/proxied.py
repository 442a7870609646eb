"""Both ends of a proxied connection, that know nothing of coflow.

  proxied.py    listens and prints where; reads from standard input where the proxy listens; then tries what a proxy
                must pass on: half-closes in any order, and resets from either side at any stage.
"""
import os
import socket
import struct
import sys

TIMEOUT = 30


class Pair:
    """A client and a server that are connected through the proxy."""

    def __init__(self, listener, host, port):
        self.client = socket.create_connection((host, port), timeout=TIMEOUT)
        self.server, _ = listener.accept()
        self.server.settimeout(TIMEOUT)

    def ends(self, client_first):
        return (self.client, self.server) if client_first else (self.server, self.client)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.close()
        self.server.close()


def receive_all(connection):
    """Everything up to the end, and whether that is a clean one."""
    parts = []
    while True:
        try:
            part = connection.recv(65536)
        except ConnectionResetError:
            return b"".join(parts), False
        if not part:
            return b"".join(parts), True
        parts.append(part)


def receive(connection, size):
    parts = b""
    while len(parts) < size:
        part = connection.recv(size - len(parts))
        check(part, "the connection ends too early")
        parts += part
    return parts


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def check(holds, what):
    if not holds:
        raise SystemExit(what)


def half_close(pair, client_first):
    first, second = pair.ends(client_first)
    question, answer = os.urandom(30000), os.urandom(50000)
    first.sendall(question)
    first.shutdown(socket.SHUT_WR)
    check(receive_all(second) == (question, True), "the first half's bytes or end are wrong")
    second.sendall(answer)
    second.shutdown(socket.SHUT_WR)
    check(receive_all(first) == (answer, True), "the second half's bytes or end are wrong")


def reset_silent(pair, client_first):
    culprit, victim = pair.ends(client_first)
    reset(culprit)
    check(receive_all(victim) == (b"", False), "a reset of a silent connection is not passed on")


def reset_after_words(pair, client_first):
    culprit, victim = pair.ends(client_first)
    culprit.sendall(b"question")
    check(receive(victim, 8) == b"question", "the words are wrong")
    victim.sendall(b"answer")
    check(receive(culprit, 6) == b"answer", "the answer is wrong")
    reset(culprit)
    check(receive_all(victim) == (b"", False), "a reset after words is not passed on")


def reset_after_half_close(pair, client_first):
    """The one who is left has ended its half before."""
    culprit, victim = pair.ends(client_first)
    victim.sendall(b"all of it")
    victim.shutdown(socket.SHUT_WR)
    check(receive_all(culprit) == (b"all of it", True), "the half-close is not passed on")
    culprit.sendall(b"some")
    check(receive(victim, 4) == b"some", "the words are wrong")
    reset(culprit)
    check(receive_all(victim) == (b"", False), "a reset behind a half-close is not passed on")


def reset_while_pouring(pair, client_first):
    """The one who is left has more to say than anybody takes."""
    culprit, victim = pair.ends(client_first)
    victim.setblocking(False)
    try:
        while True:
            victim.send(b"x" * 100000)
    except BlockingIOError:
        pass
    victim.settimeout(TIMEOUT)
    reset(culprit)
    check(receive_all(victim)[1] is False, "a reset is not passed on to one who pours")


def main():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(TIMEOUT)
        print(listener.getsockname()[1], flush=True)
        host, port = sys.stdin.readline().split()
        tries = [half_close, reset_silent, reset_after_words, reset_after_half_close, reset_while_pouring]
        for attempt in tries:
            for client_first in (True, False):
                for _ in range(3):
                    with Pair(listener, host, int(port)) as pair:
                        attempt(pair, client_first)


main()
