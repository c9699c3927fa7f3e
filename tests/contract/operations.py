"""The operations of a connection, each with a way to make it wait and a way to let it end.

What a task, a timeout or a task group does to one of them must be the same for all, so the tests
of that take an ``Operation`` as their argument.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from ..support.endpoints import against_raw, settle
from ..support.rawpeer import TEXT, RawPeer
from ..support.subject import ORACLE, State

SMALL = 4096
"""Bytes of a kernel's buffer, for a connection whose sends are to wait soon."""

BLOCKER = bytes(1 << 19)
"""More than the small buffers of both kernels take."""


@dataclass(frozen=True)
class Operation:
    """What is common to the tests: ``start`` makes the operation; the rest is about the peer."""

    name: str
    start: Callable[[Any], Any]
    expected: Any
    kind: str
    """``receive``, ``send`` or ``close``."""
    sent: bytes = b""
    """What the peer receives because of it."""
    coroutine: bool = True
    """False for the awaitables that asynchronous iterators of websockets make."""

    async def release(self, raw: RawPeer) -> None:
        """Let the peer do what the waiting operation waits for."""
        if self.kind == "receive":
            await raw.send_frame(TEXT, '"x"')
        elif self.kind == "send":
            assert (await raw.recv_frame()).payload == BLOCKER
        else:
            if self.name == "close":
                await raw.answer_close()
            else:
                await raw.send_close()
                await raw.recv_close()
            raw.half_close()

    async def finished(self, raw: RawPeer) -> None:
        """Check what arrived at the peer once the operation ended well."""
        if self.kind == "send":
            assert (await raw.recv_frame()).payload == self.sent


def receiving(name: str, start: Callable[[Any], Any], expected: Any, **more: Any) -> Operation:
    return Operation(name, start, expected, "receive", **more)


def sending(name: str, start: Callable[[Any], Any], sent: bytes) -> Operation:
    return Operation(name, start, None, "send", sent)


RECEIVE = [
    receiving("recv", lambda ws: ws.recv(), '"x"'),
    receiving("anext", lambda ws: anext(aiter(ws)), '"x"', coroutine=not ORACLE),
]
SEND = [
    sending("send", lambda ws: ws.send("out"), b"out"),
    sending("ping", lambda ws: ws.ping("out"), b"out"),
    sending("pong", lambda ws: ws.pong("out"), b"out"),
]
CLOSE = [
    Operation("close", lambda ws: ws.close(), None, "close"),
    Operation("wait_closed", lambda ws: ws.wait_closed(), None, "close"),
]
if not ORACLE:
    RECEIVE += [
        receiving("recv-timeout", lambda ws: ws.recv(timeout=20), '"x"'),
        receiving("recv_json", lambda ws: ws.recv_json(), "x"),
    ]
    SEND += [sending("send_json", lambda ws: ws.send_json([1]), b"[1]")]


def operations(*groups: list[Operation]) -> pytest.MarkDecorator:
    """Run a test with each operation of these groups."""
    return pytest.mark.parametrize(
        "operation", [pytest.param(one, id=one.name) for group in groups for one in group]
    )


every_receive = operations(RECEIVE)
every_operation = operations(RECEIVE, SEND, CLOSE)
every_coroutine = operations(
    [one for group in (RECEIVE, SEND, CLOSE) for one in group if one.coroutine]
)


def task_of(operation: Operation, ws: Any, **options: Any) -> asyncio.Task[Any]:
    """Start the operation as a task of its own, with nothing around it where that can be."""
    started: Any = operation.start(ws)
    if not operation.coroutine:
        started = wrapped(started)
    return asyncio.get_running_loop().create_task(started, **options)


async def wrapped(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def is_expected(operation: Operation, result: Any) -> bool:
    if operation.name == "ping":  # the waiter for the pong
        return hasattr(result, "__await__")
    return bool(result == operation.expected)


@contextlib.asynccontextmanager
async def waiting_for(operation: Operation, role: str) -> AsyncIterator[tuple[Any, RawPeer]]:
    """Yield a connection on which the operation has to wait, and its raw peer."""
    if operation.kind != "send":
        async with against_raw(role) as (ws, raw):
            yield ws, raw
        return
    async with against_raw(role, receive_buffer=SMALL) as (ws, raw):
        with blocked(ws):
            await settle()
            yield ws, raw


@contextlib.contextmanager
def blocked(ws: Any) -> Any:
    """Send more than the kernels take, while the peer does not read; wait for it at the end."""
    kernel = ws.transport.get_extra_info("socket")
    kernel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
    blocker = asyncio.ensure_future(ws.send(BLOCKER))
    blocker.add_done_callback(lambda task: task.cancelled() or task.exception())
    yield blocker


async def intact(operation: Operation, ws: Any, raw: RawPeer, *, started: bool) -> None:
    """Check what an operation that was cancelled has left behind; nothing, unless it started."""
    if operation.kind == "receive":
        await raw.send_frame(TEXT, "kept")
        assert await ws.recv() == "kept"
    elif operation.kind == "send":
        last = asyncio.create_task(ws.send("last"))
        assert (await raw.recv_frame()).payload == BLOCKER
        if started:  # its frame was in the buffer; only the wait for room was given up
            assert (await raw.recv_frame()).payload == operation.sent
        assert (await raw.recv_frame()).payload == b"last"
        await last
    elif operation.name == "close" and started:
        assert ws.state is State.CLOSING
        await raw.finish_close()
        await ws.wait_closed()
    else:
        assert ws.state is State.OPEN
        await ws.send("last")
        assert await raw.recv_payload(TEXT) == b"last"
