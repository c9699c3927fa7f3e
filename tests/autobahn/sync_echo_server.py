"""The threaded server under test: ``sync_echo_server.py PORT`` sends every message back."""

from __future__ import annotations

import signal
import sys
import threading

from ropeway import ConnectionClosed
from ropeway.sync.server import ServerConnection, serve


def echo(connection: ServerConnection) -> None:
    try:
        for message in connection:
            connection.send(message)
    except ConnectionClosed:
        pass


def main(port: int) -> None:
    with serve(echo, "127.0.0.1", port, max_size=None) as server:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
        server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]))
