"""A real terminal for a program: a pseudo-terminal, and an emulator that shows its screen."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import pyte
import pytest

DEADLINE = 60.0
"""Seconds until what is expected on the screen has to be there."""

ENTER, CTRL_C, CTRL_D, UP, ALT_ENTER, TAB = "\r", "\x03", "\x04", "\x1b[A", "\x1b\r", "\t"


class _Screen(pyte.HistoryScreen):
    """A screen that answers what programs ask their terminal."""

    def __init__(self, columns: int, rows: int, descriptor: int) -> None:
        super().__init__(columns, rows, history=1000)
        self._descriptor = descriptor

    def write_process_input(self, data: str) -> None:
        os.write(self._descriptor, data.encode())


class Terminal:
    """A program in a terminal.

    Args:
        process: the program.
        descriptor: the terminal's other end.
        columns, rows: the size of the screen.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], descriptor: int, columns: int, rows: int
    ) -> None:
        self.process = process
        self.descriptor = descriptor
        self.output = b""
        """All that the program wrote, escape sequences included."""
        self._screen = _Screen(columns, rows, descriptor)
        self._stream = pyte.ByteStream(self._screen)

    @property
    def lines(self) -> list[str]:
        """What is on the screen, and what has left it at the top."""
        left = [
            "".join(line[column].data for column in range(self._screen.columns)).rstrip()
            for line in self._screen.history.top
        ]
        return [*left, *(line.rstrip() for line in self._screen.display)]

    @property
    def text(self) -> str:
        return "\n".join(self.lines).rstrip()

    def type(self, text: str) -> None:
        os.write(self.descriptor, text.encode())

    def expect(self, *texts: str) -> str:
        """Read until all texts are on the screen, in whatever place."""
        self._read_until(lambda: all(text in self.text for text in texts), f"no {texts!r}")
        return self.text

    def enter(self, line: str, shown: str) -> None:
        """Type a line; read until a text is on the screen once more than before."""
        before = self.text.count(shown)
        self.type(line + ENTER)
        self._read_until(lambda: self.text.count(shown) > before, f"after {line!r} no {shown!r}")

    def expect_line(self, line: str) -> None:
        """Read until a line of the screen is this one."""
        self._read_until(lambda: line in self.lines, f"no line {line!r}")

    def end(self) -> int:
        """Read until the program ends; give its exit code."""
        deadline = time.monotonic() + DEADLINE
        while self._read(deadline):
            pass
        return self.process.wait(timeout=DEADLINE)

    def _read_until(self, condition: Callable[[], bool], complaint: str) -> None:
        deadline = time.monotonic() + DEADLINE
        while not condition():
            if not self._read(deadline):
                pytest.fail(f"{complaint} on the screen:\n{self.text}", pytrace=False)

    def _read(self, deadline: float) -> bool:
        """Read what there is; False when the program has ended, or time is up."""
        ready, _, _ = select.select([self.descriptor], [], [], max(0, deadline - time.monotonic()))
        if not ready:
            return False
        try:
            data = os.read(self.descriptor, 65536)
        except OSError:  # Linux: the program has closed its end
            return False
        self.output += data
        self._stream.feed(data)
        return bool(data)


@contextlib.contextmanager
def in_terminal(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    columns: int = 80,
    rows: int = 24,
) -> Iterator[Terminal]:
    """Run ``ropeway`` with these arguments in a terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    # The terminal becomes the one that Ctrl-C reaches the program through.
    command = [sys.executable, "-c", IN_TERMINAL, *arguments]
    process = subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={"TERM": "xterm", **environment},
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield Terminal(process, ours, columns, rows)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        process.wait()
        os.close(ours)


IN_TERMINAL = """
import fcntl, signal, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGINT, signal.default_int_handler)
from ropeway.__main__ import main
sys.exit(main())
"""
