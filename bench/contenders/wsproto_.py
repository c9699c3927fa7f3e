"""wsproto, which leaves the network to its user: an asyncio protocol, one write for each read."""

from __future__ import annotations

import asyncio
import socket
from typing import cast
from urllib.parse import urlsplit

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Message,
    Ping,
    Request,
    TextMessage,
)
from wsproto.extensions import PerMessageDeflate

from .clients import Counter, Job
from .host import Options


class Peer(asyncio.Protocol):
    """One connection: joins the parts of a message, and echoes it if it shall."""

    transport: asyncio.Transport

    def __init__(self, kind: ConnectionType, *, counter: Counter, compression: bool) -> None:
        self.connection = WSConnection(kind)
        self.counter = counter
        self.extensions = [PerMessageDeflate()] if compression else []
        self.echoes = True
        self.parts: list[str] | list[bytes] | list[bytearray] = []
        self.open = asyncio.get_running_loop().create_future()
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)

    def data_received(self, data: bytes) -> None:
        self.connection.receive_data(data)
        output = b"".join([self.answer(event) for event in self.connection.events()])
        if output:
            self.transport.write(output)
        if self.connection.state.name == "CLOSED":
            self.transport.close()

    def answer(self, event: Event) -> bytes:
        if isinstance(event, TextMessage | BytesMessage):
            return self.answer_message(event)
        if isinstance(event, Request):
            return self.connection.send(AcceptConnection(extensions=self.extensions))
        if isinstance(event, Ping | CloseConnection):
            return self.connection.send(event.response())
        if isinstance(event, AcceptConnection):
            self.open.set_result(None)
        return b""

    def answer_message(self, event: TextMessage | BytesMessage) -> bytes:
        if not event.message_finished:
            self.parts.append(event.data)
            return b""
        data = event.data
        if self.parts:
            empty = "" if isinstance(data, str) else b""
            data = empty.join([*self.parts, data])
            self.parts.clear()
        self.counter.value += 1
        return self.connection.send(Message(data=data)) if self.echoes else b""


async def serve(listener: socket.socket, options: Options) -> None:
    await asyncio.get_running_loop().create_server(
        lambda: Peer(ConnectionType.SERVER, counter=Counter(), compression=options.compression),
        sock=listener,
        ssl=options.tls,
    )


async def connect(url: str, job: Job) -> Peer:
    parts = urlsplit(url)
    _, peer = await asyncio.get_running_loop().create_connection(
        lambda: Peer(ConnectionType.CLIENT, counter=job.counter(), compression=False),
        parts.hostname,
        parts.port,
    )
    request = Request(host=parts.netloc, target=parts.path or "/")
    peer.transport.write(peer.connection.send(request))
    await peer.open
    return peer


async def echo(url: str, job: Job) -> None:
    peer = await connect(url, job)
    await job.begin()
    for message in job.messages:
        peer.transport.write(peer.connection.send(Message(data=message)))
    await peer.closed


async def consume(url: str, job: Job) -> None:
    peer = await connect(url, job)
    peer.echoes = False
    await job.begin()
    await peer.closed
