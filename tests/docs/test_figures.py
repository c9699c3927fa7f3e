"""The figures of README.md: they are what was measured, and what measures them works."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from types import ModuleType

import pytest

import ropeway

from ..architecture.tree import ROOT


@pytest.fixture
def echo() -> ModuleType:
    """Import bench/echo.py, which is no part of a package."""
    spec = importlib.util.spec_from_file_location("echo", ROOT / "bench" / "echo.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_figures_of_the_readme_are_those_that_were_measured(echo: ModuleType) -> None:
    data = json.loads(echo.DATA.read_text(encoding="utf-8"))
    assert echo.table(data) in (ROOT / "README.md").read_text(encoding="utf-8")
    assert "dirty" not in data["commit"]
    assert {len(rounds) for rounds in data["results"].values()} == {echo.ROUNDS}
    assert echo.ROUNDS >= 5


@pytest.mark.skipif(sys.platform != "linux", reason="it reads the clock of another process")
def test_a_round_can_be_measured(echo: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(echo, "SECONDS", 0.01)
    monkeypatch.setattr(echo, "WARM_UP", 0.0)
    contender = echo.PURE if ropeway.build == "pure" else "ropeway"
    result = echo.run_once(contender, min(os.sched_getaffinity(0)))
    for depth in echo.DEPTHS:
        assert result[str(depth)]["messages"] >= depth
        assert 0 < result[str(depth)]["cpu_seconds"] < 10
