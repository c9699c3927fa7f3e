"""Frames as tuples that read and write themselves; now ``ropeway.frames``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from typing import Any, NamedTuple

from .. import extensions, frames
from ..exceptions import PayloadTooBig, ProtocolError
from ..typing import BytesLike, DataLike

__all__ = ["Close", "Frame", "parse_close", "prepare_ctrl", "prepare_data", "serialize_close"]

Close = frames.Close

NOT_A_MESSAGE = "data must be str or bytes-like"


class Frame(NamedTuple):
    """A WebSocket frame.

    Args:
        fin: whether the message ends with it.
        opcode: what it is for.
        data: the payload.
        rsv1: first reserved bit.
        rsv2: second reserved bit.
        rsv3: third reserved bit.
    """

    fin: bool
    opcode: frames.Opcode
    data: BytesLike
    rsv1: bool = False
    rsv2: bool = False
    rsv3: bool = False

    @property
    def new_frame(self) -> frames.Frame:
        """The same as a ``ropeway.frames.Frame``."""
        return frames.Frame(
            frames.Opcode(self.opcode), self.data, self.fin, self.rsv1, self.rsv2, self.rsv3
        )

    def __str__(self) -> str:
        return str(self.new_frame)

    def check(self) -> None:
        """Check the frame against the rules of RFC 6455, 5.

        Raises:
            ProtocolError: when it breaks one.
        """
        self.new_frame.check()

    @classmethod
    async def read(
        cls,
        reader: Callable[[int], Awaitable[bytes]],
        *,
        mask: bool,
        max_size: int | None = None,
        extensions: Sequence[extensions.Extension] | None = None,
    ) -> Frame:
        """Read a frame.

        Args:
            reader: coroutine function that reads that many bytes, such as
                :meth:`asyncio.StreamReader.readexactly`.
            mask: whether the frame must be masked, which is so on the server's side.
            max_size: how many bytes of payload are accepted; None for any number.
            extensions: applied in reverse order to the frame.

        Raises:
            EOFError: when the stream ends inside the frame.
            PayloadTooBig: when the payload is larger than ``max_size``.
            ProtocolError: when the frame breaks a rule.
        """
        source = _Source()
        parsing = frames.Frame.parse(
            source.read_exact, mask=mask, max_size=max_size, extensions=extensions
        )
        while True:
            try:
                next(parsing)
            except StopIteration as stop:
                new: frames.Frame = stop.value
                return cls(new.fin, new.opcode, new.data, new.rsv1, new.rsv2, new.rsv3)
            source.data = await reader(source.wanted)

    def write(
        self,
        write: Callable[[bytes], Any],
        *,
        mask: bool,
        extensions: Sequence[extensions.Extension] | None = None,
    ) -> None:
        """Write the frame.

        Args:
            write: takes the bytes for the wire.
            mask: whether to mask it, which is so on the client's side.
            extensions: applied in order to the frame.

        Raises:
            ProtocolError: when the frame breaks a rule.
        """
        self.check()
        write(self.new_frame.serialize(mask=mask, extensions=extensions))


class _Source:
    """Lets a generator that reads be fed by somebody who awaits."""

    def __init__(self) -> None:
        self.wanted = 0
        self.data: bytes | None = None

    def read_exact(self, size: int) -> Generator[None, None, bytes]:
        if size == 0:
            return b""
        self.wanted = size
        yield
        data, self.data = self.data, None
        assert data is not None, "fed before it goes on"
        return data


def prepare_data(data: DataLike) -> tuple[frames.Opcode, BytesLike]:
    """Choose the opcode of a message, and encode it.

    Args:
        data: str for a text message, bytes-like for a binary one.

    Raises:
        TypeError: when it is of another type.
    """
    if isinstance(data, str):
        return frames.Opcode.TEXT, data.encode()
    if isinstance(data, BytesLike):
        return frames.Opcode.BINARY, data
    raise TypeError(NOT_A_MESSAGE)


def prepare_ctrl(data: DataLike) -> bytes:
    """Encode the payload of a ping or a pong.

    Args:
        data: str, which becomes UTF-8, or bytes-like.

    Raises:
        TypeError: when it is of another type.
    """
    return bytes(prepare_data(data)[1])


encode_data = prepare_ctrl


def parse_close(data: bytes) -> tuple[int, str]:
    """Take the payload of a close frame apart.

    Args:
        data: the payload.

    Returns:
        Close code and reason; 1005 for an empty payload.

    Raises:
        ProtocolError: when it is too short or the code is invalid.
        UnicodeDecodeError: when the reason isn't UTF-8.
    """
    close = frames.Close.parse(data)
    return close.code, close.reason


def serialize_close(code: int, reason: str) -> bytes:
    """Make the payload of a close frame.

    Args:
        code: close code.
        reason: why.

    Raises:
        ProtocolError: when the code is invalid.
    """
    return frames.Close(code, reason).serialize()


__all__ += ["PayloadTooBig", "ProtocolError", "encode_data"]
