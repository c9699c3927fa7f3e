"""The process of a contender: ``python -m bench.contenders.host MODULE MODE --loop LOOP …``."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import inspect
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType


@dataclass(frozen=True)
class Options:
    """What a server is asked for; whatever is not asked for is off or at its default."""

    tls: ssl.SSLContext | None
    compression: bool
    certificate: Path | None


def loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    if name == "uvloop":
        import uvloop

        return uvloop.new_event_loop
    return None


def server_context(certificate: Path | None) -> ssl.SSLContext | None:
    """Make the context of a server from a file that holds the certificate and its key."""
    if certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


async def serve(module: ModuleType, fd: int, options: Options) -> None:
    await module.serve(socket.socket(fileno=fd), options)
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("module")
    parser.add_argument("mode", choices=["serve", "echo", "consume", "idle"])
    parser.add_argument("--loop", default="asyncio")
    parser.add_argument("--fd", type=int)
    parser.add_argument("--tls", type=Path, help="certificate and key of a TLS server")
    parser.add_argument("--compression", action="store_true")
    options, rest = parser.parse_known_args()
    module = importlib.import_module(f"bench.contenders.{options.module}_")
    if options.loop == "trio":
        import trio

        asked = Options(server_context(options.tls), options.compression, options.tls)
        trio.run(module.serve, socket.socket(fileno=options.fd), asked)
        return
    if options.mode == "idle":
        from .clients import hold_idle

        hold_idle(module.idle, rest)
        return
    with asyncio.Runner(loop_factory=loop_factory(options.loop)) as runner:
        if options.mode == "serve":
            asked = Options(server_context(options.tls), options.compression, options.tls)
            runner.run(serve(module, options.fd, asked))
        else:
            from .clients import Job, measure, measure_threads

            job = Job.parse(rest)
            function = getattr(module, options.mode)
            if inspect.iscoroutinefunction(function):
                runner.run(measure(function, job))
            else:
                measure_threads(function, job)


if __name__ == "__main__":
    main()
