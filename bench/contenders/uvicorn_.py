"""uvicorn with its default implementation, which is websockets, and a bare ASGI program."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

from .host import Options

Message = dict[str, Any]


async def echo(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        message["type"] = "websocket.send"
        await send(message)


async def serve(listener: socket.socket, options: Options) -> None:
    await serve_with("auto", listener, options)


async def serve_with(implementation: str, listener: socket.socket, options: Options) -> None:
    """Serve with the implementation that uvicorn's option ``ws`` names."""
    config = uvicorn.Config(
        echo,
        ws=implementation,
        ws_per_message_deflate=options.compression,
        ssl_certfile=options.certificate,
        lifespan="off",
        log_level="warning",
        access_log=False,
    )
    await uvicorn.Server(config).serve(sockets=[listener])
