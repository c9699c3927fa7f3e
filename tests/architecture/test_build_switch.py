"""Which build runs: as asked, or an ImportError that says why not."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import ropeway
from ropeway import _build
from tools.architecture import PACKAGE

from ..support.pure import load_pure

EXTENSION = sysconfig.get_config_var("EXT_SUFFIX")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A small package with the switch, one module to compile and no extension."""
    package = tmp_path / "cable"
    (package / "rooms").mkdir(parents=True)
    shutil.copy(PACKAGE / "_build.py", package)
    (package / "__init__.py").write_text("from ._build import build\n")
    (package / "rooms" / "__init__.py").touch()
    (package / "rooms" / "engine.py").write_text("kind = 'source'\n")
    (package / "rooms" / "engine.pxd").touch()
    (package / "rooms" / "notes.pxd").touch()  # declarations only: nothing to compile
    return package


def run(package: Path, code: str, wish: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "ROPEWAY_PURE"}
    if wish is not None:
        environment["ROPEWAY_PURE"] = wish
    return subprocess.run(
        [sys.executable, "-c", f"import {package.name} as package\n{code}"],
        cwd=package.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def compile_engine(package: Path) -> None:
    """Put something in the place of the extension that no interpreter can load."""
    (package / "rooms" / f"engine{EXTENSION}").write_bytes(b"not a shared object")


SHOW = "from cable.rooms import engine; print(package.build, engine.kind)"


@pytest.mark.parametrize("wish", [None, "", "1"])
def test_without_extensions_the_pure_build_runs(package: Path, wish: str | None) -> None:
    assert run(package, SHOW, wish).stdout == "pure source\n"


def test_a_compiled_build_that_is_not_there_is_refused(package: Path) -> None:
    done = run(package, SHOW, "0")
    assert done.returncode == 1
    assert "ROPEWAY_PURE=0 demands the compiled build of cable" in done.stderr
    assert "it lacks rooms.engine in" in done.stderr


def test_a_package_with_nothing_to_compile_is_no_compiled_build(package: Path) -> None:
    (package / "rooms" / "engine.pxd").unlink()
    assert "it lacks every compiled module" in run(package, SHOW, "0").stderr
    assert run(package, SHOW).stdout == "pure source\n"


def test_a_build_with_a_module_missing_is_not_the_compiled_one(package: Path) -> None:
    compile_engine(package)
    (package / "switch.py").touch()
    (package / "switch.pxd").touch()
    assert run(package, "print(package.build)").stdout == "pure\n"
    assert "it lacks switch in" in run(package, SHOW, "0").stderr


@pytest.mark.parametrize("wish", [None, "0"])
def test_an_extension_that_cannot_be_loaded_is_an_error(package: Path, wish: str | None) -> None:
    compile_engine(package)
    assert run(package, "print(package.build)", wish).stdout == "compiled\n"
    done = run(package, SHOW, wish)
    assert done.returncode == 1
    assert "ImportError" in done.stderr
    assert done.stdout == ""


def test_the_pure_build_passes_by_the_extensions(package: Path) -> None:
    compile_engine(package)
    assert run(package, SHOW, "1").stdout == "pure source\n"


def test_the_pure_build_has_no_module_without_a_source(package: Path) -> None:
    compile_engine(package)
    (package / "rooms" / "engine.py").rename(package / "rooms" / "engine.pyx")
    done = run(package, SHOW, "1")
    assert "cable.rooms.engine exists in the compiled build only" in done.stderr


def test_the_pure_build_leaves_other_modules_alone(package: Path) -> None:
    compile_engine(package)
    (package.parent / f"other{EXTENSION}").write_bytes(b"not a shared object")
    done = run(package, "import other", "1")
    assert "ImportError" in done.stderr
    assert "exists in the compiled build only" not in done.stderr


@pytest.mark.parametrize("wish", ["2", "yes", "true", "pure"])
def test_a_wish_that_is_neither_is_refused(package: Path, wish: str) -> None:
    done = run(package, SHOW, wish)
    assert f"ROPEWAY_PURE is {wish!r}, neither 0 (compiled) nor 1 (pure)" in done.stderr


def test_the_running_build_is_the_one_asked_for() -> None:
    wish = os.environ.get("ROPEWAY_PURE", "")
    expected = {"0": "compiled", "1": "pure"}.get(
        wish, "pure" if _build.uncompiled(str(PACKAGE)) else "compiled"
    )
    assert ropeway.build == expected


def test_both_builds_live_in_one_process() -> None:
    pure = load_pure()
    assert pure.build == "pure"
    assert pure.Frame is not ropeway.Frame
    assert pure.Frame.__module__ == "ropeway_pure.frames"
    kernels = importlib.import_module("ropeway_pure._wire")
    assert kernels.payload_bytes.__module__.startswith("ropeway_pure.")
