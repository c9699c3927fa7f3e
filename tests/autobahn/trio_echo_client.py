"""The client for trio under test: ``trio_echo_client.py URL AGENT`` goes through all cases."""

from __future__ import annotations

import sys

import trio

from ropeway import WebSocketException
from ropeway.trio.client import connect


async def play(url: str) -> None:
    """Send every message back until the server has seen enough."""
    try:
        async with connect(url, max_size=None, proxy=None) as connection:
            async for message in connection:
                await connection.send(message)
    except (WebSocketException, OSError):
        pass  # the fuzzing server judges how it ended


async def main(base: str, agent: str) -> None:
    async with connect(f"{base}/getCaseCount", proxy=None) as connection:
        count = int(await connection.recv())
    for case in range(1, count + 1):
        await play(f"{base}/runCase?case={case}&agent={agent}")
    # Writing the reports takes the server longer than an opening handshake may last.
    async with connect(
        f"{base}/updateReports?agent={agent}", proxy=None, open_timeout=None
    ) as connection:
        await connection.wait_closed()


if __name__ == "__main__":
    trio.run(main, sys.argv[1], sys.argv[2])
