"""Programs on trio, for mypy and pyright to read; nothing here is run."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from typing import assert_type

import trio
from werkzeug.routing import Map, Rule

import ropeway
from ropeway.trio.client import ClientConnection, connect, unix_connect
from ropeway.trio.router import Router, route, unix_route
from ropeway.trio.server import Server, ServerConnection, basic_auth, broadcast, serve, unix_serve


async def opens(context: ssl.SSLContext, stream: trio.abc.Stream, nursery: trio.Nursery) -> None:
    async with connect("wss://localhost", ssl=context, additional_headers={"A": "b"}) as connection:
        assert_type(connection, ClientConnection)
    async with connect("ws://localhost", stream=stream, proxy=None) as connection:
        assert_type(connection, ClientConnection)
    async with unix_connect("/run/app.sock", ping_interval=None) as connection:
        assert_type(connection, ClientConnection)
    assert_type(await connect("ws://localhost").connect(nursery), ClientConnection)
    async for again in connect("ws://localhost", max_size=None, preemptive_basic=False):
        assert_type(again, ClientConnection)
    async for again in unix_connect("/run/app.sock"):
        assert_type(again, ClientConnection)


async def receives(connection: ClientConnection, decode: bool) -> None:
    assert_type(await connection.recv(), str | bytes)
    assert_type(await connection.recv(None), str | bytes)
    assert_type(await connection.recv(True), str)
    assert_type(await connection.recv(decode=True), str)
    assert_type(await connection.recv(decode=False), bytes)
    assert_type(await connection.recv(decode), str | bytes)
    assert_type([message async for message in connection], list[str | bytes])
    assert_type([part async for part in connection.recv_streaming()], list[str | bytes])
    assert_type([part async for part in connection.recv_streaming(True)], list[str])
    assert_type([part async for part in connection.recv_streaming(decode=False)], list[bytes])
    await connection.recv_json()


async def sends(connection: ClientConnection) -> None:
    async def parts() -> AsyncIterator[str]:
        yield "a"

    await connection.send("text")
    await connection.send(bytearray(b"binary"), text=True, compress=False)
    await connection.send(["a", "b"])
    await connection.send(parts())
    await connection.send_json({"a": [1, 2.5, None]})
    assert_type(await connection.ping(b"a", ack_on_close=True), trio.Event)
    await connection.aclose(1001, "bye")
    await connection.wait_closed()
    connection.abort()


async def looks(connection: ServerConnection) -> None:
    assert_type(connection.latency, float)
    assert_type(connection.state, ropeway.State)
    assert_type(connection.subprotocol, ropeway.Subprotocol | None)
    assert_type(connection.request, ropeway.Request | None)
    assert_type(connection.close_code, int | None)
    assert_type(connection.username, str)
    assert_type(connection.stats.messages_sent, int)


async def handler(connection: ServerConnection) -> None:
    await broadcast([connection], "all", text=False, slow_consumer="drop")


async def serves(nursery: trio.Nursery, context: ssl.SSLContext) -> None:
    def refuse(connection: ServerConnection, request: ropeway.Request) -> ropeway.Response | None:
        return connection.respond(403, "no") if request.path == "/" else None

    async def allowed(user: str, password: str) -> bool:
        return user == password

    await serve(handler, 8080, host="127.0.0.1", process_request=refuse, ssl=context)
    await serve(handler, 8080, process_request=basic_auth("realm", ("user", "pass")))
    await serve(handler, 8080, process_request=basic_auth(check_credentials=allowed))
    await unix_serve(handler, "/run/app.sock", max_size=None)
    server: Server = await nursery.start(serve, handler, 0)
    assert_type(server.connections, set[ServerConnection])
    assert_type(server.listeners, list[trio.SocketListener])
    await broadcast(server.connections, b"all", raise_exceptions=True)
    await server.aclose()


class Mine(Router):
    """A subclass keeps its types."""

    async def handler(self, connection: ServerConnection) -> None:
        await super().handler(connection)


async def routes() -> None:
    async def channel(connection: ServerConnection, name: str) -> None:
        await connection.send(name)

    rules = Map([Rule("/channel/<name>", endpoint=channel)])
    await route(rules, 8080, create_router=Mine)
    await unix_route(rules, "/run/app.sock")
