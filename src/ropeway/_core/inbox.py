"""Frames in, messages out: assembly of fragments, and the water marks of the receive queue.

Fragments are coalesced once they are many, so that their number costs no memory.
"""

from __future__ import annotations

import codecs
from collections import deque

from ..typing import Data

NO_LIMIT = -1
LARGEST = 2**62

# Below this many taken items, moving the others to the front isn't worth it.
MANY_TAKEN = 64

# Up to this many fragments a streaming reader sees them as they were sent; beyond it they merge.
SEPARATE_FRAGMENTS = 64


class Fragments:
    """A fragmented message that is arriving or has arrived."""

    def __init__(self, is_text: bool) -> None:
        self.is_text = is_text
        self.chunks: deque[bytes | bytearray] = deque()
        self.frames: int = 0
        self.complete = False

    def add(self, payload: bytes) -> None:
        """Append a fragment."""
        self.frames += 1
        if len(self.chunks) < SEPARATE_FRAGMENTS:
            self.chunks.append(payload)
            return
        last = self.chunks[-1]
        if type(last) is not bytearray:
            self.chunks[-1] = last = bytearray(last)
        last += payload

    def join(self) -> bytes:
        """Give the payload of the whole message."""
        return b"".join(self.chunks)


class Inbox:
    """The receive queue of one connection.

    Invariants: only the last item may be incomplete; ``level`` counts the frames in all items,
    ``held`` the bytes that were put in since it was last empty.
    Taking never loses: an item leaves the queue in the very call that returns it.
    """

    def __init__(self, high: int | None, low: int | None) -> None:
        """Set the water marks, in frames.

        Args:
            high: above this many frames the inbox is full; None for no limit.
            low: at this many frames or fewer it has room again; None for a quarter of ``high``.

        Raises:
            ValueError: when a mark is negative, or low above high.

        """
        if high is None and low is not None:
            high = low * 4
        if high is not None:
            if low is None:
                low = high // 4
            if low < 0:
                raise ValueError(f"low must be positive or equal to zero: {low}")
            if high < low:
                raise ValueError(f"high must be greater than or equal to low: {high} < {low}")
        self.high: int = NO_LIMIT if high is None else high
        self.low: int = NO_LIMIT if low is None else low
        # A list whose first ``_taken`` places are empty: a deque takes 760 bytes when it is empty.
        self.items: list[str | bytes | Fragments | None] = []
        self._taken = 0
        self.level: int = 0
        # Frames that inflate, a thousandfold at best, would make a queue of them worth megabytes.
        self.most: int = LARGEST
        self.held: int = 0
        # Somebody waits for the next message, so an incomplete one must be allowed to grow.
        self.wanted = False
        # Set once no frame will be added.
        self.closed = False

    def put(self, opcode: int, fin: bool, payload: str | bytes) -> None:
        """Add a data frame; ``payload`` is a str only where a whole text message is one frame."""
        self.level += 1
        self.held += len(payload)
        if fin and opcode:
            self.items.append(payload)
            return
        assert isinstance(payload, bytes)
        if opcode:
            fragments = Fragments(opcode == 1)
            self.items.append(fragments)
        else:
            last = self.items[-1]
            assert isinstance(last, Fragments)
            fragments = last
        fragments.add(payload)
        fragments.complete = fin

    def is_ready(self) -> bool:
        """Tell whether a whole message can be taken."""
        if not self.items:
            return False
        first = self.items[self._taken]
        return type(first) is not Fragments or first.complete

    def is_full(self) -> bool:
        """Tell whether frames or bytes are above their mark, with nobody about to lower them."""
        if self.high == NO_LIMIT or (self.level <= self.high and self.held <= self.most):
            return False
        return not self.wanted or self.is_ready()

    def has_room(self) -> bool:
        """Tell whether the level has come down to the low mark, or somebody waits for more."""
        if self.high == NO_LIMIT or (self.level <= self.low and self.held <= self.most):
            return True
        return self.wanted and not self.is_ready()

    def first(self) -> str | bytes | Fragments:
        """Give the first item, which stays; call only when there is one."""
        item = self.items[self._taken]
        assert item is not None
        return item

    def drop(self) -> None:
        """Remove the first item."""
        items = self.items
        self._taken += 1
        if self._taken == len(items):
            items.clear()
            self._taken = 0
            self.held = 0
        elif self._taken > MANY_TAKEN and self._taken * 2 > len(items):
            del items[: self._taken]
            self._taken = 0
        else:
            items[self._taken - 1] = None

    def take(self, decode: bool | None) -> Data:
        """Remove the first message; call only when ``is_ready()``.

        Args:
            decode: True for str, False for bytes, None for what the opcode says.

        Raises:
            UnicodeDecodeError: when ``decode`` is True and a binary message isn't UTF-8.

        """
        item = self.first()
        self.drop()
        if type(item) is Fragments:
            self.level -= item.frames
            payload = item.join()
            return payload.decode() if decode or (decode is None and item.is_text) else payload
        self.level -= 1
        if type(item) is str:
            return item.encode() if decode is False else item
        assert type(item) is bytes
        return item.decode() if decode else item


class MessageStream:
    """The first message of an inbox, taken fragment by fragment."""

    def __init__(self, inbox: Inbox, decode: bool | None) -> None:
        self._inbox = inbox
        self._decode = decode
        self._decoder: codecs.IncrementalDecoder | None = None
        self.started = False
        self.finished = False

    def is_ready(self) -> bool:
        """Tell whether a fragment can be taken."""
        if not self._inbox.items:
            return False
        first = self._inbox.first()
        return type(first) is not Fragments or len(first.chunks) > 0

    def take(self) -> Data:
        """Remove the next fragment; call only when ``is_ready()``.

        Raises:
            UnicodeDecodeError: when decoding was asked for and a binary message isn't UTF-8.

        """
        self.started = True
        inbox = self._inbox
        first = inbox.first()
        if type(first) is not Fragments:
            self.finished = True
            return inbox.take(self._decode)
        chunk = bytes(first.chunks.popleft())
        frames = 1 if first.chunks else first.frames
        first.frames -= frames
        inbox.level -= frames
        self.finished = first.complete and not first.chunks
        if self.finished:
            inbox.drop()
        if self._decode is False or (self._decode is None and not first.is_text):
            return chunk
        # A code point may be cut by fragments, so one decoder serves the whole message.
        if self._decoder is None:
            self._decoder = codecs.getincrementaldecoder("utf-8")()
        return self._decoder.decode(chunk, self.finished)
