"""Two packages, one script: what ropeway's sans-I/O classes and those of websockets make of it."""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import websockets.client
import websockets.datastructures
import websockets.exceptions
import websockets.extensions.permessage_deflate
import websockets.frames
import websockets.http11
import websockets.protocol
import websockets.server
import websockets.uri

import ropeway.client
import ropeway.datastructures
import ropeway.exceptions
import ropeway.extensions.permessage_deflate
import ropeway.frames
import ropeway.http11
import ropeway.protocol
import ropeway.server
import ropeway.uri

from ..wire.streams import read_frames


class Records(logging.Handler):
    """Keeps what was logged, without what differs on every run."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if text.startswith(("> Date:", "< Date:")):
            return
        self.lines.append(f"{record.levelname} {text}")


class Package:
    """The modules of one of the two packages."""

    def __init__(self, root: Any) -> None:
        self.name = root.__name__
        self.client = root.client
        self.server = root.server
        self.protocol = root.protocol
        self.frames = root.frames
        self.http11 = root.http11
        self.exceptions = root.exceptions
        self.datastructures = root.datastructures
        self.uri = root.uri
        self.deflate = root.extensions.permessage_deflate

    def __repr__(self) -> str:
        return self.name

    def logger(self, level: int = logging.DEBUG) -> tuple[logging.Logger, Records]:
        # Outside of the tree of loggers, so that nobody else hears of it.
        logger = logging.Logger("test", level)  # noqa: LOG001
        records = Records()
        logger.addHandler(records)
        return logger, records


OURS = Package(ropeway)
THEIRS = Package(websockets)

Script = Callable[["Subject"], Any]


class Subject:
    """A connection under test, and what was observed step by step."""

    def __init__(self, package: Package) -> None:
        self.package = package
        self.steps: list[Any] = []
        self.logger, self.records = package.logger()
        self.conn: Any = None

    def role(self, role: str, **kwargs: Any) -> Any:
        """Make an open connection."""
        room = self.package.protocol
        self.conn = room.Protocol(getattr(room, role), logger=self.logger, **kwargs)
        return self.conn

    def client(self, uri: str = "ws://example.com/chat", **kwargs: Any) -> Any:
        parsed = self.package.uri.parse_uri(uri)
        self.conn = self.package.client.ClientProtocol(parsed, logger=self.logger, **kwargs)
        self.conn.key = "dGhlIHNhbXBsZSBub25jZQ=="
        return self.conn

    def server(self, **kwargs: Any) -> Any:
        self.conn = self.package.server.ServerProtocol(logger=self.logger, **kwargs)
        return self.conn

    def do(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Call a method, note what it gives or raises, and look at the connection."""
        result = None
        try:
            result = getattr(self.conn, method)(*args, **kwargs)
        except Exception as exc:
            noted: Any = error(exc)
        else:
            noted = value(result)
        self.steps.append((method, noted, self.look()))
        return result

    def note(self, fact: Any) -> None:
        """Note something else."""
        self.steps.append(("note", value(fact), {}))

    def look(self) -> dict[str, Any]:
        conn = self.conn
        return {
            "state": conn.state.name,
            "events": [value(event) for event in conn.events_received()],
            "output": output(conn.data_to_send()),
            "expected": conn.close_expected(),
            "code": conn.close_code,
            "reason": conn.close_reason,
            "rcvd": value(conn.close_rcvd),
            "sent": value(conn.close_sent),
            "then": conn.close_rcvd_then_sent,
            "eof_sent": conn.eof_sent,
            "parser_exc": error(conn.parser_exc),
            "handshake_exc": error(conn.handshake_exc),
            "closed": error(conn.close_exc) if conn.state.name == "CLOSED" else None,
        }


def error(exc: BaseException | None) -> Any:
    """Tell an exception, with its causes."""
    if exc is None:
        return None
    cause = exc.__cause__
    if isinstance(cause, ValueError) and "is not a valid Opcode" in str(cause):
        cause = None  # ropeway looks at numbers, websockets at an enum
    kinds = [kind.__name__ for kind in type(exc).__mro__ if kind.__module__ != "builtins"]
    return kinds or type(exc).__name__, str(exc), error(cause)


def value(result: Any) -> Any:
    """Tell a result in terms that are the same for both packages."""
    kind = type(result).__name__
    if kind == "Frame":
        return (kind, int(result.opcode), bytes(result.data), result.fin, result.rsv1)
    if kind == "Close":
        return (kind, int(result.code), result.reason)
    if kind == "Request":
        return (kind, result.path, headers(result), error(result._exception))
    if kind == "Response":
        body = bytes(result.body or b"")
        # Not result.exception, which ropeway leaves out: InvalidStatus holds the response, and the
        # two would keep each other alive.
        return (kind, result.status_code, result.reason_phrase, headers(result), body)
    if kind == "PerMessageDeflate":
        return repr(result)
    if isinstance(result, (list, tuple)):
        return [value(item) for item in result]
    return result


def headers(message: Any) -> list[tuple[str, str]]:
    return [(name, text) for name, text in message.headers.raw_items() if name != "Date"]


def output(pieces: list[bytes]) -> Any:
    """Tell what is to be sent: a handshake, or frames without their masking keys."""
    data = b"".join(pieces)
    if data.startswith((b"GET ", b"HTTP/")):
        told: Any = re.sub(rb"Date: [^\r]*\r\n", b"", data)
    else:
        told = [(read.first, read.payload, read.key is not None) for read in read_frames(data)]
    return told, b"" in pieces


def compare(script: Script, *, unlogged: str | None = None) -> Subject:
    """Run a script on both packages and hold the observations side by side.

    Log records that hold ``unlogged`` are left out: ropeway refuses a frame by its header, before
    it could be shown.
    """
    ours, theirs = Subject(OURS), Subject(THEIRS)
    script(ours)
    script(theirs)
    assert ours.steps, "the script did nothing"
    if unlogged is not None:
        for records in (ours.records, theirs.records):
            records.lines = [line for line in records.lines if unlogged not in line]
    if found := list(differences(ours, theirs)):
        pytest.fail("\n".join(found), pytrace=False)
    return ours


def differences(ours: Subject, theirs: Subject) -> Iterator[str]:
    """Yield what was observed differently: the step, the fact, and both observations."""
    for number, (mine, oracle) in enumerate(zip(ours.steps, theirs.steps, strict=True)):
        (method, result, facts), (_, their_result, their_facts) = mine, oracle
        if result != their_result:
            yield f"{number} {method}: {result!r}, not {their_result!r}"
        for fact in facts:
            if facts[fact] != their_facts[fact]:
                yield f"{number} {method}, {fact}: {facts[fact]!r}, not {their_facts[fact]!r}"
    for mine, oracle in itertools.zip_longest(ours.records.lines, theirs.records.lines):
        if mine != oracle:
            yield f"logged {mine!r}, not {oracle!r}"
