"""The sans-I/O client: a connection that begins with sending a handshake request."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

from ._core.handshake import check_upgrade, single_value
from ._core.head import HeadReader
from ._core.logs import DEBUG
from ._core.retry import backoff, process_exception
from ._core.states import CLIENT, CONNECTING, OPEN, State
from ._core.stream import StreamReader
from ._core.tracebacks import without_frames
from ._moved import Moved, resolver
from .datastructures import Headers
from .exceptions import (
    InvalidHandshake,
    InvalidHeader,
    InvalidHeaderValue,
    InvalidMessage,
    InvalidStatus,
    NegotiationError,
    StatusLineTooLong,
)
from .extensions import ClientExtensionFactory, Extension
from .headers import (
    build_authorization_basic,
    build_extension,
    build_host,
    build_subprotocol,
    parse_extension,
    parse_subprotocol,
)
from .http11 import Request, Response, parse_response, response_body
from .protocol import Protocol
from .typing import BytesLike, ExtensionHeader, Origin, Subprotocol
from .uri import WebSocketURI
from .utils import accept_key, generate_key

if TYPE_CHECKING:
    from .typing import LoggerLike

__all__ = ["ClientProtocol", "backoff", "process_exception"]


class ClientProtocol(Protocol):
    """A client's WebSocket connection without I/O."""

    __slots__ = (
        "_body",
        "_body_stream",
        "_head",
        "_response",
        "available_extensions",
        "available_subprotocols",
        "key",
        "uri",
    )

    def __init__(
        self,
        uri: WebSocketURI,
        *,
        origin: Origin | None = None,
        extensions: Sequence[ClientExtensionFactory] | None = None,
        subprotocols: Sequence[Subprotocol] | None = None,
        state: State = CONNECTING,
        max_size: int | tuple[int | None, int | None] | None = 2**20,
        logger: LoggerLike | None = None,
    ) -> None:
        """Make a connection.

        Args:
            uri: address of the server, from :func:`ropeway.uri.parse_uri`.
            origin: value of the Origin header.
            extensions: factories of the extensions to offer, in order of preference.
            subprotocols: subprotocols to offer, in order of preference.
            state: state to begin with.
            max_size: limit on incoming messages, in bytes; None for no limit; a pair limits
                messages and fragments apart.
            logger: where facts are logged; ``ropeway.client`` by default.

        """
        super().__init__(CLIENT, state=state, max_size=max_size, logger=logger)
        self.uri: WebSocketURI = uri
        self.origin = origin
        self.available_extensions: Sequence[ClientExtensionFactory] | None = extensions
        self.available_subprotocols: Sequence[Subprotocol] | None = subprotocols
        self.key: str = generate_key()
        self._head = HeadReader(StatusLineTooLong)
        self._response: Response | None = None
        self._body_stream = StreamReader()
        self._body: Generator[None, None, BytesLike] | None = None

    def connect(self) -> Request:
        """Make the handshake request (RFC 6455 section 4.1).

        Returns:
            The request, which may be changed before it goes to :meth:`send_request`.

        """
        headers = Headers()
        headers["Host"] = build_host(self.uri.host, self.uri.port, self.uri.secure)
        if self.uri.user_info:
            headers["Authorization"] = build_authorization_basic(*self.uri.user_info)
        if self.origin is not None:
            headers["Origin"] = self.origin
        headers["Upgrade"] = "websocket"
        headers["Connection"] = "Upgrade"
        headers["Sec-WebSocket-Key"] = self.key
        headers["Sec-WebSocket-Version"] = "13"
        if self.available_extensions is not None:
            headers["Sec-WebSocket-Extensions"] = build_extension(
                [
                    (factory.name, factory.get_request_params())
                    for factory in self.available_extensions
                ]
            )
        if self.available_subprotocols is not None:
            headers["Sec-WebSocket-Protocol"] = build_subprotocol(self.available_subprotocols)
        return Request(self.uri.resource_name, headers)

    def send_request(self, request: Request) -> None:
        """Send the handshake request.

        Args:
            request: what :meth:`connect` made.

        Raises:
            ValueError: when the request holds characters that HTTP doesn't allow.

        """
        serialized = request.serialize()
        if self.debug:
            self.logger.debug("> GET %s HTTP/1.1", request.path)
            for name, value in request.headers.raw_items():
                self.logger.debug("> %s: %s", name, value)
        self.writer.write_raw(serialized)

    def process_response(self, response: Response) -> None:
        """Check the handshake response and set what was negotiated (RFC 6455 section 4.1).

        Args:
            response: what the server answered.

        Raises:
            InvalidHandshake: when the server refused, or answered wrongly.

        """
        if response.status_code != 101:
            raise InvalidStatus(response)
        headers = response.headers
        check_upgrade(headers)
        accept = single_value(headers, "Sec-WebSocket-Accept")
        if accept != accept_key(self.key):
            raise InvalidHeaderValue("Sec-WebSocket-Accept", accept)
        self.extensions = self.process_extensions(headers)
        self.subprotocol: Subprotocol | None = self.process_subprotocol(headers)

    def process_extensions(self, headers: Headers) -> list[Extension]:
        """Accept the extensions that the server chose (RFC 6455 section 9.1).

        Args:
            headers: of the response.

        Returns:
            The extensions, configured, in the server's order.

        Raises:
            InvalidHandshake: when one wasn't offered, or its parameters can't be accepted.

        """
        values = headers.get_all("Sec-WebSocket-Extensions")
        if values and self.available_extensions is None:
            raise NegotiationError("no extensions supported")
        accepted: list[Extension] = []
        for value in values:
            for chosen in parse_extension(value):
                accepted.append(self._accept_extension(chosen, accepted))
        return accepted

    def _accept_extension(self, chosen: ExtensionHeader, accepted: list[Extension]) -> Extension:
        name, params = chosen
        for factory in self.available_extensions or ():
            if factory.name == name:
                try:
                    return factory.process_response_params(params, accepted)
                except NegotiationError:
                    continue  # another factory of that name may match
        raise NegotiationError(f"Unsupported extension: name = {name}, params = {params}")

    def process_subprotocol(self, headers: Headers) -> Subprotocol | None:
        """Accept the subprotocol that the server chose.

        Args:
            headers: of the response.

        Returns:
            The subprotocol; None without one.

        Raises:
            InvalidHandshake: when it wasn't offered, or is more than one.

        """
        values = headers.get_all("Sec-WebSocket-Protocol")
        if not values:
            return None
        if self.available_subprotocols is None:
            raise NegotiationError("no subprotocols supported")
        chosen = [subprotocol for value in values for subprotocol in parse_subprotocol(value)]
        if len(chosen) > 1:
            raise InvalidHeader("Sec-WebSocket-Protocol", f"multiple values: {', '.join(chosen)}")
        if chosen[0] not in self.available_subprotocols:
            raise NegotiationError(f"unsupported subprotocol: {chosen[0]}")
        return chosen[0]

    # The engine's opening

    def _receive_opening(self, data: bytes) -> bytes | None:
        try:
            if self._response is None:
                head = self._head.feed(data)
                if head is None:
                    return None
                self._response = parse_response(head[0])
                self._body = response_body(
                    self._response,
                    self._body_stream.read_line,
                    self._body_stream.read_exact,
                    self._body_stream.read_to_eof,
                )
                data = head[1]
            self._body_stream.feed_data(data)
            return self._read_body()
        except Exception as exc:
            self._refuse(self._wrapped(exc))
            return None

    def _read_body(self) -> bytes | None:
        assert self._body is not None and self._response is not None
        try:
            next(self._body)
        except StopIteration as stop:
            self._response.body = stop.value
            self._body = None
            self._finish_opening(self._response)
            return bytes(self._body_stream.buffer)
        return None

    def _finish_opening(self, response: Response) -> None:
        if self.logger.isEnabledFor(DEBUG):
            self.logger.debug("< HTTP/1.1 %d %s", response.status_code, response.reason_phrase)
            for name, value in response.headers.raw_items():
                self.logger.debug("< %s: %s", name, value)
            if response.body:
                self.logger.debug("< [body] (%d bytes)", len(response.body))
        try:
            self.process_response(response)
        except InvalidHandshake as exc:
            self.events.append(response)
            self._refuse(exc)
            return
        self.state = OPEN
        self.events.append(response)

    def _opening_ended(self) -> None:
        try:
            if self._body is None:
                where = "headers" if self._head.past_first_line else "status line"
                raise EOFError(f"connection closed while reading HTTP {where}")
            self._body_stream.feed_eof()
            self._read_body()
        except Exception as exc:
            self._refuse(self._wrapped(exc))

    def _opening_expired(self) -> None:
        self._refuse(TimeoutError("timed out during opening handshake"))

    def _wrapped(self, exc: Exception) -> Exception:
        if isinstance(exc, StatusLineTooLong):
            return exc
        invalid = InvalidMessage("did not receive a valid HTTP response")
        invalid.__cause__ = exc
        return invalid

    def _refuse(self, exc: Exception) -> None:
        self.handshake_exc: Exception | None = without_frames(exc)
        self.send_eof()
        self.discarding = True


if not TYPE_CHECKING:
    __getattr__ = resolver(
        __name__,
        {
            "ClientConnection": Moved("client:ClientProtocol", "ropeway.client.ClientProtocol"),
            "WebSocketClientProtocol": Moved(
                "legacy.client", "ropeway.asyncio.client.ClientConnection"
            ),
            "connect": Moved("legacy.client", "ropeway.asyncio.client.connect"),
            "unix_connect": Moved("legacy.client", "ropeway.asyncio.client.unix_connect"),
        },
    )
