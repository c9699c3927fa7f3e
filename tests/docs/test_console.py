"""Every console in the documents shows what happens: its commands run, and print what it shows.

A ```` ```console ```` block has commands behind ``$``, run by a shell in a folder of the document's
own, and their output. ``…`` stands for any text on a line; on a line of its own, for any lines.
```` ```console serve ```` is a command that stays, until the next one; it listens on port 8765, for
which the test takes a free one. A program that begins with ``# NAME.py`` is a file in the folder.
"""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from ..architecture.tree import ROOT
from .documents import BLOCK, documents
from .test_examples import PORT_IN_DOCUMENTS, environment, free_port

FILE_NAME = re.compile(r"# (\w+\.py)\n")


@dataclass(frozen=True)
class Console:
    """A block, and the server that the one before it has started, if any."""

    path: Path
    line: int
    text: str
    server: str | None

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}"

    def commands(self) -> list[tuple[str, str]]:
        """Give each command with the output that is shown for it."""
        parts = re.split(r"^\$ (.*)\n", self.text, flags=re.MULTILINE)
        assert parts[0] == "", f"{self} does not begin with a command"
        return list(zip(parts[1::2], parts[2::2], strict=True))


def consoles() -> list[Console]:
    found = []
    for path in documents():
        text = path.read_text(encoding="utf-8")
        server = None
        for block in BLOCK.finditer(text):
            language, kind, content = block.groups()
            if language == "console":
                if kind:
                    server = content
                line = text.count("\n", 0, block.start()) + 1
                found.append(Console(path, line, "" if kind else content, server))
    return found


ALL = consoles()


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder with the files of a document, and the command ``ropeway`` that runs here."""
    console: Console = request.getfixturevalue("console")
    for block in BLOCK.finditer(console.path.read_text(encoding="utf-8")):
        if name := FILE_NAME.match(block[3]):
            (tmp_path / name[1]).write_text(block[3], encoding="utf-8")
    (tmp_path / ".bin").mkdir()
    command = tmp_path / ".bin" / "ropeway"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m ropeway "$@"\n')
    command.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize("console", [one for one in ALL if one.text], ids=str)
def test_a_console_shows_what_happens(console: Console, folder: Path) -> None:
    port = str(free_port())
    variables = environment()
    variables["PATH"] = f"{folder / '.bin'}:{variables['PATH']}"

    def start(command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["sh", "-c", f"exec {command}" if command.startswith("ropeway serve") else command],
            cwd=folder,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    assert console.server is not None
    (command, shown) = re.match(r"\$ (.*)\n(.*\n)", console.server).groups()  # type: ignore[union-attr]
    with start(f"{command} --port {port}") as server:
        try:
            assert server.stdout is not None
            assert server.stdout.readline().replace(port, PORT_IN_DOCUMENTS) == shown
            for command, shown in console.commands():
                with start(command.replace(PORT_IN_DOCUMENTS, port)) as process:
                    printed, _ = process.communicate(timeout=40)
                assert matches(printed.replace(port, PORT_IN_DOCUMENTS), shown), printed
        finally:
            server.send_signal(signal.SIGTERM)
        server.wait(20)


def matches(printed: str, shown: str) -> bool:
    any_lines = shown.replace("\n…\n", "\n\0")
    pattern = re.escape(any_lines).replace("\0", "(?:.*\n)*").replace("…", ".*")
    return re.fullmatch(pattern, printed) is not None


def test_a_console_is_held_to_its_words() -> None:
    assert matches("a 1 b\nc\nd\n", "a … b\n…\n")
    assert matches("a\n", "a\n")
    assert not matches("a\nb\n", "a\n")
    assert not matches("a\n\n", "a\n")
    assert len(ALL) > 0
