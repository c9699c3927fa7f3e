"""Masking keys: unpredictable (RFC 6455 section 10.3), and cheap because drawn in blocks."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator

BLOCK = 1024  # keys drawn from the system at a time

_keys: Iterator[int] = iter(())


def next_key() -> int:
    """Give a fresh 32-bit masking key from the system's CSPRNG."""
    global _keys
    # Taking from an iterator is atomic: two threads never share a key.
    key = next(_keys, None)
    if key is None:
        fresh = iter(struct.unpack(f"<{BLOCK}I", os.urandom(4 * BLOCK)))
        key = next(fresh)
        _keys = fresh
    return key


def _forget_keys() -> None:
    global _keys
    _keys = iter(())


# A child that kept its parent's block would mask with the same keys as the parent.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_keys)
