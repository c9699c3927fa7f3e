"""The legacy modules of the library under test; importing them is deprecated, so it is muffled."""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from ..support.subject import ORACLE, module, only_ropeway

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    client, server, auth, exceptions, framing, handshake, http, protocol = (
        module(f"legacy.{name}")
        for name in (
            *("client", "server", "auth", "exceptions"),
            *("framing", "handshake", "http", "protocol"),
        )
    )

__all__ = ["ORACLE", "only_ropeway"]

connect = client.connect
serve = server.serve


def port_of(listening: Any) -> int:
    return next(iter(listening.sockets)).getsockname()[1]


def uri_of(listening: Any, path: str = "/") -> str:
    return f"ws://127.0.0.1:{port_of(listening)}{path}"


@contextlib.asynccontextmanager
async def serving(handler: Any, **options: Any) -> AsyncIterator[Any]:
    async with serve(handler, "127.0.0.1", 0, **{"close_timeout": 5, **options}) as listening:
        yield listening


@contextlib.asynccontextmanager
async def pair(
    handler: Any, client: dict[str, Any] | None = None, path: str = "/", **options: Any
) -> AsyncIterator[Any]:
    """Serve and connect; give the client's end."""
    async with serving(handler, **options) as listening:
        async with connect(uri_of(listening, path), **{"close_timeout": 5, **(client or {})}) as ws:
            yield ws


@contextlib.contextmanager
def deprecated(message: str) -> Iterator[None]:
    """Demand one DeprecationWarning, whose text has ``message`` in it."""
    with pytest.warns(DeprecationWarning, match=re.escape(message)) as caught:
        yield
    assert len(caught) == 1, list(map(str, caught))


async def echo(ws: Any) -> None:
    async for message in ws:
        await ws.send(message)


async def idle(ws: Any) -> None:
    await ws.wait_closed()
