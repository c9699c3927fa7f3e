"""Contract tests are coroutine functions; each runs through the ``run`` fixture, on every loop."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Coroutine
from typing import Any

import pytest

DEADLINE = 20.0
"""Seconds until a test is cancelled; a signal, as pytest-timeout sends, does not interrupt uvloop."""


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: Any, name: str, obj: Any) -> None:
    if collector.istestfunction(obj, name) and inspect.iscoroutinefunction(obj):
        pytest.mark.usefixtures("run")(obj)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    pyfuncitem.funcargs["run"](bounded(pyfuncitem.obj(**arguments)))
    return True


async def bounded(test: Coroutine[Any, Any, None]) -> None:
    async with asyncio.timeout(DEADLINE):
        await test
