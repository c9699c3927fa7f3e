"""HTTP by hand, as both sides of an opening handshake write and read it.

Nothing here knows how its bytes travel.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass, field

from .rawpeer import accept_key

KEY = base64.b64encode(b"sixteen bytes...").decode()


@dataclass
class Head:
    """A start line and the header fields under it."""

    raw: bytes
    start: str = ""
    fields: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.start, *lines = self.raw.decode("latin-1").split("\r\n\r\n")[0].split("\r\n")
        self.fields = [
            (name, value.strip()) for name, _, value in (line.partition(":") for line in lines)
        ]

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def __getitem__(self, name: str) -> str:
        (value,) = self.all(name)
        return value

    def __contains__(self, name: str) -> bool:
        return bool(self.all(name))


@dataclass
class Reply(Head):
    """A whole HTTP response, as read to the end of the stream."""

    body: bytes = b""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.body = self.raw.partition(b"\r\n\r\n")[2]

    @property
    def status(self) -> int:
        return int(self.start.split(" ")[1])

    @property
    def reason(self) -> str:
        return self.start.split(" ", 2)[2]


@dataclass
class Asked(Head):
    """A client's request."""

    @property
    def path(self) -> str:
        return self.start.split(" ")[1]

    def switching(self, *lines: str, accept: str | None = None) -> bytes:
        """Build the 101 response that this request deserves, with more header lines."""
        right = [
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Accept: {accept or accept_key(self['Sec-WebSocket-Key'])}",
        ]
        return "".join(f"{line}\r\n" for line in [*right, *lines, ""]).encode()


def response(status: str, *lines: str, body: bytes = b"", length: bool = True) -> bytes:
    """Build a response; ``status`` is code and reason."""
    fields = [*lines, f"Content-Length: {len(body)}"] if length else [*lines]
    head = "".join(f"{line}\r\n" for line in [f"HTTP/1.1 {status}", *fields, ""])
    return head.encode() + body


def request(
    *extra: str,
    line: str = "GET / HTTP/1.1",
    without: Iterable[str] = (),
    **changed: str,
) -> bytes:
    """Build a handshake request.

    ``changed`` are fields (``sec_websocket_key="..."``), ``extra`` are whole lines.
    """
    fields = {
        "host": "127.0.0.1",
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec_websocket_key": KEY,
        "sec_websocket_version": "13",
        **changed,
    }
    for name in without:
        del fields[name]
    lines = [f"{name.replace('_', '-').title()}: {value}" for name, value in fields.items()]
    return "".join(f"{text}\r\n" for text in [line, *lines, *extra, ""]).encode("latin-1")
