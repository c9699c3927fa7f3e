"""The plan between two connections of ``async for``, and the defaults it works with."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Generator
from typing import Any

import pytest

from ropeway._core import retry
from ropeway._core.retry import backoff, process_exception
from ropeway._opening.reconnecting import Reconnecting
from ropeway._opening.steps import Sleep
from ropeway.datastructures import Headers
from ropeway.exceptions import InvalidMessage, InvalidStatus, InvalidURI
from ropeway.http11 import Response

from .script import play

LOGGER = logging.getLogger("tests.reconnecting")


def one_two() -> Generator[float, None, None]:
    yield 1.0
    yield 2.0


def reconnecting(**changes: Any) -> Reconnecting:
    arguments: dict[str, Any] = {
        "process_exception": process_exception,
        "reconnect_delays": one_two,
        "logger": LOGGER,
    }
    return Reconnecting(**{**arguments, **changes})


def test_failures_in_a_row_wait_longer_and_longer() -> None:
    series = reconnecting()
    assert play(series.failed(OSError("first"))).steps == [Sleep(1.0)]
    assert play(series.failed(OSError("second"))).steps == [Sleep(2.0)]


def test_a_success_starts_a_new_series() -> None:
    series = reconnecting()
    play(series.failed(OSError("first")))
    series.succeeded()
    assert play(series.failed(OSError("second"))).steps == [Sleep(1.0)]


def test_when_the_delays_end_the_last_failure_is_raised() -> None:
    series = reconnecting()
    play(series.failed(OSError("first")))
    play(series.failed(OSError("second")))
    third = OSError("third")
    played = play(series.failed(third))
    assert played.error is third
    assert played.steps == []


def test_a_retry_is_announced(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "tests.reconnecting"):
        play(reconnecting().failed(ConnectionRefusedError(111, "nobody is there")))
    (record,) = caplog.records
    assert record.getMessage() == (
        "connect failed; reconnecting in 1.0 seconds: "
        "ConnectionRefusedError: [Errno 111] nobody is there"
    )


def test_a_fatal_exception_is_raised_as_it_is() -> None:
    fatal = InvalidURI("ws://", "no host")
    played = play(reconnecting().failed(fatal))
    assert played.error is fatal
    assert played.steps == []


@pytest.mark.parametrize("how", ["returned", "raised"])
def test_process_exception_may_give_another_exception(how: str) -> None:
    def verdict(exc: Exception) -> Exception:
        if how == "raised":
            raise KeyError("fatal")
        return KeyError("fatal")

    original = OSError("network")
    played = play(reconnecting(process_exception=verdict).failed(original))
    assert isinstance(played.error, KeyError)
    assert played.error.__cause__ is original


def because_of(cause: Exception | None) -> InvalidMessage:
    exc = InvalidMessage("did not receive a valid HTTP response")
    exc.__cause__ = cause
    return exc


def status(code: int) -> InvalidStatus:
    return InvalidStatus(Response(code, "", Headers()))


PASSING = [
    OSError(),
    ConnectionResetError(),
    TimeoutError(),
    because_of(EOFError()),
    *map(status, [500, 502, 503, 504]),
]
FATAL = [
    ValueError(),
    because_of(ValueError()),
    because_of(None),
    *map(status, [200, 301, 403, 404, 429, 501]),
]


@pytest.mark.parametrize("exc", PASSING, ids=repr)
def test_exceptions_that_pass(exc: Exception) -> None:
    assert process_exception(exc) is None


@pytest.mark.parametrize("exc", FATAL, ids=repr)
def test_exceptions_that_stay(exc: Exception) -> None:
    assert process_exception(exc) is exc


def test_backoff_starts_at_random_and_grows_to_its_bound() -> None:
    delays = list(itertools.islice(backoff(2.0, 1.0, 10.0, 3.0), 6))
    assert 0 <= delays[0] < 2
    assert delays[1:] == [1.0, 3.0, 9.0, 10.0, 10.0]


def test_backoff_starts_differ() -> None:
    assert len({next(backoff()) for _ in range(20)}) > 1


def test_backoff_defaults() -> None:
    first, second, third = itertools.islice(backoff(), 3)
    assert 0 <= first < retry.BACKOFF_INITIAL_DELAY == 5
    assert (second, third) == (3.1, 3.1 * 1.618)
    assert max(itertools.islice(backoff(), 50)) == 90
