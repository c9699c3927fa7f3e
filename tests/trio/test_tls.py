"""TLS: its ends, and its share of the opening."""

from __future__ import annotations

import functools
import logging
import socket
import struct
from typing import Any

import pytest
import trio
import trio.testing

from ropeway.trio.server import Server, serve

from ..support.tls import TLS
from .serving import echo, in_trio, serving, with_mock_clock

UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def say_too_much(port: int, tls: TLS) -> bytes:
    """Send a message above the server's limit to its end, and give what the server says then."""
    size = 8_000_000
    with (
        socket.create_connection(("127.0.0.1", port)) as raw,
        tls.client_context.wrap_socket(raw, server_hostname=tls.hostname) as sock,
    ):
        sock.sendall(UPGRADE)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += sock.recv(4096)
        sock.sendall(struct.pack("!BBQ4x", 0x82, 0xFF, size))
        for _ in range(8):
            sock.sendall(bytes(size // 8))
        return sock.recv(4096)


@in_trio
async def test_who_is_still_sending_when_the_connection_fails_is_not_reset(tls: TLS) -> None:
    async with serving(ssl=tls.server_context) as server:
        port = server.listeners[0].socket.getsockname()[1]
        said = await trio.to_thread.run_sync(say_too_much, port, tls)
    assert said[0] == 0x88
    assert said[2:4] == (1009).to_bytes(2)


@in_trio
async def test_a_client_that_speaks_no_tls_is_told_of_in_the_debug_log(
    tls: TLS, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "ropeway.server")
    async with serving(ssl=tls.server_context) as server:
        stream = await trio.open_tcp_stream(*server.listeners[0].socket.getsockname())
        await stream.send_all(UPGRADE)
        async for _ in stream:
            pass
        while server._handlers:
            await trio.testing.wait_all_tasks_blocked()
        await stream.aclose()
    (record,) = [one for one in caplog.records if one.message == "TLS handshake failed"]
    assert record.levelno == logging.DEBUG
    assert record.exc_info is not None


@in_trio
async def test_closing_does_not_wait_for_tls_handshakes(tls: TLS) -> None:
    async with trio.open_nursery() as nursery:
        start = functools.partial(
            serve, echo, 0, host="127.0.0.1", ssl=tls.server_context, open_timeout=None
        )
        server: Server = await nursery.start(start)
        stream = await trio.open_tcp_stream(*server.listeners[0].socket.getsockname())
        while not server._handlers:
            await trio.testing.wait_all_tasks_blocked()
        await server.aclose()
        assert await stream.receive_some() == b""
        await stream.aclose()


@with_mock_clock
async def test_the_time_for_opening_begins_with_tls(tls: TLS) -> None:
    near, far = trio.testing.memory_stream_pair()
    secure = trio.SSLStream(
        near, tls.client_context, server_hostname=tls.hostname, https_compatible=True
    )
    async with trio.open_nursery() as nursery:
        listener: Any = Listener(far)
        start = functools.partial(
            serve, echo, listeners=[listener], ssl=tls.server_context, open_timeout=10
        )
        server: Server = await nursery.start(start)
        begun = trio.current_time()
        await trio.sleep(8)
        await secure.do_handshake()
        assert (await secure.receive_some()).startswith(b"HTTP/1.1 408 ")
        assert trio.current_time() - begun == 10
        await secure.aclose()
        await server.aclose()


class Listener(trio.abc.Listener[trio.abc.Stream]):
    """Accepts one stream."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._streams = [stream]
        self.socket = trio.socket.socket()

    async def accept(self) -> trio.abc.Stream:
        if self._streams:
            return self._streams.pop()
        return await trio.sleep_forever()

    async def aclose(self) -> None:
        self.socket.close()
