"""What callers of connect() and serve() can say, checked once, before anything is opened."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from .._core.logs import default_logger
from .._core.reader import size_limits
from .._core.retry import backoff, process_exception
from .._core.rules import (
    DEFAULT_SLOW_LIMIT,
    DEFAULT_SLOW_TIMEOUT,
    Rules,
    SlowConsumer,
    rate_and_burst,
    slowness,
)
from .._core.writer import write_marks
from ..datastructures import HeadersLike, is_text
from ..extensions.base import ClientExtensionFactory, ServerExtensionFactory
from ..extensions.permessage_deflate import (
    enable_client_permessage_deflate,
    enable_server_permessage_deflate,
)
from ..headers import validate_subprotocols
from ..http11 import SERVER, USER_AGENT
from ..typing import LoggerLike, Origin, Subprotocol
from ..uri import WebSocketURI, parse_uri

Limits = int | None | tuple[int | None, int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What both sides can say.

    Invariants: every option has been checked; ``logger`` is a logger; ``stream`` holds what goes
    to the event library unseen (``sock``, ``ssl``, ``local_addr`` …); ``write_limit`` is None where
    a driver has no write buffer to limit.
    """

    compression: str | None = "deflate"
    compression_threshold: int = 64
    open_timeout: float | None = 10
    ping_interval: float | None = 20
    ping_timeout: float | None = 20
    close_timeout: float | None = 10
    max_size: Limits = 2**20
    max_queue: Limits = 16
    write_limit: Limits = None
    logger: LoggerLike | None = None
    create_connection: Callable[..., Any] | None = None
    subprotocols: Sequence[Subprotocol] | None = None
    stream: Mapping[str, Any] = field(default_factory=dict)

    def _check(self, side: str) -> None:
        if self.compression not in (None, "deflate"):
            raise ValueError(f"unsupported compression: {self.compression}")
        for name in ("open_timeout", "ping_interval", "ping_timeout", "close_timeout"):
            seconds = getattr(self, name)
            if seconds is not None and seconds < 0:
                raise ValueError(f"{name} is {seconds} seconds, below 0")
        size_limits(self.max_size)
        write_marks(self.write_limit)
        if self.compression_threshold < 0:
            raise ValueError(f"compression_threshold is {self.compression_threshold}, below 0")
        if self.subprotocols is not None:
            validate_subprotocols(self.subprotocols)
        if self.logger is None:
            object.__setattr__(self, "logger", default_logger(side))

    @property
    def deflates(self) -> bool:
        """Whether permessage-deflate is to be offered or accepted by default."""
        return self.compression == "deflate"

    def connection_arguments(self) -> dict[str, Any]:
        """Return the arguments of every driver's ``Connection``, by name."""
        arguments: dict[str, Any] = {
            "ping_interval": self.ping_interval,
            "ping_timeout": self.ping_timeout,
            "close_timeout": self.close_timeout,
            "max_queue": self.max_queue,
        }
        if self.write_limit is not None:
            arguments["write_limit"] = self.write_limit
        return arguments


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectOptions(Options):
    """What a caller of connect() can say; ``ws_uri`` is ``uri``, parsed.

    Args:
        uri: where to connect.
        carrier: what the front end calls a connection given to it, for exceptions.
        override: what it calls that which leads the stream elsewhere.

    Raises:
        InvalidURI: when ``uri`` is not a WebSocket URI.
        ValueError: when a value is out of its range or two options contradict each other.
        TypeError: when an option has the wrong type.
    """

    uri: str
    ws_uri: WebSocketURI = field(init=False)
    origin: Origin | None = None
    extensions: Sequence[ClientExtensionFactory] | None = None
    additional_headers: HeadersLike | None = None
    user_agent_header: str | None = USER_AGENT
    preemptive_basic: bool = True
    proxy: str | Literal[True] | None = True
    process_exception: Callable[[Exception], Exception | None] = process_exception
    reconnect_delays: Callable[[], Generator[float, None, None]] = backoff
    carrier: str = "socket"
    override: str = "host or port"

    def __post_init__(self) -> None:
        object.__setattr__(self, "ws_uri", parse_uri(self.uri))
        self._check("client")
        ssl = self.stream.get("ssl")
        if self.ws_uri.secure:
            if "ssl" in self.stream and ssl is None:
                raise ValueError("ssl=None is incompatible with a wss:// URI")
        elif ssl is not None:
            raise ValueError("ssl argument is incompatible with a ws:// URI")
        if self.proxy is not None and self.proxy is not True and not isinstance(self.proxy, str):
            raise TypeError(f"proxy is {self.proxy!r}, neither an address nor True nor None")

    def protocol_arguments(self) -> dict[str, Any]:
        """Return the arguments of ``ClientProtocol``, by name, except the URI."""
        extensions = self.extensions
        if self.deflates:
            extensions = enable_client_permessage_deflate(
                extensions, threshold=self.compression_threshold
            )
        return {
            "origin": self.origin,
            "extensions": extensions,
            "subprotocols": self.subprotocols,
            "max_size": self.max_size,
            "logger": self.logger,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions(Options):
    """What a caller of serve() can say.

    Args:
        origins: allowed values of ``Origin``, None for requests without one; "same-origin" for
            those whose origin is the host that they ask for.
        hosts: names that requests may have in ``Host``, any when None.
        max_connections: number of open connections above which requests get a 503.
        max_handshakes: number of opening handshakes at a time above which clients get a 503.
        slow_consumer: what to do about peers that don't keep up.
        slow_limit: bytes that may wait to be written to a connection.
        slow_timeout: seconds in which a peer has to take something.
        max_connection_age: seconds that a connection may be open.
        idle_timeout: seconds that a connection may be open without a message.
        max_message_rate: messages a second that a client may send, or a pair of rate and burst.
        max_byte_rate: the same of bytes on the wire.

    Invariants: ``rules`` is what is asked of each connection, made of the options.

    Raises:
        ValueError: when a value is out of its range.
        TypeError: when an option has the wrong type.
    """

    origins: Sequence[Origin | re.Pattern[str] | None] | Literal["same-origin"] | None = None
    hosts: Sequence[str] | None = None
    extensions: Sequence[ServerExtensionFactory] | None = None
    select_subprotocol: Callable[..., Any] | None = None
    process_request: Callable[..., Any] | None = None
    process_response: Callable[..., Any] | None = None
    server_header: str | None = SERVER
    max_connections: int | None = None
    max_handshakes: int | None = None
    slow_consumer: SlowConsumer = "wait"
    slow_limit: int = DEFAULT_SLOW_LIMIT
    slow_timeout: float | None = DEFAULT_SLOW_TIMEOUT
    max_connection_age: float | None = None
    idle_timeout: float | None = None
    max_message_rate: float | tuple[float, float] | None = None
    max_byte_rate: float | tuple[float, float] | None = None
    rules: Rules = field(init=False)

    def __post_init__(self) -> None:
        self._check("server")
        if isinstance(self.origins, str) and self.origins != "same-origin":
            raise TypeError(f"origins is {self.origins!r}, neither a list nor 'same-origin'")
        if isinstance(self.hosts, str):
            raise TypeError(f"hosts is {self.hosts!r}, not a list")
        if self.server_header is not None and not is_text(self.server_header):
            raise ValueError(f"server_header is {self.server_header!r}, which can't be sent")
        for name in ("max_connections", "max_handshakes"):
            most = getattr(self, name)
            if most is not None and most < 1:
                raise ValueError(f"{name} is {most}, below 1")
        for name in ("max_connection_age", "idle_timeout"):
            seconds = getattr(self, name)
            if seconds is not None and not seconds > 0:
                raise ValueError(f"{name} is {seconds} seconds, not above 0")
        rules = Rules(
            slowness=slowness(self.slow_consumer, self.slow_limit, self.slow_timeout),
            idle_timeout=self.idle_timeout,
            max_age=self.max_connection_age,
            message_rate=rate_and_burst("max_message_rate", self.max_message_rate),
            byte_rate=rate_and_burst("max_byte_rate", self.max_byte_rate),
        )
        object.__setattr__(self, "rules", rules)

    def protocol_arguments(self) -> dict[str, Any]:
        """Return those arguments of ``ServerProtocol`` that are the same in all drivers."""
        extensions = self.extensions
        if self.deflates:
            extensions = enable_server_permessage_deflate(
                extensions, threshold=self.compression_threshold
            )
        return {
            "extensions": extensions,
            "subprotocols": self.subprotocols,
            "max_size": self.max_size,
            "logger": self.logger,
        }


def modernize(
    arguments: dict[str, Any], *, additional_headers: HeadersLike | None = None, stacklevel: int = 3
) -> HeadersLike | None:
    """Take deprecated spellings out of ``arguments``, with a warning for each.

    Args:
        arguments: keyword arguments that have no parameter of their own; changed in place.
        additional_headers: what the caller gave under the current name.
        stacklevel: distance of the line to blame, as in `warnings.warn`.

    Returns:
        The additional headers, under whichever name they were given.

    Raises:
        TypeError: when they were given under both names.
    """
    if "read_limit" in arguments:
        del arguments["read_limit"]
        message = "read_limit has no effect; max_queue limits what is received ahead"
        warnings.warn(message, DeprecationWarning, stacklevel=stacklevel)
    if "extra_headers" in arguments:
        extra_headers = arguments.pop("extra_headers")
        if additional_headers is not None:
            raise TypeError("extra_headers is the old name of additional_headers: give only one")
        message = "extra_headers is deprecated; use additional_headers"
        warnings.warn(message, DeprecationWarning, stacklevel=stacklevel)
        return extra_headers  # type: ignore[no-any-return]
    return additional_headers
