"""How a thread runs a plan: each step of ``_opening.steps``, blocking, within a time limit."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from ssl import SSLContext, create_default_context
from typing import Any, Literal, TypeVar

from .._driving.socks import refusals, socks_client
from .._opening.steps import (
    Call,
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
from .tls import TLS
from .waiting import TimeLimit

Result = TypeVar("Result")

READ_SIZE = 64 * 1024


def run(plan: Plan[Result], perform: Callable[[Step], Any]) -> Result:
    """Run ``plan`` to its end.

    Args:
        plan: what to do.
        perform: carries out one step; its exceptions go into the plan.

    Returns:
        What the plan returns.

    Raises:
        BaseException: whatever the plan raises, or lets pass.
    """
    try:
        step = next(plan)
        while True:
            try:
                result = perform(step)
            except BaseException as exc:
                step = plan.throw(exc)
            else:
                step = plan.send(result)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    finally:
        plan.close()


def perform(step: Step) -> Any:
    """Carry out a step that needs no stream."""
    match step:
        case Sleep(seconds):
            time.sleep(seconds)
        case Call(function, arguments):
            return function(*arguments)
        case _:
            raise TypeError(f"{step!r} needs a stream")
    return None


class Stream:
    """A socket before a connection takes it over, with TLS or without.

    Args:
        sock: a connected socket, which belongs to the stream.
        limit: how long everything may take.
    """

    def __init__(self, sock: socket.socket, limit: TimeLimit) -> None:
        self.sock = sock
        self.tls: TLS | None = None
        self.unread: bytes = b""
        self._limit = limit

    def send(self, data: bytes) -> None:
        """Write all of ``data``."""
        if self.tls is not None:
            self.tls.write([data])
            data = self.tls.take_output()
        self.sock.settimeout(self._limit.left())
        self.sock.sendall(data)

    def receive(self) -> bytes:
        """Give what arrives next; nothing at the end."""
        if self.unread:
            data, self.unread = self.unread, b""
            return data
        if self.tls is None:
            return self._read()
        buffer = bytearray(READ_SIZE)
        while (size := self.tls.read_into(memoryview(buffer))) < 0:
            self._exchange(self.tls)
        return bytes(buffer[:size])

    def start_tls(
        self,
        context: SSLContext,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
    ) -> None:
        """Speak TLS from now on, within the TLS that there is already, if any.

        Raises:
            OSError: when the TLS handshake fails; TimeoutError when it takes too long.

        """
        tls = TLS(context, server_side=server_side, server_hostname=server_hostname, below=self.tls)
        try:
            while not tls.shake_hands():
                self._exchange(tls)
        finally:
            # What OpenSSL has to say about a failure is for the peer.
            output = tls.take_output()
            if output:
                self.sock.settimeout(self._limit.left())
                self.sock.sendall(output)
        self.tls = tls

    def _exchange(self, tls: TLS) -> None:
        """Write what TLS has to say, and let it have what arrives next."""
        if output := tls.take_output():
            self.sock.settimeout(self._limit.left())
            self.sock.sendall(output)
        if data := self._read():
            tls.feed(data)
        else:
            tls.feed_end()

    def _read(self) -> bytes:
        self.sock.settimeout(self._limit.left())
        return self.sock.recv(READ_SIZE)


class Opener:
    """Carries out the steps that open a connection, one stream at a time.

    Args:
        make_connection: makes the connection to a URI on a socket.
        limit: how long all of it may take.
    """

    def __init__(
        self, make_connection: Callable[[WebSocketURI, socket.socket], Any], limit: TimeLimit
    ) -> None:
        self._make_connection = make_connection
        self._limit = limit
        self._stream: Stream | None = None

    def run(self, plan: Plan[Result]) -> Result:
        """Run ``plan`` to its end; its stream does not survive a failure."""
        try:
            return run(plan, self.perform)
        except BaseException:
            self.discard()
            raise

    def perform(self, step: Step) -> Any:
        """Carry out one step."""
        match step:
            case OpenTCP(arguments):
                self._open(open_tcp, **arguments)
            case OpenUnix(arguments):
                self._open(open_unix, **arguments)
            case OpenSOCKS(proxy, host, port, local_addr, arguments):
                client = socks_client(proxy, "sync")
                with refusals():
                    self._start(
                        client.connect(host, port, self._limit.left(), local_addr=local_addr)
                    )
                if arguments.get("ssl"):
                    self._start_tls(arguments["ssl"], arguments["server_hostname"])
            case StartTLS(context, server_hostname):
                self._start_tls(context, server_hostname)
            case Send(data):
                self._opened.send(data)
            case Receive():
                return self._opened.receive()
            case Unread(data):
                self._opened.unread = data + self._opened.unread
            case Handshake():
                return self._shake_hands(step)
            case Discard():
                self.discard()
            case _:
                return perform(step)
        return None

    def discard(self) -> None:
        """Close the stream, if there is one."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.sock.close()

    @property
    def _opened(self) -> Stream:
        if self._stream is None:
            raise RuntimeError("the plan has not opened a stream")
        return self._stream

    def _start(self, sock: socket.socket) -> None:
        self._stream = Stream(sock, self._limit)

    def _open(
        self,
        opening: Callable[..., socket.socket],
        *,
        sock: socket.socket | None = None,
        ssl: SSLContext | Literal[True] | None = None,
        server_hostname: str | None = None,
        **arguments: Any,
    ) -> None:
        self._start(opening(self._limit, **arguments) if sock is None else sock)
        if ssl:
            self._start_tls(ssl, server_hostname or arguments.get("host"))

    def _start_tls(self, ssl: SSLContext | Literal[True], server_hostname: str | None) -> None:
        context = create_default_context() if ssl is True else ssl
        self._opened.start_tls(context, server_hostname=server_hostname)

    def _shake_hands(self, step: Handshake) -> Any:
        stream = self._opened
        connection = self._make_connection(step.uri, stream.sock)
        try:
            if stream.tls is not None:
                connection._use_tls(stream.tls)
            if stream.unread:
                connection._take_early(stream.unread)
            connection.handshake(
                step.additional_headers, step.user_agent_header, self._limit.left()
            )
        except BaseException:
            connection.abort()
            # The exception knows this frame and the connection may know the exception: without
            # the frame's reference, no cycle keeps the connection alive.
            del connection
            raise
        self._stream = None
        return connection


def open_tcp(
    limit: TimeLimit,
    *,
    host: str,
    port: int,
    local_addr: tuple[str, int] | None = None,
    timeout: float | None = None,
    all_errors: bool = False,
    happy_eyeballs_delay: float | None = None,
) -> socket.socket:
    """Connect to a host, one address after the other; as :func:`socket.create_connection`."""
    seconds = limit.left() if timeout is None else timeout
    return socket.create_connection((host, port), seconds, local_addr, all_errors=all_errors)


def open_unix(limit: TimeLimit, *, path: Any = None, timeout: float | None = None) -> socket.socket:
    """Connect to a Unix socket."""
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.settimeout(limit.left() if timeout is None else timeout)
        sock.connect(os.fspath(path))
    except BaseException:
        sock.close()
        raise
    return sock
