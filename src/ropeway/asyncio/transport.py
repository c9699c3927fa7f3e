"""A transport for stream sockets: what asyncio's own does, in one compiled call from poll to send.

It speaks the interface of ``asyncio.Transport`` with any protocol, on every loop that has
``add_reader``. Writing a list of buffers copies none of the large ones.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import warnings
from asyncio.trsock import TransportSocket
from collections import deque
from collections.abc import Callable, Iterable
from contextvars import copy_context
from time import monotonic
from typing import Any, TypeVar

from .._driving.backlog import SEPARATE, keep
from .._driving.sockets import MOST_PLACES, NOT_NOW, receive, send, send_several
from ..typing import BytesLike
from .per_loop import per_loop
from .polling import Polled
from .turns import TURN

# What is read at a time for a protocol that has no buffer of its own.
READ_SIZE = 256 * 1024

DEFAULT_HIGH_WATER = 64 * 1024


class StreamReceiver:
    """A protocol of this package: it takes what is read without a detour through Python.

    With ``asyncio.BufferedProtocol`` among the bases, other transports can have it too.
    """

    __slots__ = ()

    def get_buffer(self, sizehint: int) -> bytearray | memoryview:
        """Give the memory to read into."""
        return memoryview(self._room())

    def buffer_updated(self, nbytes: int) -> None:
        """Take what was read."""
        self._arrived(nbytes)

    def _room(self) -> bytearray | memoryview:
        raise NotImplementedError

    def _arrived(self, size: int) -> None:
        raise NotImplementedError


class StreamTransport(Polled):
    """A connected socket that a protocol reads from and writes to.

    Invariants: the loop watches for reading exactly while ``is_reading()``, and for writing exactly
    while ``_backlog`` isn't empty; ``connection_lost`` is called once, after the last write, from
    the loop; from then on the socket is closed.
    """

    __slots__ = (
        "__weakref__",
        "_backlog",
        "_buffered_protocol",
        "_closing",
        "_direct",
        "_ending",
        "_fd",
        "_high",
        "_loop",
        "_low",
        "_paused",
        "_peername",
        "_poller",
        "_protocol",
        "_protocol_paused",
        "_reading",
        "_size",
        "_sock",
        "_sockname",
    )

    def __init__(
        self, loop: asyncio.AbstractEventLoop, sock: socket.socket, peername: Any = None
    ) -> None:
        """Take over a connected, non-blocking socket; ``start()`` begins.

        Args:
            loop: the running loop.
            sock: the socket, which belongs to the transport from now on.
            peername: address of the peer, where it is known already.

        """
        self._loop = loop
        self._poller = per_loop(loop).poller
        self._context = copy_context()
        self._sock: socket.socket | None = sock
        self._fd = sock.fileno()
        # Asked for now: a connection that was reset can't tell any more who its peer was.
        self._peername = _address(sock.getpeername) if peername is None else peername
        self._sockname: Any = None
        self._protocol: Any = None
        self._direct: StreamReceiver | None = None
        self._buffered_protocol = False
        self._backlog: deque[memoryview] | None = None
        self._size = 0
        self._high = DEFAULT_HIGH_WATER
        self._low = DEFAULT_HIGH_WATER // 4
        self._protocol_paused = False
        self._reading = False
        self._paused = False
        self._ending = False
        self._closing = False
        if sock.family == socket.AF_INET or sock.family == socket.AF_INET6:
            # What is written is meant to leave: joining small writes is done above.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def start(self, protocol: asyncio.BaseProtocol) -> None:
        """Connect the protocol and begin to read."""
        self.set_protocol(protocol)
        protocol.connection_made(self)  # type: ignore[arg-type]
        self._watch()

    def detach(self) -> socket.socket:
        """Give the socket back, open; the protocol hears no more.

        Raises:
            ConnectionResetError: when the connection is over.

        """
        sock = self._sock
        if sock is None:
            raise ConnectionResetError("connection was lost before its socket was given back")
        assert not self._size
        self._unwatch()
        self._sock = None
        self._fd = -1
        self._closing = True
        self._protocol = self._direct = None
        return sock

    def __repr__(self) -> str:
        state = "closed" if self._sock is None else "closing" if self._closing else "open"
        return f"<StreamTransport {state} fd={self._fd}>"

    def __del__(self) -> None:
        if self._sock is not None:
            message = f"unclosed transport {self!r}"
            warnings.warn(message, ResourceWarning, stacklevel=2, source=self)
            self._sock.close()

    # What is known

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Tell ``socket``, ``sockname`` or ``peername``; ``default`` for everything else."""
        if name == "peername":
            return default if self._peername is None else self._peername
        if name == "sockname":
            if self._sockname is None and self._sock is not None:
                self._sockname = _address(self._sock.getsockname)
            return default if self._sockname is None else self._sockname
        if name == "socket" and self._sock is not None:
            return TransportSocket(self._sock)
        return default

    def get_protocol(self) -> Any:
        """Give the protocol."""
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand over to another protocol."""
        self._protocol = protocol
        self._buffered_protocol = isinstance(protocol, asyncio.BufferedProtocol)
        # A subclass that has these methods of its own wants them to be called.
        self._direct = (
            protocol
            if isinstance(protocol, StreamReceiver)
            and type(protocol).get_buffer is StreamReceiver.get_buffer
            and type(protocol).buffer_updated is StreamReceiver.buffer_updated
            else None
        )

    def is_closing(self) -> bool:
        """Tell whether the transport is closed, or will be once all is written."""
        return self._closing

    # Reading

    def is_reading(self) -> bool:
        """Tell whether the protocol gets what arrives."""
        return not self._closing and not self._paused

    def pause_reading(self) -> None:
        """Let what arrives wait in the kernel, until :meth:`resume_reading`."""
        if self.is_reading():
            self._paused = True
            self._unwatch()

    def resume_reading(self) -> None:
        """Read again."""
        if self._paused and not self._closing:
            self._paused = False
            self._watch()

    def _watch(self) -> None:
        if not self._closing and not self._paused and not self._reading:
            if self._poller is not None:
                self._poller.watch(self._loop, self._fd, self)
            else:
                self._loop.add_reader(self._fd, self._read_alone)
            self._reading = True

    def _unwatch(self) -> None:
        if self._reading:
            self._reading = False
            if self._poller is not None:
                self._poller.unwatch(self._fd, self)
            else:
                self._loop.remove_reader(self._fd)

    def _read_ready(self) -> None:
        self._read_once()

    def _read_alone(self) -> None:
        """Read where the loop polls: libuv's calls once for an error, and stops polling."""
        if not self._read_once() or isinstance(self._loop, asyncio.BaseEventLoop):
            return
        # The error that may stand behind the data would never show, so all there is is read now.
        turn_ends = monotonic() + TURN
        while self._read_once():
            if monotonic() > turn_ends:
                self._loop.call_soon(self._read_alone)
                return

    def _read_once(self) -> bool:
        """Read what is there, up to a buffer's size; tell whether there may be more."""
        sock = self._sock
        if sock is None or not self._reading:
            return False
        protocol, direct = self._protocol, self._direct
        data = b""
        room = None
        try:
            if direct is not None:
                room = direct._room()
            elif self._buffered_protocol:
                room = protocol.get_buffer(-1)
                if not len(room):
                    raise RuntimeError("get_buffer() gave an empty buffer")
            try:
                if room is not None:
                    size = receive(sock, self._fd, room)
                else:
                    data = sock.recv(READ_SIZE)
                    size = len(data)
            except (BlockingIOError, InterruptedError):
                return False
            except OSError as exc:
                self._drop_all(exc)
                return False
            if size == NOT_NOW:
                return False
            if not size:
                self._read_end()
            elif direct is not None:
                direct._arrived(size)
            elif room is not None:
                protocol.buffer_updated(size)
            else:
                protocol.data_received(data)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._report(exc, "the protocol failed")
            self._drop_all(exc)
            return False
        return size > 0

    def _read_end(self) -> None:
        if self._protocol.eof_received():
            self._unwatch()
        else:
            self.close()

    # Writing

    def get_write_buffer_size(self) -> int:
        """Tell how many bytes wait to be written."""
        return self._size

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Give the low and the high water mark of the write buffer, in bytes."""
        return (self._low, self._high)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the water marks of the write buffer, in bytes; see :class:`asyncio.WriteTransport`.

        Raises:
            ValueError: when they are below 0 or in the wrong order.

        """
        if high is None:
            high = DEFAULT_HIGH_WATER if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high ({high!r}) must be >= low ({low!r}) must be >= 0")
        self._high = high
        self._low = low
        self._check_high_water()

    def write(self, data: BytesLike) -> None:
        """Write bytes, or keep those that the kernel doesn't take now."""
        if not self._is_writable():
            return
        if self._size:
            self._keep(data)
            return
        try:
            sent = send(self._sock, self._fd, data)  # type: ignore[arg-type]
        except OSError as exc:
            self._drop_all(exc)
            return
        if sent < len(data):
            self._keep(memoryview(data)[sent:] if sent > 0 else data)

    def writelines(self, list_of_data: Iterable[BytesLike]) -> None:
        """Write several buffers in order, in one go."""
        if not self._is_writable():
            return
        pieces = list_of_data if type(list_of_data) is list else list(list_of_data)
        first = 0
        while not self._size and first < len(pieces):
            try:
                sent = send_several(self._sock, self._fd, pieces, first)  # type: ignore[arg-type]
            except OSError as exc:
                self._drop_all(exc)
                return
            last = min(first + MOST_PLACES, len(pieces))
            while first < last and sent >= (size := len(pieces[first])):
                sent -= size
                first += 1
            if first < last:
                self._keep(memoryview(pieces[first])[sent:] if sent > 0 else pieces[first])
                first += 1
        for piece in _joined(pieces[first:]):
            self._keep(piece)

    def can_write_eof(self) -> bool:
        """Tell that the stream can be half-closed."""
        return True

    def write_eof(self) -> None:
        """Half-close the stream once all is written."""
        if self._closing or self._ending:
            return
        self._ending = True
        if not self._size:
            self._shut_down()

    def _is_writable(self) -> bool:
        if self._ending:
            raise RuntimeError("cannot write after write_eof()")
        return self._sock is not None and not (self._closing and not self._size)

    def _keep(self, data: BytesLike) -> None:
        """Hold what the kernel has no room for; bytes are shared, anything else may change."""
        if not len(data):
            return
        view = memoryview(data)
        if type(view.obj) is not bytes:
            view = memoryview(bytes(view))
        if self._backlog is None:
            self._backlog = deque()
        if not self._size:
            self._loop.add_writer(self._fd, self._write_ready)
        self._size += len(view)
        keep(self._backlog, view)
        self._check_high_water()

    def _write_ready(self) -> None:
        backlog, sock = self._backlog, self._sock
        if sock is None or not backlog:
            return
        try:
            if len(backlog) == 1:
                sent = send(sock, self._fd, backlog[0])
            else:
                sent = sock.sendmsg([backlog[i] for i in range(min(len(backlog), MOST_PLACES))])
        except (BlockingIOError, InterruptedError):
            return
        except OSError as exc:
            self._drop_all(exc)
            return
        if sent == NOT_NOW:
            return
        _drop(backlog, sent)
        self._size -= sent
        if not self._size:
            self._backlog = None
            self._loop.remove_writer(self._fd)
        if self._protocol_paused and self._size <= self._low:
            self._protocol_paused = False
            self._tell("resume_writing")
        # What the protocol has just written may be waiting now.
        if not self._size and self._sock is not None:
            if self._closing:
                self._lose(None)
            elif self._ending:
                self._shut_down()

    def _check_high_water(self) -> None:
        if self._size > self._high and not self._protocol_paused:
            self._protocol_paused = True
            self._tell("pause_writing")

    def _tell(self, method: str) -> None:
        try:
            getattr(self._protocol, method)()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._report(exc, f"{method}() failed")

    def _shut_down(self) -> None:
        try:
            self._sock.shutdown(socket.SHUT_WR)  # type: ignore[union-attr]
        except OSError as exc:
            # When the peer is gone already, reading finds the same, and it's nobody's fault.
            if exc.errno != errno.ENOTCONN and self._loop.get_debug():
                self._report(exc, "half-closing failed")

    # The end

    def close(self) -> None:
        """Close once all is written; what arrives meanwhile isn't read."""
        if self._closing:
            return
        self._closing = True
        self._unwatch()
        if not self._size:
            self._lose(None)

    def abort(self) -> None:
        """Close at once; what isn't written is lost."""
        self._drop_all(None)

    def _drop_all(self, exc: BaseException | None) -> None:
        if self._sock is None or self._protocol is None:
            return
        if self._size:
            self._backlog = None
            self._size = 0
            self._loop.remove_writer(self._fd)
        elif self._closing:
            return  # the end is on its way
        self._closing = True
        self._unwatch()
        self._lose(exc)

    def _report(self, exc: BaseException, message: str) -> None:
        context = {
            "message": f"fatal error on transport: {message}",
            "exception": exc,
            "transport": self,
            "protocol": self._protocol,
        }
        self._loop.call_exception_handler(context)

    def _lose(self, exc: BaseException | None) -> None:
        """Tell the protocol of the end in the loop's next turn, as every transport does."""
        self._loop.call_soon(self._end, exc)

    def _end(self, exc: BaseException | None) -> None:
        sock, protocol = self._sock, self._protocol
        if sock is None:
            return
        # Still to be told when the connection is over, for logs.
        self.get_extra_info("sockname")
        self._sock = None
        self._fd = -1
        self._protocol = self._direct = None
        try:
            protocol.connection_lost(exc)
        finally:
            sock.close()


P = TypeVar("P", bound=asyncio.BaseProtocol)


def connect(
    loop: asyncio.AbstractEventLoop,
    sock: socket.socket,
    make_protocol: Callable[[], P],
    peername: Any = None,
) -> tuple[StreamTransport, P]:
    """Put a protocol on a connected socket; when that fails, the socket is closed.

    Args:
        loop: the running loop.
        sock: the socket, which belongs to the transport from now on.
        make_protocol: makes the protocol.
        peername: address of the peer, where it is known already.

    """
    transport = None
    try:
        sock.setblocking(False)
        protocol = make_protocol()
        transport = StreamTransport(loop, sock, peername)
        transport.start(protocol)
    except BaseException:
        if transport is None:
            sock.close()
        else:
            # The protocol may have begun to use it, and mustn't find another's socket in its place.
            transport.abort()
        raise
    return transport, protocol


def _address(get: Any) -> Any:
    try:
        return get()
    except OSError:  # not connected any more
        return None


def _joined(list_of_data: Iterable[BytesLike]) -> list[BytesLike]:
    """Join neighbours among buffers that are small."""
    joined: list[BytesLike] = []
    small: list[BytesLike] = []
    for data in list_of_data:
        if len(data) < SEPARATE:
            small.append(data)
            continue
        if small:
            joined.append(b"".join(small))
            small = []
        joined.append(data)
    if small:
        joined.append(b"".join(small))
    return joined


def _drop(waiting: deque[memoryview], sent: int) -> None:
    """Remove ``sent`` bytes from the front."""
    while sent:
        first = waiting[0]
        size = len(first)
        if size > sent:
            waiting[0] = first[sent:]
            return
        waiting.popleft()
        sent -= size
