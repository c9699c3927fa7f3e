"""Every exception that ropeway raises, in one tree under :exc:`WebSocketException`.

The room knows how to *tell* what went wrong; it knows nothing about who raises it. It imports no
other module of the package but the one for old names, so every module may import it.

::

    WebSocketException
    ├── ConnectionClosed
    │   ├── ConnectionClosedOK
    │   └── ConnectionClosedError
    ├── InvalidURI
    ├── InvalidProxy
    ├── InvalidHandshake
    │   ├── SecurityError
    │   │   ├── RequestLineTooLong, StatusLineTooLong, HeaderLineTooLong, TooManyHeaders
    │   ├── ProxyError
    │   │   ├── InvalidProxyMessage, InvalidProxyStatus
    │   ├── InvalidMessage, InvalidMethod, InvalidProtocol, InvalidStatus
    │   ├── InvalidHeader
    │   │   ├── InvalidHeaderFormat, InvalidHeaderValue, InvalidOrigin, InvalidUpgrade
    │   └── NegotiationError
    │       ├── DuplicateParameter, InvalidParameterName, InvalidParameterValue
    ├── ProtocolError
    ├── PayloadTooBig
    ├── TooManyFragments
    ├── RateLimitExceeded
    ├── InvalidState        (also an AssertionError)
    └── ConcurrencyError    (also a RuntimeError)
"""

from __future__ import annotations

import copyreg
import warnings
from typing import TYPE_CHECKING, Any

from ._moved import Moved, resolver

if TYPE_CHECKING:
    from . import frames, http11

__all__ = [
    "ConcurrencyError",
    "ConnectionClosed",
    "ConnectionClosedError",
    "ConnectionClosedOK",
    "DuplicateParameter",
    "HeaderLineTooLong",
    "InvalidHandshake",
    "InvalidHeader",
    "InvalidHeaderFormat",
    "InvalidHeaderValue",
    "InvalidMessage",
    "InvalidMethod",
    "InvalidOrigin",
    "InvalidParameterName",
    "InvalidParameterValue",
    "InvalidProtocol",
    "InvalidProxy",
    "InvalidProxyMessage",
    "InvalidProxyStatus",
    "InvalidState",
    "InvalidStatus",
    "InvalidURI",
    "InvalidUpgrade",
    "NegotiationError",
    "PayloadTooBig",
    "ProtocolError",
    "ProxyError",
    "RateLimitExceeded",
    "RequestLineTooLong",
    "SecurityError",
    "StatusLineTooLong",
    "TooManyFragments",
    "TooManyHeaders",
    "WebSocketException",
]

# RFC 6455, 7.1.5: what the close code is when no close frame was received. Written out, because
# importing it from frames would turn the arrow between the two modules around.
_ABNORMAL_CLOSURE = 1006


class WebSocketException(Exception):
    """Base of every exception defined by ropeway.

    Every subclass survives pickling and copying, whatever the signature of its ``__init__``.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        # The default calls the class with ``args``, which repeats deprecation warnings and fails
        # where ``args`` isn't what ``__init__`` takes.
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]


class ConnectionClosed(WebSocketException):
    """Raised when an operation needs a connection that is closed or closing.

    Args:
        rcvd: the close frame received from the peer, if any.
        sent: the close frame sent to the peer, if any.
        rcvd_then_sent: when both exist, whether the received one came first; None otherwise.

    Raises:
        AssertionError: when ``rcvd_then_sent`` is given without both frames, or missing with both.
    """

    def __init__(
        self,
        rcvd: frames.Close | None,
        sent: frames.Close | None,
        rcvd_then_sent: bool | None = None,
    ) -> None:
        self.rcvd = rcvd
        self.sent = sent
        self.rcvd_then_sent = rcvd_then_sent
        both = rcvd is not None and sent is not None
        assert both is (rcvd_then_sent is not None), "rcvd_then_sent goes with two close frames"

    def __str__(self) -> str:
        if self.rcvd is None:
            if self.sent is None:
                return "no close frame received or sent"
            return f"sent {self.sent}; no close frame received"
        if self.sent is None:
            return f"received {self.rcvd}; no close frame sent"
        if self.rcvd_then_sent:
            return f"received {self.rcvd}; then sent {self.sent}"
        return f"sent {self.sent}; then received {self.rcvd}"

    @property
    def code(self) -> int:
        """Close code received, or 1006. Deprecated: see the warning's text for what to use."""
        warnings.warn(
            "ConnectionClosed.code is deprecated; "
            "use Protocol.close_code or ConnectionClosed.rcvd.code",
            DeprecationWarning,
            stacklevel=2,
        )
        return _ABNORMAL_CLOSURE if self.rcvd is None else self.rcvd.code

    @property
    def reason(self) -> str:
        """Close reason received, or "". Deprecated: see the warning's text for what to use."""
        warnings.warn(
            "ConnectionClosed.reason is deprecated; "
            "use Protocol.close_reason or ConnectionClosed.rcvd.reason",
            DeprecationWarning,
            stacklevel=2,
        )
        return "" if self.rcvd is None else self.rcvd.reason


class ConnectionClosedOK(ConnectionClosed):
    """The connection was closed properly: codes 1000, 1001 or none, both ways (RFC 6455, 7.4)."""


class ConnectionClosedError(ConnectionClosed):
    """The connection ended with another close code, or without a closing handshake."""


class InvalidURI(WebSocketException):
    """Raised when a string isn't a usable WebSocket URI (RFC 6455, 3).

    Args:
        uri: the string as given.
        msg: what is wrong with it.
    """

    def __init__(self, uri: str, msg: str) -> None:
        self.uri = uri
        self.msg = msg

    def __str__(self) -> str:
        return f"{self.uri} isn't a valid URI: {self.msg}"


class InvalidProxy(WebSocketException):
    """Raised when a string isn't a usable proxy URL.

    Args:
        proxy: the string as given.
        msg: what is wrong with it.
    """

    def __init__(self, proxy: str, msg: str) -> None:
        self.proxy = proxy
        self.msg = msg

    def __str__(self) -> str:
        return f"{self.proxy} isn't a valid proxy: {self.msg}"


class InvalidHandshake(WebSocketException):
    """Base of the exceptions raised when the opening handshake fails (RFC 6455, 4)."""


class SecurityError(InvalidHandshake):
    """Raised when a handshake breaks a rule, or a limit, that protects this side."""


class RequestLineTooLong(SecurityError):
    """Raised when the first line of a request is over the limit."""


class StatusLineTooLong(SecurityError):
    """Raised when the first line of a response is over the limit."""


class HeaderLineTooLong(SecurityError):
    """Raised when one header line, or the whole head of a message, is over the limit."""


class TooManyHeaders(SecurityError):
    """Raised when a message has more headers than the limit."""


class ProxyError(InvalidHandshake):
    """Raised when the connection through a proxy fails."""


class InvalidProxyMessage(ProxyError):
    """Raised when the answer of an HTTP proxy can't be parsed."""


class InvalidProxyStatus(ProxyError):
    """Raised when an HTTP proxy refuses to connect.

    Args:
        response: the answer of the proxy.
    """

    def __init__(self, response: http11.Response) -> None:
        self.response = response

    def __str__(self) -> str:
        return f"proxy rejected connection: HTTP {self.response.status_code:d}"


class InvalidMessage(InvalidHandshake):
    """Raised when a handshake request or response can't be parsed."""


class InvalidMethod(InvalidHandshake):
    """Raised when a handshake request isn't a GET (RFC 6455, 4.2.1).

    Args:
        method: the method of the request.
    """

    def __init__(self, method: str) -> None:
        self.method = method

    def __str__(self) -> str:
        return f"unsupported HTTP method: {self.method}"


class InvalidProtocol(InvalidHandshake):
    """Raised when a handshake request isn't HTTP/1.1 (RFC 6455, 4.2.1).

    Args:
        protocol: the HTTP version of the request.
    """

    def __init__(self, protocol: str) -> None:
        self.protocol = protocol

    def __str__(self) -> str:
        return f"unsupported HTTP version: {self.protocol}"


class InvalidStatus(InvalidHandshake):
    """Raised when a server doesn't answer the handshake with 101 (RFC 6455, 4.1).

    Args:
        response: the answer of the server.
    """

    def __init__(self, response: http11.Response) -> None:
        self.response = response

    def __str__(self) -> str:
        return f"server rejected WebSocket connection: HTTP {self.response.status_code:d}"


class InvalidHeader(InvalidHandshake):
    """Raised when a header is missing, empty or invalid.

    Args:
        name: the name of the header.
        value: its value; None when the header is missing.
    """

    def __init__(self, name: str, value: str | None = None) -> None:
        self.name = name
        self.value = value

    def __str__(self) -> str:
        if self.value is None:
            return f"missing {self.name} header"
        if self.value == "":
            return f"empty {self.name} header"
        return f"invalid {self.name} header: {self.value}"


class InvalidHeaderFormat(InvalidHeader):
    """Raised when a header doesn't follow its grammar.

    Args:
        name: the name of the header.
        error: what was expected.
        header: the value of the header.
        pos: the index in ``header`` at which the grammar is broken.
    """

    def __init__(self, name: str, error: str, header: str, pos: int) -> None:
        super().__init__(name, f"{error} at {pos} in {header}")


class InvalidHeaderValue(InvalidHeader):
    """Raised when a header follows its grammar, but its value is wrong or can't be sent."""


class InvalidOrigin(InvalidHeader):
    """Raised when the origin of a request isn't allowed (RFC 6455, 10.2).

    Args:
        origin: the value of the Origin header; None when it is missing.
    """

    def __init__(self, origin: str | None) -> None:
        super().__init__("Origin", origin)


class InvalidUpgrade(InvalidHeader):
    """Raised when Connection or Upgrade don't ask for a WebSocket (RFC 6455, 4)."""


class NegotiationError(InvalidHandshake):
    """Raised when client and server don't agree on an extension or a subprotocol."""


class DuplicateParameter(NegotiationError):
    """Raised when an extension parameter is repeated.

    Args:
        name: the name of the parameter.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return f"duplicate parameter: {self.name}"


class InvalidParameterName(NegotiationError):
    """Raised when an extension doesn't know a parameter.

    Args:
        name: the name of the parameter.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return f"invalid parameter name: {self.name}"


class InvalidParameterValue(NegotiationError):
    """Raised when the value of an extension parameter isn't allowed.

    Args:
        name: the name of the parameter.
        value: its value; None when the parameter has none.
    """

    def __init__(self, name: str, value: str | None) -> None:
        self.name = name
        self.value = value

    def __str__(self) -> str:
        if self.value is None:
            return f"missing value for parameter {self.name}"
        if self.value == "":
            return f"empty value for parameter {self.name}"
        return f"invalid value for parameter {self.name}: {self.value}"


class ProtocolError(WebSocketException):
    """Raised when a frame, received or to be sent, breaks the protocol (close code 1002)."""


class PayloadTooBig(WebSocketException):
    """Raised when a frame would make a message larger than the limit (close code 1009).

    The limit counts a whole message, the sizes here are those of its last frame; ``max_size`` is
    given as what was left for this frame and kept as what was allowed for the message.

    Args:
        size_or_message: bytes of payload in the frame, None if not known. Giving a message
            instead is deprecated.
        max_size: bytes that the frame was allowed to have.
        current_size: bytes of the message received in earlier frames.

    Raises:
        AssertionError: when ``max_size`` is missing, or given next to a message.
    """

    message: str | None
    size: int | None
    max_size: int | None
    current_size: int | None

    def __init__(
        self,
        size_or_message: int | str | None,
        max_size: int | None = None,
        current_size: int | None = None,
    ) -> None:
        self.message = None
        self.size = None
        self.max_size = None
        self.current_size = None
        if isinstance(size_or_message, str):
            assert max_size is None and current_size is None, "a message goes without sizes"
            warnings.warn(
                "PayloadTooBig(message) is deprecated; change to PayloadTooBig(size, max_size)",
                DeprecationWarning,
                stacklevel=2,
            )
            self.message = size_or_message
            return
        assert max_size is not None, "max_size is required"
        self.size = size_or_message
        self.max_size = max_size
        self.set_current_size(current_size)

    def __str__(self) -> str:
        if self.message is not None:
            return self.message
        text = "frame"
        if self.size is not None:
            text += f" with {self.size} bytes"
        if self.current_size is not None:
            text += f" after reading {self.current_size} bytes"
        return f"{text} exceeds limit of {self.max_size} bytes"

    def set_current_size(self, current_size: int | None) -> None:
        """Add what earlier frames of the message held, when that is known only further up.

        Args:
            current_size: bytes received in earlier frames; None changes nothing.

        Raises:
            AssertionError: when it was set before, or the exception has only a message.
        """
        assert self.current_size is None, "current_size is already set"
        if current_size is not None:
            assert self.max_size is not None, "sizes don't go with a message"
            self.max_size += current_size
            self.current_size = current_size


class TooManyFragments(WebSocketException):
    """Raised when a message has more frames than allowed (close code 1009).

    Args:
        max_fragments: the number of frames that is allowed.
    """

    def __init__(self, max_fragments: int) -> None:
        super().__init__(f"fragmented message exceeds limit of {max_fragments} frames")
        self.max_fragments = max_fragments


class RateLimitExceeded(WebSocketException):
    """Raised when a peer sends more than it may in the time (close code 1008).

    Args:
        what: of what it sends too much: "messages" or "bytes".
        rate: how many it may send a second.
        burst: how many may come at once.
    """

    def __init__(self, what: str, rate: float, burst: float) -> None:
        super().__init__(f"more than {rate:.15g} {what} a second, and {burst:.15g} at once")
        self.what = what
        self.rate = rate
        self.burst = burst


class InvalidState(WebSocketException, AssertionError):
    """Raised when an operation isn't possible in the state of the connection."""


class ConcurrencyError(WebSocketException, RuntimeError):
    """Raised when two tasks or threads receive, or stream a message, at the same time."""


if not TYPE_CHECKING:
    __getattr__ = resolver(
        __name__,
        {
            "AbortHandshake": Moved("legacy.exceptions", "a Response that process_request returns"),
            "InvalidStatusCode": Moved("legacy.exceptions", "ropeway.exceptions.InvalidStatus"),
            "RedirectHandshake": Moved(
                "legacy.exceptions", "ropeway.asyncio.client.connect.process_redirect"
            ),
            "WebSocketProtocolError": Moved(
                "exceptions:ProtocolError", "ropeway.exceptions.ProtocolError"
            ),
        },
    )
