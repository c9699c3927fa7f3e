"""Which front ends a contract test runs on: all of them, but those that its marks name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ..support import drivers
from ..support.fronts import Front, front_of
from ..support.loops import LOOPS, LoopFactory
from ..support.require import unavailable

FRONTS = ["asyncio", "uvloop"] if drivers.ORACLE else ["asyncio", "uvloop", "threads", "trio"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for fixture in ("loop_factory", "front"):
        if fixture in metafunc.fixturenames:
            metafunc.parametrize(fixture, FRONTS, indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items[:] = [item for item in items if not is_left_out(item)]


def is_left_out(item: pytest.Item) -> bool:
    """Tell whether a mark of the test, or of one of its parameters, names its front end."""
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    name = parameters.get("front") or parameters.get("loop_factory")
    return any(name in mark.args for mark in item.iter_markers("not_on"))


@pytest.fixture
def front(request: pytest.FixtureRequest) -> Front:
    """Run the test where its connections run, for each front end in turn."""
    require_loop(request.param)
    return front_of(request.param, request.config.getoption("--loop-debug") or None)


@pytest.fixture
def loop_factory(request: pytest.FixtureRequest) -> Iterator[LoopFactory]:
    """Make a new event loop, for each driver in turn."""
    require_loop(request.param)
    if request.param == "threads":
        with drivers.threads():
            yield LOOPS["asyncio"]
    elif request.param == "trio":
        with drivers.in_trio():
            yield LOOPS["asyncio"]
    else:
        yield LOOPS[request.param]


def require_loop(name: str) -> None:
    if name not in LOOPS and name not in ("threads", "trio"):
        unavailable(f"{name} is not installed")
