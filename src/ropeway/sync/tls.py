"""TLS between the socket and the engine, as bytes in and bytes out.

Not ``ssl.SSLSocket``: one thread may send while another waits for data, and OpenSSL allows no two
calls on one connection at a time. Here no call waits, so that a lock may be held around each.
"""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Iterable
from typing import Any, cast

from ..typing import BytesLike

WANTS_MORE = -1

# The largest record (RFC 8446, 5.1) and more: what one read of a layer below may give.
LAYER_BUFFER_SIZE = 64 * 1024

MOST_ENCRYPTED = 256 * 1024


class TLS:
    """One end of a TLS connection.

    Args:
        context: certificates and rules.
        server_side: whether we are the server.
        server_hostname: name to verify and to send in the greeting, for a client.
        below: a TLS connection that carries this one, as with a proxy that speaks TLS itself.

    Attributes:
        clear: what is still to be encrypted.

    """

    def __init__(
        self,
        context: ssl.SSLContext,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        below: TLS | None = None,
    ) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self.object: ssl.SSLObject = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_side, server_hostname=server_hostname
        )
        self._below = below
        self.clear: deque[memoryview] = deque()
        self._ended = False

    def feed(self, data: BytesLike) -> None:
        """Take bytes from the network."""
        if self._below is None:
            self._incoming.write(data)
            return
        self._below.feed(data)
        view = memoryview(bytearray(LAYER_BUFFER_SIZE))
        while (size := self._below.read_into(view)) > 0:
            self._incoming.write(view[:size])
        if size == 0:
            self._incoming.write_eof()

    def feed_end(self) -> None:
        """Take the end of the stream from the network."""
        self._incoming.write_eof()

    def shake_hands(self) -> bool:
        """Go on with the TLS handshake; tell whether it is over.

        Raises:
            ssl.SSLError: when it fails, or the peer has gone.

        """
        try:
            self.object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def read_into(self, view: memoryview) -> int:
        """Decrypt into ``view``; gives the number of bytes, 0 at the end, or `WANTS_MORE`.

        Raises:
            ssl.SSLError: when the peer breaks a rule.

        """
        size = 0
        try:
            # A call gives at most a record, and records may be small.
            while size < len(view):
                got = cast(Any, self.object).read(len(view) - size, view[size:])
                if not got:
                    break
                size += got
        except ssl.SSLWantReadError:
            return size or WANTS_MORE
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return size
        return size

    def write(self, pieces: Iterable[BytesLike]) -> None:
        """Encrypt; :meth:`take_output` gives the result."""
        for piece in pieces:
            if piece:
                self.object.write(piece)

    def encrypt(self) -> int:
        """Encrypt the beginning of ``clear``, and give the number of its bytes.

        Of a large message one part after the other, or it would stand in memory twice more.
        """
        room = MOST_ENCRYPTED
        while self.clear and room:
            piece = self.clear.popleft()
            if len(piece) > room:
                self.clear.appendleft(piece[room:])
                piece = piece[:room]
            self.object.write(piece)
            room -= len(piece)
        return MOST_ENCRYPTED - room

    def end(self) -> None:
        """Say that nothing more will be sent; only the first call does anything."""
        if self._ended:
            return
        self._ended = True
        try:
            self.object.unwrap()
        except (ssl.SSLError, ValueError):
            pass  # the peer's answer isn't waited for

    def take_output(self) -> bytes:
        """Give what is to be written to the network."""
        data = self._outgoing.read()
        if self._below is None:
            return data
        self._below.write([data])
        return self._below.take_output()
