"""Programs written for websockets, unmodified, on ropeway: they print what they always printed."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ..support.require import require_package

PROGRAMS = Path(__file__).parent / "programs"

ON_ROPEWAY = ("-m", "ropeway", "run")
"""How a program is run on ropeway; without it, it runs on websockets."""

HTTP, FRAGMENT = "http://localhost/", "ws://localhost/#top"
OUT_OF_ORDER = "1011 (internal error) out of order"

PRINTED = {
    "basic": ["Hello world!", "b'\\x00\\x01\\x02'", "101 None", "1000 ''"],
    "ticker": [
        "extensions: permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
        "ABC    100.00 +0.00 2000",
        "XYZ     20.50 +0.00 2000",
        "ABC    101.25 +1.25 2000",
        "closed: 1000 the market is closed",
    ],
    "latency": [
        f"not a URI for us: {HTTP} isn't a valid URI: scheme isn't ws or wss",
        HTTP,
        f"not a URI for us: {FRAGMENT} isn't a valid URI: fragment identifier is meaningless",
        FRAGMENT,
        "latency measured: True True",
        "greeting: going down",
        f"lost: received {OUT_OF_ORDER}; then sent {OUT_OF_ORDER}",
        f"{OUT_OF_ORDER} {OUT_OF_ORDER} True",
    ],
    "old": [
        "True True",
        "Hello Ann at /door, you speak en!",
        "1000 '' True",
        "server rejected WebSocket connection: HTTP 403 closed",
    ],
    "local": ["over", "a", "socket", "in the file system", "localhost /"],
}

FRAMES = re.compile(r"^DEBUG:ticker:((?:[<>] (?:TEXT|CLOSE)|= connection is).*)$", re.MULTILINE)


async def handler(connection: Any) -> None:
    """The peer of the programs that have none of their own; it does as the path says."""
    match connection.request.path:
        case "/prices":
            await sell(connection)
        case "/failing":
            assert await connection.recv() == "fail"
            await connection.send("going down")
            await connection.close(1011, "out of order")
        case _:
            async for message in connection:
                await connection.send(message)


async def sell(connection: Any) -> None:
    headers = connection.request.headers
    assert headers["Authorization"] == "Bearer sesame"
    assert headers["X-Client"] == "ticker/1.0"
    wish = json.loads(await connection.recv())
    assert wish == {"action": "subscribe", "symbols": ["ABC", "XYZ"]}
    for symbol, price in [("ABC", 100.0), ("XYZ", 20.5), ("ABC", 101.25)]:
        await connection.send(json.dumps({"symbol": symbol, "price": price, "note": "n" * 2000}))
    await connection.close(1000, "the market is closed")


@contextlib.asynccontextmanager
async def serving(library: str, name: str, folder: Path) -> AsyncIterator[str]:
    """Serve what a program needs; yield the argument that it takes."""
    server = importlib.import_module(f"{library}.asyncio.server")
    if name == "local":
        path = str(folder / "ropeway.sock")
        async with server.unix_serve(handler, path):
            yield path
    else:
        async with server.serve(handler, "127.0.0.1", 0) as listening:
            port = next(iter(listening.sockets)).getsockname()[1]
            path = {"ticker": "/prices", "latency": "/failing"}.get(name, "/")
            yield f"ws://127.0.0.1:{port}{path}"


async def output_of(library: str, name: str, how: tuple[str, ...], folder: Path) -> tuple[str, str]:
    """Run a program against a server of ``library``; return what it wrote to both streams."""
    async with serving(library, name, folder) as argument:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, *how, str(PROGRAMS / f"{name}.py"), argument),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        printed, logged = await process.communicate()
    assert process.returncode == 0, logged.decode()
    return printed.decode(), logged.decode()


@pytest.mark.parametrize("library", ["ropeway", "websockets"])
@pytest.mark.parametrize("name", PRINTED)
def test_a_program_runs_on_ropeway(name: str, library: str, tmp_path: Path) -> None:
    require_package(library)
    printed, _ = asyncio.run(output_of(library, name, ON_ROPEWAY, tmp_path))
    assert printed.splitlines() == PRINTED[name]


@pytest.mark.parametrize("name", PRINTED)
def test_the_original_prints_the_same(name: str, tmp_path: Path) -> None:
    require_package("websockets")
    printed, _ = asyncio.run(output_of("ropeway", name, (), tmp_path))
    assert printed.splitlines() == PRINTED[name]


def test_the_log_tells_of_the_same_frames(tmp_path: Path) -> None:
    require_package("websockets")

    async def frames(how: tuple[str, ...]) -> list[str]:
        _, logged = await output_of("ropeway", "ticker", how, tmp_path)
        return FRAMES.findall(logged)

    original = asyncio.run(frames(()))
    assert len(original) > 5
    assert asyncio.run(frames(ON_ROPEWAY)) == original
