"""wsproto as a peer, on asyncio's streams."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from wsproto import ConnectionType, WSConnection, events
from wsproto.connection import ConnectionState
from wsproto.extensions import PerMessageDeflate
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import RemoteProtocolError

from .base import (
    Accepting,
    Deflate,
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

READ_SIZE = 65536


class WsprotoConnection(PeerConnection):
    """Feeds what is read to wsproto, answers what the protocol says, and posts the rest."""

    def __init__(self, role: ConnectionType, reader: Any, writer: Any) -> None:
        self._reader = reader
        self._writer = writer
        self._protocol = WSConnection(role)
        self._mailbox = Mailbox()
        self._pieces: list[Any] = []
        self.target = ""
        self.headers: dict[str, str] = {}
        self.subprotocol = None
        self.received = 0
        """Bytes read from the wire since the handshake."""
        self.pings: asyncio.Queue[bytes] = asyncio.Queue()
        """Payloads of the pings received."""

    async def write(self, event: events.Event) -> None:
        self._writer.write(self._protocol.send(event))
        await self._writer.drain()

    async def next_events(self) -> list[events.Event]:
        data = await self._reader.read(READ_SIZE)
        self.received += len(data)
        self._protocol.receive_data(data or None)
        return list(self._protocol.events())

    async def open_client(self, where: Where, options: PeerOptions) -> None:
        parts = urlsplit(where.url)
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        request = events.Request(
            host=parts.netloc,
            target=target,
            extensions=self._extensions(options.deflate),
            subprotocols=list(options.subprotocols),
            extra_headers=[(k.encode(), v.encode()) for k, v in options.headers.items()],
        )
        await self.write(request)
        received: list[events.Event] = []
        while not received:
            received = await self.next_events()
        first = received[0]
        if isinstance(first, events.RejectConnection):
            raise PeerRefusedError(first.status_code)
        assert isinstance(first, events.AcceptConnection), first
        self._accepted(first.extra_headers, first.subprotocol, received[1:])
        if first.extensions:
            # wsproto keeps this header to itself.
            self.headers["sec-websocket-extensions"] = first.extensions[0].name

    async def open_server(self, options: PeerOptions) -> bool:
        received: list[events.Event] = []
        while not received:
            received = await self.next_events()
        request = received[0]
        assert isinstance(request, events.Request), request
        if options.refuse:
            headers = [(b"Content-Length", b"9")]
            await self.write(events.RejectConnection(options.refuse, headers, has_body=True))
            await self.write(events.RejectData(b"not today"))
            return False
        subprotocol = next((s for s in request.subprotocols if s in options.subprotocols), None)
        accept = events.AcceptConnection(
            subprotocol=subprotocol,
            extensions=self._extensions(options.deflate),
            extra_headers=[(k.encode(), v.encode()) for k, v in options.headers.items()],
        )
        self.target = request.target
        self._accepted(request.extra_headers, subprotocol, received[1:])
        await self.write(accept)
        return True

    def _accepted(self, headers: Any, subprotocol: str | None, rest: list[events.Event]) -> None:
        self.headers = {name.decode().lower(): value.decode() for name, value in headers}
        self.subprotocol = subprotocol
        self.received = 0
        self._early = rest

    @staticmethod
    def _extensions(deflate: Deflate | None) -> list[Any]:
        if deflate is None:
            return []
        arguments: dict[str, Any] = dict(vars(deflate))
        if arguments["client_max_window_bits"] is True:
            arguments["client_max_window_bits"] = None
        return [PerMessageDeflate(**arguments)]

    async def read(self) -> None:
        try:
            received = self._early
            while True:
                for event in received:
                    if await self._handle(event):
                        return
                received = await self.next_events()
        except RemoteProtocolError as exc:
            if exc.event_hint is not None:
                await self.write(exc.event_hint)
            self._mailbox.end(1006, str(exc))
        except OSError as exc:
            self._mailbox.end(1006, str(exc))
        finally:
            self._writer.close()

    async def _handle(self, event: events.Event) -> bool:
        match event:
            case events.Message():
                self._pieces.append(event.data)
                if event.message_finished:
                    is_text = isinstance(event, events.TextMessage)
                    empty: Any = "" if is_text else b""
                    self._mailbox.message(empty.join(self._pieces))
                    self._pieces.clear()
            case events.Ping():
                self.pings.put_nowait(bytes(event.payload))
                await self.write(event.response())
            case events.Pong():
                self._mailbox.pong(bytes(event.payload))
            case events.CloseConnection():
                if self._protocol.state is ConnectionState.REMOTE_CLOSING:
                    await self.write(event.response())
                self._mailbox.end(int(event.code), event.reason or "")
                return True
        return False

    async def send(self, message: Message) -> None:
        await self.send_fragments([message])

    async def send_fragments(self, fragments: Sequence[Message], *, ping: bytes = b"") -> None:
        for index, fragment in enumerate(fragments):
            last = index == len(fragments) - 1
            if last and ping:
                await self.ping(ping)
            if isinstance(fragment, str):
                await self.write(events.TextMessage(fragment, message_finished=last))
            else:
                await self.write(events.BytesMessage(fragment, message_finished=last))

    async def send_empty_close(self) -> None:
        await self.write(events.CloseConnection(CloseReason.NO_STATUS_RCVD))

    async def recv(self) -> Message:
        return await self._mailbox.next_message()

    async def ping(self, payload: bytes) -> None:
        await self._mailbox.pong_after(payload, lambda: self.write(events.Ping(payload)))

    async def close(self, code: int, reason: str) -> None:
        await self.write(events.CloseConnection(code, reason))
        await self.closed()

    async def closed(self) -> tuple[int, str]:
        return await self._mailbox.ended()

    def abort(self) -> None:
        self._writer.transport.abort()


class Wsproto(Peer):
    name = "wsproto"

    @contextlib.asynccontextmanager
    async def connect(self, where: Where, options: PeerOptions) -> AsyncIterator[PeerConnection]:
        context = options.tls.client if options.tls else None
        if where.unix:
            reader, writer = await asyncio.open_unix_connection(where.unix)
        else:
            parts = urlsplit(where.url)
            try:
                reader, writer = await asyncio.open_connection(
                    parts.hostname, parts.port, ssl=context
                )
            except ssl.SSLCertVerificationError as exc:
                raise PeerDistrustsError(str(exc)) from exc
        try:
            connection = WsprotoConnection(ConnectionType.CLIENT, reader, writer)
            await connection.open_client(where, options)
            async with reading(connection.read()):
                yield connection
        finally:
            writer.close()

    @contextlib.asynccontextmanager
    async def serve(self, unix: str | None, options: PeerOptions) -> AsyncIterator[Accepting]:
        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connection = WsprotoConnection(ConnectionType.SERVER, reader, writer)
            if await connection.open_server(options):
                accepting.connections.put_nowait(connection)
                await connection.read()
            else:
                writer.close()

        context = options.tls.server if options.tls else None
        if unix:
            server = await asyncio.start_unix_server(handler, unix, ssl=context)
        else:
            server = await asyncio.start_server(handler, "127.0.0.1", 0, ssl=context)
        async with server:
            port = None if unix else server.sockets[0].getsockname()[1]
            accepting = Accepting(options.where(port, unix))
            yield accepting
