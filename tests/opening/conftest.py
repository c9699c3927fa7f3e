"""What the opening of connections needs around it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from ..support.loops import Run


@pytest.fixture
def run(run: Run[Any]) -> Run[Any]:
    """Run as everywhere, but let asyncio in debug mode tell of broken TLS handshakes."""

    async def tolerant(main: Coroutine[Any, Any, Any]) -> Any:
        loop = asyncio.get_running_loop()
        strict = loop.get_exception_handler()
        assert strict is not None

        def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            if context["message"] != "Error on transport creation for incoming connection":
                strict(loop, context)

        loop.set_exception_handler(handle)
        return await main

    return lambda main: run(tolerant(main))


@pytest.fixture(autouse=True)
def no_proxy_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own proxy settings must not reach a test."""
    for scheme in ["all", "http", "https", "ws", "wss", "socks", "no"]:
        for name in [f"{scheme}_proxy", f"{scheme}_proxy".upper()]:
            monkeypatch.delenv(name, raising=False)


@pytest.fixture
def socket_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where to make a Unix socket; such a path must be short."""
    path: Path = tmp_path_factory.mktemp("s") / "s"
    return str(path)


@pytest.fixture
def unused_port() -> Iterator[int]:
    """A port on which nobody listens, and nobody else can while the test runs."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]
