"""The files of the project, as opposed to what tools leave between them."""

from __future__ import annotations

import fnmatch
import functools
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

GENERATED = {"build", "dist", "node_modules", "__pycache__"}


@functools.cache
def project_files() -> tuple[Path, ...]:
    """List the files that are under version control, or that a source distribution holds."""
    if (ROOT / ".git").exists():
        listing = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        paths = [ROOT / name for name in listing.stdout.split("\0") if name]
    else:
        paths = [path for path in ROOT.rglob("*") if not is_generated(path.relative_to(ROOT))]
    return tuple(sorted(path for path in paths if path.is_file()))


def is_generated(path: Path) -> bool:
    return any(
        part in GENERATED or part.startswith(".") or part.endswith(".egg-info")
        for part in path.parts
    ) or path.suffix in {".so", ".pyd"}


def files(*patterns: str) -> Iterator[Path]:
    """Yield the files whose path from the root matches a pattern; ``*`` takes in slashes."""
    for path in project_files():
        name = path.relative_to(ROOT).as_posix()
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
            yield path
