"""Programs on the legacy API, for mypy and pyright to read; nothing here is run."""

from __future__ import annotations

from typing import assert_type

from ropeway import Headers, Subprotocol
from ropeway.legacy.auth import BasicAuthWebSocketServerProtocol, basic_auth_protocol_factory
from ropeway.legacy.client import WebSocketClientProtocol, connect
from ropeway.legacy.exceptions import InvalidStatusCode
from ropeway.legacy.framing import Frame, prepare_data
from ropeway.legacy.server import HTTPResponse, WebSocketServer, WebSocketServerProtocol, serve


class Gate(WebSocketServerProtocol):
    async def process_request(self, path: str, request_headers: Headers) -> HTTPResponse | None:
        return (200, {"X-A": "b"}, b"fine\n") if path == "/health" else None


class Checking(BasicAuthWebSocketServerProtocol):
    async def check_credentials(self, username: str, password: str) -> bool:
        return username == password


async def serves() -> None:
    async def handler(websocket: WebSocketServerProtocol) -> None:
        assert_type(websocket.path, str)
        assert_type(websocket.request_headers, Headers)
        assert_type(websocket.subprotocol, Subprotocol | None)
        async for message in websocket:
            await websocket.send(message)

    async def older(websocket: WebSocketServerProtocol, path: str) -> None:
        await websocket.send(path)

    async with serve(handler, "127.0.0.1", 0, create_protocol=Gate) as server:
        assert_type(server, WebSocketServer)
        assert_type(server.websockets, set[WebSocketServerProtocol])
    await serve(older, create_protocol=basic_auth_protocol_factory(create_protocol=Checking))


async def connects() -> None:
    async with connect("ws://localhost/") as websocket:
        assert_type(websocket, WebSocketClientProtocol)
        assert_type(await websocket.recv(), str | bytes)
        assert_type(await websocket.recv(decode=True), str)
        assert_type(websocket.open, bool)
        assert_type(websocket.latency, float)
    assert_type(await connect("ws://localhost/"), WebSocketClientProtocol)
    async for again in connect("ws://localhost/"):
        assert_type(again, WebSocketClientProtocol)


def words(exc: InvalidStatusCode) -> None:
    assert_type(exc.status_code, int)
    assert_type(Frame(True, prepare_data("a")[0], b"").fin, bool)
