"""What was typed, for the next time: a file that only its owner can read."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

__all__ = ["History", "history_path"]

KEPT = 1000
"""Lines that are kept; the file may grow to twice as many before it is cut."""


def history_path() -> Path | None:
    """Find the file: ``ROPEWAY_HISTORY``, or ``history`` in the folder for such things.

    Returns:
        Its path; None when ``ROPEWAY_HISTORY`` is empty, or there is no home.
    """
    named = os.environ.get("ROPEWAY_HISTORY")
    if named is not None:
        return Path(named) if named else None
    state = os.environ.get("XDG_STATE_HOME")
    try:
        folder = Path(state) if state else Path.home() / ".local" / "state"
    except RuntimeError:
        return None
    return folder / "ropeway" / "history"


class History:
    """Lines, the oldest first. A file that can't be read or written is no reason to stop.

    Lines that begin with a space are not kept, as in a shell; nor is one that holds a secret.

    Args:
        path: the file, None to keep nothing beyond this process.
        secrets: texts that must not get into the file.
    """

    def __init__(self, path: Path | None, secrets: tuple[str, ...] = ()) -> None:
        self._path = path
        self._secrets = tuple(one for one in secrets if one)
        self.lines: list[str] = []
        if path is not None:
            with contextlib.suppress(OSError):
                self._load(path)

    def add(self, line: str) -> bool:
        """Keep a line.

        Returns:
            Whether it is one to keep.
        """
        if not line.strip() or line[0] == " " or any(one in line for one in self._secrets):
            return False
        if self.lines[-1:] == [line]:
            return True
        self.lines.append(line)
        if self._path is not None:
            with contextlib.suppress(OSError):
                _write(self._path, os.O_APPEND, [line])
        return True

    def _load(self, path: Path) -> None:
        lines = []
        for entry in path.read_bytes().splitlines():
            with contextlib.suppress(ValueError):
                line = json.loads(entry)
                if isinstance(line, str):
                    lines.append(line)
        self.lines = lines[-KEPT:]
        if len(lines) > 2 * KEPT:
            fresh = path.with_name(f"{path.name}.{os.getpid()}")
            _write(fresh, os.O_EXCL, self.lines)
            fresh.replace(path)


def _write(path: Path, flag: int, lines: list[str]) -> None:
    """Write lines in one call, so that those of two sessions don't mix."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | flag, 0o600)
    try:
        if hasattr(os, "fchmod"):  # also where the file was there already
            os.fchmod(descriptor, 0o600)
        os.write(descriptor, "".join(f"{json.dumps(line)}\n" for line in lines).encode())
    finally:
        os.close(descriptor)
