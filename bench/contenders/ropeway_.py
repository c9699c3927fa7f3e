"""ropeway, as a program written for websockets would use it."""

from __future__ import annotations

import socket

import ropeway

from .host import Options


async def echo_handler(connection: ropeway.ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


async def serve(listener: socket.socket, options: Options) -> None:
    await ropeway.serve(
        echo_handler,
        sock=listener,
        ssl=options.tls,
        compression="deflate" if options.compression else None,
    )
