"""What the comparisons with websockets 17.4 share.

Where ropeway differs on purpose, the case stands in the test with what ropeway does instead.
"""

from __future__ import annotations

import dataclasses
import enum
import importlib
import re
from collections.abc import Callable, Generator
from typing import Any

import pytest

from .reading import finish

websockets = pytest.importorskip("websockets")

is_17_4 = pytest.mark.skipif(
    websockets.version.version != "17.4", reason="another version of websockets"
)


def both(module: str) -> tuple[Any, Any]:
    return importlib.import_module(f"ropeway.{module}"), importlib.import_module(
        f"websockets.{module}"
    )


def neutral(value: object) -> str:
    """Show a value without the package it comes from, and bytearray as bytes."""
    text = repr(value).replace("websockets", "ropeway")
    return re.sub(r"bytearray\((b'[^']*')\)", r"\1", text)


def outcome(function: Callable[..., Any], *arguments: Any, **options: Any) -> str:
    """Return the result of a call, or the exception it raised, in neutral words."""
    try:
        result = function(*arguments, **options)
        if isinstance(result, Generator):
            result = finish(result)
    except Exception as exc:
        return f"{type(exc).__name__}: {exc}"
    return neutral(result)


def translate(value: Any) -> Any:
    """Make the same value of websockets' own classes."""
    theirs = importlib.import_module(type(value).__module__.replace("ropeway", "websockets"))
    if isinstance(value, enum.Enum):
        return getattr(theirs, type(value).__name__)(value.value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        arguments = [translate(getattr(value, f.name)) for f in dataclasses.fields(value)]
        return getattr(theirs, type(value).__name__)(*arguments)
    if type(value).__name__ == "Headers":
        return theirs.Headers(value.raw_items())
    return value
