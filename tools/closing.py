"""The closing handshake (RFC 6455 section 7) as a table, and all that can happen by it.

``python tools/closing.py`` writes the pictures and the table of ``docs/closing.md``; ``--check``
only says whether they are current. ``tests/core/test_closing_model.py`` holds the engine to the
same table, in every state that both ends and the wire between them can be in.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "closing.md"
BEGIN, END = "<!-- {}: drawn by tools/closing.py -->", "<!-- end of {} -->"


class Phase(StrEnum):
    """What an end has done and heard."""

    OPEN = "open"
    ASKED = "asked"
    ANSWERED = "answered"
    AGREED = "agreed"
    DEAF = "deaf"
    ENDED = "ended"


class Event(StrEnum):
    """What can happen to an end."""

    CLOSE = "the program closes"
    FAIL = "something is wrong"
    RCVD = "a close frame comes"
    EOF = "the stream ends"
    TIMEOUT = "the time is up"


MEANINGS = {
    Phase.OPEN: "messages go both ways",
    Phase.ASKED: "our close frame is sent, the peer's is to come",
    Phase.ANSWERED: "the peer's close frame came, and was answered with the same code",
    Phase.AGREED: "our close frame was sent, then the peer's came",
    Phase.DEAF: "we failed the connection: what still comes is not read",
    Phase.ENDED: "the stream from the peer has ended, or TCP was given up",
}

CLOSE_FRAME = "close frame"
END_OF_STREAM = "end of stream"
RESET = "TCP reset"


class Step(NamedTuple):
    """Where an event leads, and what is sent; a server may have to end its stream as well."""

    phase: Phase
    sends: tuple[str, ...] = ()
    server_ends: bool = False


STEPS: dict[tuple[Phase, Event], Step] = {
    (Phase.OPEN, Event.CLOSE): Step(Phase.ASKED, (CLOSE_FRAME,)),
    # 7.1.7: a connection that fails says why, if it can.
    (Phase.OPEN, Event.FAIL): Step(Phase.DEAF, (CLOSE_FRAME,), True),
    # 5.5.1: "the endpoint MUST send a Close frame in response"; 7.1.1: the server ends TCP first.
    (Phase.OPEN, Event.RCVD): Step(Phase.ANSWERED, (CLOSE_FRAME,), True),
    (Phase.OPEN, Event.EOF): Step(Phase.ENDED, (END_OF_STREAM,)),
    (Phase.ASKED, Event.FAIL): Step(Phase.DEAF, (), True),
    (Phase.ASKED, Event.RCVD): Step(Phase.AGREED, (), True),
    (Phase.ASKED, Event.EOF): Step(Phase.ENDED, (END_OF_STREAM,)),
    (Phase.ASKED, Event.TIMEOUT): Step(Phase.ENDED, (RESET,)),
    (Phase.ANSWERED, Event.EOF): Step(Phase.ENDED, (END_OF_STREAM,)),
    (Phase.ANSWERED, Event.TIMEOUT): Step(Phase.ENDED, (RESET,)),
    (Phase.AGREED, Event.EOF): Step(Phase.ENDED, (END_OF_STREAM,)),
    (Phase.AGREED, Event.TIMEOUT): Step(Phase.ENDED, (RESET,)),
    # 1.4: "the other peer discards any further data received".
    (Phase.DEAF, Event.RCVD): Step(Phase.DEAF),
    (Phase.DEAF, Event.EOF): Step(Phase.ENDED, (END_OF_STREAM,)),
    (Phase.DEAF, Event.TIMEOUT): Step(Phase.ENDED, (RESET,)),
}
"""The closing handshake. An end of stream is sent once: where it was, it is not sent again."""

SERVER, CLIENT = "server", "client"
ROLES = (CLIENT, SERVER)
CLOSES = {CLIENT: 1000, SERVER: 1001}
FAILS = {CLIENT: 1002, SERVER: 1011}
"""Codes by which one can tell who closed, and why."""


class End(NamedTuple):
    """One end: its phase, and the facts that its program is told in the end."""

    phase: Phase = Phase.OPEN
    sent: int | None = None
    rcvd: int | None = None
    rcvd_then_sent: bool | None = None
    eof_sent: bool = False
    failed: bool = False


class Wire(NamedTuple):
    """What is on its way to one end: codes of close frames, and 0 for the end of the stream."""

    items: tuple[int, ...] = ()
    ended: bool = False
    cut: bool = False

    def put(self, item: int) -> Wire:
        if self.ended:
            return self
        return Wire((*self.items, item), item == 0, self.cut)

    def kept(self, count: int) -> Wire:
        """Break: the first items arrive, then the end of the stream."""
        return Wire((*self.items[:count], 0), True, True)


class World(NamedTuple):
    """Both ends, and what is on its way to each; broken, if the wire broke or time was up."""

    client: End = End()
    server: End = End()
    to_client: Wire = Wire()
    to_server: Wire = Wire()
    broken: bool = False

    def end(self, role: str) -> End:
        return self.client if role == CLIENT else self.server

    def to(self, role: str) -> Wire:
        return self.to_client if role == CLIENT else self.to_server

    def with_end(self, role: str, end: End) -> World:
        return self._replace(client=end) if role == CLIENT else self._replace(server=end)

    def with_wire(self, to: str, wire: Wire) -> World:
        return self._replace(to_client=wire) if to == CLIENT else self._replace(to_server=wire)


class Move(NamedTuple):
    """One thing that happens: to an end, or (without an event) to the wire that leads to it."""

    role: str
    event: Event | None
    kept: int = 0


def other(role: str) -> str:
    return CLIENT if role == SERVER else SERVER


def moves(world: World) -> Iterator[Move]:
    """Yield all that can happen next."""
    for role in ROLES:
        phase, wire = world.end(role).phase, world.to(role)
        for event in Event:
            if (phase, event) not in STEPS:
                continue
            arriving = wire.items[0] if wire.items else None
            if event is Event.RCVD and not arriving:
                continue
            if event is Event.EOF and arriving != 0:
                continue
            yield Move(role, event)
        if phase is not Phase.ENDED:
            for count in range(len(wire.items) + 1):
                if not wire.cut and wire.kept(count).items != wire.items:
                    yield Move(role, None, count)


def after(world: World, move: Move) -> World:
    """Tell what a move makes of the world."""
    role, event = move.role, move.event
    wire = world.to(role)
    if event is None:
        return world.with_wire(role, wire.kept(move.kept))._replace(broken=True)
    end = world.end(role)
    step = STEPS[end.phase, event]
    code = CLOSES[role] if event is Event.CLOSE else FAILS[role]
    if event in (Event.RCVD, Event.EOF):
        code = wire.items[0]
        world = world.with_wire(role, wire._replace(items=wire.items[1:]))
    if event is Event.RCVD and end.phase is not Phase.DEAF:
        end = end._replace(rcvd=code)
    back = world.to(other(role))
    if CLOSE_FRAME in step.sends:
        end = end._replace(sent=code)
        back = back.put(code)
    ends = END_OF_STREAM in step.sends or (step.server_ends and role == SERVER)
    if RESET in step.sends or (ends and not end.eof_sent):
        back = back.put(0)
    end = end._replace(
        phase=step.phase,
        eof_sent=end.eof_sent or ends,
        failed=end.failed or event is Event.FAIL,
    )
    if end.rcvd is not None and end.sent is not None and end.rcvd_then_sent is None:
        end = end._replace(rcvd_then_sent=step.phase is Phase.ANSWERED)
    if step.phase is Phase.ENDED:
        world = world.with_wire(role, Wire((), True, True))  # nobody reads it any more
    if event is Event.TIMEOUT:
        world = world._replace(broken=True)
    return world.with_end(role, end).with_wire(other(role), back)


def explore() -> dict[World, tuple[Move, ...]]:
    """Give every world that can come about, with a shortest way to it."""
    ways: dict[World, tuple[Move, ...]] = {World(): ()}
    queue = deque(ways)
    while queue:
        world = queue.popleft()
        for move in moves(world):
            reached = after(world, move)
            if reached not in ways:
                ways[reached] = (*ways[world], move)
                queue.append(reached)
    return ways


def is_over(world: World) -> bool:
    """Tell whether both ends have ended."""
    return world.client.phase is world.server.phase is Phase.ENDED


# Pictures


def diagram(role: str) -> str:
    """Draw one end's phases and what leads from one to the other."""
    lines = ["```mermaid", "stateDiagram-v2", "  [*] --> open"]
    arrows: dict[tuple[Phase, Phase], list[str]] = {}
    for (phase, event), step in STEPS.items():
        sends = list(step.sends)
        if step.server_ends and role == SERVER:
            sends.append(END_OF_STREAM)
        if _ended_before(role, phase) and END_OF_STREAM in sends:
            sends.remove(END_OF_STREAM)
        text = event + (f" / {', '.join(sends)}" if sends else "")
        arrows.setdefault((phase, step.phase), []).append(text)
    for (source, target), texts in arrows.items():
        lines.append(f"  {source} --> {target}: {'<br>'.join(texts)}")
    return "\n".join([*lines, "  ended --> [*]", "```"])


def _ended_before(role: str, phase: Phase) -> bool:
    return role == SERVER and phase in (Phase.ANSWERED, Phase.AGREED, Phase.DEAF)


def phases() -> str:
    """Write the table of the phases."""
    rows = [f"| {phase} | {meaning} |" for phase, meaning in MEANINGS.items()]
    return "\n".join(["| phase | meaning |", "| --- | --- |", *rows])


def outcomes() -> str:
    """Write the table of all pairs of ends that a connection can come to, by what happened."""
    unbroken: dict[tuple[str, str], set[str]] = {}
    broken: dict[tuple[str, str], set[str]] = {}
    for world in runs():
        pair = _told(world.client), _told(world.server)
        table = broken if world.broken else unbroken
        table.setdefault(pair, set()).add(_story(world))
    lines = ["| what happened | the client is told | the server is told |", "| --- | --- | --- |"]
    for table in (unbroken, broken):
        if table is broken:
            lines.append("| *the wire broke, or the time was up* | | |")
        for (client, server), stories in sorted(table.items(), key=_order):
            if table is broken and (client, server) in unbroken:
                continue
            lines.append(f"| {'; or '.join(sorted(stories))} | {client} | {server} |")
    return "\n".join(lines)


def runs() -> list[World]:
    """Give the worlds in which both ends have ended."""
    return [world for world in explore() if is_over(world)]


def _order(item: tuple[tuple[str, str], set[str]]) -> tuple[int, list[str]]:
    stories = sorted(item[1])
    return len(stories[0]), stories


def _story(world: World) -> str:
    did = []
    for role in ROLES:
        end = world.end(role)
        if end.sent == CLOSES[role]:
            did.append(f"the {role} closed" + (", then failed" if end.failed else ""))
        elif end.failed:
            did.append(f"the {role} failed")
    return " and ".join(did) or "neither closed"


def _told(end: End) -> str:
    if end.rcvd is None and end.sent is None:
        return "no close frame"
    if end.rcvd is None:
        return f"sent {end.sent}"
    order = f"received {end.rcvd}, then sent {end.sent}"
    return order if end.rcvd_then_sent else f"sent {end.sent}, then received {end.rcvd}"


def blocks() -> dict[str, str]:
    """Give what is drawn, by its name in the document."""
    return {
        "phases": phases(),
        "client": diagram(CLIENT),
        "server": diagram(SERVER),
        "outcomes": outcomes(),
    }


def redrawn(document: str) -> str:
    """Put the current pictures between the marks of the document."""
    for name, block in blocks().items():
        before, found, rest = document.partition(BEGIN.format(name))
        _, ended, behind = rest.partition(END.format(name))
        if not found or not ended:
            raise SystemExit(f"{DOCUMENT.name} lacks the marks for {name}")
        document = f"{before}{found}\n\n{block}\n\n{ended}{behind}"
    return document


def main() -> int:
    """Write the document, or check it."""
    document = DOCUMENT.read_text(encoding="utf-8")
    current = redrawn(document)
    if "--check" in sys.argv[1:]:
        if document != current:
            print(f"{DOCUMENT.name}: not current; run python tools/closing.py")
        return int(document != current)
    DOCUMENT.write_text(current, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
