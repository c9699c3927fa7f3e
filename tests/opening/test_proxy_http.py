"""Through an HTTP or HTTPS proxy, by CONNECT."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from ..support.http import response
from ..support.names import USER_AGENT, exceptions, oracle_mishap
from ..support.proxies import ConnectProxy, Refused, record_server_name
from ..support.subject import State, connect, only_ropeway
from .peers import Exchange, accepting, raw_server, silence


async def through(uri: str, proxy: str | None, **options: Any) -> Any:
    """Connect and leave again; the closed connection keeps what it was told."""
    connection = await connect(uri, proxy=proxy, **options)
    assert connection.state is State.OPEN
    connection.transport.abort()
    await connection.wait_closed()
    return connection


async def test_the_tunnel_is_asked_for_by_name_and_port() -> None:
    async with raw_server(accepting) as server:
        async with ConnectProxy(route=("127.0.0.1", server.port)) as proxy:
            await through("ws://name.example/chat", proxy.uri())
    (asked,) = proxy.asked
    assert asked.request_line == "CONNECT name.example:80 HTTP/1.1"
    assert asked.header("Host") == ["name.example"]
    assert asked.header("User-Agent") == [USER_AGENT]
    assert asked.header("Proxy-Authorization") == []
    assert server.requests[0]["Host"] == "name.example"
    assert server.requests[0].path == "/chat"


NAMES = [
    ("ws://name.example:81/", "name.example:81", "name.example:81"),
    ("ws://NAME.example/", "name.example:80", "name.example"),
    ("ws://[2001:db8::1]/", "[2001:db8::1]:80", "[2001:db8::1]"),
    ("ws://m\xfcnchen.example/", "xn--mnchen-3ya.example:80", "xn--mnchen-3ya.example"),
]


@pytest.mark.parametrize(("uri", "authority", "host"), NAMES)
async def test_the_authority_always_has_a_port(uri: str, authority: str, host: str) -> None:
    async with raw_server(accepting) as server:
        async with ConnectProxy(route=("127.0.0.1", server.port)) as proxy:
            await through(uri, proxy.uri())
    assert proxy.asked[0].request_line == f"CONNECT {authority} HTTP/1.1"
    assert proxy.asked[0].header("Host") == [host]


async def test_messages_pass_both_ways() -> None:
    async def echo_once(exchange: Exchange) -> None:
        exchange.writer.write(exchange.switching() + b"\x81\x05hello")
        frame = await exchange.reader.readexactly(6 + 2)
        assert frame[:2] == b"\x81\x82"
        exchange.writer.write(b"\x88\x02\x03\xe8")

    async with raw_server(echo_once) as server, ConnectProxy() as proxy:
        async with connect(server.uri(), proxy=proxy.uri(), compression=None) as connection:
            assert await connection.recv() == "hello"
            await connection.send("hi")
            with pytest.raises(exceptions.ConnectionClosedOK):
                await connection.recv()


@pytest.mark.parametrize("agent", [None, "tests/1"])
async def test_the_user_agent_is_the_callers(agent: str | None) -> None:
    async with raw_server(accepting) as server, ConnectProxy() as proxy:
        await through(server.uri(), proxy.uri(), user_agent_header=agent)
    assert proxy.asked[0].header("User-Agent") == ([] if agent is None else [agent])


async def test_headers_for_the_server_are_not_shown_to_the_proxy() -> None:
    async with raw_server(accepting) as server, ConnectProxy() as proxy:
        await through(server.uri(), proxy.uri(), additional_headers={"Authorization": "Bearer x"})
    assert [name for name, _ in proxy.asked[0].headers] == ["Host", "User-Agent"]
    assert server.requests[0]["Authorization"] == "Bearer x"


# Credentials


@pytest.mark.parametrize(
    ("user_info", "credentials"),
    [("ann:secret", ("ann", "secret")), ("a%40b:p%3Aq%2F", ("a@b", "p:q/"))],
)
async def test_credentials(user_info: str, credentials: tuple[str, str]) -> None:
    async with raw_server(accepting) as server, ConnectProxy(credentials=credentials) as proxy:
        await through(server.uri(), proxy.uri(user_info=user_info))
    assert proxy.asked[0].credentials == credentials
    assert "Proxy-Authorization" not in server.requests[0]


@pytest.mark.parametrize("user_info", ["", "ann:wrong"])
async def test_wrong_credentials(user_info: str) -> None:
    async with ConnectProxy(credentials=("ann", "secret")) as proxy:
        with pytest.raises(exceptions.InvalidProxyStatus) as caught:
            await connect("ws://name.example/", proxy=proxy.uri(user_info=user_info))
    assert str(caught.value) == "proxy rejected connection: HTTP 407"
    assert caught.value.response.status_code == 407
    assert caught.value.response.headers["Proxy-Authenticate"] == "Basic realm=tests"
    assert isinstance(caught.value, exceptions.ProxyError)


# Answers of the proxy

CONFIRMATIONS = [
    b"HTTP/1.1 200 OK\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n\r\n",
    b"HTTP/1.1 200 \r\n\r\n",
    b"HTTP/1.1 299 Fine\r\nVia: 1.1 tests\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
]


@pytest.mark.parametrize("greeting", CONFIRMATIONS)
async def test_any_2xx_opens_the_tunnel_and_has_no_body(greeting: bytes) -> None:
    async with raw_server(accepting) as server, ConnectProxy(greeting=greeting) as proxy:
        await through(server.uri(), proxy.uri())


@pytest.mark.parametrize("status", [302, 403, 407, 502, 504])
async def test_the_proxy_refuses(status: int) -> None:
    async with ConnectProxy(reply=response(f"{status} No", "X-A: 1", body=b"sorry")) as proxy:
        with pytest.raises(exceptions.InvalidProxyStatus) as caught:
            await connect("ws://name.example/", proxy=proxy.uri())
    assert str(caught.value) == f"proxy rejected connection: HTTP {status}"
    assert caught.value.response.headers["X-A"] == "1"


GARBAGE: list[tuple[str, bytes, type[Exception] | str]] = [
    ("nothing", b"", EOFError),
    ("half-a-line", b"HTTP/1.1 20", EOFError),
    ("half-the-headers", b"HTTP/1.1 200 OK\r\nA: 1\r\n", EOFError),
    ("not-http", b"\x05\x00 what is this\r\n\r\n", ValueError),
    ("header", b"HTTP/1.1 200 OK\r\nOops\r\n\r\n", ValueError),
    ("long-status-line", b"HTTP/1.1 200 " + b"x" * 9000 + b"\r\n\r\n", "StatusLineTooLong"),
    ("many-headers", b"HTTP/1.1 200 OK\r\n" + b"A: 1\r\n" * 200 + b"\r\n", "TooManyHeaders"),
]


@oracle_mishap
@pytest.mark.parametrize(
    ("reply", "kind"), [row[1:] for row in GARBAGE], ids=[row[0] for row in GARBAGE]
)
async def test_a_malformed_reply(reply: bytes, kind: type[Exception] | str) -> None:
    async with ConnectProxy(reply=reply) as proxy:
        with pytest.raises(exceptions.InvalidProxyMessage) as caught:
            await connect("ws://name.example/", proxy=proxy.uri())
    assert str(caught.value) == "did not receive a valid HTTP response from proxy"
    expected = getattr(exceptions, kind) if isinstance(kind, str) else kind
    assert isinstance(caught.value.__cause__, expected)
    assert isinstance(caught.value, exceptions.ProxyError)


async def test_the_confirmation_at_every_split() -> None:
    greeting = b"HTTP/1.1 200 OK\r\nVia: 1.1 tests\r\n\r\n"

    class Slow(ConnectProxy):
        cut = 0

        def confirm(self, writer: asyncio.StreamWriter) -> None:
            writer.write(greeting[: self.cut])
            asyncio.get_running_loop().call_soon(writer.write, greeting[self.cut :])

    async with raw_server(accepting) as server, Slow() as proxy:
        for proxy.cut in range(1, len(greeting)):
            await through(server.uri(), proxy.uri())


# Failures on the way


@oracle_mishap
async def test_the_proxy_hangs_up() -> None:
    async with ConnectProxy(hang_up=True) as proxy:
        with pytest.raises(exceptions.InvalidProxyMessage):
            await connect("ws://name.example/", proxy=proxy.uri())


async def test_nobody_listens_on_the_proxys_port(unused_port: int) -> None:
    with pytest.raises(ConnectionRefusedError):
        await connect("ws://name.example/", proxy=f"http://127.0.0.1:{unused_port}")


async def test_a_silent_proxy_times_out() -> None:
    class Silent(ConnectProxy):
        async def negotiate(self, reader: asyncio.StreamReader, *_: Any) -> None:
            await reader.read()
            raise Refused

    async with Silent() as proxy:
        with pytest.raises(TimeoutError) as caught:
            await connect("ws://name.example/", proxy=proxy.uri(), open_timeout=0.1)
    assert str(caught.value) == "timed out during opening handshake"


async def test_a_silent_server_behind_the_proxy_times_out() -> None:
    async with raw_server(silence) as server, ConnectProxy() as proxy:
        with pytest.raises(TimeoutError) as caught:
            await connect(server.uri(), proxy=proxy.uri(), open_timeout=0.1)
    assert str(caught.value) == "timed out during opening handshake"


async def test_the_proxy_dies_during_the_handshake() -> None:
    async def break_it(exchange: Exchange) -> None:
        proxy.break_tunnels()
        await exchange.hold()

    async with raw_server(break_it) as server, ConnectProxy() as proxy:
        with pytest.raises((exceptions.InvalidMessage, OSError)):
            await connect(server.uri(), proxy=proxy.uri())


async def test_the_proxy_dies_later() -> None:
    async with raw_server(accepting) as server, ConnectProxy() as proxy:
        connection = await connect(server.uri(), proxy=proxy.uri())
        proxy.break_tunnels()
        with pytest.raises(exceptions.ConnectionClosedError):
            await connection.recv()
        assert connection.close_code == 1006


async def test_the_server_refuses_behind_the_proxy() -> None:
    async with raw_server(response("403 Forbidden", body=b"no")) as server, ConnectProxy() as proxy:
        with pytest.raises(exceptions.InvalidStatus) as caught:
            await connect(server.uri(), proxy=proxy.uri())
    assert caught.value.response.body == b"no"


async def test_a_redirect_behind_the_proxy_asks_for_a_second_tunnel() -> None:
    async def directing(exchange: Exchange) -> None:
        if exchange.path == "/old":
            exchange.writer.write(response("302 Found", "Location: ws://other.example/new"))
        else:
            await accepting(exchange)

    async with raw_server(directing) as server:
        async with ConnectProxy(route=("127.0.0.1", server.port)) as proxy:
            await through("ws://name.example/old", proxy.uri())
    assert [asked.host for asked in proxy.asked] == ["name.example", "other.example"]


# TLS


async def test_wss_through_a_plain_proxy(tls: Any) -> None:
    names: list[str | None] = []
    record_server_name(tls.server_context, names)
    try:
        async with raw_server(accepting, tls=tls.server_context) as server:
            async with ConnectProxy(route=("127.0.0.1", server.port)) as proxy:
                await through("wss://localhost/", proxy.uri(), ssl=tls.client_context)
    finally:
        tls.server_context.sni_callback = None
    assert proxy.asked[0].request_line == "CONNECT localhost:443 HTTP/1.1"
    assert names == ["localhost"]
    assert server.requests[0]["Host"] == "localhost"


@oracle_mishap
async def test_wss_checks_the_server_not_the_proxy(tls: Any) -> None:
    async with raw_server(accepting, tls=tls.other_name_context) as server:
        async with ConnectProxy(route=("127.0.0.1", server.port)) as proxy:
            with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
                await connect("wss://localhost/", proxy=proxy.uri(), ssl=tls.client_context)
            await through(
                "wss://localhost/",
                proxy.uri(),
                ssl=tls.client_context,
                server_hostname="elsewhere.example",
            )


async def test_an_https_proxy(tls: Any) -> None:
    async with raw_server(accepting) as server, ConnectProxy(tls=tls.server_context) as proxy:
        assert proxy.uri().startswith("https://")
        await through(server.uri(), proxy.uri(), proxy_ssl=tls.client_context)
    assert proxy.asked[0].port == server.port


async def test_wss_through_an_https_proxy_is_tls_in_tls(tls: Any) -> None:
    async with raw_server(accepting, tls=tls.server_context) as server:
        async with ConnectProxy(
            tls=tls.server_context, route=("127.0.0.1", server.port), credentials=("ann", "x")
        ) as proxy:
            await through(
                "wss://localhost/",
                proxy.uri(user_info="ann:x"),
                ssl=tls.client_context,
                proxy_ssl=tls.client_context,
            )
    assert len(server.requests) == 1


async def test_the_proxys_name_can_be_given(tls: Any) -> None:
    async with raw_server(accepting) as server:
        async with ConnectProxy(tls=tls.other_name_context) as proxy:
            with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
                await connect(server.uri(), proxy=proxy.uri(), proxy_ssl=tls.client_context)
            await through(
                server.uri(),
                proxy.uri(),
                proxy_ssl=tls.client_context,
                proxy_server_hostname="elsewhere.example",
            )


async def test_an_https_proxy_is_not_trusted_blindly(tls: Any) -> None:
    async with ConnectProxy(tls=tls.server_context) as proxy:
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
            await connect("ws://name.example/", proxy=proxy.uri())


# Arguments


@pytest.mark.parametrize(
    ("proxy", "options", "text"),
    [
        (
            "https://127.0.0.1:1",
            {"proxy_ssl": None},
            "proxy_ssl=None is incompatible with an https:// proxy",
        ),
        (
            "http://127.0.0.1:1",
            {"proxy_ssl": True},
            "proxy_ssl argument is incompatible with an http:// proxy",
        ),
    ],
)
async def test_proxy_ssl_must_fit_the_proxy(proxy: str, options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError) as caught:
        await connect("ws://name.example/", proxy=proxy, **options)
    assert str(caught.value) == text


async def test_wss_with_ssl_none_is_refused_behind_a_proxy_too() -> None:
    with pytest.raises(ValueError, match="ssl=None is incompatible with a wss:// URI"):
        await connect("wss://name.example/", proxy="http://127.0.0.1:1", ssl=None)


BAD_PROXIES = [
    ("ftp://127.0.0.1", "scheme ftp isn't supported"),
    ("127.0.0.1", "scheme  isn't supported"),
    ("http://", "hostname isn't provided"),
    ("http://127.0.0.1/path", "path is meaningless"),
    ("http://127.0.0.1?query", "query is meaningless"),
    ("http://127.0.0.1#fragment", "fragment is meaningless"),
    ("http://user@127.0.0.1", "username provided without password"),
]


@pytest.mark.parametrize(("proxy", "why"), BAD_PROXIES)
async def test_a_bad_proxy(proxy: str, why: str) -> None:
    with pytest.raises(exceptions.InvalidProxy) as caught:
        await connect("ws://name.example/", proxy=proxy)
    assert str(caught.value) == f"{proxy} isn't a valid proxy: {why}"


async def test_the_local_address_is_that_of_the_way_to_the_proxy() -> None:
    async with raw_server(accepting) as server, ConnectProxy() as proxy:
        await through(server.uri(), proxy.uri(), local_addr=("127.0.0.3", 0))
    assert proxy.asked[0].peer is not None
    assert proxy.asked[0].peer[0] == "127.0.0.3"


async def test_a_given_socket_goes_past_the_proxy() -> None:
    async with raw_server(accepting) as server, ConnectProxy() as proxy:
        sock = socket.create_connection(("127.0.0.1", server.port))
        await through("ws://name.example/", proxy.uri(), sock=sock)
    assert not proxy.asked
    assert server.connections == 1


@only_ropeway
async def test_bytes_behind_the_confirmation_are_not_lost() -> None:
    """A server may not speak first, but what it says belongs to the handshake all the same."""
    greeting = b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 403 Too Early\r\nContent-Length: 0\r\n\r\n"
    async with raw_server(silence) as server, ConnectProxy(greeting=greeting) as proxy:
        with pytest.raises(exceptions.InvalidStatus) as caught:
            await connect(server.uri(), proxy=proxy.uri(), open_timeout=2)
    assert caught.value.response.status_code == 403
