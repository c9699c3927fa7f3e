"""picows with its API of websockets: the same program."""

from __future__ import annotations

import socket

from picows.websockets.asyncio import client, server

from .clients import Job
from .host import Options


async def echo_handler(connection: server.ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


async def serve(listener: socket.socket, options: Options) -> None:
    await server.serve(
        echo_handler,
        sock=listener,
        ssl=options.tls,
        compression="deflate" if options.compression else None,
    )


async def echo(url: str, job: Job) -> None:
    counter = job.counter()
    async with client.connect(url, compression=None) as connection:
        await job.begin()
        for message in job.messages:
            await connection.send(message)
        async for message in connection:
            counter.value += 1
            await connection.send(message)


async def consume(url: str, job: Job) -> None:
    counter = job.counter()
    async with client.connect(url, compression=None) as connection:
        await job.begin()
        async for _ in connection:
            counter.value += 1
