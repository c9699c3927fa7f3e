"""Processes with a core of their own, and what the kernel knows about them."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from .contenders import Contender
from .tools import ROOT, program

MICROSECONDS = 1e6


class Cores:
    """One core for the measured process, another for its peer; the runner shares the second."""

    def __init__(self) -> None:
        cores = sorted(os.sched_getaffinity(0))
        self.measured = cores[0]
        self.peer = cores[-1]

    @contextlib.contextmanager
    def share_with_peer(self) -> Iterator[None]:
        """Keep this process off the core of the measured one."""
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {self.peer})
        try:
            yield
        finally:
            os.sched_setaffinity(0, before)


cores = Cores()


def start(
    command: Sequence[str], core: int, *, environment: dict[str, str] | None = None, **options: Any
) -> subprocess.Popen[str]:
    """Start a process on a core, with as many descriptors as the system allows."""
    return subprocess.Popen(
        command,
        env={**os.environ, **(environment or {})},
        text=True,
        cwd=ROOT,
        preexec_fn=lambda: _prepare(core),  # noqa: PLW1509 (one thread only)
        **options,
    )


def _prepare(core: int) -> None:
    # Threads inherit the core, as it is set before the program runs.
    os.sched_setaffinity(0, {core})
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextlib.contextmanager
def listening(backlog: int = 1024) -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=backlog) as listener:
        yield listener


@contextlib.contextmanager
def serving(
    contender: Contender, loop: str, *arguments: str, core: int | None = None
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run a contender's server; give the process and the port, which accepts already.

    Arguments are those of ``bench.contenders.host``: ``--tls``, ``--compression`` …
    """
    with listening() as listener:
        port = listener.getsockname()[1]
        command = contender.server_command(loop, listener.fileno(), arguments)
        process = start(
            command,
            cores.measured if core is None else core,
            environment=contender.environment,
            pass_fds=[listener.fileno()],
        )
    try:
        yield process, port
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def floor(mode: str, core: int | None = None) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run the C server, ``echo`` or ``feed``, by default as the peer of a measured client."""
    with listening() as listener:
        port = listener.getsockname()[1]
        process = start(
            [str(program("server")), mode, str(listener.fileno())],
            cores.peer if core is None else core,
            pass_fds=[listener.fileno()],
        )
    try:
        yield process, port
    finally:
        process.kill()
        process.wait()


def load(mode: str, port: int, pid: int, **options: object) -> dict[str, float]:
    """Run the load generator on a server and return what it prints; see ``c/load.c``.

    Options are those of the program, with underscores: ``depth=64``, ``unverified=True``.
    """
    command = [str(program("load")), mode, str(port), "--pid", str(pid), *arguments(options)]
    return result_of(start(command, cores.peer, stdout=subprocess.PIPE, stderr=subprocess.PIPE))


def client(
    contender: Contender, loop: str, mode: str, port: int, **options: object
) -> dict[str, float]:
    """Run a contender's client, which measures itself; return what it prints.

    Modes are ``echo``, ``consume`` and ``idle``; options are those of ``contenders/clients.py``.
    """
    command = contender.client_command(loop, mode, port, arguments(options))
    return result_of(
        start(
            command,
            cores.measured,
            environment=contender.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    )


def arguments(options: dict[str, object]) -> list[str]:
    """Spell keyword arguments as options of a command line; None and False leave one out."""
    words: list[str] = []
    for name, value in options.items():
        if value is None or value is False:
            continue
        words.append(f"--{name.replace('_', '-')}")
        if value is not True:
            words.append(str(value))
    return words


def result_of(process: subprocess.Popen[str], timeout: float = 120) -> dict[str, float]:
    """Wait for a process and parse the last line that it prints.

    Raises:
        RuntimeError: if the process fails, with what it wrote to standard error; if it does not
            end in time.
    """
    try:
        output, errors = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(str(error)) from None
    finally:
        process.kill()
        process.wait()
    if process.returncode:
        raise RuntimeError(f"{process.args!r} failed ({process.returncode}):\n{errors[-4000:]}")
    if errors:
        print(errors, file=sys.stderr, end="")
    result: dict[str, float] = json.loads(output.splitlines()[-1])
    return result


def metrics_of(result: dict[str, float]) -> dict[str, float]:
    """Turn totals into what a record says: per message, and per second.

    Raises:
        RuntimeError: if no message was exchanged.
    """
    messages, elapsed = result["messages"], result["elapsed"]
    if not messages:
        raise RuntimeError(f"no message in {elapsed:.2f} s")
    metrics = {
        "messages": messages,
        "elapsed_s": result["elapsed"],
        "messages_per_s": round(messages / elapsed, 1),
        "cpu_us": round(result["cpu"] / messages * MICROSECONDS, 4),
        "rss_kib": result["rss"] // 1024,
    }
    # The division is counted in ticks; the sum is taken from the exact clock.
    ticks = result["user"] + result["system"]
    if ticks:
        metrics["user_us"] = round(metrics["cpu_us"] * result["user"] / ticks, 4)
        metrics["system_us"] = round(metrics["cpu_us"] * result["system"] / ticks, 4)
    for name in ("p50", "p99"):
        if name in result:
            metrics[f"{name}_us"] = round(result[name] * MICROSECONDS, 2)
    return metrics
