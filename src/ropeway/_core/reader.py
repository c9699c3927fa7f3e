"""Bytes in, frames out: RFC 6455 section 5, in the order in which bytes arrive.

A violation is raised at the first byte that proves it, and memory grows only with what has really
arrived. The reader knows framing and the order of fragments; it never knows who reads the frames.
"""

from __future__ import annotations

from .._wire import PayloadBuffer, payload_bytes, payload_text, rotate_key, utf8_rest
from ..exceptions import PayloadTooBig, ProtocolError, TooManyFragments
from ..extensions._contexts import Inflater
from ..extensions.base import Extension
from ..extensions.permessage_deflate import PerMessageDeflate
from ..frames import Frame, Opcode

CONT = 0
TEXT = 1
BINARY = 2
FIRST_CONTROL_OPCODE = 8
LAST_OPCODE = 10
FIN = 0x80
RSV1 = 0x40
RSV = 0x70
NO_LIMIT = -1
LARGEST_LENGTH = 2**63 - 1

# Reads of a large payload are joined once, at its end; a payload in more reads than this is being
# sent in small packets, and then an object for each would weigh more than their bytes.
SEPARATE_PIECES = 64

# With this many bytes of a payload still to come, they are received where they stay. With fewer,
# the frames behind them may come with the same read.
LARGE_REST = 16 * 1024

# Empty fragments cost a peer two bytes each and never reach max_size: nobody needs this many.
MAX_EMPTY_FRAGMENTS = 4096


class Reader:
    """Parses the frames of one direction of a connection.

    Invariants: ``[pos, end)`` of ``buffer`` is unread; a frame's header is consumed whole or not at
    all; while ``in_payload``, what has arrived of the payload is in ``pieces``, unmasked (and
    inflated), or in ``large``, unmasked. Between ``feed()`` and the end of parsing, ``buffer``
    belongs to the reader.
    """

    def __init__(
        self,
        masked: bool,
        max_message_size: int | None,
        max_fragment_size: int | None,
        max_fragments: int | None,
        text_as_str: bool,
    ) -> None:
        self.masked = masked
        self.max_message_size: int = _limit_or_none(max_message_size)
        self.max_fragment_size: int = _limit_or_none(max_fragment_size)
        # The same for the first frame of a message, and as numbers to compare with at once.
        self.first_limit: int = LARGEST_LENGTH
        for limit in (self.max_message_size, self.max_fragment_size):
            if limit != NO_LIMIT:
                self.first_limit = min(self.first_limit, limit)
        self.most_fragments: int = LARGEST_LENGTH
        if max_fragments is not None:
            self.most_fragments = min(max_fragments, LARGEST_LENGTH)
        self.text_as_str = text_as_str
        self.deflate: PerMessageDeflate | None = None
        self.inflater: Inflater | None = None
        self.extensions: list[Extension] | None = None
        self.allowed_rsv: int = 0

        self.buffer: bytes | bytearray = b""
        self.borrowed: bool = False
        self.pos: int = 0
        self.end: int = 0

        # The frame being read; once next_frame() is true, the frame that was read.
        self.in_payload: bool = False
        self.opcode: int = 0
        self.fin: bool = False
        self.rsv: int = 0
        self.length: int = 0
        self.remaining: int = 0
        self.key: int = 0
        self.frame_size: int = 0
        self.pieces: list[bytes | bytearray] = []
        self.large: PayloadBuffer | None = None
        self.unchecked: int = 0
        self.payload: str | bytes = b""

        # The message being read, across its fragments.
        self.in_message: bool = False
        self.is_text: bool = False
        self.compressed: bool = False
        self.message_size: int = 0
        self.fragments: int = 0
        self.empty_fragments: int = 0
        self.text_pending: bytes = b""
        self.text_checked: int = 0
        self.bad_text_at: int = NO_LIMIT

        self.frames_received: int = 0
        self.messages_received: int = 0
        self.bytes_received: int = 0
        self.payload_bytes_received: int = 0
        self.inflated_bytes: int = 0
        self.deflated_bytes: int = 0

    def use_extensions(self, extensions: list[Extension]) -> None:
        """Set what was negotiated: permessage-deflate alone streams, all else sees whole frames."""
        self.deflate = None
        self.inflater = None
        self.extensions = None
        self.allowed_rsv = 0
        if len(extensions) == 1 and type(extensions[0]) is PerMessageDeflate:
            self.deflate = extensions[0]
            self.inflater = extensions[0].inflater
            self.allowed_rsv = RSV1
        elif extensions:
            self.extensions = extensions
            self.allowed_rsv = RSV

    def feed(self, data: bytes | bytearray, start: int, end: int) -> None:
        """Give bytes to parse; ``data`` must not change until ``keep_rest()``."""
        if type(data) is not bytes and type(data) is not bytearray:
            # The kernels read the memory of these two only.
            data = bytes(data)
        self.bytes_received += end - start
        self.borrowed = self.pos == self.end
        if self.borrowed:
            self.buffer = data
            self.pos = start
            self.end = end
        else:
            self.buffer = bytes(self.buffer[self.pos : self.end]) + bytes(data[start:end])
            self.pos = 0
            self.end = len(self.buffer)

    def keep_rest(self) -> None:
        """Let go of the buffer given to ``feed()``, keeping a copy of what is unread."""
        if self.pos == self.end:
            self.buffer = b""
            self.pos = self.end = 0
        elif self.borrowed:
            self.buffer = bytes(self.buffer[self.pos : self.end])
            self.end -= self.pos
            self.pos = 0
        self.borrowed = False

    def position(self) -> int:
        """Tell how many bytes were parsed since the connection began."""
        return self.bytes_received - (self.end - self.pos)

    def has_unread(self) -> bool:
        """Tell whether there is something to parse: bytes, or a payload received to its end."""
        return self.pos < self.end or (self.large is not None and self.remaining == 0)

    def discard(self) -> None:
        """Drop what is unread."""
        self.buffer = b""
        self.pos = self.end = 0
        self.pieces = []
        self.large = None
        self.unchecked = 0
        self.in_payload = False

    # A large payload is received where it stays

    def want(self) -> int:
        """Tell how many bytes may be received through ``room()``; 0 for as usual, in ``feed()``.

        Ask once parsing came to its end for lack of bytes, and after ``keep_rest()``.
        """
        return self.remaining if self._is_large(self.remaining) and self.pos == self.end else 0

    def room(self) -> memoryview:
        """Give the memory to receive the next bytes in; call only when ``want()`` isn't 0.

        It has at least one byte and at most ``want()``, and may be written to until ``filled()``
        or ``discard()`` is called; before anything is fed, ``filled()`` must be.
        """
        if self.large is None:
            self._start_large()
        assert self.large is not None
        return self.large.room()

    def filled(self, nbytes: int) -> None:
        """Take ``nbytes`` bytes that were received in ``room()``; go on with ``next_frame()``."""
        assert self.large is not None
        self.bytes_received += nbytes
        self.large.advance(nbytes, self.key)
        self._count_large(nbytes)

    def _is_large(self, rest: int) -> bool:
        """Tell whether the payload of which ``rest`` bytes are to come is received in place."""
        return (
            rest >= LARGE_REST
            and self.in_payload
            and self.opcode < FIRST_CONTROL_OPCODE
            and not self.compressed
            and self.extensions is None
        )

    def _start_large(self) -> None:
        as_str = self.text_as_str and self.fin and self.opcode == TEXT
        self.large = PayloadBuffer(self.length, self.is_text, as_str)

    def _count_large(self, size: int) -> None:
        assert self.large is not None
        self.remaining -= size
        self.key = rotate_key(self.key, size)
        self.message_size += size
        self.payload_bytes_received += size
        self.unchecked += size

    def _check_large(self) -> None:
        """Fail at the first bad byte of text, in ``next_frame()`` like any other violation."""
        assert self.large is not None
        size, self.unchecked = self.unchecked, 0
        if self.is_text:
            try:
                self.text_pending = self.large.utf8_rest(self.text_pending, size)
            except UnicodeDecodeError as exc:
                self._locate(exc)
                raise
            self.text_checked += size

    def next_frame(self) -> bool:
        """Read one frame into the reader's fields; False when more bytes are needed.

        Raises:
            ProtocolError: when a rule of RFC 6455 section 5 or RFC 7692 is broken.
            PayloadTooBig: when a message or fragment is over its limit.
            TooManyFragments: when a message has too many fragments, or too many empty ones.
            UnicodeDecodeError: when text isn't UTF-8 (5.6, 8.1).

        """
        if not self.in_payload:
            if not self._read_header():
                return False
        elif self.unchecked:
            self._check_large()
        available = self.end - self.pos
        if available < self.remaining:
            if available > 0:
                self._read_piece(available)
            return False
        self._read_payload()
        self.in_payload = False
        self.frames_received += 1
        if self.opcode < FIRST_CONTROL_OPCODE:
            self.in_message = not self.fin
            if self.fin:
                self.messages_received += 1
        return True

    def _read_header(self) -> bool:
        data = self.buffer
        pos = self.pos
        available = self.end - pos
        if available < 1:
            return False
        first = data[pos]
        # Most frames are whole messages, about which there is nothing to check.
        if self.in_message or not TEXT <= first & 0x7F <= BINARY:
            self._check_first_byte(first)
        if available < 2:
            return False
        second = data[pos + 1]
        # 5.1: "a client MUST mask all frames that it sends to the server", and a server none.
        if (second >= 0x80) != self.masked:
            raise ProtocolError("incorrect masking")
        length = second & 0x7F
        # 5.5: "All control frames MUST have a payload length of 125 bytes or less".
        if length > 125 and first & 0x08:
            raise ProtocolError("control frame too long")
        size = 2
        if length == 126:
            size = 4
            if available < 4:
                return False
            length = data[pos + 2] << 8 | data[pos + 3]
            # 5.2: "the minimal number of bytes MUST be used to encode the length".
            if length < 126:
                raise ProtocolError("payload length must be encoded in the minimal number of bytes")
        elif length == 127:
            size = 10
            # 5.2: "the most significant bit MUST be 0".
            if available > 2 and data[pos + 2] >= 0x80:
                raise ProtocolError("most significant bit of payload length must be 0")
            if available < 10:
                return False
            length = 0
            for i in range(8):
                length = length << 8 | data[pos + 2 + i]
            if length < 65536:
                raise ProtocolError("payload length must be encoded in the minimal number of bytes")
        if (self.in_message or length > self.first_limit) and not first & 0x08:
            self._check_size(first, length)
        if self.masked:
            if available < size + 4:
                return False
            key = data[pos + size + 3]
            key = key << 8 | data[pos + size + 2]
            key = key << 8 | data[pos + size + 1]
            self.key = key << 8 | data[pos + size]
            size += 4
        self.pos = pos + size
        self.opcode = first & 0x0F
        self.fin = first >= FIN
        self.rsv = first & RSV
        self.length = self.remaining = length
        self.frame_size = 0
        self.in_payload = True
        if self.opcode < FIRST_CONTROL_OPCODE:
            self._count_fragment()
        return True

    def _check_first_byte(self, first: int) -> None:
        opcode = first & 0x0F
        rsv = first & RSV
        if opcode > LAST_OPCODE or 2 < opcode < FIRST_CONTROL_OPCODE:
            raise ProtocolError("invalid opcode")
        if rsv & ~self.allowed_rsv:
            raise ProtocolError("reserved bits must be 0")
        if opcode >= FIRST_CONTROL_OPCODE:
            if rsv and self.extensions is None:
                raise ProtocolError("reserved bits must be 0")
            # 5.5: control frames "MUST NOT be fragmented".
            if first < FIN:
                raise ProtocolError("fragmented control frame")
        elif opcode == CONT:
            if not self.in_message:
                raise ProtocolError("unexpected continuation frame")
            # RFC 7692 6.1: only "the first fragment" of a compressed message has RSV1 set.
            if rsv and self.extensions is None:
                raise ProtocolError(
                    "RSV1 bit set in continuation frame"
                    if self.compressed
                    else "reserved bits must be 0"
                )
        elif self.in_message:
            raise ProtocolError("expected a continuation frame")

    def _check_size(self, first: int, length: int) -> None:
        """Apply the limits; a header is parsed again when its mask is late, so only check here."""
        message_size = self.message_size if self.in_message else 0
        compressed = self.compressed if first & 0x0F == CONT else (first & RSV1) != 0
        # The limit is on application bytes: a compressed payload is measured while it inflates.
        if compressed and self.deflate is not None:
            return
        limit = self._limit(message_size)
        if limit != NO_LIMIT and length > limit:
            raise self._too_big(length, limit, message_size)

    def _count_fragment(self) -> None:
        if self.opcode != CONT:
            self.is_text = self.opcode == TEXT
            self.compressed = self.rsv & RSV1 != 0 and self.deflate is not None
            self.message_size = 0
            self.fragments = 0
            self.empty_fragments = 0
            self.text_pending = b""
            self.text_checked = 0
            if self.compressed and self.inflater is not None:
                self.inflater.start()
        self.fragments += 1
        if self.fragments > self.most_fragments:
            raise TooManyFragments(self.most_fragments)
        if self.length == 0:
            self.empty_fragments += 1
            if self.empty_fragments > MAX_EMPTY_FRAGMENTS:
                raise TooManyFragments(MAX_EMPTY_FRAGMENTS)

    def _limit(self, message_size: int) -> int:
        """Give how many application bytes this frame may have, NO_LIMIT when any number."""
        limit = NO_LIMIT
        if self.max_message_size != NO_LIMIT:
            limit = self.max_message_size - message_size
        if self.max_fragment_size != NO_LIMIT and (
            limit == NO_LIMIT or self.max_fragment_size < limit
        ):
            limit = self.max_fragment_size
        return limit

    def _too_big(self, size: int | None, limit: int, message_size: int) -> PayloadTooBig:
        return PayloadTooBig(size, limit, message_size if self.in_message else None)

    def _read_payload(self) -> None:
        """Read what remains of the payload, all of which is in the buffer."""
        start = self.pos
        size = self.remaining
        if self.extensions is not None:
            self._read_extended(size)
            return
        if self.opcode >= FIRST_CONTROL_OPCODE:
            # Control frames skip the message's state: they may come between its fragments (5.4).
            self.pieces.append(payload_bytes(self.buffer, start, start + size, self.key))
            self.pos += size
            self.payload = b"".join(self.pieces)
            self.pieces = []
            return
        if self.large is not None:
            if size:
                self._read_piece(size)
            self._check_end_of_text()
            self.payload = self.large.take()
            self.large = None
            return
        if not self.pieces and not self.compressed:
            if self.is_text and self.text_as_str and self.fin and self.opcode == TEXT:
                self.payload = payload_text(self.buffer, start, start + size, self.key)
                self.pos += size
                self.payload_bytes_received += size
                return
            if not self.is_text:
                self.payload = payload_bytes(self.buffer, start, start + size, self.key)
                self.pos += size
                self.message_size += size
                self.payload_bytes_received += size
                return
        if size:
            self._read_piece(size)
        elif self.compressed and self.fin:
            self._add(self._inflate(b"", True))
        payload = b"".join(self.pieces)
        self.pieces = []
        self._finish_fragment(payload)

    def _read_piece(self, size: int) -> None:
        """Take the next bytes of a payload that is long, compressed, or text to be checked."""
        if self.large is None and self._is_large(self.remaining - size):
            self._start_large()
        if self.large is not None:
            self.large.put(self.buffer, self.pos, self.pos + size, self.key)
            self.pos += size
            self._count_large(size)
            self._check_large()
            return
        piece = payload_bytes(self.buffer, self.pos, self.pos + size, self.key)
        self.pos += size
        self.remaining -= size
        self.key = rotate_key(self.key, size)
        if self.opcode >= FIRST_CONTROL_OPCODE or self.extensions is not None:
            self._keep(piece)
        elif self.compressed:
            self.deflated_bytes += size
            self._add(self._inflate(piece, self.fin and self.remaining == 0))
        else:
            self._add(piece)

    def _inflate(self, piece: bytes, last: bool) -> bytes:
        message_size = self.message_size - self.frame_size
        limit = self._limit(message_size)
        room = NO_LIMIT if limit == NO_LIMIT else limit - self.frame_size
        assert self.inflater is not None
        try:
            inflated = self.inflater.inflate(piece, room, last)
        except PayloadTooBig:
            raise self._too_big(None, limit, message_size) from None
        self.inflated_bytes += len(inflated)
        return inflated

    def _add(self, piece: bytes) -> None:
        if piece:
            self._keep(piece)
            self.frame_size += len(piece)
            self.message_size += len(piece)
            self.payload_bytes_received += len(piece)
            if self.is_text:
                self._check_text(piece)

    def _keep(self, piece: bytes) -> None:
        """Hold a piece of the payload; many small ones become one, lest each cost an object."""
        if len(self.pieces) < SEPARATE_PIECES:
            self.pieces.append(piece)
            return
        last = self.pieces[-1]
        if type(last) is not bytearray:
            self.pieces[-1] = last = bytearray(last)
        last += piece

    def _check_text(self, piece: bytes) -> None:
        """Fail at the first bad byte (8.1), wherever frames and reads cut the text."""
        try:
            self.text_pending = utf8_rest(self.text_pending, piece)
        except UnicodeDecodeError as exc:
            self._locate(exc)
            raise
        self.text_checked += len(piece)

    def _locate(self, exc: UnicodeDecodeError) -> None:
        # The error object holds one piece and can't point into the message, so it is noted here.
        self.bad_text_at = self.text_checked - len(self.text_pending) + exc.start

    def _finish_fragment(self, payload: bytes) -> None:
        self._check_end_of_text()
        if self.is_text and self.fin and self.text_as_str and self.opcode == TEXT:
            self.payload = payload.decode()
        else:
            self.payload = payload

    def _check_end_of_text(self) -> None:
        if self.is_text and self.fin and self.text_pending:
            try:
                self.text_pending.decode()
            except UnicodeDecodeError as exc:
                self._locate(exc)
                raise

    def _read_extended(self, size: int) -> None:
        """Run a whole frame through custom extensions, last negotiated first."""
        assert self.extensions is not None
        if size:
            self._read_piece(size)
        frame = Frame(
            Opcode(self.opcode),
            b"".join(self.pieces),
            bool(self.fin),
            self.rsv & RSV1 != 0,
            self.rsv & 0x20 != 0,
            self.rsv & 0x10 != 0,
        )
        self.pieces = []
        message_size = self.message_size if self.in_message else 0
        limit = self._limit(message_size)
        try:
            for extension in reversed(self.extensions):
                frame = extension.decode(frame, max_size=None if limit == NO_LIMIT else limit)
        except PayloadTooBig as exc:
            raise self._too_big(exc.size, limit, message_size) from exc
        frame.check()
        payload = bytes(frame.data)
        # An extension may have made another frame of it.
        self.opcode = int(frame.opcode)
        self.fin = bool(frame.fin)
        if self.opcode == TEXT or self.opcode == BINARY:
            self.is_text = self.opcode == TEXT
        if self.opcode >= FIRST_CONTROL_OPCODE:
            self.payload = payload
            return
        if limit != NO_LIMIT and len(payload) > limit:
            raise self._too_big(len(payload), limit, message_size)
        self._add(payload)
        self.pieces = []
        self._finish_fragment(payload)


def _limit_or_none(limit: int | None) -> int:
    # No frame is longer than the largest length, so a larger limit says no more.
    return NO_LIMIT if limit is None else min(limit, LARGEST_LENGTH)


def size_limits(
    max_size: int | tuple[int | None, int | None] | None,
) -> tuple[int | None, int | None]:
    """Give the limits on messages and on fragments that ``max_size`` stands for, in bytes.

    Raises:
        ValueError: when a limit is below 0.

    """
    limits = max_size if isinstance(max_size, tuple) else (max_size, None)
    for limit in limits:
        if limit is not None and limit < 0:
            raise ValueError(f"max_size is {limit} bytes, below 0")
    return limits
