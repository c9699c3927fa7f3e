"""aiohttp as a peer."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
from aiohttp import WSMsgType, web

from .base import (
    Accepting,
    Mailbox,
    Message,
    Peer,
    PeerConnection,
    PeerDistrustsError,
    PeerOptions,
    PeerRefusedError,
    Where,
    reading,
)


class AiohttpConnection(PeerConnection):
    def __init__(self, socket: Any, transport: Any, *, target: str, headers: Any) -> None:
        self._socket = socket
        self._transport = transport
        self._mailbox = Mailbox()
        self._closing = False
        self.target = target
        self.headers = {name.lower(): value for name, value in headers.items()}
        is_server = isinstance(socket, web.WebSocketResponse)
        self.subprotocol = socket.ws_protocol if is_server else socket.protocol

    async def read(self) -> None:
        reason = ""
        while True:
            message = await self._socket.receive()
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                self._mailbox.message(message.data)
            elif message.type is WSMsgType.PING:
                await self._socket.pong(message.data)
            elif message.type is WSMsgType.PONG:
                self._mailbox.pong(bytes(message.data))
            elif message.type is WSMsgType.CLOSE:
                reason = message.extra or ""
                break
            elif self._closing:
                return
            else:
                break
        self._mailbox.end(self._code(), reason)

    def _code(self) -> int:
        code = self._socket.close_code
        return 1005 if code == 0 else 1006 if code is None else int(code)

    async def send(self, message: Message) -> None:
        if isinstance(message, str):
            await self._socket.send_str(message)
        else:
            await self._socket.send_bytes(message)

    async def recv(self) -> Message:
        return await self._mailbox.next_message()

    async def ping(self, payload: bytes) -> None:
        await self._mailbox.pong_after(payload, lambda: self._socket.ping(payload))

    async def close(self, code: int, reason: str) -> None:
        self._closing = True
        await self._socket.close(code=code, message=reason.encode())
        self._mailbox.end(self._code(), "")

    async def closed(self) -> tuple[int, str]:
        return await self._mailbox.ended()

    def abort(self) -> None:
        self._transport.abort()


class Aiohttp(Peer):
    name = "aiohttp"

    @contextlib.asynccontextmanager
    async def connect(self, where: Where, options: PeerOptions) -> AsyncIterator[PeerConnection]:
        connector = aiohttp.UnixConnector(where.unix) if where.unix else None
        async with aiohttp.ClientSession(connector=connector) as session:
            arguments: dict[str, Any] = {"ssl": options.tls.client} if options.tls else {}
            window_bits = 0
            if options.deflate:
                window_bits = options.deflate.server_max_window_bits or 15
            try:
                socket = await session.ws_connect(
                    where.url,
                    protocols=options.subprotocols,
                    headers=options.headers,
                    compress=window_bits,
                    max_msg_size=options.max_size,
                    autoping=False,
                    **arguments,
                )
            except aiohttp.WSServerHandshakeError as exc:
                raise PeerRefusedError(exc.status) from exc
            except aiohttp.ClientConnectorCertificateError as exc:
                raise PeerDistrustsError(str(exc)) from exc
            response = socket._response
            async with socket:
                connection = AiohttpConnection(
                    socket, response.connection.transport, target="", headers=response.headers
                )
                async with reading(connection.read()):
                    yield connection

    @contextlib.asynccontextmanager
    async def serve(self, unix: str | None, options: PeerOptions) -> AsyncIterator[Accepting]:
        async def handler(request: web.Request) -> web.StreamResponse:
            if options.refuse:
                return web.Response(status=options.refuse, text="not today")
            socket = web.WebSocketResponse(
                protocols=options.subprotocols,
                compress=options.deflate is not None,
                max_msg_size=options.max_size,
                autoping=False,
            )
            socket.headers.update(options.headers)
            await socket.prepare(request)
            connection = AiohttpConnection(
                socket, request.transport, target=request.path_qs, headers=request.headers
            )
            accepting.connections.put_nowait(connection)
            await connection.read()
            await connection.closed()
            return socket

        application = web.Application()
        application.router.add_get("/{path:.*}", handler)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
        await runner.setup()
        try:
            context = options.tls.server if options.tls else None
            site: Any = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
            if unix:
                site = web.UnixSite(runner, unix, ssl_context=context)
            await site.start()
            port = None if unix else runner.addresses[0][1]
            accepting = Accepting(options.where(port, unix))
            yield accepting
        finally:
            await runner.cleanup()
