"""Bytes and frames at C speed: the one room with a compiled and a pure twin.

``_build`` has decided which one runs; everything above imports the kernels from here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._build import build

if TYPE_CHECKING or build == "pure":
    from .kernels_py import (
        PayloadBuffer,
        frame_bytes,
        frame_header,
        header_index,
        payload_bytes,
        payload_text,
        rotate_key,
        utf8_rest,
    )
else:
    from .kernels import (
        PayloadBuffer,
        frame_bytes,
        frame_header,
        header_index,
        payload_bytes,
        payload_text,
        rotate_key,
        utf8_rest,
    )

__all__ = [
    "PayloadBuffer",
    "frame_bytes",
    "frame_header",
    "header_index",
    "payload_bytes",
    "payload_text",
    "rotate_key",
    "utf8_rest",
]
