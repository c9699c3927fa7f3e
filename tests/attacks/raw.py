"""What attackers speak with: sockets that say what an attack wants, and know no rule.

A ``Raw`` is one open connection, a ``Crowd`` many that are looked after together.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Self

from ..support.rawpeer import CLOSE, PONG

ADDRESS = "127.0.0.1"
KEEP = 1 << 14
"""Bytes that a member of a crowd keeps of what it is told."""


def request(path: str = "/", headers: str = "") -> bytes:
    """Give an opening handshake; ``headers`` are lines that each end with CRLF."""
    return (
        f"GET {path} HTTP/1.1\r\nHost: {ADDRESS}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{headers}\r\n"
    ).encode()


DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate\r\n"


def frames(data: bytes | bytearray) -> Iterator[tuple[int, bytes]]:
    """Yield opcode and payload of the whole frames at the start of what a server said."""
    at = 0
    while at + 2 <= len(data):
        size, start = data[at + 1] & 0x7F, at + 2
        if size == 126:
            start += 2
            size = int.from_bytes(data[at + 2 : start])
        elif size == 127:
            start += 8
            size = int.from_bytes(data[at + 2 : start])
        if start + size > len(data):
            return
        yield data[at] & 0x0F, bytes(data[start : start + size])
        at = start + size


def code_of(data: bytes | bytearray) -> int | None:
    """Give the code of the close frame among what a server said, if there is one."""
    for opcode, payload in frames(data):
        if opcode == CLOSE:
            return int(struct.unpack("!H", payload[:2])[0]) if payload else 1005
    return None


def pour(sock: socket.socket, chunks: Iterable[bytes], patience: float = 0.5) -> int:
    """Send until all is sent, the peer hangs up, or takes nothing for so many seconds.

    Return how many bytes its kernel took.
    """
    sock.setblocking(False)
    writable = select.poll()
    writable.register(sock, select.POLLOUT)
    sent = 0
    for chunk in chunks:
        view = memoryview(chunk)
        while view:
            try:
                size = sock.send(view)
            except BlockingIOError:
                if not writable.poll(patience * 1000):
                    return sent
                continue
            except OSError:
                return sent
            view = view[size:]
            sent += size
    return sent


class Ending(NamedTuple):
    """How a server ended a connection."""

    code: int | None
    """That of its close frame; None without one."""
    seconds: float
    """From the call to the end of TCP; of the patience, if it never came."""
    ended: bool


class Raw:
    """One connection, open unless ``opening`` says something else."""

    def __init__(
        self,
        port: int,
        opening: bytes | None = None,
        *,
        receive_buffer: int = 0,
        context: ssl.SSLContext | None = None,
        patience: float = 20,
    ) -> None:
        self.sock = socket.socket()
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(patience)
        self.said = bytearray()
        self.head = b""
        try:
            self.sock.connect((ADDRESS, port))
            if context is not None:
                self.sock = context.wrap_socket(self.sock)
            if opening is None or opening.startswith(b"GET "):
                self.sock.sendall(opening or request())
                self.head = self._head()
        except OSError:
            self.sock.close()
            raise

    def _head(self) -> bytes:
        while b"\r\n\r\n" not in self.said:
            data = self.sock.recv(65536)
            if not data:
                raise ConnectionError(f"no answer to the handshake: {bytes(self.said)!r}")
            self.said += data
        head, _, rest = bytes(self.said).partition(b"\r\n\r\n")
        self.said = bytearray(rest)
        return head

    def send(self, data: bytes) -> None:
        """Send bytes as they are; whether the peer still listens is no concern of an attacker."""
        self.sock.setblocking(True)
        with contextlib.suppress(OSError):
            self.sock.sendall(data)

    def pour(self, chunks: Iterable[bytes], patience: float = 0.5) -> int:
        return pour(self.sock, chunks, patience)

    def listen(self, seconds: float, until: Callable[[bytearray], bool]) -> bool:
        """Read until a condition on what was said holds; tell whether it came to that."""
        end = time.monotonic() + seconds
        self.sock.setblocking(True)
        while not until(self.said):
            left = end - time.monotonic()
            if left <= 0:
                return False
            self.sock.settimeout(left)
            try:
                data = self.sock.recv(1 << 18)
            except OSError:
                return until(self.said)
            if not data:
                return until(self.said)
            self.said += data
        return True

    def ending(self, patience: float = 15.0) -> Ending:
        """Read to the end of TCP."""
        start = time.monotonic()
        ended = False
        self.sock.setblocking(True)
        while not ended and (left := start + patience - time.monotonic()) > 0:
            self.sock.settimeout(left)
            try:
                data = self.sock.recv(1 << 18)
            except TimeoutError:
                break
            except OSError:
                data = b""
            ended = not data
            self.said += data
        return Ending(code_of(self.said), time.monotonic() - start, ended)

    def pongs(self) -> list[bytes]:
        return [payload for opcode, payload in frames(self.said) if opcode == PONG]

    def reset(self) -> None:
        """End the connection with a TCP reset instead of a FIN."""
        with contextlib.suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class Member:
    """One of a crowd."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.started = time.monotonic()
        self.said = bytearray()
        self.keep = KEEP
        self.ended: float | None = None

    @property
    def frames(self) -> bytes:
        """What was said behind the handshake."""
        return bytes(self.said).partition(b"\r\n\r\n")[2]

    def send(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self.sock.send(data)


class Crowd:
    """Many connections, which read nothing but in ``turn`` and what is built on it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.members: list[Member] = []
        self.alive: dict[int, Member] = {}
        self.poll = select.epoll()
        self.received = 0
        """Bytes from all of them, handshakes included."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()
        self.poll.close()

    def join(self, count: int, opening: bytes = b"", *, receive_buffer: int = 0) -> None:
        """Open so many connections more, and say something on each; it is not waited for."""
        for number in range(count):
            sock = socket.socket()
            if receive_buffer:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            sock.settimeout(20)
            # From several addresses: one has too few ports for the largest crowds.
            sock.bind((f"127.0.0.{2 + number % 8}", 0))
            sock.connect((ADDRESS, self.port))
            sock.setblocking(False)
            member = Member(sock)
            member.send(opening)
            self.members.append(member)
            self.alive[sock.fileno()] = member
            self.poll.register(sock, select.EPOLLIN)
            if number % 64 == 63:
                self.turn(0)

    def join_at_once(self, count: int) -> None:
        """Begin so many connections more, without waiting for any of them."""
        for number in range(count):
            sock = socket.socket()
            sock.setblocking(False)
            sock.bind((f"127.0.0.{2 + number % 8}", 0))
            with contextlib.suppress(BlockingIOError):
                sock.connect((ADDRESS, self.port))
            member = Member(sock)
            self.members.append(member)
            self.alive[sock.fileno()] = member
            self.poll.register(sock, select.EPOLLIN)

    def open(self, count: int, opening: bytes | None = None, *, receive_buffer: int = 0) -> None:
        """Open so many connections more, with the handshake.

        Raises:
            RuntimeError: if one of them does not open.
        """
        before = len(self.members)
        self.join(count, opening or request(), receive_buffer=receive_buffer)
        news = self.members[before:]
        # A member that has ended will not say any more.
        self.until(lambda: all(b"\r\n\r\n" in one.said or one.ended for one in news), 60)
        for one in news:
            if not one.said.startswith(b"HTTP/1.1 101 "):
                raise RuntimeError(f"one of {count} did not open: {bytes(one.said[:200])!r}")

    def turn(self, seconds: float) -> None:
        """Read what there is; wait so long at most for the first of it."""
        for fd, _ in self.poll.poll(seconds, 1024):
            member = self.alive[fd]
            try:
                data = member.sock.recv(65536)
            except BlockingIOError:
                continue
            except OSError:
                data = b""
            if data:
                self.received += len(data)
                member.said += data[: max(0, member.keep - len(member.said))]
            else:
                self._end(member)

    def freeze(self, member: Member) -> None:
        """Read nothing from one of them any more."""
        self.poll.unregister(member.sock)

    def thaw(self, member: Member) -> None:
        """Read again, and keep all of it; what was read before ended with a whole frame."""
        member.said = bytearray(b"\r\n\r\n")
        member.keep = 1 << 24
        self.poll.register(member.sock, select.EPOLLIN)

    def _end(self, member: Member) -> None:
        member.ended = time.monotonic()
        with contextlib.suppress(FileNotFoundError):  # one that is frozen
            self.poll.unregister(member.sock)
        del self.alive[member.sock.fileno()]
        member.sock.close()

    def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Read until a condition holds, for so long at most; tell whether it does."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() >= end:
                return False
            self.turn(0.02)
        return True

    def until_over(self, seconds: float) -> bool:
        """Read until the server has ended all connections; tell whether it did."""
        return self.until(lambda: not self.alive, seconds)

    def lived(self) -> float:
        """Give the seconds that the oldest one lived, or has lived so far."""
        now = time.monotonic()
        return max((member.ended or now) - member.started for member in self.members)

    def leave(self, *, reset: bool = False) -> None:
        """Hang up."""
        for member in list(self.alive.values()):
            if reset:
                with contextlib.suppress(OSError):
                    member.sock.setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                    )
            self._end(member)
