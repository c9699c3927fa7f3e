"""What a connection waits for, where it isn't a message: the coroutines behind its methods."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ..typing import Data
from .dispatch import make_waiter
from .link import Link


class Waiting(Link):
    """A link that tasks wait on."""

    async def _wait_receivable(self, ready: Callable[[], bool], whole: bool) -> None:
        """Wait until ``ready()``; raise ConnectionClosed when that will never be.

        ``whole`` says that a whole message is wanted, so that its fragments may exceed the high
        water mark.
        """
        inbox = self._inbox
        while not ready():
            if inbox.closed:
                await self._wait_lost()
                raise self.close_exc
            receiver = self._receiver = make_waiter(self.loop)
            inbox.wanted = whole
            try:
                self._before_waiting()
                await receiver
            finally:
                inbox.wanted = False
                self._receiver = None

    async def _wait_opening(self) -> None:
        """Wait for the peer's half of the opening handshake, or its failure."""
        if self._is_opening_over():
            return
        self._opened = self.loop.create_future()
        try:
            await self._opened
        finally:
            self._opened = None

    async def _drain(self, whole: bool = False) -> None:
        """Wait until the write buffer has room again.

        Args:
            whole: a whole message waits: where such are dropped, no longer than the peer has time.

        Raises:
            ConnectionClosed: when the connection is lost before.

        """
        while self._write_paused and not (whole and self._is_dropping()):
            waiter = self.loop.create_future()
            if self._drain_waiters is None:
                self._drain_waiters = []
            self._drain_waiters.append(waiter)
            try:
                await waiter
            finally:
                self._drain_waiters.remove(waiter)
        if self._is_lost:
            raise self.close_exc

    def _is_dropping(self) -> bool:
        """Tell whether the next messages will be dropped."""
        guard = self.protocol.guard
        return self._choking and guard is not None and guard.stalled and guard.slowness.drops

    async def _wait_lost(self) -> None:
        """Wait until the connection is over; its deadline sees to it that this ends."""
        if not self._is_lost:
            # One for each task, so that cancelling one doesn't end the wait of the others.
            await self._lost_future()

    def _lost_future(self) -> asyncio.Future[None]:
        """Make a future that is done when the connection is over."""
        waiter = self.loop.create_future()
        if self._is_lost:
            waiter.set_result(None)
        elif self._lost is None:
            self._lost = [waiter]
        else:
            # A task that waits again and again, and is cancelled, must not pile them up.
            self._lost = [other for other in self._lost if not other.done()]
            self._lost.append(waiter)
        return waiter

    async def _raise_closed(self) -> None:
        """Wait for the end of a connection that isn't open, and raise ConnectionClosed."""
        await self._wait_lost()
        raise self.close_exc

    async def _end_iteration(self) -> Data:
        """End iterating over messages, as the way in which the connection ended demands."""
        if not self._is_lost:
            await self._wait_lost()
        if self.protocol.closing.is_clean():
            raise StopAsyncIteration
        raise self.close_exc
