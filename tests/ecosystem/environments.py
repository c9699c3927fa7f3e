"""The environments of the packages: one for each file in ``requirements``, below ``.cache``.

``python -m tests.ecosystem.environments`` makes those that are missing, or that are older than
their file.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from ..architecture.tree import ROOT

REQUIREMENTS = Path(__file__).parent / "requirements"
CACHE = ROOT / ".cache" / "ecosystem"


def interpreter(name: str) -> Path:
    """Return the Python of an environment."""
    return CACHE / name / "bin" / "python"


def is_current(name: str) -> bool:
    """Tell whether an environment is there, with what its file asks for."""
    mark = CACHE / name / "installed"
    return mark.exists() and mark.read_text(encoding="utf-8") == fingerprint(name)


def fingerprint(name: str) -> str:
    content = (REQUIREMENTS / f"{name}.txt").read_bytes()
    return hashlib.sha256(content + sys.version.encode()).hexdigest()


def make(name: str) -> None:
    """Make an environment anew."""
    print(f"installing {CACHE / name}", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(CACHE / name)], check=True)
    pip = [str(interpreter(name)), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, "--requirement", str(REQUIREMENTS / f"{name}.txt")], check=True)
    (CACHE / name / "installed").write_text(fingerprint(name), encoding="utf-8")


def main() -> None:
    for path in sorted(REQUIREMENTS.glob("*.txt")):
        if not is_current(path.stem):
            make(path.stem)


if __name__ == "__main__":
    main()
