"""The switches of the build, and that it never makes less than what was asked for."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from ..architecture.tree import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def build_extensions(project: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "setup.py", "build_ext", "--inplace"],
        cwd=project,
        env={**os.environ, "ROPEWAY_BUILD_PURE": "0", "ROPEWAY_WERROR": "0", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The project's setup.py over one small module to compile."""
    package = tmp_path / "src" / "cable"
    package.mkdir(parents=True)
    shutil.copy(ROOT / "setup.py", tmp_path)
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "cable"\nversion = "1"\n')
    (package / "__init__.py").touch()
    (package / "engine.pyx").write_text("cpdef int turn(int n): return n\n")
    (package / "engine.pxd").write_text("cpdef int turn(int n)\n")
    return tmp_path


def extensions(project: Path) -> list[str]:
    return [path.name.partition(".")[0] for path in (project / "src").rglob("*.so")]


def test_a_declaration_makes_a_compiled_module(project: Path) -> None:
    assert build_extensions(project, ROPEWAY_WERROR="1").returncode == 0
    assert extensions(project) == ["engine"]


def test_a_pure_build_compiles_nothing(project: Path) -> None:
    assert build_extensions(project, ROPEWAY_BUILD_PURE="1").returncode == 0
    assert extensions(project) == []


def test_an_error_in_a_module_fails_the_build(project: Path) -> None:
    (project / "src/cable/engine.pyx").write_text("cpdef int turn(int n): return nowhere\n")
    assert build_extensions(project).returncode != 0


def test_nothing_to_compile_fails_the_build(project: Path) -> None:
    (project / "src/cable/engine.pxd").unlink()
    done = build_extensions(project)
    assert done.returncode != 0
    assert "nothing to compile" in done.stdout


WARNS_IN_C = """
cdef extern from *:
    '''
    static int crossed(unsigned n) { int wrong = 1; return n > 0; }
    '''
    int crossed(unsigned n)

cpdef int turn(int n): return crossed(n)
"""
WARNS_IN_CYTHON = "cdef object f() noexcept: return 1\ncpdef int turn(int n): return f()\n"


@pytest.mark.parametrize("source", [WARNS_IN_C, WARNS_IN_CYTHON], ids=["C", "Cython"])
def test_a_warning_is_an_error_for_those_who_work_on_it(project: Path, source: str) -> None:
    (project / "src/cable/engine.pyx").write_text(source)
    assert build_extensions(project).returncode == 0
    (project / "src/cable/engine.pyx").write_text(source + "\n")
    assert build_extensions(project, ROPEWAY_WERROR="1").returncode != 0


@pytest.mark.parametrize("variable", ["ROPEWAY_BUILD_PURE", "ROPEWAY_WERROR"])
def test_a_switch_is_on_or_off(project: Path, variable: str) -> None:
    done = build_extensions(project, **{variable: "yes"})
    assert done.returncode != 0
    assert f"{variable} is 'yes', neither 0 nor 1" in done.stdout


def test_no_dependency_at_run_time() -> None:
    assert PROJECT["project"]["dependencies"] == []


def test_each_extra_of_the_readme_exists() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    named = {
        extra.strip()
        for group in re.findall(r"ropeway\[([\w, ]+)\]", readme)
        for extra in group.split(",")
    }
    assert named <= PROJECT["project"]["optional-dependencies"].keys()
