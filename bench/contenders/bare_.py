"""No WebSocket package at all: what the event loop and its transport cost for the same traffic.

After the handshake it looks at nothing but the length of the first frame. From then on it counts
the bytes of each read, and answers as many frames of that size as have arrived with as many
prepared ones, in one write. It parses no header, unmasks nothing, and its payloads are not those
that it received.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import socket
from typing import cast

from .host import Options

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
MOST_FRAMES = 1024


class Bare(asyncio.BufferedProtocol):
    """One connection."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.buffer = bytearray(65536)
        self.head = b""
        self.opened = False
        self.frame_size = 0  # of a masked one
        self.answer_size = 0
        self.pending = 0
        self.answers = memoryview(b"")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        if not self.frame_size:
            self.open(bytes(self.buffer[:nbytes]))
            return
        count, self.pending = divmod(self.pending + nbytes, self.frame_size)
        if count:
            self.transport.write(self.answers[: count * self.answer_size])

    def open(self, data: bytes) -> None:
        """Take the request, then the first read with frames."""
        if self.opened:
            length = data[1] & 0x7F
            if length == 126:
                length = int.from_bytes(data[2:4], "big")
                header = b"\x81\x7e" + length.to_bytes(2, "big")
            else:
                header = bytes([0x81, length])
            self.frame_size = len(header) + 4 + length
            self.answer_size = len(header) + length
            self.answers = memoryview((header + b"." * length) * MOST_FRAMES)
            self.buffer_updated(len(data))
            return
        self.head += data
        if self.head.endswith(b"\r\n\r\n"):
            key = re.search(rb"(?i)\r\nsec-websocket-key: *(\S+)", self.head)
            assert key is not None
            accept = base64.b64encode(hashlib.sha1(key[1] + GUID).digest())
            self.transport.write(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n"
            )
            self.opened = True


async def serve(listener: socket.socket, options: Options) -> None:
    await asyncio.get_running_loop().create_server(Bare, sock=listener, ssl=options.tls)
