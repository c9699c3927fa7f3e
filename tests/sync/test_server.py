"""serve for threads: handlers, callbacks, routing, shutting down."""

from __future__ import annotations

import logging
import socket
import threading
from typing import Any

import pytest

from ropeway import ConnectionClosed, ConnectionClosedOK, InvalidStatus
from ropeway.sync.client import connect
from ropeway.sync.server import Server, ServerConnection, broadcast, serve, unix_serve

from ..support.tls import TLS
from .serving import connecting, echo, pair, running, serving, until, uri


def test_a_handler_that_returns_closes_the_connection() -> None:
    with serving(lambda connection: connection.send("bye")) as server, connecting(server) as ws:
        assert ws.recv() == "bye"
        with pytest.raises(ConnectionClosedOK, match="1000"):
            ws.recv()


def test_a_handler_with_a_path() -> None:
    def handler(connection: Any, path: str) -> None:
        connection.send(path)

    with pytest.warns(DeprecationWarning, match="path") as caught:
        server = serve(handler, "127.0.0.1", 0)
    assert caught[0].filename == __file__
    with server, running(server.serve_forever):
        with connect(f"{uri(server)}path?query", proxy=None) as ws:
            assert ws.recv() == "/path?query"
        server.shutdown()


def test_connections_are_those_that_are_open() -> None:
    with pair() as (near, far):
        server = far.server
        assert server.connections == {far}
        near.close()
        assert server.connections == set()


def test_max_connections_and_hosts() -> None:
    with serving(max_connections=1) as server, connecting(server):
        with pytest.raises(InvalidStatus, match="503"):
            connecting(server)
    with serving(hosts=["example.com"]) as server:
        with pytest.raises(InvalidStatus, match="403|400|421"):
            connecting(server)


# Broadcast


def test_broadcast() -> None:
    with serving() as server:
        clients = [connect(uri(server), proxy=None, legacy=True) for _ in range(5)]
        until(lambda: len(server.connections) == 5)
        broadcast(server.connections, "to all", max_workers=3)
        broadcast(server.connections, b"\xff", raise_exceptions=True)
        for client in clients:
            assert [client.recv(5), client.recv(5)] == ["to all", b"\xff"]
            client.close()
        with pytest.raises(TypeError, match="str or bytes"):
            broadcast([], ["a"])  # type: ignore[arg-type]


# Shutting down


def test_shutdown_closes_connections() -> None:
    with serving() as server, connecting(server) as ws:
        until(lambda: len(server.connections) == 1)
        server.shutdown(code=1012, reason="restart")
        with pytest.raises(ConnectionClosed, match=r"1012 \(service restart\) restart"):
            ws.recv()
        with pytest.raises(OSError):
            connecting(server)
        server.shutdown()


def test_shutdown_that_waits_for_handlers() -> None:
    with serving() as server, connecting(server) as ws:
        until(lambda: len(server.connections) == 1)
        with running(server.shutdown, False) as shutting:
            until(lambda: not server.is_serving())
            ws.send("still here")
            assert ws.recv() == "still here"
            ws.close()
            assert shutting.get() is None


def test_shutdown_without_serving() -> None:
    server = serve(echo, "127.0.0.1", 0)
    assert server.fileno() == server.socket.fileno()
    server.shutdown()
    server.serve_forever()
    assert server.socket.fileno() == -1


def test_shutdown_turns_away_who_has_not_asked() -> None:
    with serving() as server:
        spare = socket.create_connection(server.socket.getsockname())
        until(lambda: len(server.all_connections) == 1)
        server.shutdown()
        with spare:
            assert spare.recv(1000).startswith(b"HTTP/1.1 503 ")


def test_shutdown_by_a_handler_is_refused() -> None:
    outcome: list[BaseException] = []

    def handler(connection: Any) -> None:
        try:
            connection.server.shutdown()
        except RuntimeError as exc:
            outcome.append(exc)

    with serving(handler) as server, connecting(server) as ws:
        assert ws.wait_closed(5)
    assert "by a connection handler" in str(outcome[0])


def test_logs(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ropeway.server")
    with serving() as server, connecting(server):
        pass
    texts = [record.getMessage() for record in caplog.records]
    assert texts[0].startswith("server listening on 127.0.0.1:")
    assert texts[-1] == "server closed"
    assert {"connection open", "connection closed", "server closing"} <= set(texts)


@pytest.mark.parametrize(("name", "value"), [("host", "x"), ("port", 1), ("path", "x")])
def test_a_socket_excludes_an_address(name: str, value: Any) -> None:
    with socket.socket() as sock, pytest.raises(ValueError, match=f"{name} is incompatible"):
        serve(echo, sock=sock, **{name: value})


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="missing path"):
        unix_serve(echo)
    with pytest.raises(ValueError, match="unsupported compression"):
        serve(echo, "127.0.0.1", 0, compression="zip")


def test_a_server_of_ones_own() -> None:
    seen = threading.Event()

    def handler(sock: socket.socket, address: Any) -> None:
        seen.set()
        sock.close()

    server = Server(socket.create_server(("127.0.0.1", 0)), handler)
    with server, running(server.serve_forever):
        socket.create_connection(server.socket.getsockname()).close()
        assert seen.wait(5)
        server.shutdown()


def test_a_class_with_a_logger_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    mine = logging.getLogger("tests.mine")

    class Own(ServerConnection):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.logger = mine

    with serving(create_connection=Own) as server, connecting(server):
        pass
    texts = [record.getMessage() for record in caplog.records if record.name == mine.name]
    assert texts == ["connection open", "connection closed"]


def test_one_tls_handshake_too_many_is_dropped(tls: TLS) -> None:
    with serving(ssl=tls.server_context, max_handshakes=1) as server:
        address = server.socket.getsockname()
        with socket.create_connection(address, 10), socket.create_connection(address, 10):
            # Which of them came first is for the threads to say; one of them has to go.
            until(lambda: server.stats.refused_crowded == 1)
        until(lambda: _opens(server, tls))


def _opens(server: Server, tls: TLS) -> bool:
    port = server.socket.getsockname()[1]
    try:
        with connect(f"wss://localhost:{port}/", proxy=None, ssl=tls.client_context) as ws:
            ws.send("hello")
            return ws.recv() == "hello"
    except (OSError, EOFError):  # those before are just leaving
        return False


def test_draining_from_a_handler_is_refused() -> None:
    refused: list[str] = []

    def handler(connection: ServerConnection) -> None:
        try:
            connection.server.drain(1)
        except RuntimeError as exc:
            refused.append(str(exc))

    with serving(handler) as server, connecting(server) as ws:
        with pytest.raises(ConnectionClosedOK):
            ws.recv()
    assert refused == ["drain() was called by a connection handler"]
