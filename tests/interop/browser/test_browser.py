"""A page in Chromium talks to ropeway's servers; each test looks at one thing that it saw."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from ...support.loops import make_run
from ...support.require import require, require_package
from ..authority import Authority

LENGTHS = 8
TEXTS = 6
REPEATED = 2


@pytest.fixture(scope="module")
def site(authority: Authority) -> Iterator[Any]:
    """What one visit of the page left behind."""
    require("chromium")
    require_package("cryptography")
    import asyncio

    from .site import collect

    # The handler that fails on purpose is logged; that record is not what is tested here.
    logging.disable(logging.ERROR)
    try:
        yield make_run(asyncio.new_event_loop, None)(collect(authority.loopback))
    finally:
        logging.disable(logging.NOTSET)


@pytest.fixture
def saw(site: Any) -> Any:
    def look(name: str) -> Any:
        report = site.reports[name]
        assert "error" not in report, report["error"]
        return report["saw"]

    return look


@pytest.mark.parametrize(
    ("name", "count"), [("text", LENGTHS), ("unicode", TEXTS), ("binary", LENGTHS)]
)
def test_messages(saw: Any, name: str, count: int) -> None:
    assert saw(name) == {"count": count, "failed": [], "extensions": ""}


def test_blob(saw: Any) -> None:
    assert saw("blob") == {"type": "Blob", "bytes": [*b"up ", 0, 255]}


def test_order(saw: Any) -> None:
    assert saw("order") == {"wrong": None}


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("compressed", LENGTHS + TEXTS + REPEATED),
        ("compressed binary", LENGTHS + 1),
        ("compressed, contexts forgotten", REPEATED + TEXTS + 1),
        ("compressed, windows of 9 bits", REPEATED + TEXTS + 1),
    ],
)
def test_compressed_messages(saw: Any, name: str, count: int) -> None:
    result = saw(name)
    assert result["count"] == count
    assert result["failed"] == []
    assert result["extensions"].startswith("permessage-deflate")


def test_parameters_of_compression(saw: Any) -> None:
    forgotten = saw("compressed, contexts forgotten")["extensions"]
    assert "server_no_context_takeover" in forgotten
    assert "client_no_context_takeover" in forgotten
    narrow = saw("compressed, windows of 9 bits")["extensions"]
    assert "server_max_window_bits=9" in narrow
    assert "client_max_window_bits=9" in narrow


@pytest.mark.parametrize("name", ["fragments", "compressed fragments"])
def test_fragments(saw: Any, name: str) -> None:
    assert saw(name) == {"binary": [0, 1, 2, 255], "text": "索道 🚡" * 100}


def test_ping(saw: Any) -> None:
    assert saw("ping") == {"answered": "yes"}


def test_subprotocol(saw: Any) -> None:
    assert saw("subprotocol") == {"protocol": "chat.v2"}


def test_request(saw: Any, site: Any) -> None:
    request = saw("request")
    assert request["path"] == "/request?line=3&q=%F0%9F%9A%A1"
    assert request["headers"]["Origin"] == f"http://127.0.0.1:{site.ports['plain']}"


REASON = "é索🚡" * 13


def test_closed_by_the_page(saw: Any, site: Any) -> None:
    assert saw("closed by the page") == {"code": 3456, "reason": REASON, "wasClean": True}
    assert site.ends["code"] == (3456, REASON)


def test_closed_by_the_page_without_a_code(saw: Any, site: Any) -> None:
    end = saw("closed by the page without a code")
    assert end == {"code": 1005, "reason": "", "wasClean": True}
    assert site.ends["no-code"] == (1005, "")


@pytest.mark.parametrize(
    ("name", "code", "reason"),
    [
        ("closed by the server", 4001, "é索🚡"),
        ("closed by the server as usual", 1000, ""),
        ("closed by the server going away", 1001, "later"),
        ("closed by a handler that failed", 1011, ""),
    ],
)
def test_closed_by_the_server(saw: Any, name: str, code: int, reason: str) -> None:
    assert saw(name) == {"code": code, "reason": reason, "wasClean": True}


def test_message_over_the_limit(saw: Any) -> None:
    end = saw("message over the limit")
    assert end["code"] == 1009
    assert end["wasClean"] is True


@pytest.mark.parametrize("name", ["dropped by the server", "refused handshake", "foreign origin"])
def test_abnormal_end(saw: Any, name: str) -> None:
    assert saw(name) == {"code": 1006, "reason": "", "wasClean": False}


def test_own_origin(saw: Any) -> None:
    assert saw("own origin") == {"open": True}


def test_tls(saw: Any) -> None:
    assert saw("tls") == {"count": 2 * LENGTHS, "failed": [], "extensions": ""}
