"""Many TLS connections: ``python -m bench.tls_crowd PORT``, with orders on standard input.

``open N`` opens N more, exchanges a message on each, and leaves them; ``close`` closes them all.
"""

from __future__ import annotations

import selectors
import socket
import ssl
import sys

from .crowd import REQUEST
from .ticks import masked

PING = b"\x89"
CLOSE = masked(0x88, b"\x03\xe8")
MESSAGE = b"a message of 32 bytes, as always"


def open_one(context: ssl.SSLContext, port: int) -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", port), timeout=20)
    connection = context.wrap_socket(plain, server_hostname="127.0.0.1")
    connection.sendall(f"{REQUEST}\r\n".encode())
    response = b""
    while not response.endswith(b"\r\n\r\n"):
        response += connection.recv(4096)
    connection.sendall(masked(0x81, MESSAGE))
    echo = b""
    while len(echo) < 2 + len(MESSAGE):
        echo += connection.recv(4096)
    assert echo.endswith(MESSAGE), echo
    return connection


class Crowd:
    """The connections; those that are pinged answer."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.check_hostname = False
        self.context.verify_mode = ssl.CERT_NONE
        self.connections: list[ssl.SSLSocket] = []
        self.selector = selectors.DefaultSelector()

    def open(self, count: int) -> None:
        for number in range(count):
            connection = open_one(self.context, self.port)
            self.connections.append(connection)
            self.selector.register(connection, selectors.EVENT_READ)
            if number % 50 == 0:
                self.answer(0)

    def answer(self, timeout: float | None) -> None:
        """Answer pings; return when there is something to read on standard input, or in time."""
        while ready := self.selector.select(timeout):
            for key, _ in ready:
                if key.fileobj is sys.stdin:
                    return
                connection = key.fileobj
                assert isinstance(connection, ssl.SSLSocket)
                frame = connection.recv(4096)
                if frame[:1] == PING:
                    connection.sendall(masked(0x8A, frame[2:]))

    def close(self) -> None:
        for connection in self.connections:
            self.selector.unregister(connection)
            close_one(connection)
        self.connections.clear()


def close_one(connection: ssl.SSLSocket) -> None:
    connection.sendall(CLOSE)
    while connection.recv(4096):
        pass
    connection.close()


def main() -> None:
    port = int(sys.argv[1])
    crowd = Crowd(port)
    crowd.selector.register(sys.stdin, selectors.EVENT_READ)
    while True:
        crowd.answer(None)
        order, *arguments = (sys.stdin.readline() or "end").split()
        if order == "open":
            crowd.open(int(arguments[0]))
        elif order == "close":
            crowd.close()
        else:
            return
        print("ok", flush=True)


if __name__ == "__main__":
    main()
