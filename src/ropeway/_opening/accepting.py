"""How a server answers a handshake request, as a plan."""

from __future__ import annotations

import http
from collections.abc import Callable
from typing import Any

from .._core.states import CONNECTING
from .._core.tracebacks import without_frames
from ..http11 import Response
from ..server import SEE_LOG
from .acceptor import refusal
from .options import ServeOptions
from .steps import Call, Plan


def accept_plan(
    connection: Any, options: ServeOptions, turned_away_because: Callable[[], str | None]
) -> Plan[Response | None]:
    """Make the response to ``connection.request``.

    Args:
        connection: driver's server connection, with the request in it.
        options: what the caller of serve() said.
        turned_away_because: why new connections get a 503 just now; None when they don't. Asked
            last, and in the same breath as the response is sent.

    Returns:
        The response to send; None when the client has gone meanwhile.

    """
    response = yield from _ask(
        connection, options.process_request, "process_request", connection.request
    )
    response = _answer(connection, options, response)
    replaced = yield from _ask(
        connection, options.process_response, "process_response", connection.request, response
    )
    if replaced is not None:
        response = replaced
    return _conclude(connection, response, turned_away_because())


def accept_now(
    connection: Any, options: ServeOptions, turned_away_because: Callable[[], str | None]
) -> Response | None:
    """Make the response where the user has no callbacks to be asked; see `accept_plan`."""
    response = _answer(connection, options, None)
    return _conclude(connection, response, turned_away_because())


def _answer(connection: Any, options: ServeOptions, response: Response | None) -> Response:
    """Accept the request, or refuse it, unless there is a response already."""
    if response is None:
        response = connection.protocol.accept(connection.request)
    if options.server_header is not None:
        response.headers._replace("Server", options.server_header)
    connection.response = response
    return response


def _conclude(connection: Any, response: Response, reason: str | None) -> Response | None:
    """Give the response to send: another one where there is a reason to turn clients away."""
    if reason is not None and response.status_code == http.HTTPStatus.SWITCHING_PROTOCOLS:
        response = refusal(connection.protocol, reason)
    connection.response = response
    return response if connection.protocol.state is CONNECTING else None


def _ask(
    connection: Any, callback: Callable[..., Any] | None, name: str, *arguments: Any
) -> Plan[Response | None]:
    """Call a callback of the user, whose errors are a 500 for the client and a line in the log."""
    if callback is None:
        return None
    try:
        response = yield Call(callback, (connection, *arguments))
        if response is not None and not isinstance(response, Response):
            raise TypeError(f"{name} returned {response!r}, neither a Response nor None")
    except Exception as exc:
        connection.logger.error("%s failed", name, exc_info=True)
        connection.protocol.handshake_exc = without_frames(exc)
        return connection.protocol.reject(  # type: ignore[no-any-return]
            http.HTTPStatus.INTERNAL_SERVER_ERROR, SEE_LOG
        )
    return response
