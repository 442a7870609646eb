"""Clients of an echo server that know nothing of coflow.

  clients.py churn HOST PORT COUNT PID   COUNT clients of all kinds, and more as long as the process PID runs
  clients.py talk HOST PORT COUNT PID    COUNT times 64 bytes there and back on one connection; each time when the
                                         process PID sleeps, or at once if that is 0
  clients.py stay HOST PORT COUNT        COUNT connections of all kinds that stay until the server ends them
"""
import concurrent.futures
import os
import select
import socket
import struct
import sys
import time

TIMEOUT = 30


def connect(host, port):
    made = socket.create_connection((host, port), timeout=TIMEOUT)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def receive(connection, size):
    parts = []
    while size > 0:
        part = connection.recv(size)
        if not part:
            raise SystemExit("the server has ended the connection")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def half_close(connection):
    """Ends its half and takes the answer and the end."""
    message = os.urandom(50000)
    connection.sendall(message)
    connection.shutdown(socket.SHUT_WR)
    answer = receive(connection, len(message))
    if answer != message or connection.recv(1) != b"":
        raise SystemExit("the answer is wrong")


def talk(connection, count=20, pid=0):
    """Many small messages."""
    for number in range(count):
        if pid > 0:
            until_it_sleeps(pid)
        message = (b"%08d" % number) * 8
        connection.sendall(message)
        if receive(connection, 64) != message:
            raise SystemExit("the answer is wrong")


def reset(connection):
    """Resets with an answer on its way."""
    connection.sendall(b"x" * 1000)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def vanish(connection):
    """Leaves without reading, in the middle of what it has to say."""
    connection.setblocking(False)
    try:
        while True:
            connection.send(b"x" * 100000)
    except BlockingIOError:
        pass


def say_nothing(connection):
    """Connects and leaves."""


def churn(host, port, count, pid):
    kinds = [half_close, reset, vanish, talk, say_nothing]

    def one(number):
        with connect(host, port) as connection:
            kinds[number % len(kinds)](connection)

    deadline = time.monotonic() + 90
    done = 0
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        while done < count or (pid > 0 and running(pid) and time.monotonic() < deadline):
            list(pool.map(one, range(done, done + 40)))
            done += 40


def state(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "Z"


def running(pid):
    return state(pid) != "Z"


def until_it_sleeps(pid):
    deadline = time.monotonic() + TIMEOUT
    while state(pid) != "S":
        if time.monotonic() > deadline:
            raise SystemExit("the server does not come to rest")


def stay(host, port, count):
    connections = []
    for number in range(count):
        connection = connect(host, port)
        connections.append(connection)
        if number % 3 == 1:
            talk(connection, 1)
        elif number % 3 == 2:
            vanish(connection)
    print("ready", flush=True)
    deadline = time.monotonic() + 60
    for connection in connections:
        connection.setblocking(False)
    left = set(connections)
    while left:
        if time.monotonic() > deadline:
            raise SystemExit(f"{len(left)} connections go on")
        for connection in select.select(list(left), [], [], 1)[0]:
            try:
                if connection.recv(1 << 20):
                    continue
            except ConnectionResetError:
                pass
            left.remove(connection)


def main():
    what, host, port, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    if what == "churn":
        churn(host, port, count, int(sys.argv[5]))
    elif what == "talk":
        with connect(host, port) as connection:
            talk(connection, count, int(sys.argv[5]))
    elif what == "stay":
        stay(host, port, count)


main()
