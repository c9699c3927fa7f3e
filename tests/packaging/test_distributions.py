"""What a user gets: an sdist and a wheel that build without a warning and hold what they should.

The run on the compiled build makes the compiled wheel, the run on the pure build the pure one.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

import ropeway

from ..architecture.tree import ROOT, files, project_files
from ..support.require import require_package

# Cython and the C compiler take longer than a test usually may; one worker builds for all tests.
pytestmark = [pytest.mark.timeout(1200), pytest.mark.xdist_group("distributions")]

BUILD = """
import sys, warnings
warnings.simplefilter("always")
from setuptools import build_meta
print("made", getattr(build_meta, sys.argv[1])(sys.argv[2]))
"""

PURE = ropeway.build == "pure"


def build(kind: str, source: Path, target: Path) -> Path:
    """Run the build backend as a front end does; every word of warning fails."""
    # setuptools warns that it cannot byte-compile where this is set.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-c", BUILD, kind, str(target)],
        cwd=source,
        env={**environment, "ROPEWAY_BUILD_PURE": str(int(PURE)), "ROPEWAY_WERROR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    warned = [line for line in done.stdout.splitlines() if re.search("warn", line, re.IGNORECASE)]
    assert warned == [], done.stdout
    made = re.search(r"^made (.+)$", done.stdout, re.MULTILINE)
    assert made is not None, done.stdout
    return target / made[1]


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build from a copy of the project's files alone, as a clean clone has them."""
    source = tmp_path_factory.mktemp("clone")
    for path in project_files():
        copy = source / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)
    return build("build_sdist", source, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build from the sdist, so that the sdist lacks nothing."""
    directory = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(directory, filter="data")
    (source,) = directory.iterdir()
    return build("build_wheel", source, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a fresh environment in which there is nothing but the wheel."""
    directory = tmp_path_factory.mktemp("environment")
    venv.create(directory, with_pip=False)
    python = directory / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
        + ["install", "--quiet", "--no-index", "--no-deps", str(wheel)],
        check=True,
    )
    return python


def ask(python: Path, code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ROPEWAY_")}
    return subprocess.run(
        [str(python), "-c", code],
        cwd=python.parent,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_sdist_holds_the_sources_and_the_tests(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    expected = {
        str(path.relative_to(ROOT))
        for path in files(
            "src/*", "tests/*", "tools/*", "fuzz/*", "bench/*", "docs/*", "*.md", "LICENSE"
        )
    }
    assert expected - held == set()
    # What was built stays out; the C of the benchmarks and fuzzers is written by hand.
    assert not {name for name in held - expected if name.endswith((".c", ".so", ".pyc"))}


def test_the_wheel_holds_every_module(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    expected = {str(path.relative_to(ROOT / "src")) for path in files("src/*.py", "*/py.typed")}
    assert expected - held == set()
    extensions = {name.partition(".")[0] for name in held if name.endswith((".so", ".pyd"))}
    declared = {
        str(path.relative_to(ROOT / "src").with_suffix(""))
        for path in files("src/*.pxd")
        if path.with_suffix(".py").exists() or path.with_suffix(".pyx").exists()
    }
    assert extensions == (set() if PURE else declared)


def test_the_tag_says_which_build_it_is(wheel: Path) -> None:
    assert wheel.name.endswith("-py3-none-any.whl") == PURE


def test_the_wheel_runs_where_nothing_else_is_installed(installed: Path) -> None:
    done = ask(installed, "import ropeway; print(ropeway.build, ropeway.connect.__module__)")
    assert done.stderr == ""
    assert done.stdout == f"{ropeway.build} ropeway.asyncio.client\n"


def test_the_version_is_one(installed: Path) -> None:
    code = (
        "import ropeway, importlib.metadata as m; print(ropeway.__version__, m.version('ropeway'))"
    )
    assert ask(installed, code).stdout == f"{ropeway.__version__} {ropeway.__version__}\n"


def test_nothing_is_required_at_run_time(installed: Path) -> None:
    code = "import importlib.metadata as m; print(*m.requires('ropeway'), sep='\\n')"
    requirements = ask(installed, code).stdout.splitlines()
    assert requirements
    assert [one for one in requirements if "extra ==" not in one] == []


def test_a_type_checker_knows_what_is_installed(installed: Path, tmp_path: Path) -> None:
    require_package("mypy")
    program = tmp_path / "program.py"
    shutil.copy(ROOT / "tests" / "typing" / "messages.py", program)
    checking = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache")]
    done = subprocess.run(
        [*checking, "--python-executable", str(installed), program.name],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "Success: no issues found in 1 source file\n", done.stderr


def test_the_other_build(installed: Path) -> None:
    wish = "0" if PURE else "1"
    done = ask(installed, "import ropeway; print(ropeway.build)", ROPEWAY_PURE=wish)
    if PURE:
        assert "ROPEWAY_PURE=0 demands the compiled build" in done.stderr
    else:
        assert done.stdout == "pure\n"
