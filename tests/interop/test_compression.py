"""permessage-deflate (RFC 7692) between ropeway and each peer."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from ..support import subject
from .pairs import PEERS, both_roles, every_peer, fragmenting_peer, one_loop, pair
from .peers import Deflate, Message, Peer, PeerConnection, PeerOptions

pytestmark = one_loop

Parameters = dict[str, Any]

PARAMETERS: dict[str, Parameters] = {
    "nothing": {},
    "server-forgets": {"server_no_context_takeover": True},
    "client-forgets": {"client_no_context_takeover": True},
    "both-forget": {"server_no_context_takeover": True, "client_no_context_takeover": True},
    "server-window-9": {"server_max_window_bits": 9},
    "client-window-9": {"client_max_window_bits": 9},
    "windows-10-and-13": {"server_max_window_bits": 10, "client_max_window_bits": 13},
    "windows-14": {"server_max_window_bits": 14, "client_max_window_bits": 14},
    "everything": {
        "server_no_context_takeover": True,
        "client_no_context_takeover": True,
        "server_max_window_bits": 11,
        "client_max_window_bits": 12,
    },
}

_noise = random.Random(6455)
NOISE = _noise.randbytes(5000)
"""Incompressible on its own, a few bytes if it was seen before and the window reaches that far."""
MESSAGES: list[Message] = [
    "the cable is long, " * 50,
    "",
    "索道 🚡 " * 200,
    b"",
    NOISE,
    NOISE,
    "the cable is long, " * 50,
    b"".join(_noise.randbytes(300) * 3 for _ in range(60)),
]
LARGE: list[Message] = ["a" * 1024 * 1024, bytes(1024 * 1024), _noise.randbytes(1_000_000)]


def factory(role: str, **parameters: Any) -> Any:
    """Make the extension factory of the end under test."""
    room = subject.module("extensions.permessage_deflate")
    if role == "client":
        return room.ClientPerMessageDeflateFactory(**parameters)
    return room.ServerPerMessageDeflateFactory(**parameters)


def willing(role: str) -> PeerOptions:
    """Options of a peer that compresses, and leaves the parameters to the end under test."""
    return PeerOptions(deflate=Deflate(client_max_window_bits=True if role == "server" else None))


def agreed(ours: Any) -> Parameters:
    """What the server's response says about permessage-deflate."""
    header = ours.response.headers["Sec-WebSocket-Extensions"]
    [(name, parameters)] = subject.module("headers").parse_extension(header)
    assert name == "permessage-deflate"
    return {
        key: True if value is None else int(value) if value.isdigit() else value
        for key, value in parameters
    }


async def both_ways(ours: Any, theirs: PeerConnection, messages: list[Message]) -> None:
    assert len(ours.protocol.extensions) == 1
    for message in messages:
        await ours.send(message)
        assert await theirs.recv() == message
        await theirs.send(message)
        assert await ours.recv() == message


def asked_by_client() -> Iterator[Any]:
    for name in PEERS:
        for role in ("client", "server"):
            for case, parameters in PARAMETERS.items():
                # aiohttp as a client can ask for the server's window and nothing else.
                if name == "aiohttp" and role == "server" and set(parameters) - {SERVER_WINDOW}:
                    continue
                yield pytest.param(name, role, parameters, id=f"{name}-{role}-{case}")


SERVER_WINDOW = "server_max_window_bits"
HEEDED_BY_AIOHTTP = {"server_no_context_takeover", SERVER_WINDOW}
"""aiohttp as a server leaves out of its answer what the client asks for its own direction."""


@pytest.mark.parametrize(("peer", "role", "asked"), list(asked_by_client()), indirect=["peer"])
async def test_asked_by_the_client(peer: Peer, role: str, asked: Parameters) -> None:
    if role == "client":
        ours, theirs = factory(role, **asked), Deflate()
    else:
        ours, theirs = factory(role), Deflate(**asked)
    options = PeerOptions(deflate=theirs)
    async with pair(peer, role, theirs=options, extensions=[ours]) as (connection, other):
        expected = asked
        if peer.name == "aiohttp" and role == "client":
            expected = {key: asked[key] for key in asked if key in HEEDED_BY_AIOHTTP}
        response = agreed(connection)
        assert {key: response.get(key) for key in expected} == expected
        await both_ways(connection, other, MESSAGES)


def demanded_by_server() -> Iterator[Any]:
    for name in PEERS:
        for role in ("client", "server"):
            # aiohttp and wsproto as servers take what the client asks for and add nothing.
            if name in ("aiohttp", "wsproto") and role == "client":
                continue
            for case, parameters in PARAMETERS.items():
                yield pytest.param(name, role, parameters, id=f"{name}-{role}-{case}")


@pytest.mark.parametrize(
    ("peer", "role", "demanded"), list(demanded_by_server()), indirect=["peer"]
)
async def test_demanded_by_the_server(peer: Peer, role: str, demanded: Parameters) -> None:
    if role == "client":
        ours, theirs = factory(role, client_max_window_bits=True), Deflate(**demanded)
    else:
        ours, theirs = factory(role, **demanded), Deflate(client_max_window_bits=True)
    options = PeerOptions(deflate=theirs)
    async with pair(peer, role, theirs=options, extensions=[ours]) as (connection, other):
        response = agreed(connection)
        assert {key: response.get(key) for key in demanded} == demanded
        await both_ways(connection, other, MESSAGES)


@every_peer
@both_roles
async def test_default_of_ropeway(peer: Peer, role: str) -> None:
    async with pair(peer, role, theirs=willing(role), compression="deflate") as (ours, theirs):
        if role == "server":
            # A smaller window than zlib's default saves most of the memory of a connection.
            assert agreed(ours) == {"server_max_window_bits": 12, "client_max_window_bits": 12}
        await both_ways(ours, theirs, MESSAGES + LARGE)


@fragmenting_peer
@both_roles
async def test_fragments(peer: Peer, role: str) -> None:
    fragments: list[Message] = ["the cable is long, " * 50, "", "the cable is long, " * 50, "索道"]
    async with pair(peer, role, theirs=willing(role), compression="deflate") as (ours, theirs):
        for _ in range(3):
            await ours.send(fragments)
            assert await theirs.recv() == "".join(map(str, fragments))
            await theirs.send_fragments(fragments, ping=b"between")
            assert await ours.recv() == "".join(map(str, fragments))


@every_peer
@both_roles
async def test_declined_by_the_peer(peer: Peer, role: str) -> None:
    async with pair(peer, role, compression="deflate") as (ours, theirs):
        assert "Sec-WebSocket-Extensions" not in ours.response.headers
        assert ours.protocol.extensions == []
        await ours.send("plain")
        assert await theirs.recv() == "plain"
        await theirs.send("plain")
        assert await ours.recv() == "plain"


@every_peer
@both_roles
async def test_declined_by_ropeway(peer: Peer, role: str) -> None:
    async with pair(peer, role, theirs=willing(role), compression=None) as (ours, theirs):
        assert "Sec-WebSocket-Extensions" not in ours.response.headers
        await ours.send("plain")
        assert await theirs.recv() == "plain"
        await theirs.send("plain")
        assert await ours.recv() == "plain"


@every_peer
@both_roles
async def test_inflation_stops_at_the_limit(peer: Peer, role: str) -> None:
    async with pair(peer, role, theirs=willing(role), compression="deflate") as (ours, theirs):
        await theirs.send(bytes(2 * 1024 * 1024))
        with pytest.raises(subject.ConnectionClosedError) as caught:
            await ours.recv()
        assert caught.value.sent.code == 1009
        assert (await theirs.closed())[0] == 1009


@pytest.mark.parametrize("peer", ["wsproto"], indirect=True)
@both_roles
@pytest.mark.parametrize("forgets", [False, True], ids=["remembers", "forgets"])
async def test_context_takeover_shows_on_the_wire(peer: Peer, role: str, forgets: bool) -> None:
    """A message that was sent before costs next to nothing, unless the context is dropped."""
    parameters = {f"{role}_no_context_takeover": forgets}
    options = PeerOptions(deflate=Deflate())
    ours_factory = factory(role, **parameters)
    async with pair(peer, role, theirs=options, extensions=[ours_factory]) as (ours, theirs):
        sizes = []
        for _ in range(2):
            before = theirs.received  # type: ignore[attr-defined]
            await ours.send(NOISE.hex())
            assert await theirs.recv() == NOISE.hex()
            sizes.append(theirs.received - before)  # type: ignore[attr-defined]
        first, second = sizes
        assert len(NOISE) < first < 1.5 * len(NOISE)
        assert second == pytest.approx(first, abs=8) if forgets else second < first / 10
