"""Applications as people write them, on a server as people start it."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ropeway
from ropeway.exceptions import ConnectionClosed, InvalidStatus

from ..interop.processes import PATIENCE, running
from ..support.require import require_package
from .app import app, ends
from .serving import OURS, serving

ROOT = Path(__file__).parents[2]
APPLICATION = Path(__file__).with_name("app.py")


def connect(port: int, path: str = "/") -> Any:
    return ropeway.connect(f"ws://127.0.0.1:{port}{path}", proxy=None)


async def test_starlette() -> None:
    async with serving(app) as served:
        async with connect(served.port) as client:
            assert await client.recv() == "hello"
            for text in ("up", "", "索道"):
                await client.send(text)
                assert await client.recv() == text
        async with connect(served.port, "/close") as client:
            with pytest.raises(ConnectionClosed):
                await client.recv()
            assert (client.close_code, client.close_reason) == (4001, "enough")
        with pytest.raises(InvalidStatus) as denied:
            await connect(served.port, "/deny")
        assert denied.value.response.status_code == 404
        assert denied.value.response.headers["X-Cabin"] == "none"
        assert denied.value.response.body == b"no such cabin"
        with pytest.raises(InvalidStatus) as nowhere:
            await connect(served.port, "/nowhere")
        assert nowhere.value.response.status_code == 403
        async with connect(served.port, "/end") as client:
            await client.close(4002, "tired")
    assert ends == [(4002, "tired")]
    ends.clear()


async def test_fastapi() -> None:
    fastapi = require_package("fastapi")
    application = fastapi.FastAPI()
    left: list[Any] = []

    def cabin_number(cabin: int) -> int:
        if cabin > 9:
            raise fastapi.WebSocketException(1008, "no such cabin")
        return cabin

    async def ride(socket: Any, number: Any) -> None:
        await socket.accept()
        try:
            while True:
                await socket.send_json({"cabin": number, **await socket.receive_json()})
        except fastapi.WebSocketDisconnect as exc:
            left.append(exc.code)

    ride.__annotations__ = {"socket": fastapi.WebSocket, "number": int}
    ride.__defaults__ = (fastapi.Depends(cabin_number),)
    cabin_number.__annotations__ = {"cabin": int}
    application.websocket("/cabins/{cabin}")(ride)

    async with serving(application) as served:
        async with connect(served.port, "/cabins/7") as client:
            await client.send('{"at": "top"}')
            assert await client.recv_json() == {"cabin": 7, "at": "top"}
        with pytest.raises(InvalidStatus) as refused:
            await connect(served.port, "/cabins/12")
        assert refused.value.response.status_code == 403
    assert left == [1000]


# The command line


@contextlib.contextmanager
def commanded(directory: Path, *options: str) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """Run uvicorn as a program, on a port that it chooses itself."""
    shutil.copy(APPLICATION, directory / "line.py")
    command = [sys.executable, "-m", "uvicorn", "--ws", OURS, "--port", "0", "line:app", *options]
    with running(command, cwd=directory, stderr=subprocess.PIPE) as process:
        port = port_printed(process, r"running on http://127\.0\.0\.1:(\d+)")
        await_port(process, port)
        yield port, process


def port_printed(process: subprocess.Popen[str], pattern: str) -> int:
    """Read what a server logs until it tells its port."""
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(pattern, line):
            return int(found[1])
    pytest.fail("the server has ended", pytrace=False)


def await_port(process: subprocess.Popen[str], port: int) -> None:
    # With --reload it is bound first, and listened on by a process that has yet to start.
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail("the server does not listen", pytrace=False)


@pytest.mark.parametrize("loop_factory", ["asyncio"], indirect=True)
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
async def test_command_line(loop: str, tmp_path: Path) -> None:
    require_package(loop)
    options = ("--loop", loop, "--ws-max-size", "1000", "--ws-per-message-deflate", "false")
    with commanded(tmp_path, *options) as (port, process):
        async with connect(port) as client:
            assert "Sec-WebSocket-Extensions" not in client.response.headers
            assert await client.recv() == "hello"
            await client.send("x" * 1001)
            with pytest.raises(ConnectionClosed):
                await client.recv()
            assert client.close_code == 1009
        async with connect(port) as client:
            assert await client.recv() == "hello"
            process.send_signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed):
                await client.recv()
            assert client.close_code == 1012
        # uvicorn ends by the signal that it was sent, once it has shut down.
        assert await asyncio.to_thread(process.wait, PATIENCE) in (0, -signal.SIGTERM)


@pytest.mark.parametrize("loop_factory", ["asyncio"], indirect=True)
async def test_reload(tmp_path: Path) -> None:
    with commanded(tmp_path, "--reload") as (port, _):
        async with connect(port) as client:
            assert await client.recv() == "hello"
            program = (tmp_path / "line.py").read_text(encoding="utf-8")
            (tmp_path / "line.py").write_text(
                program.replace('"hello"', '"hello again"'), encoding="utf-8"
            )
            with pytest.raises(ConnectionClosed):
                await client.recv()
            assert client.close_code == 1012
        # The socket stays open meanwhile, so the kernel keeps whoever comes too early.
        async with connect(port) as client:
            assert await client.recv() == "hello again"


# Under another master


@pytest.mark.skipif(sys.platform == "win32", reason="gunicorn needs fork")
@pytest.mark.parametrize("loop_factory", ["asyncio"], indirect=True)
async def test_gunicorn(tmp_path: Path) -> None:
    require_package("gunicorn")
    require_package("uvicorn_worker")
    shutil.copy(APPLICATION, tmp_path / "line.py")
    document = (ROOT / "docs/uvicorn.md").read_text(encoding="utf-8")
    worker = re.search(r"```python\n(from uvicorn_worker .*?)```", document, re.DOTALL)
    assert worker is not None
    (tmp_path / "workers.py").write_text(worker[1], encoding="utf-8")
    options = ["--worker-class", "workers.RopewayWorker", "--workers", "2", "--no-control-socket"]
    command = [sys.executable, "-m", "gunicorn", "--bind", "127.0.0.1:0", *options, "line:app"]
    with running(command, cwd=tmp_path, stderr=subprocess.PIPE) as process:
        port = port_printed(process, r"Listening at: http://127\.0\.0\.1:(\d+)")
        async with connect(port) as client:
            assert client.response.headers["Server"] == "uvicorn"
            assert await client.recv() == "hello"
            await client.send("up")
            assert await client.recv() == "up"
            process.send_signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed):
                await client.recv()
            assert client.close_code == 1012
        assert await asyncio.to_thread(process.wait, PATIENCE) == 0
