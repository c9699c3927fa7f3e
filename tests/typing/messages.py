"""What a received message is, for mypy and pyright to read; nothing here is run.

``decode`` says it: True gives str, False gives bytes, anything else may give both.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import assert_type

import ropeway.asyncio.connection
import ropeway.sync.connection
from ropeway.typing import Data


async def on_asyncio(connection: ropeway.asyncio.connection.Connection, decode: bool) -> None:
    assert_type(await connection.recv(), str | bytes)
    assert_type(await connection.recv(None), Data)
    assert_type(await connection.recv(True), str)
    assert_type(await connection.recv(False), bytes)
    assert_type(await connection.recv(decode=True), str)
    assert_type(await connection.recv(decode=False), bytes)
    assert_type(await connection.recv(decode=True, timeout=1), str)
    assert_type(await connection.recv(decode=False, timeout=None), bytes)
    assert_type(await connection.recv(timeout=0.5), str | bytes)
    assert_type(await connection.recv(decode), str | bytes)
    assert_type([message async for message in connection], list[str | bytes])
    assert_type([part async for part in connection.recv_streaming()], list[str | bytes])
    assert_type([part async for part in connection.recv_streaming(True)], list[str])
    assert_type([part async for part in connection.recv_streaming(decode=False)], list[bytes])
    assert_type(await connection.ping(), Awaitable[float])


def on_threads(connection: ropeway.sync.connection.Connection, decode: bool) -> None:
    assert_type(connection.recv(), str | bytes)
    assert_type(connection.recv(1.5), str | bytes)
    assert_type(connection.recv(1.5, True), str)
    assert_type(connection.recv(None, False), bytes)
    assert_type(connection.recv(decode=True), str)
    assert_type(connection.recv(decode=False), bytes)
    assert_type(connection.recv(timeout=1, decode=True), str)
    assert_type(connection.recv(timeout=1, decode=False), bytes)
    assert_type(connection.recv(decode=decode), str | bytes)
    assert_type(list(connection), list[str | bytes])
    assert_type(list(connection.recv_streaming()), list[str | bytes])
    assert_type(list(connection.recv_streaming(True)), list[str])
    assert_type(list(connection.recv_streaming(decode=False)), list[bytes])
