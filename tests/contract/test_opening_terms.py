"""What both ends agree on: origins, hosts, subprotocols, extensions and the server's name."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import Any

import pytest

from ..support.fronts import Front
from ..support.http import request
from ..support.names import SERVER, SERVER_LOG, deflate, exceptions
from ..support.subject import only_ropeway
from .openings import FAILED, failure, head_of, idle, opened, refused, uri_to, visit

A, B = "https://a.example", "https://b.example"
ANY_A = re.compile(r"https://([a-z]+\.)?a\.example")

# Each rule with the origins that it lets in, and those that it does not; None is a request
# without one.
ORIGINS: dict[str, tuple[Sequence[Any] | None, list[str | None], list[str | None]]] = {
    "no-rule": (None, [A, None], []),
    "one": (
        [A],
        [A],
        [
            *(B, None, "", "null", A.upper(), "http://a.example", f"{A}:443", f"{A}/", f"{A}."),
            *(f"{A}.evil.example", "https://x.a.example", "https://evil-a.example"),
            *("https://a.example@evil.example", f"{A} {B}", f"{A}, {A}"),
            "https://xn--80a.example",  # looks alike
        ],
    ),
    "two": ([B, A], [A, B], [None, f"{B}, {A}"]),
    "one-or-none": ([A, None], [A, None], [B, "null", ""]),
    "only-none": ([None], [None], [A]),
    "nobody": ([], [], [A, None]),
    "pattern": (
        [ANY_A],
        [A, "https://x.a.example"],
        ["https://a.example.evil.example", "xhttps://a.example"],
    ),
    "any-pattern": ([re.compile(".*")], [A, "null"], [None]),
    "null": (["null"], ["null"], ["NULL", None]),
    "punycode": (["https://xn--bcher-kva.example"], ["https://xn--bcher-kva.example"], [A]),
}


@pytest.mark.parametrize("rule", ORIGINS)
async def test_origins(front: Front, rule: str) -> None:
    origins, right, wrong = ORIGINS[rule]
    async with front.serving(idle, origins=origins) as port:
        for status, values in [(101, right), (403, wrong)]:
            for origin in values:
                headers = {} if origin is None else {"origin": origin}
                assert (await head_of(front, port, request(**headers))).status == status, origin


@pytest.mark.parametrize(
    ("headers", "text"),
    [({"origin": B}, f"invalid Origin header: {B}"), ({}, "missing Origin header")],
    ids=["other", "none"],
)
async def test_a_refused_origin_is_told(front: Front, headers: dict[str, str], text: str) -> None:
    reply = await refused(front, request(**headers), origins=[A])
    assert reply.start == "HTTP/1.1 403 Forbidden"
    assert reply.body.decode() == f"{FAILED}: {text}.\n"


async def test_the_origin_is_kept(front: Front) -> None:
    async def tell(ws: Any) -> None:
        await ws.send(ws.protocol.origin)

    async with front.serving(tell, origins=[A]) as port:
        async with front.connecting(port, origin=A) as ws:
            assert await ws.recv() == A


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
async def test_same_origin(front: Front) -> None:
    """A client without an Origin header is no browser, and cannot be led astray by a page."""
    async with front.serving(idle, origins="same-origin") as port:
        for name, host, origin, allowed in SAME:
            headers = {"host": host} if origin is None else {"host": host, "origin": origin}
            status = (await head_of(front, port, request(**headers))).status
            assert status == (101 if allowed else 403), name


HOSTS: dict[str, tuple[list[str], list[str], list[str]]] = {
    "one": (
        ["a.example"],
        ["a.example", "A.EXAMPLE", "a.example:8765"],
        [
            *("", "b.example", "x.a.example", "evil-a.example", "a.example.evil.example"),
            *("a.example.", "a.example@evil.example", "a.example, evil.example"),
        ],
    ),
    "two": (["b.example", "x.a.example"], ["b.example", "x.a.example"], ["a.example"]),
    "punycode": (["xn--bcher-kva.example"], ["xn--bcher-kva.example"], ["a.example"]),
    "address": (["127.0.0.1"], ["127.0.0.1:80"], ["2130706433"]),
}


@only_ropeway
@pytest.mark.parametrize("rule", HOSTS)
async def test_hosts(front: Front, rule: str) -> None:
    hosts, right, wrong = HOSTS[rule]
    async with front.serving(idle, hosts=hosts) as port:
        for status, values in [(101, right), (421, wrong)]:
            for host in values:
                assert (await head_of(front, port, request(host=host))).status == status, host
        missing = request(without=["host"])
        assert (await head_of(front, port, missing)).status == 400
        two = request(f"Host: {hosts[0]}", host=hosts[0])
        assert (await head_of(front, port, two)).status == 400


@only_ropeway
@pytest.mark.parametrize("name", ["Host", "Origin"])
async def test_two_are_too_many(front: Front, name: str) -> None:
    """Whoever stands in front may have looked at the other one."""
    data = request(f"{name}: a.example", f"{name}: a.example", without=["host"] * (name == "Host"))
    assert (await refused(front, data, origins=["a.example"], hosts=None)).status == 400


@only_ropeway
async def test_a_client_finds_a_listed_host(front: Front) -> None:
    async with front.serving(idle, hosts=["127.0.0.1"]) as port:
        await visit(front, uri_to(port))
        refusal = await failure(front, f"ws://a.example:{port}/", to=("127.0.0.1", port))
    assert refusal.response.status_code == 421


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
    front: Front, ours: list[str] | None, theirs: list[str] | None, chosen: str | None
) -> None:
    async def tell(ws: Any) -> None:
        await ws.send(repr(ws.subprotocol))

    async with front.serving(tell, subprotocols=ours) as port:
        async with front.connecting(port, subprotocols=theirs) as ws:
            assert ws.subprotocol == chosen
            assert await ws.recv() == repr(chosen)


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        ({}, "missing subprotocol"),
        ({"sec_websocket_protocol": "c"}, "invalid subprotocol; expected one of a, b"),
    ],
    ids=["none", "another"],
)
async def test_no_common_subprotocol(front: Front, headers: dict[str, str], text: str) -> None:
    reply = await refused(front, request(**headers), subprotocols=["a", "b"])
    assert reply.status == 400
    assert reply.body.decode() == f"{FAILED}: {text}.\n"


async def test_offers_on_several_lines_are_one_list(front: Front) -> None:
    data = request("Sec-WebSocket-Protocol: a", "Sec-WebSocket-Protocol: b, c")
    reply = await opened(front, data, subprotocols=["c"])
    assert reply["Sec-WebSocket-Protocol"] == "c"


async def test_select_subprotocol_decides(front: Front) -> None:
    asked: list[Any] = []

    def select(connection: Any, offers: Sequence[str]) -> str | None:
        asked.append((connection.request.path, list(offers)))
        return "b" if "b" in offers else None

    async with front.serving(idle, subprotocols=["a", "b"], select_subprotocol=select) as port:
        one = await visit(front, uri_to(port, "/x"), subprotocols=["a", "b"])
        two = await visit(front, uri_to(port, "/y"))
    assert (one.subprotocol, two.subprotocol) == ("b", None)
    assert asked == [("/x", ["a", "b"]), ("/y", [])]


async def test_select_subprotocol_refuses(front: Front) -> None:
    def select(connection: Any, offers: Sequence[str]) -> str | None:
        raise exceptions.NegotiationError("not today")

    reply = await refused(front, request(), subprotocols=["a"], select_subprotocol=select)
    assert reply.status == 400
    assert reply.body.decode() == f"{FAILED}: not today.\n"


async def test_select_subprotocol_fails(front: Front, caplog: pytest.LogCaptureFixture) -> None:
    def select(connection: Any, offers: Sequence[str]) -> str | None:
        raise KeyError("in select_subprotocol")

    caplog.set_level(logging.ERROR, logger=SERVER_LOG)
    reply = await refused(front, request(), subprotocols=["a"], select_subprotocol=select)
    assert reply.status == 500
    assert [r.getMessage() for r in caplog.records] == ["opening handshake failed"]


async def test_subprotocols_must_be_a_list(front: Front) -> None:
    with pytest.raises(TypeError, match="subprotocols must be a list, not a str"):
        async with front.serving(idle, subprotocols="a"):
            pass
    with pytest.raises(TypeError, match="subprotocols must be a list, not a str"):
        async with front.connecting(1, subprotocols="a"):
            pass


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
async def test_extensions(
    front: Front, options: dict[str, Any], offer: str | None, answer: str | None
) -> None:
    headers = {} if offer is None else {"sec_websocket_extensions": offer}
    reply = await opened(front, request(**headers), **options)
    assert reply.status == 101
    assert reply.all("Sec-WebSocket-Extensions") == ([] if answer is None else [answer])


async def test_an_unknown_compression_is_refused(front: Front) -> None:
    with pytest.raises(ValueError, match=r"^unsupported compression: zstd$"):
        async with front.serving(idle, compression="zstd"):
            pass
    with pytest.raises(ValueError, match=r"^unsupported compression: zstd$"):
        async with front.connecting(1, compression="zstd"):
            pass


async def test_both_ends_agree_on_everything(front: Front) -> None:
    terms: dict[str, Any] = {"subprotocols": ["a"], "compression": "deflate"}
    async with front.serving(idle, origins=[A], **terms) as port:
        ws = await visit(front, uri_to(port), origin=A, **terms)
    assert ws.subprotocol == "a"
    assert [extension.name for extension in ws.protocol.extensions] == ["permessage-deflate"]


# The server's name


@pytest.mark.parametrize(
    ("options", "expected"),
    [({}, [SERVER]), ({"server_header": "tests/1"}, ["tests/1"]), ({"server_header": None}, [])],
    ids=["default", "own", "none"],
)
async def test_the_server_header(
    front: Front, options: dict[str, Any], expected: list[str]
) -> None:
    assert (await opened(front, request(), **options)).all("Server") == expected
    reply = await refused(front, request(line="POST / HTTP/1.1"), **options)
    assert reply.all("Server") == expected
