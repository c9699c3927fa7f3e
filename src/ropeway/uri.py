"""WebSocket URIs (RFC 6455, 3), and IRIs for those who write them by hand (RFC 3987).

Text in, a checked value out: everything that later meets the wire or the resolver — host, port,
path, query, credentials — leaves this room free of controls and in ASCII.
"""

from __future__ import annotations

import dataclasses
import re
import urllib.parse

from .exceptions import InvalidURI

__all__ = ["WebSocketURI", "parse_uri"]


@dataclasses.dataclass
class WebSocketURI:
    """The parts of a WebSocket URI.

    Args:
        secure: True for ``wss``, False for ``ws``.
        host: name in lower case, or IP address without brackets.
        port: the port, the default one of the scheme where the URI gives none.
        path: the path; may be empty.
        query: the query, without the question mark; may be empty.
        username: user name, decoded, if the URI has user information.
        password: password, decoded, if the URI has user information.
    """

    secure: bool
    host: str
    port: int
    path: str
    query: str
    username: str | None = None
    password: str | None = None

    @property
    def resource_name(self) -> str:
        """What goes into the request line: path and query (RFC 6455, 3)."""
        path = self.path or "/"
        return f"{path}?{self.query}" if self.query else path

    @property
    def user_info(self) -> tuple[str, str] | None:
        """User name and password, or None."""
        if self.username is None or self.password is None:
            return None
        return self.username, self.password


# RFC 3986, appendix B, with the colon of the scheme required.
_split = re.compile(r"([^:/?#]+):(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?").fullmatch
# What can't be sent, and what hides in a log: C0 controls, space, DEL, C1 controls.
_find_control = re.compile(r"[\x00-\x20\x7f-\x9f]").search
# RFC 3986, 3.2.2: reg-name.
_is_host_name = re.compile(r"[-A-Za-z0-9._~!$&'()*+,;=%]+").fullmatch
_is_port = re.compile(r"[0-9]*").fullmatch
_find_bad_escape = re.compile(r"%(?![0-9A-Fa-f]{2})").search
_not_ascii = re.compile(r"[^\x00-\x7f]+")


def parse_uri(uri: str) -> WebSocketURI:
    """Parse a WebSocket URI or IRI.

    Characters outside of ASCII are encoded: with IDNA in the host, with percent-encoding in the
    path and the query.

    Args:
        uri: ``ws://`` or ``wss://`` URI.

    Raises:
        InvalidURI: when it isn't a valid WebSocket URI.
    """
    if not isinstance(uri, str):
        raise InvalidURI(uri, f"expected a str, not {type(uri).__name__}")
    if _find_control(uri):
        raise InvalidURI(uri, "it contains whitespace or control characters")
    parts = _split(uri)
    scheme = parts[1].lower() if parts else ""
    if parts is None or scheme not in ("ws", "wss"):
        raise InvalidURI(uri, "scheme isn't ws or wss")
    _, authority, path, query, fragment = parts.groups(default="")
    if fragment:
        # RFC 6455, 3: fragment identifiers are meaningless in WebSocket URIs.
        raise InvalidURI(uri, "fragment identifier is meaningless")
    user_info, at, host_port = authority.rpartition("@")
    secure = scheme == "wss"
    host, port_digits = _split_host_port(uri, host_port)
    port = _parse_port(uri, port_digits) or (443 if secure else 80)
    username = password = None
    if at:
        username, password = _parse_user_info(uri, user_info)
    return WebSocketURI(
        secure,
        host,
        port,
        _encode(uri, path),
        _encode(uri, query),
        username,
        password,
    )


def _split_host_port(uri: str, host_port: str) -> tuple[str, str]:
    """Return the host, checked, and the digits of the port."""
    if host_port.startswith("["):
        address, bracket, rest = host_port[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise InvalidURI(uri, "brackets around the IPv6 address don't match")
        return _parse_ipv6(uri, address), rest[1:]
    host, _, port = host_port.partition(":")
    if not host:
        raise InvalidURI(uri, "hostname isn't provided")
    return _parse_host_name(uri, host), port


def _parse_ipv6(uri: str, address: str) -> str:
    """Check an IPv6 address, as it stands between brackets (RFC 3986, 3.2.2, and RFC 6874)."""
    import ipaddress

    # RFC 6874, 2: the percent sign before a zone is encoded; many leave it as it is.
    address, _, zone = address.replace("%25", "%", 1).partition("%")
    try:
        ipaddress.IPv6Address(address)
    except ValueError as exc:
        raise InvalidURI(uri, f"host isn't a valid IPv6 address: {exc}") from None
    if _ and (not zone or not _is_host_name(zone)):
        raise InvalidURI(uri, "zone of the IPv6 address is invalid")
    return f"{address.lower()}%{zone}" if zone else address.lower()


def _parse_host_name(uri: str, host: str) -> str:
    """Check a host name; encode it with IDNA when it isn't ASCII."""
    if not host.isascii():
        try:
            host = host.encode("idna").decode()
        except UnicodeError as exc:
            raise InvalidURI(uri, f"host can't be encoded with IDNA: {exc}") from None
    if not _is_host_name(host):
        # After IDNA: its normalisation makes "a/cb" of "a℀b" (a delimiter in disguise).
        raise InvalidURI(uri, "host contains an invalid character")
    # RFC 1035, 2.3.4; asyncio would fail on these later, and less clearly.
    labels = host.removesuffix(".").split(".")
    if not all(0 < len(label) < 64 for label in labels) or len(host) > 254:
        raise InvalidURI(uri, "host has a label that is empty or too long")
    return host.lower()


def _parse_port(uri: str, digits: str) -> int | None:
    """Return the port, or None when there is none."""
    if not _is_port(digits):
        raise InvalidURI(uri, f"port isn't a number: {digits}")
    # Python refuses to convert more than 4,300 digits, even zeros.
    significant = digits.lstrip("0") or "0"
    if len(significant) > 5 or int(significant) > 65535:
        raise InvalidURI(uri, "port is out of range 0-65535")
    return int(significant) if digits else None


def _parse_user_info(uri: str, user_info: str) -> tuple[str, str]:
    """Return user name and password, decoded."""
    username, colon, password = user_info.partition(":")
    if not colon:
        raise InvalidURI(uri, "username provided without password")
    username, password = _decode(uri, username), _decode(uri, password)
    if ":" in username:
        # RFC 7617, 2: there is no way to send it.
        raise InvalidURI(uri, "username contains a colon")
    return username, password


def _decode(uri: str, text: str) -> str:
    """Undo percent-encoding; an escape that isn't one is an error, not text."""
    if _find_bad_escape(text):
        raise InvalidURI(uri, "user information has an invalid percent-encoding")
    try:
        return urllib.parse.unquote(text, errors="strict")
    except UnicodeError:
        raise InvalidURI(uri, "user information isn't UTF-8 once decoded") from None


def _encode(uri: str, text: str) -> str:
    """Percent-encode what isn't ASCII (RFC 3987, 3.1)."""
    if text.isascii():
        return text
    try:
        return _not_ascii.sub(lambda found: urllib.parse.quote(found[0]), text)
    except UnicodeError:
        raise InvalidURI(uri, "it contains a character that can't be encoded in UTF-8") from None
