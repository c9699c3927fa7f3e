"""Taking a socket over from the transport of an event loop to one of ours, between two reads."""

from __future__ import annotations

import asyncio
import os
import socket

from ..asyncio.per_loop import per_loop
from ..asyncio.transport import StreamReceiver, StreamTransport

# Those that read and write a socket of their own and nothing else, by module and name.
PLAIN = {
    ("asyncio.selector_events", "_SelectorSocketTransport"),
    ("uvloop.loop", "TCPTransport"),
    ("uvloop.loop", "UnixTransport"),
}


class _Nobody(asyncio.Protocol):
    """Takes leave of a transport on behalf of a protocol that has another one by now."""


def take_over(
    transport: asyncio.Transport, protocol: asyncio.BaseProtocol
) -> StreamTransport | None:
    """Put a protocol on a transport of ours, with the socket of the loop's, which is closed.

    What has arrived stays in the kernel until ours reads it. The descriptor is another one,
    since a loop guards those of its transports.

    Args:
        transport: the loop's transport, which belongs to ``protocol``.
        protocol: gets ``connection_made()`` once more.

    Returns:
        Our transport; None where the loop's has to stay: it isn't a plain socket's, something
        waits in it to be written, somebody is about to hand it to another protocol, or descriptors
        have run out.

    """
    loop = asyncio.get_running_loop()
    kind = type(transport)
    if (
        (kind.__module__, kind.__name__) not in PLAIN
        or not isinstance(protocol, StreamReceiver)
        or not per_loop(loop).has_streams
        or transport.is_closing()
        or transport.get_write_buffer_size()
        or transport.get_protocol() is not protocol
    ):
        return None
    original = transport.get_extra_info("socket")
    peername = transport.get_extra_info("peername")
    try:
        descriptor = os.dup(original.fileno())
    except OSError:
        return None
    sock = socket.socket(original.family, original.type, original.proto, fileno=descriptor)
    transport.set_protocol(_Nobody())
    transport.close()
    ours = StreamTransport(loop, sock, peername)
    ours.start(protocol)
    return ours
