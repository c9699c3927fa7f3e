"""Proxies: their addresses, which one a connection uses, and how to ask it for a tunnel."""

from __future__ import annotations

from dataclasses import dataclass

from .datastructures import Headers
from .exceptions import InvalidProxy, InvalidURI
from .headers import build_authorization_basic, build_host
from .http11 import USER_AGENT
from .uri import WebSocketURI, parse_uri

__all__ = ["Proxy", "get_proxy", "parse_proxy"]

SCHEMES = ("socks5h", "socks5", "socks4a", "socks4", "https", "http")


@dataclass
class Proxy:
    """Address of a proxy.

    Args:
        scheme: ``socks5h``, ``socks5``, ``socks4a``, ``socks4``, ``https`` or ``http``.
        host: name or address, in lower case, IDNA-encoded.
        port: the default of the scheme when the address has none.
        username: None when the address has no user information.
        password: None when the address has no user information.
    """

    scheme: str
    host: str
    port: int
    username: str | None = None
    password: str | None = None

    @property
    def user_info(self) -> tuple[str, str] | None:
        """User name and password, or None."""
        if self.username is None or self.password is None:
            return None
        return (self.username, self.password)


def parse_proxy(proxy: str) -> Proxy:
    """Parse the address of a proxy, such as ``socks5h://user:password@host:1080``.

    Args:
        proxy: address of the proxy, as a URI or an IRI.

    Returns:
        Its parts, decoded.

    Raises:
        InvalidProxy: when it is not the address of a proxy of a supported kind.
    """
    scheme, colon, rest = proxy.partition(":")
    scheme = scheme.lower() if colon else ""
    if scheme not in SCHEMES:
        raise InvalidProxy(proxy, f"scheme {scheme} isn't supported")
    address, _, fragment = rest.partition("#")
    try:
        # The same grammar, checked as strictly; only https has another default port than http.
        parts = parse_uri(f"{'wss' if scheme == 'https' else 'ws'}:{address}")
    except InvalidURI as exc:
        raise InvalidProxy(proxy, exc.msg) from exc
    if parts.path not in ("", "/"):
        raise InvalidProxy(proxy, "path is meaningless")
    if parts.query:
        raise InvalidProxy(proxy, "query is meaningless")
    if fragment:
        raise InvalidProxy(proxy, "fragment is meaningless")
    return Proxy(scheme, parts.host, parts.port, parts.username, parts.password)


def get_proxy(uri: WebSocketURI) -> str | None:
    """Return the proxy that the system or the environment wants for ``uri``, if any.

    RFC 6455, section 4.1, prefers a SOCKS proxy, then one for HTTPS, then one for HTTP; a
    proxy for ``wss`` or ``ws`` itself goes before them all. ``no_proxy`` is obeyed.

    Args:
        uri: where the connection is to lead.

    Returns:
        The address of the proxy, not yet checked, or None to connect directly.
    """
    # Loads the HTTP client of the standard library, which many programs never need.
    from urllib.request import getproxies, proxy_bypass

    if proxy_bypass(f"{uri.host}:{uri.port}"):
        return None
    proxies = getproxies()
    for scheme in ("wss", "socks", "https") if uri.secure else ("ws", "socks", "https", "http"):
        proxy = proxies.get(scheme)
        if proxy:
            # System settings tell of a SOCKS proxy in the guise of an HTTP one.
            if scheme == "socks" and proxy.startswith("http://"):
                return "socks5h://" + proxy.removeprefix("http://")
            return proxy
    return None


def tunnel_authority(ws_uri: WebSocketURI) -> str:
    """Name the other end of a tunnel, as its request does: ``host:port``."""
    return build_host(ws_uri.host, ws_uri.port, ws_uri.secure, always_include_port=True)


def prepare_connect_request(
    proxy: Proxy,
    ws_uri: WebSocketURI,
    user_agent_header: str | None = USER_AGENT,
    authorization: str | None = None,
) -> bytes:
    """Write the request that asks an HTTP proxy for a tunnel (RFC 9110, section 9.3.6).

    Args:
        proxy: the proxy; its user information becomes ``Proxy-Authorization``.
        ws_uri: where the tunnel is to lead.
        user_agent_header: value of ``User-Agent``, None for none.
        authorization: value of ``Proxy-Authorization``, instead of what the user information says.

    Returns:
        The request, head only.
    """
    headers = Headers()
    headers["Host"] = build_host(ws_uri.host, ws_uri.port, ws_uri.secure)
    if user_agent_header is not None:
        headers["User-Agent"] = user_agent_header
    if authorization is None and proxy.user_info is not None:
        authorization = build_authorization_basic(*proxy.user_info)
    if authorization is not None:
        headers["Proxy-Authorization"] = authorization
    return f"CONNECT {tunnel_authority(ws_uri)} HTTP/1.1\r\n".encode() + headers.serialize()
