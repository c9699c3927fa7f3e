"""Addresses of proxies, which one is used, and the request for a tunnel."""

from __future__ import annotations

import pytest

from ropeway.exceptions import InvalidProxy, InvalidURI
from ropeway.proxy import Proxy, get_proxy, parse_proxy, prepare_connect_request
from ropeway.uri import parse_uri

GOOD = [
    ("http://proxy:3128", Proxy("http", "proxy", 3128)),
    ("http://proxy", Proxy("http", "proxy", 80)),
    ("https://proxy/", Proxy("https", "proxy", 443)),
    ("HTTP://PROXY:", Proxy("http", "proxy", 80)),
    ("http://[::1]:3128", Proxy("http", "::1", 3128)),
    ("socks5h://proxy:1080", Proxy("socks5h", "proxy", 1080)),
    ("socks5://proxy:1080", Proxy("socks5", "proxy", 1080)),
    ("socks4a://proxy:1080", Proxy("socks4a", "proxy", 1080)),
    ("socks4://proxy:1080", Proxy("socks4", "proxy", 1080)),
    ("http://hello:iloveyou@proxy", Proxy("http", "proxy", 80, "hello", "iloveyou")),
    ("http://a%40b:%C3%A9%3A@proxy", Proxy("http", "proxy", 80, "a@b", "é:")),
    ("http://:@proxy", Proxy("http", "proxy", 80, "", "")),
    ("http://höst.example:3128", Proxy("http", "xn--hst-sna.example", 3128)),
]


@pytest.mark.parametrize(("address", "proxy"), GOOD)
def test_addresses(address: str, proxy: Proxy) -> None:
    assert parse_proxy(address) == proxy


def test_user_info() -> None:
    assert parse_proxy("http://u:p@proxy").user_info == ("u", "p")
    assert parse_proxy("http://proxy").user_info is None


BAD = [
    ("ftp://proxy", "scheme ftp isn't supported"),
    ("proxy:3128", "scheme proxy isn't supported"),
    ("", "scheme  isn't supported"),
    ("http://", "hostname isn't provided"),
    ("http://:3128", "hostname isn't provided"),
    ("http://proxy/path", "path is meaningless"),
    ("http://proxy/?query", "query is meaningless"),
    ("http://proxy/#fragment", "fragment is meaningless"),
    ("http://user@proxy", "username provided without password"),
]


@pytest.mark.parametrize(("address", "why"), BAD)
def test_what_is_no_address_of_a_proxy(address: str, why: str) -> None:
    with pytest.raises(InvalidProxy) as caught:
        parse_proxy(address)
    assert str(caught.value) == f"{address} isn't a valid proxy: {why}"


MALFORMED = [
    "http://proxy:65536",
    "http://proxy:http",
    "http://[::1",
    "http://[proxy]",
    "http://u:%zz@proxy",
    "http://u%:p@proxy",
    "http://u:%ff@proxy",
    "http://proxy \n",
    "http://pro xy",
    "http://ü..example",
]


@pytest.mark.parametrize("address", MALFORMED)
def test_addresses_are_read_as_strictly_as_uris(address: str) -> None:
    with pytest.raises(InvalidProxy) as caught:
        parse_proxy(address)
    assert isinstance(caught.value.__cause__, InvalidURI)
    assert str(caught.value) == f"{address} isn't a valid proxy: {caught.value.__cause__.msg}"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without proxies."""
    for scheme in ("ws", "wss", "socks", "https", "http", "no", "all"):
        monkeypatch.delenv(f"{scheme}_proxy", raising=False)
        monkeypatch.delenv(f"{scheme}_proxy".upper(), raising=False)
    return monkeypatch


PREFERENCES = [
    ("ws://h/", ["ws", "socks", "https", "http"]),
    ("wss://h/", ["wss", "socks", "https"]),
]


@pytest.mark.parametrize(("uri", "schemes"), PREFERENCES)
def test_preferences(environment: pytest.MonkeyPatch, uri: str, schemes: list[str]) -> None:
    for scheme in reversed(schemes):
        environment.setenv(f"{scheme}_proxy", f"socks5://{scheme}-proxy")
        assert get_proxy(parse_uri(uri)) == f"socks5://{scheme}-proxy"


@pytest.mark.parametrize(("uri", "other"), [("wss://h/", "http"), ("ws://h/", "wss")])
def test_proxies_for_others(environment: pytest.MonkeyPatch, uri: str, other: str) -> None:
    environment.setenv(f"{other}_proxy", "http://proxy")
    assert get_proxy(parse_uri(uri)) is None


def test_no_proxy_at_all(environment: pytest.MonkeyPatch) -> None:
    assert get_proxy(parse_uri("ws://h/")) is None


def test_a_socks_proxy_in_the_guise_of_an_http_one(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("socks_proxy", "http://proxy:1080")
    assert get_proxy(parse_uri("ws://h/")) == "socks5h://proxy:1080"


@pytest.mark.parametrize(
    ("no_proxy", "proxied"),
    [
        ("h.example", False),
        ("example", False),
        (".example", False),
        ("h.example:8080", False),
        ("h.example:80", True),
        ("other.example, h.example", False),
        ("other.example", True),
        ("*", False),
        ("", True),
    ],
)
def test_no_proxy(environment: pytest.MonkeyPatch, no_proxy: str, proxied: bool) -> None:
    environment.setenv("http_proxy", "http://proxy")
    environment.setenv("no_proxy", no_proxy)
    proxy = get_proxy(parse_uri("ws://h.example:8080/"))
    assert proxy == ("http://proxy" if proxied else None)


def request(proxy: str, uri: str, user_agent_header: str | None = None) -> bytes:
    return prepare_connect_request(parse_proxy(proxy), parse_uri(uri), user_agent_header)


def test_requests_for_a_tunnel() -> None:
    assert request("http://proxy", "ws://h/") == b"CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n"
    assert request("http://proxy", "wss://[::1]:8080/", "U") == (
        b"CONNECT [::1]:8080 HTTP/1.1\r\nHost: [::1]:8080\r\nUser-Agent: U\r\n\r\n"
    )
    assert request("http://hello:iloveyou@proxy", "wss://h/") == (
        b"CONNECT h:443 HTTP/1.1\r\nHost: h\r\n"
        b"Proxy-Authorization: Basic aGVsbG86aWxvdmV5b3U=\r\n\r\n"
    )
