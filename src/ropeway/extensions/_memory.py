"""Memory that many contexts have left behind goes back to the system.

The C library returns what is free at the end of its heap only: one block there, of anything at all,
and tens of KiB stay for each of thousands of connections that are gone or at rest.
"""

from __future__ import annotations

__all__ = ["counted", "uncounted"]

# Fewer contexts than this, of some 30 KiB each, aren't worth a walk over the heap.
FEW = 128


class _Census:
    live = 0
    most = 0


def counted() -> None:
    """Note that a context was made."""
    _Census.live += 1
    if _Census.live > _Census.most:
        _Census.most = _Census.live


def uncounted() -> None:
    """Note that a context was given back; where half of them were, return their memory.

    So n contexts that go cost log(n) walks, each about as long as its pages take to be returned:
    15 ms for 1 000 connections' contexts.
    """
    if _Census is None:  # this module was emptied, because the interpreter ends
        return
    _Census.live -= 1
    if _Census.live * 2 < _Census.most and _Census.most >= FEW:
        _Census.most = _Census.live
        _trim()


def _trim() -> None:
    import ctypes  # takes ms, which those pay who get MBs back

    # glibc has it; other C libraries return memory in other ways.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
