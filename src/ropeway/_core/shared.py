"""A message that goes to many connections, serialised once for each kind of them."""

from __future__ import annotations

from collections.abc import Hashable

from .._wire import frame_bytes, utf8_rest
from ..extensions._contexts import Apart
from ..extensions.permessage_deflate import PerMessageDeflate
from ..typing import BytesLike

TEXT = 1
FIN = 0x80
RSV1 = 0x40


class SharedMessage:
    """A whole message, in the forms in which it goes out.

    Invariants: ``plain`` is the frame for connections that neither mask nor extend; ``_forms`` has
    the compressed frame for those that ``PerMessageDeflate.alike`` says are alike, None where
    compressing isn't worthwhile.
    """

    def __init__(self, opcode: int, payload: str | BytesLike) -> None:
        """Check the message, before anything is sent.

        Raises:
            UnicodeError: when what is to be text can't be UTF-8.

        """
        if not isinstance(payload, str):
            payload = bytes(payload)
            if opcode == TEXT:
                utf8_rest(b"", payload).decode()  # raises when it ends inside a character
        self.opcode = opcode
        self.payload = payload
        self.plain: bytes = frame_bytes(FIN | opcode, payload, False, 0)
        self.payload_size = len(payload.encode() if isinstance(payload, str) else payload)
        self._forms: dict[Hashable, tuple[bytes, Apart] | None] = {}
        self._last_kind: Hashable = None
        self._last_form: tuple[bytes, Apart] | None = None

    def compressed(self, deflate: PerMessageDeflate) -> tuple[bytes, Apart] | None:
        """Give the frame for ``deflate`` and what to tell it once that is sent; None for plain."""
        kind = deflate.alike
        # Most often it is the same as for the connection before: then nothing has to be hashed.
        if kind != self._last_kind:
            self._last_kind = kind
            if kind not in self._forms:
                self._forms[kind] = self._compress(deflate)
            self._last_form = self._forms[kind]
        return self._last_form

    def _compress(self, deflate: PerMessageDeflate) -> tuple[bytes, Apart] | None:
        payload = self.payload
        if not deflate.is_worthwhile(payload):
            return None
        apart = deflate.apart(payload.encode() if isinstance(payload, str) else payload)
        return frame_bytes(FIN | RSV1 | self.opcode, apart.deflated, False, 0), apart
