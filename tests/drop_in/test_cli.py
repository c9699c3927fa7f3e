"""``python -m websockets`` and ``websockets.cli`` on ropeway: the same arguments and exit codes."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from ropeway.asyncio.server import serve

from ..support.require import require_package
from ..support.tls import TLS

ON = {
    "websockets": ("-m", "websockets"),
    "ropeway": ("-m", "ropeway", "run", "-m", "websockets"),
}


async def behave(connection: Any) -> None:
    if connection.request.path == "/close":
        await connection.close(4000, "enough")
    async for message in connection:
        await connection.send(f"heard {message}")


def refuse(connection: Any, request: Any) -> Any:
    if request.path == "/forbidden":
        return connection.respond(HTTPStatus.FORBIDDEN, "no way up\n")
    return None


def talk(
    library: str, *arguments: str, stdin: str = "", tls: TLS | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end, with PORT in its arguments replaced by that of a server."""
    if library == "websockets":
        require_package("websockets")

    async def run() -> subprocess.CompletedProcess[str]:
        context = tls and tls.server_context
        serving = serve(behave, "127.0.0.1", 0, process_request=refuse, ssl=context)
        async with serving as server:
            port = next(iter(server.sockets)).getsockname()[1]
            filled = (one.replace("PORT", str(port)) for one in arguments)
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, *ON[library], *filled),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            printed, logged = await process.communicate(stdin.encode())
            assert process.returncode is not None
            return subprocess.CompletedProcess(
                arguments, process.returncode, printed.decode(), logged.decode()
            )

    return asyncio.run(run())


@pytest.mark.parametrize("library", ON)
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("ws://127.0.0.1:PORT/",), 0),
        (("ws://127.0.0.1:PORT/close",), 0),
        (("ws://127.0.0.1:PORT/forbidden",), 1),
        (("ws://127.0.0.1:1/",), 1),
        (("http://127.0.0.1:PORT/",), 1),
        (("--version",), 0),
        (("--help",), 0),
        ((), 2),
        (("ws://127.0.0.1:PORT/", "ws://127.0.0.1:PORT/"), 2),
        (("--nonsense",), 2),
    ],
    ids=repr,
)
def test_exit_codes(library: str, arguments: tuple[str, ...], code: int) -> None:
    done = talk(library, *arguments)
    assert done.returncode == code, done
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("library", ON)
def test_any_certificate_will_do_if_asked_for(library: str, tls: TLS) -> None:
    assert talk(library, "wss://localhost:PORT/", tls=tls).returncode == 1
    assert talk(library, "--insecure", "wss://localhost:PORT/", tls=tls).returncode == 0


@pytest.mark.parametrize("library", ON)
def test_words(library: str) -> None:
    assert talk(library, "--version").stdout == "websockets 17.4\n"
    usage = r"usage: websockets \[.*--help\] \[--insecure\] \[--version\] \[<uri>\]\n"
    assert re.match(usage, talk(library, "--help").stdout)
    assert re.match(usage, talk(library).stdout + talk(library).stderr)


def test_messages() -> None:
    done = talk("ropeway", "ws://127.0.0.1:PORT/", stdin="one\ntwo\n")
    assert done.stdout == "heard one\nheard two\n"


@pytest.mark.parametrize("library", ["ropeway", "websockets"])
def test_a_program_calls_it(library: str, tmp_path: Path) -> None:
    require_package("websockets")
    program = tmp_path / "program.py"
    program.write_text("from websockets.cli import main\nmain(['--version'])\n")
    run = ("-m", "ropeway", "run") if library == "ropeway" else ()
    printed = subprocess.run(
        [sys.executable, *run, str(program)], capture_output=True, text=True, check=True
    )
    assert printed.stdout == "websockets 17.4\n"


def test_the_modules_are_found_like_the_others() -> None:
    code = """
import ropeway; ropeway.install_as_websockets()
import websockets.__main__, websockets.cli
from ropeway.cli import as_websockets
assert websockets.cli is as_websockets
assert websockets.cli.__name__ == "ropeway.cli.as_websockets"
assert websockets.__main__.main is as_websockets.main
try:
    import websockets.cli.run
except ModuleNotFoundError:
    pass
else:
    raise AssertionError("rooms of ropeway's own are not websockets'")
"""
    subprocess.run([sys.executable, "-c", code], check=True)
