"""A user of pyppeteer: the connection to the DevTools of a browser, on the API of 2022."""

import asyncio
import sys

from pyppeteer.connection import Connection
from pyppeteer.errors import NetworkError


async def main(uri: str) -> None:
    connection = Connection(f"{uri}/devtools/browser/1", asyncio.get_running_loop())
    closed = asyncio.Event()
    connection.setClosedCallback(closed.set)
    connection.on("Target.targetCreated", lambda params: print("created:", params["targetInfo"]))
    print("version:", await connection.send("Browser.getVersion"))
    print("targets:", await connection.send("Target.setDiscoverTargets", {"discover": True}))
    try:
        await connection.send("Nonsense.method")
    except NetworkError as exc:
        print("error:", exc)
    session = await connection.createSession({"targetId": "t1", "type": "page"})
    session.on("Page.loadEventFired", lambda params: print("loaded:", params))
    print("navigated:", await session.send("Page.navigate", {"url": "about:blank"}))
    shot = await session.send("Page.captureScreenshot")
    print("screenshot:", len(shot["data"]))
    await connection.send("Browser.close")
    await asyncio.wait_for(closed.wait(), 20)
    print("closed:", connection.connection.close_code, connection.connection.closed)


asyncio.run(main(sys.argv[1]))
