"""Log records: logger, level and text, as programs and operators know them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from ..support.endpoints import against_raw, both_roles, port_of, serving
from ..support.rawpeer import BINARY, CONT, PING, PONG, TEXT, RawPeer
from ..support.subject import NAME

Log = Callable[[], list[tuple[str, str]]]


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Log:
    """Give the records of the library as (level, text)."""
    caplog.set_level(logging.DEBUG, logger=NAME)

    def take() -> list[tuple[str, str]]:
        records = [record for record in caplog.records if record.name.startswith(NAME)]
        caplog.clear()
        return [(record.levelname, record.getMessage()) for record in records]

    return take


def debug(*lines: str) -> list[tuple[str, str]]:
    return [("DEBUG", line) for line in lines]


@both_roles
async def test_logger_names(role: str, log: Log, caplog: pytest.LogCaptureFixture) -> None:
    async with against_raw(role) as (ws, raw):
        await raw.send_frame(TEXT, "x")
        await ws.recv()
        assert {record.name for record in caplog.records if record.name.startswith(NAME)} == {
            f"{NAME}.{role}"
        }
        assert caplog.records[-1].websocket.id == ws.id


@both_roles
@pytest.mark.parametrize(
    ("opcode", "payload", "fin", "text"),
    [
        (TEXT, "héllo", True, "TEXT 'héllo' [6 bytes]"),
        (TEXT, "x", True, "TEXT 'x' [1 byte]"),
        (TEXT, "", True, "TEXT '' [0 bytes]"),
        (BINARY, b"", True, "BINARY '' [0 bytes]"),
        (BINARY, b"\x00\xff", True, "BINARY 00 ff [2 bytes]"),
        (TEXT, "part", False, "TEXT 'part' [4 bytes, continued]"),
        (PONG, b"abc", True, "PONG 'abc' [text, 3 bytes]"),
        (PONG, b"\xff", True, "PONG ff [binary, 1 byte]"),
        (TEXT, "x" * 200, True, f"TEXT '{'x' * 47}...{'x' * 23}' [200 bytes]"),
        (
            BINARY,
            b"\x00\xff" * 40,
            True,
            f"BINARY {'00 ff ' * 8}... {'00 ff ' * 4}[80 bytes]",
        ),
    ],
)
async def test_received_frame(
    role: str, log: Log, opcode: int, payload: Any, fin: bool, text: str
) -> None:
    async with against_raw(role) as (_, raw):
        log()
        await raw.send(raw.frame(opcode, payload, fin=fin), raw.frame(PING, "mark"))
        await raw.recv_payload(PONG)
        assert log() == debug(
            f"< {text}", "< PING 'mark' [text, 4 bytes]", "> PONG 'mark' [text, 4 bytes]"
        )


@both_roles
async def test_sent_frames(role: str, log: Log) -> None:
    async with against_raw(role) as (ws, _):
        log()
        await ws.send("héllo")
        await ws.send(b"\x00\xff")
        await ws.send(["a", "b"])
        await ws.ping("p")
        await ws.pong(b"\xfe")
        assert log() == debug(
            "> TEXT 'héllo' [6 bytes]",
            "> BINARY 00 ff [2 bytes]",
            "> TEXT 'a' [1 byte, continued]",
            "> CONT 'b' [text, 1 byte, continued]",
            "> CONT '' [0 bytes]",
            "> PING 'p' [text, 1 byte]",
            "> PONG fe [binary, 1 byte]",
        )


@both_roles
async def test_fragments(role: str, log: Log) -> None:
    async with against_raw(role) as (ws, raw):
        log()
        await raw.send(raw.frame(TEXT, "fr", fin=False), raw.frame(CONT, "ag"))
        await ws.recv()
        assert log() == debug("< TEXT 'fr' [2 bytes, continued]", "< CONT 'ag' [text, 2 bytes]")


@both_roles
async def test_close_from_the_peer(role: str, log: Log) -> None:
    async with against_raw(role) as (ws, raw):
        log()
        await raw.close_handshake(1000, "bye")
        await ws.wait_closed()
        records = log()
        assert [record for record in records if "EOF" not in record[1] and "TCP" not in record[1]][
            :4
        ] == debug(
            "< CLOSE 1000 (OK) bye [5 bytes]",
            "> CLOSE 1000 (OK) bye [5 bytes]",
            "= connection is CLOSING",
            "= connection is CLOSED",
        )
        assert ("DEBUG", "> EOF") in records


@both_roles
async def test_close_from_here(role: str, log: Log) -> None:
    async with against_raw(role) as (ws, raw):
        log()
        closing = asyncio.create_task(ws.close(1001, "bye"))
        await raw.finish_close()
        await closing
        records = [record for record in log() if "EOF" not in record[1] and "TCP" not in record[1]]
        assert records[:4] == debug(
            "> CLOSE 1001 (going away) bye [5 bytes]",
            "= connection is CLOSING",
            "< CLOSE 1001 (going away) bye [5 bytes]",
            "= connection is CLOSED",
        )


@both_roles
async def test_connection_lost(role: str, log: Log) -> None:
    async with against_raw(role) as (ws, raw):
        log()
        raw.close()
        await ws.wait_closed()
        records = [text for level, text in log() if level == "DEBUG"]
        assert "< EOF" in records
        assert records.index("= connection is CLOSED") > records.index("< EOF")


@both_roles
async def test_violation(role: str, log: Log) -> None:
    async with against_raw(role) as (_, raw):
        log()
        await raw.send_frame(0x3)
        await raw.recv_close()
        records = log()
        close = ("DEBUG", "> CLOSE 1002 (protocol error) invalid opcode [16 bytes]")
        assert close in records
        assert ("DEBUG", "= connection is CLOSING") in records
        assert all(level == "DEBUG" for level, _ in records)


@both_roles
async def test_keepalive(role: str, log: Log) -> None:
    async with against_raw(role, ping_interval=0.02, ping_timeout=0.1, close_timeout=0.05) as (
        ws,
        raw,
    ):
        await raw.send_frame(PONG, await raw.recv_payload(PING))
        await raw.recv_payload(PING)
        assert (await raw.recv_close())[0] == 1011
        records = log()
        assert ("DEBUG", "% sent keepalive ping") in records
        assert ("DEBUG", "% received keepalive pong") in records
        assert ("DEBUG", "- timed out waiting for keepalive pong") in records


@both_roles
async def test_states_of_the_opening(role: str, log: Log) -> None:
    async with against_raw(role):
        records = log()
        first, last = (
            records.index(("DEBUG", f"= connection is {state}")) for state in ("CONNECTING", "OPEN")
        )
        heads = [text for _, text in records[first + 1 : last]]
        sent, received = (">", "<") if role == "client" else ("<", ">")
        assert f"{sent} GET / HTTP/1.1" in heads
        assert f"{received} HTTP/1.1 101 Switching Protocols" in heads
        assert all(text[:2] in ("> ", "< ") for text in heads)


@both_roles
async def test_nothing_but_info_on_a_good_connection(role: str, log: Log) -> None:
    async with against_raw(role) as (ws, raw):
        await raw.send_frame(TEXT, "x")
        await ws.recv()
        await raw.close_handshake()
        await ws.wait_closed()
    records = [record for record in log() if record[0] != "DEBUG"]
    assert {level for level, _ in records} <= {"INFO"}
    texts = [text for _, text in records]
    if role == "client":
        assert texts == []
    else:
        assert texts[1:] == ["connection open", "connection closed", "server closing", texts[-1]]
        assert texts[-1] == "server closed"


async def with_handler(handler: Callable[[Any], Awaitable[None]]) -> None:
    async with serving(handler) as server:
        raw = await RawPeer.open(port_of(server))
        await raw.finish_close()
        raw.close()


async def test_handler_that_raises(log: Log, caplog: pytest.LogCaptureFixture) -> None:
    async def handler(ws: Any) -> None:
        raise ZeroDivisionError

    records: list[logging.LogRecord] = []
    caplog.handler.addFilter(lambda record: records.append(record) or True)
    await with_handler(handler)
    (error,) = [record for record in records if record.levelname == "ERROR"]
    assert error.getMessage() == "connection handler failed"
    assert error.exc_info is not None
    assert error.exc_info[0] is ZeroDivisionError
    assert hasattr(error, "websocket")


async def test_handler_that_lets_the_end_of_its_connection_through(log: Log) -> None:
    async def handler(ws: Any) -> None:
        await ws.recv()

    async with serving(handler) as server:
        raw = await RawPeer.open(port_of(server))
        await raw.close_handshake()
        raw.close()
    assert ("ERROR", "connection handler failed") in log()


@both_roles
async def test_own_logger_gets_the_records(role: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="mine")
    async with against_raw(role, logger=logging.getLogger("mine")) as (ws, raw):
        await raw.send_frame(TEXT, "x")
        await ws.recv()
    names = {record.name for record in caplog.records if record.name != "asyncio"}
    assert names == {"mine"}


@both_roles
async def test_long_payloads_are_cut_only_in_the_log(role: str, log: Log) -> None:
    async with against_raw(role) as (ws, raw):
        log()
        await raw.send_frame(BINARY, bytes(100_000))
        assert await ws.recv() == bytes(100_000)
        (record,) = log()
        assert len(record[1]) < 120
        assert record[1].endswith("[100000 bytes]")
