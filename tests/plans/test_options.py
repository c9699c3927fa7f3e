"""Options are checked once, with a clear word about what is wrong."""

from __future__ import annotations

import dataclasses
import inspect
import logging
import re
import ssl
import warnings
from typing import Any

import pytest

from ropeway._opening.options import ConnectOptions, ServeOptions, modernize
from ropeway.exceptions import InvalidURI
from ropeway.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    ServerPerMessageDeflateFactory,
)

URI = "ws://localhost/"

WRONG: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"compression": "brotli"}, ValueError, "unsupported compression: brotli"),
    ({"compression_threshold": -1}, ValueError, "compression_threshold is -1, below 0"),
    ({"open_timeout": -1}, ValueError, "open_timeout is -1 seconds, below 0"),
    ({"ping_interval": -0.5}, ValueError, "ping_interval is -0.5 seconds, below 0"),
    ({"ping_timeout": -2}, ValueError, "ping_timeout is -2 seconds, below 0"),
    ({"close_timeout": -3}, ValueError, "close_timeout is -3 seconds, below 0"),
    ({"write_limit": -1}, ValueError, "write_limit is -1, below 0"),
    ({"write_limit": (9, -1)}, ValueError, "write_limit is (9, -1), below 0"),
    ({"write_limit": (1, 2)}, ValueError, "write_limit is (1, 2), its low mark above the high one"),
    ({"write_limit": (1, 2, 3)}, ValueError, "write_limit is (1, 2, 3), not a pair of marks"),
    ({"write_limit": 1.5}, TypeError, "write_limit is 1.5, not in whole bytes"),
    ({"write_limit": "9"}, TypeError, "write_limit is '9', not in whole bytes"),
    ({"subprotocols": "chat"}, TypeError, "subprotocols must be a list, not a str"),
]

WRONG_CONNECT: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"proxy": False}, TypeError, "proxy is False, neither an address nor True nor None"),
    ({"stream": {"ssl": True}}, ValueError, "ssl argument is incompatible with a ws:// URI"),
    (
        {"uri": "wss://localhost/", "stream": {"ssl": None}},
        ValueError,
        "ssl=None is incompatible with a wss:// URI",
    ),
    ({"uri": "tcp://localhost/"}, InvalidURI, "tcp://localhost/ isn't a valid URI"),
]

WRONG_SERVE: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"max_connections": 0}, ValueError, "max_connections is 0, below 1"),
    ({"max_handshakes": 0}, ValueError, "max_handshakes is 0, below 1"),
    (
        {"slow_consumer": "skip"},
        ValueError,
        "slow_consumer is 'skip', none of 'wait', 'drop' and 'close'",
    ),
    ({"slow_limit": 1}, ValueError, "slow_limit is 1, below 32768"),
    ({"slow_timeout": 0}, ValueError, "slow_timeout is 0 seconds, not above 0"),
    ({"max_connection_age": 0}, ValueError, "max_connection_age is 0 seconds, not above 0"),
    ({"idle_timeout": -5}, ValueError, "idle_timeout is -5 seconds, not above 0"),
    ({"max_message_rate": 0}, ValueError, "max_message_rate is 0, not above 0"),
    ({"max_byte_rate": "fast"}, TypeError, "max_byte_rate is 'fast', not in numbers"),
    ({"server_header": "a\r\nb"}, ValueError, "server_header is 'a\\r\\nb', which can't be sent"),
    ({"hosts": "a.example"}, TypeError, "hosts is 'a.example', not a list"),
    (
        {"origins": "https://a.example"},
        TypeError,
        "origins is 'https://a.example', neither a list nor 'same-origin'",
    ),
]


@pytest.mark.parametrize(("wrong", "kind", "text"), WRONG + WRONG_CONNECT)
def test_what_connect_refuses(wrong: dict[str, Any], kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=re.escape(text)):
        ConnectOptions(**{"uri": URI, **wrong})


@pytest.mark.parametrize(("wrong", "kind", "text"), WRONG + WRONG_SERVE)
def test_what_serve_refuses(wrong: dict[str, Any], kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=re.escape(text)):
        ServeOptions(**wrong)


def test_zero_and_none_are_fine() -> None:
    none = dict.fromkeys(["open_timeout", "ping_interval", "ping_timeout", "close_timeout"])
    assert ConnectOptions(uri=URI, **none).open_timeout is None  # type: ignore[arg-type]
    assert ServeOptions(close_timeout=0, compression_threshold=0).close_timeout == 0


def test_tls_needs_no_option() -> None:
    assert ConnectOptions(uri="wss://localhost/").ws_uri.port == 443
    context = ssl.create_default_context()
    assert ConnectOptions(uri="wss://localhost/", stream={"ssl": context}).ws_uri.secure


def test_options_do_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        ConnectOptions(uri=URI).proxy = None  # type: ignore[misc]


@pytest.mark.parametrize(
    ("options", "name"),
    [(ConnectOptions(uri=URI), "ropeway.client"), (ServeOptions(), "ropeway.server")],
)
def test_default_loggers(options: Any, name: str) -> None:
    assert options.logger is logging.getLogger(name)


def test_a_given_logger_is_kept() -> None:
    mine = logging.getLogger("mine")
    assert ConnectOptions(uri=URI, logger=mine).protocol_arguments()["logger"] is mine


def test_deflate_is_offered_unless_declined() -> None:
    (offered,) = ConnectOptions(uri=URI).protocol_arguments()["extensions"]
    assert isinstance(offered, ClientPerMessageDeflateFactory)
    assert offered.threshold == 64
    (accepted,) = ServeOptions(compression_threshold=9).protocol_arguments()["extensions"]
    assert isinstance(accepted, ServerPerMessageDeflateFactory)
    assert accepted.threshold == 9
    declined = ConnectOptions(uri=URI, compression=None)
    assert declined.protocol_arguments()["extensions"] is None
    assert ServeOptions(compression=None).protocol_arguments()["extensions"] is None


def test_the_callers_own_deflate_is_the_only_one() -> None:
    mine = ClientPerMessageDeflateFactory(server_no_context_takeover=True)
    options = ConnectOptions(uri=URI, extensions=[mine])
    assert list(options.protocol_arguments()["extensions"]) == [mine]


def test_arguments_of_a_connection() -> None:
    options = ConnectOptions(uri=URI, max_queue=(4, 1), ping_timeout=3)
    assert options.connection_arguments() == {
        "ping_interval": 20,
        "ping_timeout": 3,
        "close_timeout": 10,
        "max_queue": (4, 1),
    }
    options = ConnectOptions(uri=URI, write_limit=4096)
    assert options.connection_arguments()["write_limit"] == 4096


def caller(**kwargs: Any) -> tuple[Any, dict[str, Any]]:
    headers = modernize(kwargs, additional_headers=kwargs.pop("additional_headers", None))
    return headers, kwargs


def test_extra_headers_is_the_old_name_of_additional_headers() -> None:
    line = inspect.currentframe().f_lineno + 2  # type: ignore[union-attr]
    with pytest.warns(DeprecationWarning, match="extra_headers is deprecated") as caught:
        headers, rest = caller(extra_headers={"X": "y"}, sock=1)
    assert headers == {"X": "y"}
    assert rest == {"sock": 1}
    (warning,) = caught
    assert str(warning.message) == "extra_headers is deprecated; use additional_headers"
    assert (warning.filename, warning.lineno) == (__file__, line)


def test_read_limit_is_accepted_without_effect() -> None:
    with pytest.warns(DeprecationWarning, match="read_limit has no effect; max_queue") as caught:
        headers, rest = caller(read_limit=65536, additional_headers=[("X", "y")])
    assert headers == [("X", "y")]
    assert rest == {}
    assert [warning.filename for warning in caught] == [__file__]


def test_both_names_at_once_are_an_error() -> None:
    with pytest.raises(TypeError, match="extra_headers is the old name of additional_headers"):
        caller(extra_headers={}, additional_headers={})


def test_current_spellings_warn_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert caller(additional_headers={"X": "y"}, ssl=None) == ({"X": "y"}, {"ssl": None})
