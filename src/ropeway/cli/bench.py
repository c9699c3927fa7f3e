"""``ropeway bench``: how much a server can do, and how long its answers take."""

from __future__ import annotations

import argparse

from .exits import INTERRUPTED
from .target import SECONDS, SIZE, add_options, argument, target_from

__all__ = ["add_parser", "execute"]

DESCRIPTION = """\
Puts load on a server that sends an answer to every message, such as an echo server, and measures
the time from each message to its answer.

Without --rate, each connection sends its next message when an answer has arrived: as fast as the
server answers. With --rate, messages are sent at fixed times, whether the server keeps up or not,
and each answer is timed from when its message was due: that shows what users see at that load.
Measure the latency at a rate that the server can bear, not at its limit.
"""

EPILOG = """\
examples:
  ropeway bench ws://localhost:8765                      10 connections, 125 bytes, 10 seconds
  ropeway bench ws://localhost:8765 -c 1000 -r 20000     1000 connections, 20000 messages a second
  ropeway bench ws://localhost:8765 -c 1 --in-flight 64  one connection, pipelined
  ropeway bench ws://localhost:8765 --size 64k --binary -d 1m
  ropeway bench ws://localhost:8765 --json > before.json

exit codes:
  0    all messages were answered
  1    some were not, or connections failed or were lost
  2    mistake in the options
  3, 4 the server could not be reached, or refused the handshake
  130  interrupted by Ctrl-C; what was measured until then is shown
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe ``ropeway bench``."""
    parser = commands.add_parser(
        "bench",
        help="put load on a server, show rate and latency",
        usage="ropeway bench [options] URI",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    group = parser.add_argument_group("load")
    group.add_argument(
        "-c", "--connections", type=COUNT, default=10, metavar="N", help="connections (default: 10)"
    )
    group.add_argument(
        "-r", "--rate", type=RATE, metavar="N",
        help="messages a second over all connections (default: as many as are answered)",
    )  # fmt: skip
    group.add_argument(
        "--in-flight", type=COUNT, default=1, metavar="N",
        help="messages in flight on each connection, without --rate (default: 1)",
    )  # fmt: skip
    group.add_argument(
        "--size", type=SIZE, default=125, metavar="BYTES", help="size of a message (default: 125)"
    )
    group.add_argument("--binary", action="store_true", help="send binary messages, not text")
    group.add_argument(
        "-d", "--duration", type=SECONDS, default=10.0, metavar="TIME",
        help="time to measure (default: 10s)",
    )  # fmt: skip
    group.add_argument(
        "--warmup", type=SECONDS, default=1.0, metavar="TIME",
        help="time before that, which does not count (default: 1s)",
    )  # fmt: skip
    group.add_argument(
        "--one-way", action="store_true",
        help="expect no answers: measure how fast messages are taken",
    )  # fmt: skip
    group = parser.add_argument_group("output")
    group.add_argument("--json", action="store_true", help="write the result as JSON")
    group.add_argument("-q", "--quiet", action="store_true", help="show no progress")
    group.add_argument(
        "--plain",
        action="store_true",
        help="don't use rich: no colours, ASCII bars in old terminals",
    )
    group.add_argument("--uvloop", action="store_true", help="run on uvloop")
    add_options(parser)
    parser.set_defaults(execute=execute, parser=parser)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise ValueError(text)
    return int(text)


def _rate(text: str) -> float:
    rate = float(text)
    if not 0 < rate < 1e9:
        raise ValueError(text)
    return rate


COUNT = argument(_count, "a positive number")
RATE = argument(_rate, "a positive number")


def execute(options: argparse.Namespace) -> int:
    """Measure.

    Args:
        options: as :func:`add_parser` describes them.

    Returns:
        The exit code.
    """
    target = target_from(options)
    if options.duration <= 0:
        options.parser.error("--duration has to be positive")
    from .load import Plan
    from .measuring import measure
    from .running import run

    plan = Plan(
        connections=options.connections,
        size=options.size,
        binary=options.binary,
        rate=options.rate,
        depth=options.in_flight,
        duration=options.duration,
        warmup=options.warmup,
        one_way=options.one_way,
    )

    main = measure(plan, target, options)
    return run(main, interrupted=INTERRUPTED, uvloop=options.uvloop)
