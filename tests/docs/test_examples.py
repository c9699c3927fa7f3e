"""Every program in the documents runs, and prints what the document says."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import ropeway

from ..support.require import require_package
from .documents import CLIENTS, PEERS, Example, documents, examples

ALL = examples()
PORT_IN_DOCUMENTS = "8765"


def environment() -> dict[str, str]:
    """The build that runs here; no proxy between a program and its own server."""
    kept = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    return {**kept, "ROPEWAY_PURE": str(int(ropeway.build == "pure"))}


def command(example: Example, directory: Path, code: str) -> list[str]:
    program = directory / ("server.py" if example.kind == "server" else "program.py")
    program.write_text(code, encoding="utf-8")
    run = ["-m", "ropeway", "run"] if example.kind == "websockets" else []
    return [sys.executable, "-W", "error", *run, str(program)]


def check(example: Example, directory: Path, code: str) -> None:
    done = subprocess.run(
        command(example, directory, code),
        env=environment(),
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout == (example.prints or "")


@contextmanager
def served(example: Example, directory: Path, port: int) -> Iterator[None]:
    """Run a server that never ends by itself, until it is not needed any more."""
    code = example.code.replace(PORT_IN_DOCUMENTS, str(port))
    assert code != example.code, f"{example} does not serve on port {PORT_IN_DOCUMENTS}"
    with subprocess.Popen(
        command(example, directory, code), env=environment(), cwd=directory, stderr=subprocess.PIPE
    ) as server:
        try:
            await_port(server, port)
            yield
            assert server.poll() is None
        finally:
            server.kill()
        assert server.stderr is not None
        assert server.stderr.read() == b""


def await_port(server: subprocess.Popen[bytes], port: int) -> None:
    # A listening socket of another process can't be awaited, only asked for.
    deadline = time.monotonic() + 20
    while server.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail("the server does not listen", pytrace=False)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


@pytest.mark.parametrize("example", [one for one in ALL if one.kind in ("", "websockets")], ids=str)
def test_a_program_runs(example: Example, tmp_path: Path) -> None:
    check(example, tmp_path, example.code)


def pairs() -> Iterator[tuple[Example, Example]]:
    """Yield every client, with the server that it talks to before it."""
    server = None
    for example in ALL:
        if example.kind == "server":
            server = example
        elif example.kind in CLIENTS:
            assert server is not None and server.path == example.path, f"no server for {example}"
            yield server, example


PAIRS = list(pairs())


@pytest.mark.parametrize(("server", "client"), PAIRS, ids=lambda one: str(one))
def test_a_client_talks_to_a_server(server: Example, client: Example, tmp_path: Path) -> None:
    if client.kind in PEERS:
        require_package(client.kind)
    port = free_port()
    with served(server, tmp_path, port):
        check(client, tmp_path, client.code.replace(PORT_IN_DOCUMENTS, str(port)))


def test_every_example_is_run() -> None:
    kinds = [example.kind for example in ALL]
    assert set(kinds) == {"", "websockets", "server", *CLIENTS}
    assert {server for server, _ in PAIRS} == {one for one in ALL if one.kind == "server"}
    fences = sum(
        len(re.findall(r"^ *```py", path.read_text(encoding="utf-8"), re.MULTILINE))
        for path in documents()
    )
    assert fences == len(ALL)
