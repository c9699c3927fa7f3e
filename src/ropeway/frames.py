"""Frames as values: what a frame says, how it is written, how it is shown (RFC 6455, 5).

This is the public view, one object per frame. The engine moves payloads without it; what it
must never become is a second authority: the rules checked here and there are the same.
"""

from __future__ import annotations

import dataclasses
import enum
import os
import re
import struct
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, ClassVar, Self

from ._moved import Moved, resolver
from .exceptions import PayloadTooBig, ProtocolError
from .typing import BytesLike
from .utils import apply_mask, env

if TYPE_CHECKING:
    from . import extensions as extensions_module

__all__ = ["Close", "CloseCode", "Frame", "Opcode"]


class Opcode(enum.IntEnum):
    """What a frame is for (RFC 6455, 5.2 and 11.8)."""

    CONT, TEXT, BINARY = 0x00, 0x01, 0x02
    CLOSE, PING, PONG = 0x08, 0x09, 0x0A


CONT = Opcode.CONT
TEXT = Opcode.TEXT
BINARY = Opcode.BINARY
CLOSE = Opcode.CLOSE
PING = Opcode.PING
PONG = Opcode.PONG

DATA_OPCODES = (CONT, TEXT, BINARY)
CTRL_OPCODES = (CLOSE, PING, PONG)

# RFC 6455, 5.5: a control frame carries at most this many bytes.
MAX_CONTROL_PAYLOAD = 125


class CloseCode(enum.IntEnum):
    """Why a connection was closed (RFC 6455, 7.4, and IANA's registry)."""

    NORMAL_CLOSURE = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    # 1004 is reserved
    NO_STATUS_RCVD = 1005
    ABNORMAL_CLOSURE = 1006
    INVALID_DATA = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014
    TLS_HANDSHAKE = 1015


CLOSE_CODE_EXPLANATIONS: dict[int, str] = {
    CloseCode.NORMAL_CLOSURE: "OK",
    CloseCode.GOING_AWAY: "going away",
    CloseCode.PROTOCOL_ERROR: "protocol error",
    CloseCode.UNSUPPORTED_DATA: "unsupported data",
    CloseCode.NO_STATUS_RCVD: "no status received [internal]",
    CloseCode.ABNORMAL_CLOSURE: "abnormal closure [internal]",
    CloseCode.INVALID_DATA: "invalid frame payload data",
    CloseCode.POLICY_VIOLATION: "policy violation",
    CloseCode.MESSAGE_TOO_BIG: "message too big",
    CloseCode.MANDATORY_EXTENSION: "mandatory extension",
    CloseCode.INTERNAL_ERROR: "internal error",
    CloseCode.SERVICE_RESTART: "service restart",
    CloseCode.TRY_AGAIN_LATER: "try again later",
    CloseCode.BAD_GATEWAY: "bad gateway",
    CloseCode.TLS_HANDSHAKE: "TLS handshake failure [internal]",
}

# RFC 6455, 7.4.1: these describe an event on this side and never appear in a close frame.
_INTERNAL_CLOSE_CODES = {
    CloseCode.NO_STATUS_RCVD,
    CloseCode.ABNORMAL_CLOSURE,
    CloseCode.TLS_HANDSHAKE,
}

EXTERNAL_CLOSE_CODES = set(CloseCode) - _INTERNAL_CLOSE_CODES

# A connection that ends with one of these, both ways, ended as it should.
OK_CLOSE_CODES = {
    CloseCode.NORMAL_CLOSURE,
    CloseCode.GOING_AWAY,
    CloseCode.NO_STATUS_RCVD,
}


@dataclasses.dataclass
class Frame:
    """A WebSocket frame (RFC 6455, 5.2).

    Args:
        opcode: what the frame is for.
        data: the payload, unmasked.
        fin: whether this is the last frame of its message.
        rsv1: first reserved bit; extensions may use it.
        rsv2: second reserved bit.
        rsv3: third reserved bit.
    """

    opcode: Opcode
    data: BytesLike
    fin: bool = True
    rsv1: bool = False
    rsv2: bool = False
    rsv3: bool = False

    MAX_LOG_SIZE: ClassVar[int] = env("MAX_LOG_SIZE", 75)

    def __str__(self) -> str:
        """Describe the frame on one line of bounded length, for logs."""
        shown, coding = self._describe_payload()
        if len(shown) > self.MAX_LOG_SIZE:
            tail = max(self.MAX_LOG_SIZE // 3 - 1, 1)
            shown = f"{shown[: 2 * tail]}...{shown[-tail:]}"
        size = len(self.data)
        facts = [f"{size} byte{'' if size == 1 else 's'}"]
        if coding:
            facts.insert(0, coding)
        if not self.fin:
            facts.append("continued")
        return f"{self.opcode.name} {shown} [{', '.join(facts)}]"

    def _describe_payload(self) -> tuple[str, str]:
        """Return the payload in readable form and the coding, "" where the opcode tells it."""
        data = bytes(memoryview(self.data))
        if not data:
            return "''", ""
        if self.opcode == CLOSE:
            try:
                return str(Close.parse(data)), ""
            except (ProtocolError, UnicodeDecodeError):
                return self._hexadecimal(data), "binary"
        if self.opcode in CTRL_OPCODES:
            is_text = _is_readable_ascii(data) is not None
        else:
            is_text = _is_readable_fragment(
                data, starts_inside=self.opcode == CONT, ends_inside=not self.fin
            )
        if is_text:
            return repr(data.decode(errors="replace")), "" if self.opcode == TEXT else "text"
        return self._hexadecimal(data), "" if self.opcode == BINARY else "binary"

    def _hexadecimal(self, data: bytes) -> str:
        """Write bytes in hexadecimal; the middle of a long payload isn't written at all."""
        shown = self.MAX_LOG_SIZE // 3
        if len(data) <= shown:
            return data.hex(" ")
        tail = max((shown - 1) // 3, 1)
        return f"{data[: 2 * tail].hex(' ')} ... {data[-tail:].hex(' ')}"

    @classmethod
    def parse(
        cls,
        read_exact: Callable[[int], Generator[None, None, bytes | bytearray]],
        *,
        mask: bool,
        max_size: int | None = None,
        extensions: Sequence[extensions_module.Extension] | None = None,
    ) -> Generator[None, None, Frame]:
        """Read one frame.

        Args:
            read_exact: generator-based coroutine that reads that many bytes.
            mask: whether the frame must be masked, which is so on the server's side.
            max_size: how many bytes of payload are accepted; None for any number.
            extensions: applied in reverse order to the frame.

        Returns:
            The frame, decoded by the extensions.

        Raises:
            EOFError: when the stream ends inside the frame.
            PayloadTooBig: when the payload is larger than ``max_size``.
            ProtocolError: when the frame breaks a rule of RFC 6455, 5.
        """
        head1, head2 = yield from read_exact(2)
        try:
            opcode = Opcode(head1 & 0x0F)
        except ValueError as exc:
            raise ProtocolError("invalid opcode") from exc
        # RFC 6455, 5.1: a client masks all of its frames, a server none.
        if bool(head2 & 0x80) is not mask:
            raise ProtocolError("incorrect masking")
        frame = cls(
            opcode,
            b"",
            fin=bool(head1 & 0x80),
            rsv1=bool(head1 & 0x40),
            rsv2=bool(head1 & 0x20),
            rsv3=bool(head1 & 0x10),
        )
        length = head2 & 0x7F
        if opcode in CTRL_OPCODES:
            # Before the payload is read: what is known already may break a rule.
            if not extensions:
                frame._check_reserved()
            frame._check_control(length)
        if length >= 126:
            length = yield from _read_extended_length(read_exact, length)
        if max_size is not None and length > max_size:
            raise PayloadTooBig(length, max_size)
        masking_key = (yield from read_exact(4)) if mask else b""
        data = yield from read_exact(length)
        frame.data = apply_mask(data, masking_key) if mask else data
        for extension in reversed(extensions or ()):
            frame = extension.decode(frame, max_size=max_size)
        frame.check()
        return frame

    def serialize(
        self,
        *,
        mask: bool,
        extensions: Sequence[extensions_module.Extension] | None = None,
    ) -> bytes:
        """Write the frame.

        Args:
            mask: whether to mask it, with a fresh key, which is so on the client's side.
            extensions: applied in order to the frame.

        Returns:
            The bytes for the wire.

        Raises:
            ProtocolError: when the frame breaks a rule of RFC 6455, 5.
        """
        self.check()
        frame = self
        for extension in extensions or ():
            frame = extension.encode(frame)
        head = (
            (0x80 if frame.fin else 0)
            | (0x40 if frame.rsv1 else 0)
            | (0x20 if frame.rsv2 else 0)
            | (0x10 if frame.rsv3 else 0)
            | frame.opcode
        )
        mask_bit = 0x80 if mask else 0
        length = len(frame.data)
        if length < 126:
            prefix = struct.pack("!BB", head, mask_bit | length)
        elif length < 0x10000:
            prefix = struct.pack("!BBH", head, mask_bit | 126, length)
        else:
            prefix = struct.pack("!BBQ", head, mask_bit | 127, length)
        if mask:
            masking_key = os.urandom(4)
            return b"".join((prefix, masking_key, apply_mask(frame.data, masking_key)))
        return b"".join((prefix, frame.data))

    def check(self) -> None:
        """Check the rules that hold for a frame by itself, outside of extensions.

        Raises:
            ProtocolError: when a reserved bit is set, or a control frame is fragmented or has more
                than 125 bytes (RFC 6455, 5.2 and 5.5).
        """
        self._check_reserved()
        if self.opcode in CTRL_OPCODES:
            self._check_control(len(self.data))

    def _check_reserved(self) -> None:
        if self.rsv1 or self.rsv2 or self.rsv3:
            raise ProtocolError("reserved bits must be 0")

    def _check_control(self, length: int) -> None:
        if length > MAX_CONTROL_PAYLOAD:
            raise ProtocolError("control frame too long")
        if not self.fin:
            raise ProtocolError("fragmented control frame")


@dataclasses.dataclass
class Close:
    """The code and the reason in a close frame (RFC 6455, 5.5.1).

    Args:
        code: the close code.
        reason: the reason, for people.
    """

    code: CloseCode | int
    reason: str

    def __str__(self) -> str:
        """Return the code, what it stands for, and the reason if there is one."""
        if 3000 <= self.code < 4000:
            explanation = "registered"
        elif 4000 <= self.code < 5000:
            explanation = "private use"
        else:
            explanation = CLOSE_CODE_EXPLANATIONS.get(self.code, "unknown")
        text = f"{self.code:d} ({explanation})"
        return f"{text} {self.reason}" if self.reason else text

    @classmethod
    def parse(cls, data: BytesLike) -> Self:
        """Read the payload of a close frame.

        Args:
            data: the payload; an empty one stands for code 1005.

        Raises:
            ProtocolError: when the payload has one byte, or the code may not be sent.
            UnicodeDecodeError: when the reason isn't UTF-8.
        """
        payload = bytes(memoryview(data))
        if not payload:
            return cls(CloseCode.NO_STATUS_RCVD, "")
        if len(payload) == 1:
            raise ProtocolError("close frame too short")
        close = cls(int.from_bytes(payload[:2], "big"), payload[2:].decode())
        close.check()
        return close

    def serialize(self) -> bytes:
        """Write the payload of a close frame.

        Raises:
            ProtocolError: when the code may not be sent.
            TypeError: when the code isn't an int or the reason isn't a str.
            UnicodeEncodeError: when the reason contains a surrogate.
        """
        if not isinstance(self.code, int) or not isinstance(self.reason, str):
            raise TypeError(f"close code and reason must be int and str: {self!r}")
        self.check()
        return struct.pack("!H", self.code) + self.reason.encode()

    def check(self) -> None:
        """Check that the code may appear in a close frame (RFC 6455, 7.4).

        Raises:
            ProtocolError: when it is reserved, internal or out of range.
        """
        if self.code not in EXTERNAL_CLOSE_CODES and not 3000 <= self.code < 5000:
            raise ProtocolError("invalid status code")


def _read_extended_length(
    read_exact: Callable[[int], Generator[None, None, bytes | bytearray]],
    form: int,
) -> Generator[None, None, int]:
    """Read the 2 or 8 bytes that follow a payload length of 126 or 127 (RFC 6455, 5.2)."""
    size, minimum = (2, 126) if form == 126 else (8, 0x10000)
    length = int.from_bytes((yield from read_exact(size)), "big")
    if length >> 63:
        raise ProtocolError("most significant bit of payload length must be 0")
    if length < minimum:
        raise ProtocolError("payload length must be encoded in the minimal number of bytes")
    return length


# Telling text from binary data, for __str__ only. Characters up to U+00FF that can't be printed
# mark data as binary; tab, LF and CR are printed by repr as escapes that anybody can read.
_find_unreadable = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\xa0\xad]").search
_is_readable_ascii = re.compile(rb"[\t-\r\x20-\x7e]*").fullmatch
# A fragment may start or end inside a character.
_match_rest = re.compile(rb"[\x80-\xbf]{1,3}").match
_find_start = re.compile(
    rb"(?:[\xc0-\xf7]|[\xe0-\xf7][\x80-\xbf]|[\xf0-\xf7][\x80-\xbf]{2})\Z"
).search


def _is_readable_fragment(data: bytes, *, starts_inside: bool, ends_inside: bool) -> bool:
    """Tell whether bytes are a piece of readable UTF-8 text."""
    start, end = 0, len(data)
    if starts_inside and (found := _match_rest(data)):
        start = found.end()
    if ends_inside and (found := _find_start(data, max(start, end - 3))):
        end = found.start()
    try:
        text = data[start:end].decode()
    except UnicodeDecodeError:
        return False
    return _find_unreadable(text) is None


if not TYPE_CHECKING:
    __getattr__ = resolver(
        __name__,
        {
            **{
                f"OP_{name}": Moved(f"frames:{name}", f"ropeway.frames.Opcode.{name}")
                for name in Opcode.__members__
            },
            "prepare_ctrl": Moved("legacy.framing", "str.encode and bytes"),
            "prepare_data": Moved("legacy.framing", "str.encode and bytes"),
        },
    )
