"""websockets as a peer."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator, Sequence
from typing import Any

import websockets.asyncio.client
import websockets.asyncio.server
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    ServerPerMessageDeflateFactory,
)
from websockets.frames import Close

from .base import (
    Accepting,
    Message,
    Peer,
    PeerClosedError,
    PeerConnection,
    PeerDistrustsError,
    PeerOptions,
    PeerRefusedError,
    Where,
)


class WebsocketsConnection(PeerConnection):
    def __init__(self, connection: Any) -> None:
        self._connection = connection
        is_server = isinstance(connection, websockets.asyncio.server.ServerConnection)
        seen = connection.request if is_server else connection.response
        self.target = connection.request.path if is_server else ""
        self.headers = {name.lower(): value for name, value in seen.headers.raw_items()}
        self.subprotocol = connection.subprotocol

    async def send(self, message: Message) -> None:
        await self._connection.send(message)

    async def send_fragments(self, fragments: Sequence[Message], *, ping: bytes = b"") -> None:
        async def each() -> AsyncIterator[Message]:
            for fragment in fragments[:-1]:
                yield fragment
            if ping:
                await self.ping(ping)
            yield fragments[-1]

        await self._connection.send(each())

    async def send_empty_close(self) -> None:
        async with self._connection.send_context():
            self._connection.protocol.send_close()

    async def recv(self) -> Message:
        try:
            message: Message = await self._connection.recv()
        except ConnectionClosed as exc:
            raise PeerClosedError(*await self.closed()) from exc
        return message

    async def ping(self, payload: bytes) -> None:
        await (await self._connection.ping(payload))

    async def close(self, code: int, reason: str) -> None:
        await self._connection.close(code, reason)

    async def closed(self) -> tuple[int, str]:
        await self._connection.wait_closed()
        received = self._connection.protocol.close_rcvd or Close(1006, "")
        return int(received.code), received.reason

    def abort(self) -> None:
        self._connection.transport.abort()


class Websockets(Peer):
    name = "websockets"

    @contextlib.asynccontextmanager
    async def connect(self, where: Where, options: PeerOptions) -> AsyncIterator[PeerConnection]:
        arguments: dict[str, Any] = {
            "additional_headers": options.headers,
            "subprotocols": options.subprotocols or None,
            "compression": None,
            "max_size": options.max_size,
            "proxy": None,
        }
        if deflate := options.deflate:
            factory = ClientPerMessageDeflateFactory(**vars(deflate))
            arguments["extensions"] = [factory]
        if options.tls:
            arguments["ssl"] = options.tls.client
        opening: Any = websockets.asyncio.client.connect(where.url, **arguments)
        if where.unix:
            opening = websockets.asyncio.client.unix_connect(where.unix, where.url, **arguments)
        try:
            connection = await opening
        except InvalidStatus as exc:
            raise PeerRefusedError(exc.response.status_code) from exc
        except ssl.SSLCertVerificationError as exc:
            raise PeerDistrustsError(str(exc)) from exc
        async with connection:
            yield WebsocketsConnection(connection)

    @contextlib.asynccontextmanager
    async def serve(self, unix: str | None, options: PeerOptions) -> AsyncIterator[Accepting]:
        async def handler(connection: Any) -> None:
            accepting.connections.put_nowait(WebsocketsConnection(connection))
            await connection.wait_closed()

        def respond(connection: Any, request: Any, response: Any) -> None:
            for name, value in options.headers.items():
                response.headers[name] = value

        def refuse(connection: Any, request: Any) -> Any:
            return connection.respond(options.refuse, "not today") if options.refuse else None

        arguments: dict[str, Any] = {
            "subprotocols": options.subprotocols or None,
            "compression": None,
            "max_size": options.max_size,
            "process_request": refuse,
            "process_response": respond,
        }
        if deflate := options.deflate:
            factory = ServerPerMessageDeflateFactory(**vars(deflate))
            arguments["extensions"] = [factory]
        if options.tls:
            arguments["ssl"] = options.tls.server
        serving: Any = websockets.asyncio.server.serve(handler, "127.0.0.1", 0, **arguments)
        if unix:
            serving = websockets.asyncio.server.unix_serve(handler, unix, **arguments)
        async with serving as server:
            port = None if unix else server.sockets[0].getsockname()[1]
            accepting = Accepting(options.where(port, unix))
            yield accepting
