"""Which library compresses: zlib of the standard library, or a faster one where it is installed.

The one switch of this choice. All three have zlib's API, and what each is good for was measured on
market data in JSON, flushed after each message, in a window of 12 bits (docs/extensions.md).
"""

from __future__ import annotations

import functools
import importlib
import os
import zlib
from dataclasses import dataclass, field
from typing import Any

__all__ = ["BACKENDS", "DEFAULT_SETTINGS", "ZLIB", "Backend", "backend", "load"]

# Window 12 and memLevel 5 hold a context in about 40 KiB where zlib's own defaults take 256 KiB,
# and lose little on messages of a few KiB; they are what users of websockets have today.
DEFAULT_SETTINGS = {"memLevel": 5}


@dataclass(frozen=True, slots=True)
class Backend:
    """A library, and what of the work it does better than zlib.

    Each message of at least ``large`` bytes has a context of its own, which is given back at once:
    a window of 4 KiB matters little to it, and contexts hold 60 to 270 KiB. Smaller ones need
    what came before. From ``medium`` bytes on, some connections have a context of this library for
    all that they send; the others, and those who send less at a time, have one of zlib.
    """

    name: str
    module: Any
    large: int | None
    for_large: dict[str, Any] = field(default_factory=dict)
    medium: int | None = None
    for_medium: dict[str, Any] = field(default_factory=dict)

    @property
    def error(self) -> type[Exception]:
        """What the library raises on corrupt data."""
        return self.module.error  # type: ignore[no-any-return]

    def speeds_up(self, settings: dict[Any, Any]) -> bool:
        """Tell whether large messages may be compressed by this library.

        A level, strategy or memLevel that a caller chose means what it means in zlib; the others
        have levels of their own and take the same memory whatever they are told.
        """
        return self.large is not None and settings in ({}, DEFAULT_SETTINGS)

    def inflater(self, bits: int, window: bytes) -> Any:
        """Make a context that decompresses, with what came before in its window."""
        if window:
            return self.module.decompressobj(wbits=-bits, zdict=window)
        return self.module.decompressobj(wbits=-bits)

    def deflater_for_large(self, bits: int, window: bytes) -> Any:
        """Make a context that compresses one large message, with what came before it."""
        return deflater(self.module, bits, self.for_large, window)

    def deflater_for_medium(self, bits: int, window: bytes) -> Any:
        """Make a context that compresses messages of any size, with what came before them."""
        return deflater(self.module, bits, self.for_medium, window)


def deflater(module: Any, bits: int, settings: dict[Any, Any], window: bytes) -> Any:
    """Make a context that compresses, with what came before in its window."""
    if window:
        return module.compressobj(wbits=-bits, zdict=window, **settings)
    return module.compressobj(wbits=-bits, **settings)


ZLIB = Backend("zlib", zlib, None)

# In a window of 12 bits, zlib-ng at level 5 finds in large messages what zlib finds at 6, within
# 1 %, in half the time. Smaller ones take level 7, which finds 5 % more in 0.7 of the time.
ZLIB_NG = ("zlib_ng.zlib_ng", 8192, {"level": 5, "memLevel": 9}, 1024, {"level": 7, "memLevel": 9})
# isal compresses 6 to 20 % less well, in 0.15 to 0.3 of the time.
ISAL = ("isal.isal_zlib", 1024, {"level": 1, "memLevel": 5})
BACKENDS: dict[str, tuple[Any, ...]] = {"zlib-ng": ZLIB_NG, "isal": ISAL}
# isal is left out: it is for those who would rather send more than compute.
BEST_FIRST = ("zlib-ng",)


@functools.cache
def load(name: str) -> Backend:
    """Import a backend.

    Raises:
        ImportError: when it isn't installed.
        ValueError: when there is none of this name.

    """
    if name == "zlib":
        return ZLIB
    if name not in BACKENDS:
        known = ", ".join(["zlib", *BACKENDS])
        raise ValueError(f"ROPEWAY_DEFLATE is {name!r}, none of {known}")
    module, *sizes = BACKENDS[name]
    try:
        return Backend(name, importlib.import_module(module), *sizes)
    except ImportError as exc:
        raise ImportError(f"ROPEWAY_DEFLATE is {name!r}, which isn't installed: {exc}") from exc


@functools.cache
def backend() -> Backend:
    """Give the backend that ROPEWAY_DEFLATE names, or else the best that is installed.

    Raises:
        ImportError: when the one that was asked for isn't installed.
        ValueError: when there is none of that name.

    """
    name = os.environ.get("ROPEWAY_DEFLATE")
    if name is not None:
        return load(name)
    for best in BEST_FIRST:
        try:
            return load(best)
        except ImportError:
            pass
    return ZLIB
