"""permessage-deflate (RFC 7692) on an open connection: messages both ways, limits, violations."""

from __future__ import annotations

import asyncio
import functools
import os
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from ..support.drivers import broadcast
from ..support.endpoints import against_raw, both_roles, pair
from ..support.rawpeer import (
    BINARY,
    CONT,
    PING,
    RSV1,
    RSV2,
    TEXT,
    Deflater,
    RawFrame,
    RawPeer,
)
from ..support.subject import ConnectionClosedError, only_ropeway

DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate\r\n"
NO_TAKEOVER = (
    "Sec-WebSocket-Extensions: permessage-deflate; "
    "client_no_context_takeover; server_no_context_takeover\r\n"
)

both_contexts = pytest.mark.parametrize("takeover", [True, False], ids=["takeover", "fresh"])


def compressing(role: str, *, takeover: bool = True, **options: Any) -> Any:
    headers = DEFLATE if takeover else NO_TAKEOVER
    return against_raw(role, headers=headers, **{"compression": "deflate", **options})


TEXTS = ["long enough to be compressed " * 10, "the same again, the same again " * 10, "é" * 500]


@both_roles
@both_contexts
async def test_messages_are_compressed(role: str, takeover: bool) -> None:
    async with compressing(role, takeover=takeover) as (ws, raw):
        inflater = Deflater(takeover=takeover)
        for text in [*TEXTS, TEXTS[0]]:
            await ws.send(text)
            frame = await raw.recv_frame()
            assert (frame.opcode, frame.rsv, frame.fin) == (TEXT, RSV1, True)
            assert len(frame.payload) < len(text.encode()) / 2
            assert inflater.decompress(frame.payload) == text.encode()
        await ws.send(b"\x00" * 1000)
        frame = await raw.recv_frame()
        assert (frame.opcode, frame.rsv) == (BINARY, RSV1)
        assert inflater.decompress(frame.payload) == b"\x00" * 1000


@both_roles
async def test_context_makes_a_repeated_message_smaller(role: str) -> None:
    noise = os.urandom(500).hex()
    async with compressing(role) as (ws, raw):
        await ws.send(noise)
        await ws.send(noise)
        first, second = await raw.recv_frame(), await raw.recv_frame()
        assert len(second.payload) < len(first.payload) / 4


@both_roles
async def test_no_context_makes_a_repeated_message_the_same(role: str) -> None:
    async with compressing(role, takeover=False) as (ws, raw):
        await ws.send(TEXTS[0])
        await ws.send(TEXTS[0])
        assert (await raw.recv_frame()).payload == (await raw.recv_frame()).payload


@both_roles
@both_contexts
async def test_compressed_messages_are_received(role: str, takeover: bool) -> None:
    async with compressing(role, takeover=takeover) as (ws, raw):
        deflater = Deflater(takeover=takeover)
        for text in [*TEXTS, "", "x", TEXTS[0]]:
            payload = deflater.compress(text.encode())
            await raw.send_frame(TEXT, payload, rsv=RSV1, key=b"mask")
            assert await ws.recv() == text
        await raw.send_frame(BINARY, deflater.compress(bytes(100_000)), rsv=RSV1)
        assert await ws.recv() == bytes(100_000)


@both_roles
@both_contexts
async def test_uncompressed_messages_are_received_too(role: str, takeover: bool) -> None:
    async with compressing(role, takeover=takeover) as (ws, raw):
        deflater = Deflater(takeover=takeover)
        await raw.send(
            raw.frame(TEXT, deflater.compress(b"one"), rsv=RSV1),
            raw.frame(TEXT, "plain"),
            raw.frame(TEXT, deflater.compress(b"one"), rsv=RSV1),
        )
        assert [await ws.recv() for _ in range(3)] == ["one", "plain", "one"]


@both_roles
@both_contexts
@pytest.mark.parametrize("size", [1, 7, 50])
async def test_compressed_message_in_fragments(role: str, takeover: bool, size: int) -> None:
    async with compressing(role, takeover=takeover) as (ws, raw):
        deflater = Deflater(takeover=takeover)
        for _ in range(2):
            data = deflater.compress(TEXTS[0].encode())
            parts = [data[start : start + size] for start in range(0, len(data), size)]
            await raw.send(
                raw.frame(TEXT, parts[0], fin=False, rsv=RSV1),
                *(raw.frame(CONT, part, fin=False) for part in parts[1:]),
                raw.frame(PING, "between"),
                raw.frame(CONT),
            )
            assert await ws.recv() == TEXTS[0]


@both_roles
async def test_streaming_a_compressed_message(role: str) -> None:
    async with compressing(role) as (ws, raw):
        compressor = zlib.compressobj(wbits=-15)
        parts = [
            compressor.compress(part) + compressor.flush(zlib.Z_SYNC_FLUSH)
            for part in (b"one " * 50, b"two " * 50)
        ]
        await raw.send(
            raw.frame(TEXT, parts[0], fin=False, rsv=RSV1),
            raw.frame(CONT, parts[1][:-4]),
        )
        assert [part async for part in ws.recv_streaming()] == ["one " * 50, "two " * 50]


@both_roles
@both_contexts
async def test_iterable_goes_out_compressed(role: str, takeover: bool) -> None:
    async with compressing(role, takeover=takeover) as (ws, raw):
        inflater = Deflater(takeover=takeover)
        for _ in range(2):
            await ws.send(["one " * 50, "two " * 50])
            frames = [await raw.recv_frame() for _ in range(3)]
            assert [frame.rsv for frame in frames] == [RSV1, 0, 0]
            assert [frame.fin for frame in frames] == [False, False, True]
            whole = inflater.decompress(b"".join(frame.payload for frame in frames))
            assert whole == b"one " * 50 + b"two " * 50


@both_roles
async def test_control_frames_are_not_compressed(role: str) -> None:
    async with compressing(role) as (ws, raw):
        await ws.ping(b"x" * 100)
        assert await raw.recv_payload(PING) == b"x" * 100
        closing = asyncio.create_task(ws.close(1000, "y" * 100))
        assert await raw.finish_close() == (1000, "y" * 100)
        await closing


@both_roles
async def test_no_extension_no_compression(role: str) -> None:
    async with against_raw(role, compression="deflate") as (ws, raw):
        await ws.send("x" * 1000)
        assert await raw.recv_frame() == RawFrame(TEXT, b"x" * 1000, masked=role == "client")


def deflated(payload: bytes, *, opcode: int = TEXT) -> Callable[[RawPeer], bytes]:
    return lambda raw: raw.frame(opcode, payload, rsv=RSV1)


VIOLATIONS: dict[str, tuple[Callable[[RawPeer], bytes], int, str]] = {
    "garbage": (deflated(b"\xff\xff\xff\xff"), 1002, "decompression failed"),
    "truncated": (
        deflated(Deflater().compress(b"hello world" * 10)[:-3]),
        1002,
        "decompression failed",
    ),
    "rsv1-on-continuation": (
        lambda raw: raw.frame(TEXT, b"", fin=False) + raw.frame(CONT, b"x", rsv=RSV1),
        1002,
        "reserved bits must be 0",
    ),
    "rsv1-on-ping": (lambda raw: raw.frame(PING, rsv=RSV1), 1002, "reserved bits must be 0"),
    "rsv2": (lambda raw: raw.frame(TEXT, rsv=RSV2), 1002, "reserved bits must be 0"),
    "rsv1-rsv2": (lambda raw: raw.frame(TEXT, rsv=RSV1 | RSV2), 1002, "reserved bits must be 0"),
    "bad-text": (
        deflated(Deflater().compress(b"ok \xff")),
        1007,
        "invalid start byte at position 3",
    ),
}


@both_roles
@both_contexts
@pytest.mark.parametrize("case", VIOLATIONS)
async def test_violation(role: str, takeover: bool, case: str) -> None:
    build, code, reason = VIOLATIONS[case]
    async with compressing(role, takeover=takeover) as (ws, raw):
        receiving = asyncio.create_task(ws.recv())
        await raw.send(build(raw))
        assert await raw.recv_close() == (code, reason)
        raw.close()
        with pytest.raises(ConnectionClosedError, match=f"sent {code}"):
            await receiving


@both_roles
@both_contexts
async def test_max_size_counts_what_comes_out(role: str, takeover: bool) -> None:
    async with compressing(role, takeover=takeover, max_size=10_000) as (ws, raw):
        deflater = Deflater(takeover=takeover)
        await raw.send_frame(BINARY, deflater.compress(bytes(10_000)), rsv=RSV1)
        assert await ws.recv() == bytes(10_000)
        await raw.send_frame(BINARY, deflater.compress(bytes(10_001)), rsv=RSV1)
        code, reason = await raw.recv_close()
        assert code == 1009
        assert reason.endswith("exceeds limit of 10000 bytes")
        raw.close()
        with pytest.raises(ConnectionClosedError, match="sent 1009"):
            await ws.recv()


@both_roles
async def test_max_size_counts_all_fragments(role: str) -> None:
    async with compressing(role, max_size=10_000) as (_, raw):
        compressor = zlib.compressobj(wbits=-15)
        parts = [
            compressor.compress(bytes(6000)) + compressor.flush(zlib.Z_SYNC_FLUSH) for _ in range(2)
        ]
        await raw.send(
            raw.frame(BINARY, parts[0], fin=False, rsv=RSV1),
            raw.frame(CONT, parts[1], fin=False),
        )
        assert (await raw.recv_close())[0] == 1009


@both_roles
async def test_bomb_is_stopped_while_it_inflates(role: str) -> None:
    # The reason names no size: what the message would inflate to is never known.
    async with compressing(role) as (_, raw):
        await raw.send_frame(BINARY, bomb(), rsv=RSV1)
        assert await raw.recv_close() == (1009, "frame exceeds limit of 1048576 bytes")


@functools.cache
def bomb() -> bytes:
    return Deflater().compress(bytes(32 << 20))


@only_ropeway
@both_roles
async def test_max_size_does_not_count_what_comes_in(role: str) -> None:
    # websockets refuses it: deflated noise is longer than noise.
    noise = os.urandom(10_000)
    async with compressing(role, max_size=10_000) as (ws, raw):
        payload = Deflater().compress(noise)
        assert len(payload) > 10_000
        await raw.send_frame(BINARY, payload, rsv=RSV1)
        assert await ws.recv() == noise


@both_roles
async def test_final_deflate_block(role: str) -> None:
    # RFC 7692, section 7.2.3.5: a block with BFINAL set ends with an empty block.
    compressor = zlib.compressobj(wbits=-15)
    data = compressor.compress(b"Hello") + compressor.flush(zlib.Z_FINISH) + b"\x00"
    async with compressing(role) as (ws, raw):
        await raw.send_frame(TEXT, data, rsv=RSV1)
        assert await ws.recv() == "Hello"


@only_ropeway
@both_roles
async def test_message_after_a_final_deflate_block(role: str) -> None:
    # In websockets every message after it is empty.
    compressor = zlib.compressobj(wbits=-15)
    data = compressor.compress(b"Hello") + compressor.flush(zlib.Z_FINISH) + b"\x00"
    async with compressing(role) as (ws, raw):
        await raw.send(
            raw.frame(TEXT, data, rsv=RSV1),
            raw.frame(TEXT, Deflater().compress(b"again"), rsv=RSV1),
        )
        assert [await ws.recv(), await ws.recv()] == ["Hello", "again"]


# What ropeway adds


@only_ropeway
@both_roles
@pytest.mark.parametrize("message", [TEXTS[0], TEXTS[0].encode(), [TEXTS[0], TEXTS[1]]])
async def test_one_message_can_go_out_uncompressed(role: str, message: Any) -> None:
    async with compressing(role) as (ws, raw):
        inflater = Deflater()
        await ws.send(message, compress=False)
        frames = [await raw.recv_frame()]
        while not frames[-1].fin:
            frames.append(await raw.recv_frame())
        assert {frame.rsv for frame in frames} == {0}
        parts = message if isinstance(message, list) else [message]
        assert b"".join(frame.payload for frame in frames) == b"".join(
            part.encode() if isinstance(part, str) else part for part in parts
        )
        await ws.send(TEXTS[0])
        frame = await raw.recv_frame()
        assert frame.rsv == RSV1
        assert inflater.decompress(frame.payload) == TEXTS[0].encode()


@only_ropeway
@both_roles
async def test_small_messages_are_not_compressed(role: str) -> None:
    async with compressing(role) as (ws, raw):
        inflater = Deflater()
        await ws.send("x" * 63)
        assert (await raw.recv_frame()).rsv == 0
        await ws.send("x" * 64)
        frame = await raw.recv_frame()
        assert frame.rsv == RSV1
        assert inflater.decompress(frame.payload) == b"x" * 64
        await ws.send("x", compress=True)
        frame = await raw.recv_frame()
        assert frame.rsv == RSV1
        assert inflater.decompress(frame.payload) == b"x"


@only_ropeway
@both_roles
@pytest.mark.parametrize(("threshold", "size", "rsv"), [(0, 1, RSV1), (1000, 999, 0)])
async def test_compression_threshold(role: str, threshold: int, size: int, rsv: int) -> None:
    async with compressing(role, compression_threshold=threshold) as (ws, raw):
        await ws.send("x" * size)
        assert (await raw.recv_frame()).rsv == rsv


@both_roles
@pytest.mark.parametrize("size", [0, 1, 63, 64, 1000, 1_000_000])
async def test_compressed_echo_between_both_ends(role: str, size: int) -> None:
    async with pair(compression="deflate") as (client, server):
        near, far = (client, server) if role == "client" else (server, client)
        for message in ("é" * (size // 2), os.urandom(size), bytes(size)):
            sending = asyncio.create_task(near.send(message))
            assert await far.recv() == message
            await sending


@both_roles
async def test_broadcast_is_compressed_for_each(role: str) -> None:
    async with (
        compressing(role) as (first, raw),
        compressing(role, takeover=False) as (
            second,
            other,
        ),
    ):
        inflaters = {raw: Deflater(), other: Deflater(takeover=False)}
        for text in (*TEXTS, TEXTS[0]):
            broadcast([first, second], text)
            for peer, inflater in inflaters.items():
                frame = await peer.recv_frame()
                assert frame.rsv == RSV1
                assert inflater.decompress(frame.payload) == text.encode()
