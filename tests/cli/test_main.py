"""The command line itself: what it says, and with which exit code."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys

import pytest

import ropeway
from ropeway.cli import _parser

URI = "ws://localhost:1"


def ropeway_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ropeway", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_version_names_the_build() -> None:
    done = ropeway_command("--version")
    assert done.returncode == 0
    assert done.stdout.startswith(f"ropeway {ropeway.__version__} ({ropeway.build} build, ")


def test_help_teaches_by_examples() -> None:
    done = ropeway_command("--help")
    assert done.returncode == 0
    assert "run a program written for websockets on ropeway" in done.stdout
    for command in ("ropeway wss://", "ropeway serve", "ropeway bench", "ropeway run app.py"):
        assert command in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("command", ["connect", "serve", "bench"])
def test_help_of_a_command_teaches_by_examples(command: str) -> None:
    done = ropeway_command(command, "--help")
    assert done.returncode == 0
    assert "examples:" in done.stdout
    assert f"  ropeway {command} " in done.stdout
    assert "exit code" in done.stdout.lower()
    assert max(map(len, done.stdout.splitlines())) <= 100


@pytest.mark.parametrize("command", ["connect", "serve", "bench"])
def test_examples_of_the_help_are_options_that_there_are(command: str) -> None:
    text = ropeway_command(command, "--help").stdout
    examples = [
        re.split(r"\s{2,}", line.strip())[0]
        for line in text.splitlines()
        if line.startswith(f"  ropeway {command} ")
    ]
    assert examples
    for example in examples:
        words = shlex.split(example.partition(" < ")[0].partition(" > ")[0].partition(" | ")[0])
        given = vars(_parser().parse_args(words[1:]))
        if "64k" in words:
            assert given["size"] == 64 * 1024


def test_help_of_run_says_what_it_does_not_do() -> None:
    done = ropeway_command("run", "--help")
    assert done.returncode == 0
    assert "Processes that the program starts are not changed" in done.stdout


def test_without_a_command_it_shows_the_help() -> None:
    done = ropeway_command()
    assert done.returncode == 2
    assert done.stdout == ropeway_command("--help").stdout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["run"], "a script or -m module is required"),
        (["run", "-m"], "a script or -m module is required"),
        (["fly"], "invalid choice: 'fly'"),
        (["--unknown"], "unrecognized arguments: --unknown"),
        (["serve", "--max-connections", "0"], "'0' is not a number of at least 1"),
        (["serve", "--auth", "ann"], "'ann' is not of the form USER:PASSWORD"),
        (["serve", "--subprotocol", "a b"], "'a b' is no subprotocol"),
        (["connect", URI, "--subprotocol", "a,b"], "'a,b' is no subprotocol"),
        (["connect", URI, "--origin", "a\nb"], "'a\\nb' has a control character"),
        (["connect", URI, "--user-agent", "a\x7f"], "'a\\x7f' has a control character"),
        (["connect", URI, "--proxy", "ftp://b"], "ftp://b isn't a valid proxy: scheme ftp"),
        (["connect", URI, "--proxy", "http://b/c"], "http://b/c isn't a valid proxy: path"),
        (["connect", "wss://localhost:1", "--key", "key.pem"], "--key needs --cert"),
        (["bench", URI, "--key", "key.pem"], "--key needs --cert"),
    ],
)
def test_mistakes_are_explained(arguments: list[str], complaint: str) -> None:
    done = ropeway_command(*arguments)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert done.stderr.startswith("usage: ropeway")


@pytest.mark.parametrize("arguments", [[], ["connect"], ["serve"], ["bench"], ["run"]])
def test_help_loads_no_event_library(arguments: list[str]) -> None:
    code = """
import contextlib, io, sys
from ropeway.cli import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main(sys.argv[1:] + ["--help"])
print("asyncio" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
