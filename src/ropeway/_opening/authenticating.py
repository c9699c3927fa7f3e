"""How a server demands HTTP Basic authentication (RFC 7617), as a plan."""

from __future__ import annotations

import hmac
import http
from collections.abc import Callable, Iterable
from typing import Any

from ..exceptions import InvalidHeader
from ..headers import build_www_authenticate_basic, parse_authorization_basic
from ..http11 import Request, Response
from .steps import Call, Plan


class BasicAuthentication:
    """Who may come in; one for all connections of a server.

    Args:
        realm: name of what is protected; ASCII.
        credentials: a pair of username and password, or several.
        check_credentials: tells whether a username and a password are right.

    Raises:
        ValueError: when not exactly one of ``credentials`` and ``check_credentials`` is given.
        TypeError: when ``credentials`` aren't pairs of strings.

    """

    def __init__(
        self,
        realm: str,
        credentials: tuple[str, str] | Iterable[tuple[str, str]] | None,
        check_credentials: Callable[[str, str], Any] | None,
    ) -> None:
        if (credentials is None) == (check_credentials is None):
            raise ValueError("provide either credentials or check_credentials")
        self._check = check_credentials or _checker(credentials)
        self._challenge = build_www_authenticate_basic(realm)

    def plan(self, connection: Any, request: Request) -> Plan[Response | None]:
        """Set ``connection.username``, or give a response with status 401."""
        authorization = request.headers.get("Authorization")
        if authorization is None:
            return self._refusal(connection, "Missing credentials\n")
        try:
            username, password = parse_authorization_basic(authorization)
        except InvalidHeader:
            return self._refusal(connection, "Unsupported credentials\n")
        if not (yield Call(self._check, (username, password))):
            return self._refusal(connection, "Invalid credentials\n")
        connection.username = username
        return None

    def _refusal(self, connection: Any, text: str) -> Response:
        response: Response = connection.respond(http.HTTPStatus.UNAUTHORIZED, text)
        response.headers["WWW-Authenticate"] = self._challenge
        return response


def _checker(credentials: Any) -> Callable[[str, str], bool]:
    try:
        pairs = [credentials] if _is_pair(credentials) else list(credentials)
    except TypeError:
        pairs = [None]
    if not all(_is_pair(pair) for pair in pairs):
        raise TypeError(f"invalid credentials argument: {credentials}")
    passwords = {username: _encoded(password) for username, password in pairs}

    def check(username: str, password: str) -> bool:
        # Unknown names take as long as known ones, so that nobody can measure which exist.
        expected = passwords.get(username)
        right = hmac.compare_digest(expected or b"", _encoded(password))
        return right and expected is not None

    return check


def _is_pair(value: Any) -> bool:
    return (
        isinstance(value, (tuple, list))
        and len(value) == 2
        and all(isinstance(item, str) for item in value)
    )


def _encoded(text: str) -> bytes:
    return text.encode(errors="surrogateescape")
