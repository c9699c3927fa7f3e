"""A Starlette application that a command line serves; the test edits the greeting in a copy."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

GREETING = "hello"


async def greet(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text(GREETING)
    try:
        async for text in socket.iter_text():
            await socket.send_text(text)
    except WebSocketDisconnect:
        pass


async def close(socket: WebSocket) -> None:
    await socket.accept()
    await socket.close(4001, "enough")


async def deny(socket: WebSocket) -> None:
    response = PlainTextResponse("no such cabin", 404, headers={"X-Cabin": "none"})
    await socket.send_denial_response(response)


ends: list[tuple[int, str]] = []


async def end(socket: WebSocket) -> None:
    await socket.accept()
    try:
        await socket.receive_json()
    except WebSocketDisconnect as exc:
        ends.append((exc.code, exc.reason))


app = Starlette(
    routes=[
        WebSocketRoute("/", greet),
        WebSocketRoute("/close", close),
        WebSocketRoute("/deny", deny),
        WebSocketRoute("/end", end),
    ]
)
