"""Older spellings that programs still use: they work, and the warning names the new one."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from ..support.subject import connect, only_ropeway, serve
from .peers import accepting, raw_server
from .serving import echo, idle, port_of, serving, visiting

pytestmark = only_ropeway

HEADERS: list[Any] = [{"X-A": "1"}, [("X-A", "1")]]


async def opened(uri: str, **options: Any) -> Any:
    """Connect with options that earn exactly one warning; return the connection and its text."""
    with pytest.warns(DeprecationWarning) as caught:
        connecting = connect(uri, **options)
        connection = await connecting
    (warning,) = caught
    assert warning.filename == __file__
    return connection, str(warning.message)


@pytest.mark.parametrize("headers", HEADERS)
async def test_extra_headers_of_connect(headers: Any) -> None:
    async with raw_server(accepting) as server:
        connection, text = await opened(server.uri(), extra_headers=headers)
        connection.transport.abort()
        await connection.wait_closed()
    assert "extra_headers" in text
    assert "additional_headers" in text
    assert server.requests[0]["X-A"] == "1"


async def test_both_spellings_at_once_are_a_mistake() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        with pytest.raises(TypeError, match="extra_headers"):
            connect("ws://127.0.0.1/", extra_headers={"X-A": "1"}, additional_headers={"X-B": "2"})


async def test_read_limit_of_connect() -> None:
    async with raw_server(accepting) as server:
        connection, text = await opened(server.uri(), read_limit=65536)
        connection.transport.abort()
        await connection.wait_closed()
    assert "read_limit" in text


async def test_read_limit_of_serve() -> None:
    with pytest.warns(DeprecationWarning, match="read_limit"):
        async with serve(echo, "127.0.0.1", 0, read_limit=65536) as server:
            async with visiting(server) as connection:
                await connection.send("hello")
                assert await connection.recv() == "hello"


async def test_closed_and_open() -> None:
    async with serving(idle) as server:
        async with visiting(server) as connection:
            with pytest.warns(DeprecationWarning, match="state"):
                assert connection.open is True
            with pytest.warns(DeprecationWarning, match="state"):
                assert connection.closed is False
        with pytest.warns(DeprecationWarning, match="state"):
            assert connection.open is False
        with pytest.warns(DeprecationWarning, match="state"):
            assert connection.closed is True


async def test_a_handler_with_a_path() -> None:
    seen: list[str] = []

    async def handler(connection: Any, path: str) -> None:
        seen.append(path)
        assert connection.request.path == path

    with pytest.warns(DeprecationWarning, match=r"request\.path"):
        async with serving(handler) as server:
            async with visiting(server, "/a?b") as connection:
                await connection.wait_closed()
    assert seen == ["/a?b"]


async def test_a_method_with_a_path() -> None:
    class Application:
        async def handler(self, connection: Any, path: str) -> None:
            await connection.send(path)

    with pytest.warns(DeprecationWarning, match=r"request\.path"):
        async with serving(Application().handler) as server:
            async with visiting(server, "/a") as connection:
                assert await connection.recv() == "/a"


async def test_a_handler_with_a_default_gets_no_path() -> None:
    """``functools.partial`` and keyword defaults are how handlers get their own arguments."""

    async def handler(connection: Any, greeting: str = "hello") -> None:
        await connection.send(greeting)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        async with serving(handler) as server, visiting(server, "/a") as connection:
            assert await connection.recv() == "hello"


async def test_the_new_spellings_warn_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        async with serving(echo) as server:
            uri = f"ws://127.0.0.1:{port_of(server)}/"
            async with connect(uri, additional_headers={"X-A": "1"}) as connection:
                await connection.send("hello")
                assert await connection.recv() == "hello"
