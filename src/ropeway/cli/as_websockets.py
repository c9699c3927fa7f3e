"""What ``websockets.cli`` gives after ``install_as_websockets()``: its arguments, its exit codes.

The conversation itself is that of ``ropeway connect``.
"""

from __future__ import annotations

import argparse

from . import main as run_command
from .exits import CLOSED_BADLY, INTERRUPTED

__all__ = ["main"]


def main(argv: list[str] | None = None) -> None:
    """Talk to a server, with the arguments of ``python -m websockets``.

    Args:
        argv: the arguments, without the name of the program; those of the process if None.

    Raises:
        SystemExit: with code 1 if no connection could be made, 2 for mistakes in the arguments,
            0 for ``--help`` and ``--version``.
    """
    from ..drop_in import COMPATIBLE

    parser = argparse.ArgumentParser(
        prog="websockets",
        description="Talk to a WebSocket server, in a terminal or in a pipe.",
        add_help=False,
    )
    parser.add_argument("--help", action="help", help="show this")
    parser.add_argument("--insecure", action="store_true", help="accept any certificate")
    parser.add_argument("--version", action="version", version=f"websockets {COMPATIBLE}")
    parser.add_argument("uri", metavar="<uri>", nargs="?", help="ws:// or wss://")
    options = parser.parse_args(argv)
    if options.uri is None:
        parser.print_usage()
        raise SystemExit(2)
    try:
        code = run_command(["connect", *(["--insecure"] * options.insecure), "--", options.uri])
    except SystemExit:  # not a URI; that has been said
        raise SystemExit(1) from None
    # A connection that was open is a success there, however it ended.
    if code not in (0, CLOSED_BADLY, INTERRUPTED):
        raise SystemExit(1)
