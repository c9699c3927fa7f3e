from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropeway.exceptions import InvalidURI
from ropeway.uri import WebSocketURI, parse_uri

VALID = [
    ("ws://localhost/", WebSocketURI(False, "localhost", 80, "/", ""), "/"),
    ("wss://localhost/", WebSocketURI(True, "localhost", 443, "/", ""), "/"),
    ("ws://localhost", WebSocketURI(False, "localhost", 80, "", ""), "/"),
    ("WS://LocalHost/Path", WebSocketURI(False, "localhost", 80, "/Path", ""), "/Path"),
    ("ws://h:8080/p?q", WebSocketURI(False, "h", 8080, "/p", "q"), "/p?q"),
    ("ws://h?q", WebSocketURI(False, "h", 80, "", "q"), "/?q"),
    ("ws://h/?", WebSocketURI(False, "h", 80, "/", ""), "/"),
    ("ws://h/?a?b/c", WebSocketURI(False, "h", 80, "/", "a?b/c"), "/?a?b/c"),
    ("ws://h/p;a=1", WebSocketURI(False, "h", 80, "/p;a=1", ""), "/p;a=1"),
    ("ws://h/%20%zz", WebSocketURI(False, "h", 80, "/%20%zz", ""), "/%20%zz"),
    ("ws://h//p", WebSocketURI(False, "h", 80, "//p", ""), "//p"),
    ("ws://h/p#", WebSocketURI(False, "h", 80, "/p", ""), "/p"),
    ("ws://h/p@q", WebSocketURI(False, "h", 80, "/p@q", ""), "/p@q"),
    ("ws://h.", WebSocketURI(False, "h.", 80, "", ""), "/"),
    ("ws://_my-host_", WebSocketURI(False, "_my-host_", 80, "", ""), "/"),
    # ports
    ("ws://h:", WebSocketURI(False, "h", 80, "", ""), "/"),
    ("wss://h:0", WebSocketURI(True, "h", 443, "", ""), "/"),
    ("ws://h:65535", WebSocketURI(False, "h", 65535, "", ""), "/"),
    ("ws://h:000080", WebSocketURI(False, "h", 80, "", ""), "/"),
    ("ws://h:" + "0" * 5000 + "81", WebSocketURI(False, "h", 81, "", ""), "/"),
    # user information
    ("ws://u:p@h", WebSocketURI(False, "h", 80, "", "", "u", "p"), "/"),
    ("ws://u:@h", WebSocketURI(False, "h", 80, "", "", "u", ""), "/"),
    ("ws://:p@h", WebSocketURI(False, "h", 80, "", "", "", "p"), "/"),
    ("ws://u:p:q@h", WebSocketURI(False, "h", 80, "", "", "u", "p:q"), "/"),
    ("ws://u:p@q@h", WebSocketURI(False, "h", 80, "", "", "u", "p@q"), "/"),
    ("ws://%C3%BC:%40%25@h", WebSocketURI(False, "h", 80, "", "", "ü", "@%"), "/"),
    ("ws://ü:é@h", WebSocketURI(False, "h", 80, "", "", "ü", "é"), "/"),
    # IPv4 and IPv6
    ("ws://127.0.0.1:1/", WebSocketURI(False, "127.0.0.1", 1, "/", ""), "/"),
    ("ws://[::1]/", WebSocketURI(False, "::1", 80, "/", ""), "/"),
    ("ws://[2001:DB8::1]:81", WebSocketURI(False, "2001:db8::1", 81, "", ""), "/"),
    ("ws://[::ffff:1.2.3.4]", WebSocketURI(False, "::ffff:1.2.3.4", 80, "", ""), "/"),
    ("ws://[fe80::1%25eth0]", WebSocketURI(False, "fe80::1%eth0", 80, "", ""), "/"),
    ("ws://[fe80::1%eth0]", WebSocketURI(False, "fe80::1%eth0", 80, "", ""), "/"),
    ("ws://u:p@[::1]:81", WebSocketURI(False, "::1", 81, "", "", "u", "p"), "/"),
    # IRIs
    (
        "wss://пример.com/путь?ключ=%20значение",
        WebSocketURI(
            True,
            "xn--e1afmkfd.com",
            443,
            "/%D0%BF%D1%83%D1%82%D1%8C",
            "%D0%BA%D0%BB%D1%8E%D1%87=%20%D0%B7%D0%BD%D0%B0%D1%87%D0%B5%D0%BD%D0%B8%D0%B5",
        ),
        None,
    ),
    ("ws://ＧＯ/", WebSocketURI(False, "go", 80, "/", ""), "/"),
]


@pytest.mark.parametrize(("uri", "parsed", "resource"), VALID)
def test_valid(uri: str, parsed: WebSocketURI, resource: str | None) -> None:
    assert parse_uri(uri) == parsed
    assert parsed.resource_name == (resource or f"{parsed.path}?{parsed.query}")


INVALID = [
    ("", "scheme isn't ws or wss"),
    ("localhost", "scheme isn't ws or wss"),
    ("http://h/", "scheme isn't ws or wss"),
    ("wsss://h/", "scheme isn't ws or wss"),
    ("//h/", "scheme isn't ws or wss"),
    ("/ws://h", "scheme isn't ws or wss"),
    ("ws:h", "hostname isn't provided"),
    ("ws:/h", "hostname isn't provided"),
    ("ws://", "hostname isn't provided"),
    ("ws:///p", "hostname isn't provided"),
    ("ws://:80", "hostname isn't provided"),
    ("ws://u:p@", "hostname isn't provided"),
    ("ws://::1", "hostname isn't provided"),
    ("ws://h/p#f", "fragment identifier is meaningless"),
    ("ws://h#f", "fragment identifier is meaningless"),
    # user information
    ("ws://u@h", "username provided without password"),
    ("ws://@h", "username provided without password"),
    ("ws://u%3Av:p@h", "username contains a colon"),
    ("ws://u%zz:p@h", "user information has an invalid percent-encoding"),
    ("ws://u:p%@h", "user information has an invalid percent-encoding"),
    ("ws://u:p%4@h", "user information has an invalid percent-encoding"),
    ("ws://u:p%+4@h", "user information has an invalid percent-encoding"),
    ("ws://u:%ff@h", "user information isn't UTF-8 once decoded"),
    ("ws://u:%ED%A0%80@h", "user information isn't UTF-8 once decoded"),
    # ports
    ("ws://h:65536", "port is out of range 0-65535"),
    ("ws://h:" + "9" * 5000, "port is out of range 0-65535"),
    ("ws://h:x", "port isn't a number: x"),
    ("ws://h:-1", "port isn't a number: -1"),
    ("ws://h:+1", "port isn't a number: +1"),
    ("ws://h:1_0", "port isn't a number: 1_0"),
    ("ws://h:٣", "port isn't a number: ٣"),
    ("ws://h:80:81", "port isn't a number: 80:81"),
    ("ws://[::1]:x", "port isn't a number: x"),
    # IPv6
    ("ws://[::1", "brackets around the IPv6 address don't match"),
    ("ws://[::1]x", "brackets around the IPv6 address don't match"),
    ("ws://[::1]]", "brackets around the IPv6 address don't match"),
    ("ws://x[::1]", "host contains an invalid character"),
    ("ws://::1]", "hostname isn't provided"),
    ("ws://[::1%]", "zone of the IPv6 address is invalid"),
    ("ws://[::1%25]", "zone of the IPv6 address is invalid"),
    ("ws://[::1%a^b]", "zone of the IPv6 address is invalid"),
    # names
    ("ws://a\\b", "host contains an invalid character"),
    ("ws://a|b", "host contains an invalid character"),
    ("ws://a]b", "host contains an invalid character"),
    ("ws://a℀b", "host contains an invalid character"),
    ("ws://a..b", "host has a label that is empty or too long"),
    ("ws://.", "host has a label that is empty or too long"),
    ("ws://" + "a" * 64, "host has a label that is empty or too long"),
    ("ws://" + "a." * 130, "host has a label that is empty or too long"),
    # surrogates
    ("ws://h/\ud800", "it contains a character that can't be encoded in UTF-8"),
    ("ws://h/?\ud800", "it contains a character that can't be encoded in UTF-8"),
]


@pytest.mark.parametrize(("uri", "text"), INVALID, ids=lambda value: ascii(value[:40]))
def test_invalid(uri: str, text: str) -> None:
    with pytest.raises(InvalidURI) as caught:
        parse_uri(uri)
    assert (caught.value.uri, caught.value.msg) == (uri, text)
    assert str(caught.value) == f"{uri} isn't a valid URI: {text}"


@pytest.mark.parametrize("address", ["", "zz", "1.2.3.4", "v1.x", ":::", "1::2::3", "::1/64"])
def test_what_is_not_an_ipv6_address(address: str) -> None:
    with pytest.raises(InvalidURI, match=r"isn't a valid IPv6 address|brackets"):
        parse_uri(f"ws://[{address}]/")


@pytest.mark.parametrize("host", ["é" * 70, "\ud800", "é..com"], ids=ascii)
def test_names_that_idna_cannot_encode(host: str) -> None:
    with pytest.raises(InvalidURI, match="host can't be encoded with IDNA: "):
        parse_uri(f"ws://{host}/")


@pytest.mark.parametrize(
    "character", [*map(chr, range(0x21)), *map(chr, range(0x7F, 0xA0))], ids=ascii
)
@pytest.mark.parametrize(
    "template", ["{}ws://h/", "ws://h{}/", "ws://u:p{}@h/", "ws://h/{}", "ws://h/?{}"]
)
def test_whitespace_and_controls(character: str, template: str) -> None:
    with pytest.raises(InvalidURI, match="contains whitespace or control characters"):
        parse_uri(template.format(character))


@pytest.mark.parametrize(("uri", "name"), [(None, "NoneType"), (b"ws://h", "bytes"), (5, "int")])
def test_what_is_not_a_str(uri: Any, name: str) -> None:
    with pytest.raises(InvalidURI, match=f"expected a str, not {name}"):
        parse_uri(uri)


PIECES = ["ws", "wss", *"://?#@[]%.h\\éß℀\ud800\n ", "%20", "%ff", "::1", "80", "99999"]


@given(st.lists(st.sampled_from(PIECES) | st.characters()).map("".join), st.booleans())
def test_any_text_gives_what_can_be_sent_or_invalid_uri(text: str, prefixed: bool) -> None:
    try:
        parsed = parse_uri(f"ws://{text}" if prefixed else text)
    except InvalidURI:
        return
    sent = f"{parsed.host} {parsed.resource_name}"
    assert sent.isascii() and sent.isprintable() and sent.count(" ") == 1
    assert parsed.resource_name.startswith("/")
    assert 0 < parsed.port < 65536
    assert (parsed.username is None) is (parsed.password is None)


def test_user_info() -> None:
    assert parse_uri("ws://h").user_info is None
    assert parse_uri("ws://u:p@h").user_info == ("u", "p")


def test_parsed_uris_are_values() -> None:
    parsed = parse_uri("wss://u:p@h/p?q")
    assert repr(parsed) == (
        "WebSocketURI(secure=True, host='h', port=443, path='/p', query='q', "
        "username='u', password='p')"
    )
    assert pickle.loads(pickle.dumps(parsed)) == parsed
