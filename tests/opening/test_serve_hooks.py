"""process_request and process_response: what they see, may change, answer, and break."""

from __future__ import annotations

import asyncio
import http
import logging
from collections.abc import Callable
from typing import Any

import pytest

from ..support.http import Reply, request
from ..support.names import SERVER, SERVER_LOG, Headers, Request, Response, exceptions
from ..support.subject import ServerConnection, State, only_ropeway
from .peers import ask, raw_client
from .serving import idle, port_of, serving, visiting

Hook = Callable[..., Any]


def made_async(hook: Hook) -> Hook:
    async def asynchronous(*args: Any) -> Any:
        return hook(*args)

    return asynchronous


both_colours = pytest.mark.parametrize(
    "colour", [lambda hook: hook, made_async], ids=["def", "async"]
)


async def refusal(data: bytes = request(), **options: Any) -> Reply:
    """Send a request to a server whose handler must not run, and return what it says."""

    def never(connection: Any) -> Any:
        raise AssertionError("the handler was called")

    async with serving(never, **options) as server:
        return await ask(port_of(server), data)


async def opening(**options: Any) -> Reply:
    """Send a good request, and return the head of the response."""
    async with serving(**options) as server, raw_client(port_of(server)) as client:
        await client.send(request())
        return await client.head()


# process_request


@both_colours
async def test_process_request_sees_connection_and_request(colour: Any) -> None:
    seen: list[Any] = []

    def hook(connection: Any, asked: Any) -> None:
        assert isinstance(connection, ServerConnection)
        assert isinstance(asked, Request)
        assert connection.request is asked
        assert connection.state is State.CONNECTING
        seen.append((asked.path, asked.method, asked.protocol, asked.headers["X-A"]))

    async with serving(process_request=colour(hook)) as server:
        async with visiting(server, "/a?b", additional_headers={"X-A": "1"}):
            pass
    assert seen == [("/a?b", "GET", "HTTP/1.1", "1")]


@both_colours
async def test_process_request_answers_instead(colour: Any) -> None:
    def hook(connection: Any, _: Any) -> Any:
        response = connection.respond(http.HTTPStatus.IM_A_TEAPOT, "short and stout\n")
        response.headers["X-Spout"] = "here"
        return response

    reply = await refusal(process_request=colour(hook))
    assert reply.start == "HTTP/1.1 418 I'm a Teapot"
    assert reply["X-Spout"] == "here"
    assert reply.body == b"short and stout\n"
    assert reply["Connection"] == "close"
    assert reply["Content-Length"] == "16"
    assert reply["Content-Type"] == "text/plain; charset=utf-8"
    assert reply["Server"] == SERVER
    assert "Date" in reply


@pytest.mark.parametrize("status", [200, http.HTTPStatus.OK])
async def test_respond_takes_an_int_or_a_status(status: Any) -> None:
    reply = await refusal(process_request=lambda connection, _: connection.respond(status, "é"))
    assert reply.start == "HTTP/1.1 200 OK"
    assert reply.body == "é".encode()


async def test_a_health_check_over_plain_http() -> None:
    def health(connection: Any, asked: Any) -> Any:
        return connection.respond(200, "OK\n") if asked.path == "/healthz" else None

    async with serving(process_request=health) as server:
        reply = await ask(port_of(server), b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (reply.status, reply.body) == (200, b"OK\n")
        assert (await ask(port_of(server), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")).status == 426
        async with visiting(server) as connection:
            assert connection.state is State.OPEN


async def test_process_request_makes_a_response_of_its_own() -> None:
    def hook(*_: Any) -> Any:
        return Response(404, "Nowhere", Headers({"X-A": "1", "Content-Length": "3"}), b"no\n")

    reply = await refusal(process_request=hook)
    assert reply.start == "HTTP/1.1 404 Nowhere"
    assert reply["X-A"] == "1"
    assert reply.body == b"no\n"


async def test_process_request_may_accept_by_itself() -> None:
    def hook(connection: Any, asked: Any) -> Any:
        response = connection.protocol.accept(asked)
        response.headers["X-A"] = "1"
        return response

    async with serving(process_request=hook) as server, visiting(server) as connection:
        assert connection.response.headers["X-A"] == "1"


async def test_process_request_may_change_the_request() -> None:
    def hook(_: Any, asked: Any) -> None:
        del asked.headers["Sec-WebSocket-Extensions"]

    async with serving(process_request=hook) as server, visiting(server) as connection:
        assert "Sec-WebSocket-Extensions" not in connection.response.headers


@both_colours
@pytest.mark.parametrize("kind", ["process_request", "process_response"])
async def test_a_hook_that_fails(colour: Any, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    def hook(*_: Any) -> None:
        raise KeyError("in the hook")

    caplog.set_level(logging.ERROR, logger=SERVER_LOG)
    reply = await refusal(**{kind: colour(hook)})
    assert reply.status == 500
    assert reply.body == (
        b"Failed to open a WebSocket connection.\nSee server log for more information.\n"
    )
    (record,) = [record for record in caplog.records if record.name == SERVER_LOG]
    assert record.getMessage() == f"{kind} failed"
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], KeyError)


async def test_attributes_set_by_a_hook_reach_the_handler() -> None:
    seen: list[Any] = []

    def hook(connection: Any, _: Any) -> None:
        connection.colour = "red"

    async def handler(connection: Any) -> None:
        seen.append(connection.colour)

    async with serving(handler, process_request=hook) as server:
        async with visiting(server) as connection:
            await connection.wait_closed()
    assert seen == ["red"]


# process_response


@both_colours
async def test_process_response_sees_all_three(colour: Any) -> None:
    seen: list[Any] = []

    def hook(connection: Any, asked: Any, answer: Any) -> None:
        assert connection.request is asked
        assert connection.response is answer
        seen.append((asked.path, answer.status_code, answer.headers["Server"]))
        answer.headers["Set-Cookie"] = "a=b"

    reply = await opening(process_response=colour(hook))
    assert seen == [("/", 101, SERVER)]
    assert reply.status == 101
    assert reply["Set-Cookie"] == "a=b"


async def test_process_response_sees_refusals_too() -> None:
    seen: list[int] = []

    def hook(_: Any, asked: Any, answer: Any) -> None:
        seen.append(answer.status_code)
        answer.headers["X-Seen"] = "yes"

    assert (await refusal(request(line="POST / HTTP/1.1"), process_response=hook))[
        "X-Seen"
    ] == "yes"
    reply = await refusal(
        process_request=lambda connection, _: connection.respond(200, ""), process_response=hook
    )
    assert reply["X-Seen"] == "yes"
    assert seen == [405, 200]


@both_colours
async def test_process_response_answers_instead(colour: Any) -> None:
    def hook(connection: Any, *_: Any) -> Any:
        return connection.respond(503, "later\n")

    reply = await refusal(process_response=colour(hook))
    assert (reply.status, reply.body) == (503, b"later\n")
    assert "Server" not in reply


async def test_process_response_may_turn_a_refusal_into_another() -> None:
    def hook(connection: Any, _: Any, answer: Any) -> Any:
        return connection.respond(404, "hidden\n") if answer.status_code == 405 else None

    reply = await refusal(request(line="POST / HTTP/1.1"), process_response=hook)
    assert (reply.status, reply.body) == (404, b"hidden\n")


async def test_both_hooks_and_the_handler_run_in_order() -> None:
    order: list[str] = []

    async def handler(connection: Any) -> None:
        order.append("handler")

    async with serving(
        handler,
        process_request=lambda *_: order.append("request"),
        process_response=lambda *_: order.append("response"),
    ) as server:
        async with visiting(server) as connection:
            await connection.wait_closed()
    assert order == ["request", "response", "handler"]


# server_header


@pytest.mark.parametrize(
    ("options", "expected"),
    [({}, [SERVER]), ({"server_header": "tests/1"}, ["tests/1"]), ({"server_header": None}, [])],
)
async def test_the_server_header(options: dict[str, Any], expected: list[str]) -> None:
    assert (await opening(**options)).all("Server") == expected
    assert (await refusal(request(line="POST / HTTP/1.1"), **options)).all("Server") == expected


# The client leaves while a hook runs


async def test_the_client_leaves_during_process_request() -> None:
    entered, release = asyncio.Event(), asyncio.Event()

    async def hook(*_: Any) -> None:
        entered.set()
        await release.wait()

    def never(connection: Any) -> Any:
        raise AssertionError("the handler was called")

    async with serving(never, process_request=hook) as server:
        async with raw_client(port_of(server)) as client:
            await client.send(request())
            await entered.wait()
        release.set()


async def test_the_hooks_share_the_time_limit() -> None:
    async def hook(*_: Any) -> None:
        await asyncio.get_running_loop().create_future()

    async with serving(process_request=hook, open_timeout=0.1) as server:
        with pytest.raises((exceptions.InvalidMessage, exceptions.InvalidStatus)):
            await visiting(server)


async def test_create_connection_makes_the_connection() -> None:
    class Mine(ServerConnection):  # type: ignore[misc, valid-type]
        mark = "mine"

    seen: list[Any] = []
    made: list[Any] = []

    def factory(*args: Any, **kwargs: Any) -> Any:
        made.append(kwargs)
        return Mine(*args, **kwargs)

    async def handler(connection: Any) -> None:
        seen.append((connection.mark, connection.server))

    for create in [Mine, factory]:
        async with serving(handler, create_connection=create, max_queue=3) as server:
            async with visiting(server) as connection:
                await connection.wait_closed()
            assert seen.pop() == ("mine", server)
    assert made[0]["max_queue"] == 3


@only_ropeway
async def test_without_a_write_limit_there_is_the_default() -> None:
    class Mine(ServerConnection):  # type: ignore[misc, valid-type]
        pass

    async def handler(connection: Any) -> None:
        _, high = connection.transport.get_write_buffer_limits()
        await connection.send(str(high))

    for create in [None, Mine]:
        async with serving(handler, create_connection=create, write_limit=None) as server:
            async with visiting(server) as connection:
                assert await connection.recv() == str(2**15)


async def test_what_the_handler_is_given() -> None:
    seen: list[Any] = []

    async def handler(connection: Any) -> None:
        seen.append(connection)
        await idle(connection)

    async with serving(handler) as server, visiting(server, "/a") as connection:
        (there,) = seen
        assert isinstance(there, ServerConnection)
        assert there.server is server
        assert there.state is State.OPEN
        assert there.request.path == "/a"
        assert there.response.status_code == 101
        assert there.remote_address == connection.local_address
        assert there.local_address == connection.remote_address
        assert there.id != connection.id


@only_ropeway
@pytest.mark.parametrize("hook", ["process_request", "process_response"])
async def test_a_hook_that_returns_something_else(
    hook: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, SERVER_LOG):
        reply = await refusal(**{hook: lambda *_: "no response"})
    assert reply.status == 500
    (record,) = caplog.records
    assert record.getMessage() == f"{hook} failed"
    assert record.exc_info is not None
    assert "returned 'no response', neither a Response nor None" in str(record.exc_info[1])


@only_ropeway
async def test_a_hook_that_takes_too_long() -> None:
    """It is not the client who is late."""

    async def hook(connection: Any, asked: Any) -> None:
        await asyncio.Event().wait()

    reply = await refusal(process_request=hook, open_timeout=0.1)
    assert reply.status == 503
