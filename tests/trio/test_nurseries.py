"""Where the tasks of a connection run, and what becomes of it when they are cancelled."""

from __future__ import annotations

import pytest
import trio

from ropeway.exceptions import ConnectionClosedError, ConnectionClosedOK, InvalidStatus
from ropeway.protocol import State
from ropeway.trio.client import connect

from .serving import Handed, connecting, in_trio, pair, serving


@in_trio
async def test_a_connection_lives_in_the_nursery_that_it_is_given() -> None:
    async with serving() as server, trio.open_nursery() as nursery:
        connection = await connecting(server).connect(nursery)
        assert len(nursery.child_tasks) == 2
        await connection.send("hello")
        assert await connection.recv() == "hello"
        await connection.aclose()
        # The nursery waits for no task of it.


@in_trio
async def test_cancelling_the_nursery_drops_the_connection() -> None:
    handed = Handed()
    async with serving(handed) as server:
        async with trio.open_nursery() as nursery:
            near = await connecting(server).connect(nursery)
            far = await handed.get()
            nursery.cancel_scope.cancel()
        assert near.state is State.CLOSED
        with pytest.raises(ConnectionClosedError) as caught:
            await near.recv()
        assert caught.value.rcvd is None and caught.value.sent is None
        with pytest.raises(ConnectionClosedError):
            await far.recv()
        handed.over.set()


@in_trio
async def test_an_exception_of_the_body_arrives_as_it_is() -> None:
    handed = Handed()
    async with serving(handed) as server:
        with pytest.raises(KeyError, match="body"):
            async with connecting(server):
                raise KeyError("body")
        far = await handed.get()
        with pytest.raises(ConnectionClosedError) as caught:
            await far.recv()
        assert caught.value.rcvd is not None and caught.value.rcvd.code == 1011
        handed.over.set()


@in_trio
async def test_what_goes_wrong_in_opening_arrives_as_it_is() -> None:
    async def refuse(connection: object, request: object) -> object:
        return connection.respond(403, "No.\n")  # type: ignore[attr-defined]

    async with serving(process_request=refuse) as server:
        with pytest.raises(InvalidStatus) as caught:
            async with connecting(server):
                raise AssertionError
        assert caught.value.response.status_code == 403
        assert caught.value.response.body == b"No.\n"
    with pytest.raises(OSError, match=r"all attempts to connect"):
        async with connect("ws://127.0.0.1:1/", proxy=None):
            raise AssertionError


@in_trio
async def test_a_body_that_is_cancelled_closes_its_connection() -> None:
    handed = Handed()
    async with serving(handed) as server:
        with trio.move_on_after(0.05) as scope:
            async with connecting(server) as near:
                await near.recv()
        assert scope.cancelled_caught
        assert near.state is State.CLOSED
        far = await handed.get()
        with pytest.raises(ConnectionClosedError):
            await far.recv()
        handed.over.set()


@pytest.mark.parametrize("early", [False, True])
@in_trio
async def test_a_cancellation_arrives_as_it_is(early: bool) -> None:
    arrived: list[BaseException] = []
    async with serving() as server:
        with trio.CancelScope() as scope:
            if early:
                scope.cancel()
            try:
                async with connecting(server) as near:
                    scope.cancel()
                    await near.recv()
            except BaseException as exc:
                arrived.append(exc)
                raise
    assert [type(exc) for exc in arrived] == [trio.Cancelled]


@in_trio
async def test_cancelling_the_server_drops_its_connections() -> None:
    from ropeway.trio.server import serve

    handed = Handed()
    async with trio.open_nursery() as outer:
        async with trio.open_nursery() as nursery:

            async def start(*, task_status: trio.TaskStatus[object]) -> None:
                await serve(handed, 0, host="127.0.0.1", task_status=task_status)

            server = await nursery.start(start)
            near = await connecting(server).connect(outer)
            await handed.get()
            nursery.cancel_scope.cancel()
        with pytest.raises(ConnectionClosedError):
            await near.recv()


@in_trio
async def test_two_tasks_of_a_group_see_the_same_end() -> None:
    async with pair() as (near, far):
        ends: list[str] = []

        async def receive() -> None:
            with pytest.raises(ConnectionClosedOK):
                await near.recv()
            ends.append("recv")

        async def wait() -> None:
            await near.wait_closed()
            ends.append("wait_closed")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            nursery.start_soon(wait)
            await far.aclose()
        assert sorted(ends) == ["recv", "wait_closed"]


@in_trio
async def test_a_connecter_is_not_reentrant_but_may_be_used_again() -> None:
    async with serving() as server:
        connecter = connecting(server)
        async with connecter as connection:
            with pytest.raises(RuntimeError, match="reentrant"):
                await connecter.__aenter__()
            await connection.send("a")
        async with connecter as connection:
            await connection.send("b")
            assert await connection.recv() == "b"


@in_trio
async def test_reconnecting_closes_the_connection_before() -> None:
    handed = Handed()
    async with serving(handed) as server:
        ends = []
        async for connection in connecting(server):
            far = await handed.get()
            await far.send("hello")
            assert await connection.recv() == "hello"
            ends.append(far)
            if len(ends) == 3:
                break
        for far in ends[:2]:
            with pytest.raises(ConnectionClosedOK):
                await far.recv()
        del connection
        with pytest.raises(ConnectionClosedError):
            await ends[2].recv()
        handed.over.set()


@in_trio
async def test_reconnecting_waits_after_a_failure_and_gives_up_when_told() -> None:
    delays = []

    def some_delays() -> object:
        for delay in (0.001, 0.002):
            delays.append(delay)
            yield delay

    with pytest.raises(OSError, match="all attempts"):
        async for _ in connect("ws://127.0.0.1:1/", proxy=None, reconnect_delays=some_delays):  # type: ignore[arg-type]
            raise AssertionError
    assert delays == [0.001, 0.002]
