"""The server for trio under test: ``trio_echo_server.py PORT`` sends every message back."""

from __future__ import annotations

import signal
import sys

import trio

from ropeway import ConnectionClosed
from ropeway.trio.server import ServerConnection, serve


async def echo(connection: ServerConnection) -> None:
    try:
        async for message in connection:
            await connection.send(message)
    except ConnectionClosed:
        pass


async def main(port: int) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:

            async def start(*, task_status: trio.TaskStatus[object]) -> None:
                await serve(echo, port, host="127.0.0.1", max_size=None, task_status=task_status)

            server = await nursery.start(start)
            async for _ in signals:
                await server.aclose()
                break


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]))
