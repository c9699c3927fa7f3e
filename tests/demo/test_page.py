"""The page of the demo in a real browser."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ropeway.demo.messages import Joined, Left, Pulse, Renamed, Said, Welcome
from ropeway.demo.room import Room, open_room

from ..support.loops import make_run
from .chromium import Browser, Tab, chromium
from .guests import guest, opened

CONNECTED = "document.getElementById('status')?.dataset.state === 'open'"
SHOWN = "[...document.querySelectorAll('#log .bubble')].map((bubble) => bubble.textContent)"
PEOPLE = "[...document.querySelectorAll('#people b')].map((name) => name.textContent)"
HOSTILE = "<img src=x onerror='document.title=1'> <script>document.title = 2</script> &amp;"


def with_a_browser(profile: Path, main: Callable[[Browser], Any]) -> None:
    async def run() -> None:
        async with chromium(profile) as browser:
            await main(browser)

    make_run(asyncio.new_event_loop, None)(run())


def shows(text: str) -> str:
    return f"({SHOWN}).includes({text!r})"


def test_tabs_and_terminals_meet(tmp_path: Path) -> None:
    async def main(browser: Browser) -> None:
        async with (
            opened() as (_, address),
            guest(address, "<b>Bo</b>") as bo,
            browser.tab(f"http://{address}/") as one,
            browser.tab(f"http://{address}/") as two,
        ):
            await bo.hear(Welcome)
            names = [(await bo.hear(Joined)).person.name for _ in range(2)]
            for tab in (one, two):
                await tab.until(CONNECTED)
                await tab.until(f"({PEOPLE}).length === 3")
            assert (await one.evaluate(PEOPLE))[0] == "<b>Bo</b>"

            await one.fill("text", "from a tab")
            assert (await bo.hear(Said)).text == "from a tab"
            await two.until(shows("from a tab"))
            trip = "document.querySelector('#log .mine .trip')?.textContent"
            assert (await one.until(trip)).startswith("there and back in ")
            assert await two.evaluate(trip) is None

            await bo.send(type="say", text=HOSTILE, id=1)
            for tab in (one, two):
                await tab.until(shows(HOSTILE))
                assert (
                    await tab.evaluate("document.querySelectorAll('#log img, #log script').length")
                    == 0
                )
                assert await tab.evaluate("document.title") == "ropeway room"

            await two.fill("name", "Grace Hopper")
            renamed = await bo.hear(Renamed)
            assert renamed.name == "Grace Hopper"
            await one.until(f"({PEOPLE}).includes('Grace Hopper')")
            assert len(set(names)) == 2

            await bo.hear(Pulse)
            await bo.hear(Pulse)
            await one.until("/^[0-9.]+ ms$/.test(document.getElementById('now').textContent)")
            await two.call("Page.navigate", url="about:blank")
            assert (await bo.hear(Left)).member == renamed.member
            await one.until(f"({PEOPLE}).length === 2")
            assert one.complaints == []

    with_a_browser(tmp_path, main)


def test_a_tab_comes_back_when_the_room_does(tmp_path: Path) -> None:
    async def main(browser: Browser) -> None:
        async with opened() as (_, address):
            page = browser.tab(f"http://{address}/")
            tab: Tab = await page.__aenter__()
            await tab.until(CONNECTED)
            name = await tab.evaluate("document.getElementById('name').value")
        try:
            await tab.until(f"!({CONNECTED})")
            assert await tab.evaluate("document.querySelector('#say button').disabled")
            async with open_room(Room(), "127.0.0.1", int(address.rpartition(":")[2])):
                await tab.until(CONNECTED)
                assert await tab.evaluate(PEOPLE) == [f"{name} (you)"]
        finally:
            await page.__aexit__(None, None, None)

    with_a_browser(tmp_path, main)
