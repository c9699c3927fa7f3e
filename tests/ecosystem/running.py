"""Run a program of a package, on the original websockets or on ropeway, and note all it does."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import re
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from ..architecture.tree import ROOT
from ..support.tls import make_tls
from .cases import Case
from .environments import interpreter
from .services import SERVICES
from .visitors import VISITORS, Visitor
from .visits import Record, lasting

HERE = Path(__file__).parent

PATIENCE = 30
"""Seconds for a program to come to its end."""

SUBJECTS = ("original", "compiled", "pure")
"""What a program runs on: websockets itself, or one of ropeway's builds."""

QUALIFIED = re.compile(r"\b(websockets|ropeway)(?=\.[a-z])")


@dataclass(frozen=True)
class Run:
    """What one run of a program has shown."""

    module: str
    """Where the classes come from that the program found in websockets."""
    printed: str
    witnessed: str
    """What the other side saw."""
    errors: str
    """What was written to standard error; it is for people, and not compared."""
    status: int | None


@functools.cache
def run(case: Case, subject: str) -> Run:
    """Run a program.

    Args:
        case: the program and its peer.
        subject: what it runs on, one of ``SUBJECTS``.
    """
    with tempfile.TemporaryDirectory() as folder:
        if case.service is not None:
            return asyncio.run(_run_client(case, subject, Path(folder)))
        return asyncio.run(_run_server(case, subject, Path(folder)))


async def _run_client(case: Case, subject: str, folder: Path) -> Run:
    assert case.service is not None
    async with _serving(case.service, folder) as (uri, record):
        async with _started(case, subject, folder, uri, *case.arguments) as process:
            printed, errors = await process.communicate()
    return _result(folder, printed, record.text(), errors, process.returncode)


@asynccontextmanager
async def _serving(name: str, folder: Path) -> AsyncIterator[tuple[str, Record]]:
    from websockets.asyncio.server import serve

    service, record = SERVICES[name], Record()
    options = {**service.options, "process_request": service.process_request(record)}
    scheme, host = "ws", "127.0.0.1"
    if service.tls:
        tls = make_tls(folder)
        options["ssl"] = tls.server_context
        scheme, host = "wss", tls.hostname
    async with serve(service.handler(record), "127.0.0.1", 0, **options) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"{scheme}://{host}:{port}", record


async def _run_server(case: Case, subject: str, folder: Path) -> Run:
    assert case.visitor is not None
    async with _started(case, subject, folder, *case.arguments) as process:
        assert process.stdout is not None
        first = await process.stdout.readline()
        if first:
            visitor = Visitor(int(first))
            await VISITORS[case.visitor](visitor)
            process.send_signal(signal.SIGTERM)
        printed, errors = await process.communicate()
    seen = "\n".join(visitor.seen) if first else ""
    return _result(folder, printed, seen, errors, process.returncode)


@asynccontextmanager
async def _started(
    case: Case, subject: str, folder: Path, *arguments: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    on_ropeway = () if subject == "original" else ("-m", "ropeway", "run")
    command = [
        *(str(interpreter(case.environment)), "-W", "ignore::DeprecationWarning", *on_ropeway),
        *(str(HERE / "run.py"), str(folder / "said.json")),
        *(str(HERE / "programs" / f"{case.program}.py"), *arguments),
    ]
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env=_environment(subject, folder),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(PATIENCE):
            yield process
    except BaseException as exc:
        if process.returncode is None:
            process.kill()
        printed, errors = await process.communicate()
        for stream in (printed, errors):
            exc.add_note(stream.decode(errors="replace")[-4000:])
        raise


def _environment(subject: str, folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    kept |= {"PYTHONPATH": str(ROOT / "src"), "PYTHONHASHSEED": "0", "PYTHONUNBUFFERED": "1"}
    if subject != "original":
        kept["ROPEWAY_PURE"] = str(int(subject == "pure"))
    if (folder / "ca.pem").exists():
        kept["SSL_CERT_FILE"] = str(folder / "ca.pem")
    return kept


def _result(folder: Path, printed: bytes, witnessed: str, errors: bytes, status: int | None) -> Run:
    said = folder / "said.json"
    module = json.loads(said.read_text(encoding="utf-8"))["module"] if said.exists() else ""
    # An exception says where its class is at home: in tracebacks, and where programs show that.
    shown = QUALIFIED.sub("websockets", lasting(printed.decode()))
    return Run(module, shown, witnessed, errors.decode(), status)
