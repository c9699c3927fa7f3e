"""Names and defaults in the documents are those of the code."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from typing import Any

import pytest

import ropeway
from ropeway.asyncio.client import connect
from ropeway.asyncio.server import serve

from ..architecture.tree import ROOT

DOCS = ROOT / "docs"


def read(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


ROW = re.compile(r"^\| `ROPEWAY_(\w+)` \| `?([^|`]+?)`? \|", re.MULTILINE)
SETTINGS = dict(ROW.findall(read("environment.md")))

HOMES = {
    "MAX_LINE_LENGTH": "http11.MAX_LINE_LENGTH",
    "MAX_NUM_HEADERS": "http11.MAX_NUM_HEADERS",
    "MAX_HEAD_SIZE": "http11.MAX_HEAD_SIZE",
    "MAX_BODY_SIZE": "http11.MAX_BODY_SIZE",
    "MAX_FRAGMENTS": "_core.engine.MAX_FRAGMENTS",
    "MAX_REDIRECTS": "_opening.redirects.MAX_REDIRECTS",
    "MAX_LOG_SIZE": "frames.Frame.MAX_LOG_SIZE",
    "BACKOFF_INITIAL_DELAY": "_core.retry.BACKOFF_INITIAL_DELAY",
    "BACKOFF_MIN_DELAY": "_core.retry.BACKOFF_MIN_DELAY",
    "BACKOFF_MAX_DELAY": "_core.retry.BACKOFF_MAX_DELAY",
    "BACKOFF_FACTOR": "_core.retry.BACKOFF_FACTOR",
    "SERVER": "http11.SERVER",
    "USER_AGENT": "http11.USER_AGENT",
}

SHOW = """
import importlib
for home in {homes!r}:
    module, *names = home.rsplit(".", 2 if ".Frame." in home else 1)
    value = importlib.import_module("ropeway." + module)
    for name in names:
        value = getattr(value, name)
    print(value)
"""


def settings(**variables: str) -> list[str]:
    """Give what a fresh interpreter reads from the environment, in the order of HOMES."""
    kept = {k: v for k, v in os.environ.items() if not re.match("ROPEWAY_|WEBSOCKETS_", k)}
    done = subprocess.run(
        [sys.executable, "-c", SHOW.format(homes=list(HOMES.values()))],
        env={**kept, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def test_settings_have_the_defaults_that_are_documented() -> None:
    assert SETTINGS.keys() == HOMES.keys()
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    documented = [SETTINGS[name] for name in HOMES]
    for text, value in zip(documented, settings(), strict=True):
        if text == "none":
            assert value == "None"
        elif re.fullmatch(r"[\d.]+", text):
            assert float(text) == float(value)
        else:
            assert text.replace("3.11", python) == value


@pytest.mark.parametrize("prefix", ["ROPEWAY", "WEBSOCKETS"])
def test_settings_are_read_under_both_prefixes(prefix: str) -> None:
    assert [float(value) for value in settings(**{f"{prefix}_{n}": "7" for n in HOMES})] == [
        7.0
    ] * len(HOMES)


PARAMETER = re.compile(r"`(\w+)=`[^|]*\| `?([^|`]+?)`? \|")


@pytest.mark.parametrize(("name", "default"), PARAMETER.findall(read("limits.md")))
def test_limits_have_the_defaults_that_are_documented(name: str, default: str) -> None:
    number: Any = None if default == "none" else int(default.split()[0].replace(",", ""))
    found = [
        parameters[name].default
        for function in (connect, serve)
        if name in (parameters := inspect.signature(function).parameters)
    ]
    assert found
    assert set(found) == {number}


def test_the_version_of_the_changelog_is_this_one() -> None:
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert newest[1] == ropeway.__version__
