"""When which of many connections is closed, by numbers alone."""

from __future__ import annotations

import pytest

from ropeway._driving.draining import LOOK, STEP, Spread, check_drain
from ropeway.exceptions import ProtocolError


def test_closes_are_spread_evenly() -> None:
    spread = Spread(4, 0.8, 100.0)
    assert spread.take_due(100.0) == 1
    assert spread.seconds_to_wait(100.0) == pytest.approx(0.2)
    assert spread.take_due(100.19) == 0
    assert spread.seconds_to_wait(100.15) == pytest.approx(0.05)
    assert spread.take_due(100.45) == 2
    assert spread.seconds_to_wait(100.45) == pytest.approx(0.15)
    assert spread.take_due(200.0) == 1
    assert spread.seconds_to_wait(200.0) == 0.0
    assert spread.take_due(300.0) == 0


def test_whoever_waits_looks_around_meanwhile() -> None:
    assert Spread(4, 8.0, 100.0).seconds_to_wait(100.0) == STEP
    spread = Spread(4, 8.0, 100.0)
    assert spread.take_due(100.0) == 1
    assert spread.seconds_to_wait(100.0) == LOOK


def test_many_closes_are_made_in_steps() -> None:
    spread = Spread(100_000, 10.0, 0.0)
    now, closed, steps = 0.0, 0, 0
    while closed < 100_000:
        closed += spread.take_due(now)
        now += spread.seconds_to_wait(now)
        steps += 1
    assert now <= 10.0
    assert steps <= 10.0 / STEP + 2


def test_without_time_all_are_due() -> None:
    spread = Spread(7, 0.0, 5.0)
    assert spread.take_due(5.0) == 7
    assert spread.seconds_to_wait(5.0) == 0.0


def test_nothing_to_close() -> None:
    spread = Spread(0, 10.0, 5.0)
    assert spread.take_due(5.0) == 0
    assert spread.seconds_to_wait(5.0) == 0.0


@pytest.mark.parametrize(
    ("seconds", "notice", "message"),
    [
        (-1, 0, "seconds is -1, below 0"),
        (float("nan"), 0, "seconds is nan, below 0"),
        (1, -0.5, "notice is -0.5, below 0"),
    ],
)
def test_times_are_checked(seconds: float, notice: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_drain(seconds, notice, "")


def test_the_reason_is_checked() -> None:
    check_drain(1, 0, "x" * 123)
    with pytest.raises(ProtocolError, match="control frame too long"):
        check_drain(1, 0, "x" * 124)
