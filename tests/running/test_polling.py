"""One poll for all connections: whose context it is, what it keeps alive, what may go wrong."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import select
import socket
import weakref
from typing import Any

import pytest

import ropeway
from ropeway.asyncio import per_loop
from ropeway.asyncio.transport import StreamTransport

who: contextvars.ContextVar[str] = contextvars.ContextVar("who", default="nobody")


def port_of(server: ropeway.Server) -> int:
    return int(server.sockets[0].getsockname()[1])


async def test_handlers_run_in_the_context_of_their_server() -> None:
    async def tell(ws: ropeway.ServerConnection) -> None:
        await ws.send(who.get())

    async def start(name: str) -> ropeway.Server:
        who.set(name)
        return await ropeway.serve(tell, "127.0.0.1", 0)

    async def ask(name: str, server: ropeway.Server) -> ropeway.Data:
        who.set(name)
        async with ropeway.connect(f"ws://127.0.0.1:{port_of(server)}") as ws:
            return await ws.recv()

    # The first to poll is a client, whose context is nobody else's business.
    first = await asyncio.create_task(start("first"))
    second = await asyncio.create_task(start("second"))
    async with first, second:
        answers = [
            await asyncio.create_task(ask(f"request {number}", server))
            for number, server in enumerate([first, second, first])
        ]
    assert answers == ["first", "second", "first"]


async def test_a_client_hears_of_its_end_in_its_own_context() -> None:
    told: list[str] = []

    class Telling(ropeway.ClientConnection):
        def connection_lost(self, exc: Exception | None) -> None:
            told.append(who.get())
            super().connection_lost(exc)

    async def leave(ws: ropeway.ServerConnection) -> None:
        await ws.recv()

    async def visit(name: str, port: int) -> None:
        who.set(name)
        uri = f"ws://127.0.0.1:{port}"
        async with ropeway.connect(uri, create_connection=Telling) as ws:
            await ws.send("go")
            await ws.wait_closed()

    async with ropeway.serve(leave, "127.0.0.1", 0) as server:
        for name in ("one", "two"):
            await asyncio.create_task(visit(name, port_of(server)))
    assert told == ["one", "two"]


@pytest.mark.parametrize("ping_interval", [None, 20])
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_loop_closed_with_a_connection_open_is_freed(ping_interval: float | None) -> None:
    """The peer then sees the end of the connection."""

    async def leave_open() -> socket.socket:
        server = await ropeway.serve(
            lambda ws: ws.wait_closed(), "127.0.0.1", 0, ping_interval=ping_interval
        )
        peer = socket.create_connection(("127.0.0.1", port_of(server)))
        while not server.all_connections:
            await asyncio.sleep(0)
        return peer

    loop = asyncio.new_event_loop()
    with loop.run_until_complete(leave_open()) as peer:
        loop.close()
        forgotten = weakref.ref(loop)
        del loop
        gc.collect()
        assert forgotten() is None
        peer.settimeout(10)
        assert peer.recv(1) == b""


async def test_a_failure_at_the_start_leaves_nothing_behind() -> None:
    reports: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))

    class Failing(ropeway.ServerConnection):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            raise RuntimeError("not today")

    async def never(ws: ropeway.ServerConnection) -> None:
        raise AssertionError("nothing was opened")

    server = ropeway.serve(never, "127.0.0.1", 0, create_connection=Failing)
    async with server as serving:
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(serving))
        assert await reader.read() == b""
        writer.close()
        while serving.all_connections:
            await asyncio.sleep(0)
    assert [str(report["exception"]) for report in reports] == ["not today"]


async def test_a_protocol_that_has_no_memory_doesnt_starve_the_others() -> None:
    reports: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: reports.append(context))
    over, heard = loop.create_future(), loop.create_future()

    class Failing(asyncio.BufferedProtocol):
        def get_buffer(self, sizehint: int) -> bytearray:
            raise MemoryError("none left")

        def connection_lost(self, exc: Exception | None) -> None:
            over.set_result(exc)

    class Hearing(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            heard.set_result(data)

    pairs = [socket.socketpair() for _ in range(2)]
    for ours, peer in pairs:
        ours.setblocking(False)
        peer.send(b"x")
    transports = [StreamTransport(loop, ours) for ours, _ in pairs]
    transports[0].start(Failing())
    transports[1].start(Hearing())
    assert isinstance(await over, MemoryError)
    assert await heard == b"x"
    assert [str(report["exception"]) for report in reports] == ["none left"]
    transports[1].abort()
    await asyncio.sleep(0)
    for _, peer in pairs:
        peer.close()


async def test_the_socket_cannot_be_closed_under_the_transport() -> None:
    async with (
        ropeway.serve(lambda ws: ws.wait_closed(), "127.0.0.1", 0) as server,
        ropeway.connect(f"ws://127.0.0.1:{port_of(server)}") as ws,
    ):
        sock = ws.transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert not hasattr(sock, "close")


async def test_works_without_epoll(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(select, "epoll", raising=False)
    monkeypatch.delattr(asyncio.get_running_loop(), per_loop.ATTRIBUTE, raising=False)

    async def echo(ws: ropeway.ServerConnection) -> None:
        async for message in ws:
            await ws.send(message)

    async with (
        ropeway.serve(echo, "127.0.0.1", 0) as server,
        ropeway.connect(f"ws://127.0.0.1:{port_of(server)}") as ws,
    ):
        await ws.send("by the loop's own poll")
        assert await ws.recv() == "by the loop's own poll"
