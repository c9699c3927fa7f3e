"""Cancel scopes around any call: what is lost, and what is not."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from ropeway.exceptions import ConnectionClosedError
from ropeway.protocol import State

from .serving import Handed, connecting, in_trio, pair, serving

LARGE = bytes(8 << 20)
"""More than the kernel takes."""


@in_trio
async def test_a_cancelled_recv_loses_no_message() -> None:
    async with pair() as (near, far):
        with trio.move_on_after(0.01) as scope:
            await near.recv()
        assert scope.cancelled_caught
        await far.send("kept")
        assert await near.recv() == "kept"


@in_trio
async def test_a_message_that_came_is_not_taken_by_a_cancelled_recv() -> None:
    async with pair() as (near, far):
        await far.send("first")
        await far.send("second")
        assert await near.recv() == "first"
        with trio.CancelScope() as scope:
            scope.cancel()
            await near.recv()
        assert scope.cancelled_caught
        assert await near.recv() == "second"


@in_trio
async def test_a_recv_cancelled_as_its_message_arrives_loses_nothing() -> None:
    """The reader has woken the task already when the cancellation reaches it, or has not yet."""
    received: list[str] = []
    async with pair() as (near, far):
        for number in range(300):
            scope = trio.CancelScope()

            async def receive(scope: trio.CancelScope = scope) -> None:
                with scope:
                    received.append(await near.recv(decode=True))

            async with trio.open_nursery() as nursery:
                nursery.start_soon(receive)
                await trio.testing.wait_all_tasks_blocked()
                await far.send(str(number))
                for _ in range(number % 6):
                    await trio.lowlevel.checkpoint()
                scope.cancel()
            if len(received) == number:
                received.append(await near.recv(decode=True))
        assert received == [str(number) for number in range(300)]


@in_trio
async def test_iterating_goes_on_after_a_cancellation() -> None:
    async with pair() as (near, far):
        messages = aiter(near)
        with trio.move_on_after(0.01):
            await anext(messages)
        await far.send("kept")
        assert await anext(messages) == "kept"


@in_trio
async def test_a_send_cancelled_while_it_waits_goes_out() -> None:
    async with pair(client={"max_size": None}) as (near, far):
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(far.send, LARGE)
                await trio.testing.wait_all_tasks_blocked()
                scope.cancel()
        await far.send("next")
        assert await near.recv() == LARGE
        assert await near.recv() == "next"


@in_trio
async def test_a_send_that_has_not_begun_is_not_sent() -> None:
    async with pair() as (near, far):
        with trio.CancelScope() as scope:
            scope.cancel()
            await far.send("never")
        await far.send("sent")
        assert await near.recv() == "sent"


@in_trio
async def test_cancelling_a_fragmented_message_fails_the_connection() -> None:
    async with pair() as (near, far):

        async def parts() -> object:
            yield "half"
            await trio.sleep_forever()

        with trio.move_on_after(0.01):
            await far.send(parts())
        with pytest.raises(ConnectionClosedError) as caught:
            await near.recv()
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1011
        assert caught.value.rcvd.reason == "error in fragmented message"


@in_trio
async def test_a_cancelled_aclose_drops_the_connection() -> None:
    handed = Handed()
    async with serving(handed) as server:
        async with trio.open_nursery() as nursery:
            near = await connecting(server, max_queue=1).connect(nursery)
            far = await handed.get()
            for _ in range(10):  # full, so that it doesn't see the close frame
                await far.send("unread")
            with trio.move_on_after(0.01) as scope:
                await far.aclose()
            assert scope.cancelled_caught
            await far.wait_closed()
            assert far.state is State.CLOSED
            near.abort()
        handed.over.set()


@in_trio
async def test_a_cancelled_connect_leaves_nothing() -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    from ropeway.trio.client import connect

    with trio.move_on_after(0.05) as scope:
        async with connect(f"ws://127.0.0.1:{port}/", proxy=None):
            raise AssertionError("nobody answers")
    assert scope.cancelled_caught
    await listeners[0].aclose()


@in_trio
async def test_one_that_always_has_messages_lets_others_run() -> None:
    async with pair(client={"max_queue": None}) as (near, far):
        counts = {"messages": 0, "turns": 0}
        with trio.CancelScope() as scope:

            async def send() -> None:
                while True:
                    await far.send("x")

            async def receive() -> None:
                while counts["messages"] < 20_000:
                    await near.recv()
                    counts["messages"] += 1
                scope.cancel()

            async def take_turns() -> None:
                while True:
                    counts["turns"] += 1
                    await trio.lowlevel.checkpoint()

            async with trio.open_nursery() as nursery:
                for function in (send, receive, take_turns):
                    nursery.start_soon(function)
        assert counts["messages"] == 20_000
        assert counts["turns"] > 20
