"""ropeway's server for trio."""

from __future__ import annotations

import socket

import trio

from ropeway.trio.server import ServerConnection
from ropeway.trio.server import serve as serve_websocket

from .host import Options


async def echo_handler(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


async def serve(listener: socket.socket, options: Options) -> None:
    await serve_websocket(
        echo_handler,
        listeners=[trio.SocketListener(trio.socket.from_stdlib_socket(listener))],
        ssl=options.tls,
        compression="deflate" if options.compression else None,
    )
