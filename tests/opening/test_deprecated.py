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


async def opened(uri: str, old: str, **options: Any) -> tuple[Any, str]:
    """Connect with an option that earns one warning; return the connection and the warning."""
    with pytest.warns(DeprecationWarning, match=old) as caught:
        connecting = connect(uri, **options)
    (warning,) = caught
    assert warning.filename == __file__
    return await connecting, str(warning.message)


async def greet(handler: Any, path: str = "/", **options: Any) -> Any:
    """Serve a handler, and return what it says to a client at ``path``."""
    async with serve(handler, "127.0.0.1", 0, **options) as server:
        async with visiting(server, path) as connection:
            return await connection.recv()


@pytest.mark.parametrize("headers", HEADERS)
async def test_extra_headers_of_connect(headers: Any) -> None:
    async with raw_server(accepting) as server:
        connection, text = await opened(server.uri(), "extra_headers", extra_headers=headers)
        connection.transport.abort()
        await connection.wait_closed()
    assert "additional_headers" in text
    assert server.requests[0]["X-A"] == "1"


async def test_both_spellings_at_once_are_a_mistake() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        with pytest.raises(TypeError, match="extra_headers"):
            connect("ws://127.0.0.1/", extra_headers={"X-A": "1"}, additional_headers={"X-B": "2"})


async def test_read_limit_of_connect() -> None:
    async with raw_server(accepting) as server:
        connection, _ = await opened(server.uri(), "read_limit", read_limit=65536)
        connection.transport.abort()
        await connection.wait_closed()


async def test_read_limit_of_serve() -> None:
    async def handler(connection: Any) -> None:
        await connection.send("hello")

    with pytest.warns(DeprecationWarning, match="read_limit"):
        assert await greet(handler, read_limit=65536) == "hello"


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
    async def handler(connection: Any, path: str) -> None:
        assert connection.request.path == path
        await connection.send(path)

    with pytest.warns(DeprecationWarning, match=r"request\.path"):
        assert await greet(handler, "/a?b") == "/a?b"


async def test_a_method_with_a_path() -> None:
    class Application:
        async def handler(self, connection: Any, path: str) -> None:
            await connection.send(path)

    with pytest.warns(DeprecationWarning, match=r"request\.path"):
        assert await greet(Application().handler, "/a") == "/a"


async def test_a_handler_with_a_default_gets_no_path() -> None:
    """``functools.partial`` and keyword defaults are how handlers get their own arguments."""

    async def handler(connection: Any, greeting: str = "hello") -> None:
        await connection.send(greeting)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert await greet(handler, "/a") == "hello"


async def test_the_new_spellings_warn_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        async with serving(echo) as server:
            uri = f"ws://127.0.0.1:{port_of(server)}/"
            async with connect(uri, additional_headers={"X-A": "1"}) as connection:
                await connection.send("hello")
                assert await connection.recv() == "hello"
