"""What some tests need besides ropeway: programs and packages that a machine may not have.

A test that needs one asks for it by name. Where it is missing, the test is skipped with the reason;
with ``ROPEWAY_REQUIRE_ALL=1``, as in CI, it fails instead, so that nothing is left out unnoticed.
"""

from __future__ import annotations

import importlib
import os
import shutil
from types import ModuleType
from typing import NoReturn

import pytest

PROGRAMS: dict[str, tuple[tuple[str, ...], str]] = {
    "chromium": (
        ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
        "apt-get install chromium",
    ),
    "node": (("node", "nodejs"), "apt-get install nodejs"),
    "npm": (("npm",), "apt-get install npm"),
    "microsocks": (("microsocks",), "apt-get install microsocks"),
    "nginx": (("nginx",), "apt-get install nginx-light"),
    "haproxy": (("haproxy",), "apt-get install haproxy"),
    "nghttpx": (("nghttpx",), "apt-get install nghttp2-proxy"),
    "tinyproxy": (("tinyproxy",), "apt-get install tinyproxy-bin"),
}
"""Programs by the names they are asked for: the commands to look for, and how to get one."""

DISTRIBUTIONS = {
    "proxy": "proxy.py",
    "python_socks": "python-socks",
    "tiny_proxy": "tiny-proxy",
    "websocket": "websocket-client",
    "zlib_ng": "zlib-ng",
}
"""Packages whose name in the registry is not their import name."""


def require(name: str) -> str:
    """Return the path of a program that a test runs; where there is none, skip or fail."""
    commands, remedy = PROGRAMS[name]
    for command in commands:
        if path := shutil.which(command):
            return path
    return unavailable(f"{name} is not installed ({remedy})")


def require_package(name: str) -> ModuleType:
    """Import a package that a test plays against; where it is not installed, skip or fail."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as exc:
        if exc.name != name:
            raise
    return unavailable(f"{name} is not installed (pip install {DISTRIBUTIONS.get(name, name)})")


def unavailable(reason: str) -> NoReturn:
    """End the running test: skipped, or failed where everything is required."""
    if os.environ.get("ROPEWAY_REQUIRE_ALL") == "1":
        pytest.fail(f"{reason}, and ROPEWAY_REQUIRE_ALL=1 demands it", pytrace=False)
    pytest.skip(reason)
