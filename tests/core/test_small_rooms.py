"""The rooms of a few lines: closing, the head, the stream, the handshake, retrying, tracebacks."""

from __future__ import annotations

import http
import itertools
import logging
import random
import time
import weakref
from collections.abc import Generator
from typing import Any

import pytest
import websockets.client as oracle
from hypothesis import given
from hypothesis import strategies as st

from ropeway._core import retry
from ropeway._core.closing import LONGEST_REASON, Closing, fitting_reason
from ropeway._core.handshake import check_upgrade, single_value
from ropeway._core.head import HeadReader, is_head, read_request
from ropeway._core.logs import default_logger
from ropeway._core.stats import Stats
from ropeway._core.stream import StreamReader
from ropeway._core.tracebacks import without_frames
from ropeway.datastructures import Headers
from ropeway.exceptions import (
    ConnectionClosedError,
    ConnectionClosedOK,
    HeaderLineTooLong,
    InvalidHeader,
    InvalidMessage,
    InvalidStatus,
    InvalidUpgrade,
    RequestLineTooLong,
    SecurityError,
    StatusLineTooLong,
    TooManyHeaders,
)
from ropeway.frames import Close
from ropeway.http11 import (
    MAX_HEAD_SIZE,
    MAX_LINE_LENGTH,
    MAX_NUM_HEADERS,
    Response,
    parse_request,
)
from ropeway.protocol import Protocol, Side

OK, ERROR, NONE = Close(1000, ""), Close(1011, "no"), None

# Closing.


def test_which_close_frame_came_first() -> None:
    closing = Closing()
    assert closing.rcvd_then_sent is None
    closing.note_rcvd(OK)
    assert closing.rcvd_then_sent is None
    closing.note_sent(OK)
    assert closing.rcvd_then_sent is True
    closing = Closing()
    closing.note_sent(OK)
    closing.note_rcvd(OK)
    assert closing.rcvd_then_sent is False


@pytest.mark.parametrize("rcvd", [NONE, OK, ERROR, Close(1001, ""), Close(1005, "")])
@pytest.mark.parametrize("sent", [NONE, OK, ERROR, Close(1001, ""), Close(1005, "")])
def test_the_exception(rcvd: Close | None, sent: Close | None) -> None:
    closing = Closing()
    cause = EOFError("cause")
    if sent is not None:
        closing.note_sent(sent)
    if rcvd is not None:
        closing.note_rcvd(rcvd)
    exc = closing.exception(cause)
    clean = all(close is not None and close is not ERROR for close in (rcvd, sent))
    assert type(exc) is (ConnectionClosedOK if clean else ConnectionClosedError)
    assert (exc.rcvd, exc.sent, exc.rcvd_then_sent) == (rcvd, sent, closing.rcvd_then_sent)
    assert exc.__cause__ is cause


def test_the_clock_starts_at_the_first_look() -> None:
    closing = Closing()
    assert closing.start_clock(5) is None
    closing.timeout = 10
    assert closing.start_clock(7) == closing.start_clock(9) == 17


@pytest.mark.parametrize("reason", ["", "x" * LONGEST_REASON, "é" * 61])
def test_a_reason_that_fits(reason: str) -> None:
    assert fitting_reason(reason) == reason


@given(st.text(min_size=62, max_size=200))
def test_a_reason_that_may_not_fit(reason: str) -> None:
    fitting = fitting_reason(reason)
    assert len(fitting.encode()) <= LONGEST_REASON
    if fitting != reason:
        assert fitting.endswith("...")
        assert reason.startswith(fitting[:-3])
        assert len(fitting.encode()) > LONGEST_REASON - 4


# The head of a message.

HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\nX: \t y\r\n\r\n"


def feed(pieces: list[bytes]) -> tuple[bytes, bytes] | None:
    reader = HeadReader(RequestLineTooLong)
    for index, piece in enumerate(pieces):
        result = reader.feed(piece)
        if result is not None:
            head, rest = result
            return head, rest + b"".join(pieces[index + 1 :])
    return None


def test_a_head_at_every_split() -> None:
    data = HEAD + b"frames\r\n\r\n"
    for first, second in itertools.combinations_with_replacement(range(len(data) + 1), 2):
        pieces = [data[:first], data[first:second], data[second:]]
        assert feed(pieces) == (HEAD, b"frames\r\n\r\n")
    assert feed([bytes((byte,)) for byte in data]) == (HEAD, b"frames\r\n\r\n")


def test_a_head_that_is_not_complete() -> None:
    reader = HeadReader(RequestLineTooLong)
    assert reader.feed(b"GET / HTTP/1.1\r") is None
    assert not reader.past_first_line
    assert reader.feed(b"\nHost: localhost\r\n") is None
    assert reader.past_first_line


@pytest.mark.parametrize(
    "data", [HEAD, HEAD + b"frames", HEAD + HEAD, *(HEAD[:size] for size in range(len(HEAD)))]
)
def test_a_whole_head_is_what_the_reader_gives_back(data: bytes) -> None:
    if is_head(data):
        assert HeadReader(RequestLineTooLong).feed(data) == (data, b"")
    assert is_head(data) == (data == HEAD)
    assert not is_head(b"GET /" + b"x" * MAX_LINE_LENGTH + HEAD[5:])


PARTS = st.sampled_from(
    [
        "GET",
        "POST",
        " ",
        "/",
        "/é",
        "HTTP/1.1",
        "HTTP/1.0",
        "\r\n",
        "\n",
        "Host: localhost",
        "host:  x ",
        "Content-Length: 0",
        "Content-Length: 1",
        "Transfer-Encoding: chunked",
        "X: \t",
    ]
)


def parsed(parse: Any, head: bytes) -> Any:
    try:
        request = parse(head)
    except Exception as exc:
        return type(exc), str(exc)
    headers = request.headers
    return request, list(headers), list(headers.raw_items()), headers.serialize(), str(headers)


@given(st.lists(PARTS, max_size=8))
def test_the_short_way_to_a_request_leads_where_the_long_one_does(parts: list[str]) -> None:
    for head in ("".join(parts), "GET / HTTP/1.1\r\n" + "\r\n".join([*parts, "", ""])):
        data = head.encode("latin-1")
        assert parsed(read_request, data) == parsed(parse_request, data)


@pytest.mark.parametrize("count", [MAX_NUM_HEADERS, MAX_NUM_HEADERS + 1])
@pytest.mark.parametrize("size", [1, 200])
def test_the_short_way_to_a_request_has_the_same_limits(count: int, size: int) -> None:
    lines = "".join(f"X{number}: {'y' * size}\r\n" for number in range(count))
    data = f"GET / HTTP/1.1\r\n{lines}\r\n".encode()
    assert parsed(read_request, data) == parsed(parse_request, data)


LIMITS = {
    "first line": (b"GET /" + b"x" * MAX_LINE_LENGTH, RequestLineTooLong),
    "header line": (b"GET /\r\nX: " + b"x" * MAX_LINE_LENGTH, HeaderLineTooLong),
    "headers": (b"GET /\r\n" + b"X: y\r\n" * (MAX_NUM_HEADERS + 1), TooManyHeaders),
    "head": (b"GET /\r\n" + (b"X: " + b"y" * 8000 + b"\r\n") * 9, HeaderLineTooLong),
}


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("step", [1, 7, 4096, 10**6])
@pytest.mark.parametrize("rest", [b"", b"\r\n\r\n", b"\n" * 1000])
def test_limits_of_a_head_at_every_split(limit: str, step: int, rest: bytes) -> None:
    data, kind = LIMITS[limit]
    data += rest
    texts = set()
    for size in (step, len(data)):
        with pytest.raises(SecurityError) as info:
            result = feed([data[start : start + size] for start in range(0, len(data), size)])
            # A head that is shorter than a line may be is given as it is, to be parsed.
            assert result is not None
            parse_request(result[0])
        assert type(info.value) is kind
        texts.add(str(info.value))
    assert len(texts) == 1


def test_the_first_line_of_a_response() -> None:
    with pytest.raises(StatusLineTooLong):
        HeadReader(StatusLineTooLong).feed(b"x" * (MAX_LINE_LENGTH + 1))


def test_a_line_that_ends_with_lf_alone() -> None:
    with pytest.raises(ValueError, match="^line without CRLF$"):
        feed([b"GET / HTTP/1.1\n", b"Host: x\r\n\r\n"])


def test_dripping_takes_linear_time() -> None:
    def measure(lines: int) -> float:
        data = b"GET / HTTP/1.1\r\n" + b"X: 567890123456\r\n" * lines
        reader = HeadReader(RequestLineTooLong)
        started = time.process_time()
        for byte in data:
            assert reader.feed(bytes((byte,))) is None
        return time.process_time() - started

    measure(10)
    # Quadratic time would be 100 times as long.
    assert measure(120) < 40 * max(measure(12), 0.0005)
    assert MAX_HEAD_SIZE > 120 * 17


# The buffer of a body.


def run(generator: Generator[None, None, bytes], stream: StreamReader, data: bytes) -> bytes:
    """Read while bytes arrive one by one, and then their end."""
    pending = [bytes((byte,)) for byte in data]
    while True:
        try:
            next(generator)
        except StopIteration as stop:
            return stop.value
        if pending:
            stream.feed_data(pending.pop(0))
        else:
            stream.feed_eof()


def test_reading_a_stream() -> None:
    stream = StreamReader()
    stream.feed_data(b"ab")
    assert run(stream.read_line(5), stream, b"c\r\n") == b"abc\r\n"
    stream.feed_data(b"1\n2\nx")
    assert run(stream.read_line(5), stream, b"") == b"1\n"
    assert run(stream.read_line(5), stream, b"") == b"2\n"
    assert run(stream.read_exact(3), stream, b"yz") == b"xyz"
    assert run(stream.read_to_eof(10), stream, b"12345") == b"12345"


@pytest.mark.parametrize(
    ("method", "args", "data", "text"),
    [
        ("read_line", (5,), b"abc", "stream ends after 3 bytes, before end of line"),
        ("read_exact", (5,), b"abc", "stream ends after 3 bytes, expected 5 bytes"),
    ],
)
def test_a_stream_that_ends_early(method: str, args: Any, data: bytes, text: str) -> None:
    stream = StreamReader()
    with pytest.raises(EOFError) as info:
        run(getattr(stream, method)(*args), stream, data)
    assert str(info.value) == text


@pytest.mark.parametrize("method", ["read_line", "read_to_eof"])
@pytest.mark.parametrize("data", [b"abcdefg", b"abcde\nx", b"abcde\n"])
def test_a_stream_that_is_too_long(method: str, data: bytes) -> None:
    texts = set()
    for whole in (True, False):
        stream = StreamReader()
        if whole:
            stream.feed_data(data)
        with pytest.raises(SecurityError) as info:
            run(getattr(stream, method)(5), stream, b"" if whole else data)
        texts.add(str(info.value))
    # Not how much was read, which depends on how the bytes were split.
    assert texts == {"read 6 bytes, expected no more than 5 bytes"}
    stream = StreamReader()
    stream.feed_data(data)
    with pytest.raises(KeyError):
        run(getattr(stream, method)(5, KeyError), stream, b"")


# The handshake's headers.


@pytest.mark.parametrize(
    ("connection", "upgrade"),
    [
        (["Upgrade"], ["websocket"]),
        (["upgrade"], ["WebSocket"]),
        (["keep-alive, Upgrade"], ["websocket"]),
        (["keep-alive", "Upgrade"], ["websocket"]),
    ],
)
def test_an_upgrade(connection: list[str], upgrade: list[str]) -> None:
    check_upgrade(headers(Connection=connection, Upgrade=upgrade))


def headers(**values: list[str]) -> Headers:
    return Headers([(name, value) for name in values for value in values[name]])


@pytest.mark.parametrize(
    ("connection", "upgrade", "text"),
    [
        ([], ["websocket"], "missing Connection header"),
        (["close"], ["websocket"], "invalid Connection header: close"),
        (["close", "keep-alive"], [], "invalid Connection header: close, keep-alive"),
        (["Upgrade"], [], "missing Upgrade header"),
        (["Upgrade"], ["h2c"], "invalid Upgrade header: h2c"),
        (["Upgrade"], ["websocket", "h2c"], "invalid Upgrade header: websocket, h2c"),
        (["Upgrade"], ["websocket", "websocket"], "invalid Upgrade header: websocket, websocket"),
    ],
)
def test_no_upgrade(connection: list[str], upgrade: list[str], text: str) -> None:
    with pytest.raises(InvalidUpgrade) as info:
        check_upgrade(headers(Connection=connection, Upgrade=upgrade))
    assert str(info.value) == text


def test_a_single_value() -> None:
    assert single_value(headers(Host=["a"]), "host") == "a"
    with pytest.raises(InvalidHeader, match="^missing Host header$"):
        single_value(headers(), "Host")
    with pytest.raises(InvalidHeader, match="^invalid Host header: multiple values$"):
        single_value(headers(Host=["a", "a"]), "Host")


# Retrying.


@pytest.mark.parametrize("status", list(http.HTTPStatus))
def test_which_statuses_pass(status: http.HTTPStatus) -> None:
    exc = InvalidStatus(Response(status.value, status.phrase, Headers()))
    assert (retry.process_exception(exc) is None) == (status in (500, 502, 503, 504))


def test_which_errors_pass() -> None:
    early = InvalidMessage("did not receive a valid HTTP response")
    early.__cause__ = EOFError("connection closed while reading HTTP status line")
    for exc in (OSError(), ConnectionRefusedError(), TimeoutError(), early):
        assert retry.process_exception(exc) is None
    for exc in (ValueError(), InvalidMessage("nonsense"), InvalidUpgrade("Upgrade")):
        assert retry.process_exception(exc) is exc


def test_the_delays_are_those_of_websockets() -> None:
    random.seed(7)
    ours = list(itertools.islice(retry.backoff(), 12))
    random.seed(7)
    theirs = list(itertools.islice(oracle.backoff(), 12))
    # websockets waits for whole seconds from the second delay on where it waits for long.
    assert ours == pytest.approx(theirs, abs=1)
    assert ours[-2:] == [90.0, 90.0]


def test_delays_of_ones_own() -> None:
    delays = list(itertools.islice(retry.backoff(0, 1, 5, 2), 6))
    assert delays == [0, 1, 2, 4, 5, 5]


# The rest.


def test_a_logger_that_is_set_later_is_used_as_it_is() -> None:
    named, protocol = Named(), Protocol(Side.SERVER)
    protocol.log_for(weakref.ref(named))
    logger = logging.getLogger("tests.core.set_later")
    protocol.logger = logger
    assert protocol.logger is logger


def test_default_loggers() -> None:
    assert default_logger("client").name == "ropeway.client"  # type: ignore[attr-defined]
    assert default_logger("server").name == "ropeway.server"  # type: ignore[attr-defined]


def test_an_exception_without_frames() -> None:
    try:
        try:
            try:
                raise KeyError("first")
            except KeyError:
                raise ValueError("second") from OSError("third")
        except ValueError:
            raise RuntimeError("last") from None
    except RuntimeError as exc:
        kept = without_frames(exc)
    assert kept.__traceback__ is None
    context = kept.__context__
    assert isinstance(context, ValueError) and context.__traceback__ is None
    assert isinstance(context.__context__, KeyError) and context.__context__.__traceback__ is None
    kept.__cause__ = context.__cause__
    assert isinstance(kept.__cause__, OSError)
    kept.__cause__.__cause__ = kept  # a circle ends
    assert without_frames(kept) is kept


def test_stats_are_a_value() -> None:
    fields = Stats.__dataclass_fields__
    values = dict.fromkeys(fields, 0)
    assert Stats(**values) == Stats(**values)
    with pytest.raises(AttributeError):
        Stats(**values).frames_sent = 1  # type: ignore[misc]


# Logs.


class Named:
    """Stands for a driver's connection."""


def test_a_logger_that_names_the_connection_is_made_when_there_is_something_to_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = []

    class Adapter(logging.LoggerAdapter[logging.Logger]):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            made.append(self)

    monkeypatch.setattr(logging, "LoggerAdapter", Adapter)
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]
    logger = logging.getLogger("tests.core.logs")
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING)
    named, protocol = Named(), Protocol(Side.SERVER, logger=logger)
    protocol.log_for(weakref.ref(named))
    protocol.inform("connection open")
    assert made == records == []
    logger.setLevel(logging.INFO)
    protocol.inform("connection closed")
    assert [record.getMessage() for record in records] == ["connection closed"]
    assert records[0].__dict__["websocket"].__class__ is Named
    assert made == [protocol.logger]


def test_a_connection_that_is_gone_is_not_named() -> None:
    named, protocol = Named(), Protocol(Side.SERVER)
    logger = protocol.logger
    protocol.log_for(weakref.ref(named))
    del named
    assert protocol.logger is logger
