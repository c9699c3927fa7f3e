"""Programs against the public names, for mypy and pyright to read; nothing here is run.

``assert_type`` says what a user's editor should show.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable
from typing import assert_type

import ropeway
from ropeway.asyncio.client import connect, unix_connect
from ropeway.asyncio.server import ServerConnection, basic_auth, broadcast, serve


async def opens(context: ssl.SSLContext) -> None:
    async with connect("ws://localhost", ssl=context, additional_headers={"A": "b"}) as entered:
        assert_type(entered, ropeway.ClientConnection)
    assert_type(await connect("ws://localhost", subprotocols=None), ropeway.ClientConnection)
    assert_type(await unix_connect("/run/app.sock"), ropeway.ClientConnection)
    async for again in ropeway.connect("ws://localhost", max_size=None, ping_interval=30):
        assert_type(again, ropeway.ClientConnection)


async def receives(connection: ropeway.ClientConnection) -> None:
    assert_type(await connection.recv(), str | bytes)
    assert_type(await connection.recv(True), str)
    assert_type(await connection.recv(decode=True, timeout=1.5), str)
    assert_type(await connection.recv(decode=False), bytes)
    async for message in connection:
        assert_type(message, str | bytes)
    async for part in connection.recv_streaming():
        assert_type(part, str | bytes)


async def sends(connection: ropeway.ClientConnection) -> None:
    async def parts() -> AsyncIterator[str]:
        yield "a"

    await connection.send("text")
    await connection.send(bytearray(b"binary"), text=True, compress=False)
    await connection.send(["a", "b"])
    await connection.send(parts())
    await connection.send_json({"a": [1, 2.5, None]})
    waiter = await connection.ping()
    assert_type(waiter, Awaitable[float])
    assert_type(await waiter, float)
    await connection.close(1001, "bye")


async def looks(connection: ropeway.ServerConnection) -> None:
    assert_type(connection.latency, float)
    assert_type(connection.state, ropeway.State)
    assert_type(connection.subprotocol, ropeway.Subprotocol | None)
    assert_type(connection.request, ropeway.Request | None)
    assert_type(connection.close_code, int | None)
    assert_type(connection.close_reason, str | None)
    assert_type(connection.stats.messages_sent, int)


async def serves() -> None:
    async def handler(connection: ServerConnection) -> None:
        broadcast([connection], "all")

    def refuse(connection: ServerConnection, request: ropeway.Request) -> ropeway.Response | None:
        return connection.respond(403, "no") if request.path == "/" else None

    async with serve(handler, "127.0.0.1", 0, process_request=refuse) as server:
        assert_type(server, ropeway.Server)
        assert_type(server.connections, set[ServerConnection])
        await server.serve_forever()
    await serve(handler, origins=[None], process_request=basic_auth("realm", ("user", "pass")))


def fails(error: ropeway.ConnectionClosed) -> None:
    assert_type(error.rcvd, ropeway.Close | None)
    assert_type(error.rcvd_then_sent, bool | None)


def names() -> None:
    assert_type(ropeway.build == "compiled", bool)
    assert_type(ropeway.__version__, str)
    ropeway.install_as_websockets()
