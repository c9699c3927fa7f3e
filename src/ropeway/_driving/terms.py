"""What connections go by that their users chose, checked and taken apart once for all of them."""

from __future__ import annotations

import weakref

from .._core.engine import Engine
from .._core.inbox import Inbox


class Terms:
    """What all connections of a server have in common, or what one of a client goes by.

    Args:
        ping_interval: seconds between keepalive pings.
        ping_timeout: seconds of silence after a ping that fail the connection.
        close_timeout: seconds that the closing handshake may take.
        max_queue: high water mark of the receive queue, in frames, or a pair of marks.
    """

    def __init__(
        self,
        ping_interval: float | None,
        ping_timeout: float | None,
        close_timeout: float | None,
        max_queue: int | tuple[int | None, int | None] | None,
    ) -> None:
        self.ping_interval = ping_interval
        self.ping_timeout = ping_timeout
        self.close_timeout = close_timeout
        self.high: int | None
        self.low: int | None
        self.high, self.low = max_queue if isinstance(max_queue, tuple) else (max_queue, None)

    def apply(self, connection: object, protocol: Engine) -> Inbox:
        """Prepare an engine for a driver's connection.

        Args:
            connection: is named in log records, as ``websocket``; only referenced weakly.
            protocol: the connection's engine.

        Returns:
            The connection's receive queue.

        """
        inbox = Inbox(self.high, self.low)
        protocol.use_inbox(inbox)
        protocol.keepalive.interval = self.ping_interval
        protocol.keepalive.timeout = self.ping_timeout
        protocol.closing.timeout = self.close_timeout
        protocol.log_for(weakref.ref(connection))
        return inbox
