"""Who may import whom: down the floors only, never in a circle, and no driver another driver."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ropeway import _build
from tools.architecture import (
    DOCUMENT,
    DRIVERS,
    FLOOR_OF,
    PACKAGE,
    cycles,
    imports,
    modules,
    redrawn,
    room,
)

from ..support.require import unavailable

EVENT_LIBRARIES = ("asyncio", "socket", "ssl", "threading", "selectors", "trio", "logging")
SANS_IO_FLOORS = 2

IMPORT_WITHOUT = """
import importlib, sys

blocked, modules = (argument.split(",") for argument in sys.argv[1:])

class Absent:
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError(f"{name} is absent", name=name)

for name in [name for name in sys.modules if name.partition(".")[0] in blocked]:
    del sys.modules[name]
sys.meta_path.insert(0, Absent)
for name in modules:
    importlib.import_module(name)
import ropeway
print(ropeway.build)
"""


def test_every_room_has_a_floor() -> None:
    assert {room(module) for module in modules()} <= FLOOR_OF.keys()


def test_imports_point_downwards() -> None:
    upwards = [
        f"{edge.importer}:{edge.line} imports {edge.imported}"
        for edge in imports()
        if FLOOR_OF[room(edge.imported)] > FLOOR_OF[room(edge.importer)]
    ]
    assert upwards == []


def test_imports_have_no_cycle() -> None:
    assert cycles(imports()) == []


def test_drivers_never_import_each_other() -> None:
    across = [
        f"{edge.importer}:{edge.line} imports {edge.imported}"
        for edge in imports()
        if {room(edge.importer), room(edge.imported)} <= DRIVERS
        and room(edge.importer) != room(edge.imported)
    ]
    assert across == []


@pytest.mark.parametrize("build", ["compiled", "pure"])
def test_the_core_imports_without_an_event_library(build: str) -> None:
    if build == "compiled" and _build.uncompiled(str(PACKAGE)):
        unavailable("the compiled build is not there")
    core = [name for name in modules() if FLOOR_OF[room(name)] <= SANS_IO_FLOORS]
    if build == "pure":
        core = [name for name in core if modules()[name].suffix == ".py"]
    else:
        core = [name for name in core if not name.endswith("_py")]
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_WITHOUT]
        + [",".join(EVENT_LIBRARIES), ",".join(f"ropeway.{name}" for name in core)],
        env={**os.environ, "ROPEWAY_PURE": "1" if build == "pure" else "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == build


def test_the_picture_of_the_rooms_is_current() -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    assert document == redrawn(document), "run python tools/architecture.py"
