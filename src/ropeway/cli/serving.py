"""The server of ``ropeway serve``: its rules, and who comes and goes."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import socket
import ssl
import sys
import time
from typing import Any

from ..asyncio import server as asyncio_server
from .handlers import Handler
from .listening import address
from .text import printable

__all__ = ["serve"]


async def serve(
    options: argparse.Namespace,
    handler: Handler,
    sock: socket.socket,
    context: ssl.SSLContext | None,
) -> int:
    """Serve until it is cancelled, or told to end by SIGTERM.

    Args:
        options: the command line.
        handler: what to do with connections.
        sock: where to listen.
        context: TLS, or None.

    Returns:
        The exit code.
    """
    log = Log(quiet=options.quiet)
    arguments: dict[str, Any] = {"unix": True} if options.unix else {}
    async with asyncio_server.serve(
        log.wrap(handler),
        sock=sock,
        ssl=context,
        origins=[*options.origin, None] if options.origin else None,
        subprotocols=options.subprotocol,
        compression=None if options.no_compression else "deflate",
        process_request=_authentication(options),
        max_size=options.max_size or None,
        max_connections=options.max_connections,
        ping_interval=options.ping_interval or None,
        **arguments,
    ) as server:
        if options.fd is None:
            print(f"serving {options.handler} at {address(options, sock)}", flush=True)
        await _terminated(server)
        # Who changes a file wants to see what that does.
        seconds = 0 if options.reload else options.drain
        await server.drain(seconds, reason="server is going away" if seconds else "")
    return 0


async def _terminated(server: asyncio_server.Server) -> None:
    """Wait for SIGTERM. Another one, while the server drains, closes it at once."""
    terminated = asyncio.Event()

    def terminate() -> None:
        if terminated.is_set():
            server.close()
        terminated.set()

    number = getattr(signal, "SIGTERM", None)
    # One that is ignored was meant to be.
    if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
        with contextlib.suppress(NotImplementedError):
            asyncio.get_running_loop().add_signal_handler(number, terminate)
    await terminated.wait()


def _authentication(options: argparse.Namespace) -> Any:
    if not options.auth:
        return None
    return asyncio_server.basic_auth("ropeway serve", credentials=options.auth)


class Log:
    """Tells on standard error who comes and goes.

    Args:
        quiet: whether to keep it.
    """

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._number = 0
        self._watching: set[asyncio.Task[None]] = set()

    def wrap(self, handler: Handler) -> Handler:
        """Make a handler that does the same, and is told about."""
        if self._quiet:
            return handler

        async def handle(connection: asyncio_server.ServerConnection) -> None:
            self._number += 1
            task = asyncio.create_task(self._watch(connection, self._number))
            self._watching.add(task)
            task.add_done_callback(self._watching.discard)
            await handler(connection)

        return handle

    async def _watch(self, connection: asyncio_server.ServerConnection, number: int) -> None:
        assert connection.request is not None
        began = time.monotonic()
        peer = connection.remote_address
        # That of a Unix socket has no name.
        source = f"{peer[0]}:{peer[1]} " if isinstance(peer, tuple) and peer else ""
        spoken = f", subprotocol {connection.subprotocol}" if connection.subprotocol else ""
        self._tell(number, f"{source}{connection.request.path} connected{spoken}")
        await connection.wait_closed()
        stats = connection.stats
        self._tell(
            number,
            f"closed: {connection.protocol.close_exc}; {stats.messages_received:,} messages in, "
            f"{stats.messages_sent:,} out, {time.monotonic() - began:.1f} s",
        )

    def _tell(self, number: int, what: str) -> None:
        with contextlib.suppress(OSError):
            now = time.strftime("%H:%M:%S")
            print(f"{now} #{number} {printable(what)}", file=sys.stderr, flush=True)
