"""Branch coverage of each room by its own tests, on the pure build.

``python tools/branches.py [ROOM…]`` runs the tests of the rooms under coverage.py and prints which
lines and branches none of them takes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "build" / "coverage"

OPENING = sorted(
    str(path.relative_to(ROOT)) for path in ROOT.glob("tests/contract/test_opening_*.py")
)

ROOMS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "_core": (("_core/*",), ("tests/core", "tests/wire", "tests/protocol")),
    "protocol": (("protocol.py", "client.py", "server.py"), ("tests/protocol", "tests/core")),
    "extensions": (("extensions/*",), ("tests/extensions", "tests/core", "tests/wire")),
    "_opening": (("_opening/*", "proxy.py"), ("tests/plans", "tests/opening", *OPENING)),
    "_wire": (("_wire/kernels_py.py",), ("tests/wire",)),
    "words": (
        (
            "exceptions.py", "datastructures.py", "frames.py", "headers.py", "uri.py", "http11.py",
            "auth.py", "utils.py",
        ),
        ("tests/words",),
    ),
}  # fmt: skip
"""By room: which files, and which tests are its own."""


def measure(room: str) -> bool:
    """Run a room's tests and print its report; false where a test failed."""
    files, tests = ROOMS[room]
    DATA.mkdir(parents=True, exist_ok=True)
    data = f"--data-file={DATA / room}"
    environment = {
        **os.environ,
        "ROPEWAY_PURE": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]),
    }
    coverage = [sys.executable, "-m", "coverage"]
    done = subprocess.run(
        [*coverage, "run", "--branch", "--source", str(ROOT / "src" / "ropeway"), data,
         "-m", "pytest", "-q", "--timeout", "600", *tests],
        cwd=ROOT, env=environment, check=False, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    if done.returncode:
        print(done.stdout[-4000:])
    include = ",".join(str(ROOT / "src" / "ropeway" / file) for file in files)
    print(f"\n{room}: by {' '.join(tests)}", flush=True)
    subprocess.run(
        [*coverage, "report", data, "--show-missing", f"--include={include}"],
        cwd=ROOT,
        check=False,
    )
    return done.returncode == 0


def main() -> int:
    """Measure the rooms that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rooms", nargs="*", metavar="ROOM", help=", ".join(ROOMS))
    chosen = parser.parse_args().rooms or list(ROOMS)
    results = [measure(room) for room in chosen]
    return int(not all(results))


if __name__ == "__main__":
    sys.exit(main())
