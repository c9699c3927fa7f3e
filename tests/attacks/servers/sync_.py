"""The server with threads."""

from __future__ import annotations

import signal
import threading

from ropeway import ConnectionClosed
from ropeway.sync.server import ServerConnection, broadcast, serve

from .control import asked, obey

room: set[ServerConnection] = set()


def echo(ws: ServerConnection) -> None:
    for message in ws:
        ws.send(message)


def sink(ws: ServerConnection) -> None:
    for _ in ws:
        pass


def close(ws: ServerConnection) -> None:
    pass


def fail(ws: ServerConnection) -> None:
    raise RuntimeError("as the path asks for")


def give_up(ws: ServerConnection) -> None:
    try:
        ws.recv(timeout=0)
    except TimeoutError:
        pass


def join(ws: ServerConnection) -> None:
    room.add(ws)
    try:
        for _ in ws:
            pass
    finally:
        room.discard(ws)


ACTS = {"/sink": sink, "/close": close, "/raise": fail, "/cancel": give_up, "/room": join}


def handler(ws: ServerConnection) -> None:
    assert ws.request is not None
    try:
        ACTS.get(ws.request.path, echo)(ws)
    except ConnectionClosed:
        pass


def cast(size: str) -> int:
    broadcast(room, "x" * int(size))
    return len(room)


def members() -> int:
    return len(room)


def not_sent() -> int:
    return sum(ws.stats.messages_not_sent for ws in room)


def main() -> None:
    given = asked()
    with serve(handler, sock=given.listener, ssl=given.context, **given.options) as server:
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
        orders = {"members": members, "cast": cast, "not_sent": not_sent}
        obey({"tasks": threading.active_count, **orders})
        server.serve_forever()


if __name__ == "__main__":
    main()
