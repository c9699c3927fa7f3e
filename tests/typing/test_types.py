"""What type checkers say of the package, and what both builds say of themselves.

The programs in this folder are read, not run: ``assert_type`` holds what a checker reveals, and
``refused.py`` has mistakes that must be found.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import ropeway
from tools.architecture import modules

from ..architecture.tree import ROOT
from ..support.pure import load_pure
from ..support.require import require_package

PUBLIC = sorted(
    name
    for name in modules()
    if not any(part.startswith("_") for part in name.split("."))
    and name.partition(".")[0] not in ("cli", "demo", "legacy", "connection", "http")
)
"""Modules that a program may import and that aren't programs, or old names, themselves."""


def check(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a type checker on the tree."""
    paths = [str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
    # Pyright asks the python that it finds there where packages are.
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PATH": programs},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.timeout(600)
def test_mypy_finds_the_mistakes_and_no_others() -> None:
    require_package("mypy")
    done = check("mypy")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.timeout(600)
def test_pyright_finds_the_mistakes_and_no_others() -> None:
    require_package("pyright")
    done = check("pyright")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.timeout(600)
def test_every_type_of_the_api_is_known() -> None:
    require_package("pyright")
    done = check("pyright", "--verifytypes", "ropeway", "--ignoreexternal")
    assert "Type completeness score: 100%" in done.stdout, done.stdout[-5000:]


@pytest.mark.timeout(600)
def test_a_mistake_is_an_error_of_both_checkers(tmp_path: Path) -> None:
    """Without its comments, the program with mistakes does not pass."""
    program = tmp_path / "mistakes.py"
    source = (ROOT / "tests" / "typing" / "refused.py").read_text(encoding="utf-8")
    expected = source.count("# type: ignore")
    program.write_text(re.sub(r"  # type: ignore\[[\w-]+\]", "", source), encoding="utf-8")
    for checker in ("mypy", "pyright"):
        require_package(checker)
        found = re.findall(r"mistakes\.py:(\d+).*? error", check(checker, str(program)).stdout)
        assert len(set(found)) == expected > 10, checker


def test_the_package_says_that_it_has_types() -> None:
    assert (Path(ropeway.__file__).parent / "py.typed").exists()


# Both builds


def signatures(package: ModuleType) -> Iterator[tuple[str, str]]:
    """Yield the name and signature of everything that can be called in the public modules."""
    for name in PUBLIC:
        module = importlib.import_module(f"{package.__name__}.{name}" if name else package.__name__)
        for owner, attribute, value in members(module):
            yield f"{name}.{owner}{attribute}", signature(value)


def members(module: ModuleType) -> Iterator[tuple[str, str, Any]]:
    for name in getattr(module, "__all__", ()):
        value = getattr(module, name)
        if inspect.isclass(value) and value.__module__.startswith(module.__name__.split(".")[0]):
            for attribute, member in vars(value).items():
                function = inspect.unwrap(getattr(member, "__func__", member))
                if not attribute.startswith("_") and callable(function):
                    yield f"{name}.", attribute, function
        elif inspect.isroutine(value):
            yield "", name, value


def signature(value: Any) -> str:
    """Write a signature; that of the build in C may have fewer quotation marks."""
    return str(inspect.signature(value)).replace("'", "").replace('"', "")


def test_signatures_are_the_same_in_both_builds() -> None:
    compiled = dict(signatures(ropeway))  # or pure once more, where that is what runs
    pure = {name: text.replace("ropeway_pure", "ropeway") for name, text in signatures(load_pure())}
    assert len(compiled) > 100
    assert compiled == pure


def test_overloads_are_there_at_run_time() -> None:
    from ropeway.asyncio.connection import Connection
    from ropeway.sync.connection import Connection as OnThreads

    assert len(typing.get_overloads(Connection.recv)) == 3
    assert len(typing.get_overloads(OnThreads.recv)) == 5
    hints = typing.get_type_hints(ropeway.connect.__init__)
    assert hints["uri"] is str


def test_the_options_of_reconnect_are_its_parameters() -> None:
    from ropeway.sync.client import ReconnectOptions, StreamOptions, reconnect

    hints = typing.get_type_hints(reconnect.__init__)
    assert hints.pop("kwargs") == typing.Unpack[StreamOptions]
    for name in ("uri", "return"):
        del hints[name]
    assert typing.get_type_hints(ReconnectOptions) == hints | typing.get_type_hints(StreamOptions)
    assert ReconnectOptions.__required_keys__ == frozenset()


def test_each_option_of_the_stream_is_taken() -> None:
    from ropeway.sync.client import StreamOptions, reconnect

    unchecked: Any = reconnect
    for name in StreamOptions.__optional_keys__:
        unchecked("ws://localhost/", **{name: ("localhost", 80)})
    with pytest.raises(TypeError, match="an unexpected keyword argument 'adress'"):
        unchecked("ws://localhost/", adress=("localhost", 80))
