"""Through a SOCKS proxy: 4, 4a, 5 and 5h, which differ in who resolves the server's name."""

from __future__ import annotations

from typing import Any

import pytest

from ..support.http import response
from ..support.names import exceptions
from ..support.proxies import Proxy, Socks4Proxy, Socks5Proxy
from ..support.subject import State, connect
from .peers import Exchange, accepting, raw_server, silence

pytest.importorskip("python_socks")

KINDS = {
    "socks4": Socks4Proxy,
    "socks4a": Socks4Proxy,
    "socks5": Socks5Proxy,
    "socks5h": Socks5Proxy,
}
every_scheme = pytest.mark.parametrize("scheme", list(KINDS))


async def through(uri: str, proxy: str, **options: Any) -> None:
    connection = await connect(uri, proxy=proxy, **options)
    assert connection.state is State.OPEN
    connection.transport.abort()
    await connection.wait_closed()


@every_scheme
async def test_an_address_is_passed_on_as_an_address(scheme: str) -> None:
    async with raw_server(accepting) as server, KINDS[scheme]() as proxy:
        await through(server.uri("/chat"), proxy.uri(scheme))
    (asked,) = proxy.asked
    assert (asked.target, asked.kind) == (("127.0.0.1", server.port), "ipv4")
    assert server.requests[0].path == "/chat"


@every_scheme
async def test_who_resolves_a_name(scheme: str) -> None:
    async with raw_server(accepting) as server:
        async with KINDS[scheme](route=("127.0.0.1", server.port)) as proxy:
            await through(server.uri(host="localhost"), proxy.uri(scheme))
    (asked,) = proxy.asked
    if scheme in ["socks4a", "socks5h"]:
        assert (asked.host, asked.kind) == ("localhost", "name")
    else:
        assert asked.host in ["127.0.0.1", "::1"]
    assert server.requests[0]["Host"] == f"localhost:{server.port}"


@pytest.mark.parametrize("scheme", ["socks4a", "socks5h"])
async def test_a_name_that_only_the_proxy_knows(scheme: str) -> None:
    async with raw_server(accepting) as server:
        async with KINDS[scheme](route=("127.0.0.1", server.port)) as proxy:
            await through("ws://inside.invalid/", proxy.uri(scheme))
    assert proxy.asked[0].target == ("inside.invalid", 80)


@pytest.mark.parametrize("scheme", ["socks4", "socks5"])
async def test_a_name_that_only_the_proxy_would_know(scheme: str) -> None:
    async with KINDS[scheme]() as proxy:
        with pytest.raises((OSError, exceptions.ProxyError)):
            await connect("ws://inside.invalid/", proxy=proxy.uri(scheme))


@every_scheme
async def test_messages_pass_both_ways(scheme: str) -> None:
    async def script(exchange: Exchange) -> None:
        exchange.writer.write(exchange.switching() + b"\x81\x05hello")
        assert (await exchange.reader.readexactly(8))[:2] == b"\x81\x82"
        exchange.writer.write(b"\x88\x02\x03\xe8")

    async with raw_server(script) as server, KINDS[scheme]() as proxy:
        async with connect(server.uri(), proxy=proxy.uri(scheme), compression=None) as connection:
            assert await connection.recv() == "hello"
            await connection.send("hi")
            with pytest.raises(exceptions.ConnectionClosedOK):
                await connection.recv()


@every_scheme
async def test_wss(scheme: str, tls: Any) -> None:
    async with raw_server(accepting, tls=tls.server_context) as server:
        async with KINDS[scheme](route=("127.0.0.1", server.port)) as proxy:
            await through("wss://localhost/", proxy.uri(scheme), ssl=tls.client_context)
    assert server.requests[0]["Host"] == "localhost"


@every_scheme
async def test_wss_checks_the_name_of_the_server(scheme: str, tls: Any) -> None:
    async with raw_server(accepting, tls=tls.other_name_context) as server:
        async with KINDS[scheme](route=("127.0.0.1", server.port)) as proxy:
            with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
                await connect("wss://localhost/", proxy=proxy.uri(scheme), ssl=tls.client_context)


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
async def test_name_and_password(scheme: str) -> None:
    async with raw_server(accepting) as server:
        async with Socks5Proxy(credentials=("a@b", "p:/")) as proxy:
            await through(server.uri(), proxy.uri(scheme, user_info="a%40b:p%3A%2F"))
    assert proxy.asked[0].credentials == ("a@b", "p:/")


@pytest.mark.parametrize("scheme", ["socks4", "socks4a"])
async def test_the_user_id_of_socks4(scheme: str) -> None:
    async with raw_server(accepting) as server, Socks4Proxy(credentials=("ann", "")) as proxy:
        await through(server.uri(), proxy.uri(scheme, user_info="ann:ignored"))
    assert proxy.asked[0].credentials == ("ann", "")


REFUSALS: list[tuple[str, str, Proxy, str]] = [
    ("5-no-credentials", "socks5", Socks5Proxy(credentials=("ann", "x")), ""),
    ("5-wrong-credentials", "socks5", Socks5Proxy(credentials=("ann", "x")), "ann:y"),
    ("5h-wrong-credentials", "socks5h", Socks5Proxy(credentials=("ann", "x")), "ann:y"),
    ("5-not-allowed", "socks5", Socks5Proxy(refusal=2), ""),
    ("5-host-unreachable", "socks5", Socks5Proxy(refusal=4), ""),
    ("5-connection-refused", "socks5", Socks5Proxy(refusal=5), ""),
    ("5-garbage", "socks5", Socks5Proxy(garbage=b"HTTP/1.1 400 What?\r\n\r\n"), ""),
    ("5-hangs-up", "socks5", Socks5Proxy(garbage=b""), ""),
    ("4-wrong-user", "socks4", Socks4Proxy(credentials=("ann", "")), "bob:x"),
    ("4a-wrong-user", "socks4a", Socks4Proxy(credentials=("ann", "")), "bob:x"),
    ("4-hangs-up", "socks4", Socks4Proxy(hang_up=True), ""),
    ("5-for-a-socks4-client", "socks4", Socks5Proxy(garbage=b""), ""),
]


@pytest.mark.parametrize(
    ("scheme", "proxy", "user_info"), [row[1:] for row in REFUSALS], ids=[r[0] for r in REFUSALS]
)
async def test_the_proxy_refuses(scheme: str, proxy: Proxy, user_info: str) -> None:
    async with proxy:
        with pytest.raises(exceptions.ProxyError) as caught:
            await connect("ws://127.0.0.1:1/", proxy=proxy.uri(scheme, user_info=user_info))
    assert str(caught.value) == "failed to connect to SOCKS proxy"
    assert caught.value.__cause__ is not None


@every_scheme
async def test_nobody_listens_on_the_proxys_port(scheme: str, unused_port: int) -> None:
    with pytest.raises(OSError):
        await connect("ws://127.0.0.1:1/", proxy=f"{scheme}://127.0.0.1:{unused_port}")


@every_scheme
async def test_a_silent_server_behind_the_proxy_times_out(scheme: str) -> None:
    async with raw_server(silence) as server, KINDS[scheme]() as proxy:
        with pytest.raises(TimeoutError, match="timed out during opening handshake"):
            await connect(server.uri(), proxy=proxy.uri(scheme), open_timeout=0.1)


@every_scheme
async def test_the_server_refuses_behind_the_proxy(scheme: str) -> None:
    async with raw_server(response("403 No", body=b"no")) as server, KINDS[scheme]() as proxy:
        with pytest.raises(exceptions.InvalidStatus) as caught:
            await connect(server.uri(), proxy=proxy.uri(scheme))
    assert caught.value.response.body == b"no"


async def test_the_proxy_dies_later() -> None:
    async with raw_server(accepting) as server, Socks5Proxy() as proxy:
        connection = await connect(server.uri(), proxy=proxy.uri())
        proxy.break_tunnels()
        with pytest.raises(exceptions.ConnectionClosedError):
            await connection.recv()
        assert connection.close_code == 1006


@every_scheme
async def test_the_local_address_is_that_of_the_way_to_the_proxy(scheme: str) -> None:
    async with raw_server(accepting) as server, KINDS[scheme]() as proxy:
        await through(server.uri(), proxy.uri(scheme), local_addr=("127.0.0.3", 0))
    assert proxy.asked[0].peer is not None
    assert proxy.asked[0].peer[0] == "127.0.0.3"
