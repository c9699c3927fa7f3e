"""Pairs of ends for a test: one under test, in either role, and one of another library."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ..support import subject
from .peers import Peer, PeerConnection, PeerOptions

PEERS = ["websockets", "aiohttp", "wsproto", "node-ws"]


def every_peer_but(*names: str) -> pytest.MarkDecorator:
    """Run a test against the peers that can do what it asks of them."""
    return pytest.mark.parametrize("peer", [p for p in PEERS if p not in names], indirect=True)


every_peer = every_peer_but()
fragmenting_peer = every_peer_but("aiohttp")
"""aiohttp sends every message in one frame, and a code with every close frame."""

one_loop = pytest.mark.parametrize("loop_factory", ["asyncio"], indirect=True)
"""For what no event loop has a part in."""

both_roles = pytest.mark.parametrize("role", ["client", "server"])
"""The role of the end under test."""


@contextlib.asynccontextmanager
async def pair(
    peer: Peer,
    role: str,
    *,
    theirs: PeerOptions | None = None,
    unix: Path | None = None,
    target: str = "/",
    **ours: Any,
) -> AsyncIterator[tuple[Any, PeerConnection]]:
    """Yield a connection under test that plays ``role``, and the peer's end of it.

    ``ours`` are arguments of ``connect`` or ``serve``; ``theirs`` open the other end.
    """
    options = theirs or PeerOptions()
    ours = {"compression": None, **ours}
    opening = _ours_connects if role == "client" else _ours_serves
    path = str(unix) if unix else None
    async with opening(peer, options, path, target.removeprefix("/"), ours) as ends:
        yield ends


@contextlib.asynccontextmanager
async def _ours_connects(
    peer: Peer, options: PeerOptions, unix: str | None, target: str, ours: dict[str, Any]
) -> AsyncIterator[tuple[Any, PeerConnection]]:
    async with peer.serve(unix, options) as accepting:
        url = accepting.where.url + target
        if options.tls:
            ours.setdefault("ssl", options.tls.client)
        if unix:
            opening = subject.unix_connect(unix, url, **ours)
        else:
            opening = subject.connect(url, proxy=None, **ours)
        async with opening as connection:
            yield connection, await accepting.connections.get()


@contextlib.asynccontextmanager
async def _ours_serves(
    peer: Peer, options: PeerOptions, unix: str | None, target: str, ours: dict[str, Any]
) -> AsyncIterator[tuple[Any, PeerConnection]]:
    accepted: asyncio.Queue[Any] = asyncio.Queue()

    async def handler(connection: Any) -> None:
        accepted.put_nowait(connection)
        await connection.wait_closed()

    if options.tls:
        ours.setdefault("ssl", options.tls.server)
    if unix:
        serving = subject.unix_serve(handler, unix, **ours)
    else:
        serving = subject.serve(handler, "127.0.0.1", 0, **ours)
    async with serving as server:
        port = None if unix else server.sockets[0].getsockname()[1]
        where = options.where(port, unix)
        async with peer.connect(where.at(target), options) as theirs:
            connection = await accepted.get()
            yield connection, theirs
