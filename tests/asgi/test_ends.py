"""How connections end: the server shuts down, a client falls silent; and what is logged."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref

import pytest

from ropeway.asgi import uvicorn as glue

from ..support.rawpeer import PING, TEXT
from .scenarios import echo
from .serving import Application, Client, serving


async def test_shutdown_does_not_wait_for_a_client_that_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(glue, "SHUTDOWN_TIMEOUT", 0.05)
    application = Application(echo)
    async with serving(application) as served:
        client = await Client.open(served.port)
        await served.stop()  # the client neither answers nor closes
        assert served.connections == []
        assert application.seen[-1] == {"type": "websocket.disconnect", "code": 1012, "reason": ""}
        assert await client.recv_close() == (1012, "")
        client.close()


async def test_shutdown_while_a_connection_closes() -> None:
    async def close(application: Application) -> None:
        await application.open()
        await application.send("close")

    async with serving(Application(close)) as served:
        client = await Client.open(served.port)
        assert await client.recv_close() == (1000, "")
        await served.stop()
        assert served.connections == []
        client.close()


async def test_graceful_shutdown_has_an_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "uvicorn.error")
    cancelled = asyncio.Event()

    async def deaf(application: Application) -> None:
        await application.open()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async with serving(Application(deaf), timeout_graceful_shutdown=0.2) as served:
        client = await Client.open(served.port)
        stopping = asyncio.create_task(served.stop())
        await client.recv_all()
        client.close()
        await stopping
        await cancelled.wait()
    assert "Cancel 1 running task(s), timeout graceful shutdown exceeded" in caplog.messages


async def test_keepalive() -> None:
    async with serving(Application(echo), ws_ping_interval=0.05) as served:
        client = await Client.open(served.port)
        for _ in range(3):
            await client.send_frame(0xA, await client.recv_payload(PING))
        await client.send_frame(TEXT, "still here")
        while (received := await client.recv_frame()).opcode == PING:
            await client.send_frame(0xA, received.payload)
        assert received.payload == b"still here"
        client.close()


@pytest.mark.parametrize("interval", [None, 0.0])
async def test_no_keepalive(interval: float | None) -> None:
    async with serving(Application(echo), ws_ping_interval=interval) as served:
        client = await Client.open(served.port)
        assert served.connections[0].protocol.keepalive.next_deadline() is None
        client.close()


async def test_logs(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "uvicorn.error")

    async def misbehave(application: Application) -> object:
        target = application.scope["path"]
        await application.receive()
        if target == "/deny":
            await application.send("http.response.start", status=418, headers=[])
            await application.send("http.response.body", body=b"")
        elif target == "/leave":
            return None
        elif target == "/fail":
            raise ValueError("on purpose")
        else:
            await application.send("accept")
            return "something"
        return None

    async with serving(Application(misbehave)) as served:
        for target in ("/open?line=3", "/deny", "/leave", "/fail"):
            client = await Client.connect(served.port, target=target)
            if await client.answered() == 101:
                await client.recv_all()
            client.close()
    logged = "\n".join(caplog.messages)
    assert '- "WebSocket /open?line=3" [accepted]' in logged
    assert '- "WebSocket /deny" 418' in logged
    assert "ASGI callable should return None, but returned 'something'." in logged
    assert "ASGI callable returned without completing handshake." in logged
    assert "Exception in ASGI application\n" in caplog.messages
    assert "connection open" in caplog.messages


async def test_traces(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(5, "uvicorn.error")
    async with serving(Application(echo)) as served:
        client = await Client.open(served.port)
        host, port = client.sock.getsockname()
        client.close()
    assert f"{host}:{port} - WebSocket connection made" in caplog.messages
    assert f"{host}:{port} - WebSocket connection lost" in caplog.messages


async def test_a_connection_is_freed_without_the_garbage_collector() -> None:
    application = Application(echo)
    async with serving(application) as served:
        gc.disable()
        try:
            client = await Client.open(served.port)
            connection = weakref.ref(served.connections[0])
            await client.send_frame(TEXT, "up")
            assert await client.recv_payload(TEXT) == b"up"
            await client.send_close()
            await client.recv_all(answer=False)
            client.close()
            await application.ended
            del application.raw_receive, application.raw_send
            while served.connections or served.server.server_state.tasks:
                await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert connection() is None
        finally:
            gc.enable()
