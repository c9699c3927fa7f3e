"""What a server logs about openings and handlers, at which level, to which logger."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from ..support.http import request
from ..support.names import SERVER_LOG
from ..support.subject import ServerConnection
from .peers import ask, raw_client
from .serving import idle, port_of, serving, visiting


def lines(caplog: pytest.LogCaptureFixture, level: int = logging.INFO) -> list[str]:
    """What was logged about connections."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.name == SERVER_LOG
        and record.levelno == level
        and not record.getMessage().startswith("server ")
    ]


async def test_a_connection_that_opens_and_closes(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger=SERVER_LOG)
    async with serving() as server, visiting(server):
        pass
    assert lines(caplog) == ["connection open", "connection closed"]


REFUSALS: list[tuple[str, bytes, dict[str, Any], str]] = [
    ("405", request(line="POST / HTTP/1.1"), {}, "connection rejected (405 Method Not Allowed)"),
    (
        "505",
        request(line="GET / HTTP/1.0"),
        {},
        "connection rejected (505 HTTP Version Not Supported)",
    ),
    ("426", request(without=["upgrade"]), {}, "connection rejected (426 Upgrade Required)"),
    ("400", request(without=["sec_websocket_key"]), {}, "connection rejected (400 Bad Request)"),
    ("403", request(), {"origins": ["a"]}, "connection rejected (403 Forbidden)"),
    (
        "process_request",
        request(),
        {"process_request": lambda connection, _: connection.respond(200, "OK\n")},
        "HTTP response sent (200 OK)",
    ),
    (
        "process_response",
        request(),
        {"process_response": lambda connection, *_: connection.respond(404, "no\n")},
        "connection rejected (404 Not Found)",
    ),
]


@pytest.mark.parametrize(
    ("data", "options", "text"), [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS]
)
async def test_a_connection_that_is_refused(
    data: bytes, options: dict[str, Any], text: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger=SERVER_LOG)
    async with serving(**options) as server:
        await ask(port_of(server), data)
    assert lines(caplog)[0] == text
    assert not lines(caplog, logging.ERROR)


async def test_a_handler_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(connection: Any) -> None:
        raise KeyError("in the handler")

    caplog.set_level(logging.INFO, logger=SERVER_LOG)
    async with serving(handler) as server, visiting(server) as connection:
        await connection.wait_closed()
    assert lines(caplog, logging.ERROR) == ["connection handler failed"]
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], KeyError)
    assert lines(caplog) == ["connection open", "connection closed"]


async def test_a_client_that_vanishes_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(connection: Any) -> None:
        async for _ in connection:
            pass

    caplog.set_level(logging.INFO, logger=SERVER_LOG)
    async with serving(idle) as server:
        connection = await visiting(server)
        connection.transport.abort()
        await connection.wait_closed()
    assert not lines(caplog, logging.ERROR)


async def test_an_unhandled_close_in_the_handler_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def handler(connection: Any) -> None:
        await connection.recv()

    caplog.set_level(logging.INFO, logger=SERVER_LOG)
    async with serving(handler) as server, visiting(server):
        pass
    assert lines(caplog, logging.ERROR) == ["connection handler failed"]


async def test_debug_shows_both_heads(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger=SERVER_LOG)
    async with serving() as server, visiting(server, "/a?b", additional_headers={"X-A": "1"}):
        pass
    shown = lines(caplog, logging.DEBUG)
    assert "< GET /a?b HTTP/1.1" in shown
    assert "< X-A: 1" in shown
    assert "> HTTP/1.1 101 Switching Protocols" in shown
    assert "> Upgrade: websocket" in shown


async def test_debug_shows_the_size_of_a_body(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger=SERVER_LOG)
    async with serving(process_request=lambda c, _: c.respond(200, "hello")) as server:
        await ask(port_of(server), request())
    shown = lines(caplog, logging.DEBUG)
    assert "> HTTP/1.1 200 OK" in shown
    assert "> [body] (5 bytes)" in shown


async def test_a_broken_request_shows_at_debug_level_only(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, logger=SERVER_LOG)
    async with serving() as server, raw_client(port_of(server)) as client:
        await client.send(b"\x16\x03\x01\r\n\r\n")
        await client.rest()
    assert not lines(caplog, logging.ERROR)
    assert not lines(caplog, logging.WARNING)


async def test_a_logger_of_the_callers_own(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    mine = logging.getLogger("tests.mine")
    async with serving(logger=mine) as server, visiting(server):
        pass
    texts = [record.getMessage() for record in caplog.records if record.name == mine.name]
    assert texts[0].startswith("server listening on ")
    assert texts[1:] == ["connection open", "connection closed", "server closing", "server closed"]
    assert not [record for record in caplog.records if record.name == SERVER_LOG]


async def test_a_class_with_a_logger_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    mine = logging.getLogger("tests.mine")

    class Own(ServerConnection):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.logger = mine

    async with serving(create_connection=Own) as server, visiting(server):
        pass
    texts = [record.getMessage() for record in caplog.records if record.name == mine.name]
    assert texts == ["connection open", "connection closed"]


async def test_records_know_their_connection(caplog: pytest.LogCaptureFixture) -> None:
    """So that a filter can add what it likes: an address, a user, a request's path."""
    paths: list[str] = []

    class Note(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            if record.getMessage() == "connection open":
                connection = record.websocket  # type: ignore[attr-defined]
                assert isinstance(connection, ServerConnection)
                paths.append(connection.request.path)
            return True

    caplog.set_level(logging.INFO, logger=SERVER_LOG)
    caplog.handler.addFilter(note := Note())
    try:
        async with serving() as server, visiting(server, "/a"):
            pass
    finally:
        caplog.handler.removeFilter(note)
    assert paths == ["/a"]
