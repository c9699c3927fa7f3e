"""WebSockets for Python: clients and servers for asyncio, threads and trio over one sans-I/O core.

The names of ``websockets``, each imported when it is first asked for: a program that only uses
the sans-I/O classes never pays for an event library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._build import build
from ._moved import Moved, resolver
from .version import version as __version__

if TYPE_CHECKING:
    from .asyncio.client import (
        ClientConnection,
        connect,
        unix_connect,
    )
    from .asyncio.router import (
        Router,
        route,
        unix_route,
    )
    from .asyncio.server import (
        Server,
        ServerConnection,
        basic_auth,
        broadcast,
        serve,
        unix_serve,
    )
    from .client import ClientProtocol
    from .datastructures import (
        Headers,
        HeadersLike,
        MultipleValuesError,
    )
    from .drop_in import install_as_websockets
    from .exceptions import (
        ConcurrencyError,
        ConnectionClosed,
        ConnectionClosedError,
        ConnectionClosedOK,
        DuplicateParameter,
        HeaderLineTooLong,
        InvalidHandshake,
        InvalidHeader,
        InvalidHeaderFormat,
        InvalidHeaderValue,
        InvalidMessage,
        InvalidMethod,
        InvalidOrigin,
        InvalidParameterName,
        InvalidParameterValue,
        InvalidProtocol,
        InvalidProxy,
        InvalidProxyMessage,
        InvalidProxyStatus,
        InvalidState,
        InvalidStatus,
        InvalidUpgrade,
        InvalidURI,
        NegotiationError,
        PayloadTooBig,
        ProtocolError,
        ProxyError,
        RateLimitExceeded,
        RequestLineTooLong,
        SecurityError,
        StatusLineTooLong,
        TooManyFragments,
        TooManyHeaders,
        WebSocketException,
    )
    from .frames import (
        Close,
        CloseCode,
        Frame,
        Opcode,
    )
    from .http11 import (
        Request,
        Response,
    )
    from .protocol import (
        Protocol,
        Side,
        State,
    )
    from .server import ServerProtocol
    from .typing import (
        Data,
        ExtensionName,
        ExtensionParameter,
        LoggerLike,
        Origin,
        StatusLike,
        Subprotocol,
    )

_HOMES = {
    "asyncio.client": (
        "ClientConnection",
        "connect",
        "unix_connect",
    ),
    "asyncio.router": (
        "route",
        "Router",
        "unix_route",
    ),
    "asyncio.server": (
        "basic_auth",
        "broadcast",
        "serve",
        "Server",
        "ServerConnection",
        "unix_serve",
    ),
    "client": ("ClientProtocol",),
    "datastructures": (
        "Headers",
        "HeadersLike",
        "MultipleValuesError",
    ),
    "drop_in": ("install_as_websockets",),
    "exceptions": (
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
        "InvalidUpgrade",
        "InvalidURI",
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
    ),
    "frames": (
        "Close",
        "CloseCode",
        "Frame",
        "Opcode",
    ),
    "http11": (
        "Request",
        "Response",
    ),
    "protocol": (
        "Protocol",
        "Side",
        "State",
    ),
    "server": ("ServerProtocol",),
    "typing": (
        "Data",
        "ExtensionName",
        "ExtensionParameter",
        "LoggerLike",
        "Origin",
        "StatusLike",
        "Subprotocol",
    ),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

_MOVED = {
    "AbortHandshake": Moved("legacy.exceptions", "a Response that process_request returns"),
    "BasicAuthWebSocketServerProtocol": Moved("legacy.auth", "basic_auth"),
    "InvalidStatusCode": Moved("legacy.exceptions", "InvalidStatus"),
    "RedirectHandshake": Moved("legacy.exceptions", "connect.process_redirect"),
    "WebSocketClientProtocol": Moved("legacy.client", "ClientConnection"),
    "WebSocketCommonProtocol": Moved("legacy.protocol", "ropeway.asyncio.connection.Connection"),
    "WebSocketProtocolError": Moved("exceptions:ProtocolError", "ProtocolError"),
    "WebSocketServer": Moved("legacy.server", "Server"),
    "WebSocketServerProtocol": Moved("legacy.server", "ServerConnection"),
    "WebSocketURI": Moved("uri", "ropeway.uri.WebSocketURI"),
    "basic_auth_protocol_factory": Moved("legacy.auth", "basic_auth"),
    "framing": Moved("legacy.framing:", "ropeway.frames"),
    "handshake": Moved("legacy.handshake:", "ClientProtocol and ServerProtocol"),
    "parse_uri": Moved("uri", "ropeway.uri.parse_uri"),
}
"""Names of websockets before versions 9 and 14, which programs still import."""

_SUBMODULES = frozenset(
    (
        "asgi",
        "asyncio",
        "auth",
        "client",
        "datastructures",
        "exceptions",
        "extensions",
        "frames",
        "headers",
        "http11",
        "legacy",
        "protocol",
        "proxy",
        "server",
        "sync",
        "trio",
        "typing",
        "uri",
        "utils",
    )
)

__all__ = [
    "ClientConnection",
    "ClientProtocol",
    "Close",
    "CloseCode",
    "ConcurrencyError",
    "ConnectionClosed",
    "ConnectionClosedError",
    "ConnectionClosedOK",
    "Data",
    "DuplicateParameter",
    "ExtensionName",
    "ExtensionParameter",
    "Frame",
    "HeaderLineTooLong",
    "Headers",
    "HeadersLike",
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
    "LoggerLike",
    "MultipleValuesError",
    "NegotiationError",
    "Opcode",
    "Origin",
    "PayloadTooBig",
    "Protocol",
    "ProtocolError",
    "ProxyError",
    "RateLimitExceeded",
    "Request",
    "RequestLineTooLong",
    "Response",
    "Router",
    "SecurityError",
    "Server",
    "ServerConnection",
    "ServerProtocol",
    "Side",
    "State",
    "StatusLike",
    "StatusLineTooLong",
    "Subprotocol",
    "TooManyFragments",
    "TooManyHeaders",
    "WebSocketException",
    "__version__",
    "basic_auth",
    "broadcast",
    "build",
    "connect",
    "install_as_websockets",
    "route",
    "serve",
    "unix_connect",
    "unix_route",
    "unix_serve",
]


_old_name = resolver(__name__, _MOVED, stacklevel=3)

if not TYPE_CHECKING:  # a type checker would take it as leave to use any name

    def __getattr__(name: str) -> Any:
        if home := _HOME.get(name):
            value = getattr(import_module(f".{home}", __name__), name)
        elif name in _SUBMODULES:
            return import_module(f".{name}", __name__)
        else:
            return _old_name(name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_SUBMODULES})
