"""Mistakes that type checkers have to find; nothing here is run.

Each is expected by a comment. One that is not found is an error itself: mypy warns of a comment
that was not needed, and so does pyright.
"""

from __future__ import annotations

from typing import assert_type

import trio

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


def on_threads(connection: ropeway.sync.client.ClientConnection) -> None:
    assert_type(connection.recv(decode=True), bytes)  # type: ignore[assert-type]
    connection.recv(True, True, True)  # type: ignore[call-overload]
    connection.recv(timeout="1")  # type: ignore[call-overload]
    connection.send(5)  # type: ignore[arg-type]
    connection.close("bye")  # type: ignore[arg-type]
    connection.state = ropeway.State.OPEN  # type: ignore[misc]
    for part in connection.recv_streaming(decode="yes"):  # type: ignore[call-overload]
        del part
    ropeway.sync.server.broadcast(connection, "all")  # type: ignore[arg-type]


def opens_on_threads() -> None:
    from ropeway.sync.client import connect, reconnect, unix_connect, unix_reconnect

    connect(5)  # type: ignore[call-overload]
    connect("ws://localhost/", ping_intervall=5)  # type: ignore[call-overload]
    connect("ws://localhost/", max_size="1 MiB")  # type: ignore[call-overload]
    connect("ws://localhost/", legacy="yes")  # type: ignore[call-overload]
    unix_connect("/run/app.sock", open_timeot=5)  # type: ignore[call-overload]
    reconnect("ws://localhost/", adress=("localhost", 80))  # type: ignore[call-arg]
    reconnect("ws://localhost/", address="localhost")  # type: ignore[arg-type]
    unix_reconnect("/run/app.sock", max_sise=5)  # type: ignore[call-arg]
    unix_reconnect("/run/app.sock", max_size="5")  # type: ignore[arg-type]
    with connect("ws://localhost/", legacy=False) as connection:
        connection.nonsense()  # type: ignore[attr-defined]


def serves_on_threads() -> None:
    from ropeway.sync.server import basic_auth, broadcast, serve

    async def coroutine(connection: ropeway.sync.server.ServerConnection) -> None:
        pass

    async def allowed(user: str, password: str) -> bool:
        return user == password

    serve(coroutine)  # type: ignore[arg-type]
    basic_auth("realm", "user:pass")  # type: ignore[arg-type]
    basic_auth(check_credentials=allowed)  # type: ignore[arg-type]
    broadcast([], "all", slow_consumer="dropp")  # type: ignore[arg-type]


async def on_trio(connection: ropeway.trio.client.ClientConnection) -> None:
    assert_type(await connection.recv(decode=True), bytes)  # type: ignore[assert-type]
    await connection.recv(decode="yes")  # type: ignore[call-overload]
    await connection.recv(timeout=1)  # type: ignore[call-overload]
    await connection.send(5)  # type: ignore[arg-type]
    await connection.aclose("bye")  # type: ignore[arg-type]
    await connection.close()  # type: ignore[attr-defined]
    connection.state = ropeway.State.OPEN  # type: ignore[misc]
    for message in connection:  # type: ignore[attr-defined]
        del message


async def opens_on_trio(nursery: trio.Nursery) -> None:
    from ropeway.trio.client import connect

    connect(5)  # type: ignore[arg-type]
    connect("ws://localhost/", max_size="1 MiB")  # type: ignore[arg-type]
    connect("ws://localhost/", stream=nursery)  # type: ignore[arg-type]
    await connect("ws://localhost/")  # type: ignore[misc]
    await connect("ws://localhost/").connect()  # type: ignore[call-arg]
    with connect("ws://localhost/"):  # type: ignore[attr-defined]
        pass


async def serves_on_trio() -> None:
    from ropeway.trio.server import basic_auth, broadcast, serve

    def not_a_coroutine(connection: ropeway.trio.server.ServerConnection) -> None:
        pass

    async def handler(connection: ropeway.trio.server.ServerConnection) -> None:
        pass

    await serve(not_a_coroutine, 8080)  # type: ignore[arg-type]
    await serve(handler, "8080")  # type: ignore[arg-type]
    await serve(handler, 8080, ping_intervall=5)  # type: ignore[call-arg]
    basic_auth("realm", 5)  # type: ignore[arg-type]
    await broadcast([], 5)  # type: ignore[arg-type]
