"""How far an operation has got; numbers, which compiled modules keep as those of C."""

from __future__ import annotations

NEW, WAITING, DELEGATED, DONE = range(4)
