"""The grammars of header values and of URIs: compiled as pure, and back again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.wire.builds import BUILDS

from .taking import Taking, outcome

WORDS = (
    "permessage-deflate",
    "; client_max_window_bits=",
    '"',
    "\\",
    ", ",
    "Basic ",
    "Digest realm=",
    "ws://",
    "wss://[::1]:80/?",
    "%41",
    "upgrade",
    "websocket",
)

PARSERS = (
    "parse_connection",
    "parse_upgrade",
    "parse_extension",
    "parse_subprotocol",
    "parse_authorization_basic",
    "parse_challenges",
)

EXPECTED = ("InvalidHeaderFormat", "InvalidHeaderValue")


def check(data: bytes) -> None:
    """Parse one value by one grammar."""
    taking = Taking(data)
    kind = taking.byte() % (len(PARSERS) + 1)
    text = taking.rest().decode("latin-1")
    if kind == len(PARSERS):
        _check_uri(text)
        return
    name = PARSERS[kind]
    found = [outcome(getattr(build.room("headers"), name), text) for build in BUILDS.values()]
    # A tuple of one tree isn't of the class of the other's, but equal to it.
    assert found[0] == found[-1], "builds differ"
    result, value = found[0]
    assert result in ("gives", *EXPECTED), found[0]
    if result == "gives" and name in BACK:
        BACK[name](value)


def _room() -> Any:
    return next(iter(BUILDS.values())).room("headers")


def _extension_back(value: Any) -> None:
    assert value
    assert _room().parse_extension(_room().build_extension(value)) == value


def _subprotocol_back(value: Any) -> None:
    assert value
    _room().validate_subprotocols(value)
    assert _room().parse_subprotocol(_room().build_subprotocol(value)) == value


def _authorization_back(value: Any) -> None:
    username, password = value
    assert ":" not in username
    if outcome(f"{username}{password}".encode)[0] == "gives":
        built = _room().build_authorization_basic(username, password)
        assert _room().parse_authorization_basic(built) == value


BACK = {
    "parse_extension": _extension_back,
    "parse_subprotocol": _subprotocol_back,
    "parse_authorization_basic": _authorization_back,
}


def _check_uri(text: str) -> None:
    found = []
    for build in BUILDS.values():
        kind, value = outcome(build.room("uri").parse_uri, text)
        found.append((kind, value if kind != "gives" else _parts(value)))
    assert found[0] == found[-1], "builds differ"
    kind, value = found[0]
    assert kind in ("gives", "InvalidURI"), found[0]
    if kind == "gives":
        secure, host, port, resource, _ = value
        assert isinstance(secure, bool) and host and 0 <= port < 65536
        assert resource.startswith("/") and resource.isascii() and " " not in resource
        assert not set("\r\n\0") & set(host + resource)


def _parts(uri: Any) -> tuple[Any, ...]:
    return uri.secure, uri.host, uri.port, uri.resource_name, uri.user_info


def seeds() -> Iterator[bytes]:
    """Give values of each grammar, all of them to each."""
    values = [
        "keep-alive, Upgrade",
        "websocket, h2c/1",
        'permessage-deflate; client_max_window_bits="15"; server_no_context_takeover, x; y = z',
        "chat, ,superchat,",
        "Basic dXNlcjpwYXNz",
        "Basic dXNlcg==",
        'Digest realm="a\\"b", qop="auth,auth-int", nonce=abc, Basic realm=x, Token abc==',
        "ws://user:p%20ss@localhost:8765/path?query#fragment",
        "wss://[2001:db8::1]/é?x=ü",
        "ws://localhost:99999/",
        "http://localhost/",
        "",
        ",",
        '"\\',
    ]
    for kind in range(len(PARSERS) + 1):
        for value in values:
            yield bytes((kind,)) + value.encode("latin-1")
