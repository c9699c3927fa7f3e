"""A buffer that generators read from; for what is cold, like the body of a refused handshake."""

from __future__ import annotations

from collections.abc import Generator

from ..exceptions import SecurityError


class StreamReader:
    """Bytes in at one end; generators that yield until they have enough at the other."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.eof = False

    def feed_data(self, data: bytes) -> None:
        """Append bytes."""
        self.buffer += data

    def feed_eof(self) -> None:
        """Note that no more bytes will come."""
        self.eof = True

    def read_line(
        self, most: int, too_long: type[Exception] = SecurityError
    ) -> Generator[None, None, bytes]:
        """Read up to and including a LF, at most ``most`` bytes."""
        scanned = 0
        while (size := self.buffer.find(b"\n", scanned) + 1) == 0:
            scanned = len(self.buffer)
            if scanned > most:
                raise _over(most, too_long)
            if self.eof:
                raise EOFError(f"stream ends after {scanned} bytes, before end of line")
            yield
        if size > most:
            raise _over(most, too_long)
        return self._take(size)

    def read_exact(self, size: int) -> Generator[None, None, bytes]:
        """Read ``size`` bytes."""
        while len(self.buffer) < size:
            if self.eof:
                raise EOFError(f"stream ends after {len(self.buffer)} bytes, expected {size} bytes")
            yield
        return self._take(size)

    def read_to_eof(
        self, most: int, too_long: type[Exception] = SecurityError
    ) -> Generator[None, None, bytes]:
        """Read all that comes until the stream ends, at most ``most`` bytes."""
        while True:
            size = len(self.buffer)
            if size > most:
                raise _over(most, too_long)
            if self.eof:
                return self._take(size)
            yield

    def _take(self, size: int) -> bytes:
        taken = bytes(self.buffer[:size])
        del self.buffer[:size]
        return taken


def _over(most: int, too_long: type[Exception]) -> Exception:
    # Not how much was read, which depends on how the bytes were split.
    return too_long(f"read {most + 1} bytes, expected no more than {most} bytes")
