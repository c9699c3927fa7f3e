from __future__ import annotations

import copy
import pickle
import warnings
from typing import Any

import pytest

from ropeway import exceptions
from ropeway.datastructures import Headers
from ropeway.exceptions import (
    ConcurrencyError,
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    DuplicateParameter,
    HeaderLineTooLong,
    InvalidHandshake,
    InvalidHeader,
    InvalidHeaderFormat,
    InvalidHeaderValue,
    InvalidMessage,
    InvalidMethod,
    InvalidOrigin,
    InvalidParameterName,
    InvalidParameterValue,
    InvalidProtocol,
    InvalidProxy,
    InvalidProxyMessage,
    InvalidProxyStatus,
    InvalidState,
    InvalidStatus,
    InvalidUpgrade,
    InvalidURI,
    NegotiationError,
    PayloadTooBig,
    ProtocolError,
    ProxyError,
    RateLimitExceeded,
    RequestLineTooLong,
    SecurityError,
    StatusLineTooLong,
    TooManyFragments,
    TooManyHeaders,
    WebSocketException,
)
from ropeway.frames import Close, CloseCode
from ropeway.http11 import Response

OK = Close(CloseCode.NORMAL_CLOSURE, "")
BYE = Close(CloseCode.GOING_AWAY, "bye!")
FORBIDDEN = Response(403, "Forbidden", Headers(Server="x"), b"no")

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    TOO_BIG_MESSAGE = PayloadTooBig("far too big")

TEXTS: list[tuple[Exception, str]] = [
    (WebSocketException("something went wrong"), "something went wrong"),
    (
        ConnectionClosed(BYE, BYE, True),
        "received 1001 (going away) bye!; then sent 1001 (going away) bye!",
    ),
    (ConnectionClosed(None, None), "no close frame received or sent"),
    (ConnectionClosedOK(OK, OK, True), "received 1000 (OK); then sent 1000 (OK)"),
    (
        ConnectionClosedOK(BYE, OK, False),
        "sent 1000 (OK); then received 1001 (going away) bye!",
    ),
    (ConnectionClosedError(BYE, None), "received 1001 (going away) bye!; no close frame sent"),
    (ConnectionClosedError(None, BYE), "sent 1001 (going away) bye!; no close frame received"),
    (InvalidURI("|", "not at all!"), "| isn't a valid URI: not at all!"),
    (InvalidProxy("|", "not at all!"), "| isn't a valid proxy: not at all!"),
    (InvalidHandshake("no hands"), "no hands"),
    (SecurityError("redirect from WSS to WS"), "redirect from WSS to WS"),
    (RequestLineTooLong("long"), "long"),
    (StatusLineTooLong("long"), "long"),
    (HeaderLineTooLong("long"), "long"),
    (TooManyHeaders("many"), "many"),
    (TooManyFragments(7), "fragmented message exceeds limit of 7 frames"),
    (RateLimitExceeded("bytes", 0.5, 2**20), "more than 0.5 bytes a second, and 1048576 at once"),
    (ProxyError("no way through"), "no way through"),
    (InvalidProxyMessage("not HTTP"), "not HTTP"),
    (InvalidProxyStatus(FORBIDDEN), "proxy rejected connection: HTTP 403"),
    (InvalidMessage("not HTTP"), "not HTTP"),
    (InvalidMethod("PUT"), "unsupported HTTP method: PUT"),
    (InvalidProtocol("HTTP/1.0"), "unsupported HTTP version: HTTP/1.0"),
    (InvalidStatus(FORBIDDEN), "server rejected WebSocket connection: HTTP 403"),
    (InvalidHeader("Name"), "missing Name header"),
    (InvalidHeader("Name", None), "missing Name header"),
    (InvalidHeader("Name", ""), "empty Name header"),
    (InvalidHeader("Name", "Value"), "invalid Name header: Value"),
    (
        InvalidHeaderFormat("Upgrade", "expected token", "a=|", 3),
        "invalid Upgrade header: expected token at 3 in a=|",
    ),
    (InvalidHeaderValue("Name", "Value"), "invalid Name header: Value"),
    (InvalidOrigin(None), "missing Origin header"),
    (InvalidOrigin(""), "empty Origin header"),
    (InvalidOrigin("http://evil"), "invalid Origin header: http://evil"),
    (InvalidUpgrade("Upgrade"), "missing Upgrade header"),
    (InvalidUpgrade("Connection", "close"), "invalid Connection header: close"),
    (NegotiationError("unsupported subprotocol"), "unsupported subprotocol"),
    (DuplicateParameter("a"), "duplicate parameter: a"),
    (InvalidParameterName("|"), "invalid parameter name: |"),
    (InvalidParameterValue("a", None), "missing value for parameter a"),
    (InvalidParameterValue("a", ""), "empty value for parameter a"),
    (InvalidParameterValue("a", "|"), "invalid value for parameter a: |"),
    (ProtocolError("invalid opcode: 7"), "invalid opcode: 7"),
    (PayloadTooBig(9, 4), "frame with 9 bytes exceeds limit of 4 bytes"),
    (PayloadTooBig(None, 4), "frame exceeds limit of 4 bytes"),
    (
        PayloadTooBig(9, 4, 2),
        "frame with 9 bytes after reading 2 bytes exceeds limit of 6 bytes",
    ),
    (PayloadTooBig(None, 4, 2), "frame after reading 2 bytes exceeds limit of 6 bytes"),
    (TOO_BIG_MESSAGE, "far too big"),
    (InvalidState("CLOSED isn't OPEN"), "CLOSED isn't OPEN"),
    (ConcurrencyError("recv is running"), "recv is running"),
]

TREE = {
    Exception: [WebSocketException],
    WebSocketException: [
        ConnectionClosed,
        InvalidURI,
        InvalidProxy,
        InvalidHandshake,
        ProtocolError,
        PayloadTooBig,
        TooManyFragments,
        RateLimitExceeded,
        InvalidState,
        ConcurrencyError,
    ],
    ConnectionClosed: [ConnectionClosedOK, ConnectionClosedError],
    InvalidHandshake: [
        SecurityError,
        ProxyError,
        InvalidMessage,
        InvalidMethod,
        InvalidProtocol,
        InvalidStatus,
        InvalidHeader,
        NegotiationError,
    ],
    SecurityError: [RequestLineTooLong, StatusLineTooLong, HeaderLineTooLong, TooManyHeaders],
    ProxyError: [InvalidProxyMessage, InvalidProxyStatus],
    InvalidHeader: [InvalidHeaderFormat, InvalidHeaderValue, InvalidOrigin, InvalidUpgrade],
    NegotiationError: [DuplicateParameter, InvalidParameterName, InvalidParameterValue],
    AssertionError: [InvalidState],
    RuntimeError: [ConcurrencyError],
}


def ident(value: Any) -> str:
    return repr(value)[:60]


@pytest.mark.parametrize(("exc", "text"), TEXTS, ids=ident)
def test_text(exc: Exception, text: str) -> None:
    assert str(exc) == text


def test_every_exception_has_a_text() -> None:
    assert {type(exc).__name__ for exc, _ in TEXTS} == set(exceptions.__all__)


def test_tree() -> None:
    assert {(parent, child) for parent, children in TREE.items() for child in children} == {
        (parent, child)
        for child in (getattr(exceptions, name) for name in exceptions.__all__)
        for parent in child.__bases__
    }


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("exc", [exc for exc, _ in TEXTS], ids=ident)
def test_pickle(exc: Exception, protocol: int) -> None:
    again = pickle.loads(pickle.dumps(exc, protocol))
    assert type(again) is type(exc)
    assert (str(again), repr(again)) == (str(exc), repr(exc))
    assert again.args == exc.args
    assert again.__dict__ == exc.__dict__


@pytest.mark.parametrize("exc", [exc for exc, _ in TEXTS], ids=ident)
def test_copy(exc: Exception) -> None:
    for again in (copy.copy(exc), copy.deepcopy(exc)):
        assert again is not exc
        assert (str(again), again.__dict__) == (str(exc), exc.__dict__)


class Demanding(InvalidHandshake):
    def __init__(self, *, why: str) -> None:
        super().__init__(f"because {why}")
        self.why = why


def test_pickle_a_subclass_with_a_signature_of_its_own() -> None:
    exc = Demanding(why="so")
    exc.add_note("and more")
    again = pickle.loads(pickle.dumps(exc))
    assert (str(again), again.why, again.__notes__) == ("because so", "so", ["and more"])


def test_repr_shows_the_arguments() -> None:
    assert repr(ConnectionClosedOK(None, None)) == "ConnectionClosedOK(None, None)"
    assert repr(InvalidHeader("a", "b")) == "InvalidHeader('a', 'b')"


@pytest.mark.parametrize(
    ("rcvd", "sent", "rcvd_then_sent"),
    [(OK, OK, None), (OK, None, True), (None, OK, False), (None, None, True)],
)
def test_the_order_goes_with_two_frames(
    rcvd: Close | None, sent: Close | None, rcvd_then_sent: bool | None
) -> None:
    with pytest.raises(AssertionError):
        ConnectionClosed(rcvd, sent, rcvd_then_sent)


@pytest.mark.parametrize(
    ("exc", "code", "reason"),
    [
        (ConnectionClosed(BYE, OK, True), 1001, "bye!"),
        (ConnectionClosed(None, BYE), 1006, ""),
        (ConnectionClosed(None, None), 1006, ""),
    ],
    ids=ident,
)
def test_code_and_reason_are_deprecated(exc: ConnectionClosed, code: int, reason: str) -> None:
    with pytest.warns(DeprecationWarning, match=r"^ConnectionClosed\.code is deprecated") as caught:
        assert exc.code == code
    assert str(caught[0].message).endswith("use Protocol.close_code or ConnectionClosed.rcvd.code")
    assert caught[0].filename == __file__
    with pytest.warns(DeprecationWarning, match=r"^ConnectionClosed\.reason is dep") as caught:
        assert exc.reason == reason
    text = "use Protocol.close_reason or ConnectionClosed.rcvd.reason"
    assert str(caught[0].message).endswith(text)
    assert caught[0].filename == __file__


def test_abnormal_closure_is_the_code_it_should_be() -> None:
    assert exceptions._ABNORMAL_CLOSURE == CloseCode.ABNORMAL_CLOSURE


def test_payload_too_big_learns_the_size_of_earlier_frames_once() -> None:
    exc = PayloadTooBig(9, 4)
    exc.set_current_size(None)
    assert (exc.size, exc.max_size, exc.current_size) == (9, 4, None)
    exc.set_current_size(2)
    assert (exc.size, exc.max_size, exc.current_size) == (9, 6, 2)
    with pytest.raises(AssertionError):
        exc.set_current_size(2)


def test_payload_too_big_with_a_message_is_deprecated() -> None:
    with pytest.warns(DeprecationWarning, match="change to PayloadTooBig") as caught:
        exc = PayloadTooBig("far too big")
    assert caught[0].filename == __file__
    with pytest.raises(AssertionError):
        exc.set_current_size(2)


@pytest.mark.parametrize("arguments", [(9,), (None,), (9, None, 2), ("no", 4), ("no", None, 2)])
def test_payload_too_big_refuses_other_arguments(arguments: Any) -> None:
    with pytest.raises(AssertionError):
        PayloadTooBig(*arguments)


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Nonsense'"):
        exceptions.Nonsense  # noqa: B018
