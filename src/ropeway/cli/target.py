"""Where ``connect`` and ``bench`` connect to: the options that they share, and what they mean."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ..exceptions import InvalidProxy, InvalidURI
from ..proxy import parse_proxy
from ..uri import WebSocketURI, parse_uri
from .text import hide_secrets, printable, seconds, size

if TYPE_CHECKING:
    import ssl

    from ..asyncio.client import connect

__all__ = ["Target", "add_options", "subprotocol", "target_from"]


@dataclass(frozen=True)
class Target:
    """A server, and how to connect to it.

    Args:
        uri: its URI, with the credentials if there are any.
        arguments: keyword arguments of ``connect``.
    """

    uri: str
    arguments: dict[str, Any]

    @property
    def parsed(self) -> WebSocketURI:
        return parse_uri(self.uri)

    @property
    def shown(self) -> str:
        """The URI as it may be shown and logged: without the password."""
        return printable(hide_secrets(self.uri))

    def connect(self) -> connect:
        """Make a ``connect``, to be awaited or entered."""
        from ..asyncio.client import connect

        return connect(self.uri, **self.arguments)


def argument(read: Any, what: str) -> Any:
    """Make a type for argparse that says what it expects."""

    def parse(text: str) -> Any:
        try:
            return read(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not {what}") from None

    return parse


SIZE = argument(size, "a number of bytes, such as 4096, 64k or 1M")
SECONDS = argument(seconds, "a duration, such as 10, 2.5s, 100ms or 5m")

_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_VALUE = r"[^\x00-\x08\x0a-\x1f\x7f]*"
_HEADER = re.compile(rf"({_NAME}):[ \t]*({_VALUE})").fullmatch


def _header(text: str) -> tuple[str, str]:
    found = _HEADER(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form 'Name: value'")
    return found[1], found[2].rstrip()


def subprotocol(text: str) -> str:
    """Read the name of a subprotocol: a token (RFC 6455 section 4.1)."""
    if re.fullmatch(_NAME, text) is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no subprotocol: letters, digits and !#$%&'*+.^_`|~- only"
        )
    return text


def _value(text: str) -> str:
    if re.fullmatch(_VALUE, text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} has a control character")
    return text


def _proxy(text: str) -> str:
    try:
        parse_proxy(text)
    except InvalidProxy as exc:
        raise argparse.ArgumentTypeError(
            f"{printable(hide_secrets(text))} isn't a valid proxy: {exc.msg}"
        ) from None
    return text


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the URI, and the options for request, TLS and proxy."""
    parser.add_argument("uri", metavar="URI", help="ws://HOST[:PORT][/PATH] or wss://…")
    group = parser.add_argument_group("handshake")
    group.add_argument(
        "-H", "--header", action="append", type=_header, default=[], metavar="'NAME: VALUE'",
        help="send this header; may be repeated",
    )  # fmt: skip
    group.add_argument(
        "-s", "--subprotocol", action="append", type=subprotocol, metavar="NAME",
        help="offer this subprotocol; may be repeated, in order of preference",
    )  # fmt: skip
    group.add_argument("--origin", type=_value, help="send this Origin header")
    group.add_argument(
        "--user-agent", type=_value, metavar="TEXT", help="send this User-Agent header"
    )
    group.add_argument(
        "--auth", metavar="USER[:PASSWORD]",
        help="authenticate; asks for the password if it is not given, so that it stays out of the "
        "shell's history",
    )  # fmt: skip
    group.add_argument("--no-compression", action="store_true", help="offer no compression")
    group.add_argument(
        "--unix", metavar="PATH", help="connect to this Unix socket; the URI is what to ask it for"
    )
    _add_limits(parser)
    _add_security(parser)


def _add_limits(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("limits")
    group.add_argument(
        "--max-size", type=SIZE, default=2**20, metavar="BYTES",
        help="longest message to accept, 0 for any (default: 1M)",
    )  # fmt: skip
    group.add_argument(
        "--open-timeout", type=SECONDS, default=10.0, metavar="TIME",
        help="longest time for connecting, 0 for any (default: 10s)",
    )  # fmt: skip
    group.add_argument(
        "--close-timeout", type=SECONDS, default=10.0, metavar="TIME",
        help="longest time to wait for the server when closing (default: 10s)",
    )  # fmt: skip
    group.add_argument(
        "--ping-interval", type=SECONDS, default=20.0, metavar="TIME",
        help="time between keepalive pings, 0 for none (default: 20s)",
    )  # fmt: skip


def _add_security(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("TLS and proxies")
    group.add_argument(
        "-k", "--insecure", action="store_true",
        help="accept any certificate: anybody in between can read and change everything",
    )  # fmt: skip
    group.add_argument("--ca", metavar="FILE", help="trust the authorities in this file, no others")
    group.add_argument("--cert", metavar="FILE", help="show this certificate to the server")
    group.add_argument("--key", metavar="FILE", help="its key, unless it is in the same file")
    group.add_argument(
        "--server-name", metavar="NAME", help="name to ask for, and to expect in the certificate"
    )
    proxy = group.add_mutually_exclusive_group()
    proxy.add_argument(
        "--proxy", type=_proxy, metavar="URL",
        help="connect through this proxy: http://…, https://…, socks5h://… "
        "(default: the one that the environment names)",
    )  # fmt: skip
    proxy.add_argument("--no-proxy", action="store_true", help="connect without a proxy")


def target_from(options: argparse.Namespace) -> Target:
    """Read the options that :func:`add_options` adds.

    Raises:
        SystemExit: with code 2, when they make no sense; the reason is printed.
    """
    fail = options.parser.error
    uri: str = options.uri
    if options.auth is not None:
        uri = _with_credentials(uri, options.auth, fail)
    try:
        parsed = parse_uri(uri)
    except InvalidURI as exc:
        fail(f"{printable(hide_secrets(options.uri))} isn't a valid URI: {exc.msg}{_hint(uri)}")
    arguments: dict[str, Any] = {
        "additional_headers": options.header or None,
        "subprotocols": options.subprotocol,
        "origin": options.origin,
        "compression": None if options.no_compression else "deflate",
        "max_size": options.max_size or None,
        "open_timeout": options.open_timeout or None,
        "close_timeout": options.close_timeout,
        "ping_interval": options.ping_interval or None,
        "proxy": None if options.no_proxy or options.unix else options.proxy or True,
    }
    if options.user_agent is not None:
        arguments["user_agent_header"] = options.user_agent
    if options.unix:
        arguments |= {"unix": True, "path": options.unix}
    if options.key and not options.cert:
        fail("--key needs --cert")
    if parsed.secure:
        arguments["ssl"] = _tls(options, fail)
        if options.server_name:
            arguments["server_hostname"] = options.server_name
    elif options.insecure or options.ca or options.cert or options.server_name:
        fail("TLS options need a wss:// URI")
    return Target(uri, arguments)


def _with_credentials(uri: str, credentials: str, fail: Any) -> str:
    """Put credentials where the client looks for them: it knows when to send them, and how."""
    scheme, separator, rest = uri.partition("://")
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    if "@" in authority:
        fail("credentials both in the URI and in --auth")
    user, colon, password = credentials.partition(":")
    if not colon:
        from getpass import getpass

        try:
            password = getpass(f"Password of {printable(user)}: ")
        except EOFError:
            fail("no password given")
    return f"{scheme}{separator}{quote(user, '')}:{quote(password, '')}@{rest}"


def _hint(uri: str) -> str:
    scheme, separator, rest = uri.partition("://")
    if not separator:
        found = re.fullmatch(r"(:\d+|[\w.-]+(:\d+)?)(/\S*)?", uri)
        host = "localhost" if uri.startswith(":") else ""
        return f" (did you mean ws://{host}{uri}?)" if found else ""
    better = {"http": "ws", "https": "wss"}.get(scheme.lower())
    return (
        f" (did you mean {better}://{printable(hide_secrets('x://' + rest))[4:]}?)"
        if better
        else ""
    )


def _tls(options: argparse.Namespace, fail: Any) -> ssl.SSLContext:
    import ssl

    try:
        context = ssl.create_default_context(cafile=options.ca)
        if options.cert:
            context.load_cert_chain(options.cert, options.key)
    except (OSError, ssl.SSLError) as exc:
        # Neither of them says which file.
        files = " or ".join(repr(one) for one in (options.ca, options.cert, options.key) if one)
        fail(f"can't load {files}: {exc.strerror or exc}")
    if options.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
