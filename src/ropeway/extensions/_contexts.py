"""The two windows of a connection (RFC 7692 section 7.2): bytes of messages in, bytes out.

Knows streams of messages and their memory, neither frames nor what was negotiated how.
"""

from __future__ import annotations

import functools
import zlib
from typing import Any

from .._wire import PayloadBuffer
from ..exceptions import PayloadTooBig, ProtocolError
from ..typing import BytesLike
from ._backends import ZLIB, Backend, deflater
from ._memory import counted, uncounted

# 7.2.1: what a sync flush ends with, and what the sender removes.
EMPTY_STORED_BLOCK = b"\x00\x00\xff\xff"

# zlib copies what it leaves unread behind a final block: given all of a payload that is nothing but
# final blocks, it would take the square of its length.
AFTER_FINAL_BLOCK = 4096

# What a message that is refused takes beyond its limit, and most messages fit in.
STEP = 1 << 16

# Each final block restarts zlib, which costs as much as inflating several KiB, and can be 2 bytes
# long. Compressors end a stream once in a message, or in each of its fragments.
MAX_FINAL_BLOCKS = 256

NO_LIMIT = -1

# The longest match that deflate knows (RFC 1951 section 3.2.5).
LONGEST_MATCH = 258

# A smaller window isn't worth the 20 us that it takes to compress it.
PACKED_FROM = 512

# From this many compressed bytes on, a faster library is worth its context of 40 to 60 KiB, where
# zlib's takes 11.
LARGE_PIECE = 1024

# So many contexts of 160 KiB for messages of medium size there may be at a time, 10 MiB in all.
SEATS = 64

# Larger windows don't gain by such a context: zlib-ng at level 7 takes as long as zlib there.
LARGEST_SEATED_BITS = 12

# No message is longer than that of the longest frame.
NEVER = 1 << 62


class Inflater:
    """Decompresses what the peer sends.

    It begins with zlib, and goes over to the backend with the first large message.

    Invariants: without ``context``, what the peer may refer to is in ``window``, compressed if
    ``packed``; ``inflated`` bytes came out of ``context``, its dictionary included, since it was
    made; ``using`` made it.
    """

    def __init__(self, backend: Backend, bits: int, no_takeover: bool) -> None:
        self.backend = backend
        self.using: Backend = ZLIB
        self.bits = bits
        self.no_takeover = no_takeover
        self.context: Any = None
        self.inflated: int = 0
        self.final_blocks: int = 0
        self.in_message: bool = False
        self.at_start: bool = False
        self.used: bool = False
        self.window: Any = b""
        self.packed: bool = False

    def __del__(self) -> None:
        # While the interpreter ends, modules are emptied before the last objects go.
        if self.context is not None and uncounted is not None:
            uncounted()

    def start(self) -> None:
        """Begin a message."""
        self.final_blocks = 0
        self.in_message = True
        self.at_start = True
        self.used = True

    def inflate(self, piece: BytesLike, room: int, last: bool) -> bytes:
        """Inflate the next piece of a message, never beyond ``room`` bytes and one.

        Args:
            piece: compressed bytes, at any cut.
            room: most bytes that may come out; -1 for no limit.
            last: the message ends with this piece.

        Raises:
            PayloadTooBig: when more than ``room`` bytes come out.
            ProtocolError: when the bytes aren't deflate data, or have more than 256 final blocks
                in one message.

        """
        data = bytes(piece)
        if self.at_start:
            self.at_start = False
            self._prepare(len(data) >= LARGE_PIECE)
        if last:
            # 7.2.2: "Append 4 octets of 0x00 0x00 0xff 0xff to the tail end of the payload".
            data += EMPTY_STORED_BLOCK
        output = self._inflate_in_steps(data, room)
        if self.context.eof:
            output = self._inflate_rest(output, room)
        if last:
            self.in_message = False
            if self.no_takeover:
                self._drop()
        return output

    def _prepare(self, large: bool) -> None:
        if self.context is None:
            self.using = self.backend if large else ZLIB
            self._make()
        elif large and self.using is not self.backend:
            self._keep_window()
            self.using = self.backend
            self._make()

    def _inflate_in_steps(self, data: bytes, room: int) -> bytes:
        """Inflate so that what turns out to be too big never was whole in memory, let alone twice.

        zlib's output is joined from blocks, which doubles it for a moment. Steps grow with the
        input, because what is left of that is copied at each.
        """
        step = max(STEP, len(data) // 4)
        if room == NO_LIMIT or room <= step:
            return self._decompress(data, room, room)
        output = self._step(data, step)
        if len(output) < step or self.context.eof:
            return output
        # What is put becomes the payload where it lies: a list would have to be joined.
        inflated = PayloadBuffer(room, False, False)
        inflated.put(output, 0, len(output), 0)
        space = room - step
        while space > step:
            # A step that was filled may have used up the input: what is left is within zlib.
            output = self._step(self.context.unconsumed_tail, step)
            inflated.put(output, 0, len(output), 0)
            space -= len(output)
            if len(output) < step or self.context.eof:
                break
        else:
            output = self._decompress(self.context.unconsumed_tail, space, room)
            inflated.put(output, 0, len(output), 0)
        payload = inflated.take()
        assert isinstance(payload, bytes)
        return payload

    def _decompress(self, data: bytes, space: int, room: int) -> bytes:
        # zlib takes 0 for "no limit", so a full room still has one byte to overflow with.
        output = self._step(data, 0 if room == NO_LIMIT else space + 1)
        if room != NO_LIMIT and len(output) > space:
            raise PayloadTooBig(None, room)
        return output

    def _step(self, data: bytes, most: int) -> bytes:
        try:
            output: bytes = self.context.decompress(data, most)
        except self.using.error as exc:
            raise ProtocolError("decompression failed") from exc
        self.inflated += len(output)
        return output

    def _inflate_rest(self, output: bytes, room: int) -> bytes:
        """Go on behind final blocks.

        7.2.3.4 allows a block with BFINAL set, which ends zlib's stream but not the message. A
        compressor that ends a stream starts the next with an empty window.
        """
        inflated = [output]
        space = room - len(output)
        data: bytes = self.context.unused_data
        self._restart()
        start = 0
        while start < len(data):
            stop = min(start + AFTER_FINAL_BLOCK, len(data))
            output = self._decompress(data[start:stop], space, room)
            inflated.append(output)
            space -= len(output)
            start = stop
            if self.context.eof:
                start -= len(self.context.unused_data)
                self._restart()
        return b"".join(inflated)

    def _restart(self) -> None:
        self.final_blocks += 1
        if self.final_blocks > MAX_FINAL_BLOCKS:
            raise ProtocolError(f"compressed message has more than {MAX_FINAL_BLOCKS} final blocks")
        self._make()

    def _make(self) -> None:
        """Make the context, with the window that was kept."""
        window = zlib.decompress(self.window) if self.packed else self.window
        self.window = b""
        self.packed = False
        if self.context is None:
            counted()
        self.context = self.using.inflater(self.bits, window)
        self.inflated = len(window)

    def _drop(self) -> None:
        self.context = None
        uncounted()

    def _keep_window(self) -> None:
        # No API gives the window out, but a block that refers to all of it makes zlib repeat it.
        size = min(self.inflated, 1 << self.bits)
        if size:
            self.window = self.context.decompress(whole_window(size), size)

    def rest(self) -> bool:
        """Give the context back, keeping its window, if it wasn't used since the last call.

        Returns:
            Whether there still is a context.

        """
        if self.context is None:
            return False
        if self.used or self.in_message:
            self.used = False
            return True
        self._keep_window()
        if len(self.window) >= PACKED_FROM:
            self.window = zlib.compress(self.window, 1)
            self.packed = True
        self._drop()
        return False


@functools.lru_cache(maxsize=16)
def whole_window(size: int) -> bytes:
    """Write a deflate block whose first ``size`` bytes are the last ``size`` of the window.

    It consists of matches of the longest length at this distance, in the fixed code of RFC 1951
    section 3.2.6, in which the first bit of a Huffman code is the lowest.
    """
    # 3.2.5: a distance's code has its two highest bits, and the rest follows as extra bits.
    extra = max((size - 1).bit_length() - 2, 0)
    distance_code = (size - 1) if size <= 4 else 2 * extra + ((size - 1) >> extra)
    match = 0b10100011  # 11000101, the code of length 258, reversed
    width = 8
    match |= int(f"{distance_code:05b}"[::-1], 2) << width
    width += 5
    match |= ((size - 1) & ((1 << extra) - 1)) << width
    width += extra
    count = -(-size // LONGEST_MATCH)
    # A number that has a 1 where each match begins, times the match.
    matches = ((1 << width * count) - 1) // ((1 << width) - 1) * match
    # BFINAL 0, BTYPE 01; the bytes of zeros behind let zlib look ahead.
    return (matches << 3 | 0b010).to_bytes((3 + width * count) // 8 + 4, "little")


class Window:
    """What was sent last, as the peer's window has it; connections may share one.

    It is equal to itself only.
    """

    def __init__(self, content: bytes) -> None:
        self.content = content


class Apart:
    """A message that was compressed apart from any connection's context.

    Attributes:
        deflated: payload to send, with RSV1.
        window: what the peer's window ends with once the message was sent, if that is of use.

    """

    def __init__(self, deflated: bytes, window: Window | None) -> None:
        self.deflated = deflated
        self.window = window


@functools.cache
def _kind(*settings: object) -> object:
    """Give the one object that stands for these settings."""
    return settings


class _Seats:
    free = SEATS


class Deflater:
    """Compresses what we send.

    A sender may start afresh with any message: it refers only to what it chose to remember. So the
    context can be given back at any time, and a message can be compressed elsewhere.

    Invariants: at most one of ``context`` and ``window`` is set; who is ``seated`` has one of the
    backend's contexts, or is about to make it, and everyone else has one of zlib's.
    """

    def __init__(
        self,
        backend: Backend,
        bits: int,
        no_takeover: bool,
        settings: dict[Any, Any],
        threshold: int,
    ) -> None:
        self.backend = backend
        self.bits = bits
        self.no_takeover = no_takeover
        self.settings = settings
        self.threshold = threshold
        self._kind: object = None
        self.large: int = NEVER
        self.medium: int = NEVER
        if backend.large is not None and backend.speeds_up(settings):
            self.large = self.medium = backend.large
            if backend.medium is not None and bits <= LARGEST_SEATED_BITS and not no_takeover:
                self.medium = backend.medium
        self.seated: bool = False
        self.context: Any = None
        self.window: Window | None = None
        self.used: bool = False

    def __del__(self) -> None:
        if uncounted is not None and _Seats is not None:  # as above
            self._drop()

    def is_worthwhile(self, payload: str | BytesLike) -> bool:
        """Tell whether a message has as many bytes as ``threshold``."""
        if len(payload) >= self.threshold:
            return True
        return isinstance(payload, str) and len(payload.encode()) >= self.threshold

    def deflate(self, payload: BytesLike, first: bool, last: bool) -> bytes:
        """Compress a fragment of a message.

        Args:
            payload: application bytes.
            first: the message starts with this fragment.
            last: the message ends with this fragment.

        """
        self.used = True
        if first and last and len(payload) >= self.medium:
            if len(payload) >= self.large:
                apart = self.apart(payload)
                self.sent(apart)
                return apart.deflated
            if not self.seated and _Seats.free > 0:
                self._drop()
                _Seats.free -= 1
                self.seated = True
        if self.context is None or (first and self.no_takeover):
            self._make()
        deflated: bytes = self.context.compress(payload)
        deflated += self.context.flush(zlib.Z_SYNC_FLUSH)
        if not last:
            return deflated
        if self.no_takeover:
            self._drop()
        # 7.2.1: "Remove 4 octets (that are 0x00 0x00 0xff 0xff) from the tail end".
        return deflated[:-4]

    def _make(self) -> None:
        if self.context is None:
            counted()
        if self.seated:
            self.context = self.backend.deflater_for_medium(self.bits, self._content())
        else:
            self.context = deflater(zlib, self.bits, self.settings, self._content())
        self.window = None

    def kind(self) -> object:
        """Give what is the same object for all that ``apart()`` compresses alike for.

        Their ``window`` has to be the same one, too.
        """
        if self._kind is None:
            settings = tuple(sorted(self.settings.items()))
            self._kind = _kind(self.threshold, self.bits, self.no_takeover, settings)
        return self._kind

    def apart(self, payload: BytesLike) -> Apart:
        """Compress a whole message without the context, for one connection or for many.

        On each to which it is sent, call ``sent()``. No message must be going out in fragments.
        """
        content = self._content()
        if len(payload) >= self.large:
            context = self.backend.deflater_for_large(self.bits, content)
        else:
            context = deflater(zlib, self.bits, self.settings, content)
        deflated: bytes = context.compress(payload)
        deflated += context.flush(zlib.Z_SYNC_FLUSH)
        window = None
        if not self.no_takeover:
            size = 1 << self.bits
            recent = bytes(payload[-size:])
            window = Window((content + recent)[-size:])
        return Apart(deflated[:-4], window)

    def sent(self, apart: Apart) -> None:
        """Note that the next message was compressed apart: the peer's window has moved on."""
        self.used = True
        self._drop()
        self.window = None if self.no_takeover else apart.window

    def _content(self) -> bytes:
        return b"" if self.window is None else self.window.content

    def rest(self) -> bool:
        """Give the context back, if it wasn't used since the last call.

        Returns:
            Whether there still is one.

        """
        if self.used:
            self.used = False
            return self.context is not None or self.window is not None
        self._drop()
        self.window = None
        return False

    def _drop(self) -> None:
        if self.seated:
            self.seated = False
            _Seats.free += 1
        if self.context is not None:
            self.context = None
            uncounted()
