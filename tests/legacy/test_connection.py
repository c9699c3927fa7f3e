"""A legacy connection: its attributes, its messages, and the traces that its end leaves."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from typing import Any

import pytest

from ..support.subject import ConnectionClosedError, ConnectionClosedOK, ProtocolError, State
from . import names
from .names import connect, deprecated, echo, idle, only_ropeway, pair, serving, uri_of


async def test_attributes() -> None:
    async with serving(echo, subprotocols=["chat"]) as server:
        async with connect(uri_of(server, "/a?b"), subprotocols=["chat"]) as near:
            (far,) = server.websockets
            assert (near.is_client, near.side) == (True, "client")
            assert (far.is_client, far.side) == (False, "server")
            assert near.local_address == far.remote_address
            assert far.local_address == near.remote_address
            for ws in (near, far):
                assert (ws.open, ws.closed, ws.state) == (True, False, State.OPEN)
                assert ws.path == "/a?b"
                assert ws.request_headers["Upgrade"] == "websocket"
                assert ws.response_headers["Upgrade"] == "websocket"
                assert ws.subprotocol == "chat"
                assert (ws.close_code, ws.close_reason) == (None, None)
                assert ws.loop is asyncio.get_running_loop()
                assert isinstance(ws.logger, logging.LoggerAdapter)
                assert ws.latency == 0
                assert (ws.ping_interval, ws.ping_timeout, ws.close_timeout) == (
                    20,
                    20,
                    5 if ws is far else 10,
                )
                assert (ws.max_size, ws.max_queue) == (2**20, 2**5)
                assert (ws.read_limit, ws.write_limit) == (2**16, 2**16)
                assert [extension.name for extension in ws.extensions] == ["permessage-deflate"]
                assert not ws.transfer_data_task.done()
                assert ws.transfer_data_exc is None
                assert len(ws.messages) == len(ws.pings) == 0
            assert near.id != far.id
        assert (near.open, near.closed, near.state) == (False, True, State.CLOSED)
        await near.transfer_data_task
        await near.close_connection_task
        assert near.connection_lost_waiter.done()


@pytest.mark.parametrize(
    ("old", "message"),
    [
        ("host", "use remote_address[0] instead of host"),
        ("port", "use remote_address[1] instead of port"),
        ("secure", "don't use secure"),
    ],
)
async def test_deprecated_attributes(old: str, message: str) -> None:
    async with serving(idle) as server:
        async with connect(uri_of(server)) as ws:
            with deprecated(message):
                value = getattr(ws, old)
            host, port = ws.remote_address
            assert value == {"host": host, "port": port, "secure": False}[old]


async def test_messages_in_both_directions() -> None:
    async with pair(echo) as ws:
        for message in ("text", b"binary", "", "x" * 100_000):
            await ws.send(message)
            assert await ws.recv() == message
        await ws.send(["frag", "ments"])
        assert await ws.recv() == "fragments"
        assert await (await ws.ping("are you there?")) >= 0
        await ws.pong()
        with pytest.raises(TypeError):
            await ws.send({"a": "b"})
        with pytest.raises(TypeError):
            await ws.send(5)


async def test_messages_that_wait() -> None:
    async def send_two(ws: Any) -> None:
        await ws.send("one")
        await ws.send(b"two")
        await ws.wait_closed()

    async with pair(send_two) as ws:
        while len(ws.messages) < 2:
            await asyncio.sleep(0)
        assert list(ws.messages) == ["one", b"two"]
        assert await ws.recv() == "one"
        assert list(ws.messages) == [b"two"]


async def test_one_task_receives() -> None:
    async with pair(idle) as ws:
        first = asyncio.create_task(ws.recv())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="cannot call recv while another coroutine"):
            await ws.recv()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first


async def test_a_proper_end() -> None:
    async with pair(echo) as ws:
        await ws.close(3000, "enough")
        assert (ws.close_code, ws.close_reason) == (3000, "enough")
        assert ws.transfer_data_exc is None
        assert ws.close_rcvd.code == ws.close_sent.code == 3000
        assert ws.close_rcvd_then_sent is False
        for operation in (ws.recv, lambda: ws.send("x"), ws.ping, ws.pong, ws.ensure_open):
            with pytest.raises(ConnectionClosedError) as raised:
                await operation()
            assert str(raised.value) == str(ws.connection_closed_exc())


async def test_the_end_of_iterating() -> None:
    async def send_two(ws: Any) -> None:
        await ws.send("one")
        await ws.send("two")

    async with pair(send_two) as ws:
        assert [message async for message in ws] == ["one", "two"]
        with pytest.raises(ConnectionClosedOK):
            await ws.recv()


@only_ropeway  # websockets leaves a socket behind
async def test_what_broke_the_connection() -> None:
    async def misbehave(ws: Any) -> None:
        ws.transport.write(b"\x83\x00")
        await ws.wait_closed()

    async with pair(misbehave) as ws:
        with pytest.raises(ConnectionClosedError) as raised:
            await ws.recv()
        assert isinstance(raised.value.__cause__, ProtocolError)
        assert isinstance(ws.transfer_data_exc, ProtocolError)
        assert ws.transfer_data_task.done()
        assert ws.transfer_data_task.exception() is None
        assert ws.close_code == 1006


async def test_failing_a_connection() -> None:
    async def fail(ws: Any) -> None:
        await ws.send("last")
        ws.fail_connection(1012, "restarting")
        await ws.wait_closed()
        ws.fail_connection(1012)  # does nothing any more

    async with pair(fail) as ws:
        assert await ws.recv() == "last"
        with pytest.raises(ConnectionClosedError) as raised:
            await ws.recv()
    assert (raised.value.rcvd.code, raised.value.rcvd.reason) == (1012, "restarting")


async def test_failing_and_closing_the_transport() -> None:
    """As uvicorn's legacy implementation does when it shuts down."""

    async def fail(ws: Any) -> None:
        ws.fail_connection(1012)
        ws.transport.close()
        await ws.wait_closed()

    async with pair(fail) as ws:
        with pytest.raises(ConnectionClosedError) as raised:
            await ws.recv()
    assert raised.value.rcvd.code == 1012


async def test_what_is_sent_before_the_transport_is_closed_goes_out() -> None:
    async def send_and_close(ws: Any) -> None:
        await ws.recv()
        await ws.send("one")
        await ws.send("two")
        ws.transport.close()
        await ws.wait_closed()

    async with pair(send_and_close) as ws:
        await ws.send("go")
        assert [await ws.recv(), await ws.recv()] == ["one", "two"]


async def test_before_there_is_a_connection() -> None:
    ws = names.client.WebSocketClientProtocol()
    assert (ws.open, ws.closed, ws.state) == (False, False, State.CONNECTING)
    assert ws.local_address is ws.remote_address is None
    assert ws.close_code is ws.close_reason is None
    if not names.ORACLE:  # there, a loop that ends waits for ever
        with pytest.raises(Exception, match="connection is connecting"):
            await ws.ensure_open()


@only_ropeway
async def test_a_connection_is_freed_without_the_garbage_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        async with serving(echo) as server:
            async with connect(uri_of(server)) as ws:
                await ws.send("x")
                await ws.recv()
                known = weakref.ref(next(iter(server.websockets)))
            mine = weakref.ref(ws)
            del ws
        for _ in range(5):
            await asyncio.sleep(0)
        assert known() is None
        assert mine() is None
    finally:
        gc.enable()
