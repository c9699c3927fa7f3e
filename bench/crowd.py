"""Processes that are spoken to: a server that takes orders, and the swarm that sits at its door."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from .contenders import Contender
from .processes import cores, listening, result_of, start
from .tools import BUILD, program

REQUEST = (
    "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
)
# What browsers offer.
OFFER = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
# An idle server of thousands of connections may still look at its timers.
IDLE_CPU = 0.005
PATIENCE = 60.0


class Talker:
    """A process that answers each line with a line."""

    def __init__(self, process: subprocess.Popen[str], errors: IO[str]) -> None:
        self.process = process
        self.errors = errors

    def __call__(self, *words: object) -> str:
        """Send a line, wait for the answer, and return it.

        Raises:
            RuntimeError: if the process ends instead.
        """
        assert self.process.stdin is not None and self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            print(*words, file=self.process.stdin, flush=True)
        # A process that says nothing for long is ended, and its silence is the error.
        patience = threading.Timer(PATIENCE, self.process.kill)
        patience.start()
        answer = self.process.stdout.readline()
        patience.cancel()
        if not answer:
            self.errors.seek(0)
            log = self.errors.read()[-2000:]
            raise RuntimeError(f"{self.process.args} ended, when told {words}:\n{log}")
        return answer.strip()

    def rss(self) -> int:
        """Return how much memory is resident, in bytes."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def cpu(self) -> float:
        """Return the CPU time of the process, in seconds."""
        # Linux makes the number of a process's clock from that of the process.
        return time.clock_gettime((~self.process.pid << 3) | 2)

    def settle(self) -> None:
        """Wait until the process has nothing left to do, for at most ten seconds."""
        before, end = self.cpu(), time.monotonic() + 10
        while time.monotonic() < end:
            time.sleep(0.5)
            now = self.cpu()
            if now - before < IDLE_CPU:
                break
            before = now


@contextlib.contextmanager
def talking(
    command: list[str], core: int, environment: dict[str, str] | None = None, **options: Any
) -> Iterator[Talker]:
    # What a server logs about clients that vanish at the end interests nobody.
    with tempfile.TemporaryFile("w+") as errors:
        process = start(
            command,
            core,
            environment=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            bufsize=1,
            **options,
        )
        try:
            yield Talker(process, errors)
        finally:
            process.kill()
            process.communicate()


@contextlib.contextmanager
def staging(
    contender: Contender, loop: str, play: str, *arguments: str
) -> Iterator[tuple[Talker, int]]:
    """Run a contender's server under ``contenders/stage.py``; give it and its port."""
    with listening() as listener, contextlib.ExitStack() as stack:
        fd = listener.fileno()
        command = [sys.executable, "-m", "bench.contenders.stage", contender.module, play]
        command += ["--loop", loop, "--fd", str(fd), *arguments]
        server = stack.enter_context(
            talking(command, cores.measured, contender.environment, pass_fds=[fd])
        )
        server("collect")  # It answers once it serves.
        yield server, listener.getsockname()[1]


def request_file(compression: bool) -> Path:
    path = BUILD / ("request-deflate" if compression else "request-plain")
    path.write_text(REQUEST + OFFER * compression + "\r\n", encoding="ascii", newline="")
    return path


def swarming(port: int, *, compression: bool) -> contextlib.AbstractContextManager[Talker]:
    """Run ``c/swarm.c`` against a port of this machine."""
    request = str(request_file(compression))
    return talking([str(program("swarm")), "127.0.0.1", str(port), request], cores.peer)


def flood(port: int, pid: int, kind: str, others: int, seconds: float) -> dict[str, float]:
    """Run ``c/flood.c`` against a port of this machine, and return what it prints."""
    command = [str(program("flood")), str(port), str(pid), str(request_file(False))]
    command += [kind, str(others), str(seconds)]
    return result_of(start(command, cores.peer, stdout=subprocess.PIPE, stderr=subprocess.PIPE))


def held(answer: str) -> list[float]:
    """Parse the answer to the order ``hold``."""
    found: list[float] = json.loads(answer)
    return found
