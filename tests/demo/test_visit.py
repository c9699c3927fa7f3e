"""The client of the demo, in a real room."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

import ropeway
from ropeway.demo.messages import Event, Joined, Left, Malformed, Renamed, Said
from ropeway.demo.visit import Visit, endpoint, visit

from .guests import opened

Run = Callable[[Coroutine[Any, Any, Any]], Any]


class Heard:
    """A listener that keeps events, and can be waited for."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[tuple[Event, float | None]] = asyncio.Queue()

    def __call__(self, visit: Visit, event: Event, trip: float | None) -> None:
        self.events.put_nowait((event, trip))

    async def next(self, kind: type[Event]) -> tuple[Any, float | None]:
        while True:
            event, trip = await self.events.get()
            if isinstance(event, kind):
                return event, trip


def test_an_echo_is_timed_and_others_are_not(run: Run) -> None:
    async def main() -> None:
        heard, overheard = Heard(), Heard()
        async with opened() as (_, address):
            uri = f"ws://{address}/room"
            async with (
                visit(uri, "Ada", "task", heard) as ada,
                visit(uri, "Bo", "task", overheard) as bo,
            ):
                trip = await (await ada.say("hello"))
                event, same_trip = await heard.next(Said)
                assert event.text == "hello"
                assert trip is not None
                assert 0 < trip == same_trip == ada.trips.percentile(50) < 10
                assert (await overheard.next(Said))[1] is None
                assert bo.trips.count == 0

    run(main())


def test_the_picture_follows_events(run: Run) -> None:
    async def main() -> None:
        heard = Heard()
        async with opened() as (_, address):
            uri = f"ws://{address}/room"
            async with visit(uri, "Ada", "task", heard) as ada:
                async with visit(uri, "Bo", "terminal", Heard()) as bo:
                    await heard.next(Joined)
                    await asyncio.sleep(0)
                    assert ada.people[bo.you].name == "Bo"
                    await bo.rename("Bob")
                    await heard.next(Renamed)
                    await asyncio.sleep(0)
                    assert (ada.people[bo.you].name, ada.name) == ("Bob", "Ada")
                await heard.next(Left)
                await asyncio.sleep(0)
                assert [person.name for person in ada.people.values()] == ["Ada"]

    run(main())


def test_the_end_of_the_room_ends_the_visit(run: Run) -> None:
    async def main() -> None:
        async with opened() as (room, address):
            async with visit(f"ws://{address}/room", "Ada", "task", Heard()) as ada:
                (member,) = room._members.values()
                closing = asyncio.create_task(member.connection.close(1001, "over"))
                await ada.ended
                await closing
                with pytest.raises(ropeway.ConnectionClosed):
                    await ada.say("too late")

    run(main())


def test_what_is_no_room_is_noticed(run: Run) -> None:
    async def echo(connection: Any) -> None:
        async for message in connection:
            await connection.send(message)

    async def main() -> None:
        async with ropeway.serve(echo, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            with pytest.raises(Malformed):
                async with visit(f"ws://127.0.0.1:{port}/", "Ada", "task", Heard()):
                    pass

    run(main())


@pytest.mark.parametrize(
    ("address", "uri"),
    [
        ("http://127.0.0.1:8765/", "ws://127.0.0.1:8765/room"),
        ("http://127.0.0.1:8765", "ws://127.0.0.1:8765/room"),
        ("https://rope.example/", "wss://rope.example/room"),
        ("ws://localhost:1/room", "ws://localhost:1/room"),
        ("wss://localhost/elsewhere?a=b#c", "wss://localhost/elsewhere?a=b"),
    ],
)
def test_the_address_of_the_page_will_do(address: str, uri: str) -> None:
    assert endpoint(address) == uri
