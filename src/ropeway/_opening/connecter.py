"""What ``connect`` is on every driver, apart from waiting: options, redirects, new connections."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..client import ClientProtocol
from ..datastructures import HeadersLike
from ..uri import WebSocketURI
from . import redirects
from .connecting import connect_plan
from .options import ConnectOptions
from .reconnecting import Reconnecting
from .steps import Plan


class Connecter:
    """Knows where to connect, and how, each time that it is asked to.

    Args:
        options: what the caller of connect() said.
        make_connection: makes a connection of the driver, unless the caller has another way.
    """

    def __init__(self, options: ConnectOptions, make_connection: Callable[..., Any]) -> None:
        self._options = self._asked = options
        self._create_connection = options.create_connection or make_connection

    @property
    def uri(self) -> str:
        """URI to connect to; in `process_redirect`, that of the server which redirects."""
        return self._options.uri

    @property
    def additional_headers(self) -> HeadersLike | None:
        """Headers that the next request adds to ours; a program may set others in between."""
        return self._asked.additional_headers

    @additional_headers.setter
    def additional_headers(self, headers: HeadersLike | None) -> None:
        self._options = self._asked = replace(self._asked, additional_headers=headers)

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Tell what to do about an exception of the handshake; override it to follow no redirect.

        Args:
            exc: what the handshake raised.

        Returns:
            The URI to connect to instead, or the exception to raise.

        Raises:
            InvalidURI: when the server redirects to something else than a WebSocket URI.
        """
        return redirects.process_redirect(self._options, exc)

    def _plan(self) -> Plan[Any]:
        # Each connection starts from what the caller asked for: redirects may be temporary.
        self._options = self._asked
        return connect_plan(self._asked, self._process_redirect)

    def _process_redirect(self, options: ConnectOptions, exc: Exception) -> Exception | str:
        self._options = options
        return self.process_redirect(exc)

    def _make_connection(self, uri: WebSocketURI, *stream: Any) -> Any:
        options = self._asked
        protocol = ClientProtocol(uri, **options.protocol_arguments())
        return self._create_connection(*stream, protocol, **options.connection_arguments())

    def _reconnecting(self) -> Reconnecting:
        options = self._asked
        assert options.logger is not None  # set by the options themselves
        return Reconnecting(options.process_exception, options.reconnect_delays, options.logger)


def unix_uri(uri: str | None, secure: bool) -> str:
    """Give the URI to ask for on a Unix socket, where the caller named none."""
    if uri is not None:
        return uri
    return "wss://localhost/" if secure else "ws://localhost/"
