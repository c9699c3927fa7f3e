"""Frames in, bytes out: what is sent obeys the rules that the reader enforces."""

from __future__ import annotations

from .._wire import frame_bytes, frame_header, utf8_rest
from ..exceptions import ProtocolError
from ..extensions._contexts import Deflater
from ..extensions.base import Extension
from ..extensions.permessage_deflate import PerMessageDeflate
from ..frames import Frame, Opcode
from ..typing import BytesLike
from .masking import next_key
from .shared import SharedFrame, SharedMessage

CONT = 0
TEXT = 1
FIRST_CONTROL_OPCODE = 8
FIN = 0x80
RSV1 = 0x40
LARGEST_CONTROL_PAYLOAD = 125

# From this size on, a write of two pieces costs less than a copy that joins them.
SEPARATE_PAYLOAD = 16 * 1024

# A queue of shared messages is copied for each that comes behind it, so it must not get long.
MOST_SHARED = 32

# Water marks of a write buffer; event loops keep them in a C int.
DEFAULT_WRITE_LIMIT = 2**15
LARGEST_WRITE_LIMIT = 2**31 - 1


class Writer:
    """Serialises the frames of one direction and holds them until the driver takes them.

    Invariants: ``size`` is the number of bytes in ``output``; between two fragments of a message,
    ``in_message`` is true and only continuation and control frames may follow. What is ``shared``
    comes behind ``output``, and before all that is written from now on; while there is any, no
    fragmented message is being sent, and ``extensions`` is None.
    """

    def __init__(self, masked: bool) -> None:
        self.masked = masked
        self.output: list[bytes] = []
        self.size: int = 0
        # Messages for many connections: to queue one, only this has to be touched.
        self.shared: tuple[SharedFrame, ...] = ()
        self.deflate: PerMessageDeflate | None = None
        self.deflater: Deflater | None = None
        self.extensions: list[Extension] | None = None
        self.in_message: bool = False
        self.compressing: bool = False
        self.is_text: bool = False
        self.text_pending: bytes = b""

        self.frames_sent: int = 0
        self.messages_sent: int = 0
        self.bytes_sent: int = 0
        self.payload_bytes_sent: int = 0
        self.inflated_bytes: int = 0
        self.deflated_bytes: int = 0

    def use_extensions(self, extensions: list[Extension]) -> None:
        """Set what was negotiated; see ``Reader.use_extensions``."""
        self.deflate = None
        self.deflater = None
        self.extensions = None
        if len(extensions) == 1 and type(extensions[0]) is PerMessageDeflate:
            self.deflate = extensions[0]
            self.deflater = extensions[0].deflater
        elif extensions:
            self.extensions = extensions

    def write_control(self, opcode: int, payload: BytesLike) -> None:
        """Serialise a close, ping or pong frame.

        Raises:
            ProtocolError: when the payload is over 125 bytes (RFC 6455 section 5.5).

        """
        payload = contiguous(payload)
        if len(payload) > LARGEST_CONTROL_PAYLOAD:
            raise ProtocolError("control frame too long")
        if self.shared:
            self.write_queued()
        if self.extensions is not None:
            self._write_extended(opcode, payload, True)
        else:
            self._append(FIN | opcode, payload)

    def write_data(
        self, opcode: int, payload: str | BytesLike, fin: bool, compress: bool | None
    ) -> None:
        """Serialise a data frame; ``compress`` None leaves the choice to the threshold.

        Raises:
            ProtocolError: when the frame would break the order of fragments (5.4).
            UnicodeDecodeError: when bytes that are sent as text aren't UTF-8 (5.6).

        """
        if opcode == CONT:
            if not self.in_message:
                raise ProtocolError("unexpected continuation frame")
        elif self.in_message:
            raise ProtocolError("expected a continuation frame")
        if self.shared:
            self.write_queued()
        if opcode != CONT:
            self.is_text = opcode == TEXT
        text_pending = b""
        if not isinstance(payload, str):
            payload = contiguous(payload)
            if self.is_text:
                text_pending = self._check_text(payload, fin)
        elif self.text_pending:
            # The fragment before was bytes that end inside a character.
            text_pending = self._check_text(payload.encode(), fin)
        if self.deflater is not None:
            self._write_deflated(opcode, payload, fin, compress)
        elif self.extensions is not None:
            data = payload.encode() if isinstance(payload, str) else payload
            self.payload_bytes_sent += len(data)
            self._choose_compression(opcode, compress)
            self._write_extended(opcode, data, fin)
        else:
            self._append(FIN | opcode if fin else opcode, payload)
        self.in_message = not fin
        self.text_pending = text_pending
        if fin:
            self.messages_sent += 1

    def write_shared(self, message: SharedMessage) -> None:
        """Queue a message that goes to many connections.

        Of a long queue, only the last ones aren't counted in ``size``.

        Raises:
            ProtocolError: when a fragmented message is being sent (5.4).
            Exception: when an extension fails.

        """
        if self.in_message:
            raise ProtocolError("expected a continuation frame")
        if self.masked or self.extensions is not None:
            frame = message.frame
            self.write_data(frame.opcode, frame.payload, True, None)
            return
        if self.deflater is not None:
            message.frame.prepare(self.deflater)
        if len(self.shared) >= MOST_SHARED:
            self.write_queued()
        self.shared = message.behind(self.shared)

    def write_queued(self) -> None:
        """Put what is shared into the output."""
        queue, self.shared = self.shared, ()
        for frame in queue:
            self.write_raw(self._form_of(frame))

    def _form_of(self, frame: SharedFrame) -> bytes:
        """Give a shared message as it goes out here, and count it."""
        self.frames_sent += 1
        self.messages_sent += 1
        self.payload_bytes_sent += frame.payload_size
        if self.deflater is not None:
            form = frame.compressed(self.deflater)
            if form is not None:
                data, apart = form
                self.deflater.sent(apart)
                self.inflated_bytes += frame.payload_size
                self.deflated_bytes += len(apart.deflated)
                return data
        return frame.plain

    def write_raw(self, data: bytes) -> None:
        """Queue bytes that aren't a frame: a handshake, or frames serialised for many."""
        if self.shared:
            self.write_queued()
        self.output.append(data)
        self.size += len(data)
        self.bytes_sent += len(data)

    def take_shared(self) -> bytes | None:
        """Give a shared message if it is all that is to be sent; otherwise None, and take nothing.

        It saves a broadcast two lists for each connection.
        """
        if len(self.shared) != 1 or self.output:
            return None
        frame = self.shared[0]
        self.shared = ()
        data = self._form_of(frame)
        self.bytes_sent += len(data)
        return data

    def take_output(self) -> list[bytes]:
        """Give all that is to be sent, in order, and forget it."""
        if self.shared:
            self.write_queued()
        output = self.output
        self.output = []
        self.size = 0
        return output

    def _check_text(self, payload: BytesLike, fin: bool) -> bytes:
        pending = utf8_rest(self.text_pending, bytes(payload))
        if fin and pending:
            pending.decode()  # raises: the message ends inside a character
        return pending

    def _write_deflated(
        self, opcode: int, payload: str | BytesLike, fin: bool, compress: bool | None
    ) -> None:
        assert self.deflater is not None
        first = opcode != CONT
        if first:
            # A fragmented message's size is unknown, so its fragments are worth compressing.
            if compress is None:
                compress = not fin or self.deflater.is_worthwhile(payload)
            self.compressing = compress
        first_byte = FIN | opcode if fin else opcode
        if not self.compressing:
            self._append(first_byte, payload)
            return
        data = payload.encode() if isinstance(payload, str) else payload
        deflated = self.deflater.deflate(data, first, fin)
        self.inflated_bytes += len(data)
        self.deflated_bytes += len(deflated)
        self.payload_bytes_sent += len(data) - len(deflated)
        self._append(first_byte | RSV1 if first else first_byte, deflated)

    def _choose_compression(self, opcode: int, compress: bool | None) -> None:
        """Tell permessage-deflate among other extensions what was asked for this message."""
        assert self.extensions is not None
        if opcode != CONT:
            for extension in self.extensions:
                if isinstance(extension, PerMessageDeflate):
                    extension.compress = compress

    def _write_extended(self, opcode: int, data: BytesLike, fin: bool) -> None:
        assert self.extensions is not None
        frame = Frame(Opcode(opcode), data, fin)
        for extension in self.extensions:
            frame = extension.encode(frame)
        first = frame.fin << 7 | frame.rsv1 << 6 | frame.rsv2 << 5 | frame.rsv3 << 4 | frame.opcode
        payload_bytes_sent = self.payload_bytes_sent
        self._append(first, contiguous(frame.data))
        self.payload_bytes_sent = payload_bytes_sent

    def _append(self, first: int, payload: str | BytesLike) -> None:
        if not self.masked and type(payload) is bytes and len(payload) >= SEPARATE_PAYLOAD:
            # Not to be copied behind its header: the driver writes both in one go.
            header = frame_header(first, len(payload), False, 0)
            self.output.append(header)
            self.output.append(payload)
            size = len(header) + len(payload)
        else:
            frame = frame_bytes(first, payload, self.masked, next_key() if self.masked else 0)
            self.output.append(frame)
            size = len(frame)
        self.size += size
        self.bytes_sent += size
        self.frames_sent += 1
        if first & 0x0F < FIRST_CONTROL_OPCODE:
            self.payload_bytes_sent += size - header_size(size, self.masked)


def write_marks(
    write_limit: int | tuple[int | None, int | None] | None,
) -> tuple[int, int | None]:
    """Take the water marks of a write buffer apart: the high one, and the low one if it is given.

    Raises:
        TypeError: when a mark isn't an integer.
        ValueError: when a mark is below 0, or they are in the wrong order, or not a pair.

    """
    pair = write_limit if isinstance(write_limit, tuple) else (write_limit, None)
    if len(pair) != 2:
        raise ValueError(f"write_limit is {write_limit!r}, not a pair of marks")
    high, low = pair
    for mark in pair:
        if mark is not None and not isinstance(mark, int):
            raise TypeError(f"write_limit is {write_limit!r}, not in whole bytes")
        if mark is not None and mark < 0:
            raise ValueError(f"write_limit is {write_limit!r}, below 0")
    if high is None:
        high = DEFAULT_WRITE_LIMIT if low is None else 4 * low
    if low is not None:
        if low > high:
            raise ValueError(f"write_limit is {write_limit!r}, its low mark above the high one")
        low = min(low, LARGEST_WRITE_LIMIT)
    return min(high, LARGEST_WRITE_LIMIT), low


def contiguous(payload: BytesLike) -> BytesLike:
    """Give a payload whose length is in bytes and whose memory is in one run.

    Raises:
        TypeError: when it isn't a buffer.

    """
    if type(payload) is bytes or type(payload) is bytearray:
        return payload
    view = memoryview(payload)
    return payload if view.itemsize == 1 and view.c_contiguous else view.tobytes()


def header_size(frame_size: int, masked: bool) -> int:
    """Tell how many of a frame's bytes are its header (RFC 6455 section 5.2)."""
    key = 4 if masked else 0
    if frame_size < 2 + key + 126:
        return 2 + key
    return 4 + key if frame_size < 4 + key + 65536 else 10 + key
