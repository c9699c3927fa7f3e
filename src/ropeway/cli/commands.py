"""What can be typed in a terminal besides messages: lines that start with a slash."""

from __future__ import annotations

import asyncio
import binascii
import os
from base64 import b64decode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..exceptions import ConnectionClosed, ProtocolError
from .handshake import exchange
from .lines import Malformed, Message, parse_hex
from .session import Session
from .text import printable

if TYPE_CHECKING:
    from ..asyncio.client import ClientConnection
    from .terminal import Terminal

__all__ = ["COMMANDS", "Command", "Leave", "perform"]


class Leave(Exception):
    """Somebody typed that it is over."""


LARGEST_FILE = 2**26
"""Bytes of a file that is sent as one message."""


@dataclass(frozen=True)
class Command:
    """One command.

    Args:
        usage: what comes behind its name.
        help: what it does.
        run: carries it out; gets what comes behind the name. It raises Malformed where that makes
            no sense.
    """

    usage: str
    help: str
    run: Callable[[Terminal, Session, str], Awaitable[None]]


async def perform(line: str, terminal: Terminal, session: Session) -> None:
    """Do what a typed line says: send it, or carry out the command that it is.

    Raises:
        ConnectionClosed: when the connection is closed, and there is to be no other one.
        Leave: when the line says that it is over.
    """
    try:
        if line.startswith("/") and not line.startswith("//"):
            name, _, rest = line[1:].partition(" ")
            if name not in COMMANDS:
                raise Malformed(
                    f"no command /{name}; /help lists them, //{name} sends a text with a slash"
                )
            await COMMANDS[name].run(terminal, session, rest.strip())
        elif line:
            await _send(terminal, session, line[1:] if line.startswith("//") else line)
    except Malformed as exc:
        await terminal.error(str(exc))


async def _send(terminal: Terminal, session: Session, message: Message) -> None:
    if session.connection is None:
        await terminal.event("waiting for a connection to send this")
    await session.send(message)
    await terminal.sent(message)


async def _text(terminal: Terminal, session: Session, rest: str) -> None:
    await _send(terminal, session, rest)


async def _hex(terminal: Terminal, session: Session, rest: str) -> None:
    await _send(terminal, session, parse_hex(rest))


async def _base64(terminal: Terminal, session: Session, rest: str) -> None:
    try:
        data = b64decode(rest, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise Malformed(f"not base64: {exc}") from None
    await _send(terminal, session, data)


async def _file(terminal: Terminal, session: Session, rest: str) -> None:
    await _send(terminal, session, await asyncio.to_thread(_contents, rest))


async def _textfile(terminal: Terminal, session: Session, rest: str) -> None:
    data = await asyncio.to_thread(_contents, rest)
    try:
        text = data.decode()
    except UnicodeDecodeError as exc:
        raise Malformed(f"{rest}: byte {exc.start} is not UTF-8; /file sends it as it is") from None
    await _send(terminal, session, text)


def _contents(path: str) -> bytes:
    if not path:
        raise Malformed("which file?")
    try:
        with open(os.path.expanduser(path), "rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except OSError as exc:
        raise Malformed(f"can't read {path}: {exc.strerror}") from None
    if len(data) > LARGEST_FILE:
        raise Malformed(f"{path} is over {LARGEST_FILE} bytes")
    return data


async def _ping(terminal: Terminal, session: Session, rest: str) -> None:
    connection = await session.opened()
    try:
        pong = await connection.ping(rest or os.urandom(4))
    except (ProtocolError, ValueError) as exc:
        raise Malformed(str(exc)) from None
    # The line is free again meanwhile.
    terminal.later(_pong(terminal, pong))


async def _pong(terminal: Terminal, pong: Awaitable[float]) -> None:
    try:
        latency = await pong
    except ConnectionClosed:
        return  # which is shown anyway
    await terminal.event(f"pong after {latency * 1000:.1f} ms")


async def _close(terminal: Terminal, session: Session, rest: str) -> None:
    code, _, reason = rest.partition(" ")
    if not (code or "1000").isdecimal():
        raise Malformed("usage: /close [CODE [REASON]]")
    await session.opened()
    try:
        await session.leave(int(code or 1000), reason.strip())
    except (ProtocolError, ValueError) as exc:
        raise Malformed(str(exc)) from None


async def _quit(terminal: Terminal, session: Session, rest: str) -> None:
    raise Leave


async def _info(terminal: Terminal, session: Session, rest: str) -> None:
    connection = await session.opened()
    stats = connection.stats
    address = connection.remote_address
    if isinstance(address, tuple):
        address = f"{address[0]} port {address[1]}"
    await terminal.event(
        f"{session.target.shown}, at {address}",
        f"subprotocol: {connection.subprotocol or 'none'}; extensions: {_extensions(connection)}",
        f"received: {stats.messages_received:,} messages, {stats.payload_bytes_received:,} bytes; "
        f"sent: {stats.messages_sent:,} messages, {stats.payload_bytes_sent:,} bytes",
        f"round trip of the last ping: {connection.latency * 1000:.1f} ms"
        if connection.latency
        else "round trip: not measured yet; /ping does",
    )


def _extensions(connection: ClientConnection) -> str:
    return ", ".join(one.name for one in connection.protocol.extensions) or "none"


async def _headers(terminal: Terminal, session: Session, rest: str) -> None:
    await terminal.event(*exchange(await session.opened()))


async def _help(terminal: Terminal, session: Session, rest: str) -> None:
    width = max(len(f"/{name} {one.usage}") for name, one in COMMANDS.items())
    await terminal.event(
        *(f"{f'/{name} {one.usage}':<{width}}  {one.help}" for name, one in COMMANDS.items()),
        f"{'//…':<{width}}  send a text that starts with a slash",
        *terminal.keys,
    )


async def _json(terminal: Terminal, session: Session, rest: str) -> None:
    terminal.layout = _switched(terminal.layout, rest)
    await terminal.event(f"JSON is {'laid out' if terminal.layout else 'shown as it is'}")


async def _whole(terminal: Terminal, session: Session, rest: str) -> None:
    terminal.whole = _switched(terminal.whole, rest)
    await terminal.event(f"long messages are {'shown whole' if terminal.whole else 'cut'}")


async def _time(terminal: Terminal, session: Session, rest: str) -> None:
    terminal.timestamps = _switched(terminal.timestamps, rest)
    await terminal.event(f"timestamps are {'on' if terminal.timestamps else 'off'}")


def _switched(value: bool, rest: str) -> bool:
    if rest and rest not in ("on", "off"):
        raise Malformed(f"{printable(rest)!r} is neither on nor off")
    return rest == "on" if rest else not value


COMMANDS = {
    "help": Command("", "this list", _help),
    "text": Command("TEXT", "send a text message, which may be empty", _text),
    "hex": Command("DIGITS", "send a binary message: /hex 48 65 6c 6c 6f", _hex),
    "base64": Command("TEXT", "send a binary message", _base64),
    "file": Command("PATH", "send a file as a binary message", _file),
    "textfile": Command("PATH", "send a file as a text message", _textfile),
    "ping": Command("[TEXT]", "send a ping, show the time until the pong", _ping),
    "info": Command("", "show addresses, subprotocol, extensions, counters", _info),
    "headers": Command("", "show the opening handshake", _headers),
    "json": Command("[on|off]", "lay out JSON, or don't", _json),
    "whole": Command("[on|off]", "show long messages whole, or don't", _whole),
    "time": Command("[on|off]", "show timestamps, or don't", _time),
    "close": Command("[CODE [REASON]]", "close the connection and leave", _close),
    "quit": Command("", "close the connection with code 1000 and leave", _quit),
}
