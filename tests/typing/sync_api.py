"""Programs on threads, for mypy and pyright to read; nothing here is run."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Generator, Iterator
from typing import assert_type

from werkzeug.routing import Map, Rule

import ropeway
from ropeway.sync.client import (
    ClientConnection,
    connect,
    reconnect,
    unix_connect,
    unix_reconnect,
)
from ropeway.sync.router import Router, route, unix_route
from ropeway.sync.server import Server, ServerConnection, basic_auth, broadcast, serve, unix_serve


def opens(context: ssl.SSLContext) -> None:
    with connect("wss://localhost", ssl=context, additional_headers={"A": "b"}) as connection:
        assert_type(connection, ClientConnection)
    with unix_connect("/run/app.sock", ping_interval=None) as connection:
        assert_type(connection, ClientConnection)
    assert_type(connect("ws://localhost", legacy=True), ClientConnection)
    assert_type(connect("ws://localhost", legacy=False, max_size=None), reconnect)
    assert_type(connect("ws://localhost", address=("127.0.0.1", 80), timeout=5), ClientConnection)
    assert_type(unix_connect("/run/app.sock", legacy=False), reconnect)


def opens_again(context: ssl.SSLContext) -> None:
    for again in reconnect("ws://localhost", max_size=None, preemptive_basic=False):
        assert_type(again, ClientConnection)
    for again in unix_reconnect("/run/app.sock", "wss://localhost", ssl=context):
        assert_type(again, ClientConnection)
    with reconnect("ws://localhost", source_address=("127.0.0.1", 0), all_errors=True) as once:
        assert_type(once, ClientConnection)
    assert_type(reconnect("ws://localhost").connect(), ClientConnection)
    reconnect("ws://localhost", reconnect_delays=delays, process_exception=lambda exc: exc)


def delays() -> Generator[float, None, None]:
    yield 0.5


def receives(connection: ClientConnection) -> None:
    assert_type(connection.recv(), str | bytes)
    assert_type(connection.recv(decode=True), str)
    assert_type(connection.recv(timeout=1.5, decode=False), bytes)
    assert_type(connection.recv(decode=None), str | bytes)
    for message in connection:
        assert_type(message, str | bytes)
    for part in connection.recv_streaming(decode=True):
        assert_type(part, str)
    connection.recv_json(timeout=1)


def sends(connection: ClientConnection) -> None:
    def parts() -> Iterator[bytes]:
        yield b"a"

    connection.send("text")
    connection.send(b"binary", text=True, compress=False)
    connection.send(memoryview(b"binary"))
    connection.send(["frag", "ments"])
    connection.send(parts())
    connection.send_json({"a": [1, 2.5, None]})
    pong = connection.ping(b"a", ack_on_close=True)
    assert_type(pong.wait(1), bool)
    waited: threading.Event = pong
    waited.is_set()
    connection.close(1001, "bye")
    connection.abort()


def looks(connection: ServerConnection) -> None:
    assert_type(connection.state, ropeway.State)
    assert_type(connection.subprotocol, ropeway.Subprotocol | None)
    assert_type(connection.request, ropeway.Request | None)
    assert_type(connection.close_code, int | None)
    assert_type(connection.latency, float)
    assert_type(connection.username, str)
    assert_type(connection.stats.messages_sent, int)


def handler(connection: ServerConnection) -> None:
    broadcast([connection], "all", text=False, slow_consumer="drop")


def serves(context: ssl.SSLContext) -> None:
    def refuse(connection: ServerConnection, request: ropeway.Request) -> ropeway.Response | None:
        return connection.respond(403, "no") if request.path == "/" else None

    with serve(handler, "127.0.0.1", 0, process_request=refuse, ssl=context) as server:
        assert_type(server, Server)
        assert_type(server.connections, set[ServerConnection])
        broadcast(server.connections, b"all", raise_exceptions=True)
        server.serve_forever()
    unix_serve(handler, "/run/app.sock", process_request=basic_auth("realm", ("user", "pass")))
    serve(
        handler,
        origins=[ropeway.Origin("https://localhost"), None],
        process_request=basic_auth(check_credentials=lambda user, password: user == password),
    )


class Mine(Router):
    """A subclass keeps its types."""

    def handler(self, connection: ServerConnection) -> None:
        super().handler(connection)


def routes() -> None:
    def channel(connection: ServerConnection, name: str) -> None:
        connection.send(name)

    rules = Map([Rule("/channel/<name>", endpoint=channel)])
    with route(rules, "127.0.0.1", 0, create_router=Mine) as server:
        assert_type(server, Server)
    assert_type(unix_route(rules, "/run/app.sock"), Server)
