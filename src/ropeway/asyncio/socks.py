"""SOCKS proxies for asyncio."""

from __future__ import annotations

from socket import socket

from .._driving.socks import refusals, socks_client
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
    client = socks_client(proxy, "async_.asyncio")
    with refusals():
        return await client.connect(host, port, local_addr=local_addr)  # type: ignore[no-any-return]
