"""Mistakes that type checkers have to find; nothing here is run.

Each is expected by a comment. One that is not found is an error itself: mypy warns of a comment
that was not needed, and so does pyright.
"""

from __future__ import annotations

from typing import assert_type

import ropeway
import ropeway.sync.client
import ropeway.sync.server
import ropeway.trio.client
import ropeway.trio.server
from ropeway.asyncio.server import ServerConnection


async def on_asyncio(connection: ropeway.ClientConnection) -> None:
    assert_type(await connection.recv(decode=True), bytes)  # type: ignore[assert-type]
    await connection.recv(decode="yes")  # type: ignore[call-overload]
    await connection.send(5)  # type: ignore[arg-type]
    await connection.close("bye")  # type: ignore[arg-type]
    connection.state = ropeway.State.OPEN  # type: ignore[misc]
    connection.nonsense()  # type: ignore[attr-defined]
    for message in connection:  # type: ignore[attr-defined]
        del message


def on_threads(connection: ropeway.sync.client.ClientConnection) -> None:
    assert_type(connection.recv(decode=False), str)  # type: ignore[assert-type]
    connection.recv(timeout="soon")  # type: ignore[call-overload]
    connection.send(5)  # type: ignore[arg-type]
    ropeway.sync.client.connect("ws://localhost/", max_sise=5)  # type: ignore[call-overload]
    ropeway.sync.client.unix_reconnect("/socket", max_size="5")  # type: ignore[arg-type]


async def on_trio(connection: ropeway.trio.client.ClientConnection) -> None:
    assert_type(await connection.recv(decode=True), bytes)  # type: ignore[assert-type]
    await connection.send(5)  # type: ignore[arg-type]
    await connection.aclose("bye")  # type: ignore[arg-type]
    ropeway.trio.client.connect("ws://localhost/", ping_interval="1")  # type: ignore[arg-type]
    with ropeway.trio.client.connect("ws://localhost/"):  # type: ignore[attr-defined]
        pass
    await ropeway.trio.server.broadcast(connection, "all")  # type: ignore[arg-type]


async def opens() -> None:
    ropeway.connect(5)  # type: ignore[arg-type]
    ropeway.connect("ws://localhost/", max_size="1 MiB")  # type: ignore[arg-type]
    ropeway.connect("ws://localhost/", process_exception=len)  # type: ignore[arg-type]
    with ropeway.connect("ws://localhost/"):  # type: ignore[attr-defined]
        pass
    ropeway.conect("ws://localhost/")  # type: ignore[attr-defined]


async def serves() -> None:
    def not_a_coroutine(connection: ServerConnection) -> None:
        pass

    async def of_a_client(connection: ropeway.ClientConnection) -> None:
        pass

    ropeway.serve(not_a_coroutine)  # type: ignore[arg-type]
    ropeway.serve(of_a_client)  # type: ignore[arg-type]
    ropeway.sync.server.serve(of_a_client)  # type: ignore[arg-type]
