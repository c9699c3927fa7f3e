"""What every server program here has: its command line, and orders on standard input.

An order is a line; it is answered with a line of JSON. A thread answers, so that a server need not
know about it, whatever it runs on.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import resource
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Orders = dict[str, Callable[..., Any]]


@dataclass(frozen=True)
class Asked:
    """What the command line asks for; ``options`` are those of ``serve``."""

    listener: socket.socket
    context: ssl.SSLContext | None
    certificate: Path | None
    options: dict[str, Any]
    loop: str
    module: str | None


def asked() -> Asked:
    """Parse the command line, and apply what is for the process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("module", nargs="?", help="of a peer, in bench/contenders")
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--tls", type=Path, help="certificate and key")
    parser.add_argument("--options", type=json.loads, default={}, help="of serve, in JSON")
    parser.add_argument("--descriptors", type=int, help="how many this process may have open")
    parser.add_argument("--quiet", action="store_true", help="log nothing of handlers that fail")
    parser.add_argument("--loop", default="asyncio")
    given = parser.parse_args()
    if given.descriptors is not None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (given.descriptors, given.descriptors))
    if given.quiet:
        logging.getLogger("ropeway.server").setLevel(logging.CRITICAL)
    context = None
    if given.tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(given.tls)
    listener = socket.socket(fileno=given.fd)
    return Asked(listener, context, given.tls, given.options, given.loop, given.module)


def obey(orders: Orders) -> None:
    """Answer orders from now on, besides those that every server has."""
    known = {"collect": gc.collect, "garbage": lambda: len(gc.garbage), **orders}
    threading.Thread(target=_answer, args=[known], daemon=True).start()


def _answer(orders: Orders) -> None:
    # Not sys.stdin: its lock, held by a daemon thread, would abort the interpreter's shutdown.
    unread = b""
    while data := os.read(0, 4096):
        *lines, unread = (unread + data).split(b"\n")
        for line in lines:
            name, *arguments = line.decode().split()
            os.write(1, json.dumps(orders[name](*arguments)).encode() + b"\n")
