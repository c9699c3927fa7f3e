"""The contenders: each a small program as its own documentation would have it.

A module here has ``async def serve(listener, options)`` for a server, ``async def echo(url, job)``
and ``async def consume(url, job)`` for a client (or the same as plain functions, run in threads).
Whatever a contender imports, it imports when it is chosen: the others need not be installed.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from ..tools import ROOT, program

LOOPS = ("asyncio", "uvloop")
NO_LOOP = ("none",)
THREADS = ("threads",)
TRIO = ("trio",)
FLOOR = "floor"
NODE = "node"
NODE_PATH = os.environ.get("NODE_PATH", str(ROOT / ".cache" / "bench" / "node_modules"))
CLIENT_MODES = {"echo": "echo", "consume": "read"}
"""What the load generator calls them, which is the client of the C server."""


@dataclass(frozen=True)
class Contender:
    """What runs, and what it can take part in."""

    name: str
    module: str
    server: bool = True
    client: bool = True
    tls: bool = True
    loops: tuple[str, ...] = LOOPS
    quick: tuple[str, ...] = ("*",)
    """The names of the scenarios of quick runs that it takes part in, as patterns."""
    only: tuple[str, ...] = ("*",)
    """The names of the scenarios that it was made for, as patterns."""
    verified: bool = True
    """Whether it echoes what it receives, so that the load generator may compare."""
    environment: dict[str, str] = field(default_factory=dict)
    warm_up: float = 0
    """Seconds that it needs at least before it is at its speed."""
    needs: str | None = None
    """A package that is optional for it, without which it does not take part."""

    def is_quick(self, scenario: str) -> bool:
        """Tell whether it takes part in a scenario of quick runs."""
        return any(fnmatchcase(scenario, pattern) for pattern in self.quick)

    def server_command(self, loop: str, fd: int, arguments: Sequence[str] = ()) -> list[str]:
        """Return the command that serves on an inherited listening socket."""
        if self.module == FLOOR:
            return [str(program("server")), "echo", str(fd)]
        if self.module == NODE:
            script = str(Path(__file__).with_name("node_ws.cjs"))
            return ["node", script, str(fd), *arguments]
        return self._host(loop, "serve", ["--fd", str(fd), *arguments])

    def client_command(
        self, loop: str, mode: str, port: int, arguments: Sequence[str]
    ) -> list[str]:
        """Return the command that runs the client: ``echo``, ``consume`` or ``idle``."""
        if self.module == FLOOR:
            return [str(program("load")), CLIENT_MODES[mode], str(port), *arguments]
        return self._host(loop, mode, ["--url", f"ws://127.0.0.1:{port}/", *arguments])

    def _host(self, loop: str, mode: str, arguments: Sequence[str]) -> list[str]:
        host = [sys.executable, "-m", "bench.contenders.host", self.module, mode]
        return [*host, "--loop", loop, *arguments]


def with_backend(name: str, package: str | None, *, quick: tuple[str, ...] = ("*",)) -> Contender:
    """Return ropeway with a library that compresses, for the scenario that compares them."""
    return Contender(
        f"ropeway ({name})",
        "ropeway",
        quick=quick,
        only=("12-*",),
        environment={"ROPEWAY_PURE": "0", "ROPEWAY_DEFLATE": name},
        needs=package,
    )


CONTENDERS = {
    contender.name: contender
    for contender in (
        Contender("ropeway", "ropeway", environment={"ROPEWAY_PURE": "0"}),
        Contender("ropeway (pure)", "ropeway", quick=(), environment={"ROPEWAY_PURE": "1"}),
        with_backend("zlib", None),
        with_backend("zlib-ng", "zlib_ng"),
        with_backend("isal", "isal", quick=()),
        Contender("picows", "picows"),
        Contender(
            "picows (str)",
            "picows_str",
            only=("5-*-ascii*", "5-*-mixed*", "6-5-*-ascii*", "6-5-*-mixed*"),
        ),
        Contender("picows (unread)", "picows_unread", server=False, only=("7",)),
        Contender("picows.websockets", "picows_websockets"),
        Contender("websockets", "websockets"),
        Contender(
            "ropeway.sync",
            "ropeway_sync",
            server=False,
            quick=("6-1", "6-idle", "7"),
            loops=THREADS,
            environment={"ROPEWAY_PURE": "0"},
        ),
        Contender(
            "websockets.sync",
            "websockets_sync",
            server=False,
            quick=("6-1", "6-idle", "7"),
            loops=THREADS,
        ),
        Contender(
            "ropeway.trio",
            "ropeway_trio",
            client=False,
            loops=TRIO,
            only=("1", "2"),
            environment={"ROPEWAY_PURE": "0"},
        ),
        Contender("websockets.trio", "websockets_trio", client=False, loops=TRIO, only=("1", "2")),
        Contender("aiohttp", "aiohttp"),
        Contender("wsproto", "wsproto", quick=()),
        Contender("uvicorn", "uvicorn", client=False, quick=("1", "2")),
        Contender(
            "uvicorn (ropeway)",
            "uvicorn_ropeway",
            client=False,
            quick=("1", "2"),
            environment={"ROPEWAY_PURE": "0"},
        ),
        Contender(
            "websocket-client",
            "websocket_client",
            server=False,
            quick=("6-1", "7"),
            loops=THREADS,
        ),
        Contender(
            "node ws",
            NODE,
            client=False,
            quick=(),
            loops=NO_LOOP,
            environment={"NODE_PATH": NODE_PATH},
            warm_up=1,  # its compiler
        ),
        Contender("bare", "bare", client=False, verified=False, only=("1", "2", "3")),
        Contender("bare socket", "bare_blocking", server=False, loops=THREADS, only=("6-1",)),
        Contender("bare loop", "bare_sends", client=False, only=("8-*",)),
        Contender("C", FLOOR, tls=False, loops=NO_LOOP),
    )
}


def installed(contender: Contender) -> bool:
    """Tell whether a contender can run here; node may be missing, or what compresses fast."""
    if contender.module != NODE:
        return contender.needs is None or importlib.util.find_spec(contender.needs) is not None
    return shutil.which("node") is not None and Path(NODE_PATH, "ws").exists()
