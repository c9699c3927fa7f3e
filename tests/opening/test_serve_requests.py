"""What comes right behind a request, at every split, and with the request refused."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from ..support.http import request
from ..support.names import exceptions
from ..support.rawpeer import CLOSE, PING, TEXT, close_payload, frame
from ..support.subject import ORACLE, only_ropeway
from .peers import in_pieces, raw_client
from .serving import echo, port_of, serving

# Frames right behind the request


def frames(*parts: tuple[int, bytes, bool]) -> bytes:
    key = b"\x01\x02\x03\x04"
    return b"".join(
        frame(opcode, payload, mask=True, key=key, fin=fin) for opcode, payload, fin in parts
    )


MESSAGES = frames((TEXT, b"first", True), (TEXT, b"sec", False), (0, b"ond", True))
PING_FRAME = frames((PING, b"?", True))
CLOSE_FRAME = frames((CLOSE, close_payload(1001, "bye"), True))
PONG_FRAME = frame(0xA, b"?")
CLOSE_ANSWER = frame(CLOSE, close_payload(1001, "bye"))
FRAMES = [
    pytest.param(MESSAGES, b"", b"", id="messages"),
    pytest.param(PING_FRAME + MESSAGES, PONG_FRAME, b"", id="ping", marks=only_ropeway),
    pytest.param(
        MESSAGES + PING_FRAME + CLOSE_FRAME,
        PONG_FRAME,
        CLOSE_ANSWER,
        id="close",
        marks=only_ropeway,
    ),
]


@pytest.mark.parametrize(("behind", "pong", "close"), FRAMES)
@pytest.mark.parametrize("way", ["every-split", "byte-by-byte"])
async def test_frames_behind_the_request(
    way: str, behind: bytes, pong: bytes, close: bytes
) -> None:
    """They are delivered once and in order; what they are answered comes behind the response."""
    messages: list[Any] = []

    async def note(connection: Any) -> None:
        messages.extend([await connection.recv(), await connection.recv()])
        # A close frame right behind the messages may come before this.
        with contextlib.suppress(exceptions.ConnectionClosedOK):
            await connection.send("that is all")
        await connection.wait_closed()

    answer = frame(TEXT, b"that is all")
    data = request() + behind
    cuts = [[data[:cut], data[cut:]] for cut in range(len(data))]
    if way == "byte-by-byte":
        cuts = [[data[at : at + 1] for at in range(len(data))]]
    async with serving(note, compression=None) as server:
        for pieces in cuts:
            async with raw_client(port_of(server)) as client:
                await in_pieces(client.writer, *pieces)
                assert (await client.head()).status == 101, pieces
                if close:
                    received = await client.rest()
                    assert received.endswith(close), pieces
                    received = received.removesuffix(close)
                    assert received in (pong, pong + answer, answer + pong), pieces
                else:
                    received = await client.exactly(len(pong + answer))
                    assert received in (pong + answer, answer + pong), pieces
    assert messages == ["first", "second"] * len(cuts)


async def test_frames_behind_the_request_wait_for_process_request() -> None:
    release = asyncio.Event()
    entered = asyncio.Event()

    async def later(connection: Any, _: Any) -> None:
        entered.set()
        await release.wait()

    async with serving(echo, compression=None, process_request=later) as server:
        async with raw_client(port_of(server)) as client:
            await client.send(request() + frame(TEXT, b"early", mask=True))
            await entered.wait()
            await client.send(frame(TEXT, b"later", mask=True))
            release.set()
            assert (await client.head()).status == 101
            assert await client.exactly(14) == frame(TEXT, b"early") + frame(TEXT, b"later")


# Garbage behind a request that is refused

REFUSED = [
    ("405", request(line="POST / HTTP/1.1")),
    ("400", request(without=["sec_websocket_key"])),
    ("broken", request("Oops")),
    ("body", request("Content-Length: 30")),
]
BEHIND = [
    ("frames", MESSAGES + PING_FRAME + CLOSE_FRAME),
    ("another-request", request()),
    ("bytes", bytes(range(256)) * 8),
]


@pytest.mark.parametrize("behind", [row[1] for row in BEHIND], ids=[row[0] for row in BEHIND])
@pytest.mark.parametrize("data", [row[1] for row in REFUSED], ids=[row[0] for row in REFUSED])
async def test_nothing_behind_a_refused_request_is_read(
    data: bytes, behind: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    def never(connection: Any) -> Any:
        raise AssertionError("the handler was called")

    async with serving(never) as server:
        async with raw_client(port_of(server)) as client:
            await client.send(data + behind)
            received = await client.rest()
        async with raw_client(port_of(server)) as client:
            await in_pieces(client.writer, data, behind)
            received_in_two = await client.rest()
    for answer in [received, received_in_two]:
        assert answer.count(b"HTTP/1.1") <= 1
        assert b" 101 " not in answer
        assert b"\x88" not in answer
    if not ORACLE:  # which reports an internal error of its own
        assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize("data", [row[1] for row in REFUSED], ids=[row[0] for row in REFUSED])
async def test_bytes_behind_a_refused_request_do_not_hide_that_the_client_has_left(
    data: bytes,
) -> None:
    async with serving(close_timeout=8) as server:
        async with raw_client(port_of(server)) as client:
            await client.send(data + MESSAGES)
            await client.rest()
        server.close()
        async with asyncio.timeout(4):
            await server.wait_closed()
