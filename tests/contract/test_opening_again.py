"""Connecting again: what is retried, when, and what is logged."""

from __future__ import annotations

import itertools
import logging
import socket
from collections.abc import Callable, Generator
from typing import Any

import pytest

from ..support.fronts import Front
from ..support.http import response
from ..support.names import CLIENT_LOG, exceptions
from ..support.rawpeer import CLOSE, close_payload, frame
from ..support.subject import NAME
from .openings import Exchange, RawServer, accepting, raw_server, uri_to

LATER = response("503 Later")
NEVER = response("403 Never")


def at_once() -> Generator[float]:
    while True:
        yield 0.0


class Moods:
    """A script whose answers follow a list; after its end it accepts."""

    def __init__(self, *answers: bytes | None) -> None:
        self.answers = list(answers)

    async def __call__(self, exchange: Exchange) -> None:
        answer = self.answers.pop(0) if self.answers else None
        if answer is None:
            await exchange.say(exchange.switching())
            await exchange.peer.recv_some()
            await exchange.say(frame(CLOSE, close_payload(1000)))
        else:
            await exchange.say(answer)


async def first_connection(front: Front, server: RawServer, **options: Any) -> int:
    """Iterate until a connection is there; return how many attempts that took."""
    options = {"reconnect_delays": at_once, **options}
    async for ws in front.reconnecting(server.uri(), **options):
        front.abort(ws)
        break
    return server.connections


async def test_each_turn_gives_a_new_connection_and_closes_the_last_one(front: Front) -> None:
    seen: list[Any] = []
    async with raw_server(front, Moods()) as server:
        async for ws in front.reconnecting(server.uri()):
            assert all(earlier.close_code == 1000 for earlier in seen)
            seen.append(ws)
            if len(seen) == 3:
                front.abort(ws)
                break
    assert len({ws.id for ws in seen}) == 3
    assert server.connections == 3


TRANSIENT = [
    ("nothing", b""),
    ("half-a-response", b"HTTP/1.1 101 Swit"),
    *((str(status), response(f"{status} Later")) for status in [500, 502, 503, 504]),
]


async def test_a_transient_failure_is_retried(front: Front) -> None:
    answers = [answer for _, answer in TRANSIENT]
    async with raw_server(front, Moods(*answers, *answers)) as server:
        assert await first_connection(front, server) == 2 * len(answers) + 1


FATAL: list[tuple[str, bytes, str]] = [
    *((str(status), response(f"{status} No"), "InvalidStatus") for status in [400, 403, 404, 501]),
    ("garbage", b"what?\r\n\r\n", "InvalidMessage"),
    ("no-upgrade", b"HTTP/1.1 101 .\r\n\r\n", "InvalidUpgrade"),
]


async def test_a_fatal_failure_ends_the_loop(front: Front) -> None:
    async with raw_server(front, Moods(*(answer for _, answer, _ in FATAL))) as server:
        for case, _, kind in FATAL:
            with pytest.raises(getattr(exceptions, kind)):
                await first_connection(front, server)
                pytest.fail(case)
        assert server.connections == len(FATAL)


async def test_a_refused_tcp_connection_is_retried(front: Front) -> None:
    delays: list[int] = []

    def counted() -> Generator[float]:
        for attempt in itertools.count():
            delays.append(attempt)
            if attempt == 3:
                raise KeyError("enough")
            yield 0.0

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        uri = uri_to(taken.getsockname()[1])
        with pytest.raises(KeyError, match="enough"):
            async for _ in front.reconnecting(uri, reconnect_delays=counted):
                pytest.fail("nobody listens there")
    assert delays == [0, 1, 2, 3]


async def test_an_opening_that_times_out_is_retried(front: Front) -> None:
    async def slow_once(exchange: Exchange) -> None:
        if server.connections > 1:
            await accepting(exchange)
        await exchange.hold()

    async with raw_server(front, slow_once) as server:
        assert await first_connection(front, server, open_timeout=0.1) == 2


# process_exception


async def test_process_exception_returns_none_to_retry(front: Front) -> None:
    seen: list[Exception] = []

    def note(exc: Exception) -> None:
        seen.append(exc)

    async with raw_server(front, Moods(NEVER, NEVER)) as server:
        assert await first_connection(front, server, process_exception=note) == 3
    assert [str(exc) for exc in seen] == ["server rejected WebSocket connection: HTTP 403"] * 2


async def test_process_exception_returns_the_exception_to_raise_it(front: Front) -> None:
    async with raw_server(front, Moods(LATER)) as server:
        with pytest.raises(exceptions.InvalidStatus) as caught:
            await first_connection(front, server, process_exception=lambda exc: exc)
    assert caught.value.__cause__ is None


def raising(exc: Exception) -> Exception | None:
    raise KeyError("mine")


def returning(exc: Exception) -> Exception | None:
    return KeyError("mine")


@pytest.mark.parametrize("process", [raising, returning])
async def test_process_exception_gives_another_one_to_raise_that(
    front: Front, process: Callable[[Exception], Exception | None]
) -> None:
    async with raw_server(front, Moods(LATER)) as server:
        with pytest.raises(KeyError, match="mine") as caught:
            await first_connection(front, server, process_exception=process)
    assert isinstance(caught.value.__cause__, exceptions.InvalidStatus)


async def test_process_exception_may_raise_it_again(front: Front) -> None:
    def reraising(exc: Exception) -> None:
        raise exc

    async with raw_server(front, Moods(LATER)) as server:
        with pytest.raises(exceptions.InvalidStatus):
            await first_connection(front, server, process_exception=reraising)


async def test_an_exception_in_the_body_is_no_failure_to_connect(front: Front) -> None:
    """It leaves the loop as it is; the iterator is not asked again."""
    async with raw_server(front, Moods()) as server:
        with pytest.raises(KeyError, match="body"):
            async for ws in front.reconnecting(server.uri(), reconnect_delays=at_once):
                front.abort(ws)
                raise KeyError("body")
    assert server.connections == 1


# Delays


async def test_the_delays_start_afresh_after_a_success(front: Front) -> None:
    generators = 0

    def counted() -> Generator[float]:
        nonlocal generators
        generators += 1
        yield from [0.0, 0.0]

    opened = 0
    async with raw_server(front, Moods(LATER, LATER, None, LATER, LATER, None)) as server:
        async for ws in front.reconnecting(server.uri(), reconnect_delays=counted):
            opened += 1
            if opened == 2:
                front.abort(ws)
                break
    assert generators == 2
    assert server.connections == 6


async def test_no_delays_are_made_without_a_failure(front: Front) -> None:
    def never() -> Generator[float]:
        raise AssertionError("no failure happened")
        yield

    async with raw_server(front, Moods()) as server:
        assert await first_connection(front, server, reconnect_delays=never) == 1


async def test_a_retry_is_logged(front: Front, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger=CLIENT_LOG)

    def delays() -> Generator[float]:
        yield 0.04
        yield 0.0

    async with raw_server(front, Moods(LATER, b"")) as server:
        assert await first_connection(front, server, reconnect_delays=delays) == 3
    records = [record for record in caplog.records if "reconnecting" in record.getMessage()]
    kind = f"{NAME}.exceptions"
    assert [record.getMessage() for record in records] == [
        (
            "connect failed; reconnecting in 0.0 seconds: "
            f"{kind}.InvalidStatus: server rejected WebSocket connection: HTTP 503"
        ),
        (
            "connect failed; reconnecting in 0.0 seconds: "
            f"{kind}.InvalidMessage: did not receive a valid HTTP response"
        ),
    ]
    assert {(record.name, record.levelno) for record in records} == {(CLIENT_LOG, logging.INFO)}


async def test_a_retry_is_logged_to_the_given_logger(
    front: Front, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    mine = logging.getLogger("tests.mine")
    async with raw_server(front, Moods(LATER)) as server:
        await first_connection(front, server, logger=mine)
    assert "tests.mine" in {r.name for r in caplog.records if "reconnecting" in r.getMessage()}
