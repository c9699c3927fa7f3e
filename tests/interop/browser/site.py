"""The servers that the page in the browser talks to, all under test, and the page itself."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ...support import subject
from ..authority import Credentials
from .chromium import visiting

PAGE = Path(__file__).with_name("page.html")
PATIENCE = 150


class Site:
    """Serves the page, plays its counterpart, and collects what it reports."""

    def __init__(self) -> None:
        self.ports: dict[str, int] = {}
        self.reports: dict[str, dict[str, Any]] = {}
        self.ends: dict[str, tuple[int, str]] = {}
        """How connections ended for the server, by the name that the page gave them."""
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def process_request(self, connection: Any, request: Any) -> Any:
        if request.path == "/":
            html = PAGE.read_text().replace("PORTS", json.dumps(self.ports))
            response = connection.respond(200, html)
            del response.headers["Content-Type"]
            response.headers["Content-Type"] = "text/html; charset=utf-8"
            return response
        if request.path == "/favicon.ico":
            return connection.respond(404, "none")
        if request.path == "/refuse":
            return connection.respond(403, "not today")
        return None

    async def handler(self, connection: Any) -> None:
        parts = urlsplit(connection.request.path)
        query = {key: values[0] for key, values in parse_qs(parts.query, True).items()}
        await getattr(self, parts.path.removeprefix("/"))(connection, **query)

    async def echo(self, connection: Any) -> None:
        async for message in connection:
            await connection.send(message)

    async def report(self, connection: Any) -> None:
        async for message in connection:
            result = json.loads(message)
            self.reports[result.pop("name")] = result
        self.finished.set_result(None)

    async def fragments(self, connection: Any) -> None:
        await connection.send([b"\x00", b"", b"\x01\x02", b"\xff"])
        await connection.send(["索", "", "道 ", "🚡"] * 100)

    async def ping(self, connection: Any) -> None:
        await (await connection.ping(b"are you there?"))
        await connection.send("yes")

    async def request(self, connection: Any, **_: str) -> None:
        headers = dict(connection.request.headers.raw_items())
        await connection.send(json.dumps({"path": connection.request.path, "headers": headers}))

    async def closed(self, connection: Any, id: str) -> None:
        await connection.wait_closed()
        self.ends[id] = (connection.close_code, connection.close_reason)

    async def close(self, connection: Any, code: str, reason: str) -> None:
        await connection.close(int(code), reason)

    async def fail(self, connection: Any) -> None:
        raise RuntimeError("this handler fails on purpose")

    async def drop(self, connection: Any) -> None:
        connection.transport.abort()

    def variants(self, tls: Credentials) -> dict[str, dict[str, Any]]:
        """The options of each server; the last ones know where the page comes from."""
        factory = subject.module("extensions.permessage_deflate").ServerPerMessageDeflateFactory
        forgetful = factory(server_no_context_takeover=True, client_no_context_takeover=True)
        narrow = factory(server_max_window_bits=9, client_max_window_bits=9)
        return {
            "plain": {"compression": None, "subprotocols": ["chat.v1", "chat.v2"]},
            "compressed": {},
            "forgetful": {"extensions": [forgetful]},
            "narrow": {"extensions": [narrow]},
            "small": {"max_size": 1000},
            "elsewhere": {"origins": ["https://elsewhere.test"]},
            "tls": {"ssl": tls.server, "compression": None},
        }


async def collect(tls: Credentials) -> Site:
    """Let Chromium visit the page, until it has reported everything."""
    site = Site()

    def select_subprotocol(connection: Any, offered: Any) -> Any:
        return "chat.v2" if "chat.v2" in offered else None

    async with contextlib.AsyncExitStack() as stack:

        async def start(name: str, **options: Any) -> None:
            serving = subject.serve(
                site.handler, "127.0.0.1", 0, process_request=site.process_request, **options
            )
            server = await stack.enter_async_context(serving)
            site.ports[name] = server.sockets[0].getsockname()[1]

        for name, options in site.variants(tls).items():
            if "subprotocols" in options:
                options["select_subprotocol"] = select_subprotocol
            await start(name, **options)
        origin = f"http://127.0.0.1:{site.ports['plain']}"
        await start("home", origins=[origin])
        with visiting(f"{origin}/", trusted=tls.certificate) as process:
            try:
                async with asyncio.timeout(PATIENCE):
                    await site.finished
            except TimeoutError:
                state = process.poll()
                raise AssertionError(
                    f"only {list(site.reports)} in {PATIENCE} s; chromium's exit code: {state}"
                ) from None
    return site
