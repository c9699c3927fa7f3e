"""Which end of a connection, which state it is in, and the opcodes as plain numbers."""

from __future__ import annotations

import enum


class Side(enum.IntEnum):
    """Which end of a connection this is."""

    SERVER, CLIENT = range(2)


class State(enum.IntEnum):
    """The states of a connection (RFC 6455 sections 4.1, 4.2, 7.1.3 and 7.1.4)."""

    CONNECTING, OPEN, CLOSING, CLOSED = range(4)


SERVER = Side.SERVER
CLIENT = Side.CLIENT

CONNECTING = State.CONNECTING
OPEN = State.OPEN
CLOSING = State.CLOSING
CLOSED = State.CLOSED

# Opcode is an enum, and comparing its members costs the hot path more than comparing numbers.
OP_CONT = 0
OP_TEXT = 1
OP_BINARY = 2
OP_CLOSE = 8
OP_PING = 9
OP_PONG = 10

# What the output holds where the TCP connection is to be half-closed.
SEND_EOF = b""
