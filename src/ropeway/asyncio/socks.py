"""SOCKS proxies for asyncio, by way of python-socks."""

from __future__ import annotations

from socket import socket
from typing import Any

from ..exceptions import ProxyError
from ..proxy import Proxy


async def connect_through(
    proxy: Proxy, host: str, port: int, local_addr: tuple[str, int] | None
) -> socket:
    """Open a tunnel to ``host`` and ``port``.

    Args:
        proxy: the SOCKS proxy; ``socks5h`` and ``socks4a`` let it resolve ``host``.
        host: destination.
        port: destination.
        local_addr: local address to bind to, as ``(host, port)``.

    Returns:
        A socket whose other end is the destination.

    Raises:
        ImportError: when python-socks is not installed.
        OSError: when the proxy cannot be reached.
        ProxyError: when the proxy refuses.
    """
    client = _client(proxy)
    try:
        return await client.connect(host, port, local_addr=local_addr)  # type: ignore[no-any-return]
    except OSError:
        raise
    except Exception as exc:
        raise ProxyError("failed to connect to SOCKS proxy") from exc


def _client(proxy: Proxy) -> Any:
    try:
        from python_socks import ProxyType
        from python_socks.async_.asyncio import Proxy as Client
    except ImportError as exc:
        raise ImportError("connecting through a SOCKS proxy requires python-socks") from exc
    return Client(
        ProxyType.SOCKS5 if proxy.scheme.startswith("socks5") else ProxyType.SOCKS4,
        proxy.host,
        proxy.port,
        proxy.username,
        proxy.password,
        proxy.scheme in ("socks5h", "socks4a"),
    )
