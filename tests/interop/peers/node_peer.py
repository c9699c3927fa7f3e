"""node's ``ws`` as a peer: a node process that is told what to do over a control connection."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

from ...support.require import require, unavailable
from .base import (
    Accepting,
    Mailbox,
    Message,
    Peer,
    PeerConnection,
    PeerDistrustsError,
    PeerOptions,
    PeerRefusedError,
    Where,
)

AGENT = Path(__file__).with_name("node_agent.js")
WS = "ws@8"
LINE_LIMIT = 16 * 1024 * 1024
PARAMETERS = {
    "server_no_context_takeover": "serverNoContextTakeover",
    "client_no_context_takeover": "clientNoContextTakeover",
    "server_max_window_bits": "serverMaxWindowBits",
    "client_max_window_bits": "clientMaxWindowBits",
}
DISTRUST = {
    "ERR_TLS_CERT_ALTNAME_INVALID",
    "SELF_SIGNED_CERT_IN_CHAIN",
    "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
    "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
}


def install_ws(cache: Path) -> Path:
    """Install the npm package ``ws`` once; return the folder that has it in ``node_modules``."""
    require("node")
    npm = require("npm")
    if (cache / "node_modules" / "ws" / "package.json").exists():
        return cache
    arguments = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-save"]
    done = subprocess.run(
        [npm, *arguments, "--prefix", str(cache), WS],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    if done.returncode != 0:
        unavailable(f"npm could not install {WS}: {done.stderr.strip()[-300:]}")
    return cache


@contextlib.contextmanager
def running_agent(folder: Path) -> Iterator[int]:
    """Run the agent; yield the port of its control connections."""
    process = subprocess.Popen(
        [require("node"), str(AGENT), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


class Control:
    """A control connection to the agent."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._ids = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._ends: dict[int, NodeConnection] = {}
        self.accepting: Accepting | None = None

    async def ask(self, command: str, **options: Any) -> dict[str, Any]:
        number = next(self._ids)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        self.tell(command, number, **options)
        await self._writer.drain()
        reply: dict[str, Any] = await answer
        return reply

    def tell(self, command: str, number: int = 0, **options: Any) -> None:
        line = json.dumps({"id": number, "command": command, **options})
        self._writer.write(line.encode() + b"\n")

    async def read(self) -> None:
        while line := await self._reader.readline():
            message = json.loads(line)
            if "id" in message:
                answer = self._answers.pop(message["id"], None)
                if answer and not answer.done():
                    answer.set_result(message)
            else:
                self.end(message["end"]).handle(message)

    def end(self, number: int) -> NodeConnection:
        # An event of a client's connection may come before the answer that it is open.
        if number not in self._ends:
            self._ends[number] = NodeConnection(self, number)
        return self._ends[number]


class NodeConnection(PeerConnection):
    def __init__(self, control: Control, number: int) -> None:
        self._control = control
        self._number = number
        self._mailbox = Mailbox()
        self.target = ""
        self.headers = {}
        self.subprotocol = None

    def handle(self, event: dict[str, Any]) -> None:
        match event["event"]:
            case "accepted":
                self.target = event["target"]
                self.headers = event["headers"]
                self.subprotocol = event["subprotocol"]
                assert self._control.accepting is not None
                self._control.accepting.connections.put_nowait(self)
            case "message" if "text" in event:
                self._mailbox.message(event["text"])
            case "message":
                self._mailbox.message(base64.b64decode(event["data"]))
            case "pong":
                self._mailbox.pong(base64.b64decode(event["data"]))
            case "closed":
                self._mailbox.end(event["code"], event["reason"])

    async def _ask(self, command: str, **options: Any) -> None:
        await self._control.ask(command, end=self._number, **options)

    async def send(self, message: Message) -> None:
        await self.send_fragments([message])

    async def send_fragments(self, fragments: Sequence[Message], *, ping: bytes = b"") -> None:
        for index, fragment in enumerate(fragments):
            last = index == len(fragments) - 1
            if last and ping:
                await self.ping(ping)
            if isinstance(fragment, str):
                await self._ask("send", text=fragment, fin=last)
            else:
                await self._ask("send", data=base64.b64encode(fragment).decode(), fin=last)

    async def send_empty_close(self) -> None:
        await self._ask("close")

    async def recv(self) -> Message:
        return await self._mailbox.next_message()

    async def ping(self, payload: bytes) -> None:
        data = base64.b64encode(payload).decode()
        await self._mailbox.pong_after(payload, lambda: self._ask("ping", data=data))

    async def close(self, code: int, reason: str) -> None:
        await self._ask("close", code=code, reason=reason)
        await self.closed()

    async def closed(self) -> tuple[int, str]:
        return await self._mailbox.ended()

    def abort(self) -> None:
        self._control.tell("abort", end=self._number)


class Node(Peer):
    name = "node-ws"

    def __init__(self, port: int) -> None:
        self._port = port

    @contextlib.asynccontextmanager
    async def _control(self) -> AsyncIterator[Control]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=LINE_LIMIT)
        control = Control(reader, writer)
        task = asyncio.create_task(control.read())
        try:
            yield control
        finally:
            writer.close()
            await task

    def _arguments(self, options: PeerOptions) -> dict[str, Any]:
        deflate = None
        if options.deflate:
            asked = vars(options.deflate).items()
            # To ws, a false flag is a refusal to be asked for it; a flag that is absent is not.
            deflate = {PARAMETERS[name]: value for name, value in asked if value}
        return {
            "subprotocols": list(options.subprotocols),
            "headers": dict(options.headers),
            "deflate": deflate,
            "maxSize": options.max_size,
        }

    @contextlib.asynccontextmanager
    async def connect(self, where: Where, options: PeerOptions) -> AsyncIterator[PeerConnection]:
        arguments = self._arguments(options)
        if options.tls:
            arguments["authority"] = str(options.tls.authority)
        url = f"ws+unix://{where.unix}:/" if where.unix else where.url
        async with self._control() as control:
            answer = await control.ask("connect", url=url, **arguments)
            if "refused" in answer:
                raise PeerRefusedError(answer["refused"])
            if answer.get("code") in DISTRUST:
                raise PeerDistrustsError(answer["error"])
            assert "error" not in answer, answer["error"]
            connection = control.end(answer["end"])
            connection.headers = answer["headers"]
            connection.subprotocol = answer["subprotocol"]
            yield connection

    @contextlib.asynccontextmanager
    async def serve(self, unix: str | None, options: PeerOptions) -> AsyncIterator[Accepting]:
        arguments = self._arguments(options)
        if options.tls:
            arguments["certificate"] = str(options.tls.certificate)
            arguments["key"] = str(options.tls.key)
        async with self._control() as control:
            answer = await control.ask("serve", unix=unix, refuse=options.refuse, **arguments)
            control.accepting = Accepting(options.where(answer["port"], unix))
            yield control.accepting
