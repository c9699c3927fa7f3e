"""HTTP Basic authentication for the legacy server (RFC 7617)."""

from __future__ import annotations

import functools
import hmac
import http
import inspect
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeAlias, cast

from ..datastructures import Headers
from ..exceptions import InvalidHeader
from ..headers import build_www_authenticate_basic, parse_authorization_basic
from .server import HTTPResponse, WebSocketServerProtocol

__all__ = ["BasicAuthWebSocketServerProtocol", "basic_auth_protocol_factory"]

Credentials: TypeAlias = tuple[str, str]
CheckCredentials: TypeAlias = Callable[[str, str], Awaitable[bool]]


class BasicAuthWebSocketServerProtocol(WebSocketServerProtocol):
    """A connection whose client has to say who it is.

    Args:
        realm: name of what is protected; ASCII.
        check_credentials: see the method of that name.
        args: those of :class:`~ropeway.legacy.server.WebSocketServerProtocol`.
        kwargs: those of :class:`~ropeway.legacy.server.WebSocketServerProtocol`.
    """

    realm: str = ""
    username: str | None = None

    def __init__(
        self,
        *args: Any,
        realm: str | None = None,
        check_credentials: CheckCredentials | None = None,
        **kwargs: Any,
    ) -> None:
        if realm is not None:
            self.realm = realm
        self._check_credentials = check_credentials
        super().__init__(*args, **kwargs)

    async def check_credentials(self, username: str, password: str) -> bool:
        """Tell whether credentials are right.

        Args:
            username: the user name.
            password: the password.

        Returns:
            Whether they are; with neither a function nor a subclass to ask, they aren't.
        """
        if self._check_credentials is None:
            return False
        result: Any = self._check_credentials(username, password)
        return cast(bool, await result if inspect.isawaitable(result) else result)

    async def process_request(self, path: str, request_headers: Headers) -> HTTPResponse | None:
        """Set ``username``, or answer with status 401.

        Args:
            path: target of the request.
            request_headers: its headers.
        """
        authorization = request_headers.get("Authorization")
        if authorization is None:
            return self._refusal(b"Missing credentials\n")
        try:
            username, password = parse_authorization_basic(authorization)
        except InvalidHeader:
            return self._refusal(b"Unsupported credentials\n")
        if not await self.check_credentials(username, password):
            return self._refusal(b"Invalid credentials\n")
        self.username = username
        return await super().process_request(path, request_headers)

    def _refusal(self, body: bytes) -> HTTPResponse:
        challenge = [("WWW-Authenticate", build_www_authenticate_basic(self.realm))]
        return http.HTTPStatus.UNAUTHORIZED, challenge, body


def basic_auth_protocol_factory(
    realm: str | None = None,
    credentials: Credentials | Iterable[Credentials] | None = None,
    check_credentials: CheckCredentials | None = None,
    create_protocol: Callable[..., BasicAuthWebSocketServerProtocol] | None = None,
) -> Callable[..., BasicAuthWebSocketServerProtocol]:
    """Make a ``create_protocol`` for ``serve`` that demands HTTP Basic authentication.

    Args:
        realm: name of what is protected; ASCII.
        credentials: a pair of user name and password, or several.
        check_credentials: coroutine function that tells whether a user name and a password are
            right.
        create_protocol: makes connections instead of :class:`BasicAuthWebSocketServerProtocol`.

    Raises:
        TypeError: when not exactly one of ``credentials`` and ``check_credentials`` is given, or
            ``credentials`` aren't pairs of strings.
    """
    if (credentials is None) == (check_credentials is None):
        raise TypeError("provide either credentials or check_credentials")
    if credentials is not None:
        check_credentials = _checker(credentials)
    return functools.partial(
        create_protocol or BasicAuthWebSocketServerProtocol,
        realm=realm,
        check_credentials=check_credentials,
    )


def is_credentials(value: Any) -> bool:
    """Tell whether a value is a pair of user name and password."""
    try:
        username, password = value
    except (TypeError, ValueError):
        return False
    return isinstance(username, str) and isinstance(password, str)


def _checker(credentials: Any) -> CheckCredentials:
    try:
        pairs = [credentials] if is_credentials(credentials) else list(credentials)
    except TypeError:
        pairs = [None]
    if not all(is_credentials(pair) for pair in pairs):
        raise TypeError(f"invalid credentials argument: {credentials}")
    passwords = dict(pairs)

    async def check(username: str, password: str) -> bool:
        # Unknown names take as long as known ones, so that nobody can measure which exist.
        expected = passwords.get(username)
        given = password.encode(errors="surrogateescape")
        right = hmac.compare_digest((expected or "").encode(errors="surrogateescape"), given)
        return right and expected is not None

    return check
