"""Messages fragment by fragment, for the drivers whose calls are coroutines."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Literal, overload

from .._core.inbox import MessageStream
from .._core.states import OPEN
from ..exceptions import ConcurrencyError
from ..frames import CloseCode
from ..typing import Data


class Streaming:
    """What such a connection has beside waiting: it has ``_wait_receivable()`` and the others."""

    _receiving: bool
    _stream: MessageStream | None

    @overload
    def recv_streaming(self, decode: Literal[True]) -> AsyncIterator[str]: ...

    @overload
    def recv_streaming(self, decode: Literal[False]) -> AsyncIterator[bytes]: ...

    @overload
    def recv_streaming(self, decode: bool | None = None) -> AsyncIterator[Data]: ...

    async def recv_streaming(self: Any, decode: bool | None = None) -> AsyncIterator[Data]:
        """Receive the next message fragment by fragment.

        The iterator must be exhausted; until then, nothing else can be received. When fragments
        arrive much faster than they are taken, several may come as one.

        Args:
            decode: True gives str, False gives bytes; None goes by the kind of message.

        Yields:
            The fragments, as they arrive.

        Raises:
            ConnectionClosed: when the connection is closed before the message is complete.
            ConcurrencyError: when another task is receiving.

        """
        if self._receiving:
            raise ConcurrencyError(
                "cannot call recv_streaming while another coroutine "
                "is already running recv or recv_streaming"
            )
        self._receiving = True
        stream = self._stream = MessageStream(self._inbox, decode)
        try:
            while not stream.finished:
                await self._wait_receivable(stream.is_ready, False)
                try:
                    fragment = stream.take()
                except UnicodeDecodeError as exc:
                    await self._fail_decoding(exc)
                self._after_taking()
                yield fragment
        finally:
            self._stream = None
            # A message that is half taken can't be received any more.
            self._receiving = stream.started and not stream.finished

    async def _fail_decoding(self: Any, exc: UnicodeDecodeError) -> Any:
        """Fail the connection over a binary message that was to be text."""
        self._note(exc)
        if self.protocol.state is OPEN:
            reason = f"{exc.reason} at position {exc.start}"
            self.protocol.fail(CloseCode.INVALID_DATA, reason)
        self._deliver()
        await self._raise_closed()
