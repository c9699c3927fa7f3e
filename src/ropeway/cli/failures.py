"""Why there is no connection, or none any more, in a sentence for whoever called the command."""

from __future__ import annotations

import errno
import os
import socket
import ssl

from ..exceptions import (
    ConnectionClosed,
    ConnectionClosedOK,
    InvalidHandshake,
    InvalidProxy,
    InvalidStatus,
    ProxyError,
    WebSocketException,
)
from .exits import CLOSED_BADLY, REFUSED, UNREACHABLE
from .target import Target
from .text import hide_secrets, printable

__all__ = ["FAILURES", "failure"]

FAILURES = (OSError, WebSocketException, TimeoutError, ValueError, ImportError)
"""What connecting may raise; ImportError where a proxy needs a package that is not installed."""

BODY_SHOWN = 300
"""Characters of a refusal's body that are shown."""


def failure(exc: BaseException, target: Target) -> tuple[str, int]:
    """Explain why there is no connection, or none any more.

    Args:
        exc: what was raised.
        target: where the connection was to lead.

    Returns:
        A printable sentence, and the exit code.
    """
    if isinstance(exc, ConnectionClosed):
        code = 0 if isinstance(exc, ConnectionClosedOK) else CLOSED_BADLY
        return printable(f"connection closed: {exc}"), code
    if isinstance(exc, InvalidStatus):
        return _refusal(exc), REFUSED
    if isinstance(exc, (ProxyError, InvalidProxy)):
        return _clean(f"the proxy failed: {exc}"), UNREACHABLE
    if isinstance(exc, InvalidHandshake):
        return _clean(f"the handshake failed: {exc}{_cause(exc)}"), REFUSED
    return _clean(f"can't connect to {target.shown}: {_unreachable(exc, target)}"), UNREACHABLE


def _clean(text: str) -> str:
    return printable(hide_secrets(text))


def _cause(exc: BaseException) -> str:
    return f": {exc.__cause__}" if exc.__cause__ is not None else ""


def _refusal(exc: InvalidStatus) -> str:
    response = exc.response
    status = f"{response.status_code} {response.reason_phrase}".strip()
    body = " ".join(bytes(response.body).decode("utf-8", "replace").split())
    if len(body) > BODY_SHOWN:
        body = body[:BODY_SHOWN] + "…"
    kind = response.headers.get_all("Content-Type")
    markup = any("html" in one.lower() for one in kind) or body.startswith("<")
    said = f": {body}" if body and not markup else ""
    hint = ""
    if response.status_code == 401:
        hint = " (credentials: --auth USER:PASSWORD)"
    elif 300 <= response.status_code < 400:
        hint = f" (redirects to {', '.join(response.headers.get_all('Location'))})"
    return _clean(f"the server refused the handshake: HTTP {status}{said}{hint}")


def _unreachable(exc: BaseException, target: Target) -> str:
    if isinstance(exc, ssl.SSLCertVerificationError):
        return f"{exc.verify_message} (to trust it: --ca FILE; not to check: --insecure)"
    if isinstance(exc, ssl.SSLError):
        hint = " (does the server speak TLS? try ws://)" if exc.reason == _NO_TLS else ""
        return f"TLS failed: {(exc.reason or str(exc)).replace('_', ' ').lower()}{hint}"
    if isinstance(exc, TimeoutError) and not exc.errno:
        return f"timed out after {target.arguments['open_timeout']:g} s"
    if isinstance(exc, socket.gaierror):
        return f"{exc.strerror} ({target.parsed.host})"
    if isinstance(exc, OSError):
        return _system(exc)
    return f"{exc or type(exc).__name__}{_cause(exc)}"


_NO_TLS = "WRONG_VERSION_NUMBER"


def _system(exc: OSError) -> str:
    """Say what the system says, without the address that asyncio adds to it."""
    if exc.errno is None:
        return str(exc) or type(exc).__name__
    return os.strerror(exc.errno) if exc.errno in errno.errorcode else str(exc)
