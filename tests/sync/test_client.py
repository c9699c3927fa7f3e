"""connect and reconnect for threads: forms, TLS, Unix sockets, proxies, redirects, time limits."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ropeway import (
    InvalidProxyStatus,
    InvalidURI,
    ProxyError,
    State,
)
from ropeway.sync.client import ClientConnection, connect, reconnect, unix_connect, unix_reconnect
from ropeway.sync.server import unix_serve

from ..support.proxies import ConnectProxy, Socks4Proxy, Socks5Proxy
from ..support.tls import TLS
from .serving import connecting, echo, pair, running, serving, uri

# Forms


def test_a_connection_is_a_context_manager() -> None:
    with serving() as server:
        with connect(uri(server), proxy=None) as ws:
            assert isinstance(ws, ClientConnection)
            ws.send("tea")
            assert ws.recv() == "tea"
            assert ws.request is not None and ws.response is not None
            assert (ws.request.path, ws.response.status_code) == ("/", 101)
            assert ws.remote_address == server.socket.getsockname()
        assert (ws.state, ws.close_code) == (State.CLOSED, 1000)
        assert ws.remote_address == server.socket.getsockname()


def test_an_exception_in_the_body_closes_with_1011() -> None:
    with serving() as server:
        with pytest.raises(KeyError), connect(uri(server), proxy=None) as ws:
            raise KeyError
        assert ws.protocol.close_sent is not None
        assert ws.protocol.close_sent.code == 1011


@pytest.mark.parametrize("use", ["recv", "send", "ping", "pong", "close", "iterate", "stream"])
def test_use_without_a_context_is_deprecated(use: str) -> None:
    def greet(connection: Any) -> None:
        connection.send("hello")
        connection.wait_closed()

    with serving(greet) as server:
        ws = connect(uri(server), proxy=None)
        uses = {
            "recv": lambda: ws.recv(timeout=5),
            "send": lambda: ws.send("x"),
            "ping": lambda: ws.ping(),
            "pong": lambda: ws.pong(),
            "close": lambda: ws.close(),
            "iterate": lambda: next(iter(ws)),
            "stream": lambda: next(iter(ws.recv_streaming())),
        }
        with pytest.warns(DeprecationWarning, match="legacy=True"):
            uses[use]()
        ws.close()


@pytest.mark.parametrize("legacy", [True, None])
def test_no_warning(legacy: bool | None) -> None:
    with serving() as server, warnings.catch_warnings():
        warnings.simplefilter("error")
        ws = connect(uri(server), proxy=None, legacy=legacy)
        with contextlib.nullcontext(ws) if legacy else ws:
            ws.send("tea")
            assert ws.recv() == "tea"
        ws.close()


def test_legacy_false_gives_reconnect() -> None:
    with serving() as server:
        connecter = connect(uri(server), proxy=None, legacy=False)
        assert isinstance(connecter, reconnect)
        with connecter as ws:
            with pytest.raises(RuntimeError, match="reentrant"):
                connecter.__enter__()
            ws.send("tea")
            assert ws.recv() == "tea"
        with connecter as again:
            assert again is not ws


def test_reconnecting_after_failures() -> None:
    free = socket.create_server(("127.0.0.1", 0))
    address = free.getsockname()
    free.close()
    failures: list[Exception] = []

    def process(exc: Exception) -> Exception | None:
        failures.append(exc)
        return None if len(failures) < 3 else exc

    with pytest.raises(ConnectionRefusedError):
        for unexpected in reconnect(
            f"ws://127.0.0.1:{address[1]}/",
            proxy=None,
            process_exception=process,
            reconnect_delays=lambda: iter([0.0] * 9),
        ):
            raise AssertionError(unexpected)
    assert len(failures) == 3


# Arguments


def test_wrong_arguments() -> None:
    with pytest.raises(InvalidURI):
        connect("http://example.com")
    with pytest.raises(TypeError, match="'nonsense'"):
        connect("ws://example.com", nonsense=1)
    with pytest.raises(ValueError, match="missing path"):
        unix_connect()
    with pytest.raises(ValueError, match="incompatible with sock"):
        unix_reconnect("path", sock=socket.socket)


def test_address_leads_elsewhere() -> None:
    with serving() as server:
        address = server.socket.getsockname()
        with connect("ws://nowhere.example/", proxy=None, address=address) as ws:
            assert ws.request is not None
            assert ws.request.headers["Host"] == "nowhere.example"


def test_sock() -> None:
    with serving() as server:
        sock = socket.create_connection(server.socket.getsockname())
        with connect("ws://nowhere.example/", sock=sock) as ws:
            ws.send("tea")
            assert ws.recv() == "tea"
        assert sock.fileno() == -1


def test_source_address() -> None:
    with serving() as server, connecting(server, source_address=("127.0.0.1", 0)) as ws:
        assert ws.local_address[0] == "127.0.0.1"


# TLS and Unix sockets


def test_tls(tls: TLS) -> None:
    with serving(ssl=tls.server_context) as server:
        port = server.socket.getsockname()[1]
        with connect(f"wss://localhost:{port}/", proxy=None, ssl=tls.client_context) as ws:
            for message in ("tea", b"x" * 1_000_000, ""):
                ws.send(message)
                assert ws.recv() == message
            assert ws.ssl_object.version().startswith("TLS")
            with pytest.raises(TimeoutError):
                ws.recv(timeout=0.01)
        assert ws.close_code == 1000


def test_tls_both_ways_at_once(tls: TLS) -> None:
    count = 200
    with serving(ssl=tls.server_context) as server:
        port = server.socket.getsockname()[1]
        with connect(f"wss://localhost:{port}/", proxy=None, ssl=tls.client_context) as ws:

            def send() -> None:
                for index in range(count):
                    ws.send(bytes([index]) * 10_000)

            with running(send):
                for index in range(count):
                    assert ws.recv(timeout=20) == bytes([index]) * 10_000


def test_tls_idle_connection_answers_pings(tls: TLS) -> None:
    latencies = []

    def handler(connection: Any) -> None:
        pong = connection.ping()
        pong.wait(10)
        latencies.append(pong.latency)

    with serving(handler, ssl=tls.server_context) as server:
        port = server.socket.getsockname()[1]
        with connect(f"wss://localhost:{port}/", proxy=None, ssl=tls.client_context) as ws:
            assert ws.wait_closed(10)
    assert len(latencies) == 1


@pytest.mark.parametrize("hostname", [None, "other.example"])
def test_tls_of_a_server_that_is_not_trusted(tls: TLS, hostname: str | None) -> None:
    context = tls.untrusted_client_context if hostname is None else tls.client_context
    with serving(ssl=tls.server_context) as server:
        port = server.socket.getsockname()[1]
        with pytest.raises(OSError, match="certificate verify failed"):
            connect(f"wss://localhost:{port}/", proxy=None, ssl=context, server_hostname=hostname)


def test_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with unix_serve(echo, path) as server, running(server.serve_forever):
        with unix_connect(path) as ws:
            ws.send("tea")
            assert ws.recv() == "tea"
        server.shutdown()


# Proxies: they run on a loop in a thread


@contextlib.contextmanager
def proxy_running(proxy: Any) -> Iterator[Any]:
    loop = asyncio.new_event_loop()
    with running(loop.run_forever):
        asyncio.run_coroutine_threadsafe(proxy.__aenter__(), loop).result(10)
        try:
            yield proxy
        finally:
            asyncio.run_coroutine_threadsafe(proxy.__aexit__(), loop).result(10)
            loop.call_soon_threadsafe(loop.stop)
    loop.close()


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("kind", ["http", "https", "socks5", "socks5h", "socks4", "socks4a"])
def test_proxies(tls: TLS, kind: str, secure: bool) -> None:
    options: dict[str, Any] = {"ssl": tls.server_context} if secure else {}
    with serving(**options) as server:
        address = server.socket.getsockname()
        route = address if kind in ("http", "https", "socks5h", "socks4a") else None
        if kind.startswith("http"):
            made: Any = ConnectProxy(
                route=route, tls=tls.server_context if kind == "https" else None
            )
        else:
            made = (Socks5Proxy if kind.startswith("socks5") else Socks4Proxy)(route=route)
        with proxy_running(made) as proxy:
            host = "localhost" if route else "127.0.0.1"
            scheme = "wss" if secure else "ws"
            client: dict[str, Any] = {"ssl": tls.client_context} if secure else {}
            if kind == "https":
                client["proxy_ssl"] = tls.client_context
            with connect(f"{scheme}://{host}:{address[1]}/", proxy=proxy.uri(kind), **client) as ws:
                for message in ("tea", b"x" * 300_000):
                    ws.send(message)
                    assert ws.recv() == message
            assert proxy.asked[0].target == (host, address[1])


def test_a_proxy_that_refuses() -> None:
    with serving() as server, proxy_running(ConnectProxy(credentials=("ann", "x"))) as proxy:
        with pytest.raises(InvalidProxyStatus, match="407"):
            connect(uri(server), proxy=proxy.uri())
    with serving() as server, proxy_running(Socks5Proxy(credentials=("ann", "x"))) as proxy:
        with pytest.raises(ProxyError):
            connect(uri(server), proxy=proxy.uri("socks5"))


# The opening handshake


def test_a_server_that_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(TimeoutError, match="timed out while waiting for handshake response"):
            connect(f"ws://127.0.0.1:{port}/", proxy=None, open_timeout=0.05)
        with pytest.raises(TimeoutError, match="timed out"):
            connect(f"wss://127.0.0.1:{port}/", proxy=None, open_timeout=0.05)


def test_messages_that_come_with_the_response() -> None:
    def handler(connection: Any) -> None:
        connection.send("early")
        connection.send("bird")

    with serving(handler) as server, connecting(server) as ws:
        assert list(ws) == ["early", "bird"]


def test_a_subclass_with_its_own_methods() -> None:
    class Shouting(ClientConnection):
        def recv(self, *arguments: Any, **options: Any) -> Any:
            return str(super().recv(*arguments, **options)).upper()

    with serving() as server:
        with connecting(server, create_connection=Shouting) as ws:
            ws.send("tea")
            assert next(iter(ws)) == "TEA"


def test_compression() -> None:
    with pair(client={"compression": "deflate"}, server={"compression": "deflate"}) as (near, far):
        near.send("x" * 10_000)
        assert far.recv() == "x" * 10_000
        assert near.stats.bytes_sent < 2000


def test_a_keepalive_that_is_answered() -> None:
    with serving() as server, connecting(server, ping_interval=0.02) as ws:
        answered = threading.Event()
        for _ in range(1000):
            if ws.latency:
                break
            answered.wait(0.005)
        assert ws.latency > 0
