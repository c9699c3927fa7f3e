"""uvicorn with ropeway's implementation, and the same ASGI program."""

from __future__ import annotations

import socket

from .host import Options
from .uvicorn_ import serve_with


async def serve(listener: socket.socket, options: Options) -> None:
    await serve_with("ropeway.asgi.uvicorn:WebSocketProtocol", listener, options)
