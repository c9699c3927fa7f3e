"""The ``ropeway`` command: one module here for each of its commands.

A command is a module with two functions, ``add_parser(commands)``, which describes it, and
``execute(options)``, which runs it and returns the exit code. What it needs from the rest of the
package it imports when it runs: ``ropeway --help`` loads no event library.
"""

from __future__ import annotations

import argparse
import io
import os
import platform
import re
import sys
from collections.abc import Callable, Sequence

from .. import __version__, build
from . import bench, connect, run, serve
from .exits import INTERRUPTED

__all__ = ["main"]

COMMANDS = {"connect": connect, "serve": serve, "bench": bench, "run": run}

EPILOG = """\
examples:
  ropeway wss://example.org/chat      talk to a server; short for: ropeway connect URI
  ropeway serve                       an echo server; also: broadcast, or a handler of yours
  ropeway bench ws://localhost:8765   how much a server can do, how long its answers take
  ropeway run app.py --port 8000      run a program written for websockets on ropeway
  ropeway run -m pytest tests         the same for a module
  ropeway run --help                  what exactly that does
  python -m ropeway.demo              a room with a page, and you in it
"""


def main(argv: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: the arguments, without the name of the program; those of the process if None.

    Returns:
        The exit code.

    Raises:
        SystemExit: for ``--help``, ``--version`` and mistakes in the arguments (code 2), and
            whatever a program that is run raises.
    """
    arguments = sys.argv[1:] if argv is None else argv
    if _is_uri(arguments):
        arguments = ["connect", *arguments]
    parser = _parser()
    options = parser.parse_args(arguments, argparse.Namespace(arguments=arguments))
    execute: Callable[[argparse.Namespace], int] | None = options.execute
    if execute is None:
        parser.print_help()
        return 2
    if execute is run.execute:  # the program sees what python would have shown it
        return execute(options)
    _open_standard_streams()
    try:
        return execute(options)
    except KeyboardInterrupt:  # before the command was ready to end in order
        return INTERRUPTED


def _open_standard_streams() -> None:
    """Open what was closed by whoever started this: a socket must not get one of these numbers."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Not every terminal can show every language.
        sys.stdout.reconfigure(errors="backslashreplace")


def _is_uri(arguments: Sequence[str]) -> bool:
    """Tell whether there is a URI, perhaps with options, in the place of a command."""
    if not arguments or arguments[0] in COMMANDS:
        return False
    # What lacks the scheme only is nearly one: connect says what it could have been.
    return any("://" in one for one in arguments) or bool(_NEARLY(arguments[0]))


_NEARLY = re.compile(r"[\w.-]*:\d+(/\S*)?").fullmatch


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ropeway",
        description="WebSockets for Python: a client and a server with the API of websockets.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    python = f"{platform.python_implementation()} {platform.python_version()}"
    version = f"ropeway {__version__} ({build} build, {python})"
    parser.add_argument("--version", action="version", version=version)
    parser.set_defaults(execute=None)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for command in COMMANDS.values():
        command.add_parser(commands)
    return parser
