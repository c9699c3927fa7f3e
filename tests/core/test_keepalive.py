"""Keepalive with a clock of the test's own: pings, pongs, deadlines, reasons for giving up."""

from __future__ import annotations

import pytest

from ropeway._core.keepalive import LATE, Keepalive
from ropeway.exceptions import ConcurrencyError

START = 100.0


def make(interval: float | None = 20.0, timeout: float | None = 20.0) -> Keepalive:
    keepalive = Keepalive()
    keepalive.interval = interval
    keepalive.timeout = timeout
    keepalive.start(START)
    return keepalive


def ping_at(keepalive: Keepalive, now: float) -> bytes:
    payload = keepalive.on_deadline(now, START, False)
    assert isinstance(payload, bytes)
    return payload


def test_no_interval_no_pings() -> None:
    keepalive = make(interval=None)
    assert keepalive.next_deadline() is None
    assert keepalive.on_deadline(START + 1e6, START, False) is None


def test_the_first_ping_comes_after_an_interval() -> None:
    keepalive = make()
    assert keepalive.next_deadline() == 120
    assert keepalive.on_deadline(119.9, START, False) is None
    payload = ping_at(keepalive, 120)
    assert len(payload) == 4
    assert keepalive.awaited == payload
    assert keepalive.next_deadline() == 140


def test_a_pong_starts_the_next_interval() -> None:
    keepalive = make()
    payload = ping_at(keepalive, 120)
    assert keepalive.acknowledge(payload, 121.5) == [(None, 1.5)]
    assert (keepalive.latency, keepalive.awaited) == (1.5, None)
    assert keepalive.next_deadline() == 140  # counted from the ping
    other = ping_at(keepalive, 140)
    assert keepalive.acknowledge(other, 175) == [(None, 35)]
    assert keepalive.next_deadline() == 175  # a pong that took longer than an interval


def test_silence_until_the_timeout() -> None:
    keepalive = make(timeout=5)
    ping_at(keepalive, 120)
    assert keepalive.next_deadline() == 125
    assert keepalive.on_deadline(124.9, START, False) is None
    reason = keepalive.on_deadline(125, START, False)
    assert reason == "keepalive ping timeout: peer was silent for 25.0 seconds"


def test_any_byte_is_a_sign_of_life() -> None:
    keepalive = make(timeout=5)
    ping_at(keepalive, 120)
    for _ in range(3):
        assert keepalive.on_deadline(125, 123, False) is None
        assert keepalive.next_deadline() == 128
    assert keepalive.on_deadline(128, 127.5, False) is None
    assert keepalive.next_deadline() == 132.5
    reason = keepalive.on_deadline(132.5, 127.5, False)
    assert reason == "keepalive ping timeout: peer was silent for 5.0 seconds"


def test_silence_says_nothing_while_we_are_deaf() -> None:
    keepalive = make(timeout=5)
    first = ping_at(keepalive, 120)
    # Another ping goes out: writing tells whether the connection is still there.
    second = keepalive.on_deadline(300, START, True)
    assert isinstance(second, bytes)
    assert second != first
    assert list(keepalive.pings) == [second]
    assert keepalive.next_deadline() == 305
    assert isinstance(keepalive.on_deadline(305, START, False), str)


def test_without_a_timeout_nobody_is_given_up() -> None:
    keepalive = make(timeout=None)
    first = ping_at(keepalive, 120)
    assert keepalive.next_deadline() == 140
    second = ping_at(keepalive, 140)
    assert keepalive.awaited == second
    assert list(keepalive.pings) == [second]  # unanswered ones don't pile up
    assert keepalive.acknowledge(first, 141) == []
    assert keepalive.acknowledge(second, 142) == [(None, 2)]


def test_a_late_loop_looks_once_more() -> None:
    keepalive = make(timeout=5)
    ping_at(keepalive, 120)
    late = 125 + LATE + 3
    assert keepalive.on_deadline(late, START, False) is None
    assert keepalive.next_deadline() == late + LATE
    reason = keepalive.on_deadline(late + LATE, START, False)
    assert reason == "keepalive ping timeout: event loop was late by 4.0 seconds"


def test_a_late_loop_that_finds_bytes_in_the_kernel() -> None:
    keepalive = make(timeout=5)
    payload = ping_at(keepalive, 120)
    assert keepalive.on_deadline(160, START, False) is None
    assert keepalive.acknowledge(payload, 160.1) == [(None, pytest.approx(40.1))]
    assert keepalive.next_deadline() == 160.1


def test_a_grace_is_no_longer_than_the_timeout() -> None:
    keepalive = make(timeout=0.25)
    ping_at(keepalive, 120)
    assert keepalive.on_deadline(160, START, False) is None
    assert keepalive.next_deadline() == 160.25


def test_a_loop_that_was_late_once_is_not_blamed_for_a_later_silence() -> None:
    keepalive = make(timeout=5)
    ping_at(keepalive, 120)
    assert keepalive.on_deadline(130, START, False) is None  # late by 5 seconds
    assert keepalive.on_deadline(131, 130.5, False) is None  # yet the peer was there
    assert keepalive.next_deadline() == 135.5
    reason = keepalive.on_deadline(135.5, 130.5, False)
    assert reason == "keepalive ping timeout: peer was silent for 5.0 seconds"


def test_a_loop_that_is_late_again_after_a_sign_of_life_looks_again() -> None:
    keepalive = make(timeout=5)
    ping_at(keepalive, 120)
    assert keepalive.on_deadline(130, START, False) is None
    assert keepalive.on_deadline(131, 130.5, False) is None
    assert keepalive.on_deadline(140, 130.5, False) is None  # late by 4.5 seconds
    reason = keepalive.on_deadline(141, 130.5, False)
    assert reason == "keepalive ping timeout: event loop was late by 4.5 seconds"


def test_each_ping_has_its_own_grace() -> None:
    keepalive = make(timeout=5)
    for now in (120.0, 200.0):
        payload = ping_at(keepalive, now)
        assert keepalive.on_deadline(now + 30, START, False) is None
        keepalive.acknowledge(payload, now + 30.5)


def test_stopping() -> None:
    keepalive = make()
    payload = ping_at(keepalive, 120)
    keepalive.stop()
    assert keepalive.next_deadline() is None
    assert keepalive.on_deadline(1000, START, False) is None
    # What was asked is still answered, but starts nothing again.
    assert keepalive.acknowledge(payload, 121) == [(None, 1)]
    assert keepalive.next_deadline() is None


# Pings of the user's.


def test_a_user_s_ping() -> None:
    keepalive = make()
    assert keepalive.add(b"mine", "token", 101) == b"mine"
    assert keepalive.acknowledge(b"other", 101.5) == []
    assert keepalive.acknowledge(b"mine", 102) == [("token", 1)]
    assert keepalive.latency == 1
    assert keepalive.acknowledge(b"mine", 103) == []
    assert keepalive.next_deadline() == 120


def test_a_pong_answers_earlier_pings_as_well() -> None:
    keepalive = make()
    for index in range(4):
        keepalive.add(b"%d" % index, index, 101.0 + index)
    assert keepalive.acknowledge(b"2", 105) == [(0, 4), (1, 3), (2, 2)]
    assert keepalive.latency == 2
    assert keepalive.acknowledge(b"0", 105) == []
    assert keepalive.acknowledge(b"3", 105) == [(3, 1)]


def test_a_pong_to_a_later_ping_answers_ours() -> None:
    keepalive = make()
    ping_at(keepalive, 120)
    keepalive.add(b"mine", "token", 121)
    assert keepalive.acknowledge(b"mine", 122) == [(None, 2), ("token", 1)]
    assert keepalive.awaited is None
    assert keepalive.next_deadline() == 140


def test_a_pong_to_an_earlier_ping_leaves_ours_waiting() -> None:
    keepalive = make(timeout=5)
    keepalive.add(b"mine", "token", 119)
    ping_at(keepalive, 120)
    assert keepalive.acknowledge(b"mine", 121) == [("token", 2)]
    assert keepalive.next_deadline() == 125


def test_the_same_payload_twice() -> None:
    keepalive = make()
    keepalive.add(b"same", 1, 101)
    with pytest.raises(ConcurrencyError, match="^already waiting for a pong with the same data$"):
        keepalive.add(b"same", 2, 102)
    keepalive.acknowledge(b"same", 103)
    keepalive.add(b"same", 3, 104)


def test_random_payloads_differ() -> None:
    keepalive = make()
    payloads = {keepalive.add(None, None, 101) for _ in range(5000)}
    assert len(payloads) == 5000
    assert {len(payload) for payload in payloads} == {4}


def test_a_ping_of_the_programs_own_starts_no_interval() -> None:
    keepalive = make(interval=None)
    payload = keepalive.add(b"mine", "token", START)
    assert keepalive.acknowledge(payload, START + 2) == [("token", 2)]
    assert keepalive.next_deadline() is None
