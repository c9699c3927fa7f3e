"""How trio runs a plan: each step of ``_opening.steps``, on a stream of trio's."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from ssl import SSLContext, create_default_context
from typing import Any, Literal, TypeVar

import trio

from .._driving.socks import refusals, socks_client
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

Result = TypeVar("Result")

READ_SIZE = 64 * 1024


async def perform(step: Step) -> Any:
    """Carry out a step that needs no stream."""
    match step:
        case Sleep(seconds):
            await trio.sleep(seconds)
            return None
        case _:
            return await call(step)


class Opener:
    """Carries out the steps that open a connection, one stream at a time.

    Args:
        make_connection: makes the connection to a URI on a stream.
    """

    def __init__(self, make_connection: Callable[[WebSocketURI, trio.abc.Stream], Any]) -> None:
        self._make_connection = make_connection
        self._stream: trio.abc.Stream | None = None
        self._unread = b""

    async def run(self, plan: Plan[Result]) -> Result:
        """Run ``plan`` to its end; its stream does not survive a failure."""
        try:
            return await run(plan, self.perform)
        except BaseException:
            await self.discard()
            raise

    async def perform(self, step: Step) -> Any:
        """Carry out one step."""
        match step:
            case OpenTCP(arguments):
                await self._open(open_tcp, **arguments)
            case OpenUnix(arguments):
                await self._open(open_unix, **arguments)
            case OpenSOCKS(proxy, host, port, local_addr, arguments):
                client = socks_client(proxy, "async_.trio")
                with refusals():
                    sock = await client.connect(host, port, local_addr=local_addr)
                self._start(trio.SocketStream(sock))
                if arguments.get("ssl"):
                    await self._start_tls(arguments["ssl"], arguments["server_hostname"])
            case StartTLS(context, server_hostname):
                await self._start_tls(context, server_hostname)
            case Send(data):
                with breaking():
                    await self._opened.send_all(data)
            case Receive():
                data, self._unread = self._unread, b""
                with breaking():
                    return data or await self._opened.receive_some(READ_SIZE)
            case Unread(data):
                self._unread = data + self._unread
            case Handshake():
                return await self._shake_hands(step)
            case Discard():
                await self.discard()
            case _:
                return await perform(step)
        return None

    async def discard(self) -> None:
        """Close the stream, if there is one."""
        stream, self._stream, self._unread = self._stream, None, b""
        if stream is not None:
            await trio.aclose_forcefully(stream)

    @property
    def _opened(self) -> trio.abc.Stream:
        if self._stream is None:
            raise RuntimeError("the plan has not opened a stream")
        return self._stream

    def _start(self, stream: trio.abc.Stream) -> None:
        self._stream = stream

    async def _open(
        self,
        opening: Callable[..., Any],
        *,
        sock: trio.abc.Stream | None = None,
        ssl: SSLContext | Literal[True] | None = None,
        server_hostname: str | None = None,
        **arguments: Any,
    ) -> None:
        self._start(await opening(**arguments) if sock is None else sock)
        if ssl:
            await self._start_tls(ssl, server_hostname or arguments.get("host"))

    async def _start_tls(
        self, ssl: SSLContext | Literal[True], server_hostname: str | None
    ) -> None:
        context = create_default_context() if ssl is True else ssl
        self._stream = await start_tls(self._opened, context, server_hostname=server_hostname)

    async def _shake_hands(self, step: Handshake) -> Any:
        connection = self._make_connection(step.uri, self._opened)
        self._stream = None
        try:
            if self._unread:
                connection._take_early(self._unread)
            await connection.handshake(step.additional_headers, step.user_agent_header)
        except BaseException:
            connection.abort()
            with trio.CancelScope(shield=True):
                await connection.wait_closed()
            # The exception knows this frame and the connection may know the exception: without
            # the frame's reference, no cycle keeps the connection alive.
            del connection
            raise
        return connection


async def start_tls(
    stream: trio.abc.Stream, context: SSLContext, *, server_hostname: str | None = None
) -> trio.abc.Stream:
    """Speak TLS over a stream, as a client.

    Raises:
        OSError: when the TLS handshake fails.

    """
    return await shake_hands(
        trio.SSLStream(stream, context, server_hostname=server_hostname, https_compatible=True)
    )


async def shake_hands(tls: trio.SSLStream[trio.abc.Stream]) -> trio.SSLStream[trio.abc.Stream]:
    """Perform the TLS handshake; OSError when it fails.

    The stream should be "compatible with HTTPS": a peer that closes without saying so in TLS says
    so in WebSocket, or is found out there.
    """
    with breaking():
        await tls.do_handshake()
    return tls


@contextlib.contextmanager
def breaking() -> Iterator[None]:
    """Turn what trio raises when a stream breaks into the OSError that broke it."""
    try:
        yield
    except trio.BrokenResourceError as exc:
        if isinstance(exc.__cause__, OSError):
            raise exc.__cause__ from None
        raise ConnectionResetError("connection was lost") from exc


async def open_tcp(
    *, host: str, port: int, local_addr: tuple[str, int] | None = None, **arguments: Any
) -> trio.SocketStream:
    """Connect to a host; further arguments are those of :func:`trio.open_tcp_stream`."""
    if local_addr is not None:
        arguments["local_address"] = local_addr[0]
    return await trio.open_tcp_stream(host, port, **arguments)


async def open_unix(*, path: Any = None) -> trio.SocketStream:
    """Connect to a Unix socket."""
    return await trio.open_unix_socket(os.fspath(path))
