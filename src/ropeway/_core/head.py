"""Collects the head of an HTTP message, within limits, at every split of the bytes."""

from __future__ import annotations

from ..exceptions import HeaderLineTooLong, SecurityError, TooManyHeaders
from ..http11 import MAX_HEAD_SIZE, MAX_LINE_LENGTH, MAX_NUM_HEADERS


class HeadReader:
    """Buffers bytes until a blank line ends the head.

    Invariant: what was looked at once is never scanned again, so the work is linear in the bytes
    however they are cut, and at most a head and one read are held.
    """

    def __init__(self, first_line_too_long: type[SecurityError]) -> None:
        self._first_line_too_long = first_line_too_long
        self._buffer = bytearray()
        self._line_start = 0
        self.lines = 0

    @property
    def size(self) -> int:
        """Number of bytes held."""
        return len(self._buffer)

    def feed(self, data: bytes) -> tuple[bytes, bytes] | None:
        """Add bytes; gives the head, blank line included, and the bytes after it, once complete.

        Raises:
            SecurityError: a subclass says which limit was passed: the first line's, a header
                line's, the number of headers', or the whole head's.

        """
        buffer = self._buffer
        scanned = len(buffer)
        buffer += data
        while True:
            newline = buffer.find(b"\n", scanned)
            stop = len(buffer) if newline < 0 else newline + 1
            line_start = self._line_start
            self._check(stop)
            if newline < 0:
                return None
            # A line that ends in a bare LF is refused when the head is parsed.
            blank = self.lines > 0 and buffer[line_start:stop] in (
                bytearray(b"\r\n"),
                bytearray(b"\n"),
            )
            self._line_start = scanned = stop
            self.lines += 1
            if blank:
                return bytes(buffer[:stop]), bytes(buffer[stop:])

    def _check(self, stop: int) -> None:
        length = stop - self._line_start
        if length > MAX_LINE_LENGTH:
            kind = HeaderLineTooLong if self.lines else self._first_line_too_long
            raise kind(f"read {length} bytes, expected no more than {MAX_LINE_LENGTH} bytes")
        # The first line and the blank line aren't headers.
        if self.lines > MAX_NUM_HEADERS + 1 or (self.lines == MAX_NUM_HEADERS + 1 and length > 2):
            raise TooManyHeaders(f"expected no more than {MAX_NUM_HEADERS} headers")
        if stop > MAX_HEAD_SIZE:
            raise HeaderLineTooLong(
                f"read {stop} bytes of headers, expected no more than {MAX_HEAD_SIZE} bytes"
            )
