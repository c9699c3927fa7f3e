"""``ropeway serve``: echo, broadcast, a handler of one's own; reloading; how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import trustme

from ropeway.asyncio.client import connect, unix_connect
from ropeway.asyncio.server import serve
from ropeway.cli import handlers
from ropeway.exceptions import InvalidStatus

from .conftest import COMMAND, Ropeway

Serving = Callable[..., "AbstractContextManager[Server]"]

HANDLER = """
async def handler(websocket):
    await websocket.send({text!r})
"""


class Server:
    """A running ``ropeway serve``."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        self.first_line = process.stdout.readline().rstrip()
        self.uri = self.first_line.rpartition(" at ")[2]

    def next_complaint(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.readline().rstrip()

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(20)


@pytest.fixture
def serving(environment: dict[str, str], tmp_path: Path) -> Serving:
    """Run ``ropeway serve`` on a free port until it is no longer needed."""

    @contextlib.contextmanager
    def serve(*arguments: str) -> Iterator[Server]:
        command = [*COMMAND, "serve", "--port", "0"]
        with subprocess.Popen(
            [*command, *arguments],
            env=environment,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield Server(process)
            finally:
                process.terminate()
                process.wait(20)

    return serve


async def test_echo(serving: Serving) -> None:
    with serving() as server:
        assert server.first_line.startswith("serving echo at ws://127.0.0.1:")
        async with connect(server.uri) as client:
            await client.send("hello")
            assert await client.recv() == "hello"
            await client.send(b"bytes")
            assert await client.recv() == b"bytes"


async def test_broadcast(serving: Serving) -> None:
    with serving("broadcast", "-q") as server:
        async with connect(server.uri) as one, connect(server.uri) as other:
            # They are there once they have had an answer.
            await other.send("hello")
            await other.recv()
            await one.send("to everybody")
            for client in (one, other):
                while await client.recv() != "to everybody":
                    pass


async def test_a_handler_of_ones_own(serving: Serving, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(HANDLER.format(text="mine"))
    with serving("app:handler") as server:
        async with connect(server.uri) as client:
            assert await client.recv() == "mine"


def test_connections_are_shown(serving: Serving, ropeway_command: Ropeway) -> None:
    with serving("-s", "chat") as server:
        ropeway_command(f"{server.uri}/some?where", "-s", "chat", stdin=b"hello\n")
        assert server.next_complaint().endswith("/some?where connected, subprotocol chat")
        closed = server.next_complaint()
        assert "#1 closed: received 1000 (OK); then sent 1000 (OK); 1 messages in, 1 out" in closed


async def test_rules(serving: Serving) -> None:
    rules = ["--auth", "alice:secret", "--origin", "https://example.org", "--no-compression"]
    with serving(*rules, "--max-size", "10", "-q") as server:
        with pytest.raises(InvalidStatus, match="401"):
            await connect(server.uri)
        uri = server.uri.replace("://", "://alice:secret@")
        with pytest.raises(InvalidStatus, match="403"):
            await connect(uri, origin="https://elsewhere.example")  # type: ignore[arg-type]
        async with connect(uri) as client:
            assert not client.protocol.extensions
            await client.send("x" * 11)
            await client.wait_closed()
            assert client.close_code == 1009


async def test_max_connections(serving: Serving) -> None:
    with serving("--max-connections", "1", "-q") as server:
        async with connect(server.uri):
            with pytest.raises(InvalidStatus, match="503"):
                await connect(server.uri)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_ending_says_goodbye(serving: Serving, number: signal.Signals) -> None:
    with serving("-q") as server:
        async with connect(server.uri) as client:
            server.process.send_signal(number)
            await client.wait_closed()
            assert client.close_code == 1001
        assert server.process.wait(20) == 0
        assert server.process.stderr is not None
        assert server.process.stderr.read() == ""


async def test_draining_says_goodbye_to_one_after_the_other(serving: Serving) -> None:
    with serving("-q", "--drain", "300ms") as server:
        async with connect(server.uri) as first, connect(server.uri) as second:
            await first.send("hello")
            await second.send("hello")
            assert await first.recv() == await second.recv() == "hello"
            server.process.send_signal(signal.SIGTERM)
            await asyncio.gather(first.wait_closed(), second.wait_closed())
            assert first.close_code == second.close_code == 1012
        assert server.process.wait(20) == 0
        assert server.process.stderr is not None
        assert server.process.stderr.read() == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_draining_can_be_cut_short(serving: Serving, number: signal.Signals) -> None:
    with serving("-q", "--drain", "5m") as server:
        async with connect(server.uri) as first, connect(server.uri) as second:
            await first.send("hello")
            await second.send("hello")
            assert await first.recv() == await second.recv() == "hello"
            server.process.send_signal(signal.SIGTERM)
            ends = [asyncio.create_task(one.wait_closed()) for one in (first, second)]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            server.process.send_signal(number)
            await asyncio.wait(ends)
            assert sorted([first.close_code or 0, second.close_code or 0]) == [1001, 1012]
        assert server.process.wait(20) == 0


async def test_a_unix_socket(serving: Serving, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(path))  # of a server that died
    with serving("--unix", str(path)) as server:
        assert server.first_line == f"serving echo at ws://localhost/ on the Unix socket {path}"
        assert stat.S_ISSOCK(path.stat().st_mode)
        async with unix_connect(str(path)) as client:
            await client.send("hello")
            assert await client.recv() == "hello"
        with serving("--unix", str(path)) as second:
            assert second.process.wait(20) == 3
            assert "Address already in use" in second.next_complaint()
        assert server.end() == 0
    assert not path.exists()


def test_tls(serving: Serving, ropeway_command: Ropeway, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    issued = authority.issue_cert("localhost", "127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    with serving("--tls", "server.pem") as server:
        assert server.uri.startswith("wss://127.0.0.1:")
        done = ropeway_command(server.uri, "--ca", "ca.pem", stdin=b"hello\n")
        assert done.stdout == b"hello\n"


async def test_uvloop(serving: Serving) -> None:
    pytest.importorskip("uvloop")
    with serving("--uvloop") as server:
        async with connect(server.uri) as client:
            await client.send("hello")
            assert await client.recv() == "hello"


def test_an_address_that_is_taken(ropeway_command: Ropeway) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for option in ([], ["--reload"]):
            done = ropeway_command("serve", "-p", str(port), *option, check=3)
            complaint = f"ropeway: can't listen at 127.0.0.1 port {port}: Address already in use\n"
            assert done.stderr.decode() == complaint


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["ecco"], "'ecco' is neither echo nor broadcast nor of the form module:handler"),
        (["app.py:handler"], "'app.py:handler' is a file; name the module: app:handler"),
        (["./some/app.py"], "name the module: some.app:handler"),
        (["no_such:handler"], "no module 'no_such' in "),
        (["app:missing"], "module 'app' has no 'missing'"),
        (["app:text"], "'app:text' is no function but of type str"),
        (["-p", "70000"], "'70000' is not a port number"),
        (["--tls", "missing.pem"], "can't load 'missing.pem': No such file"),
        (["--key", "key.pem"], "--key needs --tls"),
        (["--max-size", "-1"], "'-1' is not a number of bytes"),
    ],
)
def test_mistakes_are_explained(
    ropeway_command: Ropeway, tmp_path: Path, arguments: list[str], complaint: str
) -> None:
    (tmp_path / "app.py").write_text("text = 'x'\n")
    done = ropeway_command("serve", *arguments, check=2)
    assert complaint in done.stderr.decode()
    assert b"Traceback" not in done.stderr


def test_a_mistake_in_the_module_is_shown_as_it_is(
    ropeway_command: Ropeway, tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text("import no_such_module\n")
    done = ropeway_command("serve", "app:handler", check=1)
    assert b"No module named 'no_such_module'" in done.stderr


def test_a_traceback_does_not_act_on_the_terminal(
    serving: Serving, ropeway_command: Ropeway, tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text(
        "async def handler(websocket):\n    raise ValueError(await websocket.recv())\n"
    )
    with serving("app:handler", "-q") as server:
        done = ropeway_command(server.uri, stdin=b"\x1b[2J\n", check=1)
        assert b"1011 (internal error)" in done.stderr
        server.process.terminate()
        assert server.process.stderr is not None
        errors = server.process.stderr.read()
    assert errors.endswith("ValueError: \\x1b[2J\n")
    assert "\x1b" not in errors


async def test_broadcasting_goes_on_without_who_does_not_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(handlers, "MOST_PENDING", 2**16)
    async with serve(handlers.find("broadcast"), "127.0.0.1", 0, compression=None) as server:
        uri = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with connect(uri) as reading, connect(uri, max_queue=1, close_timeout=1) as slow:
            await slow.send("here")
            while await reading.recv() != "here":
                pass
            while len(server.connections) == 2:
                await reading.send(bytes(2**16))
                await reading.recv()
            assert [one.remote_address for one in server.connections] == [reading.local_address]


# Reloading


@pytest.mark.parametrize(
    "arguments",
    [
        ("app:handler", "--reload", "-q"),
        ("--rel", "-q", "--", "app:handler"),
        ("-q", "app:handler", "--reload", "--drain", "1h"),
    ],
    ids=["plainly", "abbreviated", "with a time that a change does not wait for"],
)
async def test_reloading(serving: Serving, tmp_path: Path, arguments: list[str]) -> None:
    app = tmp_path / "app.py"
    app.write_text(HANDLER.format(text="one"))
    with serving(*arguments) as server:
        async with connect(server.uri) as client:
            assert await client.recv() == "one"
        replace(app, HANDLER.format(text="two"))
        assert server.next_complaint() == "ropeway: app.py changed, starting again"
        # The address stays open: this waits in its queue for the next process.
        async with connect(server.uri) as client:
            assert await client.recv() == "two"
        assert server.end() == 0


async def test_reloading_after_a_mistake(serving: Serving, tmp_path: Path) -> None:
    app = tmp_path / "app.py"
    app.write_text("x = =\n")
    with serving("app:handler", "--reload", "-q") as server:
        while "SyntaxError" not in server.next_complaint():
            assert server.process.poll() is None
        (tmp_path / ".hidden").mkdir()
        (tmp_path / ".hidden" / "other.py").write_text("")
        replace(app, HANDLER.format(text="mended"))
        async with connect(server.uri) as client:
            assert await client.recv() == "mended"


async def test_terminating_the_parent_ends_the_child(serving: Serving, tmp_path: Path) -> None:
    with serving("echo", "--reload", "-q", "--unix", str(tmp_path / "socket")) as server:
        async with unix_connect(str(tmp_path / "socket")) as client:
            assert server.process.poll() is None
            server.process.send_signal(signal.SIGTERM)
            await client.wait_closed()
            assert client.close_code == 1001
        assert server.process.wait(20) == 0
    assert os.listdir(tmp_path) == []


def replace(path: Path, text: str) -> None:
    """Write a file as editors do: whoever looks sees the old one or the new one."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(path)
