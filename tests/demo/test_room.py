"""The server of the demo, over real connections."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import http.client
import re
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

import ropeway
from ropeway.demo import room as room_module
from ropeway.demo.messages import Joined, Left, Person, Pulse, Renamed, Said, Welcome

from .guests import guest, opened

Run = Callable[[Coroutine[Any, Any, Any]], Any]


async def fetch(address: str, path: str) -> tuple[http.client.HTTPResponse, bytes]:
    def get() -> tuple[http.client.HTTPResponse, bytes]:
        connection = http.client.HTTPConnection(address, timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response, response.read()
        finally:
            connection.close()

    return await asyncio.to_thread(get)


def test_a_newcomer_sees_who_is_here_and_what_was_said(run: Run) -> None:
    async def main() -> None:
        async with opened() as (_, address), guest(address, "Ada") as ada:
            first = await ada.hear(Welcome)
            assert [person.name for person in first.people] == ["Ada"]
            assert first.said == ()
            await ada.send(type="say", text="hello", id=7)
            said = await ada.hear(Said)
            async with guest(address, "Bo") as bo:
                second = await bo.hear(Welcome)
                assert [person.name for person in second.people] == ["Ada", "Bo"]
                assert second.said == (said,)
                assert (said.member, said.name, said.text, said.id) == (
                    first.you,
                    "Ada",
                    "hello",
                    7,
                )
                assert (await ada.hear(Joined)).person.member == second.you

    run(main())


def test_what_is_said_reaches_everybody_in_one_order(run: Run) -> None:
    async def main() -> None:
        async with opened() as (room, address), guest(address, "A") as a, guest(address, "B") as b:
            await a.hear(Welcome)
            await b.hear(Welcome)
            for number in range(50):
                await a.send(type="say", text=f"a{number}", id=number)
                await b.send(type="say", text=f"b{number}", id=number)
            at_a = [(await a.hear(Said)).text for _ in range(100)]
            at_b = [(await b.hear(Said)).text for _ in range(100)]
            assert at_a == at_b
            assert [text for text in at_a if text[0] == "a"] == [f"a{n}" for n in range(50)]
            assert room.tally.received == 100
            assert room.tally.delivered == 200

    run(main())


def test_coming_and_going_is_seen(run: Run) -> None:
    async def main() -> None:
        async with opened() as (room, address), guest(address, "Ada") as ada:
            await ada.hear(Welcome)
            async with guest(address, "Bo") as bo:
                you = (await bo.hear(Welcome)).you
                assert await ada.hear(Joined) == Joined(Person(you, "Bo", "task"))
                assert room.tally.present == 2
            assert await ada.hear(Left) == Left(you)
            assert (room.tally.connections, room.tally.present, room.tally.peak) == (2, 1, 2)

    run(main())


def test_a_connection_that_breaks_leaves_the_room(run: Run) -> None:
    async def main() -> None:
        async with opened() as (_, address), guest(address, "Ada") as ada:
            await ada.hear(Welcome)
            async with guest(address, "Bo") as bo:
                you = (await bo.hear(Welcome)).you
                bo.connection.abort()
                assert await ada.hear(Left) == Left(you)

    run(main())


def test_names_are_told_apart(run: Run) -> None:
    async def main() -> None:
        async with opened() as (_, address), guest(address, "Ada") as a, guest(address, "Ada") as b:
            await a.hear(Welcome)
            people = (await b.hear(Welcome)).people
            assert sorted(person.name for person in people) == ["Ada", "Ada 2"]
            await a.send(type="rename", name="\x1b[31m  Grace \u202e Hopper ")
            assert (await b.hear(Renamed)).name == "[31m Grace Hopper"
            await b.send(type="rename", name="")
            assert (await a.hear(Renamed)).name == "[31m Grace Hopper"
            assert (await a.hear(Renamed)).name == "somebody"

    run(main())


def test_the_round_trip_of_everybody_is_measured(run: Run) -> None:
    async def main() -> None:
        async with opened(ping_every=0.01) as (room, address), guest(address, "Ada") as ada:
            you = (await ada.hear(Welcome)).you
            pulse = await ada.hear(Pulse)
            assert 0 < pulse.rtts[str(you)] < 10_000
            assert room.tally.pings.count > 3
            assert len({room.tally.pings.percentile(percent) for percent in (1, 50, 99)}) > 1

    run(main())


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        (["{"], "not JSON"),
        (["[" * 30_000], "JSON nested too deeply"),
        (["[]"], "not a JSON object"),
        ([b"{}"], "a binary message; the room speaks text"),
        (["{}"], "unknown type"),
        (['{"type": ["join"]}'], "unknown type"),
        (['{"type": "say", "text": "hi", "id": 1}'], "the first message must be a join"),
        (['{"type": "join", "name": "A", "via": "telegraph"}'], "the first message must be a join"),
        (['{"type": "join", "name": 1, "via": "task"}'], "name is not a string"),
        (["JOIN", "JOIN"], "joined already"),
        (["JOIN", '{"type": "say", "id": 1}'], "text is not a string"),
        (["JOIN", '{"type": "say", "text": "", "id": -1}'], "id is not a whole number below 2**53"),
        (["JOIN", '{"type": "say", "text": "", "id": true}'], "id is not a whole number below"),
        (["JOIN", f'{{"type": "say", "text": "{"x" * 2001}", "id": 1}}'], "over 2000"),
    ],
)
def test_what_is_no_request_is_refused(run: Run, messages: list[str | bytes], reason: str) -> None:
    async def main() -> None:
        async with opened() as (room, address), guest(address) as stranger:
            for message in messages:
                join = '{"type": "join", "name": "A", "via": "task"}'
                await stranger.connection.send(join if message == "JOIN" else message)
            await stranger.connection.wait_closed()
            assert stranger.connection.close_code == 1008
            assert reason in stranger.connection.close_reason
            assert room.tally.received == 0

    run(main())


def test_a_message_over_the_limit_is_refused(run: Run) -> None:
    async def main() -> None:
        async with opened() as (_, address), guest(address, "A") as here:
            await here.hear(Welcome)
            await here.connection.send("x" * 40_000)
            await here.connection.wait_closed()
            assert here.connection.close_code == 1009

    run(main())


def test_who_says_nothing_is_sent_away(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room_module, "JOIN_TIMEOUT", 0.05)

    async def main() -> None:
        async with opened() as (_, address), guest(address) as silent:
            await silent.connection.wait_closed()
            assert silent.connection.close_code == 1008
            assert silent.connection.close_reason == "no join within 0.05 s"

    run(main())


def test_who_does_not_read_is_dropped(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room_module, "MAX_WAITING", 64 * 1024)

    async def main() -> None:
        narrow = socket.socket()
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        async with opened() as (_, address), guest(address, "Busy") as busy:
            await busy.hear(Welcome)
            host, port = address.split(":")
            narrow.setblocking(False)
            await asyncio.get_running_loop().sock_connect(narrow, (host, int(port)))
            async with guest(address, "Deaf", sock=narrow, max_queue=1, compression=None) as deaf:
                you = (await busy.hear(Joined)).person.member
                for number in range(10_000):
                    await busy.send(type="say", text="x" * 2000, id=number)
                    if await busy.hear(Said, Left) == Left(you):
                        break
                else:
                    pytest.fail("20 MB wait for one that does not read")
                deaf.connection.abort()

    run(main())


def test_the_page_is_served_with_a_policy_that_fits_it(run: Run) -> None:
    async def main() -> None:
        async with opened() as (_, address):
            response, body = await fetch(address, "/?from=a-bookmark")
            assert response.status == 200
            assert response.headers["Content-Type"] == "text/html; charset=utf-8"
            assert b"<title>ropeway room</title>" in body
            policy = response.headers["Content-Security-Policy"]
            for tag in (b"script", b"style"):
                (inline,) = re.findall(rb"<%b>(.*?)</%b>" % (tag, tag), body, re.DOTALL)
                digest = base64.b64encode(hashlib.sha256(inline).digest()).decode()
                assert f"{tag.decode()}-src 'sha256-{digest}'" in policy
            # Nothing that the policy would forbid, nothing from elsewhere.
            assert not re.search(
                rb"""\son\w+=|\sstyle=|src=["']|@import|https?://(?!www\.w3)""", body
            )
            assert b"innerHTML" not in body

    run(main())


def test_other_requests_get_an_answer(run: Run) -> None:
    async def main() -> None:
        async with opened() as (_, address):
            assert (await fetch(address, "/favicon.ico"))[0].status == 404
            assert (await fetch(address, "/room"))[0].status == 426

    run(main())


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://elsewhere.example"}, 403),
        ({"Host": "elsewhere.example"}, 421),
        ({"Host": "elsewhere.example", "Origin": "http://elsewhere.example"}, 421),
    ],
)
def test_pages_from_elsewhere_cannot_join(run: Run, headers: dict[str, str], status: int) -> None:
    async def main() -> None:
        async with opened() as (_, address):
            with pytest.raises(ropeway.InvalidStatus) as caught:
                async with guest(address, additional_headers=headers):
                    pass
            assert caught.value.response.status_code == status
            own = {"Origin": f"http://{address}"}
            async with guest(address, "Ada", additional_headers=own) as ada:
                await ada.hear(Welcome)

    run(main())


def test_the_room_says_goodbye_when_it_closes(run: Run) -> None:
    async def main() -> None:
        async with opened() as (_, address):
            connection = await ropeway.connect(f"ws://{address}/room", proxy=None)
            await connection.send('{"type": "join", "name": "A", "via": "task"}')
            await connection.recv()
        await connection.wait_closed()
        assert connection.close_code == 1001

    run(main())
