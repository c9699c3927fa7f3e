"""How ``send_json`` fails, with orjson and without: each in an interpreter of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ..support.require import require_package

PROGRAM = """
import asyncio, sys
if {without}:
    sys.modules["orjson"] = None
from ropeway import connect, serve

async def echo(websocket):
    async for message in websocket:
        await websocket.send(message)

async def main():
    circle = []
    circle.append(circle)
    async with serve(echo, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with connect(f"ws://127.0.0.1:{{port}}") as websocket:
            for value in object(), "\\ud800", circle, 2**70, {{1: 2}}:
                before = websocket.stats.messages_sent
                try:
                    await websocket.send_json(value)
                except Exception as exc:
                    assert websocket.stats.messages_sent == before
                    print(type(exc).__name__)
                else:
                    print(await websocket.recv())
            await websocket.send("still open")
            assert await websocket.recv() == "still open"

asyncio.run(main())
"""


@pytest.mark.parametrize("without", [False, True], ids=["orjson", "json"])
def test_what_cannot_be_json_leaves_the_connection_open(without: bool) -> None:
    if not without:
        require_package("orjson")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(without=without)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    expected = ["TypeError"] * 5
    if without:
        expected = ["TypeError", "UnicodeEncodeError", "ValueError", str(2**70), '{"1":2}']
    assert done.stdout.splitlines() == expected
