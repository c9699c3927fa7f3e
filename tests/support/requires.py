"""What a test needs from the machine: skipped without it, unless everything is required."""

from __future__ import annotations

import importlib
import os
import shutil
from types import ModuleType
from typing import NoReturn

import pytest


def unavailable(reason: str) -> NoReturn:
    """Skip the test; fail it where ``ROPEWAY_REQUIRE_ALL=1`` says that nothing may be missing."""
    if os.environ.get("ROPEWAY_REQUIRE_ALL") == "1":
        pytest.fail(f"ROPEWAY_REQUIRE_ALL=1, but {reason}", pytrace=False)
    pytest.skip(reason)


def require_program(*names: str) -> str:
    """Find the first of these programs on PATH."""
    for name in names:
        if path := shutil.which(name):
            return path
    unavailable(f"no {' or '.join(names)} on this machine")


def require_module(name: str) -> ModuleType:
    """Import an optional package."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        unavailable(f"{name} cannot be imported: {error}")
