"""The legacy server as its users see it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from .._core.logs import default_logger
from ..asyncio.listening import Listener
from ..asyncio.serving import Server
from ..typing import LoggerLike

if TYPE_CHECKING:
    from .server import WebSocketServerProtocol


class WebSocketServer:
    """A legacy server, as :class:`serve` gives it.

    Args:
        logger: where facts are logged; ``ropeway.server`` by default.
    """

    def __init__(self, logger: LoggerLike | None = None) -> None:
        self.logger: LoggerLike = default_logger("server") if logger is None else logger
        self.websockets: set[WebSocketServerProtocol] = set()
        self.server: asyncio.Server | Listener
        self._serving: Server | None = None

    def wrap(self, server: Server) -> None:
        """Take the server that does the work, once it listens."""
        self._serving = server
        self.server = server.server

    def register(self, protocol: WebSocketServerProtocol) -> None:
        """Know a connection."""
        self.websockets.add(protocol)

    def unregister(self, protocol: WebSocketServerProtocol) -> None:
        """Forget a connection."""
        self.websockets.discard(protocol)

    def close(self, close_connections: bool = True) -> None:
        """Stop accepting connections and begin to close; calling it again does nothing.

        Args:
            close_connections: close open connections too, with code 1001, rather than wait until
                they end.
        """
        self._started.close(close_connections)

    async def wait_closed(self) -> None:
        """Wait until the server is closed, its connections too, and all handlers have returned."""
        await self._started.wait_closed()

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Give the event loop."""
        return self._started.get_loop()

    def is_serving(self) -> bool:
        """Tell whether new connections are accepted."""
        return self._serving is not None and self._serving.is_serving()

    async def start_serving(self) -> None:
        """Begin to accept connections; for a server made with ``start_serving=False``."""
        await self._started.start_serving()

    async def serve_forever(self) -> None:
        """Serve until cancelled, which closes the server, or until the server is closed."""
        await self._started.serve_forever()

    @property
    def sockets(self) -> Sequence[Any]:
        """Sockets that the server listens on."""
        return self._started.sockets

    @property
    def _started(self) -> Server:
        if self._serving is None:
            raise RuntimeError("the server was not started: await serve(...)")
        return self._serving

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
        await self.wait_closed()


# It is documented and imported as the server's.
WebSocketServer.__module__ = f"{__package__}.server"
