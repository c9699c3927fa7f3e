"""The builds that this run can compare: both in one process, or the pure one alone."""

from __future__ import annotations

import importlib
from types import ModuleType

import pytest

import ropeway

from ..support.pure import PURE_NAME, load_pure


class Build:
    """One build's rooms."""

    def __init__(self, name: str, package: str) -> None:
        self.name = name
        self._package = package

    def __repr__(self) -> str:
        return self.name

    def room(self, name: str) -> ModuleType:
        return importlib.import_module(f"{self._package}.{name}")


def _load() -> dict[str, Build]:
    if ropeway.build == "pure":
        return {"pure": Build("pure", "ropeway")}
    load_pure()
    return {"compiled": Build("compiled", "ropeway"), "pure": Build("pure", PURE_NAME)}


BUILDS = _load()

each_build = pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS.keys())

twins = pytest.mark.skipif(
    len(BUILDS) < 2,
    reason="this run has the pure build alone; the run on the compiled build compares the two",
)
