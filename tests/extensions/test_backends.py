"""Which library compresses: what the environment says, or else what is installed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from ropeway.extensions import _backends as backends
from ropeway.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    PerMessageDeflate,
    ServerPerMessageDeflateFactory,
)

from .backends import BACKENDS, installed


@pytest.fixture(autouse=True)
def uncached(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("ROPEWAY_DEFLATE", raising=False)
    backends.backend.cache_clear()
    backends.load.cache_clear()
    yield
    backends.backend.cache_clear()
    backends.load.cache_clear()


@pytest.mark.parametrize("name", BACKENDS)
def test_the_environment_chooses(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = installed(name)
    monkeypatch.setenv("ROPEWAY_DEFLATE", name)
    assert backends.backend() is chosen
    assert chosen.name == name
    # The module is the real one: it compresses what zlib can read.
    assert chosen.module.__name__.split(".")[-1] in ("zlib", "zlib_ng", "isal_zlib")


@pytest.mark.parametrize(
    "factory", [ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory]
)
@pytest.mark.parametrize("name", ["", "ZLIB", "zopfli"])
def test_an_unknown_one(factory: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROPEWAY_DEFLATE", name)
    with pytest.raises(ValueError) as info:
        factory()
    assert str(info.value) == f"ROPEWAY_DEFLATE is {name!r}, none of zlib, zlib-ng, isal"


@pytest.mark.parametrize(
    "factory", [ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory]
)
@pytest.mark.parametrize(("name", "package"), [("zlib-ng", "zlib_ng"), ("isal", "isal")])
def test_one_that_is_not_installed(
    factory: Any, name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, backends.BACKENDS[name][0], None)
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setenv("ROPEWAY_DEFLATE", name)
    with pytest.raises(ImportError, match=f"^ROPEWAY_DEFLATE is '{name}', which isn't installed: "):
        factory()


def test_zlib_ng_if_it_is_installed() -> None:
    assert backends.backend() is installed("zlib-ng")


def test_zlib_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    # isal is never chosen unasked: it compresses less well.
    monkeypatch.setitem(sys.modules, "zlib_ng", None)
    monkeypatch.setitem(sys.modules, "zlib_ng.zlib_ng", None)
    assert backends.backend() is backends.ZLIB
    assert PerMessageDeflate(False, False, 12, 12).deflate(bytes(100_000), True, True)


def test_it_is_imported_by_those_who_compress_only() -> None:
    installed("zlib-ng")
    script = (
        "import sys, ropeway.asyncio.server, ropeway.extensions.permessage_deflate as deflate\n"
        "assert 'zlib_ng' not in sys.modules\n"
        "deflate.ServerPerMessageDeflateFactory()\n"
        "assert 'zlib_ng' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("name", ["zlib-ng", "isal"])
@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, True),
        ({"memLevel": 5}, True),
        ({"memLevel": 4}, False),
        ({"level": 1}, False),
        ({"level": 6, "memLevel": 5}, False),
        ({"strategy": 2}, False),
    ],
)
def test_what_a_caller_set_means_what_it_means_in_zlib(
    name: str, settings: dict[str, Any], expected: bool
) -> None:
    assert installed(name).speeds_up(settings) is expected
    assert backends.ZLIB.speeds_up(settings) is False
