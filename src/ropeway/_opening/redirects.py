"""Which redirects a client follows, and what it takes along (RFC 9110, section 15.4)."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urljoin

from ..datastructures import Headers, HeadersLike
from ..exceptions import InvalidStatus, SecurityError
from ..uri import WebSocketURI, parse_uri
from ..utils import env
from .options import ConnectOptions

MAX_REDIRECTS = env("MAX_REDIRECTS", 10)
"""Number of servers that one attempt to connect asks, the first one included."""

REDIRECTS = frozenset({300, 301, 302, 303, 307, 308})

PRIVATE = frozenset({"authorization", "cookie", "host", "proxy-authorization"})
"""Headers that speak to one origin and must not reach another."""


def process_redirect(options: ConnectOptions, exc: Exception) -> Exception | str:
    """Tell where to connect after an attempt with ``options`` raised ``exc``.

    Returns:
        The URI of a redirect that can be followed; ``exc`` when it is not a redirect; another
        exception when it is one that must not be followed.

    Raises:
        InvalidURI: when the server redirects to something else than a WebSocket URI.
    """
    location = _location(exc)
    if location is None:
        return exc
    uri = urljoin(options.uri, location)
    new = parse_uri(uri)
    if options.stream.get("sock") is not None:
        return ValueError(f"cannot follow redirect to {uri} with a preexisting {options.carrier}")
    if options.ws_uri.secure and not new.secure:
        return SecurityError(f"cannot follow redirect to non-secure URI {uri}")
    if _origin(new) != _origin(options.ws_uri):
        if options.stream.get("unix"):
            return ValueError(f"cannot follow cross-origin redirect to {uri} with a Unix socket")
        if any(options.stream.get(name) is not None for name in ("host", "port")):
            return ValueError(
                f"cannot follow cross-origin redirect to {uri} with an explicit {options.override}"
            )
    return uri


def redirected(options: ConnectOptions, uri: str) -> ConnectOptions:
    """Return ``options`` for ``uri``, without what only the origin they were for may see."""
    moved = replace(options, uri=uri)
    if _origin(moved.ws_uri) == _origin(options.ws_uri):
        return moved
    return replace(moved, additional_headers=_public(options.additional_headers))


def _location(exc: Exception) -> str | None:
    if not isinstance(exc, InvalidStatus) or exc.response.status_code not in REDIRECTS:
        return None
    locations = exc.response.headers.get_all("Location")
    return locations[0] if len(locations) == 1 else None


def _origin(uri: WebSocketURI) -> tuple[bool, str, int]:
    return (uri.secure, uri.host, uri.port)


def _public(headers: HeadersLike | None) -> HeadersLike | None:
    if headers is None:
        return None
    items = Headers(headers).raw_items()
    return Headers([(name, value) for name, value in items if name.lower() not in PRIVATE])
