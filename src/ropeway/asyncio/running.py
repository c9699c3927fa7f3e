"""How asyncio runs a plan: each step of ``_opening.steps`` on the loop, uvloop's included."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from .._opening.coroutines import call, run
from .._opening.steps import (
    Discard,
    Handshake,
    OpenSOCKS,
    OpenTCP,
    OpenUnix,
    Plan,
    Receive,
    Send,
    Sleep,
    StartTLS,
    Step,
    Unread,
)
from ..uri import WebSocketURI
from .eyeballs import create_connection, create_unix_connection, start
from .socks import connect_through
from .transport import StreamTransport

Result = TypeVar("Result")

HIGH_WATER = 65536
"""Bytes that a conversation holds before it stops reading; a CONNECT response has far fewer."""


async def perform(step: Step) -> Any:
    """Carry out a step that needs no stream."""
    match step:
        case Sleep(seconds):
            await asyncio.sleep(seconds)
            return None
        case _:
            return await call(step)


class Conversation(asyncio.Protocol):
    """The stream of a plan before a connection takes it over: bytes that wait for `receive`.

    Invariants: ``transport`` is set as soon as there is one, so whoever gives up can abort it;
    what has arrived and what has happened stay here until somebody asks, in order.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.transport: asyncio.Transport | None = None
        self.received: bytearray = bytearray()
        self.at_eof: bool = False
        self.lost: bool = False
        self.lost_because: Exception | None = None
        self._loop = loop
        self._arrival: asyncio.Future[None] | None = None
        self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self.received += data
        if len(self.received) > HIGH_WATER and not self._paused and self.transport is not None:
            self.transport.pause_reading()
            self._paused = True
        self._wake_up()

    def eof_received(self) -> None:
        self.at_eof = True
        self._wake_up()

    def connection_lost(self, exc: Exception | None) -> None:
        self.at_eof = self.lost = True
        self.lost_because = exc
        self._wake_up()

    def _wake_up(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    async def receive(self) -> bytes:
        """Return what has arrived, as soon as it is more than nothing; nothing at the end."""
        while not self.received and not self.at_eof:
            self._arrival = self._loop.create_future()
            try:
                await self._arrival
            finally:
                self._arrival = None
        return self.take()

    def take(self) -> bytes:
        """Return what has arrived, without waiting."""
        data = bytes(self.received)
        self.received.clear()
        if self._paused and self.transport is not None and not self.lost:
            self.transport.resume_reading()
            self._paused = False
        return data


class Opener:
    """Carries out the steps that open a connection, one stream at a time.

    Args:
        make_connection: makes the connection to a URI, before there is a stream for it.
    """

    def __init__(self, make_connection: Callable[[WebSocketURI], Any]) -> None:
        self._make_connection = make_connection
        self._loop = asyncio.get_running_loop()
        self._conversation = Conversation(self._loop)

    async def run(self, plan: Plan[Result]) -> Result:
        """Run ``plan`` to its end; its stream does not survive a failure."""
        try:
            return await run(plan, self.perform)
        except BaseException:
            self.discard()
            raise

    async def perform(self, step: Step) -> Any:
        """Carry out one step."""
        match step:
            case OpenTCP(arguments):
                await create_connection(self._loop, self._converse, **arguments)
            case OpenUnix(arguments):
                await create_unix_connection(self._loop, self._converse, **arguments)
            case OpenSOCKS(proxy, host, port, local_addr, arguments):
                sock = await connect_through(proxy, host, port, local_addr)
                await start(self._loop, self._converse, sock, dict(arguments))
            case StartTLS():
                await self._start_tls(step)
            case Send(data):
                self._transport.write(data)
            case Receive():
                return await self._conversation.receive()
            case Unread(data):
                self._conversation.received[:0] = data
            case Handshake():
                return await self._handshake(step)
            case Discard():
                self.discard()
            case _:
                return await perform(step)
        return None

    def discard(self) -> None:
        """Abort the stream, if there is one."""
        transport = self._conversation.transport
        self._conversation = Conversation(self._loop)
        if transport is not None:
            transport.abort()

    def _converse(self) -> Conversation:
        return self._conversation

    @property
    def _transport(self) -> asyncio.Transport:
        transport = self._conversation.transport
        if transport is None:
            raise RuntimeError("the plan has not opened a stream")
        return transport

    async def _start_tls(self, step: StartTLS) -> None:
        conversation = self._conversation
        if isinstance(self._transport, StreamTransport):
            # The loop speaks TLS on sockets and on transports of its own.
            arguments = {"server_hostname": step.server_hostname, **step.arguments}
            sock = self._transport.detach()
            await start(self._loop, self._converse, sock, {"ssl": step.context, **arguments})
            return
        transport = await self._loop.start_tls(
            self._transport,
            conversation,
            step.context,
            server_hostname=step.server_hostname,
            **step.arguments,
        )
        if transport is None:
            raise ConnectionResetError("connection was lost before the TLS handshake")
        conversation.transport = transport

    async def _handshake(self, step: Handshake) -> Any:
        connection = self._make_connection(step.uri)
        try:
            self._attach(connection)
            await self._open(connection, step)
        except BaseException:
            # The exception knows this frame and the connection may know the exception: without
            # the frame's reference, no cycle keeps the connection alive.
            del connection
            raise
        self._conversation = Conversation(self._loop)
        return connection

    def _open(self, connection: Any, step: Handshake) -> Awaitable[None]:
        """Let the connection perform the opening handshake."""
        handshake: Awaitable[None] = connection.handshake(
            step.additional_headers, step.user_agent_header
        )
        return handshake

    def _attach(self, connection: Any) -> None:
        """Let ``connection`` live on the stream from now on, with all that has happened to it."""
        conversation, transport = self._conversation, self._transport
        transport.set_protocol(connection)
        connection.connection_made(transport)
        if data := conversation.take():
            connection.data_received(data)
        if conversation.at_eof:
            connection.eof_received()
        if conversation.lost:
            connection.connection_lost(conversation.lost_because)
