"""The server under test: ``echo_server.py PORT`` sends every message back, until SIGTERM.

The limits are ropeway's defaults, but for the size of a message: group 9 sends 16 MiB.
"""

from __future__ import annotations

import asyncio
import signal
import sys

from ropeway import ConnectionClosed, ServerConnection, serve


async def echo(connection: ServerConnection) -> None:
    try:
        async for message in connection:
            await connection.send(message)
    except ConnectionClosed:
        pass


async def main(port: int) -> None:
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    async with serve(echo, "127.0.0.1", port, max_size=None):
        await over.wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
