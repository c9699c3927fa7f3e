"""The grammar of the headers that a WebSocket handshake uses (RFC 9110, RFC 6455, 9.1).

Values in, values out; which header must be there, and what follows from it, is decided in
:mod:`ropeway.client` and :mod:`ropeway.server`. Each parser reads its input once, from left to
right, so that the time it takes is proportional to the length, whatever the peer sends.
"""

from __future__ import annotations

import base64
import binascii
import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar, cast

from ._moved import Moved, resolver
from .exceptions import InvalidHeaderFormat, InvalidHeaderValue
from .typing import (
    ConnectionOption,
    ExtensionHeader,
    ExtensionName,
    ExtensionParameter,
    Subprotocol,
    UpgradeProtocol,
)

__all__ = [
    "Challenge",
    "build_authorization_basic",
    "build_extension",
    "build_host",
    "build_subprotocol",
    "build_www_authenticate_basic",
    "parse_authorization_basic",
    "parse_challenges",
    "parse_connection",
    "parse_extension",
    "parse_subprotocol",
    "parse_upgrade",
    "validate_subprotocols",
]

T = TypeVar("T")

# RFC 9110, 5.6.2, 7.8, 5.6.4 and 11.2.
_TOKEN = r"[-!#$%&'*+.^_`|~0-9A-Za-z]+"
_token = re.compile(_TOKEN)
_protocol = re.compile(rf"{_TOKEN}(?:/{_TOKEN})?")
_quoted_string = re.compile(r'"(?:[\t\x20-\x21\x23-\x5b\x5d-\x7e]|\\[\t\x20-\x7e\x80-\xff])*"')
_escaped = re.compile(r"\\(.)", re.DOTALL)
_token68 = re.compile(r"[-A-Za-z0-9._~+/]+=*")
_value = re.compile(r"[\t ]*=[\t ]*(?=[^\s,=])")
_quotable = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_to_escape = re.compile(r'(["\\])')

# A longer Sec-WebSocket-Extensions header is not one that many clients send.
LONGEST_KNOWN = 128

# RFC 9110, 5.6.1.2 and 5.6.3: optional whitespace, and commas around empty list items.
_whitespace = re.compile(r"[\t ]*")
_commas = re.compile(r"(?:,[\t ]*)*")


def _skip(pattern: re.Pattern[str], header: str, pos: int) -> int:
    """Return the position after a pattern that may match nothing."""
    found = pattern.match(header, pos)
    assert found is not None, "pattern may match nothing"
    return found.end()


def _take(pattern: re.Pattern[str], what: str, header: str, pos: int, name: str) -> tuple[str, int]:
    """Return what a pattern matches, and the position after it."""
    found = pattern.match(header, pos)
    if found is None:
        raise InvalidHeaderFormat(name, f"expected {what}", header, pos)
    return found.group(), found.end()


def _parse_list(
    parse_item: Callable[[str, int, str], tuple[T, int]], header: str, name: str
) -> list[T]:
    """Parse items between commas; empty items are skipped, but one item is required."""
    items = []
    pos = _skip(_commas, header, 0)
    while True:
        item, pos = parse_item(header, pos, name)
        items.append(item)
        pos = _skip(_whitespace, header, pos)
        if pos == len(header):
            return items
        if header[pos] != ",":
            raise InvalidHeaderFormat(name, "expected comma", header, pos)
        pos = _skip(_commas, header, pos)
        if pos == len(header):
            return items


def _parse_token(header: str, pos: int, name: str) -> tuple[str, int]:
    return _take(_token, "token", header, pos, name)


def _parse_protocol(header: str, pos: int, name: str) -> tuple[str, int]:
    return _take(_protocol, "protocol", header, pos, name)


def _parse_extension_item(header: str, pos: int, name: str) -> tuple[ExtensionHeader, int]:
    """Parse one extension with its parameters."""
    extension, pos = _parse_token(header, pos, name)
    parameters = []
    pos = _skip(_whitespace, header, pos)
    while header.startswith(";", pos):
        pos = _skip(_whitespace, header, pos + 1)
        parameter, pos = _parse_extension_parameter(header, pos, name)
        parameters.append(parameter)
        pos = _skip(_whitespace, header, pos)
    return (ExtensionName(extension), parameters), pos


def _parse_extension_parameter(header: str, pos: int, name: str) -> tuple[ExtensionParameter, int]:
    """Parse one parameter of an extension, with its value if it has one."""
    parameter, pos = _parse_token(header, pos, name)
    after = _skip(_whitespace, header, pos)
    if not header.startswith("=", after):
        return (parameter, None), pos
    pos = _skip(_whitespace, header, after + 1)
    if not header.startswith('"', pos):
        value, pos = _parse_token(header, pos, name)
        return (parameter, value), pos
    quoted, end = _take(_quoted_string, "quoted string", header, pos, name)
    value = _escaped.sub(r"\1", quoted[1:-1])
    # RFC 6455, 9.1: a quoted value must be a token once its escapes are undone.
    if _token.fullmatch(value) is None:
        raise InvalidHeaderFormat(name, "invalid quoted header content", header, pos)
    return (parameter, value), end


def build_host(host: str, port: int, secure: bool, *, always_include_port: bool = False) -> str:
    """Build a Host header (RFC 9110, 7.2).

    Args:
        host: a name or an IP address, without brackets.
        port: the port.
        secure: whether the connection uses TLS.
        always_include_port: whether to give the port even when it is the default one.

    Returns:
        The host, an IPv6 address in brackets, and the port where it is needed.
    """
    if ":" in host:
        host = f"[{host}]"
    if always_include_port or port != (443 if secure else 80):
        host = f"{host}:{port}"
    return host


def parse_connection(header: str) -> list[ConnectionOption]:
    """Parse a Connection header (RFC 9110, 7.6.1).

    Raises:
        InvalidHeaderFormat: when it isn't a list of tokens.
    """
    return cast(list[ConnectionOption], _parse_list(_parse_token, header, "Connection"))


def parse_upgrade(header: str) -> list[UpgradeProtocol]:
    """Parse an Upgrade header (RFC 9110, 7.8).

    Raises:
        InvalidHeaderFormat: when it isn't a list of protocols.
    """
    return cast(list[UpgradeProtocol], _parse_list(_parse_protocol, header, "Upgrade"))


def parse_extension(header: str) -> list[ExtensionHeader]:
    """Parse a Sec-WebSocket-Extensions header (RFC 6455, 9.1).

    Returns:
        For each extension its name and the list of its parameters, in order.

    Raises:
        InvalidHeaderFormat: when it doesn't follow the grammar.
    """
    if len(header) > LONGEST_KNOWN:
        return _parse_extensions(header)
    # Clients are of a few kinds, and each kind offers the same every time.
    return [(name, list(parameters)) for name, parameters in _known_extensions(header)]


def _parse_extensions(header: str) -> list[ExtensionHeader]:
    return _parse_list(_parse_extension_item, header, "Sec-WebSocket-Extensions")


@functools.lru_cache(maxsize=64)
def _known_extensions(header: str) -> list[ExtensionHeader]:
    """Parse a header that may well come again; the result belongs to all who ask."""
    return _parse_extensions(header)


def build_extension(extensions: Sequence[ExtensionHeader]) -> str:
    """Build a Sec-WebSocket-Extensions header (RFC 6455, 9.1).

    Args:
        extensions: for each extension its name and its parameters.
    """
    return ", ".join(
        "; ".join(
            [
                name,
                *(key if value is None else f"{key}={value}" for key, value in parameters),
            ]
        )
        for name, parameters in extensions
    )


def parse_subprotocol(header: str) -> list[Subprotocol]:
    """Parse a Sec-WebSocket-Protocol header (RFC 6455, 11.3.4).

    Raises:
        InvalidHeaderFormat: when it isn't a list of tokens.
    """
    return cast(list[Subprotocol], _parse_list(_parse_token, header, "Sec-WebSocket-Protocol"))


def build_subprotocol(subprotocols: Sequence[Subprotocol]) -> str:
    """Build a Sec-WebSocket-Protocol header (RFC 6455, 11.3.4).

    Args:
        subprotocols: names, the preferred one first.
    """
    return ", ".join(subprotocols)


def validate_subprotocols(subprotocols: Sequence[Subprotocol]) -> None:
    """Check names that the application gives.

    Args:
        subprotocols: names, the preferred one first.

    Raises:
        TypeError: when it isn't a sequence of str.
        ValueError: when a name isn't a token.
    """
    if not isinstance(subprotocols, Sequence):
        raise TypeError("subprotocols must be a list")
    if isinstance(subprotocols, str):
        raise TypeError("subprotocols must be a list, not a str")
    for subprotocol in subprotocols:
        if not _token.fullmatch(subprotocol):
            raise ValueError(f"invalid subprotocol: {subprotocol}")


def build_www_authenticate_basic(realm: str) -> str:
    """Build a WWW-Authenticate header that asks for HTTP Basic credentials (RFC 7617, 2).

    Args:
        realm: what the credentials are for.

    Raises:
        ValueError: when the realm contains a character that can't be quoted.
    """
    if _quotable.fullmatch(realm) is None:
        raise ValueError("invalid characters for quoted-string encoding")
    quoted = _to_escape.sub(r"\\\1", realm)
    return f'Basic realm="{quoted}", charset="UTF-8"'


def parse_authorization_basic(header: str) -> tuple[str, str]:
    """Parse an Authorization header for HTTP Basic credentials (RFC 7617, 2).

    Returns:
        The user name and the password; bytes that aren't UTF-8 become lone surrogates.

    Raises:
        InvalidHeaderFormat: when it doesn't follow the grammar.
        InvalidHeaderValue: when the scheme isn't Basic, or the credentials can't be decoded.
    """
    name = "Authorization"
    scheme, pos = _parse_token(header, 0, name)
    if scheme.lower() != "basic":
        raise InvalidHeaderValue(name, f"unsupported scheme: {scheme}")
    if not header.startswith(" ", pos):
        raise InvalidHeaderFormat(name, "expected space after scheme", header, pos)
    encoded, pos = _take(_token68, "token68", header, pos + 1, name)
    if pos < len(header):
        raise InvalidHeaderFormat(name, "trailing data", header, pos)
    try:
        credentials = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        raise InvalidHeaderValue(name, "expected base64-encoded credentials") from None
    username, colon, password = credentials.decode(errors="surrogateescape").partition(":")
    if not colon:
        raise InvalidHeaderValue(name, "expected username:password credentials")
    return username, password


class Challenge(NamedTuple):
    """One way in which a server or a proxy wants to be told who asks (RFC 9110, 11.3).

    Args:
        scheme: in small letters.
        parameters: by their names in small letters; of a repeated one, the first.
        token68: what some schemes have instead of parameters.
    """

    scheme: str
    parameters: Mapping[str, str]
    token68: str | None = None


def parse_challenges(header: str, name: str = "WWW-Authenticate") -> list[Challenge]:
    """Parse a WWW-Authenticate or Proxy-Authenticate header (RFC 9110, 11.6.1).

    Args:
        header: the value.
        name: of the header, for the exception.

    Raises:
        InvalidHeaderFormat: when it doesn't follow the grammar.
    """
    challenges: list[Challenge] = []
    parameters: dict[str, str] = {}
    pos = _skip(_commas, header, _skip(_whitespace, header, 0))
    while pos < len(header):
        # A comma ends a parameter or a challenge; which, only what comes next can tell.
        token, pos = _parse_token(header, pos, name)
        equals = _value.match(header, pos)
        if equals is not None and challenges:
            value, pos = _parse_value(header, equals.end(), name)
            parameters.setdefault(token.lower(), value)
        else:
            parameters = {}
            token68, pos = _parse_token68(header, pos)
            challenges.append(Challenge(token.lower(), parameters, token68))
            if token68 is None and header.startswith(" ", pos):
                pos = _skip(_commas, header, _skip(_whitespace, header, pos))
                continue
        pos = _skip(_whitespace, header, pos)
        if pos < len(header) and header[pos] != ",":
            raise InvalidHeaderFormat(name, "expected comma", header, pos)
        pos = _skip(_commas, header, pos)
    return challenges


def _parse_value(header: str, pos: int, name: str) -> tuple[str, int]:
    """Parse the value of a parameter, which may be quoted."""
    if not header.startswith('"', pos):
        return _parse_token(header, pos, name)
    quoted, pos = _take(_quoted_string, "quoted string", header, pos, name)
    return _escaped.sub(r"\1", quoted[1:-1]), pos


def _parse_token68(header: str, pos: int) -> tuple[str | None, int]:
    """Parse a token68 behind a scheme, if that is what stands there."""
    found = _token68.match(header, _skip(_whitespace, header, pos))
    if found is None or found.start() == pos:
        return None, pos
    end = _skip(_whitespace, header, found.end())
    if end < len(header) and header[end] != ",":
        return None, pos
    return found.group(), end


def build_authorization_basic(username: str, password: str) -> str:
    """Build an Authorization header for HTTP Basic credentials (RFC 7617, 2).

    Args:
        username: the user name.
        password: the password.

    Raises:
        ValueError: when the user name contains a colon, which would end it.
    """
    if ":" in username:
        raise ValueError("user name for HTTP Basic authentication contains a colon")
    credentials = f"{username}:{password}".encode()
    return f"Basic {base64.b64encode(credentials).decode()}"


if not TYPE_CHECKING:
    __getattr__ = resolver(
        __name__,
        {
            f"{name}_list": Moved(f"headers:{name}", f"ropeway.headers.{name}")
            for name in (
                "build_extension",
                "build_subprotocol",
                "parse_extension",
                "parse_subprotocol",
            )
        },
    )
