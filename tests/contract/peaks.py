"""A program that sends or receives one large message, and prints how far its memory went up.

In a process of its own, whose peak is of nothing else.
"""

from __future__ import annotations

import re
import ssl
import sys
from pathlib import Path
from typing import Any

from ..support.fronts import Front, front_of


def peak() -> int:
    """Give the most memory, in bytes, that this process has had so far."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


async def play(front: Front, what: str, port: int, options: dict[str, Any], size: int) -> None:
    async with front.connecting(port, max_size=None, **options) as ws:
        # Of other bytes than 0: such are not in memory before they are written to.
        message = b"x" * (size if what == "send" else 1)
        before = peak()
        await ws.send(message)
        assert len(await ws.recv()) == (size if what == "receive" else 1)
        print(peak() - before, flush=True)


def main(name: str, what: str, port: str, ca_file: str, size: str) -> None:
    options = {"ssl": ssl.create_default_context(cafile=ca_file)} if ca_file else {}
    front = front_of(name, None)
    front.run(play(front, what, int(port), options, int(size)))


if __name__ == "__main__":
    main(*sys.argv[1:])
