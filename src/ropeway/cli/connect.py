"""``ropeway connect``: a conversation with a server, in a terminal or in a pipe."""

from __future__ import annotations

import argparse
import sys

from .exits import CODES, INTERRUPTED
from .target import SECONDS, add_options, target_from

__all__ = ["add_parser", "execute"]

DESCRIPTION = """\
Connects to a WebSocket server.

In a terminal: type a line, it is sent; what arrives is shown. Lines that start with a slash are
commands: /help lists them. Ctrl-D closes the connection.

When standard input or output is not a terminal: each line of the input is sent as a message, each
message that arrives is a line of the output, everything else goes to standard error. At the end
of the input the connection is closed, and what arrives until then is written.
"""

EPILOG = (
    """\
examples:
  ropeway connect wss://example.org/chat          talk to a server
  ropeway wss://example.org/chat                  the same
  echo hello | ropeway ws://localhost:8765        send one message, print what comes back
  ropeway ws://localhost:8765 -n | jq .price      read a feed, for ever
  ropeway ws://localhost:8765 -n -c 1             wait for one message
  ropeway wss://example.org/feed --reconnect -x '{"op": "subscribe"}'
                                                  subscribe, again after each reconnection
  ropeway wss://localhost:8765 --ca ca.pem        a server with a private authority
  ropeway wss://example.org -H 'Cookie: id=7' --auth alice

formats of lines (--format):
  text    a line is a text message; binary messages are written in hexadecimal. Control characters
          are escaped (\\x1b), white space between the tokens of JSON is put on one line
  hex     a line is a binary message in hexadecimal; base64: the same in base64
  json    a line is an object: {"type": "text", "data": "hello"}, "binary" with base64 as data,
          {"type": "ping"}, {"type": "close", "code": 1000, "reason": ""}; in the output also
          "open", "pong" and "close"

"""
    + CODES
)


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe ``ropeway connect``."""
    parser = commands.add_parser(
        "connect",
        help="talk to a server, in a terminal or in a pipe",
        usage="ropeway [connect] [options] URI",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_options(parser)
    group = parser.add_argument_group("conversation")
    group.add_argument(
        "-x", "--send", action="append", default=[], metavar="MESSAGE",
        help="send this first, on every connection; may be repeated",
    )  # fmt: skip
    group.add_argument(
        "--reconnect", action="store_true",
        help="connect again when the connection fails or is closed",
    )  # fmt: skip
    group.add_argument(
        "-c", "--count", type=_count, metavar="N", help="leave after N messages have arrived"
    )
    group.add_argument(
        "-n", "--no-input", action="store_true", help="read nothing, only write what arrives"
    )
    group.add_argument(
        "-w", "--wait", type=SECONDS, default=0.0, metavar="TIME",
        help="time to stay after the end of the input (default: 0)",
    )  # fmt: skip
    _add_appearance(parser)
    parser.set_defaults(execute=execute, parser=parser)


def _add_appearance(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("appearance")
    group.add_argument(
        "-f", "--format", choices=("text", "hex", "base64", "json"), default="text",
        help="what lines of a pipe look like (default: text; see below)",
    )  # fmt: skip
    group.add_argument(
        "--raw", action="store_true",
        help="write messages as they are: text with a line end behind it, binary without; in a "
        "terminal, JSON is not laid out",
    )  # fmt: skip
    group.add_argument(
        "--whole", action="store_true", help="show long messages whole in a terminal"
    )
    group.add_argument("-t", "--timestamps", action="store_true", help="write when it arrived")
    group.add_argument("-v", "--verbose", action="count", default=0, help="show the handshake")
    group.add_argument(
        "--color", choices=("auto", "always", "never"), default="auto",
        help="colours in a terminal (default: auto: unless NO_COLOR is set)",
    )  # fmt: skip
    group.add_argument(
        "--plain", action="store_true", help="don't use prompt_toolkit: no history, no editing"
    )
    group.add_argument("--no-history", action="store_true", help="keep nothing of what is typed")


def _count(text: str) -> int:
    try:
        count = int(text)
    except ValueError:
        count = 0
    if count < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return count


def execute(options: argparse.Namespace) -> int:
    """Connect.

    Args:
        options: as :func:`add_parser` describes them.

    Returns:
        The exit code.
    """
    target = target_from(options)
    from . import pipe, terminal
    from .running import run

    interactive = sys.stdin.isatty() and sys.stdout.isatty() and not options.no_input
    main = terminal.run if interactive else pipe.run
    return run(main(options, target), interrupted=INTERRUPTED)
