"""A peer that speaks RFC 6455 by hand, so that it can misbehave and choose what one packet holds.

It knows nothing of the library under test.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import socket
import struct
import zlib
from typing import Any, ClassVar, NamedTuple

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
FIN, RSV1, RSV2, RSV3 = 0x80, 0x40, 0x20, 0x10


class RawFrame(NamedTuple):
    opcode: int
    payload: bytes
    fin: bool = True
    rsv: int = 0
    masked: bool = False


def masked(payload: bytes, key: bytes) -> bytes:
    size = len(payload)
    pad = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(payload) ^ int.from_bytes(pad)).to_bytes(size)


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bool = False,
    key: bytes = b"\x00\x00\x00\x00",
    length: int | None = None,
    form: int | None = None,
) -> bytes:
    """Build a frame; ``length`` is the declared length, ``form`` (7, 16, 64) its encoding."""
    length = len(payload) if length is None else length
    form = form or (7 if length < 126 else 16 if length < 65536 else 64)
    head = bytes([(FIN if fin else 0) | rsv | opcode])
    bit = 0x80 if mask else 0
    if form == 7:
        head += bytes([bit | length])
    elif form == 16:
        head += struct.pack("!BH", bit | 126, length)
    else:
        head += struct.pack("!BQ", bit | 127, length)
    return head + (key + masked(payload, key) if mask else payload)


def close_payload(code: int, reason: str | bytes = b"") -> bytes:
    return struct.pack("!H", code) + (reason.encode() if isinstance(reason, str) else reason)


def accept_key(key: str) -> str:
    digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
    return base64.b64encode(digest).decode()


class Deflater:
    """One direction of permessage-deflate, as a peer would do it."""

    def __init__(self, *, takeover: bool = True, bits: int = 15) -> None:
        self.takeover = takeover
        self.bits = bits
        self.reset()

    def reset(self) -> None:
        self.compressor = zlib.compressobj(wbits=-self.bits)
        self.decompressor = zlib.decompressobj(wbits=-15)

    def compress(self, payload: bytes) -> bytes:
        data = self.compressor.compress(payload) + self.compressor.flush(zlib.Z_SYNC_FLUSH)
        if not self.takeover:
            self.reset()
        return data[:-4]

    def decompress(self, payload: bytes) -> bytes:
        data = self.decompressor.decompress(payload + b"\x00\x00\xff\xff")
        if not self.takeover:
            self.reset()
        return data


class OnLoop:
    """How a raw peer waits: on the loop. Other front ends have classes like this one."""

    @staticmethod
    def prepare(sock: socket.socket) -> None:
        sock.setblocking(False)

    @staticmethod
    async def connect(sock: socket.socket, port: int) -> None:
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))

    @staticmethod
    async def accept(listener: socket.socket) -> socket.socket:
        return (await asyncio.get_running_loop().sock_accept(listener))[0]

    @staticmethod
    async def send_all(sock: socket.socket, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(sock, data)

    @staticmethod
    async def receive(sock: socket.socket, size: int) -> bytes:
        return await asyncio.get_running_loop().sock_recv(sock, size)


class RawPeer:
    """One end of an open WebSocket connection; ``masks`` when it plays the client."""

    calls: ClassVar[Any] = OnLoop

    def __init__(self, sock: socket.socket, *, masks: bool) -> None:
        self.sock = sock
        self.masks = masks
        self.buffer = bytearray()
        self.head = b""
        """The opening handshake request or response that was received."""

    @classmethod
    async def open(
        cls, port: int, *, headers: str = "", early: bytes = b"", receive_buffer: int = 0
    ) -> RawPeer:
        """Connect as a client; ``headers`` are lines that each end with CRLF.

        ``early`` rides in the packet of the request.
        """
        self = await cls.knock(port, receive_buffer=receive_buffer)
        await self.ask(headers, early)
        self.head = await self.recv_until(b"\r\n\r\n")
        assert self.head.startswith(b"HTTP/1.1 101 "), self.head
        return self

    @classmethod
    async def knock(cls, port: int, *, receive_buffer: int = 0) -> RawPeer:
        """Connect as a client that says nothing."""
        sock = socket.socket()
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        cls.calls.prepare(sock)
        try:
            await cls.calls.connect(sock, port)
        except BaseException:
            sock.close()
            raise
        return cls(sock, masks=True)

    async def ask(self, headers: str = "", early: bytes = b"") -> None:
        """Send the opening handshake's request."""
        key = base64.b64encode(os.urandom(16)).decode()
        port = self.sock.getpeername()[1]
        await self.send(
            f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
            f"Sec-WebSocket-Version: 13\r\n{headers}\r\n".encode(),
            early,
        )

    @classmethod
    async def accept(
        cls, listener: socket.socket, *, headers: str = "", early: bytes = b""
    ) -> RawPeer:
        """Accept a client and its request on a listening socket that ``calls`` can wait for.

        ``early`` rides in the packet of the response.
        """
        sock = await cls.calls.accept(listener)
        cls.calls.prepare(sock)
        self = cls(sock, masks=False)
        self.head = await self.recv_until(b"\r\n\r\n")
        lines = self.head.decode().split("\r\n")[1:-2]
        fields = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        await self.send(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept_key(fields['sec-websocket-key'])}\r\n"
            f"{headers}\r\n".encode(),
            early,
        )
        return self

    # Sending

    async def send(self, *chunks: bytes) -> None:
        """Send bytes as they are, in one write."""
        await self.calls.send_all(self.sock, b"".join(chunks))

    def frame(self, opcode: int, payload: bytes | str = b"", **options: object) -> bytes:
        """Build a frame that is masked as this peer must mask it, unless told otherwise."""
        data = payload.encode() if isinstance(payload, str) else payload
        return frame(opcode, data, **{"mask": self.masks, **options})  # type: ignore[arg-type]

    async def send_frame(self, opcode: int, payload: bytes | str = b"", **options: object) -> None:
        await self.send(self.frame(opcode, payload, **options))

    async def send_close(self, code: int = 1000, reason: str = "") -> None:
        await self.send_frame(CLOSE, close_payload(code, reason))

    # Receiving

    async def recv_some(self) -> bytes:
        data = await self.calls.receive(self.sock, 1 << 18)
        self.buffer += data
        return data

    async def recv_exactly(self, size: int) -> bytes:
        while len(self.buffer) < size:
            if not await self.recv_some():
                raise EOFError(f"connection closed; {bytes(self.buffer)!r} received")
        data = bytes(self.buffer[:size])
        del self.buffer[:size]
        return data

    async def recv_until(self, mark: bytes) -> bytes:
        while mark not in self.buffer:
            if not await self.recv_some():
                raise EOFError(f"connection closed; {bytes(self.buffer)!r} received")
        return await self.recv_exactly(self.buffer.index(mark) + len(mark))

    async def recv_frame(self) -> RawFrame:
        first, second = await self.recv_exactly(2)
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack("!H", await self.recv_exactly(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", await self.recv_exactly(8))
        has_mask = bool(second & 0x80)
        key = await self.recv_exactly(4) if has_mask else b"\x00\x00\x00\x00"
        payload = masked(await self.recv_exactly(length), key)
        return RawFrame(first & 0x0F, payload, bool(first & FIN), first & 0x70, has_mask)

    async def recv_payload(self, opcode: int) -> bytes:
        """Receive a complete, uncompressed frame of this opcode."""
        received = await self.recv_frame()
        assert received == RawFrame(opcode, received.payload, masked=not self.masks), received
        return received.payload

    async def recv_close(self) -> tuple[int | None, str]:
        payload = await self.recv_payload(CLOSE)
        if not payload:
            return None, ""
        return struct.unpack("!H", payload[:2])[0], payload[2:].decode()

    async def recv_eof(self) -> bytes:
        """Receive to the end of the stream; return what came before it."""
        while await self.recv_some():
            pass
        data = bytes(self.buffer)
        self.buffer.clear()
        return data

    async def answer_close(self) -> tuple[int | None, str]:
        """Receive a close frame, echo it, and return its code and reason."""
        code, reason = await self.recv_close()
        await self.send_frame(CLOSE, b"" if code is None else close_payload(code, reason))
        return code, reason

    async def close_handshake(self, code: int = 1000, reason: str = "") -> tuple[int | None, str]:
        """Send a close frame, receive the answer, and end the TCP connection.

        Return the answer's code and reason.
        """
        await self.send_close(code, reason)
        answer = await self.recv_close()
        self.half_close()
        assert await self.recv_eof() == b""
        return answer

    async def finish_close(self) -> tuple[int | None, str]:
        """Receive a close frame, echo it, and end the TCP connection; return what was received."""
        received = await self.answer_close()
        self.half_close()
        assert await self.recv_eof() == b""
        return received

    # Ending

    def half_close(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.sock.close()

    def reset(self) -> None:
        """Close with a TCP reset instead of a FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()
