"""aiohttp: its web server and its client session."""

from __future__ import annotations

import socket

import aiohttp
from aiohttp import web

from .clients import Job
from .host import Options


async def serve(listener: socket.socket, options: Options) -> None:
    async def echo(request: web.Request) -> web.WebSocketResponse:
        response = web.WebSocketResponse(compress=options.compression)
        await response.prepare(request)
        async for message in response:
            if message.type is aiohttp.WSMsgType.TEXT:
                await response.send_str(message.data)
            else:
                await response.send_bytes(message.data)
        return response

    application = web.Application()
    application.router.add_get("/", echo)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.SockSite(runner, listener, ssl_context=options.tls).start()


async def echo(url: str, job: Job) -> None:
    counter = job.counter()
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(url, compress=0) as connection,
    ):
        send = connection.send_str if job.text else connection.send_bytes
        await job.begin()
        for message in job.messages:
            await send(message)
        async for message in connection:
            counter.value += 1
            await send(message.data)


async def consume(url: str, job: Job) -> None:
    counter = job.counter()
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(url, compress=0) as connection,
    ):
        await job.begin()
        async for _ in connection:
            counter.value += 1
