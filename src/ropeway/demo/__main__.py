"""``python -m ropeway.demo``: a room with a page, you in it, and what was measured."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import getpass
import http.client
import io
import platform
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from .. import __version__, build
from ..exceptions import WebSocketException
from .crowd import perform
from .messages import Malformed
from .room import PATH, Room, open_room
from .summary import Row, Samples, milliseconds, report
from .terminal import Screen, converse, is_terminal
from .visit import endpoint, visit

HOST, PORT = "127.0.0.1", 8765
MODULE = __package__ or "ropeway.demo"


def main(argv: list[str] | None = None) -> int:
    """Run the demo.

    Args:
        argv: the arguments, without the name of the program; those of the process if None.

    Returns:
        The exit code: 0, also after Ctrl-C where that is how to end it; 130 if it ends the crowd
        before its time; 1 if there is no room to open or to join.
    """
    options = _parser().parse_args(argv)
    run: Callable[[argparse.Namespace], int] = options.run
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Not every output can show every language; what is said decides nothing about the demo.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        return run(options)
    except KeyboardInterrupt:
        return 130
    except (OSError, WebSocketException, Malformed, TimeoutError) as exc:
        print(f"ropeway.demo: {exc or type(exc).__name__}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m {MODULE}",
        description="A room in which browser tabs and terminals meet. Without a command: opens the "
        "room and joins you to it; if nobody sits at the terminal, lets a crowd talk for a few "
        "seconds instead. Ends with a summary of what was measured.",
    )
    parser.set_defaults(run=_both)
    _add_address(parser)
    parser.add_argument("--name", help="what to be called in the room")
    parser.add_argument(
        "--seconds", type=float, default=3.0, help="how long the crowd talks (default: 3)"
    )
    commands = parser.add_subparsers(title="commands", metavar="serve | join")
    serve = commands.add_parser("serve", help="open the room only", description="Opens the room.")
    _add_address(serve)
    serve.set_defaults(run=_serve)
    join = commands.add_parser(
        "join",
        help="join a room",
        description="Joins a room. Lines of standard input are said, a line is printed for "
        "everything that happens; /help lists the commands.",
    )
    join.add_argument("uri", help="the address of the page or of the room: http, https, ws, wss")
    join.add_argument("--name", help="what to be called in the room")
    join.set_defaults(run=_join)
    return parser


def _add_address(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default=HOST, help=f"address to listen on (default: {HOST})")
    parser.add_argument(
        "--port",
        type=int,
        help=f"port to listen on, 0 for any free one (default: {PORT} if it is free)",
    )


# The commands


def _both(options: argparse.Namespace) -> int:
    if not is_terminal():
        return _perform(options)
    room, trips, started = Room(), Samples(), time.perf_counter()

    async def run() -> None:
        nonlocal trips
        async with _open(room, options) as address:
            screen = Screen()
            print(f"{_places(address)}\nCtrl-C closes the room.\n", flush=True)
            uri = f"ws://{address}{PATH}"
            async with visit(uri, _name(options), "terminal", screen.listen) as here:
                trips = here.trips
                screen.notice(f"you are in the room as {here.name}; type a line, /help for more")
                await converse(here, screen)
            print("You have left. The room stays open until Ctrl-C.", flush=True)
            await asyncio.Event().wait()

    _until_interrupted(run())
    yours = Row(f"your messages ({trips.count:,})", None, trips)
    print(_report(room, [*_everybody(room, started), yours]))
    return 0


def _serve(options: argparse.Namespace) -> int:
    room, started = Room(), time.perf_counter()

    async def run() -> None:
        async with _open(room, options) as address:
            print(f"{_places(address)}\nCtrl-C closes the room.", flush=True)
            await asyncio.Event().wait()

    _until_interrupted(run())
    print(_report(room, _everybody(room, started)))
    return 0


def _join(options: argparse.Namespace) -> int:
    trips = Samples()

    async def run() -> None:
        nonlocal trips
        screen = Screen()
        uri = endpoint(options.uri)
        async with visit(uri, _name(options), "terminal", screen.listen) as here:
            trips = here.trips
            others = len(here.people) - 1
            screen.notice(f"you are in the room as {here.name}, with {others} more")
            await converse(here, screen)

    _until_interrupted(run())
    middle, most = (milliseconds(trips.percentile(percent)) for percent in (50, 99))
    print(f"* {trips.count:,} messages said; round trip p50 {middle}, p99 {most}")
    return 0


def _perform(options: argparse.Namespace) -> int:
    room = Room(ping_every=0.1)

    async def run() -> list[Row]:
        options.port = options.port or 0
        async with _open(room, options) as address:
            print(_places(address))
            status, size = await asyncio.to_thread(_fetch, address)
            print(f"\nThe page answers {status} with {size:,} bytes. A crowd talks …", flush=True)
            rows, command_line = await perform(room, f"ws://{address}{PATH}", options.seconds)
        print(f"\nWhat the command line client printed ({command_line.count:,} lines):\n")
        print("\n".join(f"  | {line}" for line in command_line.excerpt()), end="\n\n")
        return rows

    print(_report(room, asyncio.run(run())))
    return 0


# What they share


@contextlib.asynccontextmanager
async def _open(room: Room, options: argparse.Namespace) -> AsyncIterator[str]:
    """Open the room where the options say, by default on a port that is the same every time."""
    async with contextlib.AsyncExitStack() as stack:
        port = PORT if options.port is None else options.port
        try:
            address = await stack.enter_async_context(open_room(room, options.host, port))
        except OSError as exc:
            if exc.errno != errno.EADDRINUSE or options.port is not None:
                raise
            address = await stack.enter_async_context(open_room(room, options.host, 0))
        yield address


def _until_interrupted(task: Coroutine[Any, Any, None]) -> None:
    """Run a task until it ends, Ctrl-C is pressed or the process is asked to end."""

    async def run() -> None:
        main_task = asyncio.current_task()
        assert main_task is not None
        with contextlib.suppress(NotImplementedError):  # Windows has no handler for it
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, main_task.cancel)
        await task

    with contextlib.suppress(KeyboardInterrupt, asyncio.CancelledError):
        asyncio.run(run())
        return
    print(flush=True)  # the terminal shows ^C on the line


def _places(address: str) -> str:
    return (
        f"  page      http://{address}/\n"
        f"  terminal  python -m {MODULE} join ws://{address}{PATH} --name NAME"
    )


def _fetch(address: str) -> tuple[int, int]:
    """Ask for the page as a browser does; return the status and the bytes of the body."""
    connection = http.client.HTTPConnection(address, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", "/")
        response = connection.getresponse()
        return response.status, len(response.read())


def _everybody(room: Room, started: float) -> list[Row]:
    seconds = time.perf_counter() - started
    return [
        Row(f"everybody for {seconds:,.1f} s", room.tally.received / seconds, None),
        Row("the busiest second", room.tally.busiest, None),
    ]


def _report(room: Room, rows: list[Row]) -> str:
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return report(f"Measured (ropeway {__version__}, {build} build, {python})", room.tally, rows)


def _name(options: argparse.Namespace) -> str:
    if options.name:
        return str(options.name)
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):
        return "somebody"


if __name__ == "__main__":
    sys.exit(main())
