"""Rooms: servers that send one message to all who are connected, each in its package's own way.

Each function serves on a listening socket, until cancelled, and returns the function that
broadcasts. Nobody in the rooms says a word.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import socket
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

from .host import Options

Cast = Callable[[str], Awaitable[None] | None]


async def ropeway(listener: socket.socket, options: Options) -> Cast:
    import ropeway
    from ropeway.asyncio.server import broadcast

    return await _like_websockets(ropeway.serve, broadcast, listener, options)


async def websockets(listener: socket.socket, options: Options) -> Cast:
    from websockets.asyncio.server import broadcast, serve

    return await _like_websockets(serve, broadcast, listener, options)


async def picows_websockets(listener: socket.socket, options: Options) -> Cast:
    from picows.websockets import broadcast, serve

    return await _like_websockets(serve, broadcast, listener, options)


async def _like_websockets(
    serve: Any, broadcast: Any, listener: socket.socket, options: Options
) -> Cast:
    room: set[Any] = set()

    async def handler(connection: Any) -> None:
        room.add(connection)
        try:
            await connection.wait_closed()
        finally:
            room.remove(connection)

    await serve(handler, sock=listener, compression="deflate" if options.compression else None)
    return lambda message: broadcast(room, message)


async def aiohttp(listener: socket.socket, options: Options) -> Cast:
    """Serve with aiohttp, which has no broadcast of its own: a loop of ``send_str``."""
    from aiohttp import web

    room: set[web.WebSocketResponse] = set()

    async def handler(request: web.Request) -> web.WebSocketResponse:
        response = web.WebSocketResponse(compress=options.compression)
        await response.prepare(request)
        room.add(response)
        try:
            async for _ in response:
                pass
        finally:
            room.remove(response)
        return response

    application = web.Application()
    application.router.add_get("/", handler)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.SockSite(runner, listener, backlog=1024).start()

    async def cast(message: str) -> None:
        for response in room:
            await response.send_str(message)

    return cast


async def picows(listener: socket.socket, options: Options) -> Cast:
    """Serve with picows' callbacks: a loop of ``transport.send``."""
    import picows

    room: set[picows.WSTransport] = set()

    class Listener(picows.WSListener):
        def on_ws_connected(self, transport: picows.WSTransport) -> None:
            room.add(transport)

        def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
            room.remove(transport)

    await picows.ws_create_server(lambda _: Listener(), sock=listener)

    def cast(message: str) -> None:
        payload = message.encode()
        for transport in room:
            transport.send(picows.WSMsgType.TEXT, payload)

    return cast


async def bare_sends(listener: socket.socket, options: Options) -> Cast:
    """Serve with nothing but sockets: a frame that is made once, and a loop of ``sock.send``."""
    connections: list[socket.socket] = []
    accepting = asyncio.create_task(_accept_bare(listener, connections, options.compression))

    def cast(message: str) -> None:
        assert not accepting.done()
        payload, first = message.encode(), 0x81
        if options.compression:
            # A compressor that starts afresh: what it makes is right for every peer.
            compressor = zlib.compressobj(wbits=-12, memLevel=5)
            data = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
            payload, first = data[:-4], 0xC1
        frame = bytes([first, len(payload)]) + payload
        for connection in connections:
            connection.send(frame)

    return cast


async def _accept_bare(
    listener: socket.socket, connections: list[socket.socket], compression: bool
) -> None:
    loop = asyncio.get_running_loop()
    listener.setblocking(False)
    while True:
        connection, _ = await loop.sock_accept(listener)
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            request += await loop.sock_recv(connection, 4096)
        key = request.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0]
        accept = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        response = [
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Accept: {base64.b64encode(accept).decode()}",
        ]
        if compression:
            extension = "permessage-deflate; server_no_context_takeover"
            response.append(f"Sec-WebSocket-Extensions: {extension}")
        await loop.sock_sendall(connection, "\r\n".join([*response, "", ""]).encode())
        connections.append(connection)
