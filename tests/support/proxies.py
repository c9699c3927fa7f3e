"""Real proxies on loopback for tests: HTTP CONNECT, SOCKS4/4a and SOCKS5, over TCP or TLS.

Each one speaks its protocol to the client, records what it was asked in ``asked``, opens the tunnel
and copies bytes both ways until one side ends. ``route`` replaces the destination, so that a test
can ask for a host name that only the proxy knows. They hold to the happy path and to the refusals
that tests need.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ipaddress
import ssl
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

Address = tuple[str, int]


@dataclass
class Asked:
    """What one client asked of a proxy."""

    host: str = ""
    port: int = 0
    kind: str = ""
    """How the destination was named: "name", "ipv4" or "ipv6"."""
    credentials: tuple[str, str] | None = None
    request_line: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    peer: Address | None = None

    @property
    def target(self) -> Address:
        return (self.host, self.port)

    def header(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]


class Refused(Exception):
    """The proxy has told the client that there will be no tunnel."""


class Proxy:
    """A proxy on 127.0.0.1; ``async with`` starts and stops it.

    Args:
        credentials: user name and password that clients must show, if any.
        route: where every tunnel really leads, instead of where the client asked for.
        tls: server context with which the proxy itself is reached over TLS.
        hang_up: end the connection as soon as the request was read, without a reply.
    """

    scheme = ""

    def __init__(
        self,
        *,
        credentials: tuple[str, str] | None = None,
        route: Address | None = None,
        tls: ssl.SSLContext | None = None,
        hang_up: bool = False,
    ) -> None:
        self.credentials = credentials
        self.route = route
        self.tls = tls
        self.hang_up = hang_up
        self.asked: list[Asked] = []
        self._tunnels: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self.tls)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._server.close()
        # A connection that the kernel has accepted may still be on its way through the loop.
        for _ in range(5):
            await asyncio.sleep(0)
        self.break_tunnels()
        if self._tunnels:
            await asyncio.wait(self._tunnels)
        await asyncio.sleep(0)

    def uri(self, scheme: str | None = None, user_info: str = "", host: str = "127.0.0.1") -> str:
        """Return the address of the proxy as a user would write it."""
        at = f"{user_info}@" if user_info else ""
        return f"{scheme or self.scheme}://{at}{host}:{self.port}"

    def break_tunnels(self) -> None:
        """Cut every connection through the proxy at once, as when it dies."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def negotiate(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: Asked
    ) -> None:
        """Read the client's request into ``asked``; raise `Refused` after telling it no."""
        raise NotImplementedError

    def confirm(self, writer: asyncio.StreamWriter) -> None:
        """Tell the client that its tunnel is open."""
        raise NotImplementedError

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tunnels.add(task)
        task.add_done_callback(self._tunnels.discard)
        self._writers.add(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = Asked(peer=writer.get_extra_info("peername")[:2])
        self.asked.append(asked)
        try:
            with contextlib.suppress(Refused, ConnectionError, asyncio.IncompleteReadError):
                await self.negotiate(reader, writer, asked)
                if not self.hang_up:
                    await self._tunnel(reader, writer, asked)
        finally:
            self._writers.discard(writer)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _tunnel(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: Asked
    ) -> None:
        host, port = self.route or asked.target
        server_reader, server_writer = await asyncio.open_connection(host, port)
        self._writers.add(server_writer)
        try:
            self.confirm(writer)
            await asyncio.gather(
                _copy(reader, server_writer), _copy(server_reader, writer), return_exceptions=True
            )
        finally:
            self._writers.discard(server_writer)
            server_writer.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
    else:
        writer.close()


class ConnectProxy(Proxy):
    """An HTTP proxy that knows CONNECT (RFC 9110, section 9.3.6).

    Args:
        reply: bytes sent instead of a status line of its own; no tunnel is opened then.
        greeting: status line and headers that confirm a tunnel.
    """

    scheme = "http"

    def __init__(
        self,
        *,
        reply: bytes | None = None,
        greeting: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n",
        credentials: tuple[str, str] | None = None,
        route: Address | None = None,
        tls: ssl.SSLContext | None = None,
        hang_up: bool = False,
    ) -> None:
        super().__init__(credentials=credentials, route=route, tls=tls, hang_up=hang_up)
        self.reply = reply
        self.greeting = greeting
        if tls is not None:
            self.scheme = "https"

    async def negotiate(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: Asked
    ) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        asked.request_line, *lines = head.split("\r\n")[:-2]
        asked.headers = [
            (name, value.strip()) for name, _, value in (x.partition(":") for x in lines)
        ]
        method, authority, version = asked.request_line.split(" ")
        host, _, port = authority.rpartition(":")
        asked.host, asked.port, asked.kind = host.strip("[]"), int(port), kind_of(host.strip("[]"))
        for value in asked.header("Proxy-Authorization"):
            user, _, password = (
                base64.b64decode(value.removeprefix("Basic ")).decode().partition(":")
            )
            asked.credentials = (user, password)
        if self.reply is not None:
            await self._refuse(writer, self.reply)
        if (method, version) != ("CONNECT", "HTTP/1.1"):
            await self._refuse(writer, b"HTTP/1.1 405 Method Not Allowed\r\n\r\n")
        if self.credentials is not None and asked.credentials != self.credentials:
            challenge = b"Proxy-Authenticate: Basic realm=tests\r\nContent-Length: 0\r\n\r\n"
            await self._refuse(
                writer, b"HTTP/1.1 407 Proxy Authentication Required\r\n" + challenge
            )

    def confirm(self, writer: asyncio.StreamWriter) -> None:
        writer.write(self.greeting)

    async def _refuse(self, writer: asyncio.StreamWriter, reply: bytes) -> None:
        writer.write(reply)
        await writer.drain()
        raise Refused


class Socks4Proxy(Proxy):
    """SOCKS4 and its name-resolving variant 4a; ``credentials`` checks the user id alone."""

    scheme = "socks4"

    async def negotiate(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: Asked
    ) -> None:
        version, command, port, address = struct.unpack("!BBH4s", await reader.readexactly(8))
        user = (await reader.readuntil(b"\0"))[:-1].decode()
        asked.credentials = (user, "") if user else None
        asked.port = port
        # 4a: an impossible address 0.0.0.x announces that a host name follows the user id.
        if address[:3] == b"\0\0\0" and address[3]:
            asked.host = (await reader.readuntil(b"\0"))[:-1].decode()
            asked.kind = "name"
        else:
            asked.host = str(ipaddress.IPv4Address(address))
            asked.kind = "ipv4"
        wanted = None if self.credentials is None else (self.credentials[0], "")
        if (version, command) != (4, 1) or (wanted is not None and asked.credentials != wanted):
            writer.write(b"\x00\x5b" + bytes(6))
            await writer.drain()
            raise Refused

    def confirm(self, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x00\x5a" + bytes(6))


class Socks5Proxy(Proxy):
    """SOCKS5 (RFC 1928) with user name and password (RFC 1929).

    Args:
        refusal: reply code sent instead of opening the tunnel (RFC 1928, section 6).
        garbage: bytes sent instead of the whole conversation.
    """

    scheme = "socks5"

    def __init__(
        self,
        *,
        refusal: int | None = None,
        garbage: bytes | None = None,
        credentials: tuple[str, str] | None = None,
        route: Address | None = None,
        hang_up: bool = False,
    ) -> None:
        super().__init__(credentials=credentials, route=route, hang_up=hang_up)
        self.refusal = refusal
        self.garbage = garbage

    async def negotiate(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: Asked
    ) -> None:
        version, count = await reader.readexactly(2)
        methods = await reader.readexactly(count)
        if self.garbage is not None:
            await self._refuse(writer, self.garbage)
        method = 0 if self.credentials is None else 2
        if version != 5 or method not in methods:
            await self._refuse(writer, b"\x05\xff")
        writer.write(bytes([5, method]))
        if method == 2:
            await self._authenticate(reader, writer, asked)
        version, command, _, kind = await reader.readexactly(4)
        if kind == 1:
            asked.host = str(ipaddress.IPv4Address(await reader.readexactly(4)))
        elif kind == 4:
            asked.host = str(ipaddress.IPv6Address(await reader.readexactly(16)))
        else:
            asked.host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        asked.kind = {1: "ipv4", 3: "name", 4: "ipv6"}[kind]
        (asked.port,) = struct.unpack("!H", await reader.readexactly(2))
        if self.refusal is not None or command != 1:
            await self._refuse(writer, bytes([5, self.refusal or 7, 0, 1]) + bytes(6))

    async def _authenticate(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: Asked
    ) -> None:
        _, length = await reader.readexactly(2)
        user = (await reader.readexactly(length)).decode()
        password = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        asked.credentials = (user, password)
        if asked.credentials != self.credentials:
            await self._refuse(writer, b"\x01\x01")
        writer.write(b"\x01\x00")

    def confirm(self, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x05\x00\x00\x01" + bytes(6))

    async def _refuse(self, writer: asyncio.StreamWriter, reply: bytes) -> None:
        writer.write(reply)
        await writer.drain()
        raise Refused


def kind_of(host: str) -> str:
    """Tell whether ``host`` is a "name", an "ipv4" or an "ipv6" address."""
    try:
        return f"ipv{ipaddress.ip_address(host).version}"
    except ValueError:
        return "name"


def record_server_name(context: ssl.SSLContext, names: list[str | None]) -> Callable[..., None]:
    """Append to ``names`` the server name of every TLS greeting that ``context`` answers."""

    def note(sock: object, name: str | None, _: object) -> None:
        names.append(name)

    context.sni_callback = note
    return note
