"""Those who visit the servers: clients on the original websockets, and what they saw."""

from __future__ import annotations

import asyncio
import json
from typing import Any

__all__ = ["VISITORS"]


class Visitor:
    """A client that notes what it sees."""

    def __init__(self, port: int) -> None:
        self.base = f"ws://127.0.0.1:{port}"
        self.seen: list[str] = []

    def note(self, *words: object) -> None:
        self.seen.append(" ".join(map(str, words)))

    def connect(self, path: str, **options: Any) -> Any:
        from websockets.asyncio.client import connect

        return connect(f"{self.base}{path}", proxy=None, **options)

    async def echo(self, path: str, **options: Any) -> None:
        """Send all kinds of messages, and expect each back."""
        async with self.connect(path, **options) as socket:
            self.note(path, "agreed:", socket.response.headers.get("Sec-WebSocket-Extensions"))
            for message in ("", "up", "索道 🚡" * 1000, b"", bytes(range(256)), bytes(1_000_000)):
                await socket.send(message)
                self.note(path, len(message), await socket.recv() == message)
            await socket.send(["one ", "", "two"])
            self.note(path, await socket.recv())
            for number in range(200):
                await socket.send(f"{number}" * 50)
            self.note(path, [await socket.recv() for _ in range(200)] == many())
            await asyncio.wait_for(await socket.ping(b"there?"), 20)
            self.note(path, "pong")

    async def until_closed(self, path: str, *messages: str | bytes, **options: Any) -> None:
        """Send messages, and note what comes until the other side closes."""
        from websockets.exceptions import ConnectionClosed

        async with self.connect(path, **options) as socket:
            for message in messages:
                await socket.send(message)
            try:
                while True:
                    self.note(path, await socket.recv())
            except ConnectionClosed as exc:
                # The reason of a 1009 is for people, and only the newer API of websockets has one.
                shown = "1009" if exc.rcvd and exc.rcvd.code == 1009 else str(exc)
                self.note(path, type(exc).__name__, shown)

    async def refused(self, path: str) -> None:
        from websockets.exceptions import InvalidStatus

        try:
            async with self.connect(path):
                self.note(path, "not refused")
        except InvalidStatus as exc:
            self.note(path, exc, bytes(exc.response.body or b""))

    async def violation(self, path: str, wire: bytes) -> None:
        """Break the rules, and note the code with which the server closes."""
        from websockets.exceptions import ConnectionClosed

        async with self.connect(path, compression=None) as socket:
            socket.transport.write(wire)
            try:
                await socket.recv()
            except ConnectionClosed as exc:
                self.note(path, wire[:2].hex(), exc.rcvd and exc.rcvd.code)


def many() -> list[str]:
    return [f"{number}" * 50 for number in range(200)]


async def sanic(visitor: Visitor) -> None:
    await visitor.echo("/echo")
    await visitor.echo("/echo", compression=None)
    async with visitor.connect("/pieces") as socket:
        await socket.send(iter(["a ", "b ", "c"]))
        visitor.note("pieces:", await socket.recv())
        await socket.send("four")
        await socket.send(b"five")
        await socket.wait_closed()
        visitor.note("pieces:", socket.close_code)
    async with visitor.connect("/waiting") as socket:
        visitor.note("waiting:", await socket.recv())
        await socket.send("that is all")
        await socket.wait_closed()
        visitor.note("waiting:", socket.close_code)
    options = {"subprotocols": ["chat.v1"], "additional_headers": {"X-Rider": "me"}}
    await visitor.until_closed("/chat?room=7", **options)
    await visitor.until_closed("/close")
    await visitor.until_closed("/fail", "now")
    await visitor.until_closed("/echo", bytes(2**20 + 1))
    await visitor.refused("/forbidden")
    await visitor.refused("/nowhere")
    await visitor.violation("/echo", b"\x81\x02up")
    await visitor.violation("/echo", b"\xf1\x80\x00\x00\x00\x00")


async def uvicorn(visitor: Visitor) -> None:
    await visitor.echo("/echo")
    await visitor.echo("/echo", compression=None)
    async with visitor.connect("/request?line=3", additional_headers={"X-Rider": "me"}) as socket:
        visitor.note(socket.response.headers.get_all("X-Cabin"))
        request = json.loads(await socket.recv())
        visitor.note(request["path"], request["query"], ["x-rider", "me"] in request["headers"])
    async with visitor.connect("/chat", subprotocols=["chat.v2", "chat.v1"]) as socket:
        visitor.note(socket.subprotocol, await socket.recv())
    await visitor.until_closed("/close?code=4000&reason=enough")
    await visitor.until_closed("/echo", bytes(2**20 + 1))
    async with visitor.connect("/closed") as socket:
        await socket.close(3001, "that is all")
    await visitor.until_closed("/last-end")
    for path in ("/refuse", "/deny", "/fail", "/nowhere"):
        await visitor.refused(path)
    await visitor.violation("/echo", b"\x81\x02up")
    await visitor.violation("/echo", b"\xf1\x80\x00\x00\x00\x00")


VISITORS = {"sanic": sanic, "uvicorn": uvicorn}
"""What is done to the servers, by name."""
