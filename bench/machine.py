"""What was measured, where, with which versions: the header of the records."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from .tools import ROOT

PACKAGES = (
    "websockets",
    "picows",
    "aiofastnet",
    "aiohttp",
    "wsproto",
    "websocket-client",
    "uvicorn",
    "starlette",
    "httptools",
    "uvloop",
    "zlib-ng",
    "isal",
)


def describe() -> dict[str, Any]:
    """Return the header of the records."""
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": git("rev-parse", "--short=12", "HEAD"),
        "dirty": git("status", "--porcelain") != "",
        "machine": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "node": output("node", "--version"),
        "versions": dict(sorted(versions())),
        "load_average_before": round(os.getloadavg()[0], 2),
    }


def versions() -> list[tuple[str, str]]:
    found = []
    for name in PACKAGES:
        try:
            found.append((name, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def git(*arguments: str) -> str:
    return output("git", "-C", str(ROOT), *arguments) or ""


def output(*command: str) -> str | None:
    """Return what a command prints, or None where it cannot be run."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
