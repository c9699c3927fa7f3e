"""The keeper: what happens to connections that no thread waits for, and what it costs."""

from __future__ import annotations

import resource
import socket
import threading
from typing import Any

import pytest

from ropeway import ConnectionClosedError, State
from ropeway.sync.keeper import NAME, keeper

from ..support.rawpeer import BINARY, CLOSE, PING, PONG, TEXT, close_payload, frame
from .serving import against_raw, connecting, pair, running, serving, until


def receive(raw: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        some = raw.recv(size - len(data))
        assert some, data
        data += some
    return data


def receive_frame(raw: socket.socket) -> tuple[int, bytes]:
    """Receive a small frame from a client."""
    first, second = receive(raw, 2)
    size = second & 0x7F
    assert size < 126
    key = receive(raw, 4)
    payload = bytes(byte ^ key[i % 4] for i, byte in enumerate(receive(raw, size)))
    return first & 0x0F, payload


def test_a_ping_is_answered_though_nobody_receives() -> None:
    with against_raw() as (_, raw):
        for payload in (b"one", b"two", b""):
            raw.sendall(frame(PING, payload))
            assert receive_frame(raw) == (PONG, payload)


def test_a_ping_is_answered_by_who_receives() -> None:
    with against_raw() as (ws, raw), running(ws.recv) as receiving:
        until(lambda: ws._leading)
        raw.sendall(frame(PING, b"one"))
        assert receive_frame(raw) == (PONG, b"one")
        raw.sendall(frame(TEXT, b"tea"))
        assert receiving.get() == "tea"


def test_a_ping_is_answered_after_a_while_of_receiving() -> None:
    with against_raw() as (ws, raw):
        for index in range(100):
            raw.sendall(frame(TEXT, b"%d" % index))
            assert ws.recv() == str(index)
        raw.sendall(frame(PING, b"idle"))
        assert receive_frame(raw) == (PONG, b"idle")


def test_a_ping_is_answered_though_the_keeper_dozes() -> None:
    with against_raw() as (ws, raw), running(ws.recv) as receiving:
        until(lambda: ws._leading and keeper().dozing)
        raw.sendall(frame(TEXT, b"tea"))
        assert receiving.get() == "tea"
        raw.sendall(frame(PING, b"idle"))
        assert receive_frame(raw) == (PONG, b"idle")


def test_messages_wait_for_recv_up_to_the_mark() -> None:
    with against_raw(max_queue=(4, 1)) as (ws, raw):
        raw.sendall(b"".join(frame(TEXT, b"%d" % index) for index in range(20)))
        until(lambda: ws._inbox.level > 4)
        raw.sendall(frame(TEXT, b"20") + frame(PING, b"behind"))
        assert [ws.recv() for _ in range(21)] == [str(index) for index in range(21)]
        assert ws._inbox.level == 0
        assert receive_frame(raw) == (PONG, b"behind")


def test_a_close_is_answered_though_nobody_receives() -> None:
    with against_raw() as (ws, raw):
        raw.sendall(frame(CLOSE, close_payload(1001, "bye")))
        assert receive_frame(raw) == (CLOSE, close_payload(1001, "bye"))
        raw.close()
        until(lambda: ws.state is State.CLOSED)
        assert (ws.close_code, ws.close_reason) == (1001, "bye")


def test_pings_are_sent_and_their_pongs_wanted() -> None:
    with against_raw(ping_interval=0.05, ping_timeout=0.2) as (ws, raw):
        ws._start_keepalive()
        opcode, payload = receive_frame(raw)
        assert opcode == PING
        raw.sendall(frame(PONG, payload))
        until(lambda: ws.latency > 0)
        while (received := receive_frame(raw))[0] == PING:
            pass
        assert received[0] == CLOSE
        assert received[1].startswith(close_payload(1011, "keepalive ping timeout"))


@pytest.mark.parametrize("receiving", [True, False])
def test_a_silent_peer_is_given_up(receiving: bool) -> None:
    with against_raw(ping_interval=0.02, ping_timeout=0.05, close_timeout=0.05) as (ws, _):
        ws._start_keepalive()
        with pytest.raises(ConnectionClosedError, match="keepalive ping timeout"):
            if receiving:
                ws.recv()
            until(lambda: ws.state is State.CLOSED)
            ws.send("x")


def test_the_close_timeout_ends_a_close() -> None:
    with against_raw(close_timeout=0.05) as (ws, raw):
        ws.close()
        assert isinstance(ws.close_exc.__cause__, TimeoutError)
        assert receive_frame(raw) == (CLOSE, close_payload(1000))
        assert raw.recv(1) == b""


def test_what_the_socket_has_no_room_for_is_written_later() -> None:
    with against_raw() as (ws, raw):
        ws.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        message = bytes(100_000)
        count = 20
        from ropeway.sync.server import broadcast

        for _ in range(count):
            broadcast([ws], message)
        assert ws._writers == 0
        received = 0
        size = (len(message) + 14) * count
        while received < size:
            received += len(raw.recv(1 << 16))
        assert received == size


def test_a_ping_flood_costs_one_pong_when_the_peer_reads_nothing() -> None:
    with against_raw() as (ws, raw):
        ws.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)

        def flood() -> None:
            for index in range(3000):
                raw.sendall(frame(PING, b"%0100d" % index))

        with running(flood) as flooding:
            flooding.get()
            until(lambda: ws.stats.pings_received == 3000)
            assert ws._queued < 3000 * 100
        payload = b""
        while payload != b"%0100d" % 2999:
            payload = receive_frame(raw)[1]


def test_a_thousand_idle_connections_add_no_thread() -> None:
    wanted = 1000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 3 * wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8 * wanted), hard))
    before = {thread.name for thread in threading.enumerate()}
    pairs: list[tuple[Any, socket.socket]] = []
    try:
        for _ in range(wanted):
            one = against_raw()
            pairs.append((one, *one.__enter__()))  # type: ignore[arg-type]
        assert {thread.name for thread in threading.enumerate()} <= {*before, NAME}
        for _, _, raw in pairs:  # type: ignore[misc]
            raw.sendall(frame(PING, b"are you there?") + frame(BINARY, b"x"))
        for _, _, raw in pairs:  # type: ignore[misc]
            assert receive_frame(raw) == (PONG, b"are you there?")
        assert {thread.name for thread in threading.enumerate()} <= {*before, NAME}
        for _, ws, _ in pairs:  # type: ignore[misc]
            assert ws.recv(timeout=5) == b"x"
    finally:
        for one, *_ in pairs:
            one.__exit__(None, None, None)


def test_there_is_one_keeper() -> None:
    with pair(), serving() as server, connecting(server):
        names = [thread.name for thread in threading.enumerate()]
        assert names.count(NAME) == 1
