"""Origins, hosts, subprotocols and extensions, as the server decides about them."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import Any

import pytest

from ..support.http import request
from ..support.names import SERVER_LOG, deflate, exceptions
from ..support.subject import connect, only_ropeway, serve
from .peers import ask, raw_client
from .serving import port_of, serving, visiting

Origins = Sequence[Any]


async def status_of(data: bytes, **options: Any) -> int:
    async with serving(**options) as server, raw_client(port_of(server)) as client:
        await client.send(data)
        return (await client.head()).status


A, B = "https://a.example", "https://b.example"
ANY_A = re.compile(r"https://([a-z]+\.)?a\.example")

ORIGINS: list[tuple[str, Origins | None, str | None, bool]] = [
    ("no-rule", None, A, True),
    ("no-rule-no-origin", None, None, True),
    ("same", [A], A, True),
    ("second", [B, A], A, True),
    ("other", [B], A, False),
    ("missing", [A], None, False),
    ("none-allowed", [A, None], None, True),
    ("none-allowed-other", [A, None], B, False),
    ("only-none", [None], None, True),
    ("only-none-some", [None], A, False),
    ("empty-rule", [], A, False),
    ("empty-rule-no-origin", [], None, False),
    ("pattern", [ANY_A], "https://x.a.example", True),
    ("pattern-is-anchored-right", [ANY_A], "https://a.example.evil.example", False),
    ("pattern-is-anchored-left", [ANY_A], "xhttps://a.example", False),
    ("pattern-missing", [re.compile(".*")], None, False),
    ("case-counts", [A], A.upper(), False),
    ("port-counts", [A], f"{A}:443", False),
    ("prefix", [A], f"{A}.evil.example", False),
    ("null", [A, None], "null", False),
    ("empty", [A], "", False),
    ("null-listed", ["null"], "null", True),
    ("null-in-capitals", ["null"], "NULL", False),
    ("scheme-counts", [A], "http://a.example", False),
    ("subdomain", [A], "https://x.a.example", False),
    ("suffix", [A], "https://evil-a.example", False),
    ("trailing-slash", [A], f"{A}/", False),
    ("trailing-dot", [A], f"{A}.", False),
    ("user-info", [A], "https://a.example@evil.example", False),
    ("list", [A], f"{A} {B}", False),
    ("list-with-comma", [A], f"{A}, {A}", False),
    ("punycode", ["https://xn--bcher-kva.example"], "https://xn--bcher-kva.example", True),
    ("homograph", [A], "https://xn--80a.example", False),
]


@pytest.mark.parametrize(
    ("origins", "origin", "allowed"), [row[1:] for row in ORIGINS], ids=[row[0] for row in ORIGINS]
)
async def test_origins(origins: Origins | None, origin: str | None, allowed: bool) -> None:
    headers = {} if origin is None else {"origin": origin}
    status = await status_of(request(**headers), origins=origins)
    assert status == (101 if allowed else 403)


ORIGIN_TEXTS = [(B, f"invalid Origin header: {B}"), (None, "missing Origin header")]


@pytest.mark.parametrize(("origin", "text"), ORIGIN_TEXTS)
async def test_a_refused_origin_is_told(origin: str | None, text: str) -> None:
    headers = {} if origin is None else {"origin": origin}
    async with serving(origins=[A]) as server:
        reply = await ask(port_of(server), request(**headers))
    assert reply.start == "HTTP/1.1 403 Forbidden"
    assert reply.body.decode() == f"Failed to open a WebSocket connection: {text}.\n"


async def test_the_origin_is_kept() -> None:
    seen: list[Any] = []

    async def handler(connection: Any) -> None:
        seen.append(connection.protocol.origin)

    async with serving(handler, origins=[A]) as server:
        async with visiting(server, origin=A) as connection:
            await connection.wait_closed()
    assert seen == [A]


SAME: list[tuple[str, str, str | None, bool]] = [
    ("same", "a.example", "http://a.example", True),
    ("same-with-port", "a.example:81", "http://a.example:81", True),
    ("default-port-told-once", "a.example:80", "http://a.example", True),
    ("case", "A.example", "http://a.EXAMPLE", True),
    ("ipv6", "[::1]:81", "http://[::1]:81", True),
    ("other-host", "a.example", "http://b.example", False),
    ("other-port", "a.example:81", "http://a.example:82", False),
    ("subdomain", "a.example", "http://x.a.example", False),
    ("prefix", "a.example", "http://a.example.evil.example", False),
    ("null", "a.example", "null", False),
    ("garbage", "a.example", "a.example", False),
    ("no-browser", "a.example", None, True),
    ("suffix", "a.example", "http://evil-a.example", False),
    ("parent", "x.a.example", "http://a.example", False),
    ("default-port-of-tls", "a.example:443", "https://a.example", True),
    ("user-info", "a.example", "http://a.example@evil.example", False),
    ("path", "a.example", "http://a.example/", False),
    ("list", "a.example", "http://a.example http://b.example", False),
    ("punycode", "xn--bcher-kva.example", "http://xn--bcher-kva.example", True),
    ("empty", "a.example", "", False),
]


@only_ropeway
@pytest.mark.parametrize(
    ("host", "origin", "allowed"), [row[1:] for row in SAME], ids=[row[0] for row in SAME]
)
async def test_same_origin(host: str, origin: str | None, allowed: bool) -> None:
    """A client without an Origin header is no browser, and cannot be led astray by a page."""
    headers = {"host": host} if origin is None else {"host": host, "origin": origin}
    status = await status_of(request(**headers), origins="same-origin")
    assert status == (101 if allowed else 403)


HOSTS: list[tuple[str, list[str], str | None, int]] = [
    ("listed", ["a.example"], "a.example", 101),
    ("listed-second", ["b.example", "a.example"], "a.example", 101),
    ("case", ["a.example"], "A.EXAMPLE", 101),
    ("any-port", ["a.example"], "a.example:8765", 101),
    ("other", ["a.example"], "b.example", 421),
    ("subdomain", ["a.example"], "x.a.example", 421),
    ("prefix", ["a.example"], "a.example.evil.example", 421),
    ("missing", ["a.example"], None, 400),
    ("empty", ["a.example"], "", 421),
    ("suffix", ["a.example"], "evil-a.example", 421),
    ("parent", ["x.a.example"], "a.example", 421),
    ("trailing-dot", ["a.example"], "a.example.", 421),
    ("user-info", ["a.example"], "a.example@evil.example", 421),
    ("list", ["a.example"], "a.example, evil.example", 421),
    ("punycode", ["xn--bcher-kva.example"], "xn--bcher-kva.example", 101),
    ("address", ["127.0.0.1"], "127.0.0.1:80", 101),
    ("address-in-decimal", ["127.0.0.1"], "2130706433", 421),
]


@only_ropeway
@pytest.mark.parametrize(
    ("hosts", "host", "status"), [row[1:] for row in HOSTS], ids=[row[0] for row in HOSTS]
)
async def test_hosts(hosts: list[str], host: str | None, status: int) -> None:
    data = request(without=["host"]) if host is None else request(host=host)
    assert await status_of(data, hosts=hosts) == status


@only_ropeway
@only_ropeway
@pytest.mark.parametrize("name", ["Host", "Origin"])
async def test_two_are_too_many(name: str) -> None:
    """Whoever stands in front may have looked at the other one."""
    data = request(f"{name}: a.example", f"{name}: a.example", without=["host"] * (name == "Host"))
    assert await status_of(data, origins=["a.example"], hosts=None) == 400


@only_ropeway
async def test_two_hosts_are_too_many_where_hosts_are_listed() -> None:
    data = request("Host: a.example", host="a.example")
    assert await status_of(data, hosts=["a.example"]) == 400


async def test_a_client_finds_a_listed_host() -> None:
    async with serving(hosts=["127.0.0.1"]) as server, visiting(server):
        pass
    async with serving(hosts=["a.example"]) as server:
        with pytest.raises(exceptions.InvalidStatus) as caught:
            await visiting(server)
    assert caught.value.response.status_code == 421


# Subprotocols

CHOICES: list[tuple[str, list[str] | None, list[str] | None, str | None]] = [
    ("none", None, None, None),
    ("client-only", None, ["a"], None),
    ("server-has-an-empty-list", [], ["a"], None),
    ("same", ["a"], ["a"], "a"),
    ("server-prefers", ["b", "a"], ["a", "b", "c"], "b"),
    ("only-common", ["x", "c"], ["a", "b", "c"], "c"),
]


@pytest.mark.parametrize(
    ("ours", "theirs", "chosen"), [row[1:] for row in CHOICES], ids=[row[0] for row in CHOICES]
)
async def test_the_subprotocol(
    ours: list[str] | None, theirs: list[str] | None, chosen: str | None
) -> None:
    seen: list[Any] = []

    async def handler(connection: Any) -> None:
        seen.append(connection.subprotocol)

    async with serving(handler, subprotocols=ours) as server:
        async with visiting(server, subprotocols=theirs) as connection:
            assert connection.subprotocol == chosen
            await connection.wait_closed()
    assert seen == [chosen]


REFUSED = [
    (["a", "b"], None, "missing subprotocol"),
    (["a", "b"], "c", "invalid subprotocol; expected one of a, b"),
]


@pytest.mark.parametrize(("ours", "theirs", "text"), REFUSED)
async def test_no_common_subprotocol(ours: list[str], theirs: str | None, text: str) -> None:
    headers = {} if theirs is None else {"sec_websocket_protocol": theirs}
    async with serving(subprotocols=ours) as server:
        reply = await ask(port_of(server), request(**headers))
    assert reply.status == 400
    assert reply.body.decode() == f"Failed to open a WebSocket connection: {text}.\n"


async def test_offers_on_several_lines_are_one_list() -> None:
    data = request("Sec-WebSocket-Protocol: a", "Sec-WebSocket-Protocol: b, c")
    async with serving(subprotocols=["c"]) as server, raw_client(port_of(server)) as client:
        await client.send(data)
        assert (await client.head())["Sec-WebSocket-Protocol"] == "c"


async def test_select_subprotocol_decides() -> None:
    asked: list[Any] = []

    def select(connection: Any, offers: Sequence[str]) -> str | None:
        asked.append((connection.request.path, list(offers)))
        return "b" if "b" in offers else None

    async with serving(subprotocols=["a", "b"], select_subprotocol=select) as server:
        async with visiting(server, "/x", subprotocols=["a", "b"]) as connection:
            assert connection.subprotocol == "b"
        async with visiting(server, "/y") as connection:
            assert connection.subprotocol is None
    assert asked == [("/x", ["a", "b"]), ("/y", [])]


async def test_select_subprotocol_refuses() -> None:
    def select(connection: Any, offers: Sequence[str]) -> str | None:
        raise exceptions.NegotiationError("not today")

    async with serving(subprotocols=["a"], select_subprotocol=select) as server:
        reply = await ask(port_of(server), request())
    assert reply.status == 400
    assert reply.body.decode() == "Failed to open a WebSocket connection: not today.\n"


async def test_select_subprotocol_fails(caplog: pytest.LogCaptureFixture) -> None:
    def select(connection: Any, offers: Sequence[str]) -> str | None:
        raise KeyError("in select_subprotocol")

    caplog.set_level(logging.ERROR, logger=SERVER_LOG)
    async with serving(subprotocols=["a"], select_subprotocol=select) as server:
        reply = await ask(port_of(server), request())
    assert reply.status == 500
    assert [r.getMessage() for r in caplog.records] == ["opening handshake failed"]


async def test_subprotocols_must_be_a_list() -> None:
    async def handler(connection: Any) -> None:
        pass

    with pytest.raises(TypeError, match="subprotocols must be a list, not a str"):
        serve(handler, "127.0.0.1", 0, subprotocols="a")


# Extensions

OFFERS: list[tuple[str, dict[str, Any], str | None, str | None]] = [
    ("none", {}, None, None),
    (
        "default",
        {},
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
    ),
    ("no-bits", {}, "permessage-deflate", "permessage-deflate; server_max_window_bits=12"),
    (
        "no-takeover",
        {},
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        (
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
            "server_max_window_bits=12"
        ),
    ),
    ("off", {"compression": None}, "permessage-deflate", None),
    ("unknown", {}, "x-other; a=b", None),
    (
        "unknown-first",
        {},
        "x-other, permessage-deflate",
        "permessage-deflate; server_max_window_bits=12",
    ),
    ("bad-parameter", {}, "permessage-deflate; server_max_window_bits=7", None),
    (
        "second-alternative",
        {},
        "permessage-deflate; server_max_window_bits=7, permessage-deflate",
        "permessage-deflate; server_max_window_bits=12",
    ),
    (
        "first-alternative",
        {},
        "permessage-deflate; server_max_window_bits=10, permessage-deflate",
        "permessage-deflate; server_max_window_bits=10",
    ),
    (
        "own-factory",
        {"extensions": [deflate.ServerPerMessageDeflateFactory(server_max_window_bits=9)]},
        "permessage-deflate",
        "permessage-deflate; server_max_window_bits=9",
    ),
    (
        "own-factory-without-compression",
        {
            "extensions": [deflate.ServerPerMessageDeflateFactory(server_no_context_takeover=True)],
            "compression": None,
        },
        "permessage-deflate",
        "permessage-deflate; server_no_context_takeover",
    ),
]


@pytest.mark.parametrize(
    ("options", "offer", "answer"), [row[1:] for row in OFFERS], ids=[row[0] for row in OFFERS]
)
async def test_extensions(options: dict[str, Any], offer: str | None, answer: str | None) -> None:
    headers = {} if offer is None else {"sec_websocket_extensions": offer}
    async with serving(**options) as server, raw_client(port_of(server)) as client:
        await client.send(request(**headers))
        reply = await client.head()
    assert reply.status == 101
    assert reply.all("Sec-WebSocket-Extensions") == ([] if answer is None else [answer])


async def test_an_unknown_compression_is_refused() -> None:
    async def handler(connection: Any) -> None:
        pass

    with pytest.raises(ValueError) as caught:
        serve(handler, "127.0.0.1", 0, compression="zstd")
    assert str(caught.value) == "unsupported compression: zstd"


async def test_both_ends_agree_on_everything() -> None:
    async with serving(
        subprotocols=["a"], origins=[A], select_subprotocol=None, compression="deflate"
    ) as server:
        async with connect(
            f"ws://127.0.0.1:{port_of(server)}/", origin=A, subprotocols=["a"]
        ) as connection:
            assert connection.subprotocol == "a"
            assert [extension.name for extension in connection.protocol.extensions] == [
                "permessage-deflate"
            ]
