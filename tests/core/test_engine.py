"""The engine as a driver uses it: with an inbox, a clock of the test's own, and unread bytes."""

from __future__ import annotations

import logging

import pytest

from ropeway._core import engine
from ropeway._core.closing import check_close
from ropeway._core.engine import FRAME_BUDGET
from ropeway._core.inbox import Inbox
from ropeway._core.shared import SharedMessage
from ropeway.exceptions import ProtocolError
from ropeway.protocol import CLIENT, CLOSED, CLOSING, CONNECTING, OPEN, SERVER, Protocol
from ropeway.server import ServerProtocol

from ..wire.streams import (
    BINARY,
    CLOSE,
    CONT,
    FIN,
    KEY,
    PING,
    PONG,
    TEXT,
    close_frame,
    frame,
)
from .ends import START, Ends, timed


@pytest.fixture(params=["client", "server"])
def role(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def ends(role: str) -> Ends:
    return Ends(role)


# Messages, and what comes behind them.


def test_messages(ends: Ends) -> None:
    ends.receive(
        ends.frame(TEXT, b"a")
        + ends.frame(BINARY, b"b", fin=False)
        + ends.frame(PING, b"!")
        + ends.frame(CONT, b"c")
    )
    assert ends.take() == ["a", b"bc"]
    assert ends.protocol.events_received() == []
    assert not ends.protocol.stopped
    assert ends.output() == ([(FIN | PONG, b"!")], False)


BEHIND = {
    "a reserved opcode": (b"\x83", 1002),
    "text that isn't": (frame(TEXT, b"\xff", key=KEY), 1007),
    "too much": (b"\x82\xff\0\0\0\0\1\0\0\0", 1009),
    "a bad close frame": (frame(CLOSE, b"\x03", key=KEY), 1002),
    "a close frame": (close_frame(1001, "bye", KEY), 1001),
}


@pytest.mark.parametrize("kind", BEHIND)
def test_messages_are_delivered_before_what_ends_the_connection(kind: str) -> None:
    data, code = BEHIND[kind]
    ends = Ends("server")
    ends.receive(ends.frame(TEXT, b"question") + data + ends.frame(TEXT, b"too late"))
    protocol = ends.protocol
    assert protocol.stopped and protocol.can_resume()
    assert protocol.state is OPEN
    assert ends.take() == ["question"]
    # The message may still be answered.
    protocol.send_text("answer")
    ends.resume()
    assert not protocol.stopped and not protocol.can_resume()
    frames, eof = ends.output()
    assert frames[0] == (FIN | TEXT, b"answer")
    assert frames[1][0] == FIN | CLOSE
    assert int.from_bytes(frames[1][1][:2], "big") == code
    assert eof and len(frames) == 2
    assert protocol.state is CLOSING
    assert ends.take() == []


@pytest.mark.parametrize("kind", BEHIND)
def test_what_ends_the_connection_waits_for_nothing_else(kind: str) -> None:
    data, code = BEHIND[kind]
    ends = Ends("server")
    ends.receive(ends.frame(TEXT, b"question"))
    assert not ends.protocol.stopped
    ends.receive(ends.frame(PING) + data)
    assert not ends.protocol.stopped
    assert ends.protocol.close_sent is not None and ends.protocol.close_sent.code == code


@pytest.mark.parametrize("kind", BEHIND)
def test_what_waits_is_not_lost_at_the_end_of_the_stream(kind: str) -> None:
    data, code = BEHIND[kind]
    ends = Ends("server")
    ends.receive(ends.frame(TEXT, b"question") + data)
    ends.protocol.receive_eof()
    assert ends.take() == ["question"]
    assert ends.protocol.close_sent is not None and ends.protocol.close_sent.code == code
    assert ends.protocol.state is CLOSED
    assert ends.inbox.closed
    if kind != "a close frame":
        assert ends.protocol.parser_exc is not None
        assert not isinstance(ends.protocol.parser_exc, EOFError)


def test_more_bytes_behind_a_close_frame_that_waits(ends: Ends) -> None:
    ends.receive(ends.frame(TEXT, b"a") + close_frame(1000, "", ends.key))
    ends.receive(ends.frame(TEXT, b"b"))
    assert ends.protocol.state is CLOSING
    assert ends.take() == ["a"]


# The inbox is full.


def test_a_full_inbox_stops_reading(role: str) -> None:
    ends = Ends(role, 2, 1)
    ends.receive(b"".join(ends.frame(BINARY, b"%d" % index) for index in range(6)))
    protocol = ends.protocol
    assert (ends.inbox.level, protocol.stopped, protocol.can_resume()) == (3, True, False)
    ends.inbox.take(None)
    assert not protocol.can_resume()  # above the low mark
    ends.inbox.take(None)
    assert protocol.can_resume()
    ends.resume()
    assert (ends.inbox.level, protocol.stopped) == (3, True)
    assert ends.take() == [b"2", b"3", b"4"]
    ends.resume()
    assert (ends.take(), protocol.stopped) == ([b"5"], False)


def test_a_full_inbox_with_nothing_unread_is_no_reason_to_stop(role: str) -> None:
    ends = Ends(role, 0)
    ends.receive(ends.frame(BINARY, b"1"))
    assert not ends.protocol.stopped
    ends.receive(ends.frame(BINARY, b"2"))
    assert ends.protocol.stopped


def test_a_close_frame_behind_a_full_inbox_waits(role: str) -> None:
    ends = Ends(role, 0)
    ends.receive(
        ends.frame(BINARY, b"1") + ends.frame(BINARY, b"2") + close_frame(1000, "", ends.key)
    )
    assert ends.protocol.state is OPEN
    taken = []
    while ends.protocol.state is OPEN:
        taken += ends.take()
        assert ends.protocol.can_resume()
        ends.resume()
    assert taken + ends.take() == [b"1", b"2"]


def test_the_end_of_the_stream_behind_a_full_inbox(role: str) -> None:
    ends = Ends(role, 0)
    ends.receive(b"".join(ends.frame(BINARY, b"%d" % index) for index in range(600)))
    assert ends.protocol.stopped
    ends.protocol.receive_eof()
    # Nothing more can come, so all that came is kept.
    assert ends.take() == [b"%d" % index for index in range(600)]
    assert ends.protocol.state is CLOSED
    assert isinstance(ends.protocol.parser_exc, EOFError)


def test_a_full_inbox_does_not_keep_us_from_closing(role: str) -> None:
    ends = Ends(role, 1)
    ends.receive(b"".join(ends.frame(BINARY, b"%d" % index) for index in range(5)))
    assert ends.protocol.stopped
    ends.protocol.send_close(1000)
    # What came before our close frame is kept; the peer's close frame is found behind it.
    assert ends.protocol.can_resume()
    ends.resume()
    ends.receive(b"".join(ends.frame(BINARY, b"later") for _ in range(10)))
    ends.receive(close_frame(1000, "", ends.key))
    assert not ends.protocol.stopped
    assert ends.protocol.close_rcvd is not None
    assert ends.protocol.dropped_messages == 10
    assert ends.take() == [b"0", b"1", b"2", b"3", b"4"]


def test_a_message_is_dropped_whole_or_not_at_all(role: str) -> None:
    ends = Ends(role, 1, 0)
    ends.receive(ends.frame(BINARY, b"1") + ends.frame(BINARY, b"2"))
    ends.protocol.send_close(1000)
    ends.receive(ends.frame(TEXT, b"a", fin=False))  # dropped
    assert ends.take() == [b"1", b"2"]
    # There is room again, but not for the rest of a message whose beginning is gone.
    ends.receive(ends.frame(CONT, b"b", fin=False) + ends.frame(CONT, b"c"))
    ends.receive(ends.frame(BINARY, b"3"))
    assert ends.take() == []
    assert ends.protocol.dropped_messages == 2
    assert ends.protocol.parser_exc is None


def test_a_message_that_was_begun_misses_no_fragment(role: str) -> None:
    ends = Ends(role, 1, 0)
    ends.receive(ends.frame(TEXT, b"a", fin=False) + ends.frame(CONT, b"b", fin=False))
    ends.protocol.send_close(1000)
    ends.receive(ends.frame(CONT, b"lost", fin=False))
    ends.inbox.high = 100
    ends.receive(ends.frame(CONT, b"c"))
    assert not ends.inbox.is_ready()


def test_without_a_limit_nothing_is_dropped(ends: Ends) -> None:
    ends.protocol.send_close(1000)
    ends.receive(ends.frame(BINARY, b"x") * 100 + close_frame(1000, "", ends.key))
    ends.resume()
    assert len(ends.take()) == 100
    assert ends.protocol.dropped_messages == 0


# A connection's share.


def test_a_budget_of_frames(ends: Ends) -> None:
    ends.receive(ends.frame(BINARY, b"x") * (2 * FRAME_BUDGET + 5))
    counts = [len(ends.take())]
    while ends.protocol.can_resume():
        ends.resume()
        counts.append(len(ends.take()))
    assert counts == [FRAME_BUDGET, FRAME_BUDGET, 5]


def test_control_frames_have_the_same_budget(ends: Ends) -> None:
    ends.receive(ends.frame(PING) * (FRAME_BUDGET + 1))
    assert ends.protocol.pings_received == FRAME_BUDGET
    assert ends.protocol.can_resume()
    ends.resume()
    assert ends.protocol.pings_received == FRAME_BUDGET + 1


def test_a_spent_budget_goes_on_whatever_is_in_the_inbox(role: str) -> None:
    # Messages that nobody takes, fewer than would fill the inbox, must not hold up a pong that
    # somebody waits for.
    ends = Ends(role, 16)
    answer = ends.protocol.keepalive.add(b"mine", "token", START)
    messages = ends.frame(BINARY, b"x") * 10
    ends.receive(messages + ends.frame(PING) * 2 * FRAME_BUDGET + ends.frame(PONG, answer))
    while ends.protocol.can_resume():
        ends.resume(START + 1)
    assert ends.protocol.answered_pings == [("token", 1)]
    assert not ends.protocol.stopped
    assert len(ends.take()) == 10


def test_a_budget_that_is_spent_as_the_inbox_fills(role: str) -> None:
    ends = Ends(role, FRAME_BUDGET - 1, 0)
    ends.receive(ends.frame(BINARY, b"x") * (FRAME_BUDGET + 5))
    assert ends.protocol.stopped
    assert not ends.protocol.can_resume()
    assert len(ends.take()) == FRAME_BUDGET
    assert ends.protocol.can_resume()


# Pongs while the write buffer is full.


def test_only_the_latest_pong_waits(ends: Ends) -> None:
    protocol = ends.protocol
    protocol.pause_writing()
    for index in range(10):
        ends.receive(ends.frame(PING, b"%d" % index))
    assert ends.output() == ([], False)
    protocol.resume_writing()
    assert ends.output() == ([(FIN | PONG, b"9")], False)
    protocol.resume_writing()
    assert ends.output() == ([], False)
    ends.receive(ends.frame(PING, b"a"))
    assert ends.output() == ([(FIN | PONG, b"a")], False)
    assert (protocol.pings_received, protocol.pongs_sent) == (11, 2)


def test_no_pong_follows_a_close_frame_that_overtook_it(ends: Ends) -> None:
    ends.protocol.pause_writing()
    ends.receive(ends.frame(PING, b"a"))
    ends.protocol.send_close(1000)
    ends.protocol.resume_writing()
    assert [first for first, _ in ends.output()[0]] == [FIN | CLOSE]


# Time.


def test_a_keepalive_ping_and_its_pong(role: str) -> None:
    ends = timed(role)
    protocol = ends.protocol
    assert protocol.next_deadline(START) == 70
    protocol.on_deadline(69)
    assert ends.output() == ([], False)
    protocol.on_deadline(70)
    [(first, payload)], _ = ends.output()
    assert first == FIN | PING
    assert protocol.next_deadline(70) == 90
    ends.receive(ends.frame(PONG, payload), 72)
    assert protocol.answered_pings == [(None, 2)]
    assert protocol.next_deadline(72) == 90
    assert (protocol.pings_sent, protocol.pongs_received) == (1, 1)


def test_a_silent_peer(role: str) -> None:
    ends = timed(role)
    ends.protocol.on_deadline(70)
    ends.output()
    ends.protocol.on_deadline(90)
    reason = "keepalive ping timeout: peer was silent for 40.0 seconds"
    [(first, payload)], eof = ends.output()
    assert (first, payload) == (FIN | CLOSE, b"\x03\xf3" + reason.encode())
    assert eof == (role == "server")
    # What the peer says now comes too late.
    ends.receive(ends.frame(TEXT, b"late"))
    assert ends.take() == []
    assert ends.protocol.next_deadline(90) == 100


def test_keepalive_is_logged(role: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    ends = timed(role)
    ends.protocol.on_deadline(70)
    [(_, payload)], _ = ends.output()
    ends.receive(ends.frame(PONG, b"of nobody"), 71)
    ends.receive(ends.frame(PONG, payload), 72)
    ends.protocol.on_deadline(90)
    ends.protocol.on_deadline(110)
    facts = [text for text in caplog.messages if text.startswith(("%", "-"))]
    assert facts == [
        "% sent keepalive ping",
        "% received keepalive pong",
        "% sent keepalive ping",
        "- timed out waiting for keepalive pong",
    ]


def test_any_byte_is_life(role: str) -> None:
    ends = timed(role)
    ends.protocol.on_deadline(70)
    ends.receive(ends.frame(BINARY, b"large")[:1], 85)
    ends.protocol.on_deadline(90)
    assert ends.protocol.state is OPEN
    assert ends.protocol.next_deadline(90) == 105


def test_we_do_not_hear_while_the_inbox_is_full(role: str) -> None:
    ends = timed(role)
    ends.inbox.high = ends.inbox.level = 0
    ends.receive(ends.frame(BINARY, b"x") * 3)
    assert ends.protocol.stopped
    ends.protocol.on_deadline(70)
    ends.protocol.on_deadline(200)
    assert ends.protocol.state is OPEN
    assert ends.protocol.next_deadline(200) == 220


@pytest.mark.parametrize("timeout", [10.0, None])
def test_the_closing_handshake_has_a_deadline(role: str, timeout: float | None) -> None:
    ends = timed(role, closing=timeout)
    protocol = ends.protocol
    protocol.send_close(1000)
    if timeout is None:
        assert protocol.next_deadline(60) is None
        protocol.on_deadline(1000)
        assert protocol.abort_exc is None
        return
    assert protocol.next_deadline(60) == 70
    assert protocol.next_deadline(65) == 70
    protocol.on_deadline(69)
    assert protocol.abort_exc is None
    protocol.on_deadline(70)
    assert isinstance(protocol.abort_exc, TimeoutError)
    assert str(protocol.abort_exc) == "timed out while closing connection"


def test_lost_connections_have_no_deadline(role: str) -> None:
    ends = timed(role)
    ends.protocol.open_deadline = 60
    ends.protocol.transport_lost()
    ends.protocol.receive_eof()
    assert ends.protocol.state is CLOSED
    assert ends.protocol.next_deadline(50) is None


def test_closed_connections_whose_transport_stays_are_aborted(role: str) -> None:
    ends = timed(role)
    ends.protocol.receive_eof()
    assert ends.protocol.state is CLOSED
    due = ends.protocol.next_deadline(50)
    assert due is not None
    ends.protocol.take_output()
    ends.protocol.on_deadline(due - 0.1)
    assert ends.protocol.abort_exc is None
    ends.protocol.on_deadline(due)
    assert isinstance(ends.protocol.abort_exc, TimeoutError)
    assert ends.protocol.take_output() == []


def test_an_opening_that_takes_too_long() -> None:
    protocol = ServerProtocol()
    protocol.open_deadline = 60.0
    assert protocol.next_deadline(50) == 60
    protocol.on_deadline(59)
    assert protocol.take_output() == []
    protocol.on_deadline(60)
    output = protocol.take_output()
    assert output[0].startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert output[1] == b""
    assert isinstance(protocol.handshake_exc, TimeoutError)
    assert protocol.close_expected()


# The end of the stream.


def test_the_end_of_the_stream_comes_once(ends: Ends) -> None:
    ends.protocol.receive_eof()
    first = (ends.protocol.parser_exc, ends.protocol.take_output())
    assert isinstance(first[0], EOFError)
    assert first[1] == [b""]
    ends.protocol.receive_eof()
    assert (ends.protocol.parser_exc, ends.protocol.take_output()) == (first[0], [])
    with pytest.raises(EOFError, match="^stream ended$"):
        ends.protocol.receive_data(b"")


def test_unread_bytes_in_an_opening_are_not_parsed() -> None:
    protocol = ServerProtocol()
    protocol.use_inbox(Inbox(None, None))
    request = (
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    early = frame(TEXT, b"early", key=KEY)
    protocol.receive(request + early[:3], 0, len(request) + 3, START)
    protocol.keep_rest()
    assert protocol.state is CONNECTING
    assert protocol.stopped and not protocol.can_resume()
    protocol.receive(early, 3, len(early), START)
    protocol.keep_rest()
    [event] = protocol.events_received()
    protocol.send_response(protocol.accept(event))
    assert protocol.inbox.take(None) == "early"
    assert not protocol.stopped


# Failing by hand, and what is counted.


def test_failing(ends: Ends) -> None:
    with pytest.raises(ProtocolError, match="^invalid status code$"):
        ends.protocol.fail(1005)
    assert ends.protocol.state is OPEN
    ends.protocol.fail(1008, "policy")
    frames, eof = ends.output()
    assert frames == [(FIN | CLOSE, b"\x03\xf0policy")]
    assert eof == (ends.key is not None)
    ends.protocol.fail(1011)
    assert ends.output() == ([], False)


def test_failing_without_a_close_frame(role: str) -> None:
    ends = Ends(role)
    ends.protocol.fail(1006)
    assert ends.output() == ([], role == "server")


def test_shared_messages_are_counted(ends: Ends) -> None:
    ends.protocol.send_shared(SharedMessage(TEXT, "a"))
    stats = ends.protocol.stats()
    size = 3 if ends.protocol.side is SERVER else 7
    assert (stats.frames_sent, stats.messages_sent, stats.bytes_sent) == (1, 1, size)


def test_stats(ends: Ends) -> None:
    data = ends.frame(TEXT, b"ab", fin=False) + ends.frame(PING, b"p") + ends.frame(CONT, b"c")
    ends.receive(data + ends.frame(PONG))
    ends.protocol.send_text("äöü")
    ends.protocol.send_ping(b"x")
    stats = ends.protocol.stats()
    assert (stats.frames_received, stats.messages_received) == (4, 1)
    assert (stats.bytes_received, stats.payload_bytes_received) == (
        len(data) + len(ends.frame(PONG)),
        3,
    )
    assert (stats.pings_received, stats.pongs_received) == (1, 1)
    assert (stats.frames_sent, stats.messages_sent, stats.payload_bytes_sent) == (3, 1, 6)
    assert (stats.pings_sent, stats.pongs_sent) == (1, 1)
    assert stats.bytes_sent == sum(map(len, ends.protocol.take_output()))
    assert (stats.compression_ratio_sent, stats.compression_ratio_received) == (None, None)


def test_a_cap_on_fragments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "MAX_FRAGMENTS", 2)
    protocol = Protocol(CLIENT)
    fragment = frame(CONT, b"x", fin=False)
    protocol.receive_data(frame(TEXT, b"x", fin=False) + fragment + fragment)
    assert protocol.close_sent is not None
    assert (protocol.close_sent.code, protocol.close_sent.reason) == (1009, "too many fragments")


def test_debug_logs_what_is_shared(role: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        protocol = Ends(role).protocol
        for payload in ("a", b"b"):
            protocol.send_shared(SharedMessage(TEXT, payload))
    assert [line for line in caplog.messages if line.startswith(">")] == [
        "> TEXT 'a' [1 byte]",
        "> TEXT 'b' [1 byte]",
    ]


def test_received_in_place(role: str) -> None:
    ends = Ends(role)
    payload = bytes(range(250)) * 1000
    data = ends.frame(BINARY, payload)
    at = 100
    ends.receive(data[:at])
    while at < len(data):
        view = ends.protocol.room()
        size = min(len(view), len(data) - at, ends.protocol.want())
        view[:size] = data[at : at + size]
        at += size
        ends.protocol.receive_in_place(size, START + 1)
    assert ends.take() == [payload]
    assert ends.protocol.want() == 0
    assert ends.protocol.last_received == START + 1


def test_what_is_received_in_place_after_failing_is_discarded(role: str) -> None:
    ends = Ends(role)
    ends.receive(ends.frame(BINARY, bytes(1 << 18))[:100])
    ends.protocol.room()
    ends.protocol.fail(1002)
    ends.protocol.receive_in_place(10, START)
    assert ends.take() == []


@pytest.mark.parametrize(
    ("code", "reason", "message"),
    [
        (1005, "", "invalid status code"),
        (1000, 62 * "é", "control frame too long"),
    ],
    ids=["code", "reason"],
)
def test_close_frames_that_cannot_be_sent(code: int, reason: str, message: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        check_close(code, reason)
    assert str(caught.value) == message
