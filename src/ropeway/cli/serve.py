"""``ropeway serve``: a server to try a client on, or one of your own handler."""

from __future__ import annotations

import argparse
import sys

from .exits import UNREACHABLE
from .target import SECONDS, SIZE, subprotocol

__all__ = ["add_parser", "execute"]

DESCRIPTION = """\
Serves WebSocket connections: with a handler of your own, or with one of these:

  echo        sends every message back to whoever sent it (the default)
  broadcast   sends every message to everybody who is connected

A handler of your own is a coroutine function that takes a connection. MODULE:NAME says where it
is, as import does: app:handler is the handler in ./app.py. It runs once for each connection.
"""

EPILOG = """\
examples:
  ropeway serve                                    an echo server at ws://127.0.0.1:8765
  ropeway serve broadcast --host 0.0.0.0 -p 80     for everybody who reaches this machine
  ropeway serve app:handler --reload               your handler, again after each change
  ropeway serve --unix /run/chat.sock -q           behind a reverse proxy
  ropeway serve --tls cert.pem --key key.pem       wss://; make a certificate to try it with:
      openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost \\
        -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout key.pem -out cert.pem
      ropeway connect wss://localhost:8765 --ca cert.pem

The first line of the output is the address, also with --port 0, which takes a free one.
Ctrl-C or SIGTERM closes all connections with code 1001 and ends it, with exit code 0. With --drain,
SIGTERM closes one after the other with code 1012, so that clients don't come back all at once;
another SIGTERM, or Ctrl-C, closes the rest. Exit code 2 means a mistake in the options or no such
handler, 3 that the address cannot be had.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe ``ropeway serve``."""
    parser = commands.add_parser(
        "serve",
        help="serve: echo, broadcast, or a handler of yours",
        usage="ropeway serve [options] [echo | broadcast | MODULE:NAME]",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "handler", nargs="?", default="echo", metavar="HANDLER", help="what to do with connections"
    )
    group = parser.add_argument_group("address")
    group.add_argument("--host", default="127.0.0.1", help="interface (default: 127.0.0.1)")
    group.add_argument(
        "-p", "--port", type=_port, default=8765, help="port, 0 for any free one (default: 8765)"
    )
    group.add_argument("--unix", metavar="PATH", help="listen on this Unix socket instead")
    group.add_argument("--tls", metavar="FILE", help="speak TLS with this certificate")
    group.add_argument("--key", metavar="FILE", help="its key, unless it is in the same file")
    _add_rules(parser)
    group = parser.add_argument_group("running")
    group.add_argument(
        "--reload", action="store_true",
        help="start again when a Python file below this folder changes; the address stays open",
    )  # fmt: skip
    group.add_argument(
        "--drain", type=SECONDS, default=0.0, metavar="TIME",
        help="on SIGTERM, spread closing over this time (default: 0, all at once)",
    )  # fmt: skip
    group.add_argument("-q", "--quiet", action="store_true", help="don't show connections")
    group.add_argument("--uvloop", action="store_true", help="run on uvloop")
    group.add_argument("--fd", type=int, help=argparse.SUPPRESS)
    parser.set_defaults(execute=execute, parser=parser)


def _add_rules(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("rules")
    group.add_argument(
        "--auth", action="append", type=_credentials, metavar="USER:PASSWORD",
        help="let in only who knows this; may be repeated",
    )  # fmt: skip
    group.add_argument(
        "--origin", action="append", metavar="ORIGIN",
        help="let in only pages of this origin, and clients without one; may be repeated",
    )  # fmt: skip
    group.add_argument(
        "-s", "--subprotocol", action="append", type=subprotocol, metavar="NAME",
        help="speak this subprotocol; may be repeated, in order of preference",
    )  # fmt: skip
    group.add_argument(
        "--max-size", type=SIZE, default=2**20, metavar="BYTES",
        help="longest message to accept, 0 for any (default: 1M)",
    )  # fmt: skip
    group.add_argument(
        "--max-connections", type=_at_least_one, metavar="N", help="turn away more than these"
    )
    group.add_argument(
        "--ping-interval", type=SECONDS, default=20.0, metavar="TIME",
        help="time between keepalive pings, 0 for none (default: 20s)",
    )  # fmt: skip
    group.add_argument("--no-compression", action="store_true", help="accept no compression")


def _credentials(text: str) -> tuple[str, str]:
    user, colon, password = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form USER:PASSWORD")
    return user, password


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 1")
    return int(text)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port number")
    return int(text)


def execute(options: argparse.Namespace) -> int:
    """Serve.

    Args:
        options: as :func:`add_parser` describes them.

    Returns:
        The exit code.
    """
    from . import listening
    from .handlers import NoHandler, find

    context = listening.tls(options)
    if options.reload and options.fd is None:
        from .reload import supervise

        return supervise(options)
    try:
        handler = find(options.handler)
    except NoHandler as exc:
        options.parser.error(str(exc))
    try:
        sock = listening.listen(options)
    except OSError as exc:
        where = options.unix or f"{options.host} port {options.port}"
        print(f"ropeway: can't listen at {where}: {listening.reason(exc)}", file=sys.stderr)
        return UNREACHABLE
    from .running import run
    from .serving import serve

    try:
        return run(
            serve(options, handler, sock, context),
            interrupted=0,
            terminated=0,
            uvloop=options.uvloop,
        )
    finally:
        listening.unlink(options, sock)
