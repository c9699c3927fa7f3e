"""Two engines on a simulated wire, each with a driver of a few lines, and one clock for both.

Whatever a real driver leaves to chance is a call here: when output is written, how many bytes
arrive at a time, when the engine goes on, whether somebody waits for a message, how late it is.
What has to hold in any order of these calls is checked on the way and, in ``check_end``, behind.
"""

from __future__ import annotations

from typing import Any

from ..wire.builds import Build
from ..wire.streams import BINARY, CONT, KEY, TEXT, frame

LIMIT = 40_000
TIMEOUT = 10.0
KEEPALIVE = 20.0

FORBIDDEN = frame(3)
"""A frame with a reserved opcode."""


class Pipe:
    """What one end wrote and the other has not got yet.

    Args:
        limit: bytes after which the wire breaks; None for never.
    """

    def __init__(self, limit: int | None = None) -> None:
        self.data = bytearray()
        self.passed = 0
        self.limit = limit
        self.ended = False
        self.broken = False

    def write(self, data: bytes) -> None:
        if self.ended:
            assert self.broken, "written behind the end of the stream"
            return
        self.data += data
        self.passed += len(data)
        if self.limit is not None and self.passed > self.limit:
            self.cut(len(self.data) - (self.passed - self.limit))

    def end(self) -> None:
        self.ended = True

    def cut(self, kept: int) -> None:
        """Break: of what is on its way the first bytes arrive, then the end of the stream."""
        # What was written is all there; an end that never said so has been broken off.
        self.broken = self.broken or not self.ended or kept < len(self.data)
        del self.data[kept:]
        self.ended = True

    def take(self, size: int) -> bytes:
        taken = bytes(self.data[:size])
        del self.data[:size]
        return taken


class End:
    """An engine, what its driver does, and what its program has sent and received."""

    def __init__(self, build: Build, role: str, world: World, high: int | None) -> None:
        self.build = build
        self.role = role
        self.world = world
        self.peer: End
        self.output: Pipe
        self.protocol: Any = self._protocol()
        self.inbox: Any = build.room("_core.inbox").Inbox(high, None)
        self.protocol.use_inbox(self.inbox)
        self.protocol.closing.timeout = TIMEOUT
        self.unsent: list[bytes] = []
        self.stalled = False
        self.ended = False  # no more is read
        self.lost = False
        self.timed_out = False
        self.aborted = False

        self.sent: list[str | bytes] = []
        self.fragments: list[str | bytes] = []
        self.valid: int | None = None  # so many messages were sent before something invalid
        self.received: list[str | bytes] = []
        self.stream: Any = None
        self.streamed: list[Any] = []
        self.pings = 0
        self.pongs: list[int] = []

    def _protocol(self) -> Any:
        deflate = self.build.room("extensions.permessage_deflate")
        if self.role == "client":
            uri = self.build.room("uri").parse_uri("ws://localhost/")
            offers = deflate.enable_client_permessage_deflate(None) if self.world.deflate else None
            return self.build.room("client").ClientProtocol(uri, extensions=offers, max_size=LIMIT)
        offers = deflate.enable_server_permessage_deflate(None) if self.world.deflate else None
        return self.build.room("server").ServerProtocol(extensions=offers, max_size=LIMIT)

    def __repr__(self) -> str:
        return f"<{self.role} {self.state}>"

    @property
    def state(self) -> str:
        name: str = self.protocol.state.name
        return name

    # The driver

    def read(self, size: int, patient: bool = False) -> None:
        """Let the next bytes arrive, or the end of the stream; ``patient`` drivers deliver once."""
        if self.ended or self.protocol.stopped:
            return
        if self.peer.output.data:
            data = self.peer.output.take(size)
            if self.protocol.want() > 0:
                room = self.protocol.room()
                rest = data[len(room) :]
                data = data[: len(room)]
                room[: len(data)] = data
                self.peer.output.data[:0] = rest
                self.protocol.receive_in_place(len(data), self.world.now)
            else:
                self.protocol.receive(bytearray(data), 0, len(data), self.world.now)
            self.deliver(patient)
            self.protocol.keep_rest()
        elif self.peer.output.ended:
            self.end()

    def deliver(self, patient: bool = False) -> None:
        while True:
            self._answer()
            for token, latency in self.protocol.answered_pings:
                assert latency >= 0
                if token is not None:
                    self.pongs.append(token)
            self.protocol.answered_pings = []
            if self.inbox.wanted and self.inbox.is_ready():
                self.take()
            if not self.protocol.can_resume() or patient:
                break
            self.protocol.resume(self.world.now)
        self.write()

    def _answer(self) -> None:
        events = self.protocol.events_received()
        for event in events:
            kind = type(event).__name__
            assert kind in ("Request", "Response"), kind
            if kind == "Request":
                self.protocol.send_response(self.protocol.accept(event))
            if self.state == "OPEN" and self.world.keepalive:
                self.protocol.keepalive.start(self.world.now)
                self.protocol.last_received = self.world.now

    def go_on(self) -> None:
        """Take another turn of the loop, where delivering goes on."""
        if self.protocol.can_resume():
            self.protocol.resume(self.world.now)
        self.deliver()

    def write(self) -> None:
        """Write what the engine has to send."""
        if not self.lost:
            self.unsent += self.protocol.take_output()
            assert b"" not in self.unsent[:-1], "something comes behind the end of the stream"
            if not self.stalled:
                self._pass_on()
        if self.state != "OPEN":
            self.protocol.next_deadline(self.world.now)

    def _pass_on(self) -> None:
        for piece in self.unsent:
            if piece:
                self.output.write(piece)
            else:
                self.output.end()
        self.unsent.clear()
        if self.ended:  # the transport, which then closes itself
            self.lose()

    def stall(self) -> None:
        """Fill the write buffer."""
        if not self.stalled and not self.lost:
            self.stalled = True
            self.protocol.pause_writing()

    def unstall(self) -> None:
        """Drain the write buffer."""
        if self.stalled and not self.lost:
            self.stalled = False
            self._pass_on()
            self.protocol.resume_writing()
            self.write()

    def end(self) -> None:
        """Reach the end of the peer's stream."""
        self.ended = True
        self.protocol.receive_end()
        self.deliver()

    def lose(self) -> None:
        """Lose the connection."""
        if self.lost:
            return
        self.ended = self.lost = True
        if not self.output.ended:
            self.output.cut(len(self.output.data))
        self.protocol.transport_lost()
        self.protocol.receive_end()
        self.deliver()

    def abort(self) -> None:
        """Reset the connection: nothing that is on its way arrives."""
        if not self.lost:
            self.aborted = True
            self.unsent.clear()
            self.output.cut(0)
            self.peer.output.cut(0)
            self.lose()

    def look_at_the_clock(self) -> None:
        for _ in range(100):
            due = self.protocol.next_deadline(self.world.now)
            if self.lost or due is None or due > self.world.now:
                return
            before = self.state
            self.protocol.on_deadline(self.world.now)
            if self.protocol.abort_exc is not None:
                self.abort()
                return
            self.timed_out = self.timed_out or self.state != before
            self.deliver()
        raise AssertionError("a deadline stays where it is")

    # The program

    def can_send(self) -> bool:
        return self.state == "OPEN" and not self.stalled

    def send(self, message: str | bytes, compress: bool | None = None) -> None:
        if isinstance(message, str):
            self.protocol.send_text(message, compress=compress)
        else:
            self.protocol.send_binary(message, compress=compress)
        self.sent.append(message)

    def send_shared(self, message: str | bytes) -> None:
        opcode = TEXT if isinstance(message, str) else BINARY
        shared = self.build.room("_core.shared").SharedMessage(opcode, message)
        self.protocol.send_shared(shared)
        self.sent.append(message)

    def has_room_for(self, fragment: str | bytes) -> bool:
        """Tell whether the message that is being sent stays within the limit with a fragment."""
        return sum(len(_encoded(one)) for one in (*self.fragments, fragment)) <= LIMIT

    def send_fragment(self, fragment: str | bytes, fin: bool) -> None:
        if self.fragments:
            self.protocol.send_continuation(fragment, fin)
        elif isinstance(fragment, str):
            self.protocol.send_text(fragment, fin)
        else:
            self.protocol.send_binary(fragment, fin)
        self.fragments.append(fragment)
        if fin:
            self.sent.append(_joined(self.fragments))
            self.fragments = []

    def send_invalid(self, data: bytes) -> None:
        """Send what a peer of ours never would."""
        self.protocol.writer.write_raw(data)
        self.valid = len(self.sent)

    def forbidden(self) -> bytes:
        return frame(3, key=KEY if self.role == "client" else None)

    def too_large(self) -> bytes:
        opcode = CONT if self.fragments else BINARY
        return frame(opcode, bytes(LIMIT + 1), key=KEY if self.role == "client" else None)

    def ping(self) -> None:
        self.pings += 1
        payload = self.protocol.keepalive.add(None, self.pings, self.world.now)
        self.protocol.send_ping(payload)

    def close(self, code: int | None, reason: str) -> None:
        self.protocol.send_close(code, reason)

    def want(self) -> None:
        """Wait for a message."""
        if self.stream is not None:
            return
        if self.inbox.is_ready():
            self.take()
        elif not self.ended:
            self.inbox.wanted = True
            if self.protocol.can_resume():
                self.go_on()

    def cancel(self) -> None:
        """Stop waiting."""
        self.inbox.wanted = False

    def take(self) -> None:
        self.inbox.wanted = False
        self._receive(self.inbox.take(None))

    def take_fragment(self) -> None:
        """Take the next piece of a message that is read as it arrives."""
        if self.inbox.wanted:
            return
        if self.stream is None:
            self.stream = self.build.room("_core.inbox").MessageStream(self.inbox, None)
        if not self.stream.is_ready():
            return
        self.streamed.append(self.stream.take())
        if self.stream.finished:
            pieces, self.streamed, self.stream = self.streamed, [], None
            self._receive(_joined(pieces))

    def _receive(self, message: str | bytes) -> None:
        place = len(self.received)
        self.received.append(message)
        assert place < len(self.peer.sent), "a message that nobody sent"
        assert message == self.peer.sent[place], "another message than was sent"
        assert self.peer.valid is None or place < self.peer.valid

    def facts(self) -> dict[str, Any]:
        closing = self.protocol.closing
        return {
            "state": self.state,
            "sent": _pair(closing.sent),
            "rcvd": _pair(closing.rcvd),
            "then": closing.rcvd_then_sent,
            "clean": closing.is_clean(),
        }


class World:
    """Both ends and what is between them."""

    def __init__(
        self,
        client: Build,
        server: Build,
        *,
        deflate: bool = False,
        keepalive: bool = False,
        high: int | None = 4,
        limits: tuple[int | None, int | None] = (None, None),
    ) -> None:
        self.now = 100.0
        self.deflate = deflate
        self.keepalive = keepalive
        self.client = End(client, "client", self, high)
        self.server = End(server, "server", self, high)
        self.ends = (self.client, self.server)
        for end, peer, limit in zip(self.ends, self.ends[::-1], limits, strict=True):
            end.peer = peer
            end.output = Pipe(limit)
            if keepalive:
                end.protocol.keepalive.interval = end.protocol.keepalive.timeout = KEEPALIVE
        self.client.protocol.send_request(self.client.protocol.connect())
        self.client.write()

    def open(self) -> None:
        """Let the opening handshake take place."""
        self.server.read(10_000)
        self.client.read(10_000)

    def let_pass(self, seconds: float) -> None:
        """Let time go by."""
        self.now += seconds
        for end in self.ends:
            end.look_at_the_clock()

    def settle(self) -> None:
        """Let everything happen that can happen without time going by."""
        before: Any = None
        while before != (before := self._progress()):
            for end in self.ends:
                end.unstall()
                end.write()
                end.read(1 << 20)
                if end.stream is not None:
                    end.take_fragment()
                while end.stream is None and end.inbox.is_ready():
                    end.take()
                end.want()
                end.go_on()

    def _progress(self) -> Any:
        return [
            (len(end.received), len(end.streamed), len(end.output.data), *end.facts().values())
            + (end.ended, end.lost, end.stalled, len(end.unsent), end.output.ended, end.stream)
            + (end.protocol.reader.frames_received, end.protocol.stopped)
            for end in self.ends
        ]

    def is_broken(self) -> bool:
        return any(end.output.broken or end.aborted for end in self.ends)

    # What has to hold

    def check(self) -> None:
        """Check what holds at any time."""
        for end in self.ends:
            closing, heard = end.protocol.closing, end.peer.protocol.closing
            assert closing.rcvd is None or _pair(closing.rcvd) == _pair(heard.sent)
            assert (closing.rcvd_then_sent is None) == (
                closing.rcvd is None or closing.sent is None
            )
            assert end.inbox.level >= 0
            assert not end.lost or end.state == "CLOSED"
        assert not all(end.protocol.closing.rcvd_then_sent for end in self.ends)

    def check_end(self) -> None:
        """Check what holds once nothing happens any more."""
        self.check()
        for end in self.ends:
            assert end.pongs == sorted(set(end.pongs))
            assert end.inbox.items or end.inbox.level == 0
            self._check_messages(end)
        if all(end.state == "OPEN" for end in self.ends):
            for end in self.ends:
                assert end.pongs == list(range(1, end.pings + 1)), "a ping has no answer"
            return
        if self.is_broken():
            return
        for end in self.ends:
            assert end.state == "CLOSED" and end.lost, "closing waits for a deadline"
        self._check_agreement()

    def _check_messages(self, end: End) -> None:
        """Check that ``end`` has all that it was sent."""
        peer = end.peer
        if self.is_broken() or end.timed_out:
            return
        count = len(peer.sent) if peer.valid is None else peer.valid
        dropped = end.protocol.dropped_messages
        assert len(end.received) + dropped == count, "a message is lost"
        if (
            dropped
        ):  # RFC 6455 section 5.5.1 allows it after our close frame; we do for want of room
            assert end.inbox.high >= 0
            assert end.protocol.closing.sent is not None
            assert end.protocol.closing.rcvd_then_sent is not True

    def _check_agreement(self) -> None:
        """Check that both ends tell the same of the end of an unbroken connection."""
        facts = [end.facts() for end in self.ends]
        failed = [
            end.timed_out or end.protocol.parser_exc is not None or end.protocol.handshake_exc
            for end in self.ends
        ]
        for mine, its, failure in zip(facts, facts[::-1], failed, strict=True):
            assert mine["sent"] is not None
            if not failure:
                assert mine["rcvd"] == its["sent"]
        if not any(failed):
            assert facts[0]["clean"] is facts[1]["clean"]
            assert facts[0]["then"] is not None and facts[1]["then"] is not None
            if facts[0]["then"] or facts[1]["then"]:  # else they crossed
                assert facts[0]["sent"] == facts[1]["sent"]


def _encoded(fragment: str | bytes) -> bytes:
    return fragment.encode() if isinstance(fragment, str) else fragment


def _joined(pieces: list[Any]) -> str | bytes:
    return "".join(pieces) if isinstance(pieces[0], str) else b"".join(pieces)


def _pair(close: Any) -> tuple[int, str] | None:
    return None if close is None else (int(close.code), close.reason)
