"""uvicorn runs an application on the library under test; real clients talk to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from ...support import subject
from ...support.rawpeer import BINARY, CONT, PING, TEXT, RawPeer, frame
from ...support.require import require_package
from ..pairs import every_peer, fragmenting_peer, one_loop
from ..payloads import LENGTHS, MIB, patterned
from ..peers import Deflate, Peer, PeerClosedError, PeerOptions, PeerRefusedError, Where
from ..processes import first_line, python, running

pytestmark = one_loop

SERVE = Path(__file__).with_name("serve.py")
MAX_SIZE = 2 * 1024 * 1024


IMPLEMENTATIONS = {"websockets-sansio": "server", "websockets": "legacy.server"}
"""uvicorn's implementations, and the module of the class that each builds upon."""


@pytest.fixture(scope="module", params=IMPLEMENTATIONS)
def implementation(request: pytest.FixtureRequest) -> str:
    return request.param


@contextlib.contextmanager
def uvicorn(implementation: str, **settings: Any) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    require_package("uvicorn")
    require_package("starlette")
    options = json.dumps({"ws_max_size": MAX_SIZE, **settings})
    command = python(str(SERVE), subject.NAME, implementation, options)
    with running(command, stdout=subprocess.PIPE) as process:
        ready = json.loads(first_line(process))
        assert ready["module"] == f"{subject.NAME}.{IMPLEMENTATIONS[implementation]}"
        yield ready["port"], process


@pytest.fixture(scope="module")
def port(implementation: str) -> Iterator[int]:
    with uvicorn(implementation) as (port, _):
        yield port


def at(port: int, path: str) -> Where:
    return Where(f"ws://127.0.0.1:{port}{path}")


async def http(port: int, *lines: str) -> str:
    """Send a request by hand; return the whole answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = [*lines, f"Host: 127.0.0.1:{port}", "", ""]
    writer.write("\r\n".join(head).encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer.decode()


# Messages


@every_peer
@pytest.mark.parametrize("deflate", [None, Deflate()], ids=["plain", "compressed"])
async def test_echo(port: int, peer: Peer, deflate: Deflate | None) -> None:
    async with peer.connect(at(port, "/echo"), PeerOptions(deflate=deflate)) as client:
        assert ("sec-websocket-extensions" in client.headers) is (deflate is not None)
        for length in LENGTHS:
            for message in (patterned(length).hex()[:length], patterned(length)):
                await client.send(message)
                assert await client.recv() == message
        for text in ("Téléphérique", "索道 🚡" * 1000):
            await client.send(text)
            assert await client.recv() == text


async def test_echo_to_ropeways_client(port: int, implementation: str) -> None:
    async with subject.connect(f"ws://127.0.0.1:{port}/echo", proxy=None) as client:
        agreed = client.response.headers["Sec-WebSocket-Extensions"]
        # The older one asks for the largest window.
        small = implementation == "websockets-sansio"
        assert ("server_max_window_bits=12" in agreed) is small
        for message in ("", "up", "索道 🚡" * 1000, patterned(MIB)):
            await client.send(message)
            assert await client.recv() == message
        await client.send(["one ", "", "two"])
        assert await client.recv() == "one two"
        assert await (await client.ping(b"there?")) >= 0
        await client.close(3000, "enough")
        assert client.close_code == 3000


@fragmenting_peer
async def test_fragments(port: int, peer: Peer) -> None:
    for deflate in (None, Deflate()):
        async with peer.connect(at(port, "/echo"), PeerOptions(deflate=deflate)) as client:
            await client.send_fragments(["索道 ", "", "🚡", " up"])
            assert await client.recv() == "索道 🚡 up"
            await client.send_fragments([b"\x00", b"d" * 70_000, b"\xff"], ping=b"between")
            assert await client.recv() == b"\x00" + b"d" * 70_000 + b"\xff"


@every_peer
async def test_many_messages_at_once(port: int, peer: Peer) -> None:
    messages = [f"{number}:" + "x" * (number * 997 % 70_000) for number in range(100)]
    async with peer.connect(at(port, "/echo"), PeerOptions()) as client:

        async def send_all() -> None:
            for message in messages:
                await client.send(message)

        sending = asyncio.create_task(send_all())
        for message in messages:
            assert await client.recv() == message
        await sending


@every_peer
async def test_ping(port: int, peer: Peer) -> None:
    async with peer.connect(at(port, "/echo"), PeerOptions()) as client:
        for payload in (b"", b"there?", bytes(125)):
            await client.ping(payload)


# Handshakes


@every_peer
async def test_request_and_response(port: int, peer: Peer) -> None:
    options = PeerOptions(headers={"X-Rider": "me"})
    async with peer.connect(at(port, "/request?line=3&q=%C3%A9"), options) as client:
        assert "seven" in client.headers["x-cabin"] or "eight" in client.headers["x-cabin"]
        request = json.loads(str(await client.recv()))
        assert request["path"] == "/request"
        assert request["query"] == "line=3&q=%C3%A9"
        assert ["x-rider", "me"] in [[name.lower(), value] for name, value in request["headers"]]


@every_peer
async def test_subprotocol(port: int, peer: Peer) -> None:
    options = PeerOptions(subprotocols=["chat.v2", "chat.v1"])
    async with peer.connect(at(port, "/chat"), options) as client:
        assert client.subprotocol == "chat.v1"
        assert json.loads(str(await client.recv())) == ["chat.v2", "chat.v1"]


@every_peer
@pytest.mark.parametrize(
    ("path", "status"), [("/refuse", 403), ("/nowhere", 403), ("/deny", 404), ("/fail", 500)]
)
async def test_refused(port: int, peer: Peer, path: str, status: int) -> None:
    with pytest.raises(PeerRefusedError) as caught:
        async with peer.connect(at(port, path), PeerOptions()):
            pass
    assert caught.value.status == status


async def test_denial_response(port: int) -> None:
    invalid_status = subject.module("exceptions").InvalidStatus
    with pytest.raises(invalid_status) as caught:
        await subject.connect(f"ws://127.0.0.1:{port}/deny", proxy=None)
    assert caught.value.response.status_code == 404
    assert caught.value.response.headers["X-Cabin"] == "none"
    assert caught.value.response.body == b"no such cabin"


UPGRADE = ["GET /echo HTTP/1.1", "Connection: Upgrade", "Upgrade: websocket"]


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        pytest.param([*UPGRADE, "Sec-WebSocket-Version: 13"], 400, id="no-key"),
        pytest.param(
            [*UPGRADE, "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: short"],
            400,
            id="short-key",
        ),
        pytest.param(
            [*UPGRADE, "Sec-WebSocket-Version: 12", "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg=="],
            400,
            id="version-12",
        ),
    ],
)
async def test_bad_handshake(port: int, lines: list[str], status: int) -> None:
    answer = await http(port, *lines)
    assert answer.startswith(f"HTTP/1.1 {status} ")


async def test_plain_http_beside_it(port: int) -> None:
    answer = await http(port, "GET /page HTTP/1.1", "Connection: close")
    assert answer.startswith("HTTP/1.1 200 ")
    assert answer.endswith("plain HTTP")


# Ends


@every_peer
@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "later"), (4000, "é索🚡")])
async def test_closed_by_the_application(port: int, peer: Peer, code: int, reason: str) -> None:
    path = f"/close?code={code}&reason={quote(reason)}"
    async with peer.connect(at(port, path), PeerOptions()) as client:
        assert await client.closed() == (code, reason)


@every_peer
@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "later"), (4000, "é索🚡")])
async def test_closed_by_the_client(port: int, peer: Peer, code: int, reason: str) -> None:
    async with peer.connect(at(port, "/closed"), PeerOptions()) as client:
        await client.close(code, reason)
    async with peer.connect(at(port, "/last-end"), PeerOptions()) as client:
        assert json.loads(str(await client.recv())) == [code, reason]


@every_peer
async def test_dropped_by_the_client(port: int, implementation: str, peer: Peer) -> None:
    async with peer.connect(at(port, "/closed"), PeerOptions()) as client:
        client.abort()
    async with peer.connect(at(port, "/last-end"), PeerOptions()) as client:
        # What the two make of the same 1006.
        code = 1005 if implementation == "websockets-sansio" else 1006
        assert json.loads(str(await client.recv())) == [code, ""]


@every_peer
async def test_inflation_stops_at_the_limit(port: int, peer: Peer) -> None:
    async with peer.connect(at(port, "/echo"), PeerOptions(deflate=Deflate())) as client:
        await client.send(bytes(MAX_SIZE + 1))
        assert (await client.closed())[0] == 1009


@pytest.mark.parametrize(
    ("wire", "code"),
    [
        pytest.param(frame(TEXT, b"up"), 1002, id="unmasked"),
        pytest.param(frame(TEXT, b"up", rsv=0x40, mask=True), 1002, id="reserved-bit"),
        pytest.param(frame(0x3, b"up", mask=True), 1002, id="reserved-opcode"),
        pytest.param(frame(CONT, b"up", mask=True), 1002, id="nothing-to-continue"),
        pytest.param(frame(PING, b"p" * 126, mask=True), 1002, id="long-ping"),
        pytest.param(frame(TEXT, length=MAX_SIZE + 1, mask=True), 1009, id="over-the-limit"),
        pytest.param(frame(TEXT, b"\xff", mask=True), 1007, id="not-utf-8"),
        pytest.param(
            frame(TEXT, b"\xe7\xb4", fin=False, mask=True) + frame(CONT, b"up", mask=True),
            1007,
            id="not-utf-8-across-frames",
        ),
        pytest.param(
            frame(BINARY, b"", fin=False, mask=True) + frame(BINARY, b"", mask=True),
            1002,
            id="interrupted-message",
        ),
    ],
)
async def test_client_that_breaks_the_protocol(port: int, wire: bytes, code: int) -> None:
    raw = await RawPeer.open(port)
    try:
        await raw.send(wire)
        assert (await raw.recv_close())[0] == code
    finally:
        raw.close()


# Time


@pytest.mark.parametrize("peer", ["wsproto"], indirect=True)
async def test_keepalive(implementation: str, peer: Peer) -> None:
    with uvicorn(implementation, ws_ping_interval=0.1, ws_ping_timeout=20) as (port, _):
        async with peer.connect(at(port, "/echo"), PeerOptions()) as client:
            for _ in range(3):
                await client.pings.get()  # type: ignore[attr-defined]
            await client.send("still here")
            assert await client.recv() == "still here"


async def test_client_that_does_not_answer(implementation: str) -> None:
    with uvicorn(implementation, ws_ping_interval=0.1, ws_ping_timeout=0.1) as (port, _):
        raw = await RawPeer.open(port)
        try:
            await raw.recv_payload(PING)
            code, reason = await raw.recv_close()
            assert code == 1011
            assert reason.startswith("keepalive ping timeout")
        finally:
            raw.close()


@every_peer
async def test_shutdown(implementation: str, peer: Peer) -> None:
    with uvicorn(implementation) as (port, process):
        async with peer.connect(at(port, "/echo"), PeerOptions()) as client:
            await client.send("last")
            assert await client.recv() == "last"
            process.send_signal(signal.SIGTERM)
            with pytest.raises(PeerClosedError):
                await client.recv()
            assert (await client.closed())[0] == 1012
        assert await asyncio.to_thread(process.wait, 10) in (0, -signal.SIGTERM)
