"""From a URI to a connection: which steps a client takes, and in which order."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

from ropeway._opening import redirects
from ropeway._opening.connecting import connect_plan
from ropeway._opening.options import ConnectOptions
from ropeway._opening.steps import (
    Discard,
    Handshake,
    OpenSOCKS,
    OpenTCP,
    OpenUnix,
    StartTLS,
    Unread,
)
from ropeway.datastructures import Headers
from ropeway.exceptions import (
    InvalidMessage,
    InvalidProxy,
    InvalidProxyMessage,
    InvalidProxyStatus,
    InvalidStatus,
    SecurityError,
)
from ropeway.http11 import Response
from ropeway.proxy import Proxy
from ropeway.uri import parse_uri

from .script import Fail, Played, play

CONNECTION = object()
CONTEXT = ssl.create_default_context()
TUNNEL = b"HTTP/1.1 200 OK\r\n\r\n"
RACED = {"happy_eyeballs_delay": 0.25}


def connecting(uri: str, *answers: Any, proxy: Any = None, **given: Any) -> Played:
    """Play connect(uri, **given) against ``answers``, then against a willing server."""
    names = ("additional_headers", "user_agent_header")
    named = {name: given.pop(name) for name in names if name in given}
    options = ConnectOptions(uri=uri, proxy=proxy, stream=given, **named)
    return play(connect_plan(options), *(answers or (CONNECTION,)))


def opening(uri: str, *answers: Any, **given: Any) -> Any:
    """Return the step that opens the stream."""
    return connecting(uri, *answers, **given).steps[0]


def test_a_connection_is_opened_then_greeted() -> None:
    played = connecting("ws://127.0.0.1:8080/a?b")
    assert played.result is CONNECTION
    assert played.steps == [
        OpenTCP({"host": "127.0.0.1", "port": 8080}),
        Handshake(parse_uri("ws://127.0.0.1:8080/a?b"), None, played.steps[1].user_agent_header),
    ]


def test_headers_reach_the_handshake() -> None:
    played = connecting("ws://h/", additional_headers={"X": "y"}, user_agent_header=None)
    assert played.steps[1] == Handshake(parse_uri("ws://h/"), {"X": "y"}, None)


NAMED = {"host": "h.example", "port": 80}


@pytest.mark.parametrize(
    ("uri", "given", "arguments"),
    [
        ("ws://h.example/", {}, NAMED | RACED),
        ("ws://h.example/", {"happy_eyeballs_delay": 1}, NAMED | {"happy_eyeballs_delay": 1}),
        ("ws://h.example/", {"happy_eyeballs_delay": None}, NAMED | {"happy_eyeballs_delay": None}),
        ("ws://[::1]/", {}, {"host": "::1", "port": 80}),
        ("ws://h.example/", {"host": "127.0.0.1", "port": 7}, {"host": "127.0.0.1", "port": 7}),
        ("ws://h.example/", {"port": 7}, {"host": "h.example", "port": 7} | RACED),
        ("ws://127.0.0.1/", {"host": "there"}, {"host": "there", "port": 80} | RACED),
        ("ws://h.example/", {"host": None, "sock": None}, NAMED | RACED),
        ("ws://h.example/", {"sock": 1}, {"sock": 1}),
        ("ws://h.example/", {"local_addr": ("::", 0)}, NAMED | RACED | {"local_addr": ("::", 0)}),
        ("ws://h.example/", {"proxy_ssl": True}, NAMED | RACED),
    ],
)
def test_arguments_of_a_plain_stream(
    uri: str, given: dict[str, Any], arguments: dict[str, Any]
) -> None:
    assert opening(uri, **given) == OpenTCP(arguments)


SECURE = {"host": "127.0.0.1", "port": 443, "ssl": True, "server_hostname": "127.0.0.1"}


@pytest.mark.parametrize(
    ("given", "changes"),
    [
        ({}, {}),
        ({"ssl": CONTEXT}, {"ssl": CONTEXT}),
        ({"server_hostname": "h.example"}, {"server_hostname": "h.example"}),
        ({"ssl_handshake_timeout": 3}, {"ssl_handshake_timeout": 3}),
        ({"host": "::1"}, {"host": "::1"}),
    ],
)
def test_arguments_of_a_tls_stream(given: dict[str, Any], changes: dict[str, Any]) -> None:
    assert opening("wss://127.0.0.1/", **given) == OpenTCP(SECURE | changes)


def test_a_unix_socket() -> None:
    assert opening("ws://localhost/", unix=True, path="p") == OpenUnix({"path": "p"})
    secure = {"path": "p", "ssl": True, "server_hostname": "localhost"}
    assert opening("wss://localhost/", unix=True, path="p") == OpenUnix(secure)


@pytest.mark.parametrize("given", [{"unix": True, "path": "p"}, {"sock": 1}])
def test_no_proxy_for_streams_that_the_caller_leads(given: dict[str, Any]) -> None:
    assert isinstance(opening("ws://h/", proxy="http://proxy", **given), OpenTCP | OpenUnix)


def test_the_environment_names_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("ws_proxy", "socks5://proxy:1080")
    assert isinstance(opening("ws://h/", proxy=True), OpenSOCKS)
    assert isinstance(opening("ws://h/", proxy=None), OpenTCP)
    monkeypatch.setenv("no_proxy", "h")
    assert isinstance(opening("ws://h/", proxy=True), OpenTCP)


def test_an_invalid_proxy_is_refused() -> None:
    played = play(connect_plan(ConnectOptions(uri="ws://h/", proxy="ftp://proxy")))
    assert isinstance(played.error, InvalidProxy)
    assert played.steps == []


@pytest.mark.parametrize("scheme", ["socks5h", "socks5", "socks4a", "socks4"])
def test_a_socks_proxy(scheme: str) -> None:
    assert opening("ws://h/", proxy=f"{scheme}://u:p@proxy:1080") == OpenSOCKS(
        Proxy(scheme, "proxy", 1080, "u", "p"), "h", 80
    )


def test_tls_and_local_addr_by_way_of_a_socks_proxy() -> None:
    given: dict[str, Any] = {"local_addr": ("127.0.0.1", 0), "ssl": CONTEXT, "port": 8443}
    step = opening("wss://h/", proxy="socks5://proxy", **given)
    tls = {"ssl": CONTEXT, "server_hostname": "h"}
    assert step == OpenSOCKS(Proxy("socks5", "proxy", 80), "h", 8443, ("127.0.0.1", 0), tls)


def test_an_http_proxy_opens_a_tunnel() -> None:
    played = connecting("ws://h/", TUNNEL, CONNECTION, proxy="http://127.0.0.1:3128")
    assert played.kinds == ["OpenTCP", "Send", "Receive", "Handshake"]
    assert played.steps[0] == OpenTCP({"host": "127.0.0.1", "port": 3128})
    assert played.sent().startswith(b"CONNECT h:80 HTTP/1.1\r\nHost: h\r\nUser-Agent: ")
    assert played.result is CONNECTION


def test_tls_inside_the_tunnel() -> None:
    given = {"ssl": CONTEXT, "ssl_handshake_timeout": 3, "local_addr": ("::", 0)}
    played = connecting("wss://h/", TUNNEL, CONNECTION, proxy="http://127.0.0.1", **given)
    assert played.kinds == ["OpenTCP", "Send", "Receive", "StartTLS", "Handshake"]
    assert played.steps[0] == OpenTCP({"host": "127.0.0.1", "port": 80, "local_addr": ("::", 0)})
    assert played.steps[3] == StartTLS(CONTEXT, "h", {"ssl_handshake_timeout": 3})


def test_tls_inside_the_tunnel_has_a_context_of_its_own() -> None:
    played = connecting("wss://h/", TUNNEL, CONNECTION, proxy="http://127.0.0.1")
    context = played.steps[3].context
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_what_a_server_says_unasked_goes_to_the_handshake() -> None:
    played = connecting("ws://h/", TUNNEL + b"early", CONNECTION, proxy="http://127.0.0.1")
    assert played.kinds == ["OpenTCP", "Send", "Receive", "Unread", "Handshake"]
    assert played.steps[3] == Unread(b"early")


def test_nothing_can_be_said_before_tls() -> None:
    played = connecting("wss://h/", TUNNEL + b"early", proxy="http://127.0.0.1")
    assert isinstance(played.error, InvalidProxyMessage)
    assert str(played.error.__cause__) == "5 bytes came before the TLS handshake"
    assert played.kinds == ["OpenTCP", "Send", "Receive"]


def test_an_https_proxy_is_reached_over_tls() -> None:
    given = {"proxy_ssl": CONTEXT, "proxy_server_hostname": "p"}
    played = connecting("ws://h/", TUNNEL, CONNECTION, proxy="https://proxy", **given)
    arguments = {"host": "proxy", "port": 443, "ssl": CONTEXT, "server_hostname": "p"}
    assert played.steps[0] == OpenTCP(arguments | RACED)
    by_default = connecting("ws://h/", TUNNEL, CONNECTION, proxy="https://proxy").steps[0]
    assert by_default == OpenTCP({"host": "proxy", "port": 443, "ssl": True} | RACED)


def test_host_and_port_lead_the_tunnel() -> None:
    given = {"host": "there", "port": 7}
    played = connecting("ws://h/", TUNNEL, CONNECTION, proxy="http://127.0.0.1:3128", **given)
    assert played.steps[0] == OpenTCP({"host": "127.0.0.1", "port": 3128})
    assert played.sent().startswith(b"CONNECT there:7 HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("proxy", "proxy_ssl", "text"),
    [
        ("http://proxy", CONTEXT, "proxy_ssl argument is incompatible with an http:// proxy"),
        ("https://proxy", None, "proxy_ssl=None is incompatible with an https:// proxy"),
    ],
)
def test_tls_options_that_do_not_suit_the_proxy(proxy: str, proxy_ssl: Any, text: str) -> None:
    options = ConnectOptions(uri="ws://h/", proxy=proxy, stream={"proxy_ssl": proxy_ssl})
    played = play(connect_plan(options))
    assert (type(played.error), str(played.error)) == (ValueError, text)
    assert played.steps == []


def test_a_proxy_that_refuses() -> None:
    answer = b"HTTP/1.1 407 Who?\r\nContent-Length: 0\r\n\r\n"
    played = connecting("ws://h/", answer, proxy="http://proxy")
    assert isinstance(played.error, InvalidProxyStatus)
    assert played.kinds == ["OpenTCP", "Send", "Receive"]


def test_failures_pass() -> None:
    refused = ConnectionRefusedError()
    assert connecting("ws://h/", Fail("OpenTCP", refused)).error is refused
    invalid = InvalidMessage("no")
    played = connecting("ws://h/", invalid)
    assert played.error is invalid
    assert played.kinds == ["OpenTCP", "Handshake", "Discard"]


def test_cancellation_passes_untouched() -> None:
    class Cancelled(BaseException):
        pass

    cancelled = Cancelled()
    played = connecting("ws://h/", cancelled)
    assert played.error is cancelled
    assert played.kinds == ["OpenTCP", "Handshake"]


def redirect(location: str) -> InvalidStatus:
    return InvalidStatus(Response(302, "Found", Headers(Location=location)))


def test_a_redirect_is_followed_on_a_new_stream() -> None:
    answers = redirect("ws://127.0.0.2:81/b"), CONNECTION
    headers = {"Cookie": "a=b", "X": "y"}
    played = connecting(
        "ws://127.0.0.1/", *answers, additional_headers=headers, user_agent_header="U"
    )
    assert played.steps == [
        OpenTCP({"host": "127.0.0.1", "port": 80}),
        Handshake(parse_uri("ws://127.0.0.1/"), headers, "U"),
        Discard(),
        OpenTCP({"host": "127.0.0.2", "port": 81}),
        Handshake(parse_uri("ws://127.0.0.2:81/b"), Headers(X="y"), "U"),
    ]
    assert played.result is CONNECTION


def test_a_redirect_that_must_not_be_followed() -> None:
    exc = redirect("ws://127.0.0.1/")
    played = connecting("wss://127.0.0.1/", exc)
    assert isinstance(played.error, SecurityError)
    assert played.error.__cause__ is exc
    assert played.kinds == ["OpenTCP", "Handshake", "Discard"]


def test_redirects_come_to_an_end() -> None:
    played = connecting("ws://127.0.0.1/", *[redirect("/again")] * redirects.MAX_REDIRECTS)
    assert (type(played.error), str(played.error)) == (SecurityError, "more than 10 redirects")
    assert played.kinds.count("OpenTCP") == played.kinds.count("Discard") == 10


def test_the_caller_may_decide_about_redirects() -> None:
    seen = []

    def stay(options: ConnectOptions, exc: Exception) -> Exception | str:
        seen.append((options.uri, exc))
        return exc

    exc = redirect("/b")
    options = ConnectOptions(uri="ws://127.0.0.1/", proxy=None)
    played = play(connect_plan(options, stay), exc)
    assert played.error is exc
    assert seen == [("ws://127.0.0.1/", exc)]
