"""``ropeway bench``: what it sends, what it counts, what it shows."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ropeway.cli.latencies import MOST_ROWS, Latencies, bars, duration

from ..support.require import require_package
from .conftest import COMMAND, Background, Ropeway

QUICK = ("-d", "300ms", "--warmup", "50ms")


def measured(ropeway_command: Ropeway, *arguments: str, check: int = 0) -> dict[str, Any]:
    done = ropeway_command("bench", *arguments, *QUICK, "--json", check=check)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


# What is measured


def test_as_many_as_are_answered(ropeway_command: Ropeway, uri: str, server: Background) -> None:
    result = measured(ropeway_command, uri, "-c", "3", "--in-flight", "4")
    assert server.connections == result["opened"] == result["connections"] == 3
    assert result["sent"] == result["received"] > 0
    assert result["messages_per_second"] * result["duration"] <= result["received"]
    latency = result["latency"]
    assert 0 < latency["min"] <= latency["p50"] <= latency["p99"] <= latency["max"]
    assert sum(result["histogram"].values()) == result["received"]
    assert result["unanswered"] == result["different"] == 0
    assert result["errors"] == {}


def test_at_a_rate(ropeway_command: Ropeway, uri: str) -> None:
    result = measured(ropeway_command, uri, "-c", "2", "--rate", "100", "--binary", "--size", "1k")
    # 300 ms at 100 messages a second; a busy machine may make the period longer, not shorter.
    assert 28 <= result["sent"] <= 100 * result["duration"] + 10
    assert result["received"] == result["sent"]
    assert result["size"] == 1024


def test_a_rate_that_nobody_can_bear(ropeway_command: Ropeway, uri: str) -> None:
    arguments = ["bench", uri, "-c", "2", "--rate", "10000000", *QUICK, "--json"]
    result = json.loads(ropeway_command(*arguments, check=None).stdout)
    assert 0 < result["received"] <= result["sent"]
    assert result["duration"] < 10
    # What was due and not sent in time counts against the server, or who measures.
    assert result["latency"]["max"] > 0.1


def test_one_way(ropeway_command: Ropeway, uri: str) -> None:
    result = measured(ropeway_command, uri, "-c", "2", "--one-way")
    assert result["sent"] > 0
    assert result["latency"] is None
    assert result["messages_per_second"] > 0
    at_a_rate = measured(ropeway_command, uri, "-c", "2", "--one-way", "-r", "100")
    assert at_a_rate["sent"] >= 28


def test_a_server_that_does_not_answer(ropeway_command: Ropeway, uri: str) -> None:
    result = measured(ropeway_command, f"{uri}/wait", "-c", "2", check=1)
    assert result["received"] == 0
    assert result["unanswered"] == 2


def test_a_server_that_says_something_else(ropeway_command: Ropeway, uri: str) -> None:
    result = measured(ropeway_command, f"{uri}/other", "-c", "1", check=1)
    assert result["different"] >= result["received"] > 0
    assert result["errors"] == {}
    done = ropeway_command("bench", f"{uri}/other", *QUICK, check=1)
    assert b"different from the message: not an echo server?" in done.stdout


def test_connections_that_are_lost(ropeway_command: Ropeway, uri: str) -> None:
    result = measured(ropeway_command, f"{uri}/drop", "-c", "2", check=1)
    assert result["errors"] == {"connection lost: no close frame received or sent": 2}
    text = ropeway_command("bench", f"{uri}/drop", "-c", "2", *QUICK, check=1).stdout.decode()
    assert "! 2 messages unanswered" in text
    assert "! 2 × connection lost: no close frame received or sent" in text


def test_a_server_that_refuses(ropeway_command: Ropeway, uri: str) -> None:
    done = ropeway_command("bench", f"{uri}/no", "-c", "100", check=4)
    assert done.stdout == b""
    assert b"HTTP 403 Forbidden: not \\x1b[31myou" in done.stderr


def test_interrupting_shows_what_there_is(
    environment: dict[str, str], uri: str, server: Background
) -> None:
    command = [*COMMAND, "bench", uri, "--json", "-d", "1h", "--warmup", "0"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        server.await_connections(10)
        process.send_signal(signal.SIGINT)
        result = json.loads(process.stdout.read())
        assert process.wait(20) == 130
    assert result["connections"] == 10


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["-c", "0"], "'0' is not a positive number"),
        (["-r", "nan"], "'nan' is not a positive number"),
        (["-r", "-5"], "'-5' is not a positive number"),
        (["-d", "0"], "--duration has to be positive"),
        (["--in-flight", "1.5"], "'1.5' is not a positive number"),
    ],
)
def test_mistakes_are_explained(
    ropeway_command: Ropeway, arguments: list[str], complaint: str
) -> None:
    done = ropeway_command("bench", "ws://localhost", *arguments, check=2)
    assert complaint in done.stderr.decode()


# What is shown


def test_a_table_and_a_histogram(ropeway_command: Ropeway, uri: str) -> None:
    done = ropeway_command("bench", uri, "-c", "2", *QUICK)
    text = done.stdout.decode()
    assert f"{uri}: 2 connections, text messages of 125 bytes, 1 in flight on each" in text
    for word in ("messages/s", "payload", "p99.9", "answer", "handshake", "≤ ", "█"):
        assert word in text
    assert done.stderr == b""


def test_a_terminal_without_unicode(
    ropeway_command: Ropeway, uri: str, environment: dict[str, str]
) -> None:
    environment["PYTHONIOENCODING"] = "ascii"
    text = ropeway_command("bench", uri, "-c", "1", *QUICK).stdout.decode("ascii")
    assert "<= " in text
    assert "#" in text
    assert "?" not in text


@pytest.mark.parametrize("way", ["rich", "plain"])
def test_progress_in_a_terminal(uri: str, environment: dict[str, str], way: str) -> None:
    if sys.platform == "win32":
        pytest.skip("pseudo-terminals are of Unix")
    require_package("pyte")
    if way == "rich":
        require_package("rich")
    from .terminals import in_terminal

    plain = ["--plain"] if way == "plain" else []
    arguments = ["bench", uri, "-c", "2", "-d", "2s", "--warmup", "0", *plain]
    with in_terminal(arguments, environment, columns=100) as terminal:
        terminal.expect("measuring", "messages/s", "p99", "%")
        assert terminal.end() == 0
        assert "measuring" not in terminal.text
        terminal.expect("text messages of 125 bytes", "handshake", "█")


def test_no_progress_if_not_wanted(uri: str, environment: dict[str, str]) -> None:
    require_package("pyte")
    from .terminals import in_terminal

    with in_terminal(["bench", uri, "-c", "1", *QUICK, "-q"], environment) as terminal:
        assert terminal.end() == 0
        assert b"measuring" not in terminal.output


# Latencies


@given(some.lists(some.integers(0, 10**14), min_size=1), some.floats(0, 100))
def test_percentiles_are_off_by_less_than_a_hundredth(values: list[int], percent: float) -> None:
    latencies = Latencies()
    for value in values:
        latencies.add(value)
    rank = max(1, -(-len(values) * percent // 100))
    exact = sorted(values)[int(rank) - 1]
    found = round(latencies.percentile(percent) * 1e9)
    assert exact <= found + 1e-3 * found
    assert found <= exact * 1.008 + 1
    assert latencies.count == len(values)
    assert latencies.mean == pytest.approx(sum(values) / len(values) / 1e9)


@given(some.lists(some.integers(0, 10**14), min_size=1))
def test_every_duration_is_in_a_row(values: list[int]) -> None:
    latencies = Latencies()
    for value in values:
        latencies.add(value)
    rows = bars(latencies)
    assert sum(count for _, count in rows) == len(values)
    assert len(rows) <= MOST_ROWS
    assert rows[0][1] and rows[-1][1]
    assert [bound for bound, _ in rows] == sorted({bound for bound, _ in rows})


def test_nothing_was_measured() -> None:
    latencies = Latencies()
    assert bars(latencies) == []
    assert latencies.summary()["p99"] == 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 µs"),
        (0.0000015, "1.50 µs"),
        (0.000012, "12 µs"),
        (0.0009994, "999 µs"),
        (0.0012345, "1.23 ms"),
        (0.0123, "12.3 ms"),
        (0.9999, "1.00 s"),
        (75, "75.00 s"),
    ],
)
def test_durations_have_three_digits(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_bar_for_everything_that_happened(environment: dict[str, str]) -> None:
    from ropeway.cli.report import _bar

    assert _bar(0) == ""
    assert _bar(1e-9) in ("▏", "#")
    assert len(_bar(1)) == 40
