"""process_request, process_response and handlers, and how long an opening may take."""

from __future__ import annotations

import contextlib
import http
import logging
import time
from collections.abc import Callable
from typing import Any

import pytest

from ..support.drivers import not_on
from ..support.fronts import Front
from ..support.http import request, response
from ..support.names import SERVER, SERVER_LOG, Headers, Request, Response, exceptions
from ..support.rawpeer import TEXT, frame
from ..support.subject import State, only_ropeway
from .openings import (
    Exchange,
    ask,
    failure,
    head_of,
    idle,
    knocking,
    never,
    opened,
    raw_server,
    refused,
    rest,
    silence,
    uri_to,
    visit,
)

Hook = Callable[..., Any]
Colour = Callable[[Hook], Hook]
NO_COROUTINES = "what a server for threads calls is a function"


def made_async(hook: Hook) -> Hook:
    async def asynchronous(*args: Any) -> Any:
        return hook(*args)

    return asynchronous


both_colours = pytest.mark.parametrize(
    "colour",
    [
        pytest.param(lambda hook: hook, id="def"),
        pytest.param(made_async, id="async", marks=not_on("threads", reason=NO_COROUTINES)),
    ],
)


# process_request


@both_colours
async def test_process_request_sees_connection_and_request(front: Front, colour: Colour) -> None:
    seen: list[Any] = []

    def hook(connection: Any, asked: Any) -> None:
        assert isinstance(connection, front.module("server").ServerConnection)
        assert isinstance(asked, Request)
        assert connection.request is asked
        assert connection.state is State.CONNECTING
        seen.append((asked.path, asked.method, asked.protocol, asked.headers["X-A"]))

    async with front.serving(idle, process_request=colour(hook)) as port:
        await visit(front, uri_to(port, "/a?b"), additional_headers={"X-A": "1"})
    assert seen == [("/a?b", "GET", "HTTP/1.1", "1")]


@both_colours
async def test_process_request_answers_instead(front: Front, colour: Colour) -> None:
    def hook(connection: Any, _: Any) -> Any:
        answer = connection.respond(http.HTTPStatus.IM_A_TEAPOT, "short and stout\n")
        answer.headers["X-Spout"] = "here"
        return answer

    reply = await refused(front, request(), process_request=colour(hook))
    assert reply.start == "HTTP/1.1 418 I'm a Teapot"
    assert reply["X-Spout"] == "here"
    assert reply.body == b"short and stout\n"
    assert reply["Connection"] == "close"
    assert reply["Content-Length"] == "16"
    assert reply["Content-Type"] == "text/plain; charset=utf-8"
    assert reply["Server"] == SERVER
    assert "Date" in reply


@pytest.mark.parametrize("status", [200, http.HTTPStatus.OK], ids=["int", "status"])
async def test_respond_takes_an_int_or_a_status(front: Front, status: Any) -> None:
    def hook(connection: Any, _: Any) -> Any:
        return connection.respond(status, "é")

    reply = await refused(front, request(), process_request=hook)
    assert reply.start == "HTTP/1.1 200 OK"
    assert reply.body == "é".encode()


async def test_a_health_check_over_plain_http(front: Front) -> None:
    def health(connection: Any, asked: Any) -> Any:
        return connection.respond(200, "OK\n") if asked.path == "/healthz" else None

    async with front.serving(idle, process_request=health) as port:
        reply = await ask(front, port, b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (reply.status, reply.body) == (200, b"OK\n")
        assert (await ask(front, port, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")).status == 426
        await visit(front, uri_to(port))


async def test_process_request_makes_a_response_of_its_own(front: Front) -> None:
    def hook(*_: Any) -> Any:
        return Response(404, "Nowhere", Headers({"X-A": "1", "Content-Length": "3"}), b"no\n")

    reply = await refused(front, request(), process_request=hook)
    assert reply.start == "HTTP/1.1 404 Nowhere"
    assert reply["X-A"] == "1"
    assert reply.body == b"no\n"


async def test_process_request_may_accept_by_itself(front: Front) -> None:
    def hook(connection: Any, asked: Any) -> Any:
        answer = connection.protocol.accept(asked)
        answer.headers["X-A"] = "1"
        return answer

    async with front.serving(idle, process_request=hook) as port:
        ws = await visit(front, uri_to(port))
    assert ws.response.headers["X-A"] == "1"


async def test_process_request_may_change_the_request(front: Front) -> None:
    def hook(_: Any, asked: Any) -> None:
        del asked.headers["Sec-WebSocket-Extensions"]

    data = request("Sec-WebSocket-Extensions: permessage-deflate")
    reply = await opened(front, data, process_request=hook)
    assert "Sec-WebSocket-Extensions" not in reply


@both_colours
@pytest.mark.parametrize("kind", ["process_request", "process_response"])
async def test_a_hook_that_fails(
    front: Front, colour: Colour, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    def hook(*_: Any) -> None:
        raise KeyError("in the hook")

    caplog.set_level(logging.ERROR, logger=SERVER_LOG)
    reply = await refused(front, request(), **{kind: colour(hook)})
    assert reply.status == 500
    assert reply.body == (
        b"Failed to open a WebSocket connection.\nSee server log for more information.\n"
    )
    (record,) = [record for record in caplog.records if record.name == SERVER_LOG]
    assert record.getMessage() == f"{kind} failed"
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], KeyError)


@only_ropeway
@pytest.mark.parametrize("kind", ["process_request", "process_response"])
async def test_a_hook_that_returns_something_else(
    front: Front, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, logger=SERVER_LOG)
    reply = await refused(front, request(), **{kind: lambda *_: "no response"})
    assert reply.status == 500
    (record,) = caplog.records
    assert record.getMessage() == f"{kind} failed"
    assert record.exc_info is not None
    assert "returned 'no response', neither a Response nor None" in str(record.exc_info[1])


async def test_attributes_set_by_a_hook_reach_the_handler(front: Front) -> None:
    def hook(connection: Any, _: Any) -> None:
        connection.colour = "red"

    async def tell(ws: Any) -> None:
        await ws.send(ws.colour)

    async with front.serving(tell, process_request=hook) as port, front.connecting(port) as ws:
        assert await ws.recv() == "red"


# process_response


@both_colours
async def test_process_response_sees_all_three(front: Front, colour: Colour) -> None:
    seen: list[Any] = []

    def hook(connection: Any, asked: Any, answer: Any) -> None:
        assert connection.request is asked
        assert connection.response is answer
        seen.append((asked.path, answer.status_code, answer.headers["Server"]))
        answer.headers["Set-Cookie"] = "a=b"

    reply = await opened(front, request(), process_response=colour(hook))
    assert seen == [("/", 101, SERVER)]
    assert reply.status == 101
    assert reply["Set-Cookie"] == "a=b"


async def test_process_response_sees_refusals_too(front: Front) -> None:
    seen: list[int] = []

    def answer(connection: Any, asked: Any) -> Any:
        return connection.respond(200, "") if asked.path == "/health" else None

    def hook(_: Any, asked: Any, answer: Any) -> None:
        seen.append(answer.status_code)
        answer.headers["X-Seen"] = "yes"

    async with front.serving(never, process_request=answer, process_response=hook) as port:
        for line in ["POST / HTTP/1.1", "GET /health HTTP/1.1"]:
            assert (await ask(front, port, request(line=line)))["X-Seen"] == "yes"
    assert seen == [405, 200]


@both_colours
async def test_process_response_answers_instead(front: Front, colour: Colour) -> None:
    def hook(connection: Any, *_: Any) -> Any:
        return connection.respond(503, "later\n")

    reply = await refused(front, request(), process_response=colour(hook))
    assert (reply.status, reply.body) == (503, b"later\n")
    assert "Server" not in reply


async def test_process_response_may_turn_a_refusal_into_another(front: Front) -> None:
    def hook(connection: Any, _: Any, answer: Any) -> Any:
        return connection.respond(404, "hidden\n") if answer.status_code == 405 else None

    data = request(line="POST / HTTP/1.1")
    reply = await refused(front, data, process_response=hook)
    assert (reply.status, reply.body) == (404, b"hidden\n")


# Handlers


async def test_both_hooks_and_the_handler_run_in_order(front: Front) -> None:
    order: list[str] = []

    async def handler(ws: Any) -> None:
        order.append("handler")

    async with front.serving(
        handler,
        process_request=lambda *_: order.append("request"),
        process_response=lambda *_: order.append("response"),
    ) as port:
        async with front.connecting(port) as ws:
            await ws.wait_closed()
    assert order == ["request", "response", "handler"]


async def test_what_the_handler_is_given(front: Front) -> None:
    seen = front.make_queue()

    async def handler(ws: Any) -> None:
        seen.put(ws)
        await idle(ws)

    async with front.serving(handler) as port, front.opening(uri_to(port, "/a")) as near:
        far = await seen.get()
        assert far.state is near.state is State.OPEN
        assert far.request.path == near.request.path == "/a"
        assert far.response.status_code == near.response.status_code == 101
        assert far.remote_address == near.local_address
        assert far.local_address == near.remote_address
        assert far.id != near.id
        assert far.server is not None


async def test_a_handler_that_raises(front: Front, caplog: pytest.LogCaptureFixture) -> None:
    async def handler(ws: Any) -> None:
        raise KeyError("in the handler")

    async with front.serving(handler) as port, front.connecting(port) as ws:
        with pytest.raises(exceptions.ConnectionClosedError) as caught:
            await ws.recv()
        assert caught.value.rcvd is not None
        assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (1011, "")
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert (record.name, record.getMessage()) == (SERVER_LOG, "connection handler failed")


async def test_create_connection_makes_the_connection(front: Front) -> None:
    class Mine(front.module("server").ServerConnection):  # type: ignore[misc]
        mark = "mine"

    made: list[Any] = []

    def factory(*args: Any, **kwargs: Any) -> Any:
        made.append(kwargs)
        return Mine(*args, **kwargs)

    async def tell(ws: Any) -> None:
        await ws.send(ws.mark)

    for create in [Mine, factory]:
        async with front.serving(tell, create_connection=create, max_queue=3) as port:
            async with front.connecting(port) as ws:
                assert await ws.recv() == "mine"
    assert made[0]["max_queue"] == 3


# While a hook waits


async def test_a_message_waits_for_process_request(front: Front) -> None:
    entered, release = front.make_event(), front.make_event()

    async def later(connection: Any, _: Any) -> None:
        entered.set()
        await release.wait()

    async def echo(ws: Any) -> None:
        async for message in ws:
            await ws.send(message)

    async with front.serving(echo, process_request=front.hook(later)) as port:
        async with knocking(front, port) as peer:
            await peer.send(request(), frame(TEXT, b"early", mask=True))
            await entered.wait()
            await peer.send_frame(TEXT, "later")
            release.set()
            assert b" 101 " in await peer.recv_until(b"\r\n\r\n")
            assert await peer.recv_payload(TEXT) == b"early"
            assert await peer.recv_payload(TEXT) == b"later"


async def test_the_client_leaves_during_process_request(
    front: Front, caplog: pytest.LogCaptureFixture
) -> None:
    entered, release = front.make_event(), front.make_event()

    async def later(connection: Any, _: Any) -> None:
        entered.set()
        await release.wait()

    async with front.serving(idle, process_request=front.hook(later)) as port:
        async with knocking(front, port) as peer:
            await peer.send(request())
            await entered.wait()
            peer.reset()
        release.set()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


# Time


async def test_a_client_gives_up(front: Front) -> None:
    async with raw_server(front, silence) as server:
        error = await failure(front, server.uri(), TimeoutError, open_timeout=0.05)
    threads = front.name == "threads"
    during = "while waiting for handshake response" if threads else "during opening handshake"
    assert str(error) == f"timed out {during}"


@not_on("threads", reason="a thread can't be cancelled")
async def test_a_client_that_is_cancelled_leaves(front: Front) -> None:
    asked, left = front.make_event(), front.make_event()

    async def wait(exchange: Exchange) -> None:
        asked.set()
        await exchange.hold()
        left.set()

    async with raw_server(front, wait) as server:
        opening = front.start(visit, front, server.uri())
        await asked.wait()
        opening.cancel()
        await opening.ended()
        assert opening.cancelled
        await left.wait()


async def test_a_client_has_one_limit_for_all_hops(front: Front) -> None:
    async def dawdling(exchange: Exchange) -> None:
        if len(server.requests) < 3:
            await exchange.say(response("302 Found", "Location: /again"))
        else:
            await exchange.hold()

    async with raw_server(front, dawdling) as server:
        await failure(front, server.uri(), TimeoutError, open_timeout=0.1)
    assert server.connections == 3


@only_ropeway
@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\nHost: a\r\n", b""], ids=["some", "none"])
async def test_a_slow_request_gets_a_408(front: Front, data: bytes) -> None:
    reply = await refused(front, data, open_timeout=0.05)
    assert reply.status == 408
    assert reply["Connection"] == "close"


async def test_a_request_that_dribbles_in_is_given_up_all_the_same(front: Front) -> None:
    """Single bytes do not extend the limit."""
    async with front.serving(never, open_timeout=0.1) as port, knocking(front, port) as peer:
        started = time.monotonic()

        async def dribble() -> None:
            with contextlib.suppress(OSError):
                while True:
                    await peer.send(b"x")
                    await front.sleep(0.005)

        dribbling = front.start(dribble)
        assert b" 101 " not in await rest(peer)
        assert time.monotonic() - started < 5
        # The server reads on for a while, so that its answer is not destroyed.
        with contextlib.suppress(OSError):
            peer.half_close()
        await dribbling.ended()


async def test_without_a_limit_a_slow_request_is_waited_for(front: Front) -> None:
    async with front.serving(idle, open_timeout=None) as port, knocking(front, port) as peer:
        await peer.send(request()[:20])
        answering = front.start(peer.recv_until, b"\r\n\r\n")
        await front.sleep(0.05)
        assert not answering.done()
        await peer.send(request()[20:])
        assert b" 101 " in await answering.result()


@only_ropeway
@not_on("threads", reason="a thread can't be cancelled")
async def test_a_hook_that_takes_too_long(front: Front) -> None:
    """It is not the client who is late."""

    async def hook(connection: Any, asked: Any) -> None:
        await front.make_event().wait()

    reply = await refused(front, request(), process_request=hook, open_timeout=0.05)
    assert reply.status == 503


async def test_time_that_a_hook_takes_is_the_clients_too(front: Front) -> None:
    release = front.make_event()

    async def hook(connection: Any, asked: Any) -> None:
        await release.wait()

    async with front.serving(idle, process_request=front.hook(hook)) as port:
        await failure(front, uri_to(port), TimeoutError, open_timeout=0.05)
        release.set()
        assert (await head_of(front, port, request())).status == 101
