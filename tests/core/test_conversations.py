"""Two engines on a wire that delays, cuts and breaks: is anything lost, and do they agree?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ..support.examples import examples
from ..wire.builds import BUILDS, Build, each_build
from .simulation import End, World

ends = st.sampled_from(["client", "server"])
texts = st.sampled_from(["", "a", "plain text", "κόσμε", "\U0001f6a0" * 30, "many words " * 20])
large = st.sampled_from([bytes(17_000), "ascii " * 3000, "é" * 9000])
messages = st.one_of(texts, st.binary(max_size=130), large)
sizes = st.one_of(st.integers(1, 12), st.integers(13, 300), st.just(1 << 20))
codes = st.sampled_from([None, 1000, 1001, 1011, 3000, 4999])


class Conversation(RuleBasedStateMachine):
    """Any interleaving of what two programs, two drivers, the network and the clock do."""

    world: World

    @initialize(
        builds=st.tuples(*[st.sampled_from(list(BUILDS.values()))] * 2),
        deflate=st.booleans(),
        keepalive=st.booleans(),
        high=st.sampled_from([None, 0, 1, 4, 16]),
        opened=st.integers(0, 5),
    )
    def begin(
        self,
        builds: tuple[Build, Build],
        deflate: bool,
        keepalive: bool,
        high: int | None,
        opened: int,
    ) -> None:
        self.world = World(*builds, deflate=deflate, keepalive=keepalive, high=high)
        if opened:
            self.world.open()

    def end(self, name: str) -> End:
        end: End = getattr(self.world, name)
        return end

    # Programs

    @rule(name=ends, message=messages, compress=st.sampled_from([None, True, False]))
    def send(self, name: str, message: str | bytes, compress: bool | None) -> None:
        end = self.end(name)
        if end.can_send() and not end.fragments:
            end.send(message, compress)

    @rule(name=ends, message=messages)
    def broadcast(self, name: str, message: str | bytes) -> None:
        end = self.end(name)
        if end.can_send() and not end.fragments:
            end.send_shared(message)

    @rule(name=ends, fragment=messages, fin=st.booleans())
    def send_fragment(self, name: str, fragment: str | bytes, fin: bool) -> None:
        end = self.end(name)
        if end.can_send():
            if end.fragments and type(end.fragments[0]) is not type(fragment):
                fragment = type(end.fragments[0])()
            if not end.has_room_for(fragment):  # what is too large is another rule
                fragment = type(fragment)()
            end.send_fragment(fragment, fin)

    @rule(name=ends)
    def ping(self, name: str) -> None:
        end = self.end(name)
        if end.can_send():
            end.ping()

    @rule(name=ends, code=codes, reason=st.sampled_from(["", "bye"]))
    def close(self, name: str, code: int | None, reason: str) -> None:
        end = self.end(name)
        if end.state == "OPEN":
            end.close(code, reason if code else "")

    @rule(name=ends)
    def receive(self, name: str) -> None:
        self.end(name).want()

    @rule(name=ends)
    def cancel(self, name: str) -> None:
        self.end(name).cancel()

    @rule(name=ends)
    def receive_fragment(self, name: str) -> None:
        self.end(name).take_fragment()

    @precondition(lambda self: any(end.state == "OPEN" for end in self.world.ends))
    @rule(name=ends, large=st.booleans())
    def violate(self, name: str, large: bool) -> None:
        end = self.end(name)
        if end.can_send() and end.valid is None:
            end.send_invalid(end.too_large() if large else end.forbidden())

    # Drivers

    @rule(name=ends)
    def write(self, name: str) -> None:
        self.end(name).write()

    @rule(name=ends, size=sizes, patient=st.booleans())
    def read(self, name: str, size: int, patient: bool) -> None:
        self.end(name).read(size, patient)

    @rule(name=ends)
    def go_on(self, name: str) -> None:
        self.end(name).go_on()

    @rule(name=ends, full=st.booleans())
    def fill_or_drain(self, name: str, full: bool) -> None:
        end = self.end(name)
        if full:
            end.stall()
        else:
            end.unstall()

    # The network and the clock

    @precondition(lambda self: not self.world.is_broken())
    @rule(name=ends, kept=st.integers(0, 400))
    def cut(self, name: str, kept: int) -> None:
        self.end(name).output.cut(kept)

    @precondition(lambda self: not self.world.is_broken())
    @rule(name=ends)
    def reset(self, name: str) -> None:
        self.end(name).abort()

    @rule(seconds=st.sampled_from([0.1, 1.0, 3.5, 9.0, 21.0]))
    def let_pass(self, seconds: float) -> None:
        self.world.let_pass(seconds)

    @invariant()
    def holds(self) -> None:
        if hasattr(self, "world"):
            self.world.check()

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        world = self.world
        world.settle()
        world.check_end()
        for end in world.ends:
            if end.state == "OPEN":
                end.close(1000, "")
                break
        world.settle()
        world.check_end()
        # Whatever broke, and however: time ends it.
        for _ in range(8):
            world.let_pass(11.0)
            world.settle()
        for end in world.ends:
            assert end.lost or end.state == "CONNECTING", "a connection that never ends"
        world.check()


TestConversation = Conversation.TestCase
TestConversation.settings = settings(
    max_examples=examples(120),
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


# The end of the stream at every byte.


def talk(world: World) -> None:
    """Say something in both directions, and close."""
    world.open()
    for step in STEPS:
        for end in world.ends:
            if end.can_send():
                step(end)
                end.write()
        for end in world.ends:
            end.read(1 << 20)
            end.want()
    if world.client.state == "OPEN":
        world.client.close(4000, "enough")
    world.settle()


STEPS: list[Callable[[End], None]] = [
    lambda end: end.send("κόσμε"),
    lambda end: end.send_fragment(b"one", False),
    lambda end: end.ping(),
    lambda end: end.send_fragment(b"two", True),
    lambda end: end.send("repeat " * 12),
]


@each_build
@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("direction", [0, 1])
def test_the_stream_may_end_at_every_byte(build: Build, deflate: bool, direction: int) -> None:
    whole = World(build, build, deflate=deflate)
    talk(whole)
    whole.check_end()
    assert [end.state for end in whole.ends] == ["CLOSED", "CLOSED"]
    assert len(whole.client.received) == len(whole.server.received) == 3
    counts = set()
    for size in range(whole.ends[direction].output.passed):
        limits: Any = (size, None) if direction == 0 else (None, size)
        world = World(build, build, deflate=deflate, limits=limits)
        talk(world)
        world.check()
        for _ in range(4):
            world.let_pass(11.0)
            world.settle()
        world.check()
        for end in world.ends:
            assert end.lost or end.state == "CONNECTING"
        reader = world.ends[1 - direction]
        assert reader.protocol.closing.rcvd is None
        counts.add(len(reader.received))
    assert counts == {0, 1, 2, 3}
