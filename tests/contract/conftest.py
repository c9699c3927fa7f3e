"""Which drivers a contract test runs on: all of them, unless it says that it is about asyncio."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ..support import drivers
from ..support.loops import LOOPS, LoopFactory
from ..support.require import unavailable


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "loop_factory" in metafunc.fixturenames:
        names = ["asyncio", "uvloop"]
        if metafunc.definition.get_closest_marker("asyncio_only") is None and not drivers.ORACLE:
            names += ["threads", "trio"]
        metafunc.parametrize("loop_factory", names, indirect=True)


@pytest.fixture
def loop_factory(request: pytest.FixtureRequest) -> Iterator[LoopFactory]:
    """Make a new event loop, for each driver in turn."""
    if request.param == "threads":
        with drivers.threads():
            yield LOOPS["asyncio"]
    elif request.param == "trio":
        with drivers.in_trio():
            yield LOOPS["asyncio"]
    elif request.param in LOOPS:
        yield LOOPS[request.param]
    else:
        unavailable(f"{request.param} is not installed")
