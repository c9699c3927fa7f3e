"""What applications and clients do, and what each sees of the other, whoever is in between.

A scenario takes the name of an implementation and gives what was seen. The table says what that is
with ours, and where uvicorn's own see something else.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from ..support.rawpeer import BINARY, CLOSE, CONT, PING, PONG, TEXT, RawFrame, close_payload
from .serving import Application, Client, Served, serving

PATIENCE = 0.5
"""Seconds after which something isn't going to happen, where an implementation waits for good."""


@dataclass
class Outcome:
    """What the application saw, and what the client."""

    application: list[Any]
    client: list[Any]


Play = Callable[[Application, Client, Served], Awaitable[list[Any]]]
SCENARIOS: dict[str, Callable[[str], Awaitable[Outcome]]] = {}


def scenario(
    script: Callable[[Application], Awaitable[object]], **options: Any
) -> Callable[[Play], Play]:
    """Register what a client does, with the application that it plays against."""

    def register(play: Play) -> Play:
        async def run(implementation: str) -> Outcome:
            application = Application(script)
            async with serving(application, implementation, **options) as served:
                client = await Client.connect(served.port)
                try:
                    seen = await play(application, client, served)
                finally:
                    client.close()
                await application.ended
            return Outcome(
                [_simple(one) for one in application.seen], [_simple(one) for one in seen]
            )

        SCENARIOS[play.__name__] = run
        return play

    return register


def _simple(seen: Any) -> Any:
    """Write events and frames so that they are read easily."""
    if isinstance(seen, dict):
        kind = seen.pop("type").removeprefix("websocket.")
        if kind == "disconnect":
            return (kind, int(seen.pop("code")), _reason(seen.pop("reason", None) or ""), *seen)
        return (kind, *seen.items())
    if not isinstance(seen, RawFrame):
        return seen
    if seen.opcode == CLOSE:
        return ("close", int.from_bytes(seen.payload[:2]), _reason(seen.payload[2:].decode()))
    name = {TEXT: "text", BINARY: "bytes", CONT: "cont", PING: "ping", PONG: "pong"}[seen.opcode]
    return (name, seen.payload)


def _reason(reason: str) -> str:
    """Leave out for how long a peer was silent."""
    return re.sub(r": peer was silent for [\d.]+ seconds$", ": …", reason)


def frames_only(seen: list[Any]) -> list[Any]:
    """Leave out how the stream ends, where unread data may make a reset of it."""
    return [one for one in seen if isinstance(one, RawFrame)]


async def echo(application: Application) -> None:
    await application.open()
    while (event := await application.receive())["type"] == "websocket.receive":
        await application.raw_send({**event, "type": "websocket.send"})


@scenario(echo)
async def messages(application: Application, client: Client, served: Served) -> list[Any]:
    await client.answered()
    seen: list[Any] = []
    for opcode, payload in ((TEXT, "索道"), (BINARY, b"\x00\xff"), (TEXT, ""), (BINARY, b"")):
        await client.send_frame(opcode, payload)
        seen.append(await client.recv_frame())
    await client.send_frame(TEXT, "u", fin=False)
    await client.send_frame(PING, b"there?")
    await client.send_frame(CONT, "p")
    seen += [await client.recv_frame(), await client.recv_frame()]
    await client.send_close(3000, "enough")
    return seen + await client.recv_all(answer=False)


@scenario(echo)
async def close_without_a_code(
    application: Application, client: Client, served: Served
) -> list[Any]:
    await client.answered()
    await client.send_frame(CLOSE)
    return await client.recv_all(answer=False)


@scenario(echo)
async def dropped(application: Application, client: Client, served: Served) -> list[Any]:
    await client.answered()
    client.close()
    return []


@scenario(echo)
async def violation(application: Application, client: Client, served: Served) -> list[Any]:
    await client.answered()
    await client.send_frame(TEXT, "before")
    seen: list[Any] = [await client.recv_frame()]
    await client.send_frame(0x3, "a reserved opcode")
    return seen + frames_only(await client.recv_all())


@scenario(echo, ws_max_size=100)
async def too_big(application: Application, client: Client, served: Served) -> list[Any]:
    await client.answered()
    await client.send_frame(TEXT, "x" * 101)
    return frames_only(await client.recv_all())


@scenario(echo, ws_ping_interval=0.05, ws_ping_timeout=0.05)
async def silence(application: Application, client: Client, served: Served) -> list[Any]:
    await client.answered()
    assert (await client.recv_frame()).opcode == PING
    seen = await client.recv_all()
    # On a busy machine there may be another ping.
    return [one for one in seen if isinstance(one, str) or one.opcode != PING]


@scenario(echo)
async def shutdown(application: Application, client: Client, served: Served) -> list[Any]:
    await client.answered()
    await client.send_frame(TEXT, "last")
    assert await client.recv_payload(TEXT) == b"last"
    stopping = asyncio.create_task(served.stop())
    seen = await client.recv_all()
    client.close()
    await stopping
    return list(seen)


async def wait_for_the_end(application: Application) -> None:
    await application.receive()
    await application.receive_all()
    await application.try_to_send("accept")


@scenario(wait_for_the_end)
async def gone_before_accepted(
    application: Application, client: Client, served: Served
) -> list[Any]:
    client.close()
    return []


@scenario(wait_for_the_end)
async def shutdown_before_accepted(
    application: Application, client: Client, served: Served
) -> list[Any]:
    while not application.seen:
        await asyncio.sleep(0)
    stopping = asyncio.create_task(served.stop())
    status = await client.answered()
    client.close()
    await stopping
    return [status, client.body]


async def refuse(application: Application) -> None:
    await application.receive()
    await application.send("close")
    await application.receive()
    await application.try_to_send("accept")


@scenario(refuse)
async def refused(application: Application, client: Client, served: Served) -> list[Any]:
    return [await client.answered(), client.body]


async def deny(application: Application) -> None:
    await application.receive()
    await application.send(
        "http.response.start", status=404, headers=[(b"x-cabin", b"none"), (b"x-cabin", b"left")]
    )
    await application.try_to_send("accept")
    await application.send("http.response.body", body=b"no such ", more_body=True)
    await application.send("http.response.body", body=b"cabin")
    await application.receive()
    await application.try_to_send("http.response.body", body=b"more")


@scenario(deny)
async def denied(application: Application, client: Client, served: Served) -> list[Any]:
    return [await client.answered(), client.values("x-cabin"), client.body]


async def deny_by_halves(application: Application) -> None:
    await application.receive()
    await application.send("http.response.start", status=404, headers=[])


@scenario(deny_by_halves)
async def denied_by_halves(application: Application, client: Client, served: Served) -> list[Any]:
    try:
        return [await client.answered(), client.body]
    except EOFError:
        return ["end"]


async def deny_with_nonsense(application: Application) -> None:
    await application.receive()
    await application.try_to_send("http.response.start", status=999, headers=[])
    await application.send("close")


@scenario(deny_with_nonsense)
async def denied_with_nonsense(
    application: Application, client: Client, served: Served
) -> list[Any]:
    return [await client.answered()]


async def leave(application: Application) -> None:
    await application.receive()


@scenario(leave)
async def returns_before_accepting(
    application: Application, client: Client, served: Served
) -> list[Any]:
    status = await client.answered()
    return [status, "and 101" if b" 101 " in client.body else client.body]


async def fail(application: Application) -> None:
    await application.receive()
    raise ValueError("on purpose")


@scenario(fail)
async def raises_before_accepting(
    application: Application, client: Client, served: Served
) -> list[Any]:
    return [await client.answered(), client.body]


@scenario(Application.open)
async def returns_after_accepting(
    application: Application, client: Client, served: Served
) -> list[Any]:
    return [await client.answered(), *await client.recv_all()]


async def accept_and_fail(application: Application) -> None:
    await application.open()
    raise ValueError("on purpose")


@scenario(accept_and_fail)
async def raises_after_accepting(
    application: Application, client: Client, served: Served
) -> list[Any]:
    return [await client.answered(), *await client.recv_all()]


async def close(application: Application) -> None:
    await application.open()
    await application.send("close", code=3001, reason="索道")
    await application.receive()
    await application.try_to_send("send", text="late")
    await application.try_to_send("close")


@scenario(close)
async def closed_by_the_application(
    application: Application, client: Client, served: Served
) -> list[Any]:
    await client.answered()
    return await client.recv_all()


async def close_as_usual(application: Application) -> None:
    await application.open()
    await application.send("close", reason=None)


@scenario(close_as_usual)
async def closed_as_usual(application: Application, client: Client, served: Served) -> list[Any]:
    await client.answered()
    return await client.recv_all()


async def send_late(application: Application) -> None:
    await application.open()
    await application.receive_all()
    await application.try_to_send("send", text="late")
    await application.try_to_send("close")


@scenario(send_late)
async def sends_after_the_end(
    application: Application, client: Client, served: Served
) -> list[Any]:
    await client.answered()
    await client.send_close()
    return await client.recv_all(answer=False)


async def send_nonsense(application: Application) -> None:
    await application.receive()
    await application.try_to_send("send", text="early")
    await application.send("accept")
    await application.try_to_send("accept")
    await application.try_to_send("http.response.start", status=200)
    await application.try_to_send("nonsense")
    await application.send("close")


@scenario(send_nonsense)
async def nonsense(application: Application, client: Client, served: Served) -> list[Any]:
    await client.answered()
    return await client.recv_all()


async def send_with_none(application: Application) -> None:
    await application.open()
    await application.send("send", text="up", bytes=None)
    await application.send("send", text=None, bytes=b"down")
    await application.send("send", text="not", bytes=b"")
    await application.try_to_send("send", text=None, bytes=None)
    await application.send("close")


@scenario(send_with_none)
async def keys_that_are_none(application: Application, client: Client, served: Served) -> list[Any]:
    await client.answered()
    return await client.recv_all()


async def receive_on(application: Application) -> None:
    await application.open()
    await application.receive_all()
    for _ in range(2):
        try:
            async with asyncio.timeout(PATIENCE):
                await application.receive()
        except TimeoutError:
            application.seen.append("nothing")


@scenario(receive_on)
async def receives_after_the_end(
    application: Application, client: Client, served: Served
) -> list[Any]:
    await client.answered()
    await client.send_frame(CLOSE, close_payload(1001, "later"))
    return await client.recv_all(answer=False)
