"""One attack on one server: the processes, the figures, and the lines that must hold.

An attack is a function of a ``Stage``, and its own lines stand in it. Those that every attack has
to keep (``Stage.common``) are the victim's latency, and that nothing is left behind.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.certificate import certificate_file
from bench.crowd import Talker, talking
from bench.processes import cores, listening

from .raw import Crowd, Raw
from .subjects import FRONT_ENDS, Subject

MIB = 1 << 20
KIB = 1 << 10
DEFAULTS: dict[str, Any] = {
    "open_timeout": 10,
    "ping_interval": 20,
    "ping_timeout": 20,
    "close_timeout": 10,
    "max_size": MIB,
    "max_queue": 16,
    "write_limit": 32 * KIB,
}
VICTIM_P99 = 10.0
"""Milliseconds that a victim's 99th percentile may reach, whatever it is without an attack."""
TIMES_BASELINE = 3
LEFT = 8 * MIB
"""Bytes of resident memory that may be more than before, once an attack is over."""
SETTLING = 5.0
IDLE_P99 = 1.0
"""Milliseconds that a victim's 99th percentile may be where nobody else uses the machine."""
QUICK_SLACK = 3.0
TIMES = ("s", "ms")
SIZES = ("KiB", "MiB")
STARVING = 5000.0
"""Milliseconds; who waits for longer is starved, however busy the machine is."""
COMPLAINTS = ("Traceback", "never retrieved", "was never awaited", "Exception ignored", "destroyed")
"""What no attack may bring into a log."""


@dataclass(frozen=True)
class Line:
    """A figure that has a limit: at most, or at least."""

    name: str
    value: float
    limit: float
    unit: str = ""
    at_least: bool = False

    @property
    def holds(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def __str__(self) -> str:
        sign = ("≥" if self.at_least else "≤") if self.holds else ("<" if self.at_least else ">")
        return f"{self.name}: {self.value:g} {sign} {self.limit:g} {self.unit}".rstrip()


@dataclass(frozen=True)
class Attack:
    """What is done to a server.

    ``limits`` are options of ``serve`` for quick runs, which have no time for the defaults.
    """

    row: int
    name: str
    must_hold: str
    run: Callable[[Stage], None]
    quick: bool = True
    limits: dict[str, Any] = field(default_factory=dict)
    always: dict[str, Any] = field(default_factory=dict)
    """Options of full runs too, where quick ones don't say otherwise."""
    tls: bool = False
    victim: bool = True
    """Whether a victim is there all the time; an attack that measures CPU time has none."""
    without: frozenset[str] = frozenset()
    """Of the common lines, those that this attack does not ask for."""
    front_ends: tuple[str, ...] = FRONT_ENDS
    peers: tuple[str, ...] = ("websockets", "aiohttp", "picows")
    arguments: tuple[str, ...] = ()
    """For the server's command line."""
    known: dict[str, str] = field(default_factory=dict)
    """Lines that a front end misses, ``"front end: line"``, and why: the tests let them pass."""

    def is_known(self, front_end: str, line: str) -> bool:
        """Tell whether a front end, or every one, is known to miss a line."""
        return f"{front_end}: {line}" in self.known or f"all: {line}" in self.known

    @property
    def id(self) -> str:
        return f"{self.row}-{self.name.replace(' ', '-')}"


@dataclass
class Report:
    """What came of an attack."""

    row: int
    attack: str
    subject: str
    figures: dict[str, Any] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    error: str = ""

    @property
    def misses(self) -> list[str]:
        errors = [self.error] if self.error else []
        return errors + [str(line) for line in self.lines if not line.holds]

    def as_data(self) -> dict[str, Any]:
        lines = [{**asdict(line), "holds": line.holds} for line in self.lines]
        return {**asdict(self), "lines": lines, "holds": not self.misses}


class Server:
    """A server process, and what the kernel knows about it."""

    def __init__(self, talker: Talker, port: int) -> None:
        self.talker = talker
        self.port = port
        self.pid = talker.process.pid

    def rss(self) -> int:
        return self.talker.rss()

    def peak(self) -> int:
        """Give the most memory that was resident since ``forget_peak``, in bytes."""
        for line in Path(f"/proc/{self.pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * KIB
        raise RuntimeError("the kernel tells no peak of the memory")

    def forget_peak(self) -> None:
        Path(f"/proc/{self.pid}/clear_refs").write_text("5", encoding="ascii")

    def cpu(self) -> float:
        return self.talker.cpu()

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def tasks(self) -> int:
        return int(self.talker("tasks"))

    def collect(self) -> None:
        self.talker("collect")

    def log(self) -> str:
        # Not by seek: the server writes at the same offset.
        file = self.talker.errors.fileno()
        return os.pread(file, os.fstat(file).st_size, 0).decode(errors="replace")

    def lives(self) -> bool:
        return self.talker.process.poll() is None


class Victim:
    """The honest peer in its process."""

    def __init__(self, talker: Talker) -> None:
        self.talker = talker

    def mark(self) -> None:
        self.talker("mark")

    def figures(self) -> dict[str, Any]:
        return dict(json.loads(self.talker("figures")))

    def pause(self) -> None:
        self.talker("pause")

    def go(self) -> None:
        self.talker("go")


@contextlib.contextmanager
def serving(
    subject: Subject,
    options: dict[str, Any],
    *,
    tls: bool = False,
    arguments: tuple[str, ...] = (),
) -> Iterator[Server]:
    """Run a server; it answers when this is entered."""
    with listening() as listener, contextlib.ExitStack() as stack:
        fd = listener.fileno()
        command = [sys.executable, "-m", subject.program, *subject.arguments, "--fd", str(fd)]
        command += ["--options", json.dumps(options), *arguments]
        if tls:
            command += ["--tls", str(certificate_file())]
        talker = stack.enter_context(
            talking(command, cores.measured, subject.environment, pass_fds=[fd])
        )
        talker("collect")
        port = listener.getsockname()[1]
        listener.close()
        yield Server(talker, port)


@contextlib.contextmanager
def honest(port: int, kind: str = "echo", *, tls: bool = False) -> Iterator[Victim]:
    command = [sys.executable, "-m", "tests.attacks.victim", str(port), kind]
    with talking(command + ["--tls"] * tls, cores.peer) as talker:
        talker("mark")
        yield Victim(talker)


class Stage:
    """What an attack is given: a server, a victim, sizes, and where its figures go."""

    def __init__(
        self, attack: Attack, subject: Subject, *, full: bool, control: Victim | None = None
    ) -> None:
        self.attack = attack
        self.subject = subject
        self.full = full
        self.control = control
        self.report = Report(attack.row, attack.name, subject.name)
        options = attack.always if full else {**attack.always, **attack.limits}
        self.options = {} if subject.is_peer else options
        self.server: Server
        self.victim: Victim | None = None
        self.base = 0
        self.tasks = 0
        self.baseline: dict[str, Any] = {}
        self.stack = contextlib.ExitStack()

    # For attacks

    def size(self, quick: int, full: int) -> int:
        """Choose by how much time there is."""
        return full if self.full else quick

    def limit(self, name: str) -> Any:
        """Give an option of ``serve`` as this server has it."""
        return self.options.get(name, DEFAULTS[name])

    def note(self, **figures: Any) -> None:
        """Add figures that have no limit."""
        self.report.figures.update(figures)

    def most(self, name: str, value: float, limit: float, unit: str = "") -> None:
        """Add a line: at most."""
        self.report.lines.append(Line(name, _rounded(value), _rounded(limit), unit))

    def least(self, name: str, value: float, limit: float, unit: str = "") -> None:
        """Add a line: at least."""
        self.report.lines.append(Line(name, _rounded(value), _rounded(limit), unit, True))

    def equal(self, name: str, value: object, *allowed: object) -> None:
        """Add a line: one of these values."""
        self.note(**{name: value})
        wrong = f"{name} is {value!r}" if value not in allowed else name
        self.report.lines.append(Line(wrong, int(value not in allowed), 0, "wrong"))

    def raw(self, opening: bytes | None = None, **options: Any) -> Raw:
        """Open a connection that is reset at the end of the attack, if it is still there."""
        raw = Raw(self.server.port, opening, **options)
        self.stack.callback(raw.reset)
        return raw

    def crowd(self) -> Crowd:
        return self.stack.enter_context(Crowd(self.server.port))

    def rest(self) -> None:
        """Take what is resident now as the start, for attacks that prepare something first."""
        self.server.forget_peak()
        self.base = self.server.rss()

    def growth(self) -> int:
        """Give by how much the memory has grown at most, in bytes."""
        return max(0, self.server.peak() - self.base)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Have the victim be quiet meanwhile."""
        if self.victim is not None:
            self.victim.pause()
        try:
            yield
        finally:
            if self.victim is not None:
                self.victim.go()

    # The frame around one

    def perform(self) -> Report:
        """Run the attack; whatever goes wrong is in the report."""
        started = time.monotonic()
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        try:
            with contextlib.ExitStack() as processes:
                self._perform(processes)
        except Exception:
            self.report.error = traceback.format_exc(limit=-3)
        self.note(seconds=round(time.monotonic() - started, 1))
        return self.report

    def _perform(self, processes: contextlib.ExitStack) -> None:
        attack = self.attack
        self.server = server = processes.enter_context(
            serving(self.subject, self.options, tls=attack.tls, arguments=attack.arguments)
        )
        if attack.victim:
            self.victim = processes.enter_context(honest(server.port, tls=attack.tls))
            time.sleep(self.size(5, 10) / 10)
            self.victim.mark()
            time.sleep(self.size(5, 20) / 10)
            self.baseline = self.victim.figures()
        else:
            # What a server makes for its first connection is none of an attack's.
            with honest(server.port, tls=attack.tls):
                time.sleep(0.1)
        server.collect()
        with self.alone():  # an answer that is still being written may be a task of its own
            self.tasks = min(server.tasks() for _ in range(10))
        descriptors, start = server.descriptors(), server.rss()
        self.rest()
        for one in (self.victim, self.control):
            if one is not None:
                one.mark()
        with self.stack:
            attack.run(self)
            victim = self.victim.figures() if self.victim is not None else None
            peak = server.peak() if server.lives() else 0
        if victim is not None:
            self._judge_victim(victim)
        if server.lives():
            with self.alone():
                self._judge_rest(descriptors, start)
            self.note(rss_start_mib=_rounded(start / MIB), rss_peak_mib=_rounded(peak / MIB))
        if not self.full:
            self._allow_for_noise()
        log = server.log()
        complaints = sum(log.count(word) for word in COMPLAINTS)
        self.note(complaints=complaints)
        if not self.subject.is_peer:
            # The peers' programs let exceptions of closed connections end their handlers.
            self._common("log", "complaints in the log", complaints, 0)
        if complaints:
            self.note(log=log[-2000:])

    def _common(self, key: str, name: str, value: float, limit: float, unit: str = "") -> None:
        if key not in self.attack.without:
            self.most(name, value, limit, unit)

    def _allow_for_noise(self) -> None:
        """Raise the limits of sizes, and of times, by more where the machine is slow.

        A quick run tells whether somebody starves or is forgotten, and whether memory has a bound,
        a full one by how much: what a process takes for itself counts for more where it is shared
        by few connections.
        """
        control = 0.0 if self.control is None else self.usual() or 0.0
        slower = max(QUICK_SLACK, control / IDLE_P99)
        starving = {"ms": STARVING, "s": 0.0}
        for index, line in enumerate(self.report.lines):
            if line.unit in TIMES:
                limit = max(line.limit * slower, starving[line.unit])
            elif line.unit in SIZES and not line.at_least:
                limit = line.limit * QUICK_SLACK
            else:
                continue
            self.report.lines[index] = replace(line, limit=_rounded(limit))

    def usual(self) -> float | None:
        """Give the 99th percentile that is usual here, in milliseconds, without an attack.

        It is the victim's before the attack; where other tests run at the same time, that of a
        victim of a server in peace may be more. None where neither had an answer: nothing is known
        then, and nothing allowed for.
        """
        control = {} if self.control is None else self.control.figures()
        found = [one.get("p99_ms") for one in (self.baseline, control)]
        return max((float(p99) for p99 in found if p99 is not None), default=None)

    def _judge_victim(self, victim: dict[str, Any]) -> None:
        usual = self.usual()
        names = ("p50_ms", "p99_ms", "max_ms")
        self.note(**{f"victim_{name}": victim[name] for name in names})
        self.note(baseline_p99_ms=usual)
        if "victim" not in self.attack.without:
            self.equal("victim_ended", victim["ended"], "")
        limit = max(VICTIM_P99, TIMES_BASELINE * (usual or 0.0))
        self._common("victim", "victim p99", worst(victim), limit, "ms")

    def _judge_rest(self, descriptors: int, start: int) -> None:
        """Wait until everything is as it was, for a while at most, and judge what is left."""
        server, end = self.server, time.monotonic() + SETTLING
        while True:
            now = (server.tasks(), server.descriptors())
            left = server.rss() - start
            over = now[0] <= self.tasks and now[1] <= descriptors and left <= LEFT
            if over or time.monotonic() >= end:
                break
            time.sleep(0.1)
        if left > LEFT:
            # Cycles of the TLS transports wait for the collector: late, but no leak.
            self.note(left_before_collecting_mib=_rounded(left / MIB))
            server.collect()
            left = server.rss() - start
        self.note(tasks_left=now[0] - self.tasks, descriptors_left=now[1] - descriptors)
        self.note(rss_end_mib=_rounded(server.rss() / MIB))
        self._common("tasks", "tasks left", now[0] - self.tasks, 0)
        self._common("descriptors", "descriptors left", now[1] - descriptors, 0)
        self._common("memory", "memory left", left / MIB, LEFT / MIB, "MiB")


def worst(figures: dict[str, Any]) -> float:
    """Give the 99th percentile; who never had an answer waits without end."""
    p99 = figures["p99_ms"]
    return math.inf if p99 is None else float(p99)


def _rounded(value: float) -> float:
    return round(value, 3)


ATTACKS: list[Attack] = []


def attack(
    row: int, name: str, must_hold: str, **options: Any
) -> Callable[[Callable[[Stage], None]], Callable[[Stage], None]]:
    """Register a function as an attack; see ``Attack`` for the options."""

    def register(function: Callable[[Stage], None]) -> Callable[[Stage], None]:
        ATTACKS.append(Attack(row, name, must_hold, function, **options))
        return function

    return register
