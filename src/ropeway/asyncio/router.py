"""A server whose connections go to a handler by the path of their request; werkzeug matches it."""

from __future__ import annotations

import http
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from urllib.parse import urlsplit

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
    _require_werkzeug("route()")
    router = (create_router or Router)(url_map, server_name, "ws" if ssl is None else "wss")
    if ssl is not None and ssl is not True:
        kwargs["ssl"] = ssl
    callers: ProcessRequest | None = kwargs.pop("process_request", None)
    process_request = router.route_request if callers is None else _one_by_one(callers, router)
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
    _require_werkzeug("unix_route()")
    return route(url_map, unix=True, path=path, **kwargs)


def _one_by_one(first: ProcessRequest, router: Router) -> ProcessRequest:
    """Ask the caller's function, then the router unless there is a response already."""

    async def process_request(connection: ServerConnection, request: Request) -> Response | None:
        response = first(connection, request)
        if isawaitable(response):
            response = await response
        return router.route_request(connection, request) if response is None else response

    return process_request


class Router:
    """Finds the handler of a connection; override a method to route differently.

    Args:
        url_map: rules of werkzeug.
        server_name: name of the server for its clients, None for what they say in ``Host``.
        url_scheme: ``ws`` or ``wss``, for the redirects that the rules ask for.
    """

    def __init__(
        self, url_map: Map, server_name: str | None = None, url_scheme: str = "ws"
    ) -> None:
        self.url_map = url_map
        self.server_name = server_name
        self.url_scheme = url_scheme
        for rule in url_map.iter_rules():
            rule.websocket = True

    def get_server_name(self, connection: ServerConnection, request: Request) -> str:
        """Find the name of the server as the client knows it.

        Args:
            connection: in its opening handshake.
            request: what the client sent.

        Returns:
            ``server_name``, or the request's ``Host`` when that is None.

        Raises:
            LookupError: when ``Host`` is needed and missing (KeyError), or there twice
                (MultipleValuesError).
        """
        return request.headers["Host"] if self.server_name is None else self.server_name

    def redirect(self, connection: ServerConnection, url: str) -> Response:
        """Make the response for a rule that redirects.

        Args:
            connection: in its opening handshake.
            url: where the rule redirects to, an absolute URL with the scheme ``url_scheme``.

        Returns:
            A response with status 302 and ``Location``.
        """
        response = connection.respond(http.HTTPStatus.FOUND, f"Found at {url}")
        response.headers["Location"] = url
        return response

    def not_found(self, connection: ServerConnection) -> Response:
        """Make the response for a path without a rule.

        Args:
            connection: in its opening handshake.

        Returns:
            A response with status 404.
        """
        return connection.respond(http.HTTPStatus.NOT_FOUND, "Not Found")

    def route_request(self, connection: ServerConnection, request: Request) -> Response | None:
        """Choose the handler of a connection.

        Args:
            connection: its ``handler`` and ``handler_kwargs`` are set.
            request: its path is looked up, its query is kept in redirects.

        Returns:
            None when there is a handler, else the response that ends the handshake.
        """
        from werkzeug.exceptions import NotFound
        from werkzeug.routing import RequestRedirect

        adapter = self.url_map.bind(
            server_name=self.get_server_name(connection, request), url_scheme=self.url_scheme
        )
        try:
            target = urlsplit(request.path)
            handler, arguments = adapter.match(path_info=target.path, query_args=target.query)
        except RequestRedirect as redirect:
            return self.redirect(connection, redirect.new_url)
        except (NotFound, ValueError):  # no rule, or no path that a rule could have
            return self.not_found(connection)
        connection.handler, connection.handler_kwargs = handler, arguments
        return None

    async def handler(self, connection: ServerConnection) -> None:
        """Run the handler that `route_request` chose.

        Args:
            connection: open, with ``handler`` and ``handler_kwargs`` set.
        """
        await connection.handler(connection, **connection.handler_kwargs)


def _require_werkzeug(who: str) -> None:
    try:
        import werkzeug.routing  # noqa: F401 - whether it is there
    except ImportError as exc:
        raise ImportError(f"{who} requires werkzeug") from exc
