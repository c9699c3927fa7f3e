"""Collects the head of an HTTP message, within limits, at every split of the bytes."""

from __future__ import annotations

from ..exceptions import SecurityError
from ..http11 import HeadScanner


class HeadReader:
    """Buffers bytes until a blank line ends the head; holds at most a head and one read."""

    def __init__(self, first_line_too_long: type[SecurityError]) -> None:
        self._scanner = HeadScanner(first_line_too_long)
        self._buffer = bytearray()

    @property
    def past_first_line(self) -> bool:
        """Whether the first line is complete."""
        return b"\n" in self._buffer

    def feed(self, data: bytes) -> tuple[bytes, bytes] | None:
        """Add bytes; gives the head, blank line included, and the bytes after it, once complete.

        Raises:
            SecurityError: a subclass says which limit was passed: the first line's, a header
                line's, the number of headers', or the whole head's.
            ValueError: when a line ends in LF alone.

        """
        self._buffer += data
        size = self._scanner.scan(self._buffer)
        if not size:
            return None
        return bytes(self._buffer[:size]), bytes(self._buffer[size:])
