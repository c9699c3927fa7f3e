"""Mistakes that type checkers have to find; nothing here is run.

Each is expected by a comment. One that is not found is an error itself: mypy warns of a comment
that was not needed, and so does pyright.
"""

from __future__ import annotations

from typing import assert_type

import ropeway
import ropeway.sync.server
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
