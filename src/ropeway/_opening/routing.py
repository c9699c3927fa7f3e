"""Which handler a request leads to: werkzeug's rules, for the routers of all drivers."""

from __future__ import annotations

import http
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import urlsplit

from ..http11 import Request, Response

if TYPE_CHECKING:
    from ssl import SSLContext

    from werkzeug.routing import Map

AnyRoutes = TypeVar("AnyRoutes", bound="Routes")


class Routes:
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

    def get_server_name(self, connection: Any, request: Request) -> str:
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

    def redirect(self, connection: Any, url: str) -> Response:
        """Make the response for a rule that redirects.

        Args:
            connection: in its opening handshake.
            url: where the rule redirects to, an absolute URL with the scheme ``url_scheme``.

        Returns:
            A response with status 302 and ``Location``.
        """
        response: Response = connection.respond(http.HTTPStatus.FOUND, f"Found at {url}")
        response.headers["Location"] = url
        return response

    def not_found(self, connection: Any) -> Response:
        """Make the response for a path without a rule.

        Args:
            connection: in its opening handshake.

        Returns:
            A response with status 404.
        """
        return connection.respond(http.HTTPStatus.NOT_FOUND, "Not Found")  # type: ignore[no-any-return]

    def route_request(self, connection: Any, request: Request) -> Response | None:
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


def make_router(
    kind: type[AnyRoutes],
    url_map: Map,
    server_name: str | None,
    ssl: SSLContext | Literal[True] | None,
    arguments: dict[str, Any],
) -> AnyRoutes:
    """Make the router of a ``route()``.

    Args:
        kind: class of the router.
        url_map: rules of werkzeug.
        server_name: name of the server for its clients.
        ssl: TLS context, which goes to ``arguments``; True when a reverse proxy speaks TLS.
        arguments: those of the driver's ``serve()``; changed in place.

    Raises:
        ImportError: when werkzeug is not installed.
    """
    require_werkzeug("route()")
    if ssl is not None and ssl is not True:
        arguments["ssl"] = ssl
    return kind(url_map, server_name, "ws" if ssl is None else "wss")


def require_werkzeug(who: str) -> None:
    """Raise ImportError, in the name of ``who``, when werkzeug is not installed."""
    try:
        import werkzeug.routing  # noqa: F401 - whether it is there
    except ImportError as exc:
        raise ImportError(f"{who} requires werkzeug") from exc
