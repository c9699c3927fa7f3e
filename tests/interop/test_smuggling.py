"""Requests whose end is told in two ways, behind servers that others wrote."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import pytest

from ..opening.smuggling import BEHIND, FORMS
from ..support.subject import connect, only_ropeway, serve
from .processes import PATIENCE
from .reverse_proxies import REVERSE_PROXIES, reverse_proxy

Site = tuple[int, socket.socket, socket.socket]


@pytest.fixture(scope="module", params=REVERSE_PROXIES)
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """A server that others wrote, by its port, and the two sockets to which it hands requests."""
    with (
        socket.create_server(("127.0.0.1", 0)) as backend,
        socket.create_server(("127.0.0.1", 0)) as elsewhere,
        reverse_proxy(
            request.param,
            tmp_path_factory.mktemp(request.param),
            backend=backend.getsockname()[1],
            elsewhere=elsewhere.getsockname()[1],
        ) as port,
    ):
        yield port, backend, elsewhere


@contextlib.asynccontextmanager
async def behind_it(site: Site) -> AsyncIterator[list[str]]:
    """Serve what the server in front hands on; give the paths that the one for ``/`` was asked."""
    seen: list[str] = []

    def look(connection: Any, request: Any) -> None:
        seen.append(request.path)

    async def echo(connection: Any) -> None:
        async for message in connection:
            await connection.send(message)

    async def forbid(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # nginx calls, and leaves without a word where its own client has left meanwhile.
        with contextlib.closing(writer), contextlib.suppress(asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(
                b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )

    _, backend, elsewhere = site
    options: dict[str, Any] = {"process_request": look, "ping_interval": None, "close_timeout": 5}
    async with (
        await asyncio.start_server(forbid, sock=elsewhere.dup()),
        serve(echo, sock=backend.dup(), **options),
    ):
        yield seen


def attack(port: int, pieces: Iterable[bytes]) -> bytes:
    """Send the pieces and the end of the stream; give all that comes back."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Who refuses the first piece may not wait for the others.
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                sock.sendall(piece)
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionError):
            while data := sock.recv(65536):
                answer += data
    return answer


@only_ropeway
@pytest.mark.parametrize("behind", BEHIND.values(), ids=BEHIND.keys())
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
async def test_nothing_gets_past_who_stands_in_front(
    site: Site, form: bytes, behind: bytes
) -> None:
    """What the one in front takes for a body is no request and no frame behind it, either."""
    async with behind_it(site) as seen:
        for pieces in [(form + behind,), (form, behind)]:
            answer = await asyncio.to_thread(attack, site[0], pieces)
            assert b"HTTP/1.1 101" in answer or b"hidden" not in answer, answer
        # Who comes next gets an answer of their own.
        async with connect(f"ws://127.0.0.1:{site[0]}/next", ping_interval=None) as honest:
            await honest.send("mine")
            assert await honest.recv() == "mine"
    assert "/hidden" not in seen
    assert seen[-1] == "/next"
