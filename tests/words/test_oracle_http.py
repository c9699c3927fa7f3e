"""Headers, URIs and HTTP messages against those of websockets 17.4."""

from __future__ import annotations

import base64
import pickle
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .oracle import both, is_17_4, outcome
from .test_headers import TOKENS
from .test_http11 import BODIES, BROKEN_BODIES, BROKEN_HEADERS, GET, OK
from .test_uri import VALID

pytestmark = is_17_4

# Headers as a dictionary.

NAMES = st.sampled_from(["A", "a", "B", "b-c"])
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("__setitem__"), NAMES, st.text(max_size=3)),
        st.tuples(st.just("set_insecure"), NAMES, st.text(max_size=3)),
        st.tuples(
            st.sampled_from(
                ["__delitem__", "__getitem__", "get", "get_all", "__contains__", "pop"]
            ),
            NAMES,
        ),
        st.tuples(st.just("setdefault"), NAMES, st.just("d")),
        st.tuples(st.just("update"), st.dictionaries(NAMES, st.just("v"))),
        st.tuples(st.just("update"), st.lists(st.tuples(NAMES, st.just("w")))),
        st.tuples(st.sampled_from(["copy", "clear", "popitem", "__str__", "__repr__", "__len__"])),
        st.tuples(st.sampled_from(["keys", "values", "items"])),
    )
)


@given(OPERATIONS)
def test_headers(operations: list[Any]) -> None:
    ours, theirs = (package.Headers() for package in both("datastructures"))
    for name, *arguments in operations:
        assert outcome(getattr(ours, name), *arguments) == outcome(
            getattr(theirs, name), *arguments
        )
        assert list(ours.raw_items()) == list(theirs.raw_items())
        assert list(ours) == list(theirs)
    again = pickle.loads(pickle.dumps(theirs))
    assert list(again.raw_items()) == list(ours.raw_items())


@given(st.lists(st.tuples(TOKENS, st.text(st.characters(codec="iso-8859-1"), max_size=4))))
def test_serializing_headers(pairs: list[tuple[str, str]]) -> None:
    ours, theirs = (outcome(package.Headers, pairs) for package in both("datastructures"))
    assert ours == theirs
    if not ours.startswith("InvalidHeaderValue"):
        ours, theirs = (package.Headers(pairs).serialize() for package in both("datastructures"))
        assert ours == theirs


# The grammar of headers.

PARSERS = [
    "parse_connection",
    "parse_upgrade",
    "parse_extension",
    "parse_subprotocol",
    "parse_authorization_basic",
]
GRAMMAR = st.lists(
    st.sampled_from([*'ab,;="/ \t\\é\0', "websocket", "permessage-deflate", "Basic ", "YTpi", ", "])
    | st.characters()
).map("".join)


@pytest.mark.parametrize("name", PARSERS)
@given(text=GRAMMAR)
def test_parsing_headers(name: str, text: str) -> None:
    ours, theirs = (outcome(getattr(package, name), text) for package in both("headers"))
    if "expected base64-encoded credentials" in ours:
        # websockets skips characters outside of the alphabet, and padding that isn't needed.
        return
    assert ours == theirs


@given(st.binary(max_size=12), st.booleans())
def test_parsing_basic_credentials(credentials: bytes, lower: bool) -> None:
    header = ("basic " if lower else "Basic ") + base64.b64encode(credentials).decode()
    ours, theirs = (
        outcome(package.parse_authorization_basic, header) for package in both("headers")
    )
    assert ours == theirs


@given(st.lists(st.tuples(TOKENS, st.lists(st.tuples(TOKENS, st.none() | TOKENS)))))
def test_building_extensions(extensions: Any) -> None:
    ours, theirs = (outcome(package.build_extension, extensions) for package in both("headers"))
    assert ours == theirs


@given(st.lists(st.text("ab ,é", max_size=3)))
def test_subprotocols(subprotocols: Any) -> None:
    for name in ("build_subprotocol", "validate_subprotocols"):
        ours, theirs = (
            outcome(getattr(package, name), subprotocols) for package in both("headers")
        )
        assert ours == theirs


@given(st.text(max_size=5))
def test_building_www_authenticate(realm: str) -> None:
    ours, theirs = (
        outcome(package.build_www_authenticate_basic, realm) for package in both("headers")
    )
    assert ours == theirs


@given(st.text(st.characters(exclude_characters=":")), st.text())
def test_building_authorization(username: str, password: str) -> None:
    ours, theirs = (
        outcome(package.build_authorization_basic, username, password)
        for package in both("headers")
    )
    assert ours == theirs


@given(
    st.sampled_from(["h", "::1", "1.2.3.4"]), st.integers(0, 65535), st.booleans(), st.booleans()
)
def test_building_host(host: str, port: int, secure: bool, always: bool) -> None:
    ours, theirs = (
        outcome(package.build_host, host, port, secure, always_include_port=always)
        for package in both("headers")
    )
    assert ours == theirs


# URIs.

STRICTER = {
    # Ours takes the zeros off first: Python converts no more than 4,300 digits.
    "ws://h:" + "0" * 5000 + "81": "ValueError",
    "ws://h/%20%zz": None,  # the same for both
    # RFC 6874: %25 stands for the percent sign before a zone.
    "ws://[fe80::1%25eth0]": "host='fe80::1%25eth0'",
}


@pytest.mark.parametrize("uri", [uri for uri, _, _ in VALID])
def test_parsing_uris_of_the_table(uri: str) -> None:
    ours, theirs = (outcome(package.parse_uri, uri) for package in both("uri"))
    if different := STRICTER.get(uri):
        assert different in theirs
        assert different not in ours
        return
    if "%" in uri and not uri.isascii():
        # websockets encodes the percent sign of what is encoded already, but only in an IRI.
        theirs = theirs.replace("%25", "%")
    assert ours == theirs


PARTS = st.text("abc.-_~é1", min_size=1, max_size=6)


@given(
    st.sampled_from(["ws", "wss", "WS"]),
    st.sampled_from(["", "u:p@", ":@", "%C3%A9:%2F@", "é:p@", "u:p:q@"]),
    st.sampled_from(["h", "a.b", "LOCALHOST", "é.com", "[::1]", "127.0.0.1", "ß"]),
    st.sampled_from(["", ":", ":1", ":65535", ":0080"]),
    st.lists(PARTS).map(lambda parts: "".join(f"/{part}" for part in parts)),
    st.sampled_from(["", "?", "?a=b", "?é&/?"]),
)
def test_parsing_uris(scheme: str, user: str, host: str, port: str, path: str, query: str) -> None:
    uri = f"{scheme}://{user}{host}{port}{path}{query}"
    ours, theirs = (outcome(package.parse_uri, uri) for package in both("uri"))
    if "%" not in user or uri.isascii():
        assert ours == theirs
    ours, theirs = (package.parse_uri(uri) for package in both("uri"))
    assert ours.resource_name == theirs.resource_name


@pytest.mark.parametrize(
    "uri",
    ["", "localhost", "http://h/", "ws:/h", "ws://", "ws:///p", "ws://h/p#f", "ws://u@h",
     "ws://@h", "ws://::1"],
)  # fmt: skip
def test_invalid_uris_with_the_same_text(uri: str) -> None:
    ours, theirs = (outcome(package.parse_uri, uri) for package in both("uri"))
    assert ours == theirs


@pytest.mark.parametrize(
    "uri",
    ["ws://h:x", "ws://h:65536", "ws://[::1", "ws://[zz]", "ws://u:%ff@h", "ws://h/\ud800",
     "ws://" + "é" * 70, "ws://a℀b"],
)  # fmt: skip
def test_what_is_a_bare_value_error_there_is_invalid_uri_here(uri: str) -> None:
    ours, theirs = (outcome(package.parse_uri, uri) for package in both("uri"))
    assert ours.startswith("InvalidURI: ")
    assert re.match("ValueError|Unicode.*Error", theirs)


# HTTP.


def read(package: Any, kind: str, data: bytes, **options: Any) -> str:
    from websockets.streams import StreamReader

    reader = StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    readers = [reader.read_line]
    if kind == "Response":
        readers += [reader.read_exact, reader.read_to_eof]
    result = outcome(getattr(package, kind).parse, *readers, **options)
    # After an error, what is left in the buffer doesn't matter.
    return f"{result} {bytes(reader.buffer)!r}" if result.startswith(kind) else result


@pytest.mark.parametrize("lines", [lines for lines, _ in BROKEN_HEADERS])
@pytest.mark.parametrize(("kind", "first"), [("Request", GET), ("Response", OK)])
def test_broken_headers(lines: bytes, kind: str, first: bytes) -> None:
    data = first + lines + b"\r\n\r\n"
    ours, theirs = (read(package, kind, data) for package in both("http11"))
    if ours.startswith("ValueError: line without CRLF"):
        # There, it is an EOFError, and a server doesn't answer.
        assert theirs.startswith("EOFError: connection closed while reading HTTP headers")
    else:
        assert ours == theirs


GOOD = b"GET / HTTP/1.1"
REQUEST_LINES = [
    GOOD,
    b"POST /p?q HTTP/1.0",
    b"get * HTTP/1.1",
    b"GET http://h/p HTTP/1.1",
    b"GET",
    b"GET /",
    b"",
    b"GET  / HTTP/1.1",
    b"GET / HTTP/1.1 ",
    b"GET / HTTP/2.0",
    b"GET / http/1.1",
    b"GET /" + b"a" * 8176 + b" HTTP/1.1",
]
REQUEST_HEADERS = [
    b"",
    b"Host: h\r\nA:\t b \r\na: \xe9\r\n",
    b"Content-Length: 0\r\n",
    b"Content-Length: 0\r\nContent-Length: 0\r\n",
    b"Content-Length: 1\r\n",
    b"Content-Length: +0\r\n",
    b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    b"A: b\r\n" * 128,
    b"A: b\r\n" * 129,
    b"A: " + b"b" * 8187 + b"\r\n",
    b"A: " + b"b" * 8188 + b"\r\n",
]


@pytest.mark.parametrize("line", REQUEST_LINES, ids=range(len(REQUEST_LINES)))
@pytest.mark.parametrize("headers", REQUEST_HEADERS, ids=range(len(REQUEST_HEADERS)))
def test_requests(line: bytes, headers: bytes) -> None:
    data = line + b"\r\n" + headers + b"\r\nrest"
    ours, theirs = (read(package, "Request", data) for package in both("http11"))
    if not ours.startswith("Request(") and not parses(line, b"") and not parses(GOOD, headers):
        # With two things wrong, ropeway says first which limit is passed.
        assert not theirs.startswith("Request(")
    else:
        assert ours == theirs


def parses(line: bytes, headers: bytes) -> bool:
    request = line + b"\r\n" + headers + b"\r\n"
    return read(both("http11")[0], "Request", request).startswith("Request(")


@given(
    st.booleans(),
    st.lists(
        st.sampled_from([b"A: b\r\n", b"A:b", b"\r\n", b"B", b"\r\n\r\n"]) | st.binary(max_size=2)
    ).map(b"".join),
)
def test_whatever_is_a_request_here_is_one_there(start: bool, data: bytes) -> None:
    data = GET * start + data
    ours, theirs = (read(package, "Request", data) for package in both("http11"))
    if ours.startswith("Request("):
        assert ours == theirs
    elif theirs.startswith("Request("):
        # websockets lets controls into the request target.
        assert re.match("ValueError: invalid HTTP (method|request target|request line)", ours)


RESPONSES = [
    *(data for data, _, _ in BODIES if len(data) < 10000),
    *(data for data, _, _ in BROKEN_BODIES),
    *(
        line + b"\r\nA: b\r\nContent-Length: 2\r\n\r\nabc"
        for line in (
            b"HTTP/1.1 200 OK",
            b"HTTP/1.1 404 Not Found",
            b"HTTP/1.1 200 ",
            b"HTTP/1.1 200",
            b"HTTP/1.1 99 x",
            b"HTTP/1.1 600 x",
            b"HTTP/1.1 2000 x",
            b"HTTP/1.1 +20 x",
            b"HTTP/1.1 2_0 x",
            b"HTTP/1.0 200 OK",
            b"HTTP/2 200 OK",
            b"",
            b"FOO",
        )
    ),
    b"",
    b"HTTP/1.1 200 OK\r\nA: b",
    b"HTTP/1.1 200 " + b"a" * 9000,
]


@pytest.mark.parametrize("data", RESPONSES, ids=range(len(RESPONSES)))
@pytest.mark.parametrize("proxy", [True, False])
def test_responses(data: bytes, proxy: bool) -> None:
    ours, theirs = (read(package, "Response", data, proxy=proxy) for package in both("http11"))
    if data.count(b"Transfer-Encoding: Chunked") == 1 and not proxy:
        # RFC 9112, 7: names of codings ignore case; there, they don't.
        assert theirs == "NotImplementedError: transfer coding Chunked isn't supported"
        theirs = read(both("http11")[1], "Response", data.replace(b"Chunked", b"chunked"))
        theirs = theirs.replace("'chunked'", "'Chunked'")
        if b"1\na\r\n" in data:
            assert theirs.startswith("EOFError: line without CRLF")
            return
    assert re.sub(r"read \d+", "read N", ours) == re.sub(r"read \d+", "read N", theirs)


@given(TOKENS, st.text("ab/?%~", min_size=1), st.lists(st.tuples(TOKENS, TOKENS)))
def test_serializing_requests(method: str, path: str, headers: list[tuple[str, str]]) -> None:
    ours, theirs = (
        package.Request(path, structures.Headers(headers), method).serialize()
        for package, structures in zip(both("http11"), both("datastructures"), strict=True)
    )
    assert ours == theirs


@given(st.integers(100, 599), st.text("ab é\t"), st.binary())
def test_serializing_responses(status: int, reason: str, body: bytes) -> None:
    ours, theirs = (
        package.Response(status, reason, structures.Headers(A="b"), body).serialize()
        for package, structures in zip(both("http11"), both("datastructures"), strict=True)
    )
    assert ours == theirs
