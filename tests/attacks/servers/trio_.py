"""The server on trio."""

from __future__ import annotations

import functools
import inspect
import signal
from collections.abc import Callable
from typing import Any

import trio

from ropeway import ConnectionClosed
from ropeway.trio.server import Server, ServerConnection, broadcast, serve

from .control import Asked, asked, obey

room: set[ServerConnection] = set()


async def echo(ws: ServerConnection) -> None:
    async for message in ws:
        await ws.send(message)


async def sink(ws: ServerConnection) -> None:
    async for _ in ws:
        pass


async def close(ws: ServerConnection) -> None:
    await trio.lowlevel.checkpoint()


async def fail(ws: ServerConnection) -> None:
    raise RuntimeError("as the path asks for")


async def cancel(ws: ServerConnection) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await ws.recv()


async def join(ws: ServerConnection) -> None:
    room.add(ws)
    try:
        await ws.wait_closed()
    finally:
        room.discard(ws)


ACTS = {"/sink": sink, "/close": close, "/raise": fail, "/cancel": cancel, "/room": join}


async def handler(ws: ServerConnection) -> None:
    assert ws.request is not None
    try:
        await ACTS.get(ws.request.path, echo)(ws)
    except ConnectionClosed:
        pass


def in_trio(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function that has another one called in trio's thread, and gives its result."""
    token = trio.lowlevel.current_trio_token()
    waits = inspect.iscoroutinefunction(function)
    call = trio.from_thread.run if waits else trio.from_thread.run_sync
    return lambda *arguments: call(function, *arguments, trio_token=token)


def tasks() -> int:
    return trio.lowlevel.current_statistics().tasks_living


async def cast(size: str) -> int:
    await broadcast(room, "x" * int(size))
    return len(room)


def members() -> int:
    return len(room)


def not_sent() -> int:
    return sum(ws.stats.messages_not_sent for ws in room)


async def main(given: Asked) -> None:
    listeners = [trio.SocketListener(trio.socket.from_stdlib_socket(given.listener))]
    start = functools.partial(
        serve, handler, listeners=listeners, ssl=given.context, **given.options
    )
    with trio.open_signal_receiver(signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            server: Server = await nursery.start(start)
            orders = {"tasks": tasks, "members": members, "cast": cast, "not_sent": not_sent}
            obey({name: in_trio(function) for name, function in orders.items()})
            async for _ in signals:
                await server.aclose()
                break


if __name__ == "__main__":
    trio.run(main, asked())
