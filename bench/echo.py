"""What an echo costs the server: CPU time per message, of ropeway and of what people use today.

Server and client are processes with a core each, where there are two. The client is the same for
all: a plain socket, and frames that were masked before the clock started. It writes some frames
at once (the depth), waits until all of them are back, and starts over. The figure is the CPU time
of the server, user and system, as the kernel accounts for it, divided by the messages. The
contenders run in turn (A B C, A B C …), in a fresh process each time; medians over the rounds.

    python bench/echo.py measure    writes docs/echo.json, in two minutes
    python bench/echo.py draw       draws docs/echo.svg from it
    python bench/echo.py table      prints the table of README.md from it

It needs Linux and the extra "bench", and makes one narrow figure, for the README.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import importlib
import importlib.metadata
import json
import os
import platform
import random
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "docs" / "echo.json"
PAYLOAD_SIZE = 32
DEPTHS = (64, 1)
ROUNDS = 7
SECONDS = 1.0
WARM_UP = 0.2
CLOSE = bytes.fromhex("8882 00000000 03e8")
PURE = "ropeway (pure)"
CONTENDERS = ("ropeway", PURE, "websockets", "aiohttp", "picows", "picows.websockets")


# The servers: each as its own documentation would have it, without compression.


async def serve(contender: str, listener: socket.socket) -> None:
    if contender == "aiohttp":
        await serve_aiohttp(listener)
    elif contender == "picows":
        await serve_picows(listener)
    else:
        package = importlib.import_module(contender.partition(" ")[0])
        if package.__name__ == "ropeway":
            assert package.build == ("pure" if contender == PURE else "compiled")
        await package.serve(echo, sock=listener, compression=None)
    await asyncio.Event().wait()


async def echo(connection: Any) -> None:
    """Echo with a package that has the API of websockets."""
    async for message in connection:
        await connection.send(message)


async def serve_aiohttp(listener: socket.socket) -> None:
    from aiohttp import web

    async def echo(request: web.Request) -> web.WebSocketResponse:
        response = web.WebSocketResponse(compress=False)
        await response.prepare(request)
        async for message in response:
            await response.send_str(message.data)
        return response

    application = web.Application()
    application.router.add_get("/", echo)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.SockSite(runner, listener).start()


async def serve_picows(listener: socket.socket) -> None:
    import picows

    class Echo(picows.WSListener):
        def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
            if frame.msg_type == picows.WSMsgType.TEXT:
                transport.send(frame.msg_type, frame.get_payload_as_bytes())

    await picows.ws_create_server(lambda _: Echo(), sock=listener)


# The client


def open_connection(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    response = b""
    while not response.endswith(b"\r\n\r\n"):
        response += connection.recv(4096)
    assert response.startswith(b"HTTP/1.1 101 "), response
    return connection


def make_frames(depth: int) -> tuple[bytes, bytes]:
    """Make the frames to send, each with its own masking key, and the bytes to expect."""
    generator = random.Random(depth)
    sent, expected = b"", b""
    for number in range(depth):
        payload = f"message {number} ".encode().ljust(PAYLOAD_SIZE, b".")
        key = generator.randbytes(4)
        masked = bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))
        sent += bytes([0x81, 0x80 | PAYLOAD_SIZE]) + key + masked
        expected += bytes([0x81, PAYLOAD_SIZE]) + payload
    return sent, expected


def echo_for(seconds: float, connection: socket.socket, depth: int) -> int:
    """Exchange messages for a time; return their number."""
    sent, expected = make_frames(depth)
    received = bytearray(len(expected))
    view = memoryview(received)
    messages, end = 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        connection.sendall(sent)
        have = 0
        while have < len(expected):
            size = connection.recv_into(view[have:])
            assert size, "the server has closed the connection"
            have += size
        assert received == expected
        messages += depth
    return messages


def cpu_seconds(pid: int) -> float:
    """Read the CPU time of another process: Linux makes the clock's number from the process's."""
    return time.clock_gettime((~pid << 3) | 2)


def run_once(contender: str, core: int) -> dict[str, Any]:
    environment = {**os.environ, "ROPEWAY_PURE": str(int(contender == PURE))}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        command = [sys.executable, __file__, "serve", contender, str(listener.fileno())]
        server = subprocess.Popen(command, env=environment, pass_fds=[listener.fileno()])
    result = {}
    try:
        os.sched_setaffinity(server.pid, {core})
        for depth in DEPTHS:
            with open_connection(port) as connection:
                echo_for(WARM_UP, connection, depth)
                before = cpu_seconds(server.pid)
                messages = echo_for(SECONDS, connection, depth)
                cpu = cpu_seconds(server.pid) - before
                result[str(depth)] = {"messages": messages, "cpu_seconds": round(cpu, 6)}
                connection.sendall(CLOSE)
    finally:
        server.kill()
        server.wait()
    return result


def measure() -> None:
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[-1]})
    data: dict[str, Any] = {**describe(), "results": {name: [] for name in CONTENDERS}}
    for number in range(ROUNDS):
        for contender in CONTENDERS:
            data["results"][contender].append(run_once(contender, cores[0]))
        print(f"round {number + 1} of {ROUNDS}", file=sys.stderr)
    DATA.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def describe() -> dict[str, Any]:
    """Tell what is measured, where, and when."""
    git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"]
    packages = ("websockets", "aiohttp", "picows", "aiofastnet")  # picows runs on aiofastnet
    cpu = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": subprocess.check_output(git, text=True).strip(),
        "machine": f"{os.cpu_count()} cores, {cpu[0].partition(': ')[2]}, {platform.system()}",
        "load_average_before": round(os.getloadavg()[0], 1),
        "python": f"{platform.python_version()}, event loop of asyncio",
        "versions": {name: importlib.metadata.version(name) for name in packages},
    }


def microseconds(data: dict[str, Any], contender: str, depth: int) -> list[float]:
    runs = [run[str(depth)] for run in data["results"][contender]]
    return [run["cpu_seconds"] / run["messages"] * 1e6 for run in runs]


def table(data: dict[str, Any]) -> str:
    lines = ["| server CPU per echo, µs | 64 in flight | 1 in flight |", "| --- | --: | --: |"]
    for contender in CONTENDERS:
        medians = [statistics.median(microseconds(data, contender, depth)) for depth in DEPTHS]
        lines.append(f"| {contender} | {medians[0]:.1f} | {medians[1]:.1f} |")
    return "\n".join(lines)


def draw(data: dict[str, Any]) -> None:
    from matplotlib import pyplot

    pyplot.rcParams.update({"svg.hashsalt": "ropeway", "font.size": 9})
    figure, panels = pyplot.subplots(1, len(DEPTHS), figsize=(9, 2.8), sharey=True, layout="tight")
    for panel, depth in zip(panels, DEPTHS, strict=True):
        for row, contender in enumerate(CONTENDERS):
            rounds = microseconds(data, contender, depth)
            median = statistics.median(rounds)
            panel.barh(row, median, color="#0a7d72" if row < 2 else "#b8bec4", height=0.66)
            panel.plot(rounds, [row] * len(rounds), "|", color="#33383d", markersize=5)
            panel.text(max(rounds), row, f"  {median:.1f}", va="center")
        panel.set_yticks(range(len(CONTENDERS)), CONTENDERS)
        panel.set_title(f"{depth} in flight on one connection", fontsize=9)
        panel.set_xlabel("server CPU per echoed message, µs (less is better)")
        panel.margins(x=0.16)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].invert_yaxis()
    figure.savefig(DATA.with_suffix(".svg"), metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures what an echo costs the server.")
    parser.add_argument("action", choices=["measure", "draw", "table", "serve"])
    parser.add_argument("of_serve", nargs="*", help="contender and file descriptor to listen on")
    options = parser.parse_args()
    if options.action == "serve":
        asyncio.run(serve(options.of_serve[0], socket.socket(fileno=int(options.of_serve[1]))))
    elif options.action == "measure":
        measure()
    else:
        data = json.loads(DATA.read_text(encoding="utf-8"))
        draw(data) if options.action == "draw" else print(table(data))


if __name__ == "__main__":
    main()
