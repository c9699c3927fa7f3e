"""A server whose connections go to a handler by the path of their request; werkzeug matches it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from .._opening.coroutines import Router
from .._opening.routing import make_router, require_werkzeug
from ..http11 import Request, Response
from ..typing import PathLike
from .server import Server, ServerConnection, serve

if TYPE_CHECKING:
    from ssl import SSLContext

    from werkzeug.routing import Map

__all__ = ["Router", "route", "unix_route"]

ProcessRequest: TypeAlias = Callable[
    [ServerConnection, Request], Awaitable[Response | None] | Response | None
]


def route(
    url_map: Map,
    *args: Any,
    server_name: str | None = None,
    ssl: SSLContext | Literal[True] | None = None,
    create_router: type[Router] | None = None,
    **kwargs: Any,
) -> Server:
    """Serve WebSocket connections with the handler that their path has in ``url_map``.

    The endpoints of the map are handlers; they get the connection and, by name, what the rule
    took from the path::

        async def channel(connection, channel_id): ...

        url_map = Map([Rule("/channel/<uuid:channel_id>", endpoint=channel)])
        async with route(url_map, "localhost", 8080): ...

    Args:
        url_map: rules of werkzeug; ``websocket=True`` is added to each of them.
        args: positional arguments of `serve` after the handler.
        server_name: name of the server for its clients, when a reverse proxy changes ``Host``.
        ssl: TLS context; True when a reverse proxy speaks TLS for the server.
        create_router: makes the router instead of `Router`.
        kwargs: keyword arguments of `serve`; a ``process_request`` comes before the router.

    Returns:
        What `serve` returns.

    Raises:
        ImportError: when werkzeug is not installed.
    """
    router = make_router(create_router or Router, url_map, server_name, ssl, kwargs)
    callers: ProcessRequest | None = kwargs.pop("process_request", None)
    process_request = router.after(callers)
    return serve(router.handler, *args, process_request=process_request, **kwargs)


def unix_route(url_map: Map, path: PathLike | None = None, **kwargs: Any) -> Server:
    """Serve on a Unix socket as `route` does.

    Args:
        url_map: rules of werkzeug.
        path: path of the socket, unless ``sock`` is given.
        kwargs: keyword arguments of `route`.

    Returns:
        What `serve` returns.

    Raises:
        ImportError: when werkzeug is not installed.
    """
    require_werkzeug("unix_route()")
    return route(url_map, unix=True, path=path, **kwargs)


# It is documented and imported as the router's.
Router.__module__ = __name__
