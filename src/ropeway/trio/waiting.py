"""What the connections of one run of trio share, and where their tasks wait."""

from __future__ import annotations

import trio

from .._driving.sockets import receive_buffer

# Seconds that operations which need not wait may go on before others have their turn.
TURN = 0.001

BUFFER_SIZE = 256 * 1024


class PerRun:
    """What the connections of one run share.

    Attributes:
        buffer: where sockets are read into; whoever reads is done with it before it waits.
        turn_ends: when who goes on without waiting lets others have their turn.
    """

    def __init__(self) -> None:
        self.buffer: bytearray = receive_buffer(BUFFER_SIZE)
        self.turn_ends: float = 0.0
        self.token: trio.lowlevel.TrioToken = trio.lowlevel.current_trio_token()

    async def checkpoint(self) -> None:
        """Let a cancellation take effect, and others run if it has been long."""
        now = trio.current_time()
        if now < self.turn_ends:
            await trio.lowlevel.checkpoint_if_cancelled()
        else:
            await trio.lowlevel.checkpoint()
            self.turn_ends = trio.current_time() + TURN


_per_run: trio.lowlevel.RunVar[PerRun] = trio.lowlevel.RunVar("ropeway")


def per_run() -> PerRun:
    """Give what the connections of this run share."""
    try:
        return _per_run.get()
    except LookupError:
        shared = PerRun()
        _per_run.set(shared)
        return shared


class Place:
    """Where one task waits until it is woken.

    Attributes:
        due: whether a task was woken that has not run since.
    """

    __slots__ = ("_task", "due")

    def __init__(self) -> None:
        self._task: trio.lowlevel.Task | None = None
        self.due: bool = False

    async def wait(self) -> None:
        """Wait; a cancellation ends that, too."""
        self._task = trio.lowlevel.current_task()
        try:
            await trio.lowlevel.wait_task_rescheduled(self._leave)
        finally:
            self.due = False

    def wake(self) -> None:
        """Let the task that waits go on, if there is one."""
        task, self._task = self._task, None
        if task is not None:
            self.due = True
            trio.lowlevel.reschedule(task)

    def _leave(self, _: object) -> trio.lowlevel.Abort:
        self._task = None
        return trio.lowlevel.Abort.SUCCEEDED
