"""What ``connection.transport`` gives, on every kind of transport that a connection may have."""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ..support.drivers import asyncio_only
from ..support.endpoints import Handed, against_raw, both_roles, pair, settle, until
from ..support.rawpeer import BINARY, TEXT, frame
from ..support.subject import (
    ConnectionClosedError,
    State,
    only_ropeway,
    unix_connect,
    unix_serve,
)
from .operations import BLOCKER, SMALL, blocked

pytestmark = asyncio_only("only asyncio has transports")

QUIET: dict[str, Any] = {"compression": None, "ping_interval": None, "close_timeout": 5}


@contextlib.asynccontextmanager
async def over_unix(path: Any, **options: Any) -> AsyncIterator[tuple[Any, Any]]:
    handed = Handed()
    async with unix_serve(handed, str(path), **{**QUIET, **options}):
        async with unix_connect(str(path), **{**QUIET, **options}) as near:
            far = await handed.connections.get()
            try:
                yield near, far
            finally:
                handed.over.set()


# What it tells


@both_roles
async def test_extra_info_of_tcp(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        info = ws.transport.get_extra_info
        assert info("peername") == raw.sock.getsockname() == ws.remote_address
        assert info("sockname") == raw.sock.getpeername() == ws.local_address
        kernel = info("socket")
        assert kernel.family == socket.AF_INET
        assert kernel.type == socket.SOCK_STREAM
        assert kernel.fileno() >= 0
        assert kernel.getsockname() == info("sockname")
        assert kernel.getpeername() == info("peername")
        assert info("ssl_object") is None
        assert info("sslcontext") is None
        assert info("nothing") is None
        assert info("nothing", "default") == "default"


@both_roles
async def test_extra_info_after_the_end(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        transport, addresses = ws.transport, (ws.local_address, ws.remote_address)
        await raw.close_handshake()
        await ws.wait_closed()
        assert (transport.get_extra_info("sockname"), transport.get_extra_info("peername")) == (
            addresses
        )
        assert transport.is_closing()


async def test_extra_info_of_tls(tls: Any) -> None:
    async with pair(
        client={"ssl": tls.client_context}, server={"ssl": tls.server_context}
    ) as connections:
        for ws in connections:
            info = ws.transport.get_extra_info
            assert isinstance(info("ssl_object"), ssl.SSLObject | ssl.SSLSocket)
            assert info("sslcontext") in (tls.client_context, tls.server_context)
            assert info("cipher") is not None
            assert info("socket").fileno() >= 0
            assert info("peername") == ws.remote_address


async def test_extra_info_of_unix_sockets(tmp_path: Any) -> None:
    async with over_unix(tmp_path / "socket") as (near, far):
        assert near.transport.get_extra_info("socket").family == socket.AF_UNIX
        assert far.transport.get_extra_info("socket").family == socket.AF_UNIX
        assert near.remote_address == str(tmp_path / "socket")
        assert far.local_address == str(tmp_path / "socket")
        assert not far.remote_address


# Reading


@both_roles
async def test_pause_and_resume_reading(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        for index in range(3):
            receiving = asyncio.create_task(ws.recv())
            await settle()
            ws.transport.pause_reading()
            assert not ws.transport.is_reading()
            await raw.send_frame(TEXT, str(index))
            await settle(20)
            assert not receiving.done()
            ws.transport.resume_reading()
            assert ws.transport.is_reading()
            assert await receiving == str(index)


@both_roles
async def test_pausing_and_resuming_may_be_repeated(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        for _ in range(2):
            ws.transport.pause_reading()
        for _ in range(2):
            ws.transport.resume_reading()
        await raw.send_frame(TEXT, "x")
        assert await ws.recv() == "x"


@both_roles
async def test_connection_that_closes_while_reading_is_paused(role: str) -> None:
    async with against_raw(role, close_timeout=0.05) as (ws, raw):
        ws.transport.pause_reading()
        await raw.send_close()
        await ws.close()
        assert ws.state is State.CLOSED


# Writing


@both_roles
async def test_write_buffer(role: str) -> None:
    async with against_raw(role, receive_buffer=SMALL, write_limit=(1000, 500)) as (ws, raw):
        assert ws.transport.get_write_buffer_limits() == (500, 1000)
        assert ws.transport.get_write_buffer_size() == 0
        with blocked(ws):
            await settle()
            size = ws.transport.get_write_buffer_size()
            assert 1000 < size < len(BLOCKER) + 14
            await raw.recv_exactly(len(BLOCKER) // 2)
            await until(lambda: ws.transport.get_write_buffer_size() < size)
        await until_drained(ws, raw)


async def until_drained(ws: Any, raw: Any) -> None:
    loop = asyncio.get_running_loop()
    while ws.transport.get_write_buffer_size():
        await loop.sock_recv(raw.sock, 1 << 18)
        await asyncio.sleep(0)


@both_roles
async def test_limits_that_are_changed(role: str) -> None:
    async with against_raw(role, receive_buffer=SMALL) as (ws, raw):
        with blocked(ws) as blocker:
            await settle()
            assert not blocker.done()
            ws.transport.set_write_buffer_limits(high=1 << 22)
            assert ws.transport.get_write_buffer_limits() == (1 << 20, 1 << 22)
            sending = asyncio.create_task(ws.send("more"))
            assert len(await raw.recv_payload(BINARY)) == len(BLOCKER)
            assert await raw.recv_payload(TEXT) == b"more"
            await asyncio.gather(blocker, sending)


@both_roles
async def test_what_is_written_past_the_connection_keeps_its_place(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        mask = role == "client"
        await ws.send("one")
        ws.transport.write(frame(TEXT, b"two", mask=mask))
        await ws.send("three")
        await ws.send("four")
        ws.transport.writelines([frame(TEXT, b"five", mask=mask), frame(TEXT, b"six", mask=mask)])
        await ws.send("seven")
        texts = [await raw.recv_payload(TEXT) for _ in range(7)]
        assert texts == [b"one", b"two", b"three", b"four", b"five", b"six", b"seven"]


@both_roles
async def test_large_write_past_the_connection(role: str) -> None:
    async with against_raw(role, receive_buffer=SMALL) as (ws, raw):
        with blocked(ws):
            await settle()
            ws.transport.write(frame(BINARY, bytes(300_000), mask=role == "client"))
            ws.transport.write(b"")
            last = asyncio.create_task(ws.send("last"))
            assert len(await raw.recv_payload(BINARY)) == len(BLOCKER)
            assert len(await raw.recv_payload(BINARY)) == 300_000
            assert await raw.recv_payload(TEXT) == b"last"
            await last


# Ending


@only_ropeway  # how a send that waits ends depends on the transport
@both_roles
async def test_abort(role: str) -> None:
    async with against_raw(role, receive_buffer=SMALL) as (ws, raw):
        with blocked(ws) as blocker:
            await settle()
            receiving = asyncio.create_task(ws.recv())
            await settle()
            assert not ws.transport.is_closing()
            ws.transport.abort()
            assert ws.transport.is_closing()
            for task in (blocker, receiving):
                with pytest.raises(ConnectionClosedError):
                    await task
        await ws.wait_closed()
        ws.transport.abort()
        assert ws.close_code == 1006


@only_ropeway
@both_roles
async def test_close_of_the_transport_flushes_it(role: str) -> None:
    async with against_raw(role, receive_buffer=SMALL) as (ws, raw):
        with blocked(ws) as blocker:
            await settle()
            ws.transport.close()
            assert ws.transport.is_closing()
            assert ws.state is State.OPEN
            assert len(await raw.recv_payload(BINARY)) == len(BLOCKER)
            assert await raw.recv_eof() == b""
            await asyncio.wait([blocker])
        raw.close()
        await ws.wait_closed()
        ws.transport.close()
        with pytest.raises(ConnectionClosedError):
            await ws.send("x")


@both_roles
async def test_write_eof_of_the_transport(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        assert ws.transport.can_write_eof()
        await ws.send("last")
        ws.transport.write_eof()
        assert await raw.recv_payload(TEXT) == b"last"
        assert await raw.recv_eof() == b""
        await raw.send_frame(TEXT, "still read")
        assert await ws.recv() == "still read"


@only_ropeway  # on asyncio's transports, write_eof() raises it
@both_roles
async def test_write_eof_to_a_peer_that_is_gone(role: str) -> None:
    # In debug mode, too, nobody is told of what reading will find, and `run` fails if anybody is.
    asyncio.get_running_loop().set_debug(True)
    async with against_raw(role) as (ws, raw):
        ws.transport.pause_reading()
        raw.reset()
        poll = select.poll()
        poll.register(raw_fileno(ws), 0)
        await until(lambda: bool(poll.poll(0)))
        ws.transport.write_eof()
        ws.transport.resume_reading()
        await ws.wait_closed()
        assert ws.close_code == 1006


@both_roles
async def test_shutdown_of_the_socket_by_somebody_else(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        receiving = asyncio.create_task(ws.recv())
        await settle()
        duplicate = socket.socket(fileno=socket.dup(raw_fileno(ws)))
        with duplicate:
            duplicate.shutdown(socket.SHUT_RDWR)
        with pytest.raises(ConnectionClosedError):
            await receiving
        assert await raw.recv_eof() == b""
        await ws.wait_closed()


def raw_fileno(ws: Any) -> int:
    return int(ws.transport.get_extra_info("socket").fileno())


@both_roles
async def test_descriptor_is_closed_at_the_end(role: str) -> None:
    # As the transport's: another socket that gets its number must not be hurt by late calls.
    async with against_raw(role) as (ws, raw):
        number = raw_fileno(ws)
        ws.transport.abort()
        await ws.wait_closed()
        await settle()
        first, second = socket.socketpair()
        with first, second:
            numbers = {first.fileno(), second.fileno()}
            assert number in numbers
            ws.transport.abort()
            ws.transport.close()
            with contextlib.suppress(ConnectionClosedError):
                await ws.send("x")
            first.send(b"ping")
            assert second.recv(100) == b"ping"


# Unix sockets


async def test_conversation_over_a_unix_socket(tmp_path: Any) -> None:
    async with over_unix(tmp_path / "socket") as (near, far):
        for index in range(100):
            await near.send(str(index))
            assert await far.recv() == str(index)
            await far.send(bytes(index * 1000))
            assert await near.recv() == bytes(index * 1000)
        await near.close(1001, "bye")
        await far.wait_closed()
        assert (far.close_code, far.close_reason) == (1001, "bye")


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets")
@only_ropeway
async def test_unix_socket_whose_peer_is_gone(tmp_path: Any) -> None:
    async with over_unix(tmp_path / "socket") as (near, far):
        far.transport.abort()
        with pytest.raises(ConnectionClosedError):
            await near.recv()
        with pytest.raises(ConnectionClosedError):
            await near.send("x")
