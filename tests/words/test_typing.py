from __future__ import annotations

import http
import logging
import os
import subprocess
import sys
from typing import get_args

import pytest

from ropeway import typing


def test_unions() -> None:
    assert get_args(typing.Data) == (str, bytes)
    assert get_args(typing.BytesLike) == (bytes, bytearray, memoryview)
    assert get_args(typing.DataLike) == (str, bytes, bytearray, memoryview)
    assert get_args(typing.StatusLike) == (http.HTTPStatus, int)
    assert get_args(typing.PathLike) == (str, bytes, os.PathLike[str], os.PathLike[bytes])


def test_logger_like_accepts_adapters() -> None:
    logger = logging.getLogger("test")
    logger_class, adapter_class = get_args(typing.LoggerLike)
    assert isinstance(logger, logger_class)
    assert isinstance(logging.LoggerAdapter(logger), adapter_class.__origin__)


def test_logger_like_is_made_once() -> None:
    assert typing.LoggerLike is typing.LoggerLike


def test_logging_is_imported_for_logger_like_only() -> None:
    code = (
        "import sys; import ropeway.typing as t; print('logging' in sys.modules);"
        "t.LoggerLike; print('logging' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Nonsense'"):
        typing.Nonsense  # noqa: B018


@pytest.mark.parametrize(
    "name",
    ["ConnectionOption", "ExtensionName", "Origin", "Subprotocol", "UpgradeProtocol"],
)
def test_new_types_are_str_at_run_time(name: str) -> None:
    new_type = getattr(typing, name)
    assert new_type.__name__ == name
    assert new_type("a") == "a"
