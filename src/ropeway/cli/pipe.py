"""``ropeway connect`` in a pipe: lines in, lines out, and an exit code."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import sys
import time
from typing import TYPE_CHECKING, Any

from ..exceptions import ConnectionClosed, ProtocolError
from .exits import BROKEN_PIPE, CLOSED_BADLY, USAGE
from .lines import FORMATS, Close, Malformed, Message, Ping, write_object
from .session import Session
from .streams import LineTooLong, Output, lines
from .target import Target
from .text import printable

if TYPE_CHECKING:
    from ..asyncio.client import ClientConnection

__all__ = ["run"]

AHEAD = 256
"""Frames that may wait to be written: room for the last answers, once the close frame is sent."""


class Pipe:
    """Writes what happens to standard output, and what went wrong to standard error.

    Args:
        options: the command line.
        target: the server.
        output: standard output.
    """

    def __init__(self, options: argparse.Namespace, target: Target, output: Output) -> None:
        self._format = FORMATS[options.format]
        self._raw: bool = options.raw
        self._timestamps: bool = options.timestamps
        self._verbose: int = options.verbose
        self._complete: bool = options.count is None
        self._target = target
        self.output = output

    async def opened(self, connection: ClientConnection) -> None:
        subprotocol = connection.subprotocol
        if self._verbose:
            from .handshake import exchange

            for line in exchange(connection):
                complain(line)
        await self._event(type="open", uri=self._target.shown, subprotocol=subprotocol)

    async def message(self, message: Message) -> None:
        if self._raw:
            data = message if isinstance(message, bytes) else f"{message}\n".encode()
            await self.output.write(data)
            return
        line = self._format.write(message)
        if self._timestamps:
            now = time.time()
            if self._format.structured:
                line = f'{line[:-1]}, "time": {now:.6f}}}'
            else:
                line = f"{iso(now)} {line}"
        await self.output.write(f"{line}\n".encode("utf-8", "surrogatepass"))

    async def sent(self, message: Message) -> None:
        """Whoever wrote the line knows."""

    async def closed(self, connection: ClientConnection, reason: str, code: int) -> None:
        await self._event(
            type="close", code=connection.close_code, reason=connection.close_reason or ""
        )
        if code or self._verbose:
            complain(reason)
        if self._complete and connection.stats.messages_dropped:
            complain(f"{connection.stats.messages_dropped} messages came too late")

    async def failed(self, reason: str, delay: float | None) -> None:
        complain(reason if delay is None else f"{reason}; trying again in {delay:.1f} s")

    async def pong(self, data: str, latency: float) -> None:
        await self._event(type="pong", data=data, latency=round(latency, 6))

    async def _event(self, **event: Any) -> None:
        if self._format.structured and not self._raw:
            if self._timestamps:
                event["time"] = round(time.time(), 6)
            await self.output.write(f"{write_object(event)}\n".encode())


def complain(text: str) -> None:
    with contextlib.suppress(OSError):
        print(f"ropeway: {printable(text)}", file=sys.stderr, flush=True)


def iso(now: float) -> str:
    """Write a time as ISO 8601 has it, with milliseconds, in the zone of this machine."""
    return time.strftime(f"%Y-%m-%dT%H:%M:%S.{int(now % 1 * 1000):03d}%z", time.localtime(now))


async def run(options: argparse.Namespace, target: Target) -> int:
    """Connect standard input and output to a server.

    Args:
        options: the command line.
        target: the server.

    Returns:
        The exit code.
    """
    target = dataclasses.replace(target, arguments={"max_queue": AHEAD, **target.arguments})
    output = Output(1)
    face = Pipe(options, target, output)
    session = Session(
        target,
        face,
        reconnect=options.reconnect,
        greetings=options.send,
        count=options.count,
    )
    receiving = asyncio.create_task(session.run())
    sender = _Sender(options, session, face)
    sending = asyncio.create_task(sender.run())
    ended: set[asyncio.Future[Any]] = {receiving, output.failed}
    try:
        either: set[asyncio.Future[Any]] = {sending, *ended}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if sending.done() and sending.result():
            await session.hurry()
        await asyncio.wait(ended, return_when=asyncio.FIRST_COMPLETED)
        if sender.busy:  # with a line that can't be sent any more; let it say so
            lost: set[asyncio.Future[Any]] = {sending, output.failed}
            await asyncio.wait(lost, return_when=asyncio.FIRST_COMPLETED)
        await output.drain()
    except asyncio.CancelledError:
        await session.hurry()
        raise
    finally:
        if output.failed.done():
            await session.hurry()
        sending.cancel()
        receiving.cancel()
        await asyncio.wait({sending, receiving})
    if output.failed.done():
        return _unwritable(output.failed.exception())
    return (0 if sending.cancelled() else sending.result()) or receiving.result()


def _unwritable(exc: BaseException | None) -> int:
    if isinstance(exc, BrokenPipeError):
        return BROKEN_PIPE
    complain(f"can't write: {exc}")
    return CLOSED_BADLY


class _Sender:
    """Sends the lines of standard input.

    Args:
        options: the command line.
        session: where to.
        face: where answers to pings are written.
    """

    def __init__(self, options: argparse.Namespace, session: Session, face: Pipe) -> None:
        self.busy = False
        """Whether a line was taken and is not sent yet."""
        self._options = options
        self._read = FORMATS[options.format].read
        self._session = session
        self._face = face

    async def run(self) -> int:
        """Send; leave when the input has come to its end.

        Returns:
            0, or the exit code for a line that is no message or was not sent.
        """
        if self._options.no_input:
            return 0
        number = 0
        try:
            async for line in lines(0):
                number += 1
                self.busy = True
                await self._act(self._read(line))
                self.busy = False
        except (Malformed, LineTooLong) as exc:
            complain(f"line {number + isinstance(exc, LineTooLong)} of the input: {exc}")
            return USAGE
        except OSError as exc:
            complain(f"can't read the input: {exc.strerror}")
            return USAGE
        except ConnectionClosed:
            if self._session.was_open:
                complain(f"line {number} of the input was not sent, nor any after it")
            return CLOSED_BADLY if self._session.was_open else 0
        if self._options.count is None:
            with contextlib.suppress(ConnectionClosed):
                await self._session.opened()
                await asyncio.sleep(self._options.wait)
                await self._session.settle()
                await self._session.leave()
        return 0

    async def _act(self, what: Message | Ping | Close) -> None:
        match what:
            case Ping(data):
                connection = await self._session.opened()
                try:
                    pong = await connection.ping(data)
                except ProtocolError as exc:
                    raise Malformed(str(exc)) from None
                await self._face.pong(data, await pong)
            case Close(code, reason):
                await self._session.opened()
                try:
                    await self._session.leave(code, reason)
                except ProtocolError as exc:
                    raise Malformed(str(exc)) from None
            case _:
                await self._session.send(what)
