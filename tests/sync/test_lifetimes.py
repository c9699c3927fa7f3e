"""Connections go away when they are over, without the garbage collector."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from ropeway import InvalidStatus
from ropeway.sync.client import connect

from .serving import against_raw, connecting, pair, running, serving, until, uri

pytestmark = pytest.mark.skipif(
    sys.implementation.name != "cpython", reason="reference counting is CPython's"
)


@pytest.fixture(autouse=True)
def no_garbage_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_both_ends_are_freed(compression: str | None) -> None:
    options = {"compression": compression, "ping_interval": 20}
    with pair(client=options, server=options) as (near, far):
        near.send("tea")
        assert far.recv() == "tea"
        near.ping().wait(5)
        with running(far.wait_closed):
            near.close()
        kept = [weakref.ref(near), weakref.ref(far)]
        del near, far
    until(lambda: all(one() is None for one in kept))


def test_an_idle_connection_that_was_looked_after_is_freed() -> None:
    with against_raw() as (ws, raw):
        watched = ws._keeper._watched
        until(lambda: len(watched) == 1)
        kept = weakref.ref(ws)
        raw.close()
        ws.wait_closed(5)
    del ws
    until(lambda: kept() is None)


def test_a_connection_that_was_refused_is_freed() -> None:
    made: list[Any] = []

    def process_request(connection: Any, request: Any) -> Any:
        made.append(weakref.ref(connection))
        return connection.respond(403, "no\n")

    with serving(process_request=process_request) as server:
        with pytest.raises(InvalidStatus):
            connecting(server)
        until(lambda: made[0]() is None)


def test_a_connection_whose_use_failed_is_freed() -> None:
    with serving() as server:
        ws = connect(uri(server), proxy=None, legacy=True)
        kept = weakref.ref(ws)
        with pytest.raises(TimeoutError):
            ws.recv(timeout=0)
        ws.abort()
        del ws
        until(lambda: kept() is None)
