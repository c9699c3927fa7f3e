from __future__ import annotations

import base64
import contextlib
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropeway.exceptions import InvalidHeaderFormat, InvalidHeaderValue
from ropeway.headers import (
    build_authorization_basic,
    build_extension,
    build_host,
    build_subprotocol,
    build_www_authenticate_basic,
    parse_authorization_basic,
    parse_connection,
    parse_extension,
    parse_subprotocol,
    parse_upgrade,
    validate_subprotocols,
)
from ropeway.typing import ExtensionName


@pytest.mark.parametrize(
    ("host", "port", "secure", "short", "long"),
    [
        ("localhost", 80, False, "localhost", "localhost:80"),
        ("localhost", 443, True, "localhost", "localhost:443"),
        ("localhost", 80, True, "localhost:80", "localhost:80"),
        ("localhost", 443, False, "localhost:443", "localhost:443"),
        ("127.0.0.1", 8080, False, "127.0.0.1:8080", "127.0.0.1:8080"),
        ("::1", 80, False, "[::1]", "[::1]:80"),
        ("::1", 8080, False, "[::1]:8080", "[::1]:8080"),
    ],
)
def test_build_host(host: str, port: int, secure: bool, short: str, long: str) -> None:
    assert build_host(host, port, secure) == short
    assert build_host(host, port, secure, always_include_port=True) == long


def broken(parse: Callable[[str], Any], header: str) -> str:
    """Return what the parser says is wrong, and where."""
    with pytest.raises(InvalidHeaderFormat) as caught:
        parse(header)
    value = caught.value.value
    assert value is not None
    assert value.endswith(f" in {header}")
    return value.removesuffix(f" in {header}")


@pytest.mark.parametrize("parse", [parse_connection, parse_upgrade, parse_subprotocol])
@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("a", ["a"]),
        ("a,b", ["a", "b"]),
        ("a , b\t,\t c", ["a", "b", "c"]),
        (",a", ["a"]),
        (", ,,a", ["a"]),
        ("a,", ["a"]),
        ("a , ,", ["a"]),
        ("a, \t,,b", ["a", "b"]),
        ("a ", ["a"]),
        ("!#$%&'*+-.^_`|~09azAZ", ["!#$%&'*+-.^_`|~09azAZ"]),
    ],
)
def test_lists(parse: Callable[[str], list[str]], header: str, expected: list[str]) -> None:
    assert parse(header) == expected


@pytest.mark.parametrize(
    ("header", "error"),
    [
        ("", "expected token at 0"),
        (" ", "expected token at 0"),
        (" a", "expected token at 0"),
        (",", "expected token at 1"),
        (", ", "expected token at 2"),
        ("a b", "expected comma at 2"),
        ("a;", "expected comma at 1"),
        ("a, ;", "expected token at 3"),
        ("a/b", "expected comma at 1"),
        ('"a"', "expected token at 0"),
        ("é", "expected token at 0"),
        ("a\0", "expected comma at 1"),
        ("a\n", "expected comma at 1"),
        ("a,\x0bb", "expected token at 2"),
        ("a,\xa0b", "expected token at 2"),
    ],
)
@pytest.mark.parametrize("parse", [parse_connection, parse_subprotocol])
def test_broken_lists_of_tokens(parse: Callable[[str], Any], header: str, error: str) -> None:
    assert broken(parse, header) == error


@pytest.mark.parametrize(
    ("parse", "name"),
    [
        (parse_connection, "Connection"),
        (parse_upgrade, "Upgrade"),
        (parse_extension, "Sec-WebSocket-Extensions"),
        (parse_subprotocol, "Sec-WebSocket-Protocol"),
        (parse_authorization_basic, "Authorization"),
    ],
)
def test_the_header_is_named(parse: Callable[[str], Any], name: str) -> None:
    with pytest.raises(InvalidHeaderFormat) as caught:
        parse("")
    assert caught.value.name == name


def test_parse_upgrade() -> None:
    assert parse_upgrade("websocket") == ["websocket"]
    assert parse_upgrade("h2c, WebSocket/13") == ["h2c", "WebSocket/13"]


@pytest.mark.parametrize(
    ("header", "error"),
    [
        ("", "expected protocol at 0"),
        ("/13", "expected protocol at 0"),
        ("a/", "expected comma at 1"),
        ("a//b", "expected comma at 1"),
        ("a /b", "expected comma at 2"),
        ("a/b/c", "expected comma at 3"),
    ],
)
def test_broken_upgrade(header: str, error: str) -> None:
    assert broken(parse_upgrade, header) == error


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("foo", [("foo", [])]),
        ("foo, bar", [("foo", []), ("bar", [])]),
        ("foo; a; b=1", [("foo", [("a", None), ("b", "1")])]),
        ("foo;a=1;a=2, foo", [("foo", [("a", "1"), ("a", "2")]), ("foo", [])]),
        ('foo; a="1"', [("foo", [("a", "1")])]),
        (r'foo; a="b\c"', [("foo", [("a", "bc")])]),
        (r'foo; a="\1\2" ; b', [("foo", [("a", "12"), ("b", None)])]),
        ("foo\t; a =\t1\t,bar ", [("foo", [("a", "1")]), ("bar", [])]),
        (",, foo ,,", [("foo", [])]),
    ],
)
def test_parse_extension(header: str, expected: Any) -> None:
    assert parse_extension(header) == expected


@pytest.mark.parametrize(
    ("header", "error"),
    [
        ("", "expected token at 0"),
        ("foo;", "expected token at 4"),
        ("foo; ", "expected token at 5"),
        ("foo;;a", "expected token at 4"),
        ("foo; =1", "expected token at 5"),
        ("foo; a=", "expected token at 7"),
        ("foo; a=,", "expected token at 7"),
        ("foo; a=1 b", "expected comma at 9"),
        ("foo; a=1=2", "expected comma at 8"),
        ('foo; "a"', "expected token at 5"),
        ('foo; a="', "expected quoted string at 7"),
        ('foo; a="b', "expected quoted string at 7"),
        ('foo; a="b\\"', "expected quoted string at 7"),
        ('foo; a="\x01"', "expected quoted string at 7"),
        ('foo; a="é"', "expected quoted string at 7"),
        ('foo; a=""', "invalid quoted header content at 7"),
        ('foo; a="b c"', "invalid quoted header content at 7"),
        (r'foo; a="\""', "invalid quoted header content at 7"),
        (r'foo; a="\é"', "invalid quoted header content at 7"),
        ('foo; a="1"2', "expected comma at 10"),
    ],
)
def test_broken_extension(header: str, error: str) -> None:
    assert broken(parse_extension, header) == error


TOKENS = st.text("ab!#$%&'*+-.^_`|~09", min_size=1, max_size=4)
EXTENSIONS = st.lists(
    st.tuples(TOKENS.map(ExtensionName), st.lists(st.tuples(TOKENS, st.none() | TOKENS))),
    min_size=1,
)


@given(EXTENSIONS)
def test_extensions_round_trip(extensions: Any) -> None:
    assert parse_extension(build_extension(extensions)) == extensions


def test_build_extension() -> None:
    foo, bar = ExtensionName("foo"), ExtensionName("bar")
    assert build_extension([(foo, [("a", None), ("b", "1")]), (bar, [])]) == "foo; a; b=1, bar"
    assert build_extension([]) == ""


@given(st.lists(TOKENS, min_size=1))
def test_subprotocols_round_trip(subprotocols: Any) -> None:
    validate_subprotocols(subprotocols)
    assert parse_subprotocol(build_subprotocol(subprotocols)) == subprotocols


@pytest.mark.parametrize("subprotocols", [[], ["a"], ("a", "b"), ["!~"]])
def test_validate_subprotocols(subprotocols: Any) -> None:
    validate_subprotocols(subprotocols)


@pytest.mark.parametrize(
    ("subprotocols", "text"),
    [
        ("chat", "subprotocols must be a list, not a str"),
        ({"chat"}, "subprotocols must be a list"),
        (5, "subprotocols must be a list"),
        ([5], "expected string"),
        (b"chat", "expected string"),
    ],
)
def test_subprotocols_that_are_not_a_list_of_str(subprotocols: Any, text: str) -> None:
    with pytest.raises(TypeError, match=text):
        validate_subprotocols(subprotocols)


@pytest.mark.parametrize("subprotocol", ["", "a b", "a,b", "é", "a\r\nb", "a\n"])
def test_subprotocols_that_are_not_tokens(subprotocol: Any) -> None:
    with pytest.raises(ValueError, match="invalid subprotocol: "):
        validate_subprotocols(["a", subprotocol])


@pytest.mark.parametrize(
    ("realm", "quoted"),
    [("realm", "realm"), ("", ""), ('a"b', r"a\"b"), (r"a\b", r"a\\b"), ("é\t", "é\t")],
)
def test_build_www_authenticate_basic(realm: str, quoted: str) -> None:
    assert build_www_authenticate_basic(realm) == f'Basic realm="{quoted}", charset="UTF-8"'


@pytest.mark.parametrize("realm", ["a\r\nb", "\0", "\x7f", "€"])
def test_realms_that_cannot_be_quoted(realm: str) -> None:
    with pytest.raises(ValueError, match="invalid characters for quoted-string encoding"):
        build_www_authenticate_basic(realm)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        # RFC 7617, 2 and 2.1
        ("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", ("Aladdin", "open sesame")),
        ("basic dGVzdDoxMjPCow==", ("test", "123£")),
        ("BASIC Og==", ("", "")),
        ("Basic YTpiOmM=", ("a", "b:c")),
        ("Basic /zov", ("\udcff", "/")),
    ],
)
def test_parse_authorization_basic(header: str, expected: tuple[str, str]) -> None:
    assert parse_authorization_basic(header) == expected


@pytest.mark.parametrize(
    ("header", "error"),
    [
        ("", "expected token at 0"),
        (" Basic YTpi", "expected token at 0"),
        ("Basic", "expected space after scheme at 5"),
        ("Basic\tYTpi", "expected space after scheme at 5"),
        ("Basic ", "expected token68 at 6"),
        ("Basic  YTpi", "expected token68 at 6"),
        ("Basic =", "expected token68 at 6"),
        ("Basic é", "expected token68 at 6"),
        ("Basic YTpi ", "trailing data at 10"),
        ("Basic YTpi,", "trailing data at 10"),
        ("Basic Y=Tpi", "trailing data at 8"),
    ],
)
def test_broken_authorization_basic(header: str, error: str) -> None:
    assert broken(parse_authorization_basic, header) == error


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Bearer", "unsupported scheme: Bearer"),
        ("Digest username=a", "unsupported scheme: Digest"),
        ("Basic YTp", "expected base64-encoded credentials"),
        ("Basic YTpi.", "expected base64-encoded credentials"),
        ("Basic YTp-_w==", "expected base64-encoded credentials"),
        ("Basic YQ==", "expected username:password credentials"),
    ],
)
def test_authorization_with_another_value(header: str, value: str) -> None:
    with pytest.raises(InvalidHeaderValue) as caught:
        parse_authorization_basic(header)
    assert (caught.value.name, caught.value.value) == ("Authorization", value)


@given(st.text(st.characters(exclude_characters=":", codec="utf-8")), st.text())
def test_basic_credentials_round_trip(username: str, password: str) -> None:
    try:
        header = build_authorization_basic(username, password)
    except UnicodeEncodeError:
        return
    assert header.isascii()
    assert parse_authorization_basic(header) == (username, password)


def test_a_colon_would_end_the_user_name() -> None:
    with pytest.raises(ValueError, match="contains a colon"):
        build_authorization_basic("a:b", "c")


PARSERS = [
    parse_connection,
    parse_upgrade,
    parse_extension,
    parse_subprotocol,
    parse_authorization_basic,
]


@pytest.mark.parametrize("parse", PARSERS)
@given(st.text(st.sampled_from('ab,;=" \t\\/é\0YTpi') | st.characters(), max_size=20))
def test_any_text_gives_a_value_or_invalid_header(parse: Callable[[str], Any], text: str) -> None:
    # Any other exception fails the test.
    with contextlib.suppress(InvalidHeaderFormat, InvalidHeaderValue):
        parse(text)


# 16 KiB of what makes a parser that goes back go back: whole, and cut where it is incomplete.
ADVERSARIAL = {
    "spaces": " ",
    "commas": ",",
    "comma space": ", ",
    "comma tab": ",\t ",
    "tokens": "a",
    "token list": "a,",
    "token space": "a ",
    "slashes": "a/",
    "parameters": "a;b=c;",
    "equals": "a;b=",
    "quotes": '"',
    "escapes": "\\",
    "quoted": 'a;b="\\c',
    "token68": "Basic YTpi",
}


@pytest.mark.parametrize("parse", PARSERS)
@pytest.mark.parametrize("piece", ADVERSARIAL.values(), ids=ADVERSARIAL.keys())
@pytest.mark.parametrize("start", ["", "a", 'a;b="', "a,", "Basic "])
def test_adversarial_headers_take_linear_time(
    parse: Callable[[str], Any], piece: str, start: str
) -> None:
    header = (start + piece * (16384 // len(piece)))[:16384]
    before = time.process_time()
    for text in (header, header + '"', header + "\0"):
        with contextlib.suppress(InvalidHeaderFormat, InvalidHeaderValue):
            parse(text)
    # Quadratic work on 16 KiB takes seconds; this takes milliseconds.
    assert time.process_time() - before < 0.5


def test_a_large_header_is_parsed_as_a_small_one() -> None:
    names = [f"name{number}" for number in range(2000)]
    assert parse_connection(" ,\t".join(names)) == names
    credentials = base64.b64encode(b"a:" + b"b" * 12000).decode()
    assert parse_authorization_basic(f"Basic {credentials}") == ("a", "b" * 12000)


@pytest.mark.parametrize("header", ["a; b=1, c", "a; " + "b" * 200])
def test_what_parse_extension_returns_is_the_callers(header: str) -> None:
    expected = parse_extension(header)
    again = parse_extension(header)
    again[0][1].clear()
    again.clear()
    assert parse_extension(header) == expected
