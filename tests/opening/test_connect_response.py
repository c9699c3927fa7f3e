"""Frames right behind the response to connect, and refusals, cut in any place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ..support.http import response
from ..support.names import exceptions
from ..support.rawpeer import CLOSE, PING, TEXT, close_payload, frame
from ..support.subject import connect
from .peers import Exchange, accepting, answering, in_pieces, raw_server

# Frames right behind the response

FRAMES = (
    frame(TEXT, b"first")
    + frame(PING, b"?")
    + frame(TEXT, b"sec", fin=False)
    + frame(0, b"ond")
    + frame(CLOSE, close_payload(1001, "bye"))
)


async def received_after(cuts: Callable[[bytes], list[bytes]]) -> tuple[list[Any], Any, bytes]:
    """Cut response and frames into packets.

    Return the messages, the connection, and the bytes that the client sent back.
    """
    back = b""

    async def script(exchange: Exchange) -> None:
        nonlocal back
        await in_pieces(exchange.writer, *cuts(exchange.switching() + FRAMES))
        back = await exchange.reader.readexactly(6 + 1 + 6 + 5)

    async with raw_server(script) as server:
        async with connect(server.uri(), compression=None) as connection:
            messages = [message async for message in connection]
    return messages, connection, back


async def test_frames_behind_the_response_at_every_split() -> None:
    async with raw_server(accepting) as server:
        connection = await connect(server.uri(), compression=None)
        connection.transport.abort()
    total = len(server.requests[0].switching() + FRAMES)
    for cut in range(total):
        messages, connection, back = await received_after(
            lambda data, cut=cut: [data[:cut], data[cut:]]  # type: ignore[misc]
        )
        assert messages == ["first", "second"], cut
        assert (connection.close_code, connection.close_reason) == (1001, "bye"), cut
        assert [back[0], back[7]] == [0x8A, 0x88], cut


async def test_frames_behind_the_response_byte_by_byte() -> None:
    messages, connection, _ = await received_after(
        lambda data: [data[at : at + 1] for at in range(len(data))]
    )
    assert messages == ["first", "second"]
    assert connection.close_code == 1001


async def test_frames_in_the_last_packet_before_the_end_of_the_stream() -> None:
    async with raw_server(answering(lambda e: e.switching() + frame(TEXT, b"last"))) as server:
        async with connect(server.uri(), compression=None) as connection:
            assert await connection.recv() == "last"
            with pytest.raises(exceptions.ConnectionClosedError):
                await connection.recv()


REFUSALS = [
    response("403 Forbidden", body=b"go away"),
    response("403 Forbidden", "Transfer-Encoding: chunked", length=False)
    + b"4\r\ngo a\r\n3;x\r\nway\r\n0\r\nT: 1\r\n\r\n",
    b"HTTP/1.1 403 No\r\n\r\ngo away",
]


@pytest.mark.parametrize("answer", REFUSALS, ids=["length", "chunked", "to-eof"])
async def test_a_refusal_at_every_split(answer: bytes) -> None:
    async def script(exchange: Exchange) -> None:
        cut = int(exchange.path[1:])
        await in_pieces(exchange.writer, answer[:cut], answer[cut:])

    async with raw_server(script) as server:
        for cut in range(len(answer)):
            with pytest.raises(exceptions.InvalidStatus) as caught:
                await connect(server.uri(f"/{cut}"))
            assert caught.value.response.body == b"go away", cut
