"""A server whose connections go to a handler by the path of their request; werkzeug matches it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import trio

from .._opening.coroutines import Router
from .._opening.routing import make_router, require_werkzeug
from ..typing import PathLike
from .server import Server, serve, unix_serve

if TYPE_CHECKING:
    from ssl import SSLContext

    from werkzeug.routing import Map

__all__ = ["Router", "route", "unix_route"]


async def route(
    url_map: Map,
    *args: Any,
    server_name: str | None = None,
    ssl: SSLContext | Literal[True] | None = None,
    create_router: type[Router] | None = None,
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
    **kwargs: Any,
) -> None:
    """Serve WebSocket connections with the handler that their path has in ``url_map``.

    The endpoints of the map are handlers; they get the connection and, by name, what the rule
    took from the path::

        async def channel(connection, channel_id): ...

        url_map = Map([Rule("/channel/<uuid:channel_id>", endpoint=channel)])
        server = await nursery.start(route, url_map, 8080)

    Args:
        url_map: rules of werkzeug; ``websocket=True`` is added to each of them.
        args: positional arguments of `serve` after the handler.
        server_name: name of the server for its clients, when a reverse proxy changes ``Host``.
        ssl: TLS context; True when a reverse proxy speaks TLS for the server.
        create_router: makes the router instead of `Router`.
        task_status: is told of the server, once that accepts connections.
        kwargs: keyword arguments of `serve`; a ``process_request`` comes before the router.

    Raises:
        ImportError: when werkzeug is not installed.
    """
    router = make_router(create_router or Router, url_map, server_name, ssl, kwargs)
    process_request = router.after(kwargs.pop("process_request", None))
    listen = unix_serve if kwargs.pop("unix", False) else serve
    await listen(
        router.handler, *args, process_request=process_request, task_status=task_status, **kwargs
    )


async def unix_route(
    url_map: Map,
    path: PathLike,
    *,
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
    **kwargs: Any,
) -> None:
    """Serve on a Unix socket as `route` does.

    Args:
        url_map: rules of werkzeug.
        path: path of the socket.
        task_status: is told of the server, once that accepts connections.
        kwargs: keyword arguments of `route`.

    Raises:
        ImportError: when werkzeug is not installed.
    """
    require_werkzeug("unix_route()")
    await route(url_map, path, unix=True, task_status=task_status, **kwargs)
