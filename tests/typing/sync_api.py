"""Programs on threads, for mypy and pyright to read; nothing here is run."""

from __future__ import annotations

import ssl
from typing import assert_type

import ropeway
from ropeway.sync.client import ClientConnection, connect, reconnect, unix_connect
from ropeway.sync.router import Router
from ropeway.sync.server import Server, ServerConnection, basic_auth, broadcast, serve, unix_serve


def opens(context: ssl.SSLContext) -> None:
    with connect("wss://localhost", ssl=context, additional_headers={"A": "b"}) as connection:
        assert_type(connection, ClientConnection)
        connection.send("text")
        connection.send(b"binary", text=True)
        connection.send(["frag", "ments"])
        connection.close(1001, "bye")
    with unix_connect("/run/app.sock") as connection:
        assert_type(connection, ClientConnection)
    for again in reconnect("ws://localhost", max_size=None, preemptive_basic=False):
        assert_type(again, ClientConnection)


def looks(connection: ServerConnection) -> None:
    assert_type(connection.state, ropeway.State)
    assert_type(connection.subprotocol, ropeway.Subprotocol | None)
    assert_type(connection.request, ropeway.Request | None)
    assert_type(connection.close_code, int | None)
    assert_type(connection.latency, float)


def serves() -> None:
    def handler(connection: ServerConnection) -> None:
        broadcast([connection], "all")

    def refuse(connection: ServerConnection, request: ropeway.Request) -> ropeway.Response | None:
        return connection.respond(403, "no") if request.path == "/" else None

    with serve(handler, "127.0.0.1", 0, process_request=refuse) as server:
        assert_type(server, Server)
        server.serve_forever()
    unix_serve(handler, "/run/app.sock", process_request=basic_auth("realm", ("user", "pass")))


class Mine(Router):
    """A subclass keeps its types."""

    def handler(self, connection: ServerConnection) -> None:
        super().handler(connection)
