"""The contenders: each a small program as its own documentation would have it.

A module here has ``async def serve(listener, options)`` for a server, ``async def echo(url, job)``
and ``async def consume(url, job)`` for a client (or the same as plain functions, run in threads).
Whatever a contender imports, it imports when it is chosen: the others need not be installed.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

LOOPS = ("asyncio", "uvloop")
NO_LOOP = "none"


@dataclass(frozen=True)
class Contender:
    """What runs, and what it can take part in."""

    name: str
    module: str
    server: bool = True
    client: bool = True
    tls: bool = True
    loops: tuple[str, ...] = LOOPS
    quick: bool = True
    """Whether it takes part in quick runs."""
    verified: bool = True
    """Whether it echoes what it receives, so that the load generator may compare."""
    environment: dict[str, str] = field(default_factory=dict)

    def server_command(self, loop: str, fd: int, arguments: Sequence[str] = ()) -> list[str]:
        """Return the command that serves on an inherited listening socket."""
        if self.module == "floor":
            from ..tools import program

            return [str(program("server")), "echo", str(fd)]
        if self.module == "node_ws":
            from ..tools import ROOT

            script = str(ROOT / "bench" / "contenders" / "node_ws.cjs")
            return ["node", script, str(fd), *arguments]
        return self._host(loop, "serve", ["--fd", str(fd), *arguments])

    def client_command(self, loop: str, mode: str, arguments: Sequence[str]) -> list[str]:
        """Return the command that runs the client, ``echo`` or ``consume``."""
        return self._host(loop, mode, arguments)

    def _host(self, loop: str, mode: str, arguments: Sequence[str]) -> list[str]:
        host = [sys.executable, "-m", "bench.contenders.host", self.module, mode]
        return [*host, "--loop", loop, *arguments]


CONTENDERS = {
    contender.name: contender
    for contender in (
        Contender("ropeway", "ropeway", environment={"ROPEWAY_PURE": "0"}),
        Contender("ropeway (pure)", "ropeway", quick=False, environment={"ROPEWAY_PURE": "1"}),
        Contender("picows", "picows"),
        Contender("websockets", "websockets"),
        Contender("C", "floor", client=False, tls=False, loops=(NO_LOOP,)),
    )
}


def installed(contender: Contender) -> bool:
    """Tell whether a contender can run here; all that is pinned can, only node may be missing."""
    return contender.module != "node_ws" or shutil.which("node") is not None
