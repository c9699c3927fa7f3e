"""What ``ropeway serve`` does with connections."""

from __future__ import annotations

import asyncio
import functools
import importlib
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from ..asyncio.server import ServerConnection, broadcast
from ..exceptions import ConnectionClosed
from .text import printable

__all__ = ["Handler", "NoHandler", "find"]

Handler = Callable[[ServerConnection], Awaitable[None]]

MOST_PENDING = 2**24
"""Bytes that may wait for somebody who does not read, before broadcasting goes on without him."""


class NoHandler(Exception):
    """There is no handler of that name."""


def find(name: str) -> Handler:
    """Find a handler: ``echo``, ``broadcast`` or ``module:name``.

    Raises:
        NoHandler: when there is none; what else an import raises comes as it is.
    """
    if name == "echo":
        return echo
    if name == "broadcast":
        return Broadcast()
    shown = printable(name)
    module_name, colon, attribute = name.partition(":")
    if module_name.endswith(".py") or "/" in module_name:
        better = module_name.removesuffix(".py").removeprefix("./").replace("/", ".")
        raise NoHandler(f"{shown!r} is a file; name the module: {better}:{attribute or 'handler'}")
    if not colon or not attribute:
        raise NoHandler(f"{shown!r} is neither echo nor broadcast nor of the form module:handler")
    # As for a script: what lies in this folder comes first.
    if sys.path[0] not in ("", os.getcwd()):
        sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as exc:
        if exc.name is None or not f"{module_name}.".startswith(f"{exc.name}."):
            raise  # the module is there, and imports one that isn't
        raise NoHandler(f"no module {exc.name!r} in {os.getcwd()} or where Python looks") from None
    try:
        handler: Any = functools.reduce(getattr, attribute.split("."), module)
    except AttributeError:
        raise NoHandler(f"module {module_name!r} has no {attribute!r}") from None
    if not callable(handler):
        raise NoHandler(f"{shown!r} is no function but of type {type(handler).__name__}")
    found: Handler = handler
    return found


async def echo(connection: ServerConnection) -> None:
    """Send every message back."""
    try:
        async for message in connection:
            await connection.send(message)
    except ConnectionClosed:
        return  # however it was closed, it is no failure of the server


class Broadcast:
    """Sends every message to everybody, its sender included."""

    def __init__(self) -> None:
        self._present: set[ServerConnection] = set()

    async def __call__(self, connection: ServerConnection) -> None:
        self._present.add(connection)
        try:
            async for message in connection:
                broadcast(self._present, message)
                self._drop_the_slow()
                # Whoever sends without end must not keep the loop.
                await asyncio.sleep(0)
        except ConnectionClosed:
            return
        finally:
            self._present.discard(connection)

    def _drop_the_slow(self) -> None:
        for connection in list(self._present):
            if connection.transport.get_write_buffer_size() > MOST_PENDING:
                connection.abort()
