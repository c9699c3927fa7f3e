"""What a plan may ask of the driver that runs it.

At any time a plan has at most one *stream*: the one opened last. A driver gives it up (abortively)
when the plan says `Discard`, and when the plan fails or is cancelled, wherever that happens; a
stream outlives its plan only as part of the connection that the plan returns.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from ssl import SSLContext
from typing import Any, TypeAlias, TypeVar

from ..datastructures import HeadersLike
from ..proxy import Proxy
from ..uri import WebSocketURI

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class OpenTCP:
    """Open a stream to ``host`` and ``port``, or over ``sock``, with TLS when there is an ``ssl``.

    Args:
        arguments: those of asyncio's ``create_connection``, by name; the caller's own go through
            unseen. ``happy_eyeballs_delay`` is a delay in seconds (RFC 8305).
    """

    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OpenUnix:
    """Open a stream to the Unix socket at ``path``, or over ``sock``.

    Args:
        arguments: those of asyncio's ``create_unix_connection``, by name.
    """

    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OpenSOCKS:
    """Open a stream to ``host`` and ``port`` by way of a SOCKS proxy, with TLS as in `OpenTCP`.

    Args:
        proxy: the proxy and how to speak with it.
        host: destination; the proxy resolves it for ``socks5h`` and ``socks4a``.
        port: destination.
        local_addr: local address to bind to, as ``(host, port)``.
        arguments: ``ssl``, ``server_hostname`` and the TLS timeouts.
    """

    proxy: Proxy
    host: str
    port: int
    local_addr: tuple[str, int] | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StartTLS:
    """Speak TLS from now on over the stream.

    Args:
        context: the client's TLS context.
        server_hostname: name to verify and to send in the greeting.
        arguments: ``ssl_handshake_timeout`` and ``ssl_shutdown_timeout``, in seconds.
    """

    context: SSLContext
    server_hostname: str | None
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Send:
    """Write ``data`` to the stream; the driver need not wait until it has left."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Receive:
    """Wait for bytes from the stream. Result: some bytes, none of them at its end."""


@dataclass(frozen=True, slots=True)
class Unread:
    """Put bytes back in front of what the stream receives next."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Handshake:
    """Make the stream a WebSocket connection. Result: the connection, open.

    Args:
        uri: where the connection leads; request target, ``Host`` and credentials come from it.
        additional_headers: headers that the caller adds, or sets instead of ours.
        user_agent_header: value of ``User-Agent``, None for none.
    """

    uri: WebSocketURI
    additional_headers: HeadersLike | None
    user_agent_header: str | None


@dataclass(frozen=True, slots=True)
class Discard:
    """Abort the stream and forget it."""


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Call:
    """Call ``function`` with ``arguments``. Result: what it returns, awaited if it can be."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...] = ()


Step: TypeAlias = (
    OpenTCP
    | OpenUnix
    | OpenSOCKS
    | StartTLS
    | Send
    | Receive
    | Unread
    | Handshake
    | Discard
    | Sleep
    | Call
)

Plan: TypeAlias = Generator[Step, Any, Result]
