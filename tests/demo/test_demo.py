"""The demo as a user starts it: without a terminal, with one, and in parts."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

import ropeway

if os.name == "nt":
    pytest.skip("needs pseudo-terminals and signals", allow_module_level=True)

import fcntl
import pty
import termios

DEMO = [sys.executable, "-m", "ropeway.demo"]
PATIENCE = 60
"""Seconds for one thing to happen."""


def demo(*arguments: str, typed: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run the demo to its end, without a terminal."""
    stdin = {"stdin": subprocess.DEVNULL} if typed is None else {"input": typed}
    return subprocess.run(
        [*DEMO, *arguments], capture_output=True, text=True, check=False, timeout=50, **stdin
    )


# Without a terminal


def figures(printed: str) -> dict[str, float]:
    """Read the summary as a user does."""

    def number(pattern: str) -> float:
        found = re.search(pattern, printed)
        assert found is not None, printed
        return float(found[1].replace(",", ""))

    milliseconds = r"\s+([\d.,]+) ms"
    return {
        "opened": number(r"connections +([\d,]+) opened"),
        "received": number(r"messages +([\d,]+) received"),
        "delivered": number(r"received, ([\d,]+) delivered"),
        "chat time": number(r"chatting for ([\d.]+) s"),
        "full time": number(r"flat out for ([\d.]+) s"),
        "chat rate": number(r"chatting for [\d.]+ s +([\d,.]+) "),
        "chat p50": number(rf"chatting.*?s +[\d,.]+{milliseconds}"),
        "chat p99": number(rf"chatting.* ms{milliseconds}"),
        "full rate": number(r"flat out for [\d.]+ s +([\d,.]+) "),
        "full p50": number(rf"flat out.*?s +[\d,.]+{milliseconds}"),
        "full p99": number(rf"flat out.* ms{milliseconds}"),
        "pings": number(r"WebSocket pings \(([\d,]+)\)"),
        "ping p50": number(rf"WebSocket pings \([\d,]+\){milliseconds}"),
    }


def test_without_a_terminal_a_crowd_talks_and_is_measured() -> None:
    started = time.monotonic()
    first = demo()
    took = time.monotonic() - started
    assert (first.returncode, first.stderr) == (0, "")
    assert took > 3
    assert re.search(r"page +http://127\.0\.0\.1:\d+/\n", first.stdout)
    assert "The page answers 200 with" in first.stdout
    assert "Shell: Somebody typed this into a shell while they were chatting." in first.stdout
    assert f"ropeway {ropeway.__version__}, {ropeway.build} build" in first.stdout
    shown = figures(first.stdout)
    # Five tasks and a command line, all of them there at the same time.
    assert shown["opened"] == 6
    assert shown["delivered"] == 6 * shown["received"]
    # The two phases account for what was received, give or take the rounding.
    rated = shown["chat time"] * shown["chat rate"] + shown["full time"] * shown["full rate"]
    assert rated == pytest.approx(shown["received"], rel=0.1)
    assert 0 < shown["chat p50"] <= shown["chat p99"] < 1000 * took
    assert 0 < shown["full p50"] <= shown["full p99"] < 1000 * took
    assert shown["pings"] > 6
    assert shown["ping p50"] > 0

    second = demo("--seconds", "0.6")
    assert second.returncode == 0
    others = figures(second.stdout)
    assert others["received"] < shown["received"]
    assert sum(shown[key] != others[key] for key in shown) > len(shown) / 2


def test_an_output_that_is_plain_ascii_will_do() -> None:
    command = [*DEMO, "--seconds", "0.3"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, env=environment, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"A crowd talks \\u2026" in done.stdout
    assert done.stdout.isascii()


def test_a_crowd_that_is_interrupted_leaves_without_a_trace() -> None:
    with subprocess.Popen(
        [*DEMO, "--seconds", "60"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        while "A crowd talks" not in process.stdout.readline():
            assert process.poll() is None
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors) == (130, "")


# In a terminal


class Terminal:
    """The demo on a pseudo-terminal of its own, which passes Ctrl-C on as one with keys does."""

    def __init__(self, *arguments: str, columns: int) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
        self.screen = ""
        # The first terminal that the leader of a session opens is the one that controls it.
        shell = ["sh", "-c", 'exec "$@" <"$0" >"$0" 2>&1', os.ttyname(slave)]
        self.process = subprocess.Popen(
            [*shell, *DEMO, *arguments],
            env={name: value for name, value in os.environ.items() if name != "COLUMNS"},
            start_new_session=True,
        )
        # Without it, the master would have no other side until the shell has opened one.
        self._slave: int | None = slave

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._let_go()
        os.close(self.master)

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Read the screen until it shows the pattern, after what was waited for before."""
        deadline = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, self.screen)):
            if not self._read(deadline):
                pytest.fail(f"the terminal never showed {pattern!r} in {self.screen!r}")
        self.screen = self.screen[found.end() :]
        return found

    def wait(self) -> int:
        """Read to the end; return the exit code."""
        deadline = time.monotonic() + PATIENCE
        self._let_go()
        while self._read(deadline):
            pass
        return self.process.wait(PATIENCE)

    def _let_go(self) -> None:
        if self._slave is not None:
            os.close(self._slave)
            self._slave = None

    def _read(self, deadline: float) -> bool:
        if not select.select([self.master], [], [], max(0, deadline - time.monotonic()))[0]:
            return False
        try:
            data = os.read(self.master, 4096)
        except OSError:  # Linux says so when the other side is closed
            return False
        self.screen += data.decode()
        return bool(data)


@contextlib.contextmanager
def terminal(*arguments: str, columns: int = 80) -> Iterator[Terminal]:
    opened = Terminal(*arguments, columns=columns)
    try:
        yield opened
    finally:
        opened.close()


def test_in_a_terminal_it_stays_until_ctrl_c() -> None:
    with terminal("--port", "0", "--name", "Ada") as here:
        uri = here.wait_for(r"join (ws://127\.0\.0\.1:\d+/room)")[1]
        here.wait_for("you are in the room as Ada")
        here.type("hello from the keyboard\n")
        here.wait_for(r"Ada: .*hello from the keyboard.*\(\d+\.\d+ ms\)")

        guest = demo("join", uri, "--name", "Bo", typed="first\n\x1b[2J\u202ehostile\n")
        assert (guest.returncode, guest.stderr) == (0, "")
        assert "Ada: " not in guest.stdout  # it was said before
        here.wait_for(r"\* Bo joined \(terminal\)")
        here.wait_for(r"Bo: .*first")
        here.wait_for(r"Bo: .*\\x1b\[2J\\u202ehostile")
        here.wait_for(r"\* Bo left")

        here.type("/who\n")
        here.wait_for(r"\* Ada \(terminal(, [\d.]+ ms)?, you\)")
        here.type("/name Grace\n")
        here.wait_for(r"\* Ada is now Grace")
        here.type("/nonsense\n")
        here.wait_for("/quit: leave")
        assert here.process.poll() is None

        here.type("\x03")
        assert here.wait() == 0
        assert "Traceback" not in here.screen
        assert "2 opened, 2 at once" in here.screen
        assert "3 received, 5 delivered" in here.screen
        assert re.search(r"your messages \(1\) +[\d.]+ ms +[\d.]+ ms", here.screen)


@pytest.mark.parametrize("end", ["/quit\n", "\x04"])
def test_who_leaves_in_a_terminal_leaves_the_room_open(end: str) -> None:
    with terminal("--port", "0") as here:
        uri = here.wait_for(r"join (ws://127\.0\.0\.1:\d+/room)")[1]
        here.wait_for("you are in the room")
        here.type(end)
        here.wait_for("The room stays open until Ctrl-C")
        assert demo("join", uri, typed="anybody?\n").returncode == 0
        here.type("\x03")
        assert here.wait() == 0
        assert "Traceback" not in here.screen
        assert "2 opened, 1 at once" in here.screen


def test_a_long_line_is_folded_above_the_one_being_typed() -> None:
    with terminal("--port", "0", columns=40) as here:
        uri = here.wait_for(r"join (ws://127\.0\.0\.1:\d+/room)")[1]
        here.wait_for("you are in the room")
        demo("join", uri, "--name", "Bo", typed="word " * 20 + "end\n")
        here.wait_for("Bo: ")
        lines = here.wait_for(r"((?:.*\n)*?.*)end")[1].split("\x1b7")
        assert len(lines) > 2
        for line in lines[1:]:
            assert len(re.sub(r"\x1b(\[[\d;]*[A-Za-z]|[78])", "", line).strip("\r\n")) < 40


# In parts


@contextlib.contextmanager
def serving(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run ``serve``; yield the process and the address of the page."""
    with subprocess.Popen(
        [*DEMO, "serve", "--port", "0", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().split()[1]
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_ends_with_a_summary(number: signal.Signals) -> None:
    with serving() as (process, page):
        assert demo("join", page, "--name", "Ada", typed="one\ntwo\n").returncode == 0
        process.send_signal(number)
        printed, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
        assert "Traceback" not in printed
        assert "1 opened, 1 at once" in printed
        assert "2 received, 2 delivered" in printed


def test_join_says_every_line_of_a_pipe_and_hears_it() -> None:
    lines = [f"line {number}" for number in range(200)] + ["x" * 2500, "the last, unended"]
    with serving() as (_, page):
        done = demo("join", page, "--name", "Ada", typed="\n".join(lines))
    assert (done.returncode, done.stderr) == (0, "")
    said = re.findall(r"^Ada: (.*?)  \([\d.,]+ ms\)$", done.stdout, re.MULTILINE)
    assert said == [*lines[:200], "x" * 2000, "x" * 500, "the last, unended"]
    assert "* 203 messages said; round trip p50" in done.stdout


def test_join_ends_when_the_room_does() -> None:
    with serving() as (process, page):
        with subprocess.Popen(
            [*DEMO, "join", page], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as client:
            assert client.stdout is not None
            assert "you are in the room" in client.stdout.readline()
            process.send_signal(signal.SIGTERM)
            # Nothing is typed, and its input stays open.
            assert "the room has closed" in client.stdout.read()
            assert client.wait(PATIENCE) == 0


def test_no_room_is_an_error_of_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        busy = demo("serve", "--port", str(port))
    absent = demo("join", f"ws://127.0.0.1:{port}/room")
    wrong = demo("join", "gopher://127.0.0.1/")
    for done in (busy, absent, wrong):
        assert done.returncode == 1
        assert done.stderr.startswith("ropeway.demo: ")
        assert done.stderr.count("\n") == 1
    assert "scheme" in wrong.stderr
