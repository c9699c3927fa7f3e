"""Through a proxy, whose loop of asyncio's runs in a thread."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest
import trio

from ropeway.exceptions import InvalidProxyStatus, InvalidStatus, ProxyError
from ropeway.trio.client import connect

from ..support.proxies import ConnectProxy, Proxy, Socks4Proxy, Socks5Proxy
from ..support.tls import TLS
from .serving import DEFAULTS, in_trio, serving, uri

AnyProxy = TypeVar("AnyProxy", bound=Proxy)


@contextlib.contextmanager
def running(proxy: AnyProxy) -> Iterator[AnyProxy]:
    """Run a proxy in a thread."""
    begun: concurrent.futures.Future[Callable[[], object]] = concurrent.futures.Future()

    async def main() -> None:
        over = asyncio.Event()
        async with proxy:
            loop = asyncio.get_running_loop()
            begun.set_result(functools.partial(loop.call_soon_threadsafe, over.set))
            await over.wait()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    end = begun.result()
    try:
        yield proxy
    finally:
        end()
        thread.join()


@pytest.fixture(autouse=True)
def start() -> Iterator[Callable[[AnyProxy], AnyProxy]]:
    """Run proxies until the end of the test."""
    with contextlib.ExitStack() as stack:
        yield lambda proxy: stack.enter_context(running(proxy))


Start = Callable[[Any], Any]


async def say_hello(address: str, proxy: str, **options: Any) -> None:
    async with connect(address, proxy=proxy, **{**DEFAULTS, **options}) as near:
        for message in ("hello", "x" * 1_000_000):
            await near.send(message)
            assert await near.recv() == message
    assert near.close_code == 1000


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("secure_proxy", [False, True])
@in_trio
async def test_http(start: Start, tls: TLS, secure: bool, secure_proxy: bool) -> None:
    proxy = start(
        ConnectProxy(credentials=("u", "p"), tls=tls.server_context if secure_proxy else None)
    )
    options: dict[str, Any] = {"ssl": tls.client_context} if secure else {}
    if secure_proxy:
        options["proxy_ssl"] = tls.client_context
    async with serving(ssl=tls.server_context if secure else None) as server:
        address = uri(server, "wss" if secure else "ws")
        await say_hello(address, proxy.uri(user_info="u:p"), **options)
        assert proxy.asked[-1].target == server.listeners[0].socket.getsockname()
        with pytest.raises(InvalidProxyStatus) as caught:
            await say_hello(address, proxy.uri(user_info="u:wrong"), **options)
        assert caught.value.response.status_code == 407


@pytest.mark.parametrize("scheme", ["socks4", "socks4a", "socks5", "socks5h"])
@pytest.mark.parametrize("secure", [False, True])
@in_trio
async def test_socks(start: Start, tls: TLS, scheme: str, secure: bool) -> None:
    pytest.importorskip("python_socks")
    async with serving(ssl=tls.server_context if secure else None) as server:
        port = server.listeners[0].socket.getsockname()[1]
        kind = Socks4Proxy if scheme.startswith("socks4") else Socks5Proxy
        proxy = start(kind(route=("127.0.0.1", port)))
        options: dict[str, Any] = {"ssl": tls.client_context} if secure else {}
        await say_hello(uri(server, "wss" if secure else "ws"), proxy.uri(scheme), **options)
        assert proxy.asked[0].kind == "ipv4"
        if scheme in ("socks4a", "socks5h"):
            await say_hello("ws" + "s" * secure + "://localhost/", proxy.uri(scheme), **options)
            assert proxy.asked[1].target == ("localhost", 443 if secure else 80)


@in_trio
async def test_a_socks_proxy_that_refuses(start: Start) -> None:
    pytest.importorskip("python_socks")
    proxy = start(Socks5Proxy(refusal=2))
    with pytest.raises(ProxyError, match="failed to connect to SOCKS proxy"):
        await say_hello("ws://localhost/", proxy.uri("socks5h"))


@pytest.mark.parametrize("scheme", ["http", "https", "socks5h"])
@in_trio
async def test_a_connect_that_is_cancelled_leaves_nothing(
    start: Start, tls: TLS, scheme: str
) -> None:
    if scheme == "socks5h":
        pytest.importorskip("python_socks")
    options: dict[str, Any] = {"proxy_ssl": tls.client_context} if scheme == "https" else {}

    async def hold(stream: trio.abc.Stream) -> None:
        if scheme == "https":
            tunnel = trio.SSLStream(stream, tls.server_context, server_side=True)
            await tunnel.receive_some()
        else:
            await stream.receive_some()
        connecting.cancel()
        with contextlib.suppress(trio.BrokenResourceError):  # it is reset, or ended
            assert await stream.receive_some() == b""

    async with trio.open_nursery() as nursery:
        serve_tcp = functools.partial(trio.serve_tcp, hold, 0, host="127.0.0.1")
        (listener,) = await nursery.start(serve_tcp)
        port = listener.socket.getsockname()[1]
        with trio.CancelScope() as connecting:
            await say_hello("ws://localhost/", f"{scheme}://127.0.0.1:{port}", **options)
        assert connecting.cancelled_caught
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("secure", [False, True])
@in_trio
async def test_a_proxy_that_resets_is_an_os_error(tls: TLS, secure: bool) -> None:
    """So that who reconnects tries again."""
    tries = 0

    async def reset(stream: trio.abc.Stream) -> None:
        nonlocal tries
        tries += 1
        assert isinstance(stream, trio.SocketStream)
        if secure:
            tunnel = trio.SSLStream(stream, tls.server_context, server_side=True)
            await tunnel.receive_some()
        else:
            await stream.receive_some()
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await stream.aclose()

    def two_delays() -> Any:
        yield 0
        yield 0

    async with trio.open_nursery() as nursery:
        serve_tcp = functools.partial(trio.serve_tcp, reset, 0, host="127.0.0.1")
        (listener,) = await nursery.start(serve_tcp)
        port = listener.socket.getsockname()[1]
        options: dict[str, Any] = {"proxy_ssl": tls.client_context} if secure else {}
        proxy = f"{'https' if secure else 'http'}://127.0.0.1:{port}"
        with pytest.raises(ConnectionResetError):
            async for _ in connect(
                "ws://localhost/", proxy=proxy, reconnect_delays=two_delays, **options
            ):
                raise AssertionError
        assert tries == 3
        nursery.cancel_scope.cancel()


@in_trio
async def test_a_server_that_refuses_behind_a_proxy(start: Start) -> None:
    def refuse(connection: Any, request: object) -> Any:
        return connection.respond(403, "No.\n")

    proxy = start(ConnectProxy())
    async with serving(process_request=refuse) as server:
        with pytest.raises(InvalidStatus) as caught:
            await say_hello(uri(server), proxy.uri())
    assert caught.value.response.body == b"No.\n"
