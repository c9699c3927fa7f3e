"""What drivers whose calls are coroutines have in common, whichever their event library."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from inspect import isawaitable
from typing import Any, TypeVar

from ..http11 import Request, Response
from .authenticating import BasicAuthentication
from .routing import Routes
from .steps import Call, Plan, Step

Result = TypeVar("Result")

Connection = Any
"""The server's connection of the driver."""

ProcessRequest = Callable[[Connection, Request], Awaitable[Response | None] | Response | None]


async def run(plan: Plan[Result], perform: Callable[[Step], Awaitable[Any]]) -> Result:
    """Run ``plan`` to its end.

    Args:
        plan: what to do.
        perform: carries out one step; its exceptions, cancellation included, go into the plan.

    Returns:
        What the plan returns.

    Raises:
        BaseException: whatever the plan raises, or lets pass.
    """
    try:
        step = next(plan)
        while True:
            try:
                result = await perform(step)
            except BaseException as exc:
                step = plan.throw(exc)
            else:
                step = plan.send(result)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    finally:
        plan.close()


async def call(step: Step) -> Any:
    """Carry out a step that is a call."""
    if not isinstance(step, Call):
        raise TypeError(f"{step!r} needs a stream")
    result = step.function(*step.arguments)
    return await result if isawaitable(result) else result


def basic_auth(
    realm: str = "",
    credentials: tuple[str, str] | Iterable[tuple[str, str]] | None = None,
    check_credentials: Callable[[str, str], Awaitable[bool] | bool] | None = None,
) -> Callable[[Connection, Request], Awaitable[Response | None]]:
    """Make a ``process_request`` that demands HTTP Basic authentication (RFC 7617).

    It sets ``connection.username``, or answers with status 401.

    Args:
        realm: name of what is protected; ASCII.
        credentials: a pair of username and password, or several.
        check_credentials: tells whether a username and a password are right; may be a coroutine
            function.

    Returns:
        The callback for :func:`serve`.

    Raises:
        ValueError: when not exactly one of ``credentials`` and ``check_credentials`` is given.
        TypeError: when ``credentials`` aren't pairs of strings.

    """
    authentication = BasicAuthentication(realm, credentials, check_credentials)

    async def process_request(connection: Connection, request: Request) -> Response | None:
        return await run(authentication.plan(connection, request), call)

    return process_request


class Router(Routes):
    """Finds the handler of a connection; override a method to route differently.

    Args:
        url_map: rules of werkzeug.
        server_name: name of the server for its clients, None for what they say in ``Host``.
        url_scheme: ``ws`` or ``wss``, for the redirects that the rules ask for.
    """

    async def handler(self, connection: Connection) -> None:
        """Run the handler that `route_request` chose.

        Args:
            connection: open, with ``handler`` and ``handler_kwargs`` set.
        """
        await connection.handler(connection, **connection.handler_kwargs)

    def after(self, first: ProcessRequest | None) -> ProcessRequest:
        """Make a ``process_request``: the caller's, then the router unless there is a response."""
        if first is None:
            return self.route_request

        async def process_request(connection: Connection, request: Request) -> Response | None:
            response = first(connection, request)
            if isawaitable(response):
                response = await response
            return self.route_request(connection, request) if response is None else response

        return process_request
