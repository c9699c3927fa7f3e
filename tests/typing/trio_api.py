"""Programs on trio, for mypy and pyright to read; nothing here is run."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from typing import assert_type

import trio

import ropeway
from ropeway.trio.client import ClientConnection, connect, unix_connect
from ropeway.trio.server import (
    Server,
    ServerConnection,
    basic_auth,
    broadcast,
    serve,
    unix_serve,
)


async def opens(context: ssl.SSLContext) -> None:
    async with connect("wss://localhost", ssl=context, subprotocols=None) as connection:
        assert_type(connection, ClientConnection)
        await connection.send("text")
        await connection.send(b"binary", text=True)
        await connection.send(["frag", "ments"])
        await connection.aclose(1001, "bye")
    async with unix_connect("/run/app.sock") as connection:
        assert_type(connection, ClientConnection)
    async for again in connect("ws://localhost", max_size=None, preemptive_basic=False):
        assert_type(again, ClientConnection)


async def receives(connection: ClientConnection) -> None:
    assert_type(await connection.recv(), ropeway.Data)
    assert_type(await connection.recv(decode=True), str)
    assert_type(await connection.recv(decode=False), bytes)
    async for message in connection:
        assert_type(message, ropeway.Data)
    async for part in connection.recv_streaming(decode=True):
        assert_type(part, str)
    async for piece in connection.recv_streaming(decode=False):
        assert_type(piece, bytes)


async def looks(connection: ServerConnection) -> None:
    assert_type(connection.state, ropeway.State)
    assert_type(connection.subprotocol, ropeway.Subprotocol | None)
    assert_type(connection.request, ropeway.Request | None)
    assert_type(connection.close_code, int | None)
    assert_type(connection.latency, float)


async def serves(nursery: trio.Nursery) -> None:
    async def handler(connection: ServerConnection) -> None:
        await broadcast([connection], "all")

    async def refuse(
        connection: ServerConnection, request: ropeway.Request
    ) -> ropeway.Response | None:
        return connection.respond(403, "no") if request.path == "/" else None

    started: Callable[..., Awaitable[None]] = serve
    server: Server = await nursery.start(started, handler, 0)
    assert_type(server.connections, set[ServerConnection])
    await unix_serve(
        handler, "/run/app.sock", process_request=basic_auth("realm", ("user", "pass"))
    )
    await serve(handler, 0, host="127.0.0.1", process_request=refuse)
