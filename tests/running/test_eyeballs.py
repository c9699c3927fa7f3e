"""Happy Eyeballs on real sockets, among them an address that never answers."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import pytest

from ropeway.asyncio import eyeballs

from ..support.loops import Run
from ..support.tls import TLS
from .waiting import until

Address = tuple[str, int]


@pytest.fixture
def silent() -> Iterator[Address]:
    """An address whose queue of connections is full: the next one waits for ever."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()


@pytest.fixture
def refusing() -> Iterator[Address]:
    """An address that is taken, but where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()


@pytest.fixture
def answering() -> Iterator[Address]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()


def infos(*addresses: Address) -> list[eyeballs.AddressInfo]:
    return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", address) for address in addresses]


async def race(*addresses: Address, delay: float = 60, local_addr: Any = None) -> socket.socket:
    loop = asyncio.get_running_loop()
    return await eyeballs._race(loop, infos(*addresses), delay, local_addr)


def test_the_first_address_that_answers_wins(run: Run[Any], answering: Address) -> None:
    with run(race(answering, ("127.0.0.1", 1))) as sock:
        assert sock.getpeername() == answering


def test_a_refusal_lets_the_next_one_start_at_once(
    run: Run[Any], refusing: Address, answering: Address
) -> None:
    with run(race(refusing, answering)) as sock:
        assert sock.getpeername() == answering


def test_silence_lets_the_next_one_start_after_the_delay(
    run: Run[Any], silent: Address, answering: Address
) -> None:
    with run(race(silent, answering, delay=0.01)) as sock:
        assert sock.getpeername() == answering


def test_one_exception_for_one_reason(run: Run[Any], refusing: Address) -> None:
    with pytest.raises(ConnectionRefusedError):
        run(race(refusing, refusing))


def test_one_exception_for_several_reasons(run: Run[Any], refusing: Address) -> None:
    with pytest.raises(OSError, match=r"^Multiple exceptions: \[Errno .*, \[Errno "):
        run(race(refusing, ("127.0.0.2", refusing[1])))


def test_the_local_address_is_the_callers(run: Run[Any], answering: Address) -> None:
    with run(race(answering, local_addr=("127.0.0.1", 0))) as sock:
        assert sock.getsockname()[0] == "127.0.0.1"


def test_a_cancelled_race_leaves_nothing(run: Run[Any], silent: Address) -> None:
    async def give_up() -> None:
        racing = asyncio.ensure_future(race(silent, silent, delay=0.001))
        await until(lambda: len(asyncio.all_tasks()) == 4)  # this one, the race, both attempts
        racing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await racing

    run(give_up())


def test_families_take_turns() -> None:
    four: list[Any] = [(socket.AF_INET, 1, 6, "", (f"127.0.0.{n}", 1)) for n in range(3)]
    six: list[Any] = [(socket.AF_INET6, 1, 6, "", ("::1", 1, 0, 0))]
    assert eyeballs._alternating([*four, *six]) == [four[0], six[0], four[1], four[2]]
    assert eyeballs._alternating([*six, *four]) == [six[0], *four]


@pytest.mark.parametrize("trusted", [True, False])
def test_tls_is_for_the_name_that_was_asked_for(run: Run[Any], tls: TLS, trusted: bool) -> None:
    async def main() -> Any:
        server = await asyncio.start_server(
            lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=tls.server_context
        )
        async with server:
            transport, _ = await eyeballs.create_connection(
                asyncio.get_running_loop(),
                asyncio.Protocol,
                host="localhost",
                port=server.sockets[0].getsockname()[1],
                ssl=tls.client_context if trusted else tls.untrusted_client_context,
                happy_eyeballs_delay=0.25,
            )
            name = transport.get_extra_info("ssl_object").server_hostname
            transport.abort()
            return name

    if trusted:
        assert run(main()) == "localhost"
    else:
        with pytest.raises(ssl.SSLCertVerificationError):
            run(main())


def test_every_loop_takes_the_same_arguments(run: Run[Any], answering: Address) -> None:
    async def connect() -> tuple[Address, type]:
        transport, protocol = await eyeballs.create_connection(
            asyncio.get_running_loop(),
            asyncio.Protocol,
            host="localhost",
            port=answering[1],
            family=socket.AF_INET,
            local_addr=("127.0.0.1", 0),
            happy_eyeballs_delay=0.25,
        )
        peer = transport.get_extra_info("peername")
        transport.abort()
        return peer, type(protocol)

    assert run(connect()) == (answering, asyncio.Protocol)


@pytest.mark.parametrize("delay", [None, 0.25])
def test_a_host_that_refuses(run: Run[Any], refusing: Address, delay: float | None) -> None:
    async def connect() -> None:
        await eyeballs.create_connection(
            asyncio.get_running_loop(),
            asyncio.Protocol,
            host="127.0.0.1",
            port=refusing[1],
            happy_eyeballs_delay=delay,
        )

    with pytest.raises(ConnectionRefusedError):
        run(connect())
