"""Connecting: Happy Eyeballs (RFC 8305) on every loop, and our own transport where it can be.

uvloop's ``create_connection`` does not know it, and asyncio's starts a race, with tasks and all,
even for the one address of ``localhost``: that cost 0.5 of the 3.5 ms of opening a connection.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, zip_longest
from typing import Any, TypeVar, cast

from .per_loop import per_loop
from .transport import connect

TLS = {"ssl", "server_hostname", "ssl_handshake_timeout", "ssl_shutdown_timeout"}
KNOWN = TLS | {"host", "port", "family", "proto", "flags", "sock", "local_addr"}

P = TypeVar("P", bound=asyncio.BaseProtocol)

Connected = tuple[asyncio.Transport, P]
AddressInfo = tuple[int, int, int, str, tuple[Any, ...]]


async def create_connection(
    loop: asyncio.AbstractEventLoop,
    factory: Callable[[], P],
    *,
    happy_eyeballs_delay: float | None = None,
    **arguments: Any,
) -> Connected[P]:
    """Do what ``loop.create_connection`` does, Happy Eyeballs included, on any loop.

    Args:
        loop: the running loop.
        factory: makes the protocol.
        happy_eyeballs_delay: seconds before the next address of a host joins the race, None to
            try one address after the other.
        arguments: all others of ``loop.create_connection``.

    Returns:
        The transport and the protocol.

    Raises:
        OSError: when no address of the host accepts a connection.
    """
    if not arguments.keys() <= KNOWN:
        # The loop knows what it means, or that it means nothing.
        if happy_eyeballs_delay is not None:
            arguments["happy_eyeballs_delay"] = happy_eyeballs_delay
        return await loop.create_connection(factory, **arguments)
    sock = arguments.pop("sock", None)
    if sock is None:
        host, port = arguments.pop("host"), arguments.pop("port")
        if arguments.get("ssl"):
            arguments.setdefault("server_hostname", host)
        local_addr = arguments.pop("local_addr", None)
        hints = {name: arguments.pop(name, 0) for name in ("family", "proto", "flags")}
        found = await _resolve(loop, host, port, **hints)
        if len(found) == 1:
            sock = await _connect(loop, found[0], local_addr)
        else:
            sock = await _race(loop, _alternating(found), happy_eyeballs_delay, local_addr)
    return await start(loop, factory, sock, arguments)


async def create_unix_connection(
    loop: asyncio.AbstractEventLoop,
    factory: Callable[[], P],
    path: Any = None,
    *,
    sock: socket.socket | None = None,
    **arguments: Any,
) -> Connected[P]:
    """Do what ``loop.create_unix_connection`` does.

    Raises:
        OSError: when nobody listens on ``path``.

    """
    if sock is None and path is not None and not arguments.get("ssl"):
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.setblocking(False)
            await loop.sock_connect(sock, os.fspath(path))
        except BaseException:
            sock.close()
            raise
        path = None
    if sock is not None and _is_ours(loop, sock, arguments):
        return await start(loop, factory, sock, arguments)
    return await loop.create_unix_connection(factory, path, sock=sock, **arguments)


async def start(
    loop: asyncio.AbstractEventLoop,
    factory: Callable[[], P],
    sock: socket.socket,
    arguments: dict[str, Any],
) -> Connected[P]:
    """Put a protocol on a connected socket, on a transport of ours where that can be.

    Args:
        loop: the running loop.
        factory: makes the protocol.
        sock: the socket; it is closed when this fails.
        arguments: those about TLS, for ``loop.create_connection``.

    """
    try:
        if _is_ours(loop, sock, arguments):
            transport, protocol = connect(loop, sock, factory)
            return cast(asyncio.Transport, transport), protocol
        return await loop.create_connection(factory, sock=sock, **arguments)
    except BaseException:
        sock.close()
        raise


def _is_ours(
    loop: asyncio.AbstractEventLoop, sock: socket.socket, arguments: dict[str, Any]
) -> bool:
    if any(value is not None for value in arguments.values()):
        return False  # TLS, or something that only the loop knows
    return per_loop(loop).has_streams and sock.type == socket.SOCK_STREAM


async def _resolve(
    loop: asyncio.AbstractEventLoop, host: Any, port: Any, *, family: int, proto: int, flags: int
) -> Sequence[AddressInfo]:
    """Find the addresses of a host; an address stands for itself, without a thread."""
    try:
        return socket.getaddrinfo(
            host, port, family, socket.SOCK_STREAM, proto, flags | socket.AI_NUMERICHOST
        )
    except socket.gaierror:
        return await loop.getaddrinfo(
            host, port, family=family, type=socket.SOCK_STREAM, proto=proto, flags=flags
        )


def _alternating(found: Iterable[AddressInfo]) -> list[AddressInfo]:
    """Order addresses so that their families take turns (RFC 8305, section 4)."""
    families: dict[int, list[AddressInfo]] = {}
    for info in found:
        families.setdefault(info[0], []).append(info)
    rounds = chain.from_iterable(zip_longest(*families.values()))
    return [info for info in rounds if info is not None]


async def _race(
    loop: asyncio.AbstractEventLoop,
    addresses: list[AddressInfo],
    delay: float | None,
    local_addr: tuple[str, int] | None,
) -> socket.socket:
    """Return the first socket that connects; an attempt starts after ``delay`` or a failure."""
    waiting = deque(addresses)
    running: set[asyncio.Task[socket.socket]] = set()
    failures: list[OSError] = []
    winner: socket.socket | None = None
    try:
        while (waiting or running) and winner is None:
            if waiting:
                running.add(loop.create_task(_connect(loop, waiting.popleft(), local_addr)))
            done, running = await asyncio.wait(
                running,
                timeout=delay if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in done:
                try:
                    sock = task.result()
                except OSError as exc:
                    failures.append(exc)
                else:
                    if winner is None:
                        winner = sock
                    else:
                        sock.close()
    finally:
        for task in running:
            task.add_done_callback(_close_result)
            task.cancel()
    if winner is None:
        try:
            raise _summary(failures)
        finally:
            failures.clear()  # the exception knows this frame: it must not know the exception
    return winner


async def _connect(
    loop: asyncio.AbstractEventLoop, address: AddressInfo, local_addr: tuple[str, int] | None
) -> socket.socket:
    family, kind, proto, _, destination = address
    sock = socket.socket(family, kind, proto)
    try:
        sock.setblocking(False)
        if local_addr is not None:
            found = await loop.getaddrinfo(*local_addr, family=family, type=kind)
            sock.bind(found[0][4])
        await loop.sock_connect(sock, destination)
    except BaseException:
        sock.close()
        raise
    return sock


def _close_result(task: asyncio.Task[socket.socket]) -> None:
    """Close the socket of an attempt that came second, or came after the caller had gone."""
    if not task.cancelled() and task.exception() is None:
        task.result().close()


def _summary(failures: list[OSError]) -> OSError:
    """Return one exception for all addresses, in the words of asyncio."""
    texts = {str(exc) for exc in failures}
    if len(texts) == 1:
        return failures[0]
    return OSError(f"Multiple exceptions: {', '.join(str(exc) for exc in failures)}")
