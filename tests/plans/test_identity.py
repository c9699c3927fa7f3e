"""What a client says about who it is, over all the requests of one connection."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ropeway._opening.connecting import connect_plan
from ropeway._opening.options import ConnectOptions
from ropeway._opening.steps import Handshake
from ropeway.datastructures import Headers
from ropeway.exceptions import InvalidMessage, InvalidProxyStatus, InvalidStatus
from ropeway.http11 import Response
from ropeway.uri import WebSocketURI, parse_uri

from .script import Played, play

CONNECTION = object()
DIGEST = 'Digest realm="r", nonce="n", qop="auth"'
STALE = f"{DIGEST}, stale=true"
BASIC = 'Basic realm="r"'
URI = "ws://ann:secret@h/p?q"
BASIC_OF_ANN = "Basic YW5uOnNlY3JldA=="


def refusal(*challenges: str, status: int = 401, location: str | None = None) -> InvalidStatus:
    headers = Headers([("WWW-Authenticate", challenge) for challenge in challenges])
    if location is not None:
        headers["Location"] = location
    return InvalidStatus(Response(status, "No", headers))


def connecting(uri: str, *answers: Any, **options: Any) -> Played:
    options = {"proxy": None, **options}
    return play(connect_plan(ConnectOptions(uri=uri, **options)), *answers)


def said(played: Played) -> list[str | None]:
    """What each request says: the header, or Basic where the driver makes it of the URI."""
    return [_said(step.uri, step.additional_headers) for step in handshakes(played)]


def handshakes(played: Played) -> list[Handshake]:
    return [step for step in played.steps if isinstance(step, Handshake)]


def _said(uri: WebSocketURI, headers: Any) -> str | None:
    values = Headers(headers or ()).get_all("Authorization")
    assert len(values) <= 1
    if values:
        return values[0].partition(" ")[0]
    return None if uri.user_info is None else "URI"


def test_a_challenge_is_answered_on_a_new_stream() -> None:
    played = connecting(URI, refusal(DIGEST), CONNECTION)
    assert played.result is CONNECTION
    assert said(played) == ["URI", "Digest"]
    assert played.kinds == ["OpenTCP", "Handshake", "Discard", "OpenTCP", "Handshake"]
    first, second = handshakes(played)
    assert first.uri == parse_uri(URI)
    assert second.uri == replace(parse_uri(URI), username=None, password=None)
    assert 'uri="/p?q"' in Headers(second.additional_headers or ())["Authorization"]


def test_the_callers_headers_are_sent_again() -> None:
    given = [("X-A", "1"), ("X-A", "2")]
    played = connecting(URI, refusal(DIGEST), CONNECTION, additional_headers=iter(given))
    for step in handshakes(played):
        assert Headers(step.additional_headers or ()).get_all("X-A") == ["1", "2"]


@pytest.mark.parametrize(
    ("challenges", "expected"),
    [
        ([refusal()], ["URI"]),
        ([refusal(BASIC)], ["URI"]),
        ([refusal("Negotiate")], ["URI"]),
        ([refusal(DIGEST), refusal(DIGEST)], ["URI", "Digest"]),
        ([refusal(DIGEST), refusal(STALE), refusal(STALE)], ["URI", "Digest", "Digest"]),
        ([refusal(DIGEST, status=403)], ["URI"]),
        ([refusal(DIGEST, status=407)], ["URI"]),
        ([InvalidMessage("no HTTP")], ["URI"]),
    ],
)
def test_the_last_refusal_is_raised(challenges: list[Exception], expected: list[str]) -> None:
    played = connecting(URI, *challenges)
    assert played.error is challenges[-1]
    assert said(played) == expected


def test_a_nonce_that_became_stale() -> None:
    played = connecting(URI, refusal(DIGEST), refusal(STALE), CONNECTION)
    assert played.result is CONNECTION
    answers = [Headers(step.additional_headers or ()) for step in handshakes(played)[1:]]
    assert answers[0]["Authorization"] != answers[1]["Authorization"]


@pytest.mark.parametrize(
    ("uri", "options"),
    [
        ("ws://h/", {}),
        (URI, {"additional_headers": {"authorization": "Bearer x"}}),
        (URI, {"stream": {"sock": object()}}),
    ],
)
def test_who_has_nothing_to_say(uri: str, options: Any) -> None:
    exc = refusal(DIGEST)
    played = connecting(uri, exc, **options)
    assert played.error is exc
    assert len(handshakes(played)) == 1


# Not before somebody asks


def test_credentials_can_wait_until_they_are_asked_for() -> None:
    played = connecting(URI, refusal(DIGEST), CONNECTION, preemptive_basic=False)
    assert said(played) == [None, "Digest"]
    assert said(connecting(URI, CONNECTION, preemptive_basic=False)) == [None]


def test_then_basic_is_for_tls_only() -> None:
    exc = refusal(BASIC)
    played = connecting(URI, exc, preemptive_basic=False)
    assert (played.error, said(played)) == (exc, [None])
    played = connecting(URI.replace("ws:", "wss:"), exc, CONNECTION, preemptive_basic=False)
    assert said(played) == [None, "Basic"]
    assert Headers(handshakes(played)[1].additional_headers or ())["Authorization"] == BASIC_OF_ANN


# Redirects


def test_a_redirect_to_the_same_server_starts_anew() -> None:
    there = refusal(status=302, location="/there")
    played = connecting(URI, refusal(DIGEST), there, refusal(DIGEST), CONNECTION)
    assert played.result is CONNECTION
    assert said(played) == ["URI", "Digest", "URI", "Digest"]
    last = Headers(handshakes(played)[-1].additional_headers or ())["Authorization"]
    assert 'uri="/there"' in last


def test_a_redirect_to_another_server_takes_nothing_along() -> None:
    elsewhere = refusal(status=302, location="ws://elsewhere/")
    exc = refusal(DIGEST)
    played = connecting(URI, refusal(DIGEST), elsewhere, exc)
    assert played.error is exc
    assert said(played) == ["URI", "Digest", None]


def test_challenges_do_not_count_as_redirects() -> None:
    hops: list[Any] = []
    for number in range(9):
        hops += [refusal(DIGEST), refusal(status=302, location=f"/{number}")]
    played = connecting(URI, *hops, refusal(DIGEST), CONNECTION)
    assert played.result is CONNECTION


# Proxies

ASKS = b'HTTP/1.1 407 Who?\r\nProxy-Authenticate: Digest realm="r", nonce="n", qop="auth"\r\n\r\n'
AGAIN = ASKS.replace(b'qop="auth"', b'qop="auth", stale=true')
TUNNEL = b"HTTP/1.1 200 OK\r\n\r\n"


def test_a_proxys_challenge_is_answered() -> None:
    played = connecting("ws://h/", ASKS, TUNNEL, CONNECTION, proxy="http://ann:secret@proxy:3128")
    assert played.result is CONNECTION
    first, second = (step.data for step in played.steps if type(step).__name__ == "Send")
    assert f"Proxy-Authorization: {BASIC_OF_ANN}\r\n".encode() in first
    assert b'Proxy-Authorization: Digest username="ann"' in second
    assert b'uri="h:80"' in second
    assert played.kinds.count("OpenTCP") == 2


def test_a_proxy_that_does_not_believe_it() -> None:
    played = connecting("ws://h/", ASKS, AGAIN, ASKS, proxy="http://ann:secret@proxy:3128")
    assert isinstance(played.error, InvalidProxyStatus)
    assert played.kinds.count("OpenTCP") == 3


def test_a_proxy_may_be_made_to_ask() -> None:
    options = {"proxy": "http://ann:secret@proxy:3128", "preemptive_basic": False}
    played = connecting("ws://h/", ASKS, TUNNEL, CONNECTION, **options)
    assert b"Proxy-Authorization: Basic" not in played.sent()
    assert b"Proxy-Authorization: Digest" in played.sent()


@pytest.mark.parametrize("proxy", ["http://proxy:3128", "http://ann:secret@proxy:3128"])
def test_a_proxy_that_refuses_otherwise(proxy: str) -> None:
    played = connecting("ws://h/", b"HTTP/1.1 403 No\r\n\r\n", proxy=proxy)
    assert isinstance(played.error, InvalidProxyStatus)
    assert played.kinds == ["OpenTCP", "Send", "Receive"]


def test_a_proxys_challenge_is_not_the_servers() -> None:
    """Each gets the credentials of its own."""
    exc = refusal(DIGEST)
    played = connecting("ws://h/", ASKS, TUNNEL, exc, proxy="http://ann:secret@proxy:3128")
    assert played.error is exc
    assert said(played) == [None]
