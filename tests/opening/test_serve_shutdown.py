"""Closing a server while handshakes are under way."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ..support.endpoints import until
from ..support.http import request
from ..support.subject import State, only_ropeway
from .peers import raw_client
from .serving import port_of, serving, visiting


async def ignore(connection: Any) -> None:
    await connection.wait_closed()


@only_ropeway
@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: "], ids=["nothing", "part"])
async def test_a_client_without_a_request_does_not_hold_the_server(sent: bytes) -> None:
    async with serving(ignore) as server, raw_client(port_of(server)) as client:
        client.writer.write(sent)
        while not server.all_connections:
            await asyncio.sleep(0)
        server.close()
        async with asyncio.timeout(5):  # the handshake may take 10 s, and the client never closes
            await server.wait_closed()
        assert (await client.head()).status == 503


@only_ropeway
async def test_a_client_that_was_refused_does_not_hold_the_server() -> None:
    async with serving(ignore) as server, raw_client(port_of(server)) as client:
        client.writer.write(b"HELO example.com\r\n\r\n")
        assert (await client.head()).status == 400
        server.close()
        async with asyncio.timeout(5):  # a closing handshake may take 10 s
            await server.wait_closed()


def cancel_first_task_at_once(server: Any) -> None:
    """Cancel the first task that runs a connection in the very turn in which it is made."""
    answer = server.answer

    def answer_and_cancel(connection: Any) -> None:
        server.answer = answer
        answer(connection)
        connection.handler_task.cancel()

    server.answer = answer_and_cancel


@only_ropeway
@pytest.mark.parametrize("hook", [None, lambda *_: None], ids=["open", "asking"])
async def test_a_task_that_is_cancelled_at_once_leaves_no_connection(hook: Any) -> None:
    async with serving(ignore, max_connections=1, process_request=hook) as server:
        cancel_first_task_at_once(server)
        async with raw_client(port_of(server)) as client:
            await client.send(request())
            await client.rest()
        await until(lambda: not server.all_connections)
        # Its place is free again.
        async with visiting(server) as connection:
            assert connection.state is State.OPEN
        server.close()
        async with asyncio.timeout(5):
            await server.wait_closed()
