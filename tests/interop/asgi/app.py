"""A small Starlette application with a WebSocket endpoint for each thing to look at."""

from __future__ import annotations

import asyncio

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

ends: asyncio.Queue[list[object]] = asyncio.Queue()
"""Code and reason of connections to ``/closed``, in the order in which they ended."""


async def echo(socket: WebSocket) -> None:
    await socket.accept()
    try:
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            if (text := message.get("text")) is not None:
                await socket.send_text(text)
            else:
                await socket.send_bytes(message["bytes"])
    except WebSocketDisconnect:
        pass


async def request(socket: WebSocket) -> None:
    await socket.accept(headers=[(b"x-cabin", b"seven"), (b"x-cabin", b"eight")])
    headers = [[name.decode(), value.decode()] for name, value in socket.headers.raw]
    url = socket.url
    await socket.send_json({"path": url.path, "query": url.query, "headers": headers})
    await socket.close()


async def chat(socket: WebSocket) -> None:
    offered = socket.scope["subprotocols"]
    await socket.accept(subprotocol="chat.v1" if "chat.v1" in offered else None)
    await socket.send_json(offered)
    await socket.receive()


async def close(socket: WebSocket) -> None:
    await socket.accept()
    query = socket.query_params
    await socket.close(int(query["code"]), query["reason"])


async def closed(socket: WebSocket) -> None:
    await socket.accept()
    message = await socket.receive()
    assert message["type"] == "websocket.disconnect"
    await ends.put([message["code"], message.get("reason") or ""])


async def last_end(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_json(await ends.get())
    await socket.close()


async def refuse(socket: WebSocket) -> None:
    await socket.close()


async def deny(socket: WebSocket) -> None:
    response = PlainTextResponse("no such cabin", 404, headers={"X-Cabin": "none"})
    await socket.send_denial_response(response)


async def fail(socket: WebSocket) -> None:
    raise RuntimeError("this endpoint fails on purpose")


async def page(request: object) -> PlainTextResponse:
    return PlainTextResponse("plain HTTP")


app = Starlette(
    routes=[
        Route("/page", page),
        WebSocketRoute("/", echo),
        WebSocketRoute("/echo", echo),
        WebSocketRoute("/request", request),
        WebSocketRoute("/chat", chat),
        WebSocketRoute("/close", close),
        WebSocketRoute("/closed", closed),
        WebSocketRoute("/last-end", last_end),
        WebSocketRoute("/refuse", refuse),
        WebSocketRoute("/deny", deny),
        WebSocketRoute("/fail", fail),
    ]
)
