"""The server on asyncio and uvloop: ``--loop`` says which."""

from __future__ import annotations

import asyncio
import concurrent.futures
import signal
from collections.abc import Callable
from typing import Any

import ropeway
from bench.contenders.host import loop_factory
from ropeway import ConnectionClosed, ServerConnection

from .control import Asked, asked, obey

room: set[ServerConnection] = set()


async def echo(ws: ServerConnection) -> None:
    async for message in ws:
        await ws.send(message)


async def sink(ws: ServerConnection) -> None:
    async for _ in ws:
        pass


async def close(ws: ServerConnection) -> None:
    pass


async def fail(ws: ServerConnection) -> None:
    raise RuntimeError("as the path asks for")


async def cancel(ws: ServerConnection) -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
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


def in_loop(loop: asyncio.AbstractEventLoop, function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function that has another one called by the loop, and gives its result."""

    def call(*arguments: str) -> Any:
        result: concurrent.futures.Future[Any] = concurrent.futures.Future()

        def run() -> None:
            try:
                result.set_result(function(*arguments))
            except Exception as exc:
                result.set_exception(exc)

        loop.call_soon_threadsafe(run)
        return result.result(60)

    return call


def cast(size: str) -> int:
    ropeway.broadcast(room, "x" * int(size))
    return len(room)


def members() -> int:
    return len(room)


def not_sent() -> int:
    return sum(ws.stats.messages_not_sent for ws in room)


async def main(given: Asked) -> None:
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    async with ropeway.serve(handler, sock=given.listener, ssl=given.context, **given.options):
        orders = {
            "tasks": lambda: len(asyncio.all_tasks()),
            "members": members,
            "cast": cast,
            "not_sent": not_sent,
        }
        obey({name: in_loop(loop, function) for name, function in orders.items()})
        await over.wait()


if __name__ == "__main__":
    given = asked()
    with asyncio.Runner(loop_factory=loop_factory(given.loop)) as runner:
        runner.run(main(given))
