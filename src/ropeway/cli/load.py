"""The load of ``ropeway bench``: messages over many connections, and the time until the answers.

Two ways to send. Without a rate, each connection keeps a number of messages in flight, and sends
the next one when an answer arrives: that finds out how much a server can do. With a rate, messages
are due at fixed times, whether the server keeps up or not, and the time of an answer counts from
when its message was due: a server that stalls is charged for all that it kept waiting, not for one.
"""

from __future__ import annotations

import asyncio
import random
import string
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

from ..asyncio.client import ClientConnection
from ..exceptions import ConnectionClosed
from .failures import FAILURES, failure
from .latencies import Latencies
from .lines import Message
from .session import look_at
from .target import Target

__all__ = ["Load", "Plan"]

AT_ONCE = 64
"""Connections that are being opened at the same time."""

GRACE = 3.0
"""Seconds for the last answers."""

TIMER = 2_000_000
"""Nanoseconds by which a timer may be late without the server being blamed."""

TURN = 16
"""Messages that a connection sends before the others get a turn.

Sending waits for nothing while the server takes what comes: by itself it would never let go.
"""

clock: Callable[[], int] = time.perf_counter_ns


@dataclass(frozen=True)
class Plan:
    """What to do.

    Args:
        connections: how many.
        size: bytes of a message.
        binary: whether messages are binary.
        rate: messages a second over all connections, None for as many as are answered.
        depth: messages in flight on a connection, where there is no rate.
        duration: seconds to measure.
        warmup: seconds before.
        one_way: whether to expect no answers.
    """

    connections: int
    size: int
    binary: bool
    rate: float | None
    depth: int
    duration: float
    warmup: float
    one_way: bool


class Load:
    """A run of a plan, and what it counts.

    Args:
        plan: what to do.
        target: the server.
    """

    def __init__(self, plan: Plan, target: Target) -> None:
        self.plan = plan
        self.handshakes: Latencies = Latencies()
        self.errors: Counter[str] = Counter()
        self.first_error: tuple[str, int] | None = None
        """Why the first connection failed, and the exit code for it."""
        self.extensions: str = ""
        self.elapsed: float = 0.0
        """Seconds that were measured."""
        self.cpu: float = 0.0
        """Share of a processor that this process took meanwhile."""
        self.unanswered: int = 0
        self.different: int = 0
        """Answers that are not the message: in the warm-up, too."""
        self._target = target
        self._message = _message(plan)
        self._connections: list[ClientConnection] = []
        self._unanswered: dict[ClientConnection, deque[int]] = {}
        self._stopping = False
        self._start_counting()

    def _start_counting(self) -> None:
        self.latencies: Latencies = Latencies()
        self.sent: int = sum(map(len, self._unanswered.values()))
        self.received: int = 0
        self._began = clock()
        self._cpu_before = time.process_time()

    @property
    def opened(self) -> int:
        """Connections that were opened."""
        return len(self._connections)

    async def run(self, progress: Callable[[str, float], None]) -> None:
        """Carry out the plan. When it is cancelled, what was counted until then stays.

        Args:
            progress: called now and then with the name of the phase and the share of it that is
                over.
        """
        tasks: list[asyncio.Task[None]] = []
        try:
            await self._connect(progress)
            if not self._connections:
                return
            began = clock()
            tasks = [
                asyncio.create_task(self._use(connection, number, began))
                for number, connection in enumerate(self._connections)
            ]
            await self._phase("warming up", self.plan.warmup, progress, tasks)
            self._start_counting()
            await self._phase("measuring", self.plan.duration, progress, tasks)
            await self._finish()
        finally:
            if not self.elapsed:
                self._stop_counting()
            await self._end(tasks)

    # Phases

    async def _connect(self, progress: Callable[[str, float], None]) -> None:
        limit = asyncio.Semaphore(AT_ONCE)
        count = self.plan.connections

        async def connect() -> None:
            async with limit:
                began = clock()
                try:
                    connection = await self._target.connect()
                except FAILURES as exc:
                    reason, code = failure(exc, self._target)
                    self._failed(reason, code)
                    return
                self.handshakes.add(clock() - began)
                self._connections.append(connection)
                progress("connecting", len(self._connections) / count)

        # All of them fail when the first one does, most often: there is no need to wait for that.
        await connect()
        if self._connections:
            await asyncio.gather(*(connect() for _ in range(count - 1)))
            extensions = self._connections[0].protocol.extensions
            self.extensions = ", ".join(one.name for one in extensions)

    def _failed(self, reason: str, code: int) -> None:
        self.errors[reason] += 1
        if self.first_error is None:
            self.first_error = reason, code

    async def _phase(
        self,
        name: str,
        seconds: float,
        progress: Callable[[str, float], None],
        tasks: list[asyncio.Task[None]],
    ) -> None:
        began = clock()
        while (passed := (clock() - began) / 1e9) < seconds:
            progress(name, passed / seconds)
            _, going_on = await asyncio.wait(tasks, timeout=0)
            if not going_on:
                return  # every connection is lost
            await asyncio.sleep(min(0.1, seconds - passed))

    async def _finish(self) -> None:
        """End the measurement, then wait for the answers that are still due."""
        self._stopping = True
        if self.plan.one_way:
            # What was sent has arrived when the pong behind it has.
            await self._barrier()
        self._stop_counting()
        deadline = clock() + GRACE * 1e9
        # Looked at now and then: an event would cost every message something.
        while any(self._unanswered.values()) and clock() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    async def _barrier(self) -> None:
        pongs = []
        for connection in self._connections:
            try:
                pong = asyncio.ensure_future(await connection.ping())
            except ConnectionClosed:
                continue
            pong.add_done_callback(look_at)
            pongs.append(pong)
        if pongs:
            await asyncio.wait(pongs, timeout=GRACE)
            self.unanswered += sum(not pong.done() or bool(pong.exception()) for pong in pongs)

    def _stop_counting(self) -> None:
        self.elapsed = (clock() - self._began) / 1e9
        self.cpu = (time.process_time() - self._cpu_before) / max(self.elapsed, 1e-9)
        self._received_in_time = self.received

    @property
    def rate(self) -> float:
        """Messages a second: answered ones, or sent ones where no answers are expected."""
        elapsed = self.elapsed or (clock() - self._began) / 1e9
        received = self._received_in_time if self.elapsed else self.received
        return (self.sent if self.plan.one_way else received) / elapsed if elapsed else 0.0

    async def _end(self, tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self.unanswered += sum(map(len, self._unanswered.values()))
        for start in range(0, len(self._connections), AT_ONCE):
            closing = self._connections[start : start + AT_ONCE]
            await asyncio.gather(*(connection.close() for connection in closing))

    # Connections

    async def _use(self, connection: ClientConnection, number: int, began: int) -> None:
        due = self._unanswered[connection] = deque()
        try:
            if self.plan.rate is None and not self.plan.one_way:
                await self._exchange(connection, due)
                return
            async with asyncio.TaskGroup() as group:
                # What nobody asked for has to be taken as well, or the server can't go on.
                group.create_task(self._collect(connection, due))
                if self.plan.rate is None:
                    group.create_task(self._flood(connection))
                else:
                    group.create_task(self._pace(connection, due, number, began))
        except* ConnectionClosed as group_of_one:
            if not self._stopping:
                exc = group_of_one.exceptions[0]
                self._failed(f"connection lost: {exc}", 1)
            self.unanswered += len(due)
            due.clear()

    async def _exchange(self, connection: ClientConnection, due: deque[int]) -> None:
        for _ in range(self.plan.depth):
            due.append(clock())
            await connection.send(self._message)
            self.sent += 1
        while due:
            answer = await connection.recv()
            now = clock()
            self._answered(answer, now - due.popleft())
            if not self._stopping:
                due.append(clock())
                self.sent += 1
                await connection.send(self._message)

    async def _flood(self, connection: ClientConnection) -> None:
        turn = 0
        while not self._stopping:
            await connection.send(self._message)
            self.sent += 1
            turn += 1
            if turn % TURN == 0:
                await asyncio.sleep(0)

    async def _pace(
        self, connection: ClientConnection, due: deque[int], number: int, began: int
    ) -> None:
        assert self.plan.rate is not None
        interval = 1e9 * self.plan.connections / self.plan.rate
        # Connections take turns, evenly.
        scheduled = began + interval * number / self.plan.connections
        forgiven = turn = 0
        while not self._stopping:
            now = clock()
            if scheduled > now:
                await asyncio.sleep((scheduled - now) / 1e9)
                now = clock()
                if now - scheduled < TIMER:
                    forgiven = now
                continue
            if not self.plan.one_way:
                due.append(max(int(scheduled), min(forgiven, now)))
            await connection.send(self._message)
            self.sent += 1
            scheduled += interval
            turn += 1
            if turn % TURN == 0:
                await asyncio.sleep(0)

    async def _collect(self, connection: ClientConnection, due: deque[int]) -> None:
        while True:
            answer = await connection.recv()
            if due:
                self._answered(answer, clock() - due.popleft())

    def _answered(self, answer: Message, nanoseconds: int) -> None:
        self.received += 1
        self.latencies.add(nanoseconds)
        if answer != self._message:
            self.different += 1


def _message(plan: Plan) -> Message:
    # The same in each run; letters that don't compress better than real text does.
    source = random.Random(0)
    if plan.binary:
        return source.randbytes(plan.size)
    return "".join(source.choices(string.ascii_letters + string.digits, k=plan.size))
