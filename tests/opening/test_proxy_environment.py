"""Which proxy the environment names, and when it is passed by."""

from __future__ import annotations

from typing import Any

import pytest

from ..support.names import exceptions
from ..support.proxies import ConnectProxy, Proxy, Socks5Proxy
from ..support.subject import connect
from .peers import accepting, raw_server


async def ways(
    uri: str, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], **options: Any
) -> list[str]:
    """Connect under settings in which ``{http}`` and ``{socks}`` stand for two proxies' addresses.

    Return which proxies were asked; an empty list is the direct way.
    """
    async with raw_server(accepting, tls=options.pop("tls", None)) as server:
        proxies: dict[str, Proxy] = {
            "http": ConnectProxy(route=("127.0.0.1", server.port)),
            "socks": Socks5Proxy(route=("127.0.0.1", server.port)),
        }
        async with proxies["http"], proxies["socks"]:
            addresses = {kind: f"127.0.0.1:{proxy.port}" for kind, proxy in proxies.items()}
            for name, value in settings.items():
                monkeypatch.setenv(name, value.format(**addresses, port=server.port))
            connection = await connect(uri.format(port=server.port), **options)
            connection.transport.abort()
            await connection.wait_closed()
    return [kind for kind, proxy in proxies.items() if proxy.asked]


HTTP = "http://{http}"
SOCKS = "socks5h://{socks}"
NOWHERE = "http://127.0.0.1:1"

PLAIN: list[tuple[str, dict[str, str], list[str]]] = [
    ("nothing", {}, []),
    ("ws", {"ws_proxy": HTTP}, ["http"]),
    ("http", {"http_proxy": HTTP}, ["http"]),
    ("https", {"https_proxy": HTTP}, ["http"]),
    ("HTTPS", {"HTTPS_PROXY": HTTP}, ["http"]),
    ("WS", {"WS_PROXY": HTTP}, ["http"]),
    ("wss-is-for-wss", {"wss_proxy": NOWHERE}, []),
    ("ws-is-socks", {"ws_proxy": SOCKS}, ["socks"]),
    ("socks", {"socks_proxy": SOCKS}, ["socks"]),
    ("socks-as-http", {"socks_proxy": "http://{socks}"}, ["socks"]),
    ("ws-before-socks", {"ws_proxy": HTTP, "socks_proxy": NOWHERE}, ["http"]),
    ("socks-before-https", {"socks_proxy": SOCKS, "https_proxy": NOWHERE}, ["socks"]),
    ("https-before-http", {"https_proxy": HTTP, "http_proxy": NOWHERE}, ["http"]),
    ("lower-before-upper", {"ws_proxy": HTTP, "WS_PROXY": NOWHERE}, ["http"]),
    ("all-is-not-read", {"all_proxy": NOWHERE}, []),
    ("empty-is-none", {"http_proxy": ""}, []),
    ("no-proxy-host", {"http_proxy": NOWHERE, "no_proxy": "127.0.0.1"}, []),
    ("no-proxy-port", {"http_proxy": NOWHERE, "no_proxy": "127.0.0.1:{port}"}, []),
    ("no-proxy-other-port", {"http_proxy": HTTP, "no_proxy": "127.0.0.1:1"}, ["http"]),
    ("no-proxy-list", {"http_proxy": NOWHERE, "no_proxy": "a.example, 127.0.0.1"}, []),
    ("no-proxy-all", {"http_proxy": NOWHERE, "no_proxy": "*"}, []),
    ("NO_PROXY", {"http_proxy": NOWHERE, "NO_PROXY": "127.0.0.1"}, []),
    ("no-proxy-for-others", {"http_proxy": HTTP, "no_proxy": "a.example"}, ["http"]),
]


@pytest.mark.parametrize(
    ("settings", "expected"), [row[1:] for row in PLAIN], ids=[row[0] for row in PLAIN]
)
async def test_the_way_of_ws(
    settings: dict[str, str], expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if "socks" in expected:
        pytest.importorskip("python_socks")
    assert await ways("ws://127.0.0.1:{port}/", monkeypatch, settings) == expected


SECURE: list[tuple[str, dict[str, str], list[str]]] = [
    ("wss", {"wss_proxy": HTTP}, ["http"]),
    ("https", {"https_proxy": HTTP}, ["http"]),
    ("http-is-not-for-wss", {"http_proxy": NOWHERE}, []),
    ("ws-is-not-for-wss", {"ws_proxy": NOWHERE}, []),
    ("socks-before-https", {"socks_proxy": SOCKS, "https_proxy": NOWHERE}, ["socks"]),
    ("wss-before-socks", {"wss_proxy": HTTP, "socks_proxy": NOWHERE}, ["http"]),
]


@pytest.mark.parametrize(
    ("settings", "expected"), [row[1:] for row in SECURE], ids=[row[0] for row in SECURE]
)
async def test_the_way_of_wss(
    settings: dict[str, str],
    expected: list[str],
    monkeypatch: pytest.MonkeyPatch,
    tls: Any,
) -> None:
    if "socks" in expected:
        pytest.importorskip("python_socks")
    options = {"ssl": tls.client_context, "tls": tls.server_context}
    assert await ways("wss://127.0.0.1:{port}/", monkeypatch, settings, **options) == expected


async def test_a_suffix_in_no_proxy_covers_the_names_below(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = {"http_proxy": HTTP, "no_proxy": "inside.example"}
    assert await ways("ws://a.outside.example/", monkeypatch, settings) == ["http"]
    with pytest.raises(OSError):  # the direct way, on which that name is not known
        await ways("ws://a.inside.example/", monkeypatch, settings)


async def test_none_goes_past_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"http_proxy": NOWHERE}
    assert await ways("ws://127.0.0.1:{port}/", monkeypatch, settings, proxy=None) == []


async def test_an_argument_comes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", NOWHERE)
    monkeypatch.setenv("no_proxy", "*")
    async with raw_server(accepting) as server, ConnectProxy() as proxy:
        connection = await connect(server.uri(), proxy=proxy.uri())
        connection.transport.abort()
        await connection.wait_closed()
    assert len(proxy.asked) == 1


async def test_credentials_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    async with raw_server(accepting) as server, ConnectProxy(credentials=("ann", "x")) as proxy:
        monkeypatch.setenv("http_proxy", proxy.uri(user_info="ann:x"))
        connection = await connect(server.uri())
        connection.transport.abort()
        await connection.wait_closed()
    assert proxy.asked[0].credentials == ("ann", "x")


async def test_a_bad_proxy_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "gopher://127.0.0.1")
    with pytest.raises(exceptions.InvalidProxy):
        await connect("ws://name.example/")


async def test_the_environment_is_read_at_each_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    async with raw_server(accepting) as server, ConnectProxy() as proxy:
        connecting = connect(server.uri())
        for asked in [0, 1]:
            connection = await connecting
            connection.transport.abort()
            await connection.wait_closed()
            assert len(proxy.asked) == asked
            monkeypatch.setenv("http_proxy", proxy.uri())
