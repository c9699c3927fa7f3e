"""What ``recv()``, ``send()`` and iterating give to be awaited: coroutines that need no frame.

An operation is a :class:`collections.abc.Coroutine` in all that asyncio and its users do with
one. It runs when it is awaited, and an operation that need not wait never suspends. Whatever is not
the common case, it hands over to a coroutine of the connection.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Coroutine
from types import FrameType
from typing import TYPE_CHECKING, Any

from .._core.engine import Engine
from .._core.states import OP_BINARY, OP_TEXT, OPEN
from ..exceptions import ConcurrencyError
from ..typing import BytesLike
from .dispatch import make_waiter
from .link import Link
from .results import set_result
from .stages import DELEGATED, DONE, NEW, WAITING

if TYPE_CHECKING:
    from .connection import Connection


class Operation:
    """One call of a method that is awaited once.

    Invariants: ``_inner`` is the coroutine that does the rest exactly when DELEGATED; nothing has
    happened while NEW, and nothing is left to undo once DONE.
    """

    __slots__ = ("_connection", "_inner", "_stage", "_waited")

    _connection: Any
    _stage: int
    _inner: Coroutine[Any, Any, Any] | None
    _waited: Any

    def __del__(self) -> None:
        if self._stage == NEW:
            message = f"coroutine '{self._name()}' was never awaited"
            warnings.warn(message, RuntimeWarning, stacklevel=2, source=self)
        elif self._stage == WAITING:
            self._give_up()

    def __getattr__(self, attribute: str) -> str:
        # Coroutines have these; a class can't define them for its instances.
        if attribute == "__qualname__":
            return self._name()
        if attribute == "__name__":
            return self._name().rpartition(".")[2]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {attribute!r}")

    def __repr__(self) -> str:
        return f"<coroutine object {self._name()} at {id(self):#x}>"

    def __await__(self) -> Operation:
        return self

    def __iter__(self) -> Operation:
        return self

    def __next__(self) -> Any:
        result = self._step()
        if self._stage != DONE:
            return result
        if result is not None:
            set_result(result)
        raise StopIteration

    def send(self, value: Any) -> Any:
        """Go on to the next thing to wait for; StopIteration holds the result."""
        if value is not None and self._stage == NEW:
            raise TypeError("can't send non-None value to a just-started coroutine")
        return self.__next__()

    def throw(self, *exc_info: Any) -> Any:
        """Raise an exception where the operation waits; cancelling a task does that."""
        stage = self._stage
        if stage == DELEGATED:
            assert self._inner is not None
            self._waited = None
            self._waited = self._inner.throw(*exc_info)
            return self._waited
        self._stage = DONE
        if stage == DONE:
            raise RuntimeError("cannot reuse already awaited coroutine")
        if stage == WAITING:
            self._give_up()
        try:
            raise _exception(*exc_info)
        finally:
            del exc_info  # the exception knows this frame, which must not know it

    def close(self) -> None:
        """End the operation where it waits."""
        if self._stage == DELEGATED:
            assert self._inner is not None
            self._waited = None
            self._inner.close()
        elif self._stage == WAITING:
            self._give_up()
        self._stage = DONE

    # What inspect and anyio look at, to know whether a coroutine has begun

    @property
    def cr_running(self) -> bool:
        """Whether it is being run at this moment."""
        return self._stage == DELEGATED and bool(getattr(self._inner, "cr_running", False))

    @property
    def cr_suspended(self) -> bool:
        """Whether it has begun and waits."""
        if self._stage == DELEGATED:
            return bool(getattr(self._inner, "cr_suspended", False))
        return self._stage == WAITING

    @property
    def cr_await(self) -> Any:
        """What it waits for."""
        if self._stage == DELEGATED:
            return getattr(self._inner, "cr_await", None)
        return self._connection._receiver if self._stage == WAITING else None

    @property
    def cr_frame(self) -> FrameType | None:
        """A frame until it has begun; it needs none of its own, so that is the caller's."""
        if self._stage == DELEGATED:
            return getattr(self._inner, "cr_frame", None)
        return sys._getframe() if self._stage == NEW else None

    def _delegate(self, inner: Coroutine[Any, Any, Any]) -> Any:
        """Let a coroutine do the rest."""
        self._stage = DELEGATED
        self._inner = inner
        self._waited = inner.send(None)
        return self._waited

    def _resume(self) -> Any:
        """Go on where this is not the first step, nor the end of a wait of our own."""
        if self._stage == DELEGATED:
            assert self._inner is not None
            self._check_waited(self._waited)
            self._waited = None
            self._waited = self._inner.send(None)
            return self._waited
        raise RuntimeError("cannot reuse already awaited coroutine")

    def _check_waited(self, waited: Any) -> None:
        """Refuse a step by another than who waits, who makes none before the wait is over."""
        if waited is not None and not waited.done():
            raise RuntimeError("coroutine is being awaited already")

    def _step(self) -> Any:
        """Give the next thing to wait for; or the result, once DONE."""
        raise NotImplementedError

    def _give_up(self) -> None:
        raise NotImplementedError

    def _name(self) -> str:
        """Give the qualified name of the method that made it."""
        raise NotImplementedError


class Receive(Operation):
    """``recv()``, or a step of iterating, which ends with StopAsyncIteration."""

    __slots__ = ("_decode", "_iterating")

    _connection: Connection
    _decode: bool | None
    _iterating: bool

    def _step(self) -> Any:
        connection = self._connection
        inbox = connection._inbox
        if self._stage == WAITING:
            waiter = connection._receiver
            if waiter is not None and not waiter.done():
                raise RuntimeError("coroutine is being awaited already")
            connection._receiver = None
            inbox.wanted = False
        elif self._stage != NEW:
            return self._resume()
        elif connection._receiving:
            self._stage = DONE
            raise ConcurrencyError(
                "cannot call recv while another coroutine is already running recv or recv_streaming"
            )
        if inbox.is_ready():
            self._stage = DONE
            connection._receiving = False
            try:
                message = inbox.take(self._decode)
            except UnicodeDecodeError as exc:
                return self._delegate(connection._fail_decoding(exc))
            Link._after_taking(connection)
            return message
        if inbox.closed:
            connection._receiving = False
            return self._delegate(
                connection._end_iteration() if self._iterating else connection._raise_closed()
            )
        connection._receiving = True
        inbox.wanted = True
        self._stage = WAITING
        connection._receiver = waiter = make_waiter(connection.loop)
        waiter._asyncio_future_blocking = True
        Link._before_waiting(connection)
        return waiter

    def _give_up(self) -> None:
        connection = self._connection
        connection._receiver = None
        connection._receiving = False
        connection._inbox.wanted = False

    def _name(self) -> str:
        return "Connection.__anext__" if self._iterating else "Connection.recv"


class Send(Operation):
    """``send()``."""

    __slots__ = ("_compress", "_message", "_text")

    _connection: Connection
    _compress: bool | None
    _message: Any
    _text: bool | None

    def _step(self) -> Any:
        if self._stage != NEW:
            return self._resume()
        connection = self._connection
        message = self._message
        protocol = connection.protocol
        if isinstance(message, str):
            opcode = OP_BINARY if self._text is False else OP_TEXT
        elif isinstance(message, BytesLike):
            opcode = OP_TEXT if self._text is True else OP_BINARY
        else:
            return self._delegate(connection._send_parts(message, self._text, self._compress))
        if (
            connection._fragmenting is not None
            or protocol._state is not OPEN
            or connection._choking
        ):
            return self._delegate(connection._send_later(opcode, message, self._compress))
        self._stage = DONE
        Engine.send_data(protocol, opcode, message, True, self._compress)
        Link._send_output(connection)
        if connection._write_paused:
            return self._delegate(connection._drain(True))
        return None

    def _name(self) -> str:
        return "Connection.send"


class Messages:
    """Iterates over messages; an asynchronous generator would cost more and need closing."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __aiter__(self) -> Messages:
        return self

    def __anext__(self) -> Receive:
        return make_receive(self._connection, None, True)


# Functions, since calling a compiled class from Python packs and unpacks its arguments.


def make_receive(connection: Connection, decode: bool | None, iterating: bool) -> Receive:
    """Make the operation that is ``recv()``, or a step of iterating."""
    operation = Receive.__new__(Receive)
    operation._connection = connection
    operation._stage = NEW
    operation._inner = operation._waited = None
    operation._decode = decode
    operation._iterating = iterating
    return operation


def make_send(
    connection: Connection, message: Any, text: bool | None, compress: bool | None
) -> Send:
    """Make the operation that is ``send()``."""
    operation = Send.__new__(Send)
    operation._connection = connection
    operation._stage = NEW
    operation._inner = operation._waited = None
    operation._message = message
    operation._text = text
    operation._compress = compress
    return operation


def _exception(
    kind: type[BaseException] | BaseException, value: Any = None, traceback: Any = None
) -> BaseException:
    """Make the exception that the arguments of ``throw()`` stand for."""
    if isinstance(kind, BaseException):
        exc = kind
    elif isinstance(value, BaseException):
        exc = value
    else:
        exc = kind() if value is None else kind(value)
    return exc if traceback is None else exc.with_traceback(traceback)


Coroutine.register(Operation)
