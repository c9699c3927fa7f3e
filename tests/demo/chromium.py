"""A headless Chromium, led over its debugging protocol, which is a WebSocket itself."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import ropeway

from ..support.require import require

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--remote-debugging-port=0", "about:blank"),
)
PATIENCE = 60
"""Seconds for one thing to happen."""


class Tab:
    """A tab of the browser, on a debugging connection of its own."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.session: str | None = None
        self.complaints: list[Any] = []
        """What the page wrote to the console, exceptions above all."""
        self._number = 0

    async def call(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self.session is not None:
            message["sessionId"] = self.session
        await self.connection.send(json.dumps(message))
        while True:
            reply = json.loads(await self.connection.recv())
            if reply.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.complaints.append(reply["params"])
            if reply.get("id") == self._number:
                assert "error" not in reply, reply["error"]
                return reply["result"]

    async def evaluate(self, expression: str) -> Any:
        reply = await self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in reply, reply["exceptionDetails"]
        return reply["result"].get("value")

    async def until(self, expression: str) -> Any:
        """Wait until a JavaScript expression is true; return its value."""
        async with asyncio.timeout(PATIENCE):
            # A tab in the background is not painted.
            await self.call("Page.bringToFront")
            # Nothing announces the change, and a look costs little.
            while not (value := await self.evaluate(expression)):
                await asyncio.sleep(0.02)
        return value

    async def fill(self, element: str, text: str) -> None:
        """Type into the element of this id, and press Enter."""
        await self.call("Page.bringToFront")
        await self.evaluate(f"document.getElementById('{element}').select()")
        await self.call("Input.insertText", text=text)
        for kind in ("keyDown", "keyUp"):
            key = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}
            await self.call("Input.dispatchKeyEvent", type=kind, **key)


class Browser:
    def __init__(self, uri: str) -> None:
        self.uri = uri

    @contextlib.asynccontextmanager
    async def tab(self, address: str) -> AsyncIterator[Tab]:
        async with ropeway.connect(self.uri, max_size=None, proxy=None) as connection:
            tab = Tab(connection)
            target = (await tab.call("Target.createTarget", url="about:blank"))["targetId"]
            attached = await tab.call("Target.attachToTarget", targetId=target, flatten=True)
            tab.session = attached["sessionId"]
            for domain in ("Page", "Runtime", "Log"):
                await tab.call(f"{domain}.enable")
            await tab.call("Page.navigate", url=address)
            yield tab


@contextlib.asynccontextmanager
async def chromium(profile: Path) -> AsyncIterator[Browser]:
    """Run a browser with an empty profile for the length of a ``with`` block."""
    process = await asyncio.create_subprocess_exec(
        *(require("chromium"), f"--user-data-dir={profile}", *FLAGS),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(PATIENCE):
            while not (
                found := re.search(rb"listening on (ws://\S+)", await process.stderr.readline())
            ):
                assert process.returncode is None, "chromium ended before it was ready"
        rest = asyncio.create_task(process.stderr.read())
        yield Browser(found[1].decode())
    finally:
        process.terminate()
        await process.wait()
    await rest
