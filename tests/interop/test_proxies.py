"""ropeway's client through proxies that others wrote."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from ..support import subject
from ..support.tls import TLS
from .authority import Authority
from .payloads import MIB, patterned
from .real_proxies import (
    PASSWORD,
    PLAIN_PASSWORD,
    RealProxy,
    microsocks,
    proxy_py,
    tiny_proxy,
    tinyproxy,
)

exceptions = subject.module("exceptions")


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own proxy settings must not reach a test."""
    for scheme in ("all", "http", "https", "socks", "ws", "wss", "no"):
        for name in (f"{scheme}_proxy", f"{scheme}_proxy".upper()):
            monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session", params=["proxy.py", "tinyproxy"])
def connect_proxy(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RealProxy]:
    """An HTTP proxy that is open to all."""
    folder = tmp_path_factory.mktemp("open-proxy")
    start = proxy_py if request.param == "proxy.py" else tinyproxy
    with start(folder) as proxy:
        yield proxy


@pytest.fixture(scope="session", params=["proxy.py", "tinyproxy"])
def guarded_connect_proxy(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RealProxy]:
    """An HTTP proxy that wants credentials."""
    folder = tmp_path_factory.mktemp("guarded-proxy")
    if request.param == "proxy.py":
        starting = proxy_py(folder, password=PASSWORD)
    else:
        starting = tinyproxy(folder, password=PLAIN_PASSWORD)
    with starting as proxy:
        yield proxy


@pytest.fixture(scope="session")
def secure_connect_proxy(
    authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RealProxy]:
    """An HTTP proxy that is spoken to over TLS."""
    with proxy_py(tmp_path_factory.mktemp("secure-proxy"), tls=authority.loopback) as proxy:
        yield proxy


@pytest.fixture(scope="session", params=["tiny-proxy", "microsocks"])
def socks_proxy(request: pytest.FixtureRequest) -> Iterator[RealProxy]:
    """A SOCKS5 proxy that is open to all."""
    with (tiny_proxy if request.param == "tiny-proxy" else microsocks)() as proxy:
        yield proxy


@pytest.fixture(scope="session", params=["tiny-proxy", "microsocks"])
def guarded_socks_proxy(request: pytest.FixtureRequest) -> Iterator[RealProxy]:
    """A SOCKS5 proxy that wants credentials."""
    with (tiny_proxy if request.param == "tiny-proxy" else microsocks)(password=PASSWORD) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def socks4_proxy() -> Iterator[RealProxy]:
    with tiny_proxy(4) as proxy:
        yield proxy


@contextlib.asynccontextmanager
async def echoing(**options: Any) -> AsyncIterator[int]:
    """Serve an echo; yield its port."""

    async def echo(connection: Any) -> None:
        async for message in connection:
            await connection.send(message)

    async with subject.serve(echo, "127.0.0.1", 0, **options) as server:
        yield server.sockets[0].getsockname()[1]


async def talk(url: str, proxy: RealProxy, through: str | bool, **options: Any) -> None:
    """Connect, see that it is the proxy that was connected to, and exchange messages."""
    options["compression"] = None
    async with subject.connect(url, proxy=through, **options) as connection:
        assert connection.remote_address[1] == proxy.port
        for message in ("up", "索道 🚡", b"\x00\xff", patterned(MIB)):
            await connection.send(message)
            assert await connection.recv() == message


async def refusal(url: str, through: str, expected: type[Exception]) -> Any:
    with pytest.raises(expected) as caught:
        await subject.connect(url, proxy=through)
    return caught.value


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that is taken, so that nothing else can listen there, and refuses connections."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


# HTTP CONNECT


async def test_connect(connect_proxy: RealProxy) -> None:
    async with echoing() as port:
        await talk(f"ws://127.0.0.1:{port}/", connect_proxy, connect_proxy.uri("http"))


async def test_connect_by_name(connect_proxy: RealProxy) -> None:
    async with echoing() as port:
        await talk(f"ws://localhost:{port}/", connect_proxy, connect_proxy.uri("http"))


async def test_connect_and_tls(connect_proxy: RealProxy, tls: TLS) -> None:
    async with echoing(ssl=tls.server_context) as port:
        url = f"wss://{tls.hostname}:{port}/"
        await talk(url, connect_proxy, connect_proxy.uri("http"), ssl=tls.client_context)


async def test_connect_with_credentials(guarded_connect_proxy: RealProxy) -> None:
    proxy = guarded_connect_proxy
    async with echoing() as port:
        await talk(f"ws://127.0.0.1:{port}/", proxy, proxy.uri_with_credentials("http"))


@pytest.mark.parametrize("user", ["", "stranger"], ids=["none", "wrong"])
async def test_connect_without_the_right_credentials(
    guarded_connect_proxy: RealProxy, user: str
) -> None:
    through = guarded_connect_proxy.uri("http", user=user, password="guess")
    async with echoing() as port:
        error = await refusal(f"ws://127.0.0.1:{port}/", through, exceptions.InvalidProxyStatus)
    # tinyproxy distinguishes credentials that it does not know from none at all.
    assert error.response.status_code in (401, 407)


async def test_connect_to_nobody(connect_proxy: RealProxy, closed_port: int) -> None:
    url = f"ws://127.0.0.1:{closed_port}/"
    error = await refusal(url, connect_proxy.uri("http"), exceptions.InvalidProxyStatus)
    assert error.response.status_code >= 500


async def test_connect_over_tls(
    secure_connect_proxy: RealProxy, authority: Authority, tls: TLS
) -> None:
    options = {"proxy_ssl": authority.loopback.client}
    through = secure_connect_proxy.uri("https")
    async with echoing() as port:
        await talk(f"ws://127.0.0.1:{port}/", secure_connect_proxy, through, **options)
    async with echoing(ssl=tls.server_context) as port:
        url = f"wss://127.0.0.1:{port}/"
        options["ssl"] = tls.client_context
        await talk(url, secure_connect_proxy, through, **options)


async def test_connect_over_tls_to_an_untrusted_proxy(secure_connect_proxy: RealProxy) -> None:
    through = secure_connect_proxy.uri("https")
    async with echoing() as port:
        url = f"ws://127.0.0.1:{port}/"
        await refusal(url, through, ssl.SSLCertVerificationError)


# SOCKS


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_socks5(socks_proxy: RealProxy, scheme: str, host: str) -> None:
    async with echoing() as port:
        await talk(f"ws://{host}:{port}/", socks_proxy, socks_proxy.uri(scheme))


@pytest.mark.parametrize("scheme", ["socks4", "socks4a"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_socks4(socks4_proxy: RealProxy, scheme: str, host: str) -> None:
    async with echoing() as port:
        await talk(f"ws://{host}:{port}/", socks4_proxy, socks4_proxy.uri(scheme))


async def test_socks5_and_tls(socks_proxy: RealProxy, tls: TLS) -> None:
    async with echoing(ssl=tls.server_context) as port:
        url = f"wss://{tls.hostname}:{port}/"
        await talk(url, socks_proxy, socks_proxy.uri("socks5h"), ssl=tls.client_context)


async def test_socks5_with_credentials(guarded_socks_proxy: RealProxy) -> None:
    proxy = guarded_socks_proxy
    async with echoing() as port:
        await talk(f"ws://127.0.0.1:{port}/", proxy, proxy.uri_with_credentials("socks5"))


@pytest.mark.parametrize("user", ["", "stranger"], ids=["none", "wrong"])
async def test_socks5_without_the_right_credentials(
    guarded_socks_proxy: RealProxy, user: str
) -> None:
    through = guarded_socks_proxy.uri("socks5", user=user, password="guess")
    async with echoing() as port:
        await refusal(f"ws://127.0.0.1:{port}/", through, exceptions.ProxyError)


async def test_socks5_to_nobody(socks_proxy: RealProxy, closed_port: int) -> None:
    url = f"ws://127.0.0.1:{closed_port}/"
    await refusal(url, socks_proxy.uri("socks5"), exceptions.ProxyError)


# From the environment


async def test_https_proxy_of_the_environment(
    connect_proxy: RealProxy, tls: TLS, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", connect_proxy.uri("http"))
    async with echoing(ssl=tls.server_context) as port:
        url = f"wss://localhost:{port}/"
        await talk(url, connect_proxy, True, ssl=tls.client_context)


async def test_socks_proxy_of_the_environment(
    guarded_socks_proxy: RealProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = guarded_socks_proxy
    monkeypatch.setenv("socks_proxy", proxy.uri_with_credentials("socks5h"))
    async with echoing() as port:
        await talk(f"ws://localhost:{port}/", proxy, True)


async def test_no_proxy_of_the_environment(
    connect_proxy: RealProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", connect_proxy.uri("http"))
    monkeypatch.setenv("http_proxy", connect_proxy.uri("http"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    async with echoing() as port, subject.connect(f"ws://127.0.0.1:{port}/") as connection:
        assert connection.remote_address[1] == port
        await connection.send("direct")
        assert await connection.recv() == "direct"
