"""Run a SOCKS proxy of the package tiny-proxy; print its port once it listens.

Arguments: the version of SOCKS, then, to demand credentials, a user and a password.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import anyio
import anyio.abc
import tiny_proxy


async def main(version: str, credentials: Sequence[str]) -> None:
    if version == "4":
        handler = tiny_proxy.Socks4ProxyHandler()
    else:
        handler = tiny_proxy.Socks5ProxyHandler(*credentials)
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    print(listener.extra(anyio.abc.SocketAttribute.local_port), flush=True)
    await listener.serve(handler.handle)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], sys.argv[2:])
