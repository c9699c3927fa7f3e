"""SOCKS proxies, by way of python-socks, which has a client for every event library."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from typing import Any

from ..exceptions import ProxyError
from ..proxy import Proxy


def socks_client(proxy: Proxy, library: str) -> Any:
    """Make the client of python-socks for a proxy.

    Args:
        proxy: the SOCKS proxy; ``socks5h`` and ``socks4a`` let it resolve names.
        library: module of python-socks, such as ``sync``.

    Raises:
        ImportError: when python-socks is not installed.
    """
    try:
        from python_socks import ProxyType

        client = importlib.import_module(f"python_socks.{library}").Proxy
    except ImportError as exc:
        raise ImportError("connecting through a SOCKS proxy requires python-socks") from exc
    return client(
        ProxyType.SOCKS5 if proxy.scheme.startswith("socks5") else ProxyType.SOCKS4,
        proxy.host,
        proxy.port,
        proxy.username,
        proxy.password,
        proxy.scheme in ("socks5h", "socks4a"),
    )


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """Turn what python-socks raises when the proxy refuses into ProxyError."""
    try:
        yield
    except OSError:
        raise
    except Exception as exc:
        raise ProxyError("failed to connect to SOCKS proxy") from exc
