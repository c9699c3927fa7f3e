"""A message that goes to many connections, serialised once for each kind of them."""

from __future__ import annotations

from .._wire import frame_bytes, utf8_rest
from ..extensions._contexts import Apart, Deflater, Window
from ..typing import BytesLike

TEXT = 1
FIN = 0x80
RSV1 = 0x40

# Connections that each remember something else are each compressed for: then keeping the forms is
# of no use to anybody.
MOST_FORMS = 64


class SharedFrame:
    """A whole message, in the forms in which it goes out.

    Invariants: ``plain`` is the frame for connections that neither mask nor extend; ``_forms`` has
    the compressed frame by the kind of deflater and its window, None where compressing isn't
    worthwhile; ``_kinds`` are those that have been seen to compress it.
    """

    def __init__(self, opcode: int, payload: str | BytesLike) -> None:
        if not isinstance(payload, str):
            payload = bytes(payload)
            if opcode == TEXT:
                utf8_rest(b"", payload).decode()  # raises when it ends inside a character
        self.opcode = opcode
        self.payload = payload
        self.plain: bytes = frame_bytes(FIN | opcode, payload, False, 0)
        self.payload_size: int = len(payload.encode() if isinstance(payload, str) else payload)
        self._kinds: set[object] = set()
        self._forms: dict[tuple[object, Window | None], tuple[bytes, Apart] | None] = {}
        self._last_kind: object = None
        self._last_window: Window | None = None
        self._last_form: tuple[bytes, Apart] | None = None

    def prepare(self, deflater: Deflater) -> None:
        """See to it that ``compressed()`` won't fail for ``deflater``.

        Raises:
            Exception: what the library says to the deflater's settings.

        """
        kind = deflater.kind()
        if kind is not self._last_kind and kind not in self._kinds:
            self.compressed(deflater)
            self._kinds.add(kind)

    def compressed(self, deflater: Deflater) -> tuple[bytes, Apart] | None:
        """Give the frame for ``deflater`` and what to tell it once that is sent; None for plain."""
        kind = deflater.kind()
        window = deflater.window
        # Most often it is the same as for the connection before: then nothing has to be hashed.
        if kind is not self._last_kind or window is not self._last_window:
            key = kind, window
            if key not in self._forms:
                if len(self._forms) >= MOST_FORMS:
                    self._forms.clear()
                self._forms[key] = self._compress(deflater)
            self._last_form = self._forms[key]
            self._last_kind = kind
            self._last_window = window
        return self._last_form

    def _compress(self, deflater: Deflater) -> tuple[bytes, Apart] | None:
        payload = self.payload
        if not deflater.is_worthwhile(payload):
            return None
        apart = deflater.apart(payload.encode() if isinstance(payload, str) else payload)
        return frame_bytes(FIN | RSV1 | self.opcode, apart.deflated, False, 0), apart


class SharedMessage:
    """A message that is being queued on many connections.

    Invariants: ``_longer`` is ``_queue`` with this message at its end. Most connections have the
    same queue before, nothing most often, so they have one after, and queueing makes no object.
    """

    def __init__(self, opcode: int, payload: str | BytesLike) -> None:
        """Check the message, before anything is sent.

        Raises:
            UnicodeError: when what is to be text can't be UTF-8.

        """
        # A queue refers to the frame rather than to this object, which refers to the queue.
        self.frame: SharedFrame = SharedFrame(opcode, payload)
        self._queue: tuple[SharedFrame, ...] = ()
        self._longer: tuple[SharedFrame, ...] = (self.frame,)

    def behind(self, queue: tuple[SharedFrame, ...]) -> tuple[SharedFrame, ...]:
        """Give the queue with this message at its end."""
        if queue is not self._queue:
            self._queue = queue
            self._longer = (*queue, self.frame)
        return self._longer
