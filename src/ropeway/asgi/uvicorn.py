"""WebSockets for uvicorn: ``uvicorn --ws ropeway.asgi.uvicorn:WebSocketProtocol``.

uvicorn needs not be there to import this.
"""

from __future__ import annotations

import asyncio
import http
import logging
from collections.abc import Awaitable, Callable, Iterable
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any, Protocol, cast

from .._core.states import CONNECTING, OPEN
from .._opening.acceptor import Acceptor
from .._opening.options import ServeOptions
from ..asyncio.link import LinkTerms
from ..asyncio.waiting import Waiting
from ..datastructures import Headers
from ..exceptions import ConnectionClosed
from ..frames import CloseCode
from ..http11 import Response
from ..server import ServerProtocol
from ..typing import Subprotocol
from .exchange import Event, Exchange
from .scope import Addresses, line_of, make_scope, name_of
from .takeover import take_over

if TYPE_CHECKING:
    # That is how uvicorn types what it is given; it takes either kind.
    from asyncio import Protocol as StreamProtocol
else:
    from asyncio import BufferedProtocol as StreamProtocol

__all__ = ["ClientDisconnected", "WebSocketProtocol"]

logger: logging.Logger = logging.getLogger("uvicorn.error")

TRACE = 5

CLOSE_TIMEOUT = 10.0
"""Seconds that a closing handshake may take; those of uvicorn."""

SHUTDOWN_TIMEOUT = 2.0
"""The same when the server shuts down, which shouldn't wait long for clients that are gone."""

Application = Callable[..., Awaitable[object]]


class Config(Protocol):
    """What is read of a :class:`uvicorn.Config`."""

    loaded: bool
    loaded_app: Any
    root_path: str
    ws_max_size: int
    ws_max_queue: int
    ws_ping_interval: float | None
    ws_ping_timeout: float | None
    ws_per_message_deflate: bool

    @property
    def asgi_version(self) -> str:
        """Version of ASGI."""

    def load(self) -> None:
        """Prepare the application."""


class ServerState(Protocol):
    """What is used of a ``uvicorn.server.ServerState``."""

    connections: set[Any]
    tasks: set[asyncio.Task[None]]
    default_headers: list[tuple[bytes, bytes]]


class ClientDisconnected(OSError):
    """Raised by ``send()`` when the client has gone, as ASGI demands."""


class Service(Acceptor):
    """What all connections of a uvicorn server have in common, checked and made once.

    Args:
        config: that of the server.
        connections: those that the server waits for when it shuts down.
    """

    def __init__(self, config: Config, connections: set[Any]) -> None:
        options = ServeOptions(
            compression="deflate" if config.ws_per_message_deflate else None,
            open_timeout=None,  # an application may take its time
            ping_interval=config.ws_ping_interval or None,
            ping_timeout=config.ws_ping_timeout,
            close_timeout=CLOSE_TIMEOUT,
            max_size=config.ws_max_size,
            max_queue=config.ws_max_queue,
            server_header=None,
            logger=logger,
        )
        super().__init__(options, WebSocketProtocol)
        self.config = config
        self.all_connections = connections
        self.terms: LinkTerms = LinkTerms(**self._connection_arguments)

    def closed_because(self) -> None:
        """Tell that new connections are as good as others: uvicorn doesn't accept them later."""

    def answer(self, connection: WebSocketProtocol) -> None:
        """Answer the request of a connection."""
        connection._begin_exchange()


def _service(config: Config, state: ServerState) -> Service:
    """Give what the connections of a server share, which is an attribute of the server's state."""
    service: Service | None = vars(state).get(ATTRIBUTE)
    if (
        service is None
        or service.config is not config
        or service.terms.loop is not asyncio.get_running_loop()
    ):
        service = Service(config, state.connections)
        setattr(state, ATTRIBUTE, service)
    return service


# Each build that is imported has its own.
ATTRIBUTE: str = f"_{__name__.partition('.')[0]}_service"


class WebSocketProtocol(Exchange, Waiting, StreamProtocol):
    """A WebSocket connection of uvicorn, from the request on; uvicorn makes and calls it.

    Name it in ``uvicorn --ws`` or ``uvicorn.run(ws=...)``.
    """

    protocol: ServerProtocol
    response: Response | None

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Make a connection; the transport comes with ``connection_made()``.

        Args:
            config: that of the server.
            server_state: what all connections of the server share.
            app_state: what the application's lifespan has left for requests.

        """
        if not config.loaded:
            config.load()
        service = _service(config, server_state)
        Exchange.__init__(self, service._protocol._another(), service.terms)
        self._server = cast(Any, service)
        self._config = config
        self._server_state = server_state
        self._app_state = app_state
        self._context: Context = copy_context()
        self._addresses: Addresses | None = None
        self._scope: dict[str, Any] = {}
        self._acceptance: Response | None = None
        self._denial: tuple[Response, list[bytes]] | None = None
        self._closed_by_application = False

    # What asyncio and uvicorn call

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport: first that of uvicorn, then perhaps one of ours."""
        super().connection_made(transport)
        if self._addresses is None:
            self._addresses = Addresses(cast(asyncio.Transport, transport))
            self._trace("WebSocket connection made")

    def connection_lost(self, exc: Exception | None) -> None:
        """Take leave of the transport."""
        super().connection_lost(exc)
        self._trace("WebSocket connection lost")

    def shutdown(self) -> None:
        """Close the connection because the server shuts down: with 1012, or status 500."""
        protocol = self.protocol
        if protocol.state is OPEN:
            protocol.closing.timeout = SHUTDOWN_TIMEOUT
            protocol.fail(CloseCode.SERVICE_RESTART)
            self._deliver()
        elif protocol.state is CONNECTING and not protocol.discarding:
            self._refuse(http.HTTPStatus.INTERNAL_SERVER_ERROR)
        else:
            self._transport.close()

    # The application

    def _begin_exchange(self) -> None:
        """Run the application if the request is one that can be accepted."""
        assert self.request is not None
        response = self.protocol.accept(self.request)
        if response.status_code != http.HTTPStatus.SWITCHING_PROTOCOLS:
            self._respond(response)
            return
        self._acceptance = response
        config = self._config
        assert self._addresses is not None
        self._scope = make_scope(self.request, self._addresses, config.root_path)
        self._scope["asgi"] = {"version": config.asgi_version, "spec_version": "2.4"}
        self._scope["state"] = self._app_state.copy()
        task = self.loop.create_task(self._run())
        tasks = self._server_state.tasks
        task.add_done_callback(tasks.discard)
        tasks.add(task)

    async def _run(self) -> None:
        """Run the application to its end; nobody awaits this, so what goes wrong is logged."""
        try:
            result = await self._config.loaded_app(self._scope, self.receive, self.send)
        except ClientDisconnected:
            self._end(CloseCode.NORMAL_CLOSURE)
        except BaseException as exc:
            logger.exception("Exception in ASGI application\n")
            self._end(CloseCode.INTERNAL_ERROR)
            if isinstance(exc, asyncio.CancelledError):
                raise
        else:
            if self.protocol.state is CONNECTING and not self.protocol.discarding:
                logger.error("ASGI callable returned without completing handshake.")
            elif result is not None:
                logger.error("ASGI callable should return None, but returned '%s'.", result)
            self._end(CloseCode.NORMAL_CLOSURE)

    def _end(self, code: CloseCode) -> None:
        """End what the application has left open."""
        protocol = self.protocol
        if protocol.state is OPEN:
            protocol.send_close(code)
            self._deliver()
        elif protocol.state is CONNECTING and not protocol.discarding:
            self._refuse(http.HTTPStatus.INTERNAL_SERVER_ERROR)

    def _disconnect_event(self) -> Event:
        closing = self.protocol.closing
        close = closing.rcvd
        if close is None or closing.rcvd_then_sent is False:
            close = closing.sent  # we were the first to say it
        if close is None:
            return {
                "type": "websocket.disconnect",
                "code": CloseCode.ABNORMAL_CLOSURE.value,
                "reason": "",
            }
        return {
            "type": "websocket.disconnect",
            "code": int(close.code),
            "reason": close.reason,
        }

    async def _wait_writable(self) -> None:
        try:
            await self._drain()
        except ConnectionClosed as exc:
            raise ClientDisconnected("client has gone") from exc

    async def _send_other(self, event: Event) -> None:
        kind = event["type"]
        if self._denial is not None:
            self._send_denial(kind, event)
        elif self._closed_by_application:
            raise RuntimeError(
                f"Unexpected ASGI message '{kind}', after sending 'websocket.close' "
                "or response already completed."
            )
        elif self.accepted:
            self._send_after_opening(kind, event)
        elif self._is_over():
            raise ClientDisconnected("client has gone")
        else:
            self._send_before_opening(kind, event)

    def _send_after_opening(self, kind: str, event: Event) -> None:
        if kind not in ("websocket.send", "websocket.close"):
            raise RuntimeError(
                f"Expected ASGI message 'websocket.send' or 'websocket.close', but got '{kind}'."
            )
        if self.protocol.state is not OPEN:
            raise ClientDisconnected("client has gone")
        code = event.get("code", CloseCode.NORMAL_CLOSURE)
        self.protocol.send_close(code, event.get("reason") or "")
        self._closed_by_application = True
        self._deliver()

    def _send_before_opening(self, kind: str, event: Event) -> None:
        if kind == "websocket.accept":
            self._log_answer("[accepted]")
            self._accept(event)
        elif kind == "websocket.close":
            self._log_answer("403")
            self._closed_by_application = True
            self._refuse(http.HTTPStatus.FORBIDDEN)
        elif kind == "websocket.http.response.start":
            status = event["status"]
            if not 200 <= status < 600:
                raise RuntimeError(f"Invalid HTTP status code '{status}' in response.")
            self._log_answer(str(status))
            headers = _headers(event.get("headers", ()))
            self._denial = (Response(status, _phrase(status), headers), [])
        else:
            raise RuntimeError(
                "Expected ASGI message 'websocket.accept', 'websocket.close', "
                f"or 'websocket.http.response.start' but got '{kind}'."
            )

    def _accept(self, event: Event) -> None:
        """Open the connection, on a transport of ours where that can be."""
        response, self._acceptance = self._acceptance, None
        assert response is not None
        headers = response.headers
        del headers["Date"]  # uvicorn's own is among its default headers, or isn't wanted
        for name, value in self._default_headers():
            headers[name] = value
        subprotocol = event.get("subprotocol")
        if subprotocol:
            headers["Sec-WebSocket-Protocol"] = subprotocol
            self.protocol.subprotocol = Subprotocol(subprotocol)
        for name, value in event.get("headers") or ():
            headers[name.decode("latin-1")] = value.decode("latin-1")
        self.response = response
        self._context.run(self._take_over)
        self.protocol.send_response(response)
        self.accepted = True
        self._begin()

    def _take_over(self) -> None:
        stream = take_over(self._transport, self)
        if stream is not None and self._reading_paused:
            stream.pause_reading()

    def _send_denial(self, kind: str, event: Event) -> None:
        """Collect the body of a response that refuses, and send it when it is complete."""
        assert self._denial is not None
        if kind != "websocket.http.response.body":
            raise RuntimeError(
                f"Expected ASGI message 'websocket.http.response.body' but got '{kind}'."
            )
        response, parts = self._denial
        parts.append(event.get("body", b""))
        if event.get("more_body", False):
            return
        self._denial = None
        self._closed_by_application = True
        if self._is_over():
            raise ClientDisconnected("client has gone")
        response.body = b"".join(parts)
        self._respond(response)

    # Responses that refuse

    def _refuse(self, status: http.HTTPStatus) -> None:
        body = b"" if status == http.HTTPStatus.FORBIDDEN else status.phrase.encode()
        self._respond(Response(status.value, status.phrase, Headers(), body))

    def _respond(self, response: Response) -> None:
        """Send a response other than 101, completed by what every response has."""
        headers = response.headers
        for name, value in self._default_headers():
            if name not in headers:
                headers[name] = value
        for name, value in (
            ("Connection", "close"),
            ("Content-Length", str(len(response.body))),
            ("Content-Type", "text/plain; charset=utf-8"),
        ):
            if name not in headers:
                headers[name] = value
        self.response = response
        self.protocol.send_response(response)
        self._deliver()

    def _default_headers(self) -> Iterable[tuple[str, str]]:
        for name, value in self._server_state.default_headers:
            yield name.decode("latin-1"), value.decode("latin-1")

    # Logs

    def _log_answer(self, answer: str) -> None:
        logger.info(
            '%s - "WebSocket %s" %s',
            name_of(self._scope.get("client")),
            line_of(self._scope),
            answer,
        )

    def _trace(self, fact: str) -> None:
        if logger.isEnabledFor(TRACE):
            assert self._addresses is not None
            client = name_of(self._addresses.client)
            logger.log(TRACE, "%s%s", f"{client} - " if client else "", fact)


def _headers(items: Iterable[tuple[bytes, bytes]]) -> Headers:
    headers = Headers()
    for name, value in items:
        headers[name.decode("latin-1")] = value.decode("latin-1")
    return headers


def _phrase(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return ""
