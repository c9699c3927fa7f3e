"""When a peer is too slow, by numbers alone."""

from __future__ import annotations

from typing import Any

import pytest

from ropeway._core.guard import Guard, admit
from ropeway._core.inbox import Inbox
from ropeway._core.rules import (
    FAIR_SHARE,
    NO_RULES,
    PATIENT,
    UNLIMITED,
    Rules,
    Slowness,
    Tally,
    rate_and_burst,
    slowness,
)
from ropeway.exceptions import RateLimitExceeded
from ropeway.frames import Close, CloseCode
from ropeway.protocol import State
from ropeway.server import ServerProtocol

from ..support.rawpeer import BINARY, CONT, PING, TEXT, frame
from ..support.rawpeer import CLOSE as OP_CLOSE

NEVER = float("inf")

DROP = Slowness(True, 100_000, 10.0)
CLOSE = Slowness(False, 100_000, 10.0)


def guard_for(terms: Slowness = DROP) -> Guard:
    return Guard(Rules(slowness=terms), Tally())


@pytest.mark.parametrize(
    ("buffered", "size", "slow"),
    [
        (0, 10**9, False),
        (FAIR_SHARE, 10**9, False),
        (FAIR_SHARE + 1, 100_000 - FAIR_SHARE - 1, False),
        (FAIR_SHARE + 1, 100_000 - FAIR_SHARE, True),
        (100_000, 0, False),
        (100_001, 0, True),
    ],
)
def test_what_waits_and_the_message_together_have_a_limit(
    buffered: int, size: int, slow: bool
) -> None:
    assert guard_for().is_slow(DROP, 1.0, 0, buffered, size) is slow


def test_who_takes_nothing_in_time_is_slow() -> None:
    guard = guard_for()
    guard.choke(5.0, 1000)
    guard.choke(9.0, 1000)
    assert guard.stall_deadline() == guard.next_deadline() == 15.0
    assert not guard.is_slow(DROP, 14.9, 1000, 50_000, 1)
    assert not guard.stalled
    assert guard.is_slow(DROP, 15.0, 1000 + FAIR_SHARE - 1, 50_000, 1)
    assert guard.stalled
    assert guard.next_deadline() == NEVER


def test_who_takes_a_fair_share_gets_more_time() -> None:
    guard = guard_for()
    guard.choke(5.0, 1000)
    assert not guard.is_slow(DROP, 15.0, 1000 + FAIR_SHARE, 50_000, 1)
    assert guard.next_deadline() == 25.0
    assert guard.is_slow(DROP, 25.0, 1000 + FAIR_SHARE, 50_000, 1)
    assert not guard.is_slow(DROP, 26.0, 1000 + 2 * FAIR_SHARE, 50_000, 1)
    assert not guard.stalled


def test_the_clock_stops_when_little_waits() -> None:
    guard = guard_for()
    assert guard.next_deadline() == NEVER
    guard.choke(5.0, 0)
    guard.relieve()
    assert guard.next_deadline() == NEVER
    assert not guard.is_slow(DROP, 100.0, 0, FAIR_SHARE, 1)
    assert guard.next_deadline() == NEVER


def test_the_clock_starts_by_itself_where_no_driver_looks() -> None:
    guard = Guard(NO_RULES, Tally())
    assert not guard.is_slow(DROP, 5.0, 0, 50_000, 1)
    assert not guard.is_slow(DROP, 14.0, 0, 50_000, 1)
    assert guard.is_slow(DROP, 15.0, 0, 50_000, 1)
    assert guard.next_deadline() == NEVER


def test_a_limit_without_a_time() -> None:
    terms = Slowness(True, 100_000, None)
    guard = guard_for(terms)
    guard.choke(0.0, 0)
    assert not guard.is_slow(terms, 10**6, 0, 50_000, 1)
    assert guard.next_deadline() == NEVER


def test_patience_has_no_end() -> None:
    guard = Guard(NO_RULES, Tally())
    guard.choke(0.0, 0)
    assert not guard.is_slow(PATIENT, 10.0**9, 0, 2**50, 2**50)


def opened(terms: Slowness) -> tuple[ServerProtocol, Tally]:
    protocol = ServerProtocol(state=State.OPEN)
    tally = Tally()
    protocol.guard = Guard(Rules(slowness=terms), tally)
    return protocol, tally


def test_a_dropped_message_is_counted() -> None:
    protocol, tally = opened(DROP)
    assert admit(protocol, None, 10, 50_000, 1.0)
    assert not admit(protocol, None, 10, 100_000, 1.0)
    assert not admit(protocol, None, 10, 100_000, 1.0)
    assert protocol.stats().messages_not_sent == tally.messages_not_sent == 2
    assert protocol.state is State.OPEN
    assert protocol.data_to_send() == []


def test_a_slow_peer_is_closed() -> None:
    protocol, tally = opened(CLOSE)
    assert not admit(protocol, None, 10, 100_000, 1.0)
    reason = "peer is slow: 100000 bytes wait for it"
    assert protocol.close_sent == Close(CloseCode.TRY_AGAIN_LATER, reason)
    assert tally.closed_slow == 1
    assert tally.messages_not_sent == protocol.stats().messages_not_sent == 0


def test_the_rules_of_a_call_come_before_those_of_the_connection() -> None:
    protocol, _ = opened(CLOSE)
    assert not admit(protocol, DROP, 10, 100_000, 1.0)
    assert admit(protocol, PATIENT, 10, 100_000, 1.0)
    assert protocol.state is State.OPEN


def test_a_connection_without_rules_can_be_told_some() -> None:
    protocol = ServerProtocol(state=State.OPEN)
    assert admit(protocol, None, 10, 10**9, 1.0)
    assert not admit(protocol, DROP, 10, 100_000, 1.0)
    assert protocol.stats().messages_not_sent == 1


def test_time_closes_a_slow_peer_to_whom_nothing_more_is_sent() -> None:
    protocol, tally = opened(CLOSE)
    assert protocol.guard is not None
    protocol.guard.choke(5.0, 0)
    assert protocol.next_deadline(5.0) == 15.0
    protocol.guard.buffered = 50_000
    protocol.on_deadline(15.0)
    assert protocol.close_sent is not None and protocol.close_sent.code == 1013
    assert tally.closed_slow == 1


def test_time_marks_a_slow_peer_whose_messages_are_dropped() -> None:
    protocol, _ = opened(DROP)
    assert protocol.guard is not None
    protocol.guard.choke(5.0, 0)
    protocol.guard.buffered = 50_000
    protocol.on_deadline(15.0)
    assert protocol.guard.stalled
    assert protocol.state is State.OPEN
    assert protocol.next_deadline(15.0) is None


def test_keepalive_may_be_due_first() -> None:
    protocol, _ = opened(CLOSE)
    assert protocol.guard is not None
    protocol.keepalive.interval = 20.0
    protocol.keepalive.start(0.0)
    assert protocol.next_deadline(0.0) == 20.0
    protocol.guard.choke(5.0, 0)
    assert protocol.next_deadline(5.0) == 15.0
    protocol.guard.relieve()
    protocol.guard.choke(15.0, 0)
    assert protocol.next_deadline(15.0) == 20.0


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        (("stop", 2**20, 10), ValueError, "slow_consumer is 'stop', none of 'wait', 'drop' and"),
        (("drop", 1.5, 10), TypeError, "slow_limit is 1.5, not in whole bytes"),
        (("drop", 32767, 10), ValueError, "slow_limit is 32767, below 32768"),
        (("drop", 2**20, 0), ValueError, "slow_timeout is 0 seconds, not above 0"),
        (("wait", 2**20, -1), ValueError, "slow_timeout is -1 seconds, not above 0"),
    ],
)
def test_what_is_wrong_is_named(arguments: tuple[object, ...], kind: type, text: str) -> None:
    with pytest.raises(kind, match=text):
        slowness(*arguments)  # type: ignore[arg-type]


def test_what_is_said_of_slow_consumers() -> None:
    assert slowness("wait", 2**20, 10) is PATIENT
    assert slowness("drop", 2**20, None) == Slowness(True, 2**20, None)
    assert slowness("close", 2**70, 10) == Slowness(False, UNLIMITED, 10)
    assert not Rules(slowness=slowness("wait", 2**20, 10)).are_any()
    assert Rules(slowness=DROP).are_any()


# Time.


def with_rules(**rules: Any) -> tuple[ServerProtocol, Guard, Tally]:
    """Give an open connection with rules, whose clocks begin at 100."""
    protocol = ServerProtocol(state=State.OPEN)
    protocol.use_inbox(Inbox(16, None))
    tally = Tally()
    guard = protocol.guard = Guard(Rules(**rules), tally)
    protocol.start_clocks(100.0)
    return protocol, guard, tally


def text(payload: str) -> bytes:
    return frame(TEXT, payload.encode(), mask=True)


def take(protocol: ServerProtocol, data: bytes, now: float) -> None:
    protocol.receive(data, 0, len(data), now)
    protocol.keep_rest()


def test_an_old_connection_is_closed() -> None:
    protocol, _, tally = with_rules(max_age=50.0)
    due = protocol.next_deadline(100.0)
    assert due is not None and 145.0 < due <= 150.0
    take(protocol, text("hello"), due)
    protocol.on_deadline(due)
    reason = "connection has reached its greatest age"
    assert protocol.close_sent == Close(CloseCode.SERVICE_RESTART, reason)
    assert protocol.state is State.CLOSING
    assert tally.closed_old == 1


def test_ages_differ_by_chance() -> None:
    ends = {with_rules(max_age=50.0)[0].next_deadline(100.0) for _ in range(20)}
    assert len(ends) > 10


def idle_until(protocol: ServerProtocol, now: float) -> float:
    """Let time pass up to the end of the connection; give when that was."""
    while protocol.state is State.OPEN:
        due = protocol.next_deadline(now)
        assert due is not None
        now = max(now, due)
        protocol.on_deadline(now)
    return now


def test_an_idle_connection_is_closed() -> None:
    protocol, _, tally = with_rules(idle_timeout=20.0)
    assert idle_until(protocol, 100.0) == 120.0
    assert protocol.close_sent == Close(CloseCode.GOING_AWAY, "no message for 20 seconds")
    assert tally.closed_idle == 1


def test_pings_are_no_messages() -> None:
    protocol, _, _ = with_rules(idle_timeout=20.0)
    take(protocol, frame(PING, b"ping", mask=True), 112.0)
    protocol.send_ping(b"pong")
    assert idle_until(protocol, 112.0) == 120.0


@pytest.mark.parametrize("direction", ["in", "out"])
def test_a_message_keeps_a_connection_open(direction: str) -> None:
    protocol, _, _ = with_rules(idle_timeout=20.0)
    protocol.on_deadline(110.0)
    if direction == "in":
        take(protocol, text("hello"), 112.0)
    else:
        protocol.send_text(b"hello")
    # When it came is known to a quarter of the timeout.
    assert 132.0 <= idle_until(protocol, 112.0) <= 137.0


def test_a_part_of_a_message_keeps_a_connection_open() -> None:
    protocol, _, _ = with_rules(idle_timeout=20.0)
    data = frame(BINARY, bytes(500_000), mask=True)
    take(protocol, data[:200_000], 101.0)
    protocol.on_deadline(105.0)
    take(protocol, data[200_000:400_000], 112.0)
    assert idle_until(protocol, 112.0) >= 132.0


def test_what_is_being_written_keeps_a_connection_open() -> None:
    protocol, guard, _ = with_rules(idle_timeout=20.0)
    protocol.send_binary(bytes(1000))
    protocol.data_to_send()
    now = 100.0
    for buffered in range(900, 0, -100):
        guard.buffered = buffered
        now += 5.0
        protocol.on_deadline(now)
    assert protocol.state is State.OPEN
    assert idle_until(protocol, now) == now + 20.0


def test_a_connection_that_we_do_not_read_is_not_idle() -> None:
    protocol, _, _ = with_rules(idle_timeout=20.0)
    take(protocol, b"".join(text(str(index)) for index in range(20)), 101.0)
    assert protocol.stopped
    for now in range(105, 205, 5):
        protocol.on_deadline(float(now))
    assert protocol.state is State.OPEN


# Rates.


def received(protocol: ServerProtocol) -> list[str | bytes]:
    """Take the messages, and what was held up by them."""
    assert protocol.inbox is not None
    protocol.inbox.wanted = True
    messages = []
    while True:
        while protocol.inbox.is_ready():
            messages.append(protocol.inbox.take(None))
        if not protocol.can_resume():
            return messages
        protocol.resume(protocol.now)


def test_more_messages_than_may_come_at_once() -> None:
    protocol, _, tally = with_rules(message_rate=(2.0, 5.0))
    take(protocol, b"".join(text(str(index)) for index in range(12)), 100.0)
    assert protocol.state is State.OPEN
    # The one too many was there when that was found out, and harms nobody.
    assert received(protocol) == ["0", "1", "2", "3", "4", "5"]
    reason = "more than 2 messages a second, and 5 at once"
    assert protocol.close_sent == Close(CloseCode.POLICY_VIOLATION, reason)
    assert isinstance(protocol.parser_exc, RateLimitExceeded)
    assert tally.closed_fast == 1


def test_messages_at_the_rate_are_fine() -> None:
    protocol, _, _ = with_rules(message_rate=(2.0, 5.0))
    take(protocol, b"".join(text(str(index)) for index in range(5)), 100.0)
    for index in range(100):
        take(protocol, text("more"), 100.5 + index / 2)
        received(protocol)
    assert protocol.state is State.OPEN
    take(protocol, text("one too many"), 150.0)
    received(protocol)
    assert protocol.state is not State.OPEN


def test_no_more_is_saved_up_than_may_come_at_once() -> None:
    protocol, _, _ = with_rules(message_rate=(2.0, 5.0))
    take(protocol, b"".join(text(str(index)) for index in range(6)), 10_000.0)
    assert len(received(protocol)) == 6
    assert protocol.state is not State.OPEN


def test_fragments_and_pings_are_no_messages() -> None:
    protocol, _, _ = with_rules(message_rate=(1.0, 1.0))
    fragments = [frame(TEXT, b"a", fin=False, mask=True)]
    fragments += [frame(CONT, b"b", fin=False, mask=True), frame(PING, b"", mask=True)] * 20
    take(protocol, b"".join([*fragments, frame(CONT, b"c", mask=True)]), 100.0)
    assert received(protocol) == ["a" + "b" * 20 + "c"]
    assert protocol.state is State.OPEN


@pytest.mark.parametrize("opcode", [BINARY, PING])
def test_more_bytes_than_may_come_at_once(opcode: int) -> None:
    protocol, _, tally = with_rules(byte_rate=(100.0, 1000.0))
    data = frame(opcode, bytes(119), mask=True)
    assert len(data) == 125
    for _ in range(8):
        take(protocol, data, 100.0)
        received(protocol)
    assert protocol.state is State.OPEN
    take(protocol, data[:99], 101.0)
    assert protocol.state is State.OPEN
    take(protocol, data[:2], 101.0)
    reason = "more than 100 bytes a second, and 1000 at once"
    assert protocol.close_sent == Close(CloseCode.POLICY_VIOLATION, reason)
    assert tally.closed_fast == 1


def test_a_close_frame_is_answered_however_fast_it_came() -> None:
    protocol, _, tally = with_rules(message_rate=(1.0, 1.0))
    take(protocol, text("one") + text("two") + frame(OP_CLOSE, b"\x03\xe8", mask=True), 100.0)
    assert received(protocol) == ["one", "two"]
    assert protocol.close_sent is not None
    assert tally.closed_fast in (0, 1)


def test_a_violation_comes_before_the_rate() -> None:
    protocol, _, tally = with_rules(byte_rate=(1.0, 10.0))
    take(protocol, frame(TEXT, b"unmasked, and more than ten bytes"), 100.0)
    assert protocol.close_sent is not None and protocol.close_sent.code == 1002
    assert tally.closed_fast == 0


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (10, (10.0, 10.0)),
        (0.5, (0.5, 1.0)),
        ((10, 200), (10.0, 200.0)),
        ((10, None), (10.0, 10.0)),
    ],
)
def test_what_is_said_of_rates(value: Any, expected: tuple[float, float] | None) -> None:
    assert rate_and_burst("rate", value) == expected


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        ("10", TypeError, "rate is '10', not in numbers"),
        ((10, "20"), TypeError, r"rate is \(10, '20'\), not in numbers"),
        (0, ValueError, "rate is 0, not above 0"),
        ((-1, 5), ValueError, r"rate is \(-1, 5\), not above 0"),
        ((1, 0.5), ValueError, r"rate is \(1, 0.5\), its burst below 1"),
        ((1, 2, 3), ValueError, r"rate is \(1, 2, 3\), not a pair of rate and burst"),
    ],
)
def test_wrong_rates_are_named(value: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        rate_and_burst("rate", value)
