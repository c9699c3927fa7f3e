"""A uvicorn server in the test's loop, an application that keeps what it sees, a raw client."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import uvicorn

from ..support.rawpeer import CLOSE, RawFrame, RawPeer

OURS = "ropeway.asgi.uvicorn:WebSocketProtocol"

UPGRADE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==",
)

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Script = Callable[["Application"], Awaitable[object]]


class Application:
    """An ASGI application that does what a script says and keeps what it learns by that.

    Attributes:
        seen: events in the order in which they came, and the names of exceptions.
        ended: done when the script of the first connection is over.

    """

    def __init__(self, script: Script) -> None:
        self._script = script
        self.seen: list[Any] = []
        self.scope: Scope = {}
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> object:
        self.scope = scope
        self.raw_receive, self.raw_send = receive, send
        try:
            return await self._script(self)
        finally:
            if not self.ended.done():
                self.ended.set_result(None)

    async def receive(self) -> dict[str, Any]:
        event = await self.raw_receive()
        self.seen.append(dict(event))
        return event

    async def send(self, kind: str, **fields: Any) -> None:
        await self.raw_send({"type": f"websocket.{kind}", **fields})

    async def try_to_send(self, kind: str, **fields: Any) -> None:
        """Send an event, and write down which of the exceptions an application knows came of it."""
        try:
            await self.send(kind, **fields)
        except OSError:
            self.seen.append("OSError")
        except RuntimeError:
            self.seen.append("RuntimeError")
        except Exception:
            self.seen.append("Exception")
        else:
            self.seen.append("sent")

    async def open(self, **fields: Any) -> None:
        assert (await self.receive())["type"] == "websocket.connect"
        await self.send("accept", **fields)

    async def receive_all(self) -> None:
        while (await self.receive())["type"] != "websocket.disconnect":
            pass


class Served:
    """A server that runs.

    Attributes:
        port: where it listens on 127.0.0.1.

    """

    def __init__(self, server: uvicorn.Server, listener: socket.socket) -> None:
        self.server = server
        self.listener = listener
        self.port: int = listener.getsockname()[1]
        self.stopped = False

    @property
    def connections(self) -> list[Any]:
        return list(self.server.server_state.connections)

    async def stop(self) -> None:
        if not self.stopped:
            self.stopped = True
            await self.server.shutdown(sockets=[self.listener])


@contextlib.asynccontextmanager
async def serving(app: Any, ws: Any = OURS, **options: Any) -> AsyncIterator[Served]:
    """Run a real server, without the loop around it that waits for signals."""
    config = uvicorn.Config(app, ws=ws, **{"lifespan": "off", "log_config": None, **options})
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    listener = socket.create_server(("127.0.0.1", 0))
    await server.startup(sockets=[listener])
    await server.on_tick(0)
    served = Served(server, listener)
    try:
        yield served
    finally:
        await served.stop()


class Client(RawPeer):
    """A client by hand, which can be refused as well."""

    status = 0
    headers: list[tuple[str, str]]
    body = b""

    @classmethod
    async def connect(cls, port: int, *lines: str, target: str = "/", early: bytes = b"") -> Client:
        """Connect and send a request; the answer is for :meth:`answered`."""
        sock = socket.socket()
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        self = cls(sock, masks=True)
        request = [f"GET {target} HTTP/1.1", f"Host: 127.0.0.1:{port}", *UPGRADE, *lines, "", ""]
        await self.send("\r\n".join(request).encode(), early)
        return self

    async def answered(self) -> int:
        """Take the answer to the request, and give its status; with the body where it refuses."""
        head = (await self.recv_until(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
        self.status = int(head[0].split(" ")[1])
        pairs = (line.split(":", 1) for line in head[1:])
        self.headers = [(name.lower(), value.strip()) for name, value in pairs]
        if self.status != 101:
            with contextlib.suppress(ConnectionError):
                while await self.recv_some():
                    pass
            self.body = bytes(self.buffer)
        return self.status

    @classmethod
    async def open(cls, port: int, *lines: str, **options: Any) -> Client:  # type: ignore[override]
        self = await cls.connect(port, *lines, **options)
        assert await self.answered() == 101
        return self

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    async def recv_all(self, *, answer: bool = True) -> list[RawFrame | str]:
        """Take frames until the stream ends, and how it does as the last thing.

        A close frame is answered, unless it is an answer itself.
        """
        frames: list[RawFrame | str] = []
        try:
            while True:
                frames.append(received := await self.recv_frame())
                if received.opcode == CLOSE and answer:
                    with contextlib.suppress(ConnectionError):
                        await self.send_frame(CLOSE, received.payload)
        except EOFError:
            frames.append("end")
        except ConnectionError:
            frames.append("reset")
        return frames
