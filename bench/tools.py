"""The two C programs: the load generator and the server that is the floor."""

from __future__ import annotations

import functools
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = Path(__file__).resolve().parent / "c"
BUILD = ROOT / "build" / "bench"
FLAGS = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror"]


@functools.cache
def program(name: str) -> Path:
    """Return the path of a C program, compiled if its sources are newer than it."""
    source = SOURCES / f"{name}.c"
    target = BUILD / name
    newest = max(path.stat().st_mtime for path in SOURCES.iterdir())
    if not target.exists() or target.stat().st_mtime < newest:
        BUILD.mkdir(parents=True, exist_ok=True)
        # Two suites may run in one tree: nobody sees half a program.
        unfinished = target.with_suffix(f".{os.getpid()}")
        subprocess.run(["gcc", *FLAGS, "-o", unfinished, source], check=True)
        unfinished.rename(target)
    return target
