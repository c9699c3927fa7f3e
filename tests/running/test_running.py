"""Plans on asyncio: every step on real streams, and what is left of a stream when a plan fails."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from ropeway._opening.coroutines import run
from ropeway._opening.steps import (
    Call,
    Discard,
    Handshake,
    OpenTCP,
    OpenUnix,
    Plan,
    Receive,
    Send,
    Sleep,
    StartTLS,
    Unread,
)
from ropeway.asyncio.running import HIGH_WATER, Opener, perform
from ropeway.uri import WebSocketURI, parse_uri

from ..support.loops import Run
from ..support.tls import TLS
from .waiting import until

URI = parse_uri("ws://localhost/")
Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Endpoint(asyncio.BufferedProtocol):
    """Stands for a connection: keeps what happens to it, in order."""

    def __init__(self, uri: WebSocketURI, fail: BaseException | None = None) -> None:
        self.happened: list[Any] = [uri]
        self.fail = fail
        self.ended = asyncio.get_running_loop().create_future()
        self._buffer = bytearray(100)

    def connection_made(self, transport: Any) -> None:
        self.happened.append("made")
        self.transport = transport

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(bytes(self._buffer[:nbytes]))

    def data_received(self, data: bytes) -> None:
        self.happened.append(data)

    def eof_received(self) -> None:
        self.happened.append("eof")

    def connection_lost(self, exc: Exception | None) -> None:
        self.happened.append("lost")
        self.ended.set_result(None)

    async def handshake(self, additional_headers: Any, user_agent_header: Any) -> None:
        self.happened.append((additional_headers, user_agent_header))
        if self.fail is not None:
            raise self.fail


@contextlib.asynccontextmanager
async def listening(peer: Peer, **arguments: Any) -> AsyncIterator[dict[str, Any]]:
    """Listen on loopback; gives the arguments of OpenTCP. Every peer must come to its end."""
    peers: list[asyncio.Task[None]] = []

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.append(asyncio.ensure_future(serve(reader, writer)))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await peer(reader, writer)
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(accept, "127.0.0.1", 0, **arguments)
    async with server:
        host, port = server.sockets[0].getsockname()
        yield {"host": host, "port": port}
        await asyncio.gather(*peers)


async def echoing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)


async def until_hung_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        await reader.read()


def receiving(size: int) -> Plan[bytes]:
    data = b""
    while len(data) < size:
        part = yield Receive()
        assert part, f"stream ended after {len(data)} bytes"
        data += part
    return data


async def play(plan: Plan[Any], make: Callable[[WebSocketURI], Any] = Endpoint) -> Any:
    return await Opener(make).run(plan)


def test_a_conversation(run: Run[Any]) -> None:
    def plan(where: dict[str, Any]) -> Plan[bytes]:
        yield OpenTCP(where)
        yield Send(b"hello")
        data = yield from receiving(5)
        yield Discard()
        return data

    async def main() -> Any:
        async with listening(echoing) as where:
            return await play(plan(where))

    assert run(main()) == b"hello"


def test_bytes_can_be_put_back(run: Run[Any]) -> None:
    def plan(where: dict[str, Any]) -> Plan[bytes]:
        yield OpenTCP(where)
        yield Send(b"23")
        data = yield from receiving(2)
        yield Unread(b"1" + data)
        return (yield from receiving(3))

    async def main() -> Any:
        async with listening(echoing) as where:
            opener = Opener(Endpoint)
            data = await opener.run(plan(where))
            opener.discard()
            return data

    assert run(main()) == b"123"


def test_a_unix_socket(run: Run[Any], tmp_path: Any) -> None:
    path = str(tmp_path / "s")

    def plan() -> Plan[bytes]:
        yield OpenUnix({"path": path})
        data: bytes = yield Receive()
        yield Discard()
        return data

    async def main() -> Any:
        def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"hello")
            writer.close()

        async with await asyncio.start_unix_server(accept, path):
            return await play(plan())

    assert run(main()) == b"hello"


def test_the_end_of_a_stream_is_no_bytes_again_and_again(run: Run[Any]) -> None:
    def plan(where: dict[str, Any]) -> Plan[list[bytes]]:
        yield OpenTCP(where)
        data = yield from receiving(3)
        return [data, (yield Receive()), (yield Receive())]

    async def bye(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"bye")
        writer.close()
        await writer.wait_closed()

    async def main() -> Any:
        async with listening(bye) as where:
            return await play(plan(where))

    assert run(main()) == [b"bye", b"", b""]


def test_a_plan_that_does_not_read_holds_the_other_end_up(run: Run[Any]) -> None:
    size = 64 * HIGH_WATER

    async def flooding(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes(size))
        await until_hung_up(reader, writer)

    async def main() -> tuple[int, int]:
        async with listening(flooding) as where:
            opener = Opener(Endpoint)
            await opener.perform(OpenTCP(where))
            conversation = opener._conversation
            await until(lambda: conversation._paused)
            held = len(conversation.received)
            total = len(await opener.run(receiving(size)))
            opener.discard()
            return held, total

    held, total = run(main())
    assert held < 8 * HIGH_WATER
    assert total == size


@pytest.mark.parametrize("layers", [1, 2])
def test_tls_on_an_open_stream(run: Run[Any], tls: TLS, layers: int) -> None:
    """One layer is TLS behind an HTTP proxy, two are TLS behind an HTTPS one."""

    def plan(where: dict[str, Any]) -> Plan[bytes]:
        yield OpenTCP(where)
        for _ in range(layers):
            yield StartTLS(tls.client_context, tls.hostname, {"ssl_handshake_timeout": 10})
        yield Send(b"secret")
        data = yield from receiving(6)
        yield Discard()
        return data

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(layers):
            await writer.start_tls(tls.server_context)
        with contextlib.suppress(ConnectionError):
            writer.write(await reader.readexactly(6))
            await reader.read()

    async def main() -> Any:
        async with listening(peer) as where:
            return await play(plan(where))

    assert run(main()) == b"secret"


def test_tls_that_fails_ends_the_stream(run: Run[Any], tls: TLS) -> None:
    def plan(where: dict[str, Any]) -> Plan[None]:
        yield OpenTCP(where)
        yield StartTLS(tls.untrusted_client_context, tls.hostname)

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await writer.start_tls(tls.server_context)

    async def main() -> None:
        async with listening(peer) as where:
            with pytest.raises(ssl.SSLCertVerificationError):
                await play(plan(where))

    run(main())


def test_a_connection_takes_over_with_all_that_has_happened(run: Run[Any]) -> None:
    def plan(where: dict[str, Any], hello: asyncio.Event, happened: Awaitable[Any]) -> Plan[Any]:
        yield OpenTCP(where)
        yield from receiving(1)
        yield Call(hello.set)
        yield Call(lambda: happened)
        return (yield Handshake(URI, {"X": "y"}, "agent"))

    async def main(early: str) -> Any:
        hello, proceed = asyncio.Event(), asyncio.Event()

        async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"1")
            await hello.wait()
            writer.write(b"23")
            if early != "bytes":
                writer.close()
            await proceed.wait()

        async with listening(peer) as where:
            opener = Opener(Endpoint)
            conversation = opener._conversation
            happened = until(
                lambda: conversation.lost if early == "lost" else bool(conversation.received)
            )
            endpoint = await opener.run(plan(where, hello, happened))
            proceed.set()
            await endpoint.ended
            return endpoint.happened

    greeting = ({"X": "y"}, "agent")
    assert run(main("bytes")) == [URI, "made", b"23", greeting, "eof", "lost"]
    assert run(main("lost")) == [URI, "made", b"23", "eof", "lost", greeting]


def failing(where: dict[str, Any], exc: BaseException) -> Plan[None]:
    yield OpenTCP(where)
    raise exc


@pytest.mark.parametrize("exc", [ValueError("plan"), KeyError("plan")], ids=repr)
def test_a_plan_that_fails_ends_its_stream(run: Run[Any], exc: Exception) -> None:
    async def main() -> None:
        async with listening(until_hung_up) as where:
            with pytest.raises(type(exc)) as caught:
                await play(failing(where, exc))
            assert caught.value is exc

    run(main())


def test_a_handshake_that_fails_ends_its_stream(run: Run[Any]) -> None:
    def plan(where: dict[str, Any]) -> Plan[None]:
        yield OpenTCP(where)
        yield Handshake(URI, None, None)

    async def main() -> None:
        async with listening(until_hung_up) as where:
            with pytest.raises(KeyError):
                await play(plan(where), lambda uri: Endpoint(uri, KeyError()))

    run(main())


def test_cancellation_ends_the_stream(run: Run[Any]) -> None:
    def plan(where: dict[str, Any]) -> Plan[None]:
        yield OpenTCP(where)
        yield Receive()

    async def main() -> None:
        async with listening(until_hung_up) as where:
            opener = Opener(Endpoint)
            playing = asyncio.ensure_future(opener.run(plan(where)))
            await until(lambda: opener._conversation._arrival is not None)
            playing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await playing

    run(main())


def test_a_plan_may_go_on_with_another_stream(run: Run[Any]) -> None:
    def plan(where: dict[str, Any]) -> Plan[bytes]:
        for word in (b"one", b"two"):
            yield OpenTCP(where)
            yield Send(word)
            data = yield from receiving(3)
            yield Discard()
        yield Discard()
        return data

    async def main() -> Any:
        async with listening(echoing) as where:
            return await play(plan(where))

    assert run(main()) == b"two"


def test_exceptions_of_steps_go_into_the_plan(run: Run[Any]) -> None:
    def plan() -> Plan[str]:
        try:
            yield Call(int, ("x",))
        except ValueError:
            return "caught"
        return "not caught"

    async def main() -> Any:
        return await running(plan())

    assert run(main()) == "caught"


async def running(plan: Plan[Any]) -> Any:
    return await run(plan, perform)


def test_calls_are_awaited_when_they_can_be(run: Run[Any]) -> None:
    async def later(value: int) -> int:
        await asyncio.sleep(0)
        return value

    def plan() -> Plan[list[int]]:
        yield Sleep(0)
        return [(yield Call(later, (1,))), (yield Call(abs, (-2,)))]

    async def main() -> Any:
        return await running(plan())

    assert run(main()) == [1, 2]


@pytest.mark.parametrize("step", [Send(b"x"), StartTLS(None, None), Handshake(URI, None, None)])  # type: ignore[arg-type]
def test_a_step_that_needs_a_stream_says_so(run: Run[Any], step: Any) -> None:
    def plan() -> Plan[None]:
        yield step

    async def main() -> None:
        with pytest.raises(RuntimeError, match="the plan has not opened a stream"):
            await play(plan())
        with pytest.raises(TypeError, match="needs a stream"):
            await running(plan())

    run(main())
