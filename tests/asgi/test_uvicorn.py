"""What uvicorn demands of an implementation, and what ours adds: real servers, raw clients."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

import ropeway
from ropeway.asgi import uvicorn as glue
from ropeway.asyncio.transport import StreamTransport

from ..support.rawpeer import BINARY, CLOSE, TEXT, close_payload
from ..support.require import require_package
from ..support.tls import TLS
from .scenarios import echo
from .serving import OURS, Application, Client, serving

MIB = 2**20
DESCRIPTORS = "/proc/self/fd"


# What the application is told


async def tell_scope(application: Application) -> None:
    await application.receive()
    await application.send("close")


@pytest.mark.parametrize("root_path", ["", "/mounted"])
async def test_the_scope_is_that_of_uvicorn(root_path: str) -> None:
    scopes = []
    for implementation in (OURS, "websockets-sansio"):
        application = Application(tell_scope)
        async with serving(application, implementation, root_path=root_path) as served:
            client = await Client.connect(
                served.port,
                "X-Rider: me",
                "x-rider: you",
                "X-Latin: \xe9".encode("latin-1").decode("latin-1"),
                "Sec-WebSocket-Protocol: chat.v1, chat.v2",
                "Sec-WebSocket-Protocol: chat.v3",
                target="/caf%C3%A9/a%2Fb?line=3&q=%C3%A9",
            )
            host, port = client.sock.getsockname()
            await client.answered()
            client.close()
        scope = application.scope
        assert scope.pop("client") == (host, port)
        assert scope.pop("server") == ("127.0.0.1", served.port)
        scope["headers"] = [pair for pair in scope["headers"] if pair[0] != b"host"]
        scopes.append(scope)
    ours, theirs = scopes
    assert ours == theirs
    assert ours["path"] == f"{root_path}/café/a/b"
    assert ours["subprotocols"] == ["chat.v1", "chat.v2", "chat.v3"]


async def test_the_application_shares_the_state_of_its_lifespan() -> None:
    states: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            scope["state"]["opened"] = ["by the lifespan"]
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        states.append(scope["state"])
        scope["state"]["mine"] = True
        await receive()
        await send({"type": "websocket.close"})

    async with serving(app, lifespan="on") as served:
        for _ in range(2):
            client = await Client.connect(served.port)
            assert await client.answered() == 403
            client.close()
    assert states == [{"opened": ["by the lifespan"], "mine": True}] * 2
    assert states[0] is not states[1]
    assert states[0]["opened"] is states[1]["opened"]


async def test_a_proxy_may_say_who_the_client_is(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "uvicorn.error")
    application = Application(tell_scope)
    async with serving(application, proxy_headers=True) as served:
        client = await Client.connect(
            served.port, "X-Forwarded-For: 192.0.2.7", "X-Forwarded-Proto: https"
        )
        await client.answered()
        client.close()
    assert application.scope["client"] == ("192.0.2.7", 0)
    assert application.scope["scheme"] == "wss"
    assert '192.0.2.7:0 - "WebSocket /" 403' in caplog.messages


# The handshake


async def open_with_headers(application: Application) -> None:
    await application.open(
        subprotocol="chat.v2", headers=[(b"X-Cabin", b"seven"), (b"x-cabin", b"\xe9")]
    )


@pytest.mark.parametrize("wanted", [True, False])
async def test_headers_of_the_response(wanted: bool) -> None:
    application = Application(open_with_headers)
    options = {"server_header": wanted, "date_header": wanted, "headers": [("X-Depot", "north")]}
    async with serving(application, **options) as served:
        client = await Client.open(served.port, "Sec-WebSocket-Protocol: chat.v1, chat.v2")
        await client.recv_all()
        client.close()
        assert client.values("sec-websocket-protocol") == ["chat.v2"]
        assert client.values("sec-websocket-accept") == ["BACScCJPNqyz+UBoqMH89VmURoA="]
        assert client.values("x-cabin") == ["seven", "\xe9"]
        assert client.values("x-depot") == ["north"]
        assert client.values("server") == (["uvicorn"] if wanted else [])
        assert len(client.values("date")) == wanted


@pytest.mark.parametrize("wanted", [True, False])
async def test_headers_of_a_refusal(wanted: bool) -> None:
    options = {"server_header": wanted, "date_header": wanted, "headers": [("X-Depot", "north")]}
    async with serving(Application(tell_scope), **options) as served:
        client = await Client.connect(served.port)
        assert await client.answered() == 403
        client.close()
        assert client.values("connection") == ["close"]
        assert client.values("content-length") == ["0"]
        assert client.values("x-depot") == ["north"]
        assert client.values("server") == (["uvicorn"] if wanted else [])
        assert len(client.values("date")) == wanted


@pytest.mark.parametrize("compression", [True, False])
async def test_compression(compression: bool) -> None:
    application = Application(echo)
    async with (
        serving(application, ws_per_message_deflate=compression) as served,
        ropeway.connect(f"ws://127.0.0.1:{served.port}", proxy=None) as client,
    ):
        assert ("Sec-WebSocket-Extensions" in client.response.headers) is compression
        await client.send("up and down " * 1000)
        assert await client.recv() == "up and down " * 1000


async def test_a_bad_handshake_never_reaches_the_application() -> None:
    application = Application(echo)
    async with serving(application) as served:
        client = await Client.connect(served.port, "Sec-WebSocket-Version: 12")
        assert await client.answered() == 400
        assert client.values("server") == ["uvicorn"]
        client.close()
    assert application.seen == []


@pytest.mark.parametrize("http", ["h11", "httptools"])
async def test_a_request_that_follows_another(http: str) -> None:
    require_package(http)
    application = Application(echo)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await application(scope, receive, send)
            return
        headers = [(b"content-length", b"4")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"page"})

    async with serving(app, http=http) as served:
        client = await Client.connect(served.port)
        assert await client.answered() == 101
        await client.send_frame(TEXT, "directly")
        assert await client.recv_payload(TEXT) == b"directly"
        client.close()

        loop = asyncio.get_running_loop()
        again = Client(socket.socket(), masks=True)
        again.sock.setblocking(False)
        await loop.sock_connect(again.sock, ("127.0.0.1", served.port))
        await again.send(b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n")
        await again.recv_until(b"page")
        await again.send(
            b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
        )
        assert await again.answered() == 101
        await again.send_frame(TEXT, "later")
        assert await again.recv_payload(TEXT) == b"later"
        again.close()


async def test_messages_that_come_before_the_answer() -> None:
    answering = asyncio.Event()

    async def late(application: Application) -> None:
        await application.receive()
        waiting = asyncio.ensure_future(application.receive())
        await answering.wait()
        await application.send("accept")
        assert await waiting == {"type": "websocket.receive", "text": "impatient"}
        await application.send("send", text="at last")

    application = Application(late)
    async with serving(application) as served:
        client = await Client.connect(served.port)
        while not application.seen:
            await asyncio.sleep(0)
        await client.send_frame(TEXT, "impatient")
        answering.set()
        assert await client.answered() == 101
        assert await client.recv_payload(TEXT) == b"at last"
        client.close()
        await application.ended


# The transport


async def test_the_socket_is_taken_over() -> None:
    async with serving(Application(echo)) as served:
        client = await Client.open(served.port)
        (connection,) = served.connections
        assert type(connection.transport) is StreamTransport
        assert connection.transport.get_extra_info("peername") == client.sock.getsockname()
        assert connection.transport.get_extra_info("sockname") == client.sock.getpeername()
        large = os.urandom(3 * MIB)
        sending = asyncio.create_task(client.send_frame(BINARY, large))
        assert await client.recv_payload(BINARY) == large
        await sending
        client.close()


@pytest.mark.skipif(not os.path.exists(DESCRIPTORS), reason="the system doesn't list them")
async def test_a_connection_has_one_descriptor() -> None:
    async with serving(Application(echo)) as served:
        clients = [await Client.open(served.port)]  # the first makes what all share
        clients.append(await Client.open(served.port))
        before = len(os.listdir(DESCRIPTORS))
        for _ in range(10):
            clients.append(await Client.open(served.port))
        # Its end and ours; that of the loop's transport goes in the next turn.
        while len(os.listdir(DESCRIPTORS)) > before + 20:
            await asyncio.sleep(0)
        for client in clients:
            client.close()


async def test_out_of_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(descriptor: int) -> int:
        raise OSError(24, "Too many open files")

    async with serving(Application(echo)) as served:
        with monkeypatch.context() as patched:
            patched.setattr(os, "dup", exhausted)
            client = await Client.open(served.port)
        (connection,) = served.connections
        assert type(connection.transport) is not StreamTransport
        await client.send_frame(TEXT, "up")
        assert await client.recv_payload(TEXT) == b"up"
        client.close()


async def test_tls(tls: TLS) -> None:
    application = Application(echo)
    async with serving(application) as served:
        served.server.config.ssl = tls.server_context
        listener = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(served.server.config)
        server.lifespan = served.server.lifespan
        await server.startup(sockets=[listener])
        uri = f"wss://127.0.0.1:{listener.getsockname()[1]}"
        async with ropeway.connect(
            uri, ssl=tls.client_context, proxy=None, max_size=None, ping_interval=None
        ) as client:
            large = os.urandom(3 * MIB)
            await client.send("up")
            await client.send(large)
            assert await client.recv() == "up"
            assert await client.recv() == large
        await server.shutdown(sockets=[listener])
    assert application.scope["scheme"] == "wss"
    assert application.seen[-1] == {"type": "websocket.disconnect", "code": 1000, "reason": ""}


async def test_unix_socket(tmp_path: Path) -> None:
    application = Application(echo)
    config = uvicorn.Config(
        application, ws=OURS, uds=str(tmp_path / "s"), lifespan="off", log_config=None
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    async with ropeway.unix_connect(str(tmp_path / "s")) as client:
        await client.send("up")
        assert await client.recv() == "up"
    await server.shutdown()
    assert application.scope["client"] is None
    assert application.scope["server"] == (str(tmp_path / "s"), None)


# Messages


async def test_answers_to_one_packet_are_one_packet() -> None:
    async with serving(Application(echo)) as served:
        client = await Client.open(served.port)
        await client.send(*[client.frame(TEXT, f"{number:02}") for number in range(64)])
        await client.recv_some()
        answers = [await client.recv_payload(TEXT) for _ in range(64)]
        assert answers == [f"{number:02}".encode() for number in range(64)]
        client.close()


async def test_nothing_is_lost_when_receive_is_cancelled() -> None:
    async def hurry(application: Application) -> None:
        await application.open()
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(application.raw_receive(), 0.001)
        first = asyncio.ensure_future(application.raw_receive())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="another task is receiving"):
            await application.raw_receive()
        await application.send("send", text="go")
        assert (await first)["text"] == "one"
        assert (await application.receive())["text"] == "two"

    application = Application(hurry)
    async with serving(application) as served:
        client = await Client.open(served.port)
        assert await client.recv_payload(TEXT) == b"go"
        await client.send(client.frame(TEXT, "one"), client.frame(TEXT, "two"))
        assert await client.answer_close() == (1000, "")
        client.close()


async def test_messages_before_a_close_frame_are_received_though_the_client_is_gone() -> None:
    going = asyncio.Event()

    async def late(application: Application) -> None:
        await application.open()
        await going.wait()
        await application.receive_all()

    application = Application(late)
    async with serving(application) as served:
        client = await Client.open(served.port)
        frames = [client.frame(TEXT, str(number)) for number in range(5)]
        await client.send(*frames, client.frame(CLOSE, close_payload(1001)))
        client.close()
        while served.connections and not served.connections[0].protocol.discarding:
            await asyncio.sleep(0)
        going.set()
        await application.ended
    assert [event.get("text") for event in application.seen[1:-1]] == ["0", "1", "2", "3", "4"]
    assert application.seen[-1]["code"] == 1001


async def test_a_client_must_wait_for_an_application_that_does_not_receive() -> None:
    going = asyncio.Event()

    async def slow(application: Application) -> None:
        await application.open()
        await going.wait()
        await application.receive_all()

    application = Application(slow)
    async with serving(application, ws_max_queue=4) as served:
        client = await Client.open(served.port)
        message = client.frame(BINARY, bytes(64 * 1024))
        sending = asyncio.create_task(client.send(*[message] * 400, client.frame(CLOSE)))
        (connection,) = served.connections
        while connection.transport.is_reading():
            await asyncio.sleep(0)
        assert not sending.done()
        assert connection.protocol.stats().messages_received <= 4 + 1
        going.set()
        await sending
        await application.ended
        client.close()
    assert len(application.seen) == 1 + 400 + 1


@pytest.mark.parametrize("reads", [True, False])
async def test_an_application_must_wait_for_a_client_that_does_not_read(reads: bool) -> None:
    sent = 0

    async def pour(application: Application) -> None:
        nonlocal sent
        await application.open()
        for _ in range(400):
            await application.send("send", bytes=bytes(64 * 1024))
            sent += 1

    async def run(application: Application) -> None:
        try:
            await pour(application)
        except OSError:
            application.seen.append("OSError")

    application = Application(run)
    async with serving(application) as served:
        client = await Client.open(served.port)
        (connection,) = served.connections
        while connection.transport.get_write_buffer_size() == 0:
            await asyncio.sleep(0)
        assert sent < 400
        assert connection.transport.get_write_buffer_size() < MIB
        if reads:
            for _ in range(400):
                assert len(await client.recv_payload(BINARY)) == 64 * 1024
        client.close()
        await application.ended
    assert sent < 400 or reads
    assert application.seen[1:] == ([] if reads else ["OSError"])


# Imports and options


async def test_the_class_itself_may_be_given() -> None:
    async with serving(Application(echo), glue.WebSocketProtocol) as served:
        client = await Client.open(served.port)
        assert isinstance(served.connections[0], glue.WebSocketProtocol)
        client.close()


def test_it_is_what_uvicorn_calls() -> None:
    wanted = {name for name in vars(WebSocketsSansIOProtocol) if not name.startswith("_")}
    called = {"connection_made", "data_received", "eof_received", "connection_lost", "shutdown"}
    assert called | {"pause_writing", "resume_writing"} <= wanted
    for name in called | {"pause_writing", "resume_writing"}:
        assert callable(getattr(glue.WebSocketProtocol, name))


def test_uvicorn_is_not_needed_for_the_import() -> None:
    code = (
        "import sys; sys.modules['uvicorn'] = None; import ropeway.asgi.uvicorn as glue; "
        "print(glue.WebSocketProtocol.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "WebSocketProtocol\n"
