"""WWW-Authenticate and Proxy-Authenticate: what servers and proxies demand."""

from __future__ import annotations

from typing import Any

import pytest

from ropeway.exceptions import InvalidHeaderFormat
from ropeway.headers import Challenge, parse_challenges

NONE: dict[str, str] = {}


@pytest.mark.parametrize(
    ("header", "challenges"),
    [
        ("", []),
        (", ,", []),
        ("Negotiate", [("negotiate", NONE, None)]),
        ("Negotiate abc==", [("negotiate", NONE, "abc==")]),
        ('Basic realm="a"', [("basic", {"realm": "a"}, None)]),
        ("Basic realm=a", [("basic", {"realm": "a"}, None)]),
        ('BASIC  REALM = "a"', [("basic", {"realm": "a"}, None)]),
        ('Basic realm="a", realm="b"', [("basic", {"realm": "a"}, None)]),
        (
            'Basic ,realm="a",, charset="UTF-8",',
            [("basic", {"realm": "a", "charset": "UTF-8"}, None)],
        ),
        (r'Basic realm="a\"b\\c, d"', [("basic", {"realm": 'a"b\\c, d'}, None)]),
        ("Negotiate, Basic realm=a", [("negotiate", NONE, None), ("basic", {"realm": "a"}, None)]),
        (
            "Negotiate YQ==, Basic realm=a",
            [("negotiate", NONE, "YQ=="), ("basic", {"realm": "a"}, None)],
        ),
        (
            'Newauth realm="apps", type=1, title="Login to \\"apps\\"", Basic realm="simple"',
            [
                ("newauth", {"realm": "apps", "type": "1", "title": 'Login to "apps"'}, None),
                ("basic", {"realm": "simple"}, None),
            ],
        ),
        (
            'Digest realm="a", qop="auth,auth-int", algorithm=MD5, Digest realm="a", stale=true',
            [
                ("digest", {"realm": "a", "qop": "auth,auth-int", "algorithm": "MD5"}, None),
                ("digest", {"realm": "a", "stale": "true"}, None),
            ],
        ),
    ],
)
def test_challenges(header: str, challenges: list[Any]) -> None:
    assert parse_challenges(header) == [Challenge(*challenge) for challenge in challenges]


@pytest.mark.parametrize(
    ("header", "error"),
    [
        ('"a"', "expected token at 0"),
        ('Basic realm="a" b', "expected comma at 16"),
        ('Basic realm="a"; charset="b"', "expected comma at 15"),
        ('Basic realm="a', "expected quoted string at 12"),
        ("Basic a=b, realm=", "expected comma at 16"),
        ("Basic =a", "expected token at 6"),
    ],
)
def test_what_is_no_challenge(header: str, error: str) -> None:
    with pytest.raises(InvalidHeaderFormat, match=f"invalid Proxy-Authenticate header: {error}"):
        parse_challenges(header, "Proxy-Authenticate")


def test_it_takes_time_in_proportion_to_the_length() -> None:
    """Each is a way in which a careless parser would look at the rest again and again."""
    for unit in (",", " ", "a ", "a=", 'a="', "a=b,", "a ,", "=", "\\"):
        try:
            parse_challenges("Basic " + unit * 20_000)
        except InvalidHeaderFormat:
            pass
