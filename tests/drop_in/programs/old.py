"""A server of 2019 and its visitor, with the names of those days."""

import asyncio
import http

import websockets
import websockets.client
import websockets.server
from websockets.exceptions import InvalidStatusCode
from websockets.server import WebSocketServerProtocol


class Door(WebSocketServerProtocol):
    async def process_request(self, path, request_headers):
        if path == "/closed":
            return http.HTTPStatus.FORBIDDEN, [("X-Door", "closed")], b"closed\n"
        return None


async def greet(websocket: websockets.WebSocketServerProtocol, path):
    name = await websocket.recv()
    await websocket.send(f"Hello {name} at {path}, you speak {websocket.subprotocol}!")


async def visit(port):
    uri = f"ws://localhost:{port}"
    async with websockets.client.connect(
        f"{uri}/door", subprotocols=["de", "en"], extra_headers={"X-Name": "Ann"}
    ) as websocket:
        print(isinstance(websocket, websockets.WebSocketClientProtocol), websocket.open)
        await websocket.send("Ann")
        print(await websocket.recv())
        try:
            await websocket.recv()
        except websockets.ConnectionClosed as exc:
            print(exc.code, repr(exc.reason), websocket.closed)
    try:
        await websockets.client.connect(f"{uri}/closed")
    except InvalidStatusCode as exc:
        print(exc, exc.headers["X-Door"])


async def main():
    async with websockets.server.serve(
        greet, "localhost", 0, klass=Door, subprotocols=["en", "fr"], timeout=5
    ) as server:
        await visit(server.sockets[0].getsockname()[1])


asyncio.run(main())
