"""Collects the head of an HTTP message, within limits, at every split of the bytes."""

from __future__ import annotations

from .._wire import header_index
from ..datastructures import Headers
from ..exceptions import SecurityError
from ..http11 import (
    MAX_LINE_LENGTH,
    MAX_NUM_HEADERS,
    HeadScanner,
    Request,
    parse_request,
)

# Of a request that is read in one pass; any other is left to the parser that knows all forms.
METHOD = b"GET "
VERSION = b" HTTP/1.1"


class HeadReader:
    """Buffers bytes until a blank line ends the head; holds at most a head and one read."""

    __slots__ = ("_buffer", "_scanner")

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


def is_head(data: bytes) -> bool:
    """Tell whether the first bytes of a connection are a head, no less, no more, and a short one.

    A `HeadReader` would give it back as it is. This is how nearly all of them arrive.
    """
    return 4 <= data.find(b"\r\n\r\n") + 4 == len(data) <= MAX_LINE_LENGTH


def is_visible(path: str) -> bool:
    """Tell whether a request target has visible ASCII characters only (RFC 9112, 3.2)."""
    return path != "" and path.isascii() and path.isprintable() and " " not in path


def read_request(head: bytes) -> Request:
    """Parse the head of a request; see `parse_request`, which this is a shortcut for."""
    end = head.find(b"\r\n")
    if head.startswith(METHOD) and head.endswith(VERSION, len(METHOD), end):
        path = head[len(METHOD) : end - len(VERSION)].decode("iso-8859-1")
        index = header_index(head, end + 2)
        if (
            index is not None
            and is_visible(path)
            and len(head) <= MAX_LINE_LENGTH
            and len(index) <= MAX_NUM_HEADERS
            and "transfer-encoding" not in index
            and "content-length" not in index
        ):
            return Request(path, Headers._from_block(head[end + 2 :], index))
    return parse_request(head)
