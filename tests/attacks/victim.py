"""An honest peer in a process of its own, that says how long its server lets it wait.

``victim.py PORT echo|visit [--tls]``: ``echo`` sends 32 bytes every 2 ms, whether or not the ones
before have come back; ``visit`` opens a connection every 50 ms, and closes it. Orders come on
standard input, one a line, and are answered with a line of JSON: ``mark`` begins a count,
``figures`` tells it, ``pause`` and ``go``. It imports nothing of what is tested.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import select
import socket
import ssl
import time
from collections.abc import Callable

REQUEST = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
HELLO = b"\x82\xa0\x00\x00\x00\x00" + b"an honest message, 32 bytes long"
ECHO = 34
PATIENCE = 5.0
LONG = 0.01
"""Seconds after which a message that is still out counts with the time that it has been."""


def opened(port: int, context: ssl.SSLContext | None) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if context is not None:
        sock = context.wrap_socket(sock)
    sock.sendall(REQUEST)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        data = sock.recv(1)
        if not data:
            raise ConnectionError(f"no handshake: {head!r}")
        head += data
    if not head.startswith(b"HTTP/1.1 101 "):
        raise ConnectionError(f"refused: {head!r}")
    return sock


class Echo:
    """One connection, with a message due at every period."""

    period = 0.002

    def __init__(self, port: int, context: ssl.SSLContext | None) -> None:
        self.sock: socket.socket | None = opened(port, context)
        self.sock.setblocking(False)
        self.out: collections.deque[float] = collections.deque()
        self.have = 0
        self.times: list[float] = []
        self.marked = 0.0
        self.ended = ""

    def due(self) -> None:
        if self.sock is None:
            return
        self.out.append(time.perf_counter())
        try:
            self.sock.send(HELLO)
        except (BlockingIOError, ssl.SSLWantWriteError):
            self.out.pop()  # its buffer is full, and what is in it waits already
        except OSError as exc:
            self.end(repr(exc))

    def read(self) -> None:
        try:
            # A TLS socket may hold more than select tells of.
            while data := self.sock.recv(65536) if self.sock is not None else b"":
                self.have += len(data)
            self.end("closed")
        except (BlockingIOError, ssl.SSLWantReadError):
            pass
        except OSError as exc:
            self.end(repr(exc))
        now = time.perf_counter()
        while self.have >= ECHO and self.out:
            self.have -= ECHO
            sent = self.out.popleft()
            if sent >= self.marked:
                self.times.append(now - sent)

    def end(self, why: str) -> None:
        if self.sock is not None:
            self.sock.close()
            self.sock = None
            self.ended = why

    def mark(self) -> None:
        self.times.clear()
        self.marked = time.perf_counter()

    def all_times(self) -> list[float]:
        now = time.perf_counter()
        waiting = [now - sent for sent in self.out if sent >= self.marked and now - sent > LONG]
        return sorted([*self.times, *waiting])


class Visit:
    """A connection at every period, which takes the time of its opening handshake."""

    period = 0.05
    sock = None
    ended = ""

    def __init__(self, port: int, context: ssl.SSLContext | None) -> None:
        self.port = port
        self.context = context
        self.times: list[float] = []

    def due(self) -> None:
        start = time.perf_counter()
        try:
            opened(self.port, self.context).close()
        except OSError as exc:
            self.ended = repr(exc)
        self.times.append(time.perf_counter() - start)

    def read(self) -> None:
        pass

    def mark(self) -> None:
        self.times.clear()
        self.ended = ""

    def all_times(self) -> list[float]:
        return sorted(self.times)


def figures(victim: Echo | Visit) -> dict[str, float | str | None]:
    times = victim.all_times()

    def at(share: float) -> float | None:
        return round(times[int((len(times) - 1) * share)] * 1e3, 3) if times else None

    return {
        "count": len(times),
        "p50_ms": at(0.5),
        "p99_ms": at(0.99),
        "max_ms": at(1.0),
        "ended": victim.ended,
    }


def run(victim: Echo | Visit) -> None:
    going, unread = True, b""
    due = time.perf_counter()
    orders: dict[str, Callable[[], object]] = {
        "mark": victim.mark,
        "figures": lambda: figures(victim),
    }
    while True:
        now = time.perf_counter()
        while due <= now:
            due += victim.period
            if going:
                victim.due()
        sources = [0] if victim.sock is None else [0, victim.sock]
        ready, _, _ = select.select(sources, [], [], max(0.0, due - time.perf_counter()))
        if victim.sock is not None and victim.sock in ready:
            victim.read()
        if 0 in ready:
            data = os.read(0, 4096)
            if not data:
                return
            *lines, unread = (unread + data).split(b"\n")
            for line in lines:
                name = line.decode().strip()
                answer = None
                if name in orders:
                    answer = orders[name]()
                else:
                    going = name == "go"
                print(json.dumps(answer), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("kind", choices=["echo", "visit"])
    parser.add_argument("--tls", action="store_true")
    given = parser.parse_args()
    context = None
    if given.tls:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    run({"echo": Echo, "visit": Visit}[given.kind](given.port, context))


if __name__ == "__main__":
    main()
