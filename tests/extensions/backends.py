"""The libraries that can compress, for tests that run with each."""

from __future__ import annotations

from ropeway.extensions._backends import Backend, load

from ..support.require import require_package

PACKAGES = {"zlib": "zlib", "zlib-ng": "zlib_ng", "isal": "isal"}
BACKENDS = list(PACKAGES)


def installed(name: str) -> Backend:
    """Load a backend; where it isn't installed, skip or fail."""
    require_package(PACKAGES[name])
    return load(name)
