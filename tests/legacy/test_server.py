"""The legacy server: how it is started, what its hooks may say, how it ends."""

from __future__ import annotations

import asyncio
import http
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..opening.peers import ask, raw_client
from ..support.http import request
from ..support.subject import ConnectionClosedError, ConnectionClosedOK, State
from ..support.tls import TLS
from . import names
from .names import (
    connect,
    deprecated,
    echo,
    idle,
    only_ropeway,
    pair,
    port_of,
    serve,
    serving,
    uri_of,
)


async def hello(ws: Any) -> None:
    await ws.send(f"hello {ws.path}")


# Starting and ending


async def test_it_can_be_awaited_or_entered() -> None:
    server = await serve(hello, "127.0.0.1", 0)
    assert isinstance(server, names.server.WebSocketServer)
    assert server.is_serving()
    assert server.get_loop() is asyncio.get_running_loop()
    async with connect(uri_of(server, "/a?b")) as ws:
        assert await ws.recv() == "hello /a?b"
    server.close()
    await server.wait_closed()
    assert not server.is_serving()
    assert list(server.sockets) == []
    async with await serve(hello, "127.0.0.1", 0) as server:
        assert server.is_serving()
    assert not server.is_serving()


@only_ropeway
def test_it_may_be_made_before_the_loop_runs(loop_factory: Callable[[], Any]) -> None:
    starting = serve(hello, "127.0.0.1", 0)

    async def main() -> str:
        async with starting as server:
            async with connect(uri_of(server)) as ws:
                return await ws.recv()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        assert runner.run(main()) == "hello /"


async def test_unix(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    async with names.server.unix_serve(hello, path):
        async with names.client.unix_connect(path, "ws://localhost/x") as ws:
            assert await ws.recv() == "hello /x"


async def test_tls(tls: TLS) -> None:
    async with serving(hello, ssl=tls.server_context) as server:
        async with connect(
            f"wss://127.0.0.1:{port_of(server)}/",
            ssl=tls.client_context,
            server_hostname="localhost",
        ) as ws:
            assert await ws.recv() == "hello /"
            assert ws.transport.get_extra_info("ssl_object") is not None


async def test_start_serving_and_serve_forever() -> None:
    async with serving(hello, start_serving=False) as server:
        assert not server.is_serving()
        await server.start_serving()
        assert server.is_serving()
        forever = asyncio.create_task(server.serve_forever())
        async with connect(uri_of(server)) as ws:
            assert await ws.recv() == "hello /"
        forever.cancel()
        with pytest.raises(asyncio.CancelledError):
            await forever
    assert not server.is_serving()


async def test_closing_closes_connections() -> None:
    server = await serve(idle, "127.0.0.1", 0)
    async with connect(uri_of(server)) as ws:
        (known,) = server.websockets
        assert known.remote_address == ws.local_address
        server.close()
        with pytest.raises(ConnectionClosedOK) as raised:
            await ws.recv()
        assert raised.value.rcvd.code == 1001
        await server.wait_closed()
        assert server.websockets == set()


async def test_closing_may_leave_connections_alone() -> None:
    server = await serve(echo, "127.0.0.1", 0)
    async with connect(uri_of(server)) as ws:
        await ws.send("before")
        assert await ws.recv() == "before"
        server.close(close_connections=False)
        await ws.send("after")
        assert await ws.recv() == "after"
    await server.wait_closed()


async def test_a_request_during_the_end_is_refused() -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    async def process_request(path: str, headers: Any) -> None:
        asked.set()
        await answer.wait()

    server = await serve(idle, "127.0.0.1", 0, process_request=process_request)
    connecting = asyncio.create_task(asyncio.wait_for(connect(uri_of(server)), 10))
    await asked.wait()
    server.close()
    await asyncio.sleep(0)
    answer.set()
    with pytest.raises(names.exceptions.InvalidStatusCode) as raised:
        await connecting
    assert raised.value.status_code == 503
    await server.wait_closed()


async def test_a_handler_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(ws: Any) -> None:
        raise ValueError("no")

    async with pair(fail) as ws:
        with pytest.raises(ConnectionClosedError) as raised:
            await ws.recv()
    assert raised.value.rcvd.code == 1011
    assert "connection handler failed" in caplog.messages


async def test_a_handler_with_a_path() -> None:
    async def greet(ws: Any, path: str) -> None:
        await ws.send(path)

    with deprecated("remove second argument" if names.ORACLE else "use handler(websocket)"):
        starting = serve(greet, "127.0.0.1", 0)
    async with starting as server:
        async with connect(uri_of(server, "/there?x")) as ws:
            assert await ws.recv() == "/there?x"


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"klass": names.server.WebSocketServerProtocol}, "rename klass to create_protocol"),
        ({"timeout": 5}, "rename timeout to close_timeout"),
        pytest.param({"loop": object()}, "remove loop argument", marks=only_ropeway),
    ],
)
async def test_old_arguments(argument: dict[str, Any], message: str) -> None:
    with deprecated(message):
        starting = serve(hello, "127.0.0.1", 0, **argument)
    async with starting as server:
        async with connect(uri_of(server)) as ws:
            assert await ws.recv() == "hello /"


# The opening handshake


async def plain(path: str, headers: Any) -> Any:
    match path:
        case "/teapot":
            return http.HTTPStatus.IM_A_TEAPOT, {"X-Tea": "green"}, b"short\n"
        case "/stout":
            return 418, [("X-Tea", "black")], b"stout\n"
        case "/abort":
            body = b"aborted\n"
            raise names.exceptions.AbortHandshake(http.HTTPStatus.CONFLICT, {"X-Tea": "no"}, body)
        case "/fail":
            raise RuntimeError("process_request fails")
        case "/upgrade":
            headers = headers.copy()
            del headers["Upgrade"]
            names.handshake.check_request(headers)
    return None


@pytest.mark.parametrize(
    ("path", "status", "tea", "body"),
    [
        ("/teapot", 418, "green", b"short\n"),
        ("/stout", 418, "black", b"stout\n"),
        ("/abort", 409, "no", b"aborted\n"),
        ("/fail", 500, None, b"Failed to open a WebSocket connection.\nSee server log"),
        ("/upgrade", 426, None, b"Failed to open a WebSocket connection: "),
    ],
)
async def test_process_request_answers(
    path: str, status: int, tea: str | None, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(idle, process_request=plain) as server:
        reply = await ask(port_of(server), request(line=f"GET {path} HTTP/1.1"))
    assert reply.status == status
    assert reply.all("X-Tea") == ([] if tea is None else [tea])
    assert reply.body.startswith(body)
    assert int(reply["Content-Length"]) == len(reply.body)
    assert reply["Content-Type"].startswith("text/plain")
    assert reply["Connection"] == "close"
    assert reply["Server"]
    assert reply["Date"]
    assert ("opening handshake failed" in caplog.messages) is (status == 500)


async def test_process_request_that_is_no_coroutine_function() -> None:
    async with serving(hello, process_request=lambda path, headers: None) as server:
        with deprecated("declare process_request as a coroutine"):
            async with connect(uri_of(server)) as ws:
                assert await ws.recv() == "hello /"


@pytest.mark.parametrize("extra", [{"X-Path": "/a"}, [("X-Path", "/a")], "callable"])
async def test_extra_headers(extra: Any) -> None:
    if extra == "callable":
        extra = lambda path, headers: {"X-Path": path, "X-Host": headers["Host"]}  # noqa: E731
    async with pair(hello, path="/a", extra_headers=extra) as ws:
        assert ws.response_headers["X-Path"] == "/a"


async def test_the_server_header_may_be_replaced_or_left_out() -> None:
    async with pair(hello, extra_headers={"Server": "mine"}) as ws:
        assert ws.response_headers.get_all("Server") == ["mine"]
    async with pair(hello, server_header=None) as ws:
        assert "Server" not in ws.response_headers


async def test_origins() -> None:
    async with serving(hello, origins=["http://ours", None]) as server:
        async with connect(uri_of(server), origin="http://ours") as ws:
            (known,) = server.websockets
            assert known.origin == ws.origin == "http://ours"
        async with connect(uri_of(server)) as ws:
            assert ws.origin is None
        with pytest.raises(names.exceptions.InvalidStatusCode) as raised:
            await connect(uri_of(server), origin="http://theirs")
    assert raised.value.status_code == 403
    assert str(raised.value) == "server rejected WebSocket connection: HTTP 403"


@pytest.mark.parametrize(
    ("ours", "theirs", "chosen"),
    [
        (["a", "b", "c"], ["b", "d", "c"], "b"),
        (["a", "b"], ["b"], "b"),
        (["a"], ["z"], None),
        (["a"], None, None),
        (None, ["a"], None),
    ],
)
async def test_subprotocols(ours: Any, theirs: Any, chosen: str | None) -> None:
    async with pair(hello, {"subprotocols": theirs}, subprotocols=ours) as ws:
        assert ws.subprotocol == chosen


async def test_select_subprotocol() -> None:
    asked = []

    def select(theirs: Any, ours: Any) -> Any:
        asked.append((list(theirs), list(ours)))
        return theirs[0]

    options = {"subprotocols": ["a", "b"], "select_subprotocol": select}
    async with pair(hello, {"subprotocols": ["b", "a"]}, **options) as ws:
        assert ws.subprotocol == "b"
    assert asked == [(["b", "a"], ["a", "b"])]


class Hooked(names.server.WebSocketServerProtocol):
    """Takes down which hooks are called, in order, and with what."""

    called: list[Any] = []

    def connection_made(self, transport: Any) -> None:
        self.called.append("connection_made")
        self.transport = transport
        super().connection_made(transport)

    async def handler(self) -> None:
        self.called.append("handler")
        await super().handler()

    async def read_http_request(self) -> tuple[str, Any]:
        path, headers = await super().read_http_request()
        self.called.append(("read_http_request", path))
        return path, headers

    async def process_request(self, path: str, request_headers: Any) -> Any:
        self.called.append(("process_request", path, request_headers["X-A"]))
        return await super().process_request(path, request_headers)

    @staticmethod
    def process_origin(headers: Any, origins: Any = None) -> Any:
        Hooked.called.append(("process_origin", origins))
        return names.server.WebSocketServerProtocol.process_origin(headers, origins)

    @staticmethod
    def process_extensions(headers: Any, available_extensions: Any) -> Any:
        Hooked.called.append(("process_extensions", len(available_extensions)))
        return names.server.WebSocketServerProtocol.process_extensions(
            headers, available_extensions
        )

    def process_subprotocol(self, headers: Any, available_subprotocols: Any) -> Any:
        self.called.append(("process_subprotocol", available_subprotocols))
        return super().process_subprotocol(headers, available_subprotocols)

    def select_subprotocol(self, client_subprotocols: Any, server_subprotocols: Any) -> Any:
        self.called.append(("select_subprotocol", client_subprotocols, server_subprotocols))
        return super().select_subprotocol(client_subprotocols, server_subprotocols)

    def write_http_response(self, status: Any, headers: Any, body: Any = None) -> None:
        self.called.append(("write_http_response", int(status), body))
        headers["X-Hook"] = "was here"
        super().write_http_response(status, headers, body)

    def connection_open(self) -> None:
        self.called.append("connection_open")
        super().connection_open()

    def connection_lost(self, exc: Exception | None) -> None:
        self.called.append("connection_lost")
        super().connection_lost(exc)


async def test_every_hook_is_called() -> None:
    Hooked.called = []
    agreeing = {"subprotocols": ["b", "c"], "extra_headers": {"X-A": "1"}}
    async with pair(
        echo, agreeing, "/p", create_protocol=Hooked, subprotocols=["b"], origins=[None]
    ) as ws:
        assert ws.response_headers["X-Hook"] == "was here"
        assert ws.subprotocol == "b"
        assert [extension.name for extension in ws.extensions] == ["permessage-deflate"]
        await ws.send("x" * 1000)
        assert await ws.recv() == "x" * 1000
    assert Hooked.called == [
        "connection_made",
        "handler",
        ("read_http_request", "/p"),
        ("process_request", "/p", "1"),
        ("process_origin", [None]),
        ("process_extensions", 1),
        ("process_subprotocol", ["b"]),
        ("select_subprotocol", ["b", "c"], ["b"]),
        ("write_http_response", 101, None),
        "connection_open",
        "connection_lost",
    ]


@only_ropeway
async def test_a_subclass_with_arguments_of_its_own() -> None:
    class Named(names.server.WebSocketServerProtocol):
        def __init__(self, *args: Any, name: str, **kwargs: Any) -> None:
            self.name = name
            self.id = self.stats = self.server = name
            super().__init__(*args, **kwargs)

    async def tell(ws: Any) -> None:
        await ws.send(f"{ws.name} {ws.id} {ws.stats} {ws.server}")

    def make(*args: Any, **kwargs: Any) -> Named:
        return Named(*args, name="me", **kwargs)

    async with pair(tell, create_protocol=make) as ws:
        assert await ws.recv() == "me me me me"


async def test_a_protocol_may_answer_by_itself() -> None:
    """As a gateway does that writes an error to the transport and closes it."""

    class Gateway(names.server.WebSocketServerProtocol):
        async def process_request(self, path: str, request_headers: Any) -> Any:
            self.transport.write(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
            self.transport.close()

    async with serving(idle, create_protocol=Gateway) as server:
        reply = await ask(port_of(server), request())
    assert reply.raw == b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"


async def test_messages_right_behind_the_request() -> None:
    got = asyncio.get_running_loop().create_future()

    async def take(ws: Any) -> None:
        got.set_result([await ws.recv(), await ws.recv()])

    async with serving(take, process_request=plain, compression=None) as server:
        async with raw_client(port_of(server)) as peer:
            frames = b"\x81\x81\0\0\0\0a" + b"\x82\x81\0\0\0\0b"
            await peer.send(request() + frames)
            assert (await peer.head()).status == 101
            assert await got == ["a", b"b"]


async def test_a_slow_process_request_is_given_up() -> None:
    ended = asyncio.get_running_loop().create_future()

    async def process_request(path: str, headers: Any) -> None:
        try:
            await asyncio.sleep(3600)
        except BaseException as exc:
            ended.set_result(type(exc))
            raise

    async with serving(idle, process_request=process_request, open_timeout=0.05) as server:
        async with raw_client(port_of(server)) as peer:
            await peer.send(request())
            reply = await peer.reply() if not names.ORACLE else None
        assert await ended is asyncio.CancelledError
    assert reply is None or reply.status == 503


@only_ropeway
async def test_a_slow_request_gets_an_answer() -> None:
    async with serving(idle, open_timeout=0.05) as server:
        assert (await ask(port_of(server), b"GET / HTTP/1.1\r\n")).status == 408


async def test_a_request_that_makes_no_sense() -> None:
    async with serving(idle) as server:
        assert (await ask(port_of(server), b"nonsense\r\n\r\n")).status == 400
    assert server.websockets == set()


async def test_a_client_that_leaves_without_asking() -> None:
    async with serving(idle) as server:
        async with raw_client(port_of(server)) as peer:
            await peer.send(b"GET ")
    assert server.websockets == set()


async def test_broadcast() -> None:
    async with serving(idle) as server:
        async with connect(uri_of(server)) as one, connect(uri_of(server)) as two:
            names.server.broadcast(server.websockets, "all")
            assert [await one.recv(), await two.recv()] == ["all", "all"]
            with pytest.raises(TypeError):
                names.server.broadcast(server.websockets, 5)


@only_ropeway
async def test_a_cancelled_handler_ends_its_connection() -> None:
    async with serving(idle) as server:
        async with connect(uri_of(server)) as ws:
            (known,) = server.websockets
            known.handler_task.cancel()
            with pytest.raises(ConnectionClosedError):
                await ws.recv()
            assert known.state is State.CLOSED
