"""The two callables of an ASGI application, on a connection of the asyncio driver.

What goes with every message is here: operations, as those of the driver, that need no coroutine
where a message is there or the write buffer has room.
"""

from __future__ import annotations

from collections.abc import Coroutine, MutableMapping
from typing import Any

from .._core.engine import Engine
from .._core.states import OP_BINARY, OP_TEXT, OPEN
from ..asyncio.dispatch import make_waiter
from ..asyncio.link import Link, LinkTerms
from ..asyncio.operations import Operation
from ..asyncio.stages import DONE, NEW, WAITING
from ..exceptions import ConcurrencyError
from ..protocol import Protocol
from ..typing import BytesLike

Event = MutableMapping[str, Any]


class Exchange(Link):
    """A connection with the two callables; a server's glue adds the opening and the end.

    Invariants: ``accepted`` says that a handshake response with status 101 was sent; once ``over``,
    the application is told of the end when no message is left.
    """

    def __init__(self, protocol: Protocol, terms: LinkTerms) -> None:
        self._set_up(protocol, terms)
        self._told = False
        self.accepted = False

    def receive(self) -> Coroutine[Any, Any, Event]:
        """Receive the next event, as an application does (ASGI, WebSocket, version 2.4).

        Returns:
            ``websocket.connect``, then a ``websocket.receive`` for each message, and from the end
            of the connection on ``websocket.disconnect``, however often it is asked for.

        Raises:
            ConcurrencyError: when another task is receiving.

        """
        return make_receive_event(self)

    def send(self, event: Event) -> Coroutine[Any, Any, None]:
        """Send an event, as an application does; returns once the write buffer has room.

        Args:
            event: what to send; its ``type`` says what it is.

        Raises:
            ClientDisconnected: when the client has gone; it is an OSError.
            RuntimeError: when it isn't the time for such an event.
            TypeError: when a message is neither text nor bytes.

        """
        return make_send_event(self, event)

    def _is_over(self) -> bool:
        """Tell whether no message will come any more."""
        protocol = self.protocol
        return (
            self._inbox.closed
            or protocol.discarding
            or (self.accepted and protocol._state is not OPEN)
        )

    def _is_receivable(self) -> bool:
        return self._inbox.is_ready() or Exchange._is_over(self)

    def _disconnect_event(self) -> Event:
        """Make the event that tells how the connection ended."""
        raise NotImplementedError

    async def _send_other(self, event: Event) -> None:
        """Send what isn't a message on an open connection."""
        raise NotImplementedError

    async def _wait_writable(self) -> None:
        """Wait until the write buffer has room again."""
        raise NotImplementedError


class ReceiveEvent(Operation):
    """A call of ``receive()``."""

    __slots__ = ()

    _connection: Exchange

    def _step(self) -> Any:
        connection = self._connection
        inbox = connection._inbox
        if self._stage == WAITING:
            waiter = connection._receiver
            if waiter is not None and not waiter.done():
                raise RuntimeError("coroutine is being awaited already")
            self._give_up()
        elif self._stage != NEW:
            return self._resume()
        elif connection._receiving:
            self._stage = DONE
            raise ConcurrencyError("cannot call receive while another task is receiving")
        elif not connection._told:
            self._stage = DONE
            connection._told = True
            return {"type": "websocket.connect"}
        if inbox.is_ready():
            self._stage = DONE
            message = inbox.take(None)
            Link._after_taking(connection)
            if type(message) is str:
                return {"type": "websocket.receive", "text": message}
            return {"type": "websocket.receive", "bytes": message}
        if Exchange._is_over(connection):
            self._stage = DONE
            return connection._disconnect_event()
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
        return "WebSocketProtocol.receive"


class SendEvent(Operation):
    """A call of ``send()``."""

    __slots__ = ("_event",)

    _connection: Exchange
    _event: Event

    def _step(self) -> Any:
        if self._stage != NEW:
            return self._resume()
        connection = self._connection
        given = self._event
        event = given if type(given) is dict else dict(given)
        protocol = connection.protocol
        self._stage = DONE
        if (
            not connection.accepted
            or protocol._state is not OPEN
            or event["type"] != "websocket.send"
        ):
            return self._delegate(connection._send_other(event))
        message = event.get("bytes")
        if message is not None:
            opcode = OP_BINARY
            if not isinstance(message, BytesLike):
                raise TypeError(f"bytes of 'websocket.send' must be bytes, not {message!r}")
        else:
            opcode = OP_TEXT
            message = event.get("text")
            if not isinstance(message, str):
                raise TypeError(f"text of 'websocket.send' must be str, not {message!r}")
        Engine.send_data(protocol, opcode, message, True, None)
        Link._send_output(connection)
        if connection._write_paused:
            return self._delegate(connection._wait_writable())
        return None

    def _give_up(self) -> None:
        """Do nothing: it never waits but in a coroutine."""

    def _name(self) -> str:
        return "WebSocketProtocol.send"


# Functions, since calling a compiled class from Python packs and unpacks its arguments.


def make_receive_event(connection: Exchange) -> ReceiveEvent:
    """Make the operation that is ``receive()``."""
    operation = ReceiveEvent.__new__(ReceiveEvent)
    operation._connection = connection
    operation._stage = NEW
    operation._inner = operation._waited = None
    return operation


def make_send_event(connection: Exchange, event: Event) -> SendEvent:
    """Make the operation that is ``send()``."""
    operation = SendEvent.__new__(SendEvent)
    operation._connection = connection
    operation._stage = NEW
    operation._inner = operation._waited = None
    operation._event = event
    return operation
