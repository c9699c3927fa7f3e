"""The sans-I/O server: a connection that begins with answering a handshake request."""

from __future__ import annotations

import base64
import binascii
import http
import re
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ._core.engine import Engine
from ._core.handshake import check_upgrade, single_value
from ._core.head import HeadReader, is_head, read_request
from ._core.states import CONNECTING, OPEN, SERVER, State
from ._core.tracebacks import without_frames
from ._moved import Moved, resolver
from .datastructures import Headers, MultipleValuesError, is_plain
from .exceptions import (
    HeaderLineTooLong,
    InvalidHandshake,
    InvalidHeader,
    InvalidHeaderValue,
    InvalidMessage,
    InvalidMethod,
    InvalidOrigin,
    InvalidProtocol,
    InvalidState,
    InvalidUpgrade,
    NegotiationError,
    RequestLineTooLong,
    TooManyHeaders,
)
from .extensions import Extension, ServerExtensionFactory
from .headers import build_extension, parse_extension, parse_subprotocol
from .http11 import Request, Response, http_date
from .protocol import Protocol
from .typing import (
    ExtensionHeader,
    Origin,
    StatusLike,
    Subprotocol,
)
from .utils import accept_key

if TYPE_CHECKING:
    from .typing import LoggerLike

__all__ = ["InvalidHost", "ServerProtocol"]

SelectSubprotocol = Callable[["ServerProtocol", Sequence[Subprotocol]], Subprotocol | None]
Origins = Sequence[Origin | re.Pattern[str] | None] | str

# 4.2.1: the only version that there is.
VERSION = "13"

# What all responses that accept begin with, as it is sent.
ACCEPTANCE = "Date: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
ACCEPT = "Sec-WebSocket-Accept: %s\r\n"

NOT_FOR_BROWSERS = (
    "\n\nYou cannot access a WebSocket server directly with a browser. You need a WebSocket client."
)
SEE_LOG = "Failed to open a WebSocket connection.\nSee server log for more information.\n"


class InvalidHost(InvalidHeader):
    """Raised when the Host header of a request isn't in the server's ``hosts``."""


class ServerProtocol(Protocol):
    """A server's WebSocket connection without I/O."""

    __slots__ = (
        "_choose_subprotocol",
        "_head",
        "accept_called",
        "available_extensions",
        "available_subprotocols",
        "hosts",
        "origins",
    )

    def __init__(
        self,
        *,
        origins: Origins | None = None,
        extensions: Sequence[ServerExtensionFactory] | None = None,
        subprotocols: Sequence[Subprotocol] | None = None,
        select_subprotocol: SelectSubprotocol | None = None,
        state: State = CONNECTING,
        max_size: int | tuple[int | None, int | None] | None = 2**20,
        logger: LoggerLike | None = None,
        hosts: Sequence[str] | None = None,
    ) -> None:
        """Make a connection.

        Args:
            origins: acceptable values of the Origin header: strings, patterns that match as a
                whole, None where its absence is fine; or ``"same-origin"`` to demand that it names
                the Host of the request.
            extensions: factories of the extensions to accept.
            subprotocols: subprotocols to accept, in order of preference.
            select_subprotocol: chooses a subprotocol instead of :meth:`select_subprotocol`.
            state: state to begin with.
            max_size: limit on incoming messages, in bytes; None for no limit; a pair limits
                messages and fragments apart.
            logger: where facts are logged; ``ropeway.server`` by default.
            hosts: acceptable values of the Host header, with or without a port; None for all.

        Raises:
            ValueError: when ``origins`` is another string than ``"same-origin"``.

        """
        super().__init__(SERVER, state=state, max_size=max_size, logger=logger)
        if isinstance(origins, str) and origins != "same-origin":
            raise ValueError(f"origins must be a list or 'same-origin': {origins!r}")
        self.origins = origins
        self.hosts: frozenset[str] | None = (
            None if hosts is None else frozenset(host.lower() for host in hosts)
        )
        self.available_extensions: Sequence[ServerExtensionFactory] | None = extensions
        self.available_subprotocols: Sequence[Subprotocol] | None = subprotocols
        self._choose_subprotocol = select_subprotocol
        self._head: HeadReader | None = None
        # Whether a handshake was tried, rather than a plain HTTP response sent.
        self.accept_called: bool = False

    def _another(self) -> ServerProtocol:
        """Make a connection with the same options, which were checked for this one."""
        other = ServerProtocol.__new__(ServerProtocol)
        Engine._begin(
            other,
            SERVER,
            CONNECTING,
            self.max_message_size,
            self.max_fragment_size,
            self.logger,
        )
        other._set_out()
        other.origins = self.origins
        other.hosts = self.hosts
        other.available_extensions = self.available_extensions
        other.available_subprotocols = self.available_subprotocols
        other._choose_subprotocol = self._choose_subprotocol
        other._head = None
        other.accept_called = False
        return other

    def accept(self, request: Request) -> Response:
        """Answer a handshake request (RFC 6455 section 4.2).

        Args:
            request: what the client sent.

        Returns:
            A response with status 101, or one that refuses and says why. It may be changed before
            it goes to :meth:`send_response`.

        """
        self.accept_called = True
        try:
            accept, extensions, subprotocol = self.process_request(request)
        except Exception as exc:
            return self._refusal(request, exc)
        request.headers._compact()
        block = ACCEPTANCE % http_date(time.time())
        if is_plain(accept):
            headers = Headers._from_block(f"{block}{ACCEPT % accept}\r\n".encode(), None)
        else:  # a subclass may say anything
            headers = Headers._from_block(f"{block}\r\n".encode(), None)
            headers._append("Sec-WebSocket-Accept", accept)
        if extensions is not None:
            headers._append("Sec-WebSocket-Extensions", extensions)
        if subprotocol is not None:
            headers._append("Sec-WebSocket-Protocol", subprotocol)
        return Response(101, "Switching Protocols", headers)

    def _refusal(self, request: Request, exc: Exception) -> Response:
        """Turn the reason for refusing a request into a response, and log it."""
        matches = [refusal for refusal in REFUSALS if isinstance(exc, refusal[0])]
        if not matches:
            self.logger.error("opening handshake failed", exc_info=exc)
            self.handshake_exc = request._exception = without_frames(exc)
            return self.reject(http.HTTPStatus.INTERNAL_SERVER_ERROR, SEE_LOG)
        kind, status, fact = matches[0]
        if self.debug:
            self.logger.debug("! %s", fact, exc_info=exc)
        reasons = [str(exc)]
        cause = exc.__cause__
        while cause is not None and status is http.HTTPStatus.BAD_REQUEST:
            reasons.append(str(cause))
            cause = cause.__cause__
        text = f"Failed to open a WebSocket connection: {'; '.join(reasons)}."
        if kind is InvalidUpgrade:
            text += NOT_FOR_BROWSERS
        response = self.reject(status, f"{text}\n")
        if kind is InvalidMethod:
            response.headers["Allow"] = "GET"
        elif kind is InvalidUpgrade:
            response.headers["Upgrade"] = "websocket"
        elif isinstance(exc, InvalidHeader) and exc.name == "Sec-WebSocket-Version":
            # 4.4: "the server MUST respond with one or more |Sec-WebSocket-Version| headers".
            response.headers["Sec-WebSocket-Version"] = VERSION
        self.handshake_exc = request._exception = without_frames(exc)
        return response

    def process_request(self, request: Request) -> tuple[str, str | None, str | None]:
        """Check a handshake request and negotiate (RFC 6455 section 4.2.1).

        Args:
            request: what the client sent.

        Returns:
            The response's Sec-WebSocket-Accept, Sec-WebSocket-Extensions and
            Sec-WebSocket-Protocol headers.

        Raises:
            InvalidMethod: when the method isn't GET.
            InvalidProtocol: when the protocol isn't HTTP/1.1.
            InvalidHandshake: when anything else is wrong.

        """
        if request.method != "GET":
            raise InvalidMethod(request.method)
        if request.protocol != "HTTP/1.1":
            raise InvalidProtocol(request.protocol)
        headers = request.headers
        if self.hosts is not None:
            self._check_host(headers)
        elif headers._only("host") is None and "Host" in headers:
            # RFC 9112 3.2: whoever stands in front of us may have gone by another one.
            raise InvalidHeader("Host", "multiple values")
        check_upgrade(headers)
        key = headers._only("sec-websocket-key") or single_value(headers, "Sec-WebSocket-Key")
        _check_key(key)
        if headers._only("sec-websocket-version") != VERSION:
            version = single_value(headers, "Sec-WebSocket-Version")
            raise InvalidHeaderValue("Sec-WebSocket-Version", version)
        self.origin: Origin | None = self.process_origin(headers)
        extensions_header, self.extensions = self.process_extensions(headers)
        self.subprotocol: Subprotocol | None = self.process_subprotocol(headers)
        return accept_key(key), extensions_header, self.subprotocol

    def _check_host(self, headers: Headers) -> None:
        assert self.hosts is not None
        host = single_value(headers, "Host").lower()
        name = re.sub(r":[0-9]*\Z", "", host)
        if host not in self.hosts and name not in self.hosts:
            raise InvalidHost("Host", host)

    def process_origin(self, headers: Headers) -> Origin | None:
        """Check the Origin header (RFC 6455 section 10.2).

        Args:
            headers: of the request.

        Returns:
            The origin; None without one.

        Raises:
            InvalidHandshake: when there is more than one.
            InvalidOrigin: when it isn't acceptable.

        """
        # RFC 6454 7.3: "MUST NOT include more than one Origin header field".
        try:
            value = headers.get("Origin")
        except MultipleValuesError:
            raise InvalidHeader("Origin", "multiple values") from None
        origin = None if value is None else Origin(value)
        if self.origins is None:
            return origin
        if isinstance(self.origins, str):
            # Only browsers send it, and they alone can be led astray by a foreign page.
            if origin is not None and not _is_same_origin(origin, headers):
                raise InvalidOrigin(origin)
            return origin
        for acceptable in self.origins:
            if acceptable == origin:
                return origin
            if isinstance(acceptable, re.Pattern) and origin and acceptable.fullmatch(origin):
                return origin
        raise InvalidOrigin(origin)

    def process_extensions(self, headers: Headers) -> tuple[str | None, list[Extension]]:
        """Choose among the extensions that the client offers (RFC 6455 section 9.1).

        Args:
            headers: of the request.

        Returns:
            The response's Sec-WebSocket-Extensions header, None without one, and the extensions.

        Raises:
            InvalidHandshake: when the header can't be parsed.

        """
        chosen: list[ExtensionHeader] = []
        accepted: list[Extension] = []
        if self.available_extensions:
            for value in headers.get_all("Sec-WebSocket-Extensions"):
                for name, params in parse_extension(value):
                    for factory in self.available_extensions:
                        if factory.name != name:
                            continue
                        try:
                            answer, extension = factory.process_request_params(params, accepted)
                        except NegotiationError:
                            continue  # the client may offer alternatives (RFC 7692 5.1)
                        chosen.append((name, answer))
                        accepted.append(extension)
                        break
        return (build_extension(chosen) if chosen else None), accepted

    def process_subprotocol(self, headers: Headers) -> Subprotocol | None:
        """Choose among the subprotocols that the client offers.

        Args:
            headers: of the request.

        Returns:
            The subprotocol, which is also the response's header; None without one.

        Raises:
            InvalidHandshake: when the header can't be parsed, or none must be accepted.

        """
        values = headers.get_all("Sec-WebSocket-Protocol")
        return self.select_subprotocol(
            [subprotocol for value in values for subprotocol in parse_subprotocol(value)]
        )

    def select_subprotocol(self, subprotocols: Sequence[Subprotocol]) -> Subprotocol | None:
        """Choose a subprotocol: the first of ours that the client offers.

        Args:
            subprotocols: what the client offers.

        Returns:
            The subprotocol; None when we have none.

        Raises:
            NegotiationError: when we have some and the client offers none of them.

        """
        if self._choose_subprotocol is not None:
            return self._choose_subprotocol(self, subprotocols)
        if not self.available_subprotocols:
            return None
        if not subprotocols:
            raise NegotiationError("missing subprotocol")
        offered = set(subprotocols)
        for subprotocol in self.available_subprotocols:
            if subprotocol in offered:
                return subprotocol
        raise NegotiationError(
            f"invalid subprotocol; expected one of {', '.join(self.available_subprotocols)}"
        )

    def reject(self, status: StatusLike, text: str) -> Response:
        """Make a plain response that refuses a request.

        Args:
            status: HTTP status code.
            text: body of the response.

        Returns:
            The response, which may be changed before it goes to :meth:`send_response`.

        Raises:
            ValueError: when ``status`` isn't an HTTP status code.

        """
        status = http.HTTPStatus(status)
        body = text.encode()
        headers = Headers()
        headers["Date"] = http_date(time.time())
        headers["Connection"] = "close"
        headers["Content-Length"] = str(len(body))
        headers["Content-Type"] = "text/plain; charset=utf-8"
        return Response(status.value, status.phrase, headers, body)

    def send_response(self, response: Response) -> None:
        """Send the handshake response; status 101 opens the connection.

        Args:
            response: what :meth:`accept` or :meth:`reject` made.

        Raises:
            InvalidState: when a response was sent, or the connection has ended.
            ValueError: when the response holds characters that HTTP doesn't allow.

        """
        if self._state is not CONNECTING or self.closing.eof_sent:
            raise InvalidState("the handshake request was answered, or the client is gone")
        serialized = response.serialize()
        if self.debug:
            self.logger.debug("> HTTP/1.1 %d %s", response.status_code, response.reason_phrase)
            for name, value in response.headers.raw_items():
                self.logger.debug("> %s: %s", name, value)
            if response.body:
                self.logger.debug("> [body] (%d bytes)", len(response.body))
        self.writer.write_raw(serialized)
        response.headers._compact()
        if response.status_code == 101:
            self.state = OPEN
            self.inform("connection open")
            # Frames may have come right behind the request.
            Engine.parse(self)
            return
        fact = "connection rejected (%d %s)" if self.accept_called else "HTTP response sent (%d %s)"
        self.logger.info(fact, response.status_code, response.reason_phrase)
        self.send_eof()
        self.discarding: bool = True

    # The engine's opening

    def _receive_opening(self, data: bytes) -> bytes | None:
        try:
            rest = b""
            if self._head is not None or not is_head(data):
                self._head = self._head or HeadReader(RequestLineTooLong)
                head = self._head.feed(data)
                if head is None:
                    return None
                self._head = None
                data, rest = head
            request = read_request(data)
        except RequestLineTooLong as exc:
            self._turn_away(http.HTTPStatus.REQUEST_URI_TOO_LONG, exc, "request line too long")
        except (HeaderLineTooLong, TooManyHeaders) as exc:
            status = http.HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            self._turn_away(status, exc, "header fields too large")
        except Exception as exc:
            invalid = InvalidMessage("did not receive a valid HTTP request")
            invalid.__cause__ = exc
            self._turn_away(http.HTTPStatus.BAD_REQUEST, invalid, "no valid HTTP request")
        else:
            if self.debug:
                self.logger.debug("< %s %s %s", request.method, request.path, request.protocol)
                for name, value in request.headers.raw_items():
                    self.logger.debug("< %s: %s", name, value)
            self.events.append(request)
            return rest
        return None

    def _turn_away(self, status: http.HTTPStatus, exc: Exception, fact: str) -> None:
        """Answer something that isn't a request that we could accept, and listen no more."""
        if self.debug:
            self.logger.debug("! %s", fact, exc_info=exc)
        self.handshake_exc = without_frames(exc)
        reason = exc if exc.__cause__ is None else f"{exc}; {exc.__cause__}"
        text = f"Failed to open a WebSocket connection: {reason}.\n"
        self.send_response(self.reject(status, text))

    def _opening_ended(self) -> None:
        if self.opening:
            begun = self._head is not None and self._head.past_first_line
            where = "headers" if begun else "request line"
            cause = EOFError(f"connection closed while reading HTTP {where}")
        else:
            cause = EOFError("connection closed before the HTTP response was sent")
        exc = InvalidMessage("did not receive a valid HTTP request")
        exc.__cause__ = cause
        self.handshake_exc: Exception | None = exc
        self.send_eof()
        self.discarding = True

    def _opening_expired(self) -> None:
        exc = TimeoutError("timed out during opening handshake")
        if self.opening:
            self._turn_away(http.HTTPStatus.REQUEST_TIMEOUT, exc, "request took too long")
        else:  # it is we who didn't answer
            self._turn_away(http.HTTPStatus.SERVICE_UNAVAILABLE, exc, "response took too long")


# First match wins, so a subclass stands before its base.
REFUSALS: tuple[tuple[type[InvalidHandshake], http.HTTPStatus, str], ...] = (
    (InvalidOrigin, http.HTTPStatus.FORBIDDEN, "invalid origin"),
    (InvalidHost, http.HTTPStatus.MISDIRECTED_REQUEST, "invalid host"),
    (InvalidMethod, http.HTTPStatus.METHOD_NOT_ALLOWED, "invalid method"),
    (InvalidProtocol, http.HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "invalid protocol"),
    (InvalidUpgrade, http.HTTPStatus.UPGRADE_REQUIRED, "invalid upgrade"),
    (InvalidHandshake, http.HTTPStatus.BAD_REQUEST, "invalid handshake"),
)


def _check_key(key: str) -> None:
    """Check for "a base64-encoded value that, when decoded, is 16 bytes in length" (4.2.1)."""
    try:
        if len(binascii.a2b_base64(key, strict_mode=True)) == 16:
            return
    except ValueError:
        pass  # what is wrong is told below
    try:
        raw_key = base64.b64decode(key.encode(), validate=True)
    except binascii.Error as exc:
        raise InvalidHeaderValue("Sec-WebSocket-Key", key) from exc
    if len(raw_key) != 16:
        raise InvalidHeaderValue("Sec-WebSocket-Key", key)


def _is_same_origin(origin: str, headers: Headers) -> bool:
    """Compare an origin's host and port with the Host header; TLS may have ended before us."""
    match = re.fullmatch(r"(https?)://([^/]+)", origin.lower())
    if match is None:
        return False
    scheme, authority = match.groups()
    default = ":443" if scheme == "https" else ":80"
    host = single_value(headers, "Host").lower()
    return authority.removesuffix(default) == host.removesuffix(default)


if not TYPE_CHECKING:
    __getattr__ = resolver(
        __name__,
        {
            "ServerConnection": Moved("server:ServerProtocol", "ropeway.server.ServerProtocol"),
            "WebSocketServer": Moved("legacy.server", "ropeway.asyncio.server.Server"),
            "WebSocketServerProtocol": Moved(
                "legacy.server", "ropeway.asyncio.server.ServerConnection"
            ),
            "broadcast": Moved("legacy.server", "ropeway.asyncio.server.broadcast"),
            "serve": Moved("legacy.server", "ropeway.asyncio.server.serve"),
            "unix_serve": Moved("legacy.server", "ropeway.asyncio.server.unix_serve"),
        },
    )
