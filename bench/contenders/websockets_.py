"""websockets: the same program."""

from __future__ import annotations

import socket

from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_websockets

from .host import Options


async def echo_handler(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


async def serve(listener: socket.socket, options: Options) -> None:
    await serve_websockets(
        echo_handler,
        sock=listener,
        ssl=options.tls,
        compression="deflate" if options.compression else None,
    )
