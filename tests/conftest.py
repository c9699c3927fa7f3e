"""What every test may use: the event loops, ``run``, and a private certificate authority.

A test that is a coroutine function runs through the ``run`` fixture, on every loop; one that takes
``front``, of ``tests/contract/conftest.py``, runs there.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import platform
from collections.abc import Coroutine
from typing import Any

import hypothesis  # noqa: F401 - trio's plugin for it warns at the end of a run without it
import pytest

import ropeway

from .support.deadlines import DEADLINE
from .support.loops import LOOPS, LoopFactory, Run, make_run
from .support.require import unavailable
from .support.tls import TLS, make_tls


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--loop-debug",
        action="store_true",
        help="run the event loops in debug mode, as PYTHONASYNCIODEBUG=1 does",
    )
    parser.addoption(
        "--full-leaks",
        action="store_true",
        help="look for leaks in a million messages and a hundred thousand connections",
    )


def pytest_report_header() -> str:
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"ropeway {ropeway.__version__}: {ropeway.build} build, {python}, {', '.join(LOOPS)}"


def pytest_collection_finish() -> None:
    # ``run`` collects garbage after each test, and need not look at what was there before.
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: Any, name: str, obj: Any) -> None:
    if collector.istestfunction(obj, name) and inspect.iscoroutinefunction(obj):
        if "front" not in inspect.signature(obj).parameters:
            pytest.mark.usefixtures("run")(obj)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    test = pyfuncitem.obj(**arguments)
    if "front" in arguments:
        arguments["front"].run(test)
    else:
        pyfuncitem.funcargs["run"](_bounded(test))
    return True


async def _bounded(test: Coroutine[Any, Any, None]) -> None:
    # A signal of pytest-timeout's is lost on uvloop.
    async with asyncio.timeout(DEADLINE):
        await test


@pytest.fixture(params=["asyncio", "uvloop"])
def loop_factory(request: pytest.FixtureRequest) -> LoopFactory:
    """Make a new event loop, of each kind in turn."""
    if request.param not in LOOPS:
        unavailable(f"{request.param} is not installed")
    return LOOPS[request.param]


@pytest.fixture
def run(loop_factory: LoopFactory, request: pytest.FixtureRequest) -> Run[Any]:
    """Run a coroutine to its end and return its result; nothing may be left on the loop."""
    return make_run(loop_factory, request.config.getoption("--loop-debug") or None)


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TLS:
    """Contexts of a private certificate authority."""
    return make_tls(tmp_path_factory.mktemp("tls"))
