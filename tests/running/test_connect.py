"""What a program may say to ``connect`` besides its arguments, and what it may lack."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pytest

from ropeway.asyncio.client import connect
from ropeway.asyncio.router import route, unix_route
from ropeway.asyncio.server import ServerConnection, serve
from ropeway.exceptions import InvalidStatus
from ropeway.http11 import Request, Response

from ..support.loops import Run


async def hang_up(connection: ServerConnection) -> None:
    pass


def test_headers_may_change_between_two_connections(run: Run[Any]) -> None:
    """A program that connects again and again may have to bring a fresh token each time."""
    tokens: list[str] = []

    def note(connection: ServerConnection, request: Request) -> None:
        tokens.append(request.headers["Authorization"])

    async def main() -> None:
        async with serve(hang_up, "127.0.0.1", 0, process_request=note) as server:
            uri = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            connecting = connect(uri, additional_headers={"Authorization": "1"}, proxy=None)
            async for connection in connecting:
                await connection.wait_closed()
                if len(tokens) == 3:
                    break
                assert connecting.additional_headers == {"Authorization": str(len(tokens))}
                connecting.additional_headers = {"Authorization": str(len(tokens) + 1)}

    run(main())
    assert tokens == ["1", "2", "3"]


def test_every_connection_starts_at_the_uri_that_was_given(run: Run[Any]) -> None:
    paths: list[str] = []

    def redirect(connection: ServerConnection, request: Request) -> Response | None:
        paths.append(request.path)
        if request.path == "/new":
            return None
        response = connection.respond(307, "Elsewhere for now")
        response.headers["Location"] = "/new"
        return response

    async def main() -> None:
        async with serve(hang_up, "127.0.0.1", 0, process_request=redirect) as server:
            uri = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/old"
            connecting = connect(uri, proxy=None)
            for _ in range(2):
                async with connecting:
                    assert connecting.uri == uri

    run(main())
    assert paths == ["/old", "/new", "/old", "/new"]


def test_a_program_may_refuse_to_follow_redirects(run: Run[Any]) -> None:
    class Staying(connect):
        def process_redirect(self, exc: Exception) -> Exception | str:
            return exc

    def redirect(connection: ServerConnection, request: Request) -> Response:
        response = connection.respond(307, "Elsewhere")
        response.headers["Location"] = "/"
        return response

    async def main() -> None:
        async with serve(hang_up, "127.0.0.1", 0, process_request=redirect) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(InvalidStatus) as caught:
                await Staying(f"ws://127.0.0.1:{port}/", proxy=None)
            assert caught.value.response.status_code == 307

    run(main())


def without(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """Make a package absent that is installed."""
    for name in [package, *sys.modules]:
        if name.partition(".")[0] == package:
            monkeypatch.setitem(sys.modules, name, None)


def test_socks_without_python_socks(run: Run[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "python_socks")

    async def main() -> None:
        with pytest.raises(ImportError) as caught:
            await connect("ws://127.0.0.1:1/", proxy="socks5://127.0.0.1:1")
        assert str(caught.value) == "connecting through a SOCKS proxy requires python-socks"

    run(main())


@pytest.mark.parametrize("function", [route, unix_route])
def test_routing_without_werkzeug(
    run: Run[Any], monkeypatch: pytest.MonkeyPatch, function: Callable[..., Any]
) -> None:
    without(monkeypatch, "werkzeug")

    async def main() -> None:
        await asyncio.sleep(0)
        with pytest.raises(ImportError, match=rf"^{function.__name__}\(\) requires werkzeug$"):
            function(None)

    run(main())
