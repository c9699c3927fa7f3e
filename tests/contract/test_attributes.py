"""What a connection tells about itself."""

from __future__ import annotations

import asyncio
import inspect
import logging
import uuid
from collections.abc import Awaitable, Coroutine
from typing import Any

import pytest

from ..support.drivers import asyncio_only
from ..support.endpoints import against_raw, both_roles, pair
from ..support.rawpeer import BINARY, PING, PONG, TEXT
from ..support.subject import (
    ClientConnection,
    ServerConnection,
    State,
    module,
    only_ropeway,
)


@asyncio_only("it names the classes and the transport of asyncio")
@both_roles
async def test_attributes_of_an_open_connection(role: str) -> None:
    async with against_raw(
        role, headers="Sec-WebSocket-Protocol: chat\r\n", subprotocols=["chat"]
    ) as (ws, raw):
        assert isinstance(ws, ClientConnection if role == "client" else ServerConnection)
        assert isinstance(ws.id, uuid.UUID)
        assert ws.state is State.OPEN
        assert ws.subprotocol == "chat"
        assert (ws.close_code, ws.close_reason) == (None, None)
        assert ws.latency == 0.0
        assert ws.local_address == raw.sock.getpeername()
        assert ws.remote_address == raw.sock.getsockname()
        assert ws.transport.get_extra_info("peername") == ws.remote_address
        assert ws.transport.get_extra_info("socket") is not None
        assert ws.protocol.state is State.OPEN
        assert ws.protocol.subprotocol == "chat"


@both_roles
async def test_request_and_response(role: str) -> None:
    async with against_raw(role, headers="X-Extra: yes\r\n") as (ws, raw):
        http11 = module("http11")
        assert isinstance(ws.request, http11.Request)
        assert isinstance(ws.response, http11.Response)
        assert ws.request.path == "/"
        assert ws.request.headers["upgrade"].lower() == "websocket"
        assert (ws.response.status_code, ws.response.reason_phrase) == (101, "Switching Protocols")
        received = ws.response if role == "client" else ws.request
        assert received.headers["X-Extra"] == "yes"
        assert b"\r\nSec-WebSocket-" in raw.head


@both_roles
async def test_no_subprotocol(role: str) -> None:
    async with against_raw(role) as (ws, _):
        assert ws.subprotocol is None


async def test_ids_are_distinct() -> None:
    async with pair() as (client, server), pair() as (client2, server2):
        assert len({client.id, server.id, client2.id, server2.id}) == 4


@both_roles
async def test_logger(role: str) -> None:
    mine = logging.getLogger("mine")
    async with against_raw(role, logger=mine) as (ws, _):
        assert isinstance(ws.logger, logging.LoggerAdapter)
        assert ws.logger.logger is mine
        assert ws.logger.extra["websocket"].id == ws.id


@both_roles
async def test_extensions_of_the_protocol(role: str) -> None:
    async with pair(compression="deflate") as (client, server):
        ws = client if role == "client" else server
        assert [extension.name for extension in ws.protocol.extensions] == ["permessage-deflate"]


@both_roles
async def test_attributes_after_the_end(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        local, remote = ws.local_address, ws.remote_address
        await raw.close_handshake(1001, "bye")
        await ws.wait_closed()
        assert ws.state is State.CLOSED
        assert (ws.close_code, ws.close_reason) == (1001, "bye")
        assert (ws.local_address, ws.remote_address) == (local, remote)
        assert ws.request is not None
        assert ws.response is not None


@both_roles
async def test_connections_are_hashable_and_equal_to_themselves_only(role: str) -> None:
    async with against_raw(role) as (ws, _), against_raw(role) as (other, _):
        assert {ws, other, ws} == {ws, other}
        assert ws != other


@both_roles
async def test_a_connection_is_a_context_and_an_iterable_not_a_coroutine(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        for name in ("__aenter__", "__aexit__", "__aiter__"):
            assert hasattr(ws, name)
        assert not isinstance(ws, Awaitable)
        receiving = ws.recv()
        assert inspect.isawaitable(receiving)
        assert isinstance(receiving, Coroutine)
        assert asyncio.iscoroutine(receiving)
        sending = ws.send("x")
        assert asyncio.iscoroutine(sending)
        await sending
        await raw.send_frame(TEXT, "y")
        assert await receiving == "y"


@asyncio_only("it is a subclass of asyncio's classes")
@both_roles
async def test_subclass_with_its_own_methods(role: str) -> None:
    base = ClientConnection if role == "client" else ServerConnection

    class Mine(base):  # type: ignore[misc,valid-type]
        async def recv_upper(self) -> str:
            return (await self.recv()).upper()

        async def recv(self, *args: Any, **kwargs: Any) -> Any:
            return f"<{await super().recv(*args, **kwargs)}>"

    async with against_raw(role, create_connection=Mine) as (ws, raw):
        assert isinstance(ws, Mine)
        ws.user = "attributes can be added"
        await raw.send(raw.frame(TEXT, "a"), raw.frame(TEXT, "b"))
        assert await ws.recv_upper() == "<A>"
        assert await anext(aiter(ws)) == "<b>"


# What ropeway adds


@only_ropeway
@both_roles
async def test_stats(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        before = ws.stats
        assert before.messages_sent == before.messages_received == 0
        await ws.send("x" * 10)
        await ws.send([b"a", b"b"])
        waiter = await ws.ping("1234")
        for _ in range(5):
            frame = await raw.recv_frame()
        assert frame.opcode == PING
        await raw.send(
            raw.frame(PONG, "1234"),
            raw.frame(PING, "56"),
            raw.frame(BINARY, b"y" * 20, fin=False),
            raw.frame(0x0, b"z"),
        )
        assert await ws.recv() == b"y" * 20 + b"z"
        await waiter
        await raw.recv_payload(PONG)
        stats = ws.stats
        mask = 4 if role == "client" else 0
        raw_mask = 4 - mask
        assert (stats.messages_sent, stats.messages_received) == (2, 1)
        assert (stats.frames_sent, stats.frames_received) == (6, 4)
        assert (stats.pings_sent, stats.pings_received) == (1, 1)
        assert (stats.pongs_sent, stats.pongs_received) == (1, 1)
        sent = 6 * (2 + mask) + 10 + 2 + 4 + 2
        received = 4 * (2 + raw_mask) + 4 + 2 + 20 + 1
        assert stats.bytes_sent - before.bytes_sent == sent
        assert stats.bytes_received - before.bytes_received == received
        assert (stats.payload_bytes_sent, stats.payload_bytes_received) == (12, 21)
        assert (before.messages_sent, before.messages_received) == (0, 0)
        with pytest.raises(AttributeError):
            stats.messages_sent = 5


@only_ropeway
@both_roles
async def test_stats_of_compression(role: str) -> None:
    async with pair(compression="deflate") as (client, server):
        near, far = (client, server) if role == "client" else (server, client)
        await near.send("x" * 10_000)
        await far.recv()
        for ratio in (near.stats.compression_ratio_sent, far.stats.compression_ratio_received):
            assert ratio != 1
        assert near.stats.payload_bytes_sent == far.stats.payload_bytes_received == 10_000
        assert near.stats.bytes_sent < 2000


@only_ropeway
@both_roles
async def test_deprecated_open_and_closed(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        with pytest.warns(DeprecationWarning, match="state"):
            assert ws.open is True
        with pytest.warns(DeprecationWarning, match="state"):
            assert ws.closed is False
        await raw.close_handshake()
        await ws.wait_closed()
        with pytest.warns(DeprecationWarning, match="state"):
            assert ws.open is False
        with pytest.warns(DeprecationWarning, match="state"):
            assert ws.closed is True


@asyncio_only("only asyncio has a transport")
@only_ropeway
@both_roles
async def test_taking_the_transport_loses_nothing(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        await ws.send("first")
        await ws.send("second")  # waits to be joined with what else this turn sends
        ws.transport.close()
        assert [await raw.recv_payload(TEXT) for _ in range(2)] == [b"first", b"second"]
