"""Where and how a server listens, and what it does when it can't accept or has to stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from ..support.drivers import asyncio_only
from ..support.endpoints import DEFAULTS, connecting, port_of, serving, until
from ..support.rawpeer import TEXT, RawPeer
from ..support.subject import NAME, connect, only_ropeway, serve, unix_connect, unix_serve

pytestmark = asyncio_only("servers of asyncio; tests/sync and tests/trio have their own")


async def echo(ws: Any) -> None:
    async for message in ws:
        await ws.send(message)


async def answers(uri: str, **options: Any) -> None:
    async with connect(uri, **{"proxy": None, **DEFAULTS, **options}) as ws:
        await ws.send("hello")
        assert await ws.recv() == "hello"


# Addresses


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


@needs_ipv6
async def test_ipv6() -> None:
    found: list[Any] = []

    async def handler(ws: Any) -> None:
        found.append((ws.local_address, ws.remote_address))
        await echo(ws)

    async with serve(handler, "::1", 0, **DEFAULTS) as server:
        (listener,) = server.sockets
        assert listener.family == socket.AF_INET6
        port = port_of(server)
        async with connect(f"ws://[::1]:{port}/", proxy=None, **DEFAULTS) as ws:
            await ws.send("hello")
            assert await ws.recv() == "hello"
            assert ws.remote_address[:2] == ("::1", port)
            assert found == [(ws.remote_address, ws.local_address)]
            assert len(ws.remote_address) == 4


@needs_ipv6
async def test_several_hosts_of_both_families() -> None:
    async with serve(echo, ["127.0.0.1", "::1"], 0, **DEFAULTS) as server:
        assert {listener.family for listener in server.sockets} == {
            socket.AF_INET,
            socket.AF_INET6,
        }
        for listener in server.sockets:
            host, port = listener.getsockname()[:2]
            await answers(f"ws://{f'[{host}]' if ':' in host else host}:{port}/")


@pytest.mark.parametrize("host", [None, ""])
async def test_all_interfaces(host: str | None) -> None:
    async with serve(echo, host, 0, **DEFAULTS) as server:
        ports = {
            listener.getsockname()[1]
            for listener in server.sockets
            if listener.family == socket.AF_INET
        }
        assert ports
        for port in ports:
            await answers(f"ws://127.0.0.1:{port}/")


@pytest.mark.parametrize("blocking", [True, False])
async def test_given_listening_socket(blocking: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(blocking)
        port = listener.getsockname()[1]
        # It waits in the backlog from before there is a server.
        with socket.create_connection(("127.0.0.1", port)):
            async with serve(echo, sock=listener, **DEFAULTS) as server:
                assert port_of(server) == port
                await answers(f"ws://127.0.0.1:{port}/")


async def test_given_socket_that_is_only_bound() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        async with serve(echo, sock=bound, **DEFAULTS) as server:
            await answers(f"ws://127.0.0.1:{port_of(server)}/")


async def test_connection_over_a_given_socket() -> None:
    async with serving(echo) as server:
        port = port_of(server)
        for blocking in (True, False):
            sock = socket.create_connection(("127.0.0.1", port))
            sock.setblocking(blocking)
            await answers(f"ws://localhost:{port}/", sock=sock)


async def test_connection_over_a_socket_pair(tmp_path: Any) -> None:
    async with unix_serve(echo, str(tmp_path / "socket"), **DEFAULTS):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(tmp_path / "socket"))
            async with unix_connect(sock=sock, **DEFAULTS) as ws:
                await ws.send("hello")
                assert await ws.recv() == "hello"


# Options of the listener


@pytest.mark.skipif(not hasattr(socket, "SO_REUSEPORT"), reason="no SO_REUSEPORT here")
async def test_reuse_port() -> None:
    async with serving(echo, reuse_port=True) as first:
        port = port_of(first)
        async with serve(echo, "127.0.0.1", port, reuse_port=True, **DEFAULTS) as second:
            assert port_of(second) == port
            for _ in range(10):
                await answers(f"ws://127.0.0.1:{port}/")


@pytest.mark.parametrize("backlog", [5, 100])
async def test_backlog(backlog: int) -> None:
    async with serving(echo, backlog=backlog) as server:
        uri = f"ws://127.0.0.1:{port_of(server)}/"
        await asyncio.gather(*(answers(uri) for _ in range(5)))


async def test_start_serving_later() -> None:
    server = await serve(echo, "127.0.0.1", 0, start_serving=False, **DEFAULTS)
    assert not server.is_serving()
    assert len(server.sockets) == 1
    await server.start_serving()
    await server.start_serving()
    assert server.is_serving()
    await answers(f"ws://127.0.0.1:{port_of(server)}/")
    server.close()
    await server.wait_closed()
    assert not server.is_serving()
    assert list(server.sockets) == []


async def test_server_that_never_started_serving_is_closed() -> None:
    server = await serve(echo, "127.0.0.1", 0, start_serving=False, **DEFAULTS)
    port = port_of(server)
    server.close()
    await server.wait_closed()
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port)).close()


async def test_sockets_of_the_server() -> None:
    async with serve(echo, ["127.0.0.1", "127.0.0.2"], 0, **DEFAULTS) as server:
        assert len(server.sockets) == 2
        for listener in server.sockets:
            assert listener.fileno() >= 0
            assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            assert listener.type == socket.SOCK_STREAM
            assert "127.0.0." in repr(listener)
        numbers = [listener.fileno() for listener in server.sockets]
    assert list(server.sockets) == []
    for number in numbers:
        with pytest.raises(OSError):
            os.fstat(number)


async def test_port_can_be_used_again_at_once() -> None:
    async with serving(echo) as server:
        port = port_of(server)
        async with connecting(port) as ws:
            await ws.send("hello")
    for _ in range(3):
        async with serve(echo, "127.0.0.1", port, **DEFAULTS):
            await answers(f"ws://127.0.0.1:{port}/")


async def test_asyncio_server_underneath() -> None:
    async with serving(echo) as server:
        assert server.get_loop() is asyncio.get_running_loop()
        assert server.server.is_serving()
        assert server.server.get_loop() is asyncio.get_running_loop()
        assert [one.fileno() for one in server.server.sockets] == [
            one.fileno() for one in server.sockets
        ]


# Many at once


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
async def test_crowd_that_connects_at_once(secure: bool, tls: Any) -> None:
    options = {"ssl": tls.server_context} if secure else {}
    async with serving(echo, **options) as server:
        more = {"ssl": tls.client_context} if secure else {}
        uri = f"{'wss' if secure else 'ws'}://localhost:{port_of(server)}/"
        await asyncio.gather(*(answers(uri, **more) for _ in range(50)))
        await until(lambda: not server.connections)


async def test_clients_that_vanish_before_they_are_accepted() -> None:
    async with serving(echo) as server:
        port = port_of(server)
        for _ in range(50):
            sock = socket.create_connection(("127.0.0.1", port))
            RawPeer(sock, masks=True).reset()
        for _ in range(50):
            socket.create_connection(("127.0.0.1", port)).close()
        await answers(f"ws://127.0.0.1:{port}/")
        await until(lambda: not server.connections)


# Closing while connections are on their way in


@contextlib.contextmanager
def knocking(port: int, count: int, data: bytes = b"") -> Iterator[list[socket.socket]]:
    """Connect, send no more than this, and leave the rest to the server."""
    with contextlib.ExitStack() as stack:
        socks = []
        for _ in range(count):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            sock.sendall(data)
            socks.append(sock)
        yield socks


def is_over(sock: socket.socket) -> bool:
    """Tell whether the server has ended a connection, whatever it sent before."""
    sock.setblocking(False)
    try:
        while sock.recv(4096):
            pass
    except BlockingIOError:
        return False
    except ConnectionError:
        pass
    return True


@only_ropeway  # websockets waits for the requests, or for open_timeout
@pytest.mark.parametrize("data", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n"], ids=["silent", "half"])
async def test_close_during_opening_handshakes(data: bytes) -> None:
    async with asyncio.timeout(60):
        async with serving(echo, open_timeout=60, close_timeout=0.5) as server:
            port = port_of(server)
            with knocking(port, 20, data) as socks:
                await answers(f"ws://127.0.0.1:{port}/")  # by now all have been accepted
                server.close()
                await server.wait_closed()
                await until(lambda: all(is_over(sock) for sock in socks))


@only_ropeway  # with websockets, one that uvloop accepts late stays behind
async def test_close_with_connections_in_the_backlog() -> None:
    async with asyncio.timeout(60):
        async with serving(echo, open_timeout=60, close_timeout=0.5) as server:
            with knocking(port_of(server), 20) as socks:
                server.close()
                await server.wait_closed()
                await until(lambda: all(is_over(sock) for sock in socks))


async def test_close_during_tls_handshakes(tls: Any) -> None:
    # asyncio tells the loop of handshakes that failed, in debug mode.
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    hello = client_hello(tls.client_context)
    options = {"ssl": tls.server_context, "open_timeout": 0.5, "close_timeout": 0.5}
    async with asyncio.timeout(60):
        async with serving(echo, **options) as server:
            port = port_of(server)
            with knocking(port, 5) as silent, knocking(port, 5, hello) as begun:
                await answers(f"wss://localhost:{port}/", ssl=tls.client_context)
                server.close()
                await server.wait_closed()
                await until(lambda: all(is_over(sock) for sock in silent + begun))


def client_hello(context: ssl.SSLContext) -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


# No descriptors left

EXHAUSTED = """
import asyncio, resource, sys
from {name}.asyncio.server import serve
if {uvloop}:
    import uvloop
    new_event_loop = uvloop.new_event_loop
else:
    new_event_loop = asyncio.new_event_loop

async def echo(ws):
    async for message in ws:
        await ws.send(message)

async def main():
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    async with serve(echo, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (40, hard))
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)

with asyncio.Runner(loop_factory=new_event_loop) as runner:
    runner.run(main())
print("ended", flush=True)
"""


@contextlib.contextmanager
def exhausted_server(uvloop: bool) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    program = EXHAUSTED.format(name=NAME, uvloop=uvloop)
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            port = int(process.stdout.readline())
            yield port, process
            process.stdin.close()
            assert process.stdout.read() == b"ended\n"
        finally:
            process.kill()


def cpu_seconds(process: subprocess.Popen[bytes]) -> float:
    with open(f"/proc/{process.pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="needs the proc file system")
async def test_server_without_descriptors_accepts_again(
    request: pytest.FixtureRequest, loop_factory: Any
) -> None:
    uvloop = "uvloop" in request.node.callspec.id
    with exhausted_server(uvloop) as (port, process):
        opened = []
        for _ in range(20):
            opened.append(await RawPeer.open(port))
        with knocking(port, 40) as socks:
            # Those that it can't accept must not keep it busy.
            before = cpu_seconds(process)
            await asyncio.sleep(1)
            assert cpu_seconds(process) - before < 0.5
            # It goes on with those that it has.
            await opened[0].send_frame(TEXT, "hello")
            assert await opened[0].recv_payload(TEXT) == b"hello"
            for sock in socks:
                sock.close()
        for raw in opened[1:]:
            raw.close()
        for _ in range(3):
            raw = await opens_in_the_end(port)
            await raw.send_frame(TEXT, "again")
            assert await raw.recv_payload(TEXT) == b"again"
            raw.close()
        opened[0].close()
        assert process.poll() is None


async def opens_in_the_end(port: int) -> RawPeer:
    """Connect; while descriptors are still being given back, the server may hang up."""
    async with asyncio.timeout(15):
        while True:
            try:
                return await RawPeer.open(port)
            except (EOFError, ConnectionError):
                await asyncio.sleep(0.05)
