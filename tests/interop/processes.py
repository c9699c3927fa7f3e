"""Programs that tests run beside themselves, until the test is over."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any

PATIENCE = 60
"""Seconds in which a program must be ready, on a machine that has much else to do."""


@contextlib.contextmanager
def running(
    command: Sequence[str], *, environment: Mapping[str, str] | None = None, **popen: Any
) -> Iterator[subprocess.Popen[str]]:
    """Run a program in a process group of its own; end the whole group afterwards."""
    process = subprocess.Popen(
        command,
        env={**os.environ, **(environment or {})},
        text=True,
        start_new_session=True,
        **{"stdin": subprocess.DEVNULL, **popen},
    )
    try:
        yield process
    finally:
        end_group(process)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def end_group(process: subprocess.Popen[str]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
            return


def first_line(process: subprocess.Popen[str]) -> str:
    """Wait for a program's first line of output, by which it says that it is ready."""
    pipe: IO[str] | None = process.stdout
    assert pipe is not None
    line = pipe.readline().strip()
    assert line, f"{process.args!r} ended with {process.wait(5)} before it was ready"
    return line


@contextlib.contextmanager
def running_on_a_port(make_command: Any) -> Iterator[int]:
    """Run a server that must be told its port: one that is free now, or another if it is taken."""
    for _ in range(5):
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port: int = probe.getsockname()[1]
        with running(make_command(port)) as process:
            if _listens(process, port):
                yield port
                return
    raise RuntimeError(f"{make_command(port)!r} did not start")


def _listens(process: subprocess.Popen[str], port: int) -> bool:
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return True
    return False


def python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]
