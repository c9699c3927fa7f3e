"""``ropeway serve --reload``: a parent that listens, a child that serves and is replaced.

The socket belongs to the parent: while there is no child, clients wait instead of being refused.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from . import listening
from .exits import UNREACHABLE

__all__ = ["supervise"]

INTERVAL = 0.25
"""Seconds between two looks at the files."""

PATIENCE = 12.0
"""Seconds that a child has for closing its connections."""

MOST_FILES = 20_000


def supervise(options: argparse.Namespace) -> int:
    """Serve in a child process, in another one after each change.

    Args:
        options: those of ``ropeway serve``, with the arguments that they were made of.

    Returns:
        The exit code.
    """
    if os.name != "posix":
        options.parser.error("--reload needs a system where a process can inherit a socket")
    try:
        sock = listening.listen(options)
    except OSError as exc:
        where = options.unix or f"{options.host} port {options.port}"
        print(f"ropeway: can't listen at {where}: {listening.reason(exc)}", file=sys.stderr)
        return UNREACHABLE
    name, *arguments = options.arguments
    child = [name, "--fd", str(sock.fileno()), *arguments]
    command = [sys.executable, "-m", "ropeway", *child]
    print(f"serving {options.handler} at {listening.address(options, sock)}", flush=True)
    signal.signal(signal.SIGTERM, _end)
    try:
        while True:
            seen = _snapshot(Path.cwd())
            with _child(command, sock.fileno()):
                changed = _await_change(seen)
            print(f"ropeway: {changed} changed, starting again", file=sys.stderr, flush=True)
    except (KeyboardInterrupt, SystemExit):
        return 0
    finally:
        listening.unlink(options, sock)


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit


@contextlib.contextmanager
def _child(command: list[str], descriptor: int) -> Iterator[None]:
    process = subprocess.Popen(command, pass_fds=[descriptor])
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_change(seen: dict[Path, int]) -> str:
    """Wait until a file is another one than it was; give its name.

    A child that has failed, for a mistake in the program, is awaited just the same: the next change
    may be what mends it.
    """
    folder = Path.cwd()
    while True:
        time.sleep(INTERVAL)
        now = _snapshot(folder)
        if now != seen:
            different = {*now.items()} ^ {*seen.items()}
            return str(min(path for path, _ in different).relative_to(folder))


def _snapshot(folder: Path) -> dict[Path, int]:
    """Note when each Python file below a folder was last written."""
    found = {}
    for path in _python_files(folder):
        with contextlib.suppress(OSError):
            found[path] = path.stat().st_mtime_ns
        if len(found) >= MOST_FILES:
            break
    return found


def _python_files(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        # Neither what tools keep for themselves nor whole environments.
        folders[:] = [
            name
            for name in sorted(folders)
            if not name.startswith(".")
            and name not in ("__pycache__", "node_modules")
            and not os.path.exists(os.path.join(root, name, "pyvenv.cfg"))
        ]
        yield from (Path(root, name) for name in sorted(names) if name.endswith(".py"))
