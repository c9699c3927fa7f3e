"""Several threads on one connection: who reads, who is woken, what goes out whole."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import ropeway
from ropeway import ConcurrencyError, ConnectionClosedError, ConnectionClosedOK
from ropeway.protocol import Protocol, Side
from ropeway.sync.connection import Connection
from ropeway.sync.server import broadcast

from .serving import against_raw, connecting, pair, running, serving, until


def test_echo() -> None:
    with serving() as server, connecting(server) as ws:
        for message in ("text", b"binary", "", "x" * 100_000, b"y" * 1_000_000):
            ws.send(message)
            assert ws.recv() == message


def test_a_message_wakes_who_waits_for_it() -> None:
    with pair() as (near, far), running(near.recv) as receiving:
        until(lambda: near._receiving)
        far.send("tea")
        assert receiving.get() == "tea"


def test_close_wakes_who_receives() -> None:
    with pair() as (near, far), running(near.recv) as receiving:
        until(lambda: near._receiving)
        near.close(4000, "enough")
        with pytest.raises(ConnectionClosedError, match="4000"):
            receiving.get()
        assert far.wait_closed(5)


def test_close_wakes_who_waits_for_the_end() -> None:
    with pair() as (near, far), running(near.wait_closed) as waiting:
        with running(far.wait_closed) as remote:
            near.close()
            assert waiting.get() is True
            assert remote.get() is True


def test_abort_wakes_who_receives() -> None:
    with pair() as (near, far), running(near.recv) as receiving:
        until(lambda: near._receiving)
        near.abort()
        with pytest.raises(ConnectionClosedError, match="no close frame"):
            receiving.get()
        assert far.wait_closed(5)


def test_who_follows_takes_over_when_the_leader_has_its_message() -> None:
    with pair() as (near, far):
        with running(near.recv) as receiving, running(near.wait_closed) as waiting:
            until(lambda: near._receiving)
            far.send("for the first")
            assert receiving.get() == "for the first"
            far.close()
            assert waiting.get() is True


def test_who_leads_for_another_reason_wakes_the_receiver() -> None:
    with pair() as (near, far), running(near.wait_closed) as waiting:
        until(lambda: near._leading)
        with running(near.recv) as receiving:
            until(lambda: near._receiving)
            far.send("tea")
            assert receiving.get() == "tea"
        far.close()
        assert waiting.get() is True


def test_asks_before_it_sleeps_as_long_as_that_pays() -> None:
    def receive(*, once: Callable[[], bool]) -> None:
        with running(near.recv) as receiving:
            until(once)
            far.send("late")
            assert receiving.get() == "late"

    with pair() as (near, far):
        for doubt in (2, 4, 8):  # it has asked in vain once more
            receive(once=lambda: near._doubt == doubt)  # noqa: B023
            for left in range(near._sleeps - 1, -1, -1):
                receive(once=lambda: near._leading and near._sleeps == left)  # noqa: B023
                assert near._doubt == doubt
        if ropeway.build == "pure":
            return  # which asks without hope

        def is_found() -> bool:
            far.send("early")
            assert near.recv() == "early"
            return near._doubt == 1

        until(is_found)


@pytest.mark.parametrize("end", ["close", "detach"])
def test_a_socket_that_the_program_took_away_is_an_error(end: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        theirs = socket.create_connection(listening.getsockname())
        ours, _ = listening.accept()
    with theirs:
        connection = Connection(ours, Protocol(Side.CLIENT), ping_interval=None)
        descriptor = os.dup(ours.fileno())
        getattr(connection.socket, end)()
        with pytest.raises(ConnectionClosedError, match="no close frame"):
            connection.recv()
        os.close(descriptor)


def test_wait_closed_times_out() -> None:
    with pair() as (near, _):
        began = time.monotonic()
        assert near.wait_closed(0.05) is False
        assert time.monotonic() - began >= 0.05
        near.close()
        assert near.wait_closed(0) is True


@pytest.mark.parametrize("timeout", [0, -1, 0.02])
def test_recv_times_out_and_loses_nothing(timeout: float) -> None:
    with pair() as (near, far):
        with pytest.raises(TimeoutError, match="timed out in"):
            near.recv(timeout=timeout)
        far.send("late")
        assert near.recv(timeout=5) == "late"


def test_recv_without_time_gives_what_has_arrived() -> None:
    with pair() as (near, far):
        far.send("one")
        far.send("two")
        far.ping().wait(5)  # the pong comes behind what was read before it
        assert [near.recv(timeout=0), near.recv(0)] == ["one", "two"]


def test_timeout_in_the_middle_of_a_message() -> None:
    with pair() as (near, far):
        sent = threading.Event()
        more = threading.Event()

        def parts() -> Any:
            yield "first "
            sent.set()
            more.wait()
            yield "second"

        with running(far.send, parts()):
            sent.wait()
            with pytest.raises(TimeoutError):
                near.recv(timeout=0.02)
            more.set()
            assert near.recv(timeout=5) == "first second"


@pytest.mark.parametrize("second", ["recv", "recv_streaming"])
def test_a_second_receiver_is_refused(second: str) -> None:
    with pair() as (near, far), running(near.recv) as receiving:
        until(lambda: near._receiving)
        text = f"cannot call {second} while another thread is already running recv"
        with pytest.raises(ConcurrencyError, match=text):
            list(near.recv_streaming()) if second == "recv_streaming" else near.recv()
        far.send("for the first")
        assert receiving.get() == "for the first"


def test_many_threads_send_at_once() -> None:
    with pair() as (near, far):

        def produce(name: str) -> None:
            for index in range(200):
                near.send(f"{name}:{index}:" + "x" * index)

        threads = [threading.Thread(target=produce, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        received = [str(far.recv(timeout=10)) for _ in range(800)]
        for thread in threads:
            thread.join()
        for name in "abcd":
            own = [message for message in received if message.startswith(name)]
            assert own == [f"{name}:{index}:" + "x" * index for index in range(200)]


def test_messages_are_refused_while_a_fragmented_one_is_sent() -> None:
    with pair() as (near, far):
        begun, end = threading.Event(), threading.Event()

        def parts() -> Any:
            yield "one "
            begun.set()
            end.wait()
            yield "two"

        with running(near.send, parts()) as sending:
            begun.wait()
            for message in ("x", ["x"]):
                with pytest.raises(ConcurrencyError, match="already running send"):
                    near.send(message)
            near.ping().wait(5)
            end.set()
            assert sending.get() is None
        assert far.recv() == "one two"


def test_close_during_a_fragmented_message() -> None:
    with pair() as (near, far):
        begun, end = threading.Event(), threading.Event()

        def parts() -> Any:
            yield "one "
            begun.set()
            end.wait()
            yield "two"

        with running(near.send, parts()) as sending:
            begun.wait()
            near.close()
            end.set()
            with pytest.raises(ConnectionClosedError, match="1011"):
                sending.get()
        assert far.wait_closed(5)


def test_a_sender_that_waits_for_room_is_woken_by_the_end() -> None:
    with pair() as (near, far):
        near.socket.setsockopt(1, 7, 4096)  # SO_SNDBUF

        def flood() -> None:
            while True:
                near.send(bytes(1 << 16))

        with running(flood) as sending:
            until(lambda: near._writers > 0)
            near.abort()
            with pytest.raises(ConnectionClosedError):
                sending.get()
        assert far.wait_closed(5)


def test_both_ends_flood_each_other() -> None:
    count, size = 300, 1 << 15
    with pair() as (near, far):

        def send(ws: Any) -> None:
            for index in range(count):
                ws.send(bytes([index % 256]) * size)

        with running(send, near), running(send, far):
            for index in range(count):
                assert near.recv(timeout=20) == bytes([index % 256]) * size
                assert far.recv(timeout=20) == bytes([index % 256]) * size


def test_iteration_ends_with_the_connection() -> None:
    with pair() as (near, far):
        for index in range(50):
            far.send(str(index))
        far.close()
        assert list(near) == [str(index) for index in range(50)]
        with pytest.raises(ConnectionClosedOK):
            near.recv()


def test_pong_tells_the_latency() -> None:
    with pair() as (near, _):
        pong = near.ping()
        assert pong.wait(5) is True
        assert pong.latency is not None
        assert 0 < pong.latency < 5
        assert near.latency == pong.latency


@pytest.mark.parametrize("ack_on_close", [False, True])
def test_waiting_for_a_pong_ends_with_the_connection(ack_on_close: bool) -> None:
    with against_raw() as (ws, raw):
        pong = ws.ping(ack_on_close=ack_on_close)
        assert not pong.wait(0.01)
        with running(pong.wait) as waiting:
            until(lambda: ws._leading)
            raw.close()
            assert waiting.get() is ack_on_close
        assert pong.latency is None


def test_a_room_that_changes_while_it_is_sent_to() -> None:
    room: set[Connection] = set()

    class Leaving(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            room.clear()  # as any thread might, at any time

    gate = threading.Event()

    def parts() -> Iterator[str]:
        yield "one"
        gate.wait(5)

    leaving = Leaving()
    with pair() as (near, far), pair() as (other, remote):
        assert isinstance(near.logger, logging.LoggerAdapter)
        logger = near.logger.logger
        logger.addHandler(leaving)
        try:
            with running(near.send, parts()) as sending:
                assert next(iter(far.recv_streaming())) == "one"
                room.update((near, other))
                broadcast(room, "hello")
                assert remote.recv() == "hello"
                assert not room
                gate.set()
                sending.get()
        finally:
            logger.removeHandler(leaving)
