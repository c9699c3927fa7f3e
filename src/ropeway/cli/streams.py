"""Standard input and output beside an event loop, whatever they are: pipes, files, terminals.

A thread reads and a thread writes. Neither file descriptor is made non-blocking, because that would
reach the other processes that share it. Both sides are bounded: who is slow slows the other down.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import AsyncIterator

__all__ = ["LineTooLong", "Output", "lines"]

CHUNK = 2**16
AHEAD = 4
"""Chunks that are read ahead of whoever takes the lines."""

MAX_LINE = 2**26
"""Bytes of a line: one that is longer is no message that anybody would accept."""

HIGH_WATER = 2**18
"""Bytes that wait to be written before who writes has to wait."""


class LineTooLong(ValueError):
    """A line that is no end of."""


class _Splitter:
    """Cuts what is read into lines; the beginning of a long one is kept in pieces."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._length = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        first, *rest = chunk.split(b"\n")
        self._pieces.append(first)
        self._length += len(first)
        if self._length > MAX_LINE:
            raise LineTooLong(f"the line is over {MAX_LINE} bytes")
        if not rest:
            return []
        done = [b"".join(self._pieces), *rest[:-1]]
        self._pieces, self._length = [rest[-1]], len(rest[-1])
        return [line.removesuffix(b"\r") for line in done]

    def end(self) -> list[bytes]:
        line = b"".join(self._pieces)
        return [line.removesuffix(b"\r")] if line else []


async def lines(descriptor: int) -> AsyncIterator[bytes]:
    """Yield the lines of a file descriptor as they come, without their ends.

    Raises:
        LineTooLong: when one is longer than 64 MiB.
        OSError: when reading fails.
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[list[bytes] | Exception | None] = asyncio.Queue()
    room = threading.Semaphore(AHEAD)

    def put(item: list[bytes] | Exception | None) -> None:
        room.acquire()
        loop.call_soon_threadsafe(queue.put_nowait, item)

    def read() -> None:
        splitter = _Splitter()
        try:
            try:
                while chunk := os.read(descriptor, CHUNK):
                    if found := splitter.feed(chunk):
                        put(found)
            except (OSError, LineTooLong) as exc:
                put(exc)
            else:
                put(splitter.end())
                put(None)
        except RuntimeError:
            return  # the loop is closed: nobody listens

    # Not a thread of an executor: one that waits in read() would keep the process from ending.
    threading.Thread(target=read, name="standard input", daemon=True).start()
    while (item := await queue.get()) is not None:
        room.release()
        if isinstance(item, Exception):
            raise item
        for line in item:
            yield line


class Output:
    """Writes to a file descriptor, in order, without holding the loop.

    Args:
        descriptor: where to write.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()
        self._pending: deque[bytes] = deque()
        self._size = 0
        self._writing: asyncio.Future[None] | None = None
        self.failed: asyncio.Future[None] = self._loop.create_future()
        """Done, with the exception, when writing fails: ``BrokenPipeError`` most often."""

    async def write(self, data: bytes) -> None:
        """Write; wait while too much is pending. What comes after a failure is dropped."""
        if self.failed.done():
            return
        self._pending.append(data)
        self._size += len(data)
        if self._writing is None:
            self._start()
        while self._size > HIGH_WATER and self._writing is not None:
            await asyncio.wait([self._writing])

    async def drain(self) -> None:
        """Wait until all is written."""
        while self._writing is not None:
            await asyncio.wait([self._writing])

    def _start(self) -> None:
        data = b"".join(self._pending)
        self._pending.clear()
        self._writing = self._loop.create_future()

        def write() -> None:
            error: OSError | None = None
            try:
                view = memoryview(data)
                while view:
                    view = view[os.write(self._descriptor, view) :]
            except OSError as exc:
                error = exc
            try:
                self._loop.call_soon_threadsafe(self._wrote, len(data), error)
            except RuntimeError:
                return  # the loop is closed

        # A thread each time: there is one at most, and none that keeps the process from ending.
        threading.Thread(target=write, name="standard output", daemon=True).start()

    def _wrote(self, size: int, error: OSError | None) -> None:
        done, self._writing = self._writing, None
        self._size -= size
        if error is not None:
            self._pending.clear()
            self._size = 0
            if not self.failed.done():
                self.failed.set_exception(error)
                self.failed.exception()  # looked at by those who care
        elif self._pending:
            self._start()
        if done is not None:
            done.set_result(None)
