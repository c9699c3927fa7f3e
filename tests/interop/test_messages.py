"""Messages of every kind and size, both ways, between ropeway and each peer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from .pairs import both_roles, every_peer, fragmenting_peer, pair
from .payloads import LENGTHS, MIB, patterned
from .peers import Message, Peer

pytestmark = both_roles

TEXTS = [
    "",
    "ropeway",
    "Téléphérique",
    "ロープウェイ 索道",
    "🚡🚠🚟 𝕎𝕖𝕓",
    "e\u0301\u200d\ufeff",
    "\x00\x7f\x80",
    # The first and the last character of each length in UTF-8, and around the surrogates.
    "\u007f\u0080\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff",
]


async def both_ways(ours: Any, theirs: Any, message: Message) -> None:
    await theirs.send(message)
    received = await ours.recv()
    assert type(received) is type(message)
    assert received == message
    await ours.send(message)
    answered = await theirs.recv()
    assert type(answered) is type(message)
    assert answered == message


@every_peer
async def test_text(peer: Peer, role: str) -> None:
    async with pair(peer, role) as (ours, theirs):
        for text in TEXTS:
            await both_ways(ours, theirs, text)


@every_peer
async def test_binary_of_every_length_form(peer: Peer, role: str) -> None:
    async with pair(peer, role) as (ours, theirs):
        for length in LENGTHS:
            await both_ways(ours, theirs, patterned(length))


@every_peer
async def test_text_of_every_length_form(peer: Peer, role: str) -> None:
    async with pair(peer, role) as (ours, theirs):
        for length in LENGTHS:
            await both_ways(ours, theirs, patterned(length).hex()[:length])


@every_peer
async def test_large_text_of_wide_characters(peer: Peer, role: str) -> None:
    async with pair(peer, role) as (ours, theirs):
        await both_ways(ours, theirs, "🚡索é" * (MIB // 9))


@every_peer
async def test_many_messages_both_ways_at_once(peer: Peer, role: str) -> None:
    sizes = [1, 200, 70_000] * 40

    async def sends(end: Any, fill: bytes) -> None:
        for number, size in enumerate(sizes):
            await end.send(f"{number}:".encode() + fill + patterned(size))

    async def receives(end: Any, fill: bytes) -> None:
        for number, size in enumerate(sizes):
            assert await end.recv() == f"{number}:".encode() + fill + patterned(size)

    async with pair(peer, role) as (ours, theirs):
        async with asyncio.TaskGroup() as group:
            group.create_task(sends(ours, b"o"))
            group.create_task(sends(theirs, b"t"))
            group.create_task(receives(ours, b"t"))
            group.create_task(receives(theirs, b"o"))


FRAGMENTS: list[list[Message]] = [
    ["one ", "", "two ", "three"],
    ["🚡", "索道", "é"],
    [b"\x00\x01", b"", patterned(70_000), b"\xff"],
    ["", ""],
    [bytes([number % 256]) for number in range(300)],
]


def whole(fragments: list[Message]) -> Message:
    empty: Any = "" if isinstance(fragments[0], str) else b""
    message: Message = empty.join(fragments)
    return message


@every_peer
async def test_fragments_from_ropeway(peer: Peer, role: str) -> None:
    async with pair(peer, role) as (ours, theirs):
        for fragments in FRAGMENTS:
            await ours.send(fragments)
            await ours.send("next")
            assert await theirs.recv() == whole(fragments)
            assert await theirs.recv() == "next"


@fragmenting_peer
async def test_fragments_to_ropeway(peer: Peer, role: str) -> None:
    async with pair(peer, role) as (ours, theirs):
        for fragments in FRAGMENTS:
            await theirs.send_fragments(fragments)
            await theirs.send("next")
            assert await ours.recv() == whole(fragments)
            assert await ours.recv() == "next"


@fragmenting_peer
async def test_fragments_stream_as_they_come(peer: Peer, role: str) -> None:
    fragments = ["first", "second", "third"]
    async with pair(peer, role) as (ours, theirs):
        await theirs.send_fragments(fragments)
        # An end that announces a message before it knows the last frame ends with an empty one.
        received = [fragment async for fragment in ours.recv_streaming() if fragment]
        assert received == fragments


@every_peer
async def test_ping_between_fragments_from_ropeway(peer: Peer, role: str) -> None:
    async with pair(peer, role) as (ours, theirs):

        async def fragments() -> AsyncIterator[str]:
            yield "before "
            await (await ours.ping(b"between"))
            yield "after"

        await ours.send(fragments())
        assert await theirs.recv() == "before after"


@fragmenting_peer
async def test_ping_between_fragments_to_ropeway(peer: Peer, role: str) -> None:
    async with pair(peer, role) as (ours, theirs):
        await theirs.send_fragments(["before ", "after"], ping=b"between")
        assert await ours.recv() == "before after"


@every_peer
async def test_ping(peer: Peer, role: str) -> None:
    async with pair(peer, role) as (ours, theirs):
        for payload in (b"", b"p", bytes(range(125))):
            latency = await (await ours.ping(payload))
            # uvloop's clock counts whole milliseconds.
            assert 0 <= latency < 30
            await theirs.ping(payload)


@every_peer
async def test_unsolicited_pong_is_ignored(peer: Peer, role: str) -> None:
    async with pair(peer, role) as (ours, theirs):
        await ours.pong(b"heartbeat")
        await both_ways(ours, theirs, "still here")
