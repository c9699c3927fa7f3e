"""``async for connection in connect(...)``: what is retried, when, and what is logged."""

from __future__ import annotations

import itertools
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Generator
from typing import Any

import pytest

from ..support.http import response
from ..support.names import CLIENT_LOG, exceptions
from ..support.subject import NAME, connect, only_ropeway
from .peers import Exchange, RawServer, raw_server

CLOSE_1000 = b"\x88\x02\x03\xe8"


def at_once() -> Generator[float]:
    while True:
        yield 0.0


class Moods:
    """A server whose answers follow a list; after its end it accepts."""

    def __init__(self, *answers: bytes | None) -> None:
        self.answers = list(answers)

    async def __call__(self, exchange: Exchange) -> None:
        answer = self.answers.pop(0) if self.answers else None
        if answer is None:
            exchange.writer.write(exchange.switching())
            await exchange.reader.read(100)
            exchange.writer.write(CLOSE_1000)
        else:
            exchange.writer.write(answer)


async def first_connection(server: RawServer, **options: Any) -> int:
    """Iterate until a connection is there; return how many attempts that took."""
    options = {"reconnect_delays": at_once, **options}
    async for _ in connect(server.uri(), **options):
        break
    return server.connections


async def test_each_turn_gives_a_new_connection_and_closes_the_last_one() -> None:
    seen: list[Any] = []
    async with raw_server(Moods()) as server:
        async for connection in connect(server.uri()):
            assert all(earlier.close_code == 1000 for earlier in seen)
            seen.append(connection)
            if len(seen) == 3:
                break
    assert len({id(connection) for connection in seen}) == 3
    assert server.connections == 3


TRANSIENT = [
    ("nothing", b""),
    ("half-a-response", b"HTTP/1.1 101 Swit"),
    *((str(status), response(f"{status} Later")) for status in [500, 502, 503, 504]),
]


@pytest.mark.parametrize("answer", [row[1] for row in TRANSIENT], ids=[row[0] for row in TRANSIENT])
async def test_a_transient_failure_is_retried(answer: bytes) -> None:
    async with raw_server(Moods(answer, answer)) as server:
        assert await first_connection(server) == 3


FATAL: list[tuple[str, bytes, str]] = [
    *((str(status), response(f"{status} No"), "InvalidStatus") for status in [400, 403, 404, 501]),
    ("garbage", b"what?\r\n\r\n", "InvalidMessage"),
    ("no-upgrade", b"HTTP/1.1 101 .\r\n\r\n", "InvalidUpgrade"),
]


@pytest.mark.parametrize(
    ("answer", "kind"), [row[1:] for row in FATAL], ids=[row[0] for row in FATAL]
)
async def test_a_fatal_failure_ends_the_loop(answer: bytes, kind: str) -> None:
    async with raw_server(Moods(answer)) as server:
        with pytest.raises(getattr(exceptions, kind)):
            await first_connection(server)
        assert server.connections == 1


async def test_a_refused_tcp_connection_is_retried(unused_port: int) -> None:
    delays: list[int] = []

    def counted() -> Generator[float]:
        for attempt in itertools.count():
            delays.append(attempt)
            if attempt == 3:
                raise KeyError("enough")
            yield 0.0

    with pytest.raises(KeyError, match="enough"):
        async for _ in connect(f"ws://127.0.0.1:{unused_port}/", reconnect_delays=counted):
            pytest.fail("nobody listens there")
    assert delays == [0, 1, 2, 3]


async def test_an_opening_that_times_out_is_retried() -> None:
    async def slow_once(exchange: Exchange) -> None:
        if server.connections > 1:
            exchange.writer.write(exchange.switching())
        await exchange.hold()

    async with raw_server(slow_once) as server:
        async for connection in connect(
            server.uri(), open_timeout=0.1, reconnect_delays=at_once, close_timeout=0.1
        ):
            connection.transport.abort()
            break
        assert server.connections == 2


# process_exception

LATER = response("503 Later")
NEVER = response("403 Never")


def returning(answer: Any) -> Callable[[Exception], Exception | None]:
    return lambda exc: exc if answer is ... else answer


async def test_process_exception_returns_none_to_retry() -> None:
    seen: list[Exception] = []

    def note(exc: Exception) -> None:
        seen.append(exc)

    async with raw_server(Moods(NEVER, NEVER)) as server:
        assert await first_connection(server, process_exception=note) == 3
    assert [str(exc) for exc in seen] == ["server rejected WebSocket connection: HTTP 403"] * 2


async def test_process_exception_returns_the_exception_to_raise_it() -> None:
    async with raw_server(Moods(LATER)) as server:
        with pytest.raises(exceptions.InvalidStatus) as caught:
            await first_connection(server, process_exception=returning(...))
        assert caught.value.__cause__ is None


async def test_process_exception_returns_another_one_to_raise_that() -> None:
    mine = KeyError("mine")
    async with raw_server(Moods(LATER)) as server:
        with pytest.raises(KeyError) as caught:
            await first_connection(server, process_exception=returning(mine))
        assert caught.value is mine
        assert isinstance(caught.value.__cause__, exceptions.InvalidStatus)


async def test_process_exception_may_raise_instead() -> None:
    def raising(exc: Exception) -> None:
        raise KeyError("mine")

    def reraising(exc: Exception) -> None:
        raise exc

    async with raw_server(Moods(LATER, LATER)) as server:
        with pytest.raises(KeyError, match="mine") as caught:
            await first_connection(server, process_exception=raising)
        assert isinstance(caught.value.__cause__, exceptions.InvalidStatus)
        with pytest.raises(exceptions.InvalidStatus):
            await first_connection(server, process_exception=reraising)


async def test_an_exception_in_the_body_is_no_failure_to_connect() -> None:
    """It leaves the loop as it is; the iterator is not asked again."""
    async with raw_server(Moods()) as server:
        with pytest.raises(KeyError, match="body"):
            async for connection in connect(server.uri(), reconnect_delays=at_once):
                connection.transport.abort()
                raise KeyError("body")
        assert server.connections == 1


# Delays


async def test_the_delays_start_afresh_after_a_success() -> None:
    generators = 0

    def counted() -> Generator[float]:
        nonlocal generators
        generators += 1
        yield from [0.0, 0.0]

    opened = 0
    async with raw_server(Moods(LATER, LATER, None, LATER, LATER, None)) as server:
        async for _ in connect(server.uri(), reconnect_delays=counted):
            opened += 1
            if opened == 2:
                break
    assert generators == 2
    assert server.connections == 6


async def test_no_delays_are_made_without_a_failure() -> None:
    def never() -> Generator[float]:
        raise AssertionError("no failure happened")
        yield

    async with raw_server(Moods()) as server:
        assert await first_connection(server, reconnect_delays=never) == 1


async def test_a_retry_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger=CLIENT_LOG)

    def delays() -> Generator[float]:
        yield 0.04
        yield 0.0

    async with raw_server(Moods(LATER, b"")) as server:
        assert await first_connection(server, reconnect_delays=delays) == 3
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


async def test_a_retry_is_logged_to_the_given_logger(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    mine = logging.getLogger("tests.mine")
    async with raw_server(Moods(LATER)) as server:
        await first_connection(server, logger=mine)
    assert "tests.mine" in {r.name for r in caplog.records if "reconnecting" in r.getMessage()}


SHOW_DELAYS = """
import itertools, {name}.client as client
print([round(delay, 3) for delay in itertools.islice(client.backoff(), 8)])
"""


def backoff_under(**environment: str) -> list[float]:
    """Return the first eight default delays of a program with these environment variables."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ROPEWAY_BACKOFF", "WEBSOCKETS_BACKOFF"))
    }
    result = subprocess.run(
        [sys.executable, "-c", SHOW_DELAYS.format(name=NAME)],
        env={**clean, **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    delays: list[float] = eval(result.stdout)
    return delays


def test_the_default_delays() -> None:
    first, *rest = backoff_under()
    assert 0 <= first <= 5
    assert rest == pytest.approx([3.1 * 1.618**power for power in range(7)], abs=0.01)


VARIABLES: list[tuple[dict[str, str], list[float]]] = [
    ({"INITIAL_DELAY": "0", "MIN_DELAY": "1", "FACTOR": "2"}, [0, 1, 2, 4, 8, 16, 32, 64]),
    (
        {"INITIAL_DELAY": "0", "MIN_DELAY": "1", "FACTOR": "3", "MAX_DELAY": "10"},
        [0, 1, 3, 9, 10, 10, 10, 10],
    ),
]


@pytest.mark.parametrize("prefix", ["WEBSOCKETS", pytest.param("ROPEWAY", marks=only_ropeway)])
@pytest.mark.parametrize(("values", "delays"), VARIABLES)
def test_environment_variables_set_the_delays(
    prefix: str, values: dict[str, str], delays: list[float]
) -> None:
    variables = {f"{prefix}_BACKOFF_{name}": value for name, value in values.items()}
    assert backoff_under(**variables) == delays


@only_ropeway
def test_our_variables_come_before_those_of_websockets() -> None:
    delays = backoff_under(
        ROPEWAY_BACKOFF_INITIAL_DELAY="0",
        ROPEWAY_BACKOFF_MIN_DELAY="2",
        ROPEWAY_BACKOFF_FACTOR="1.5",
        WEBSOCKETS_BACKOFF_MIN_DELAY="7",
        WEBSOCKETS_BACKOFF_MAX_DELAY="4",
    )
    assert delays == [0, 2, 3, 4, 4, 4, 4, 4]
