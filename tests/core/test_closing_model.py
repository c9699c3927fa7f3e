"""The engine against the table of the closing handshake, in every state that can come about."""

from __future__ import annotations

from typing import Any

import pytest

from tools.closing import (
    CLIENT,
    CLOSES,
    DOCUMENT,
    FAILS,
    ROLES,
    SERVER,
    STEPS,
    End,
    Event,
    Move,
    Phase,
    Wire,
    World,
    after,
    explore,
    is_over,
    moves,
    other,
    redrawn,
    runs,
)

from ..wire.builds import Build, each_build
from ..wire.streams import KEY, close_frame, sent

WORLDS = explore()
TIMEOUT = 10.0
STATES = {Phase.OPEN: "OPEN", Phase.ENDED: "CLOSED"}


# The table by itself.


def test_every_phase_can_come_about() -> None:
    for role in ROLES:
        seen = {
            (world.end(role).phase, move.event)
            for world in WORLDS
            for move in moves(world)
            if move.role == role and move.event is not None
        }
        assert seen == STEPS.keys()


def test_it_always_ends() -> None:
    going_on = {Event.RCVD, Event.EOF, Event.TIMEOUT}
    for world in WORLDS:
        if world != World() and not is_over(world):
            assert going_on & {move.event for move in moves(world)}
    assert len(runs()) > 50


def test_an_unbroken_wire_needs_no_deadline() -> None:
    for world in WORLDS:
        if world != World() and not is_over(world) and not world.broken:
            assert {Event.RCVD, Event.EOF} & {move.event for move in moves(world)}


def test_the_server_ends_tcp_first_unless_it_is_broken() -> None:
    for world in WORLDS:
        if world.client.eof_sent and not world.broken:
            assert world.server.eof_sent


def test_both_ends_agree() -> None:
    for world in WORLDS:
        ends = world.client, world.server
        for mine, its in (ends, ends[::-1]):
            assert mine.rcvd in (None, its.sent)
            assert (mine.rcvd_then_sent is None) == (None in (mine.rcvd, mine.sent))
        assert not all(end.rcvd_then_sent for end in ends)
        if is_over(world) and not world.broken:
            assert None not in (world.client.sent, world.server.sent)
            for mine, its in (ends, ends[::-1]):
                assert mine.failed or mine.rcvd == its.sent


def test_the_pictures_are_current() -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    assert document == redrawn(document), "run python tools/closing.py"


# The table and the engine.


class Machine:
    """Two engines and a wire that hold as much as the model does, and are moved as it is."""

    def __init__(self, build: Build) -> None:
        room = build.room("protocol")
        self.frames = build.room("frames")
        self.protocols: dict[str, Any] = {}
        self.now = dict.fromkeys(ROLES, 100.0)
        self.wires = {CLIENT: Wire(), SERVER: Wire()}
        for role in ROLES:
            protocol = room.Protocol(getattr(room, role.upper()))
            protocol.use_inbox(build.room("_core.inbox").Inbox(4, None))
            protocol.closing.timeout = TIMEOUT
            self.protocols[role] = protocol

    def move(self, move: Move) -> None:
        role = move.role
        protocol, wire = self.protocols[role], self.wires[role]
        if move.event is None:
            self.wires[role] = wire.kept(move.kept)
            return
        if move.event is Event.CLOSE:
            protocol.send_close(CLOSES[role])
        elif move.event is Event.FAIL:
            protocol.fail(FAILS[role])
        elif move.event is Event.TIMEOUT:
            self._time_out(role)
        else:
            self.wires[role] = wire._replace(items=wire.items[1:])
            if wire.items[0]:
                data = close_frame(wire.items[0], key=KEY if role == SERVER else None)
                protocol.receive(data, 0, len(data), self.now[role])
                assert not protocol.stopped
                protocol.keep_rest()
            else:
                protocol.receive_end()
        self._write(role)
        if move.event in (Event.EOF, Event.TIMEOUT):
            self._lose(role)

    def _time_out(self, role: str) -> None:
        protocol = self.protocols[role]
        due = protocol.next_deadline(self.now[role])
        assert due == self.now[role] + TIMEOUT
        protocol.on_deadline(due - 0.001)
        assert protocol.abort_exc is None
        self.now[role] = due
        protocol.on_deadline(due)
        assert type(protocol.abort_exc) is TimeoutError

    def _write(self, role: str) -> None:
        frames, ends = sent(self.protocols[role].take_output())
        for first, payload in frames:
            assert first == 0x88 and len(payload) == 2
            self._put(role, int.from_bytes(payload, "big"))
        if ends:
            self._put(role, 0)

    def _put(self, role: str, item: int) -> None:
        self.wires[other(role)] = self.wires[other(role)].put(item)

    def _lose(self, role: str) -> None:
        """Close the transport, as asyncio does behind the end of the stream and an abort."""
        protocol = self.protocols[role]
        protocol.transport_lost()
        aborted = protocol.abort_exc is not None
        if aborted:
            self._put(role, 0)
        protocol.receive_end()
        if not aborted:
            self._write(role)
        self.wires[role] = Wire((), True, True)
        assert protocol.next_deadline(self.now[role]) is None

    def fingerprint(self) -> tuple[Any, ...]:
        """Tell all that an engine's conduct can depend on."""
        return tuple(
            (
                protocol.state.name,
                str(protocol.closing.sent),
                str(protocol.closing.rcvd),
                protocol.closing.rcvd_then_sent,
                protocol.closing.eof_sent,
                protocol.closing.eof_received,
                protocol.discarding,
                protocol.stopped,
                protocol.inbox.closed,
                str(protocol.abort_exc),
                str(protocol.parser_exc),
            )
            for protocol in self.protocols.values()
        )

    def check(self, world: World) -> None:
        """Compare with the model."""
        assert {role: self.wires[role].items for role in ROLES} == {
            role: world.to(role).items for role in ROLES
        }
        for role in ROLES:
            self._check_end(role, world.end(role))

    def _check_end(self, role: str, end: End) -> None:
        protocol = self.protocols[role]
        closing = protocol.closing
        assert protocol.state.name == STATES.get(end.phase, "CLOSING")
        assert _code(closing.sent) == end.sent
        assert _code(closing.rcvd) == end.rcvd
        assert closing.rcvd_then_sent is end.rcvd_then_sent
        assert protocol.close_expected() is (STATES.get(end.phase) is None)
        if end.phase is not Phase.ENDED:
            assert closing.eof_sent is end.eof_sent
            assert (protocol.next_deadline(self.now[role]) is None) is (end.phase is Phase.OPEN)
            return
        exc = protocol.close_exc
        clean = {end.sent, end.rcvd} <= {1000, 1001}
        assert type(exc).__name__ == ("ConnectionClosedOK" if clean else "ConnectionClosedError")
        assert protocol.close_code == (1006 if end.rcvd is None else end.rcvd)


def _code(close: Any) -> int | None:
    return None if close is None else int(close.code)


def replayed(build: Build, way: tuple[Move, ...]) -> Machine:
    machine = Machine(build)
    for move in way:
        machine.move(move)
    return machine


@each_build
def test_the_engine_keeps_to_the_table(build: Build) -> None:
    ways: list[tuple[World, tuple[Move, ...]]] = [(World(), ())]
    known = {(World(), Machine(build).fingerprint())}
    while ways:
        world, way = ways.pop()
        for move in moves(world):
            reached = after(world, move)
            machine = replayed(build, (*way, move))
            machine.check(reached)
            pair = reached, machine.fingerprint()
            if pair not in known:
                known.add(pair)
                ways.append((reached, (*way, move)))
    assert {world for world, _ in known} == WORLDS.keys()


@each_build
@pytest.mark.parametrize("role", ROLES)
def test_what_the_table_has_not_cannot_be_done(build: Build, role: str) -> None:
    invalid = build.room("exceptions").InvalidState
    phases = set()
    for world, way in WORLDS.items():
        phase = world.end(role).phase
        if phase in phases or (phase, Event.CLOSE) in STEPS:
            continue
        phases.add(phase)
        with pytest.raises(invalid):
            replayed(build, way).protocols[role].send_close(1000)
    assert phases == set(Phase) - {Phase.OPEN}
