"""How a client gets from a URI to an open connection: stream, proxy, TLS, handshake, redirects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address
from ssl import create_default_context
from typing import Any

from ..exceptions import InvalidProxyMessage, InvalidProxyStatus, SecurityError
from ..proxy import Proxy, get_proxy, parse_proxy
from ..uri import WebSocketURI
from . import redirects
from .identity import Identity, ProxyIdentity
from .options import ConnectOptions
from .redirects import redirected
from .steps import Discard, Handshake, OpenSOCKS, OpenTCP, OpenUnix, Plan, StartTLS, Unread
from .tunnel import tunnel_plan

HAPPY_EYEBALLS_DELAY = 0.25
"""Seconds that one address of a host has to itself (RFC 8305, section 8)."""

Redirect = Callable[[ConnectOptions, Exception], Exception | str]


def connect_plan(
    options: ConnectOptions, process_redirect: Redirect = redirects.process_redirect
) -> Plan[Any]:
    """Open a connection as ``options`` say, following redirects and answering challenges.

    Args:
        options: what the caller of connect() said.
        process_redirect: tells what to do about an exception of the handshake: the URI to
            connect to instead, or the exception to raise.

    Returns:
        What the driver made of the last `Handshake`: an open connection.

    Raises:
        OSError: when no stream can be opened.
        InvalidProxy: when the proxy to use has an invalid address.
        InvalidHandshake: when the proxy or the server refuses or does not make sense.
        SecurityError: when a redirect leaves TLS, or at the end of a chain of redirects.
        ValueError: when options do not suit the URI, the proxy or a redirect.
    """
    hops = 0
    identity = Identity(options)
    while hops < redirects.MAX_REDIRECTS:
        yield from open_plan(options)
        try:
            return (yield Handshake(identity.uri, identity.headers, options.user_agent_header))
        except Exception as exc:
            # HTTP would let the next request use the same stream. Nobody needs that enough.
            yield Discard()
            if identity.answers(exc):
                continue
            outcome = process_redirect(options, exc)
            if isinstance(outcome, Exception):
                try:
                    if outcome is exc:
                        raise
                    raise outcome from exc
                finally:
                    del outcome  # it knows this frame, which must not know it
        options = redirected(options, outcome)
        identity = Identity(options)
        hops += 1
    raise SecurityError(f"more than {redirects.MAX_REDIRECTS} redirects")


def open_plan(options: ConnectOptions) -> Plan[None]:
    """Open a stream to the server of ``options``, with TLS for ``wss``."""
    uri = options.ws_uri
    arguments = {name: value for name, value in options.stream.items() if name[:6] != "proxy_"}
    if uri.secure:
        arguments.setdefault("ssl", True)
        arguments.setdefault("server_hostname", uri.host)
    if arguments.pop("unix", False):
        yield OpenUnix(arguments)
        return
    for name in ("host", "port", "sock"):
        if name in arguments and arguments[name] is None:
            del arguments[name]
    proxy = _proxy(options)
    if proxy is not None:
        tls = {name: arguments.pop(name) for name in list(arguments) if _is_about_tls(name)}
        target = replace(
            uri, host=arguments.pop("host", uri.host), port=arguments.pop("port", uri.port)
        )
        if proxy.scheme.startswith("socks"):
            local_addr = arguments.get("local_addr")
            yield OpenSOCKS(proxy, target.host, target.port, local_addr, tls)
        else:
            early = yield from _open_http_proxy(proxy, target, options, arguments)
            if tls.get("ssl") is not None:
                yield from _start_tls(tls, early)
            elif early:
                yield Unread(early)
        return
    if "sock" not in arguments:
        arguments = {"host": uri.host, "port": uri.port, **arguments}
    yield OpenTCP(_with_happy_eyeballs(arguments))


def _proxy(options: ConnectOptions) -> Proxy | None:
    """Return the proxy to go through, if any; a given socket leads where its owner wants."""
    if options.proxy is None or options.stream.get("sock") is not None:
        return None
    address = get_proxy(options.ws_uri) if options.proxy is True else options.proxy
    return None if address is None else parse_proxy(address)


def _open_http_proxy(
    proxy: Proxy, target: WebSocketURI, options: ConnectOptions, arguments: dict[str, Any]
) -> Plan[bytes]:
    """Open a tunnel to ``target``; ``arguments`` are those for the stream to the proxy.

    Returns:
        What the target said before it was asked: a refusal, when it is too busy to listen.
    """
    for name, value in options.stream.items():
        if name.startswith("proxy_"):
            arguments[name.removeprefix("proxy_")] = value
    if proxy.scheme == "https":
        if arguments.setdefault("ssl", True) is None:
            raise ValueError("proxy_ssl=None is incompatible with an https:// proxy")
    elif arguments.get("ssl") is not None:
        raise ValueError("proxy_ssl argument is incompatible with an http:// proxy")
    arguments = _with_happy_eyeballs({**arguments, "host": proxy.host, "port": proxy.port})
    identity = ProxyIdentity(proxy, target, options)
    while True:
        yield OpenTCP(arguments)
        try:
            return (yield from tunnel_plan(identity.request()))
        except InvalidProxyStatus as exc:
            if not identity.answers(exc):
                raise
            yield Discard()


def _start_tls(arguments: dict[str, Any], early: bytes) -> Plan[None]:
    if early:
        # In TLS the client speaks first (RFC 8446, section 2): nothing can be made of these.
        cause = ValueError(f"{len(early)} bytes came before the TLS handshake")
        raise InvalidProxyMessage("did not receive a valid HTTP response from proxy") from cause
    context = arguments.pop("ssl")
    if context is True:
        context = create_default_context()
    yield StartTLS(context, arguments.pop("server_hostname"), arguments)


def _is_about_tls(name: str) -> bool:
    return name.startswith("ssl") or name == "server_hostname"


def _with_happy_eyeballs(arguments: dict[str, Any]) -> dict[str, Any]:
    """Race the addresses of a host name unless the caller decided about it."""
    if "sock" in arguments or _is_address(arguments["host"]):
        return arguments
    return {"happy_eyeballs_delay": HAPPY_EYEBALLS_DELAY, **arguments}


def _is_address(host: object) -> bool:
    try:
        ip_address(str(host))
    except ValueError:
        return False
    return True
