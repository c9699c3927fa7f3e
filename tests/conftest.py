"""What every test may use: the event loops, ``run``, and a private certificate authority."""

from __future__ import annotations

import gc
import platform
from typing import Any

import pytest

import ropeway

from .support.loops import LOOPS, LoopFactory, Run, make_run
from .support.require import unavailable
from .support.tls import TLS, make_tls


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--loop-debug",
        action="store_true",
        help="run the event loops in debug mode, as PYTHONASYNCIODEBUG=1 does",
    )


def pytest_report_header() -> str:
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"ropeway {ropeway.__version__}: {ropeway.build} build, {python}, {', '.join(LOOPS)}"


def pytest_collection_finish() -> None:
    # ``run`` collects garbage after each test; what is there already need not be looked at again.
    gc.collect()
    gc.freeze()


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
