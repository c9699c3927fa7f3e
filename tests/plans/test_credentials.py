"""What a client says to a challenge: the examples of the RFCs, and what it can't answer."""

from __future__ import annotations

import hashlib
import re
import urllib.request
from typing import Any

import pytest

from ropeway._opening.credentials import Credentials, Digest
from ropeway.datastructures import Headers
from ropeway.headers import Challenge, parse_challenges

WWW = "WWW-Authenticate"
NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
needs_sha_512_256 = pytest.mark.skipif(
    "sha512_256" not in hashlib.algorithms_available, reason="this OpenSSL lacks SHA-512/256"
)


def fields(answer: str) -> dict[str, str]:
    """Read credentials, whose grammar is that of a challenge; ``username*`` apart."""
    scheme, _, rest = answer.partition(" ")
    assert scheme == "Digest"
    found = re.findall(r'([\w*-]+)=("(?:[^"\\]|\\.)*"|[^",\s]+)(?:, |$)', rest)
    assert ", ".join(f"{name}={value}" for name, value in found) == rest
    return {name: re.sub(r"\\(.)", r"\1", value.strip('"')) for name, value in found}


def digest(**parameters: str) -> Digest:
    found = Digest.from_challenge(Challenge("digest", parameters))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
    ],
)
def test_the_first_example_of_rfc_7616(algorithm: str, response: str) -> None:
    challenge = digest(
        realm="http-auth@example.org",
        qop="auth, auth-int",
        algorithm=algorithm,
        nonce=NONCE,
        opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS",
    )
    answer = challenge.respond("Mufasa", "Circle of Life", "GET", "/dir/index.html", CNONCE)
    assert fields(answer) == {
        "username": "Mufasa",
        "realm": "http-auth@example.org",
        "uri": "/dir/index.html",
        "algorithm": algorithm,
        "nonce": NONCE,
        "nc": "00000001",
        "cnonce": CNONCE,
        "qop": "auth",
        "response": response,
        "opaque": "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS",
    }
    # Section 3.4: these are tokens, and the others strings.
    assert f"algorithm={algorithm}" in answer
    assert "nc=00000001" in answer
    assert "qop=auth," in answer


@needs_sha_512_256
def test_the_second_example_of_rfc_7616() -> None:
    """With the values of erratum 4897, since those of the RFC are of another function."""
    challenge = digest(
        realm="api@example.org",
        qop="auth",
        algorithm="SHA-512-256",
        nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK",
        opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS",
        charset="UTF-8",
        userhash="true",
    )
    cnonce = "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v"
    answer = fields(challenge.respond("Jäsøn Doe", "Secret, or not?", "GET", "/doe.json", cnonce))
    assert answer["userhash"] == "true"
    assert answer["username"] == "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b"
    assert answer["response"] == "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"


def test_the_example_of_rfc_2617() -> None:
    challenge = digest(
        realm="testrealm@host.com",
        qop="auth,auth-int",
        nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093",
        opaque="5ccc069c403ebaf9f0171e9517f40e41",
    )
    answer = challenge.respond("Mufasa", "Circle Of Life", "GET", "/dir/index.html", "0a4f113b")
    assert fields(answer)["response"] == "6629fae49393a05397450978507c4ef1"
    assert "algorithm" not in fields(answer)


def test_without_qop_as_in_rfc_2069() -> None:
    challenge = digest(
        realm="testrealm@host.com",
        nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093",
        opaque="5ccc069c403ebaf9f0171e9517f40e41",
    )
    answer = fields(challenge.respond("Mufasa", "CircleOfLife", "GET", "/dir/index.html"))
    # With erratum 749.
    assert answer["response"] == "1949323746fe6a43ef61f9606e7febea"
    assert not {"qop", "nc", "cnonce"} & answer.keys()


def test_as_urllib_does_it() -> None:
    class Recorded(urllib.request.HTTPDigestAuthHandler):
        def get_cnonce(self, nonce: str) -> str:
            return "abc"

    passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    passwords.add_password("a realm", "http://host/", "user", "pass word")
    request = urllib.request.Request("http://host/a?b")
    parameters = {"realm": "a realm", "nonce": NONCE, "qop": "auth", "algorithm": "MD5"}
    theirs = Recorded(passwords).get_authorization(request, dict(parameters))  # type: ignore[attr-defined]
    ours = digest(**parameters).respond("user", "pass word", "GET", "/a?b", "abc")
    assert fields(ours)["response"] in theirs


@pytest.mark.parametrize("algorithm", ["MD5-sess", "sha-256-SESS"])
def test_sessions(algorithm: str) -> None:
    function = hashlib.md5 if "MD5" in algorithm else hashlib.sha256

    def hashed(*parts: str) -> str:
        return function(":".join(parts).encode()).hexdigest()

    challenge = digest(realm="a realm", nonce=NONCE, qop="auth", algorithm=algorithm)
    answer = fields(challenge.respond("user", "pass word", "GET", "/a?b", "abc"))
    secret = hashed(hashed("user", "a realm", "pass word"), NONCE, "abc")
    expected = hashed(secret, NONCE, "00000001", "abc", "auth", hashed("GET", "/a?b"))
    assert answer["response"] == expected
    assert answer["algorithm"] == algorithm


def test_each_answer_has_a_nonce_of_its_own() -> None:
    challenge = digest(realm="r", nonce=NONCE, qop="auth")
    answers = [fields(challenge.respond("u", "p", "GET", "/")) for _ in range(2)]
    assert answers[0]["cnonce"] != answers[1]["cnonce"]
    assert len(answers[0]["cnonce"]) >= 16


@pytest.mark.parametrize(
    ("username", "said"),
    [
        ("ann", {"username": "ann"}),
        ('a"n\\n', {"username": 'a"n\\n'}),
        ("änn", {"username*": "UTF-8''%C3%A4nn"}),
        ("a\u0308nn", {"username*": "UTF-8''%C3%A4nn"}),
        ("a\tn", {"username*": "UTF-8''a%09n"}),
    ],
)
def test_user_names(username: str, said: dict[str, str]) -> None:
    challenge = digest(realm="r", nonce=NONCE, qop="auth", charset="UTF-8")
    answer = fields(challenge.respond(username, "p", "GET", "/"))
    assert {name: value for name, value in answer.items() if name.startswith("username")} == said


@pytest.mark.parametrize(
    ("charset", "password", "encoded"),
    [
        ("UTF-8", "pä", "pä".encode()),
        ("utf-8", "pa\u0308", "pä".encode()),
        ("", "pä", "pä".encode("iso-8859-1")),
        ("", "p€", "p€".encode()),
    ],
)
def test_what_is_hashed(charset: str, password: str, encoded: bytes) -> None:
    parameters = {"realm": "r", "nonce": "n", "qop": "auth", "algorithm": "SHA-256"}
    challenge = digest(**parameters, **({"charset": charset} if charset else {}))
    answer = fields(challenge.respond("u", password, "GET", "/", "c"))
    secret = hashlib.sha256(b"u:r:" + encoded).hexdigest()
    request = hashlib.sha256(b"GET:/").hexdigest()
    whole = f"{secret}:n:00000001:c:auth:{request}"
    assert answer["response"] == hashlib.sha256(whole.encode()).hexdigest()


def test_a_realm_is_hashed_and_sent_back_as_it_came() -> None:
    raw = "Größe".encode().decode("iso-8859-1")  # UTF-8, as headers are read
    challenge = digest(realm=raw, nonce="n", charset="UTF-8")
    answer = challenge.respond("u", "p", "GET", "/")
    assert f'realm="{raw}"' in answer
    secret = hashlib.md5(b"u:" + "Größe".encode() + b":p").hexdigest()
    whole = f"{secret}:n:{hashlib.md5(b'GET:/').hexdigest()}"
    assert fields(answer)["response"] == hashlib.md5(whole.encode()).hexdigest()


@pytest.mark.parametrize(
    "parameters",
    [
        {"nonce": "n"},
        {"realm": "r"},
        {"realm": "r", "nonce": "n", "qop": "auth-int"},
        {"realm": "r", "nonce": "n", "algorithm": "SHA-1"},
        {"realm": "r", "nonce": "n", "algorithm": "SHA-256-sess-sess"},
    ],
)
def test_challenges_without_an_answer(parameters: dict[str, str]) -> None:
    assert Digest.from_challenge(Challenge("digest", parameters)) is None


def test_a_function_that_the_openssl_at_hand_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    def new(name: str, *arguments: Any) -> Any:
        raise ValueError("unsupported hash type")

    monkeypatch.setattr(hashlib, "new", new)
    assert Digest.from_challenge(Challenge("digest", {"realm": "r", "nonce": "n"})) is None


# Which challenge, and how often


def asked(*challenges: str) -> Headers:
    return Headers([(WWW, challenge) for challenge in challenges])


DIGEST = f'Digest realm="r", nonce="{NONCE}", qop="auth"'
BASIC = 'Basic realm="r"'


def answer(credentials: Credentials, *challenges: str) -> str | None:
    return credentials.answer(asked(*challenges), WWW, "GET", "/")


@pytest.mark.parametrize(
    "challenges", [(DIGEST,), (BASIC, DIGEST), (f"{BASIC}, {DIGEST}",), ("nonsense;", DIGEST)]
)
def test_digest_is_preferred(challenges: tuple[str, ...]) -> None:
    for secure in (False, True):
        said = answer(Credentials("u", "p", secure), *challenges)
        assert said is not None
        assert said.startswith("Digest ")


def test_the_servers_order_counts_among_those_that_can_be_answered() -> None:
    md5, sha = f"{DIGEST}, algorithm=MD5", f"{DIGEST}, algorithm=SHA-256"
    unknown = f"{DIGEST}, algorithm=SHA-3"
    for challenges, algorithm in (((md5, sha), "MD5"), ((unknown, sha, md5), "SHA-256")):
        said = answer(Credentials("u", "p", False), *challenges)
        assert said is not None
        assert fields(said)["algorithm"] == algorithm


def test_basic_leaves_over_tls_only() -> None:
    assert answer(Credentials("u", "p", False), BASIC) is None
    assert answer(Credentials("u", "p", True), BASIC) == "Basic dTpw"


def test_basic_is_said_once() -> None:
    credentials = Credentials("u", "p", True)
    assert credentials.first() == "Basic dTpw"
    assert answer(credentials, BASIC) is None
    assert answer(credentials, BASIC, DIGEST) is not None


def test_a_wrong_password_is_said_once_and_a_stale_nonce_renewed_once() -> None:
    stale = f"{DIGEST}, stale=true"
    credentials = Credentials("u", "p", True)
    assert answer(credentials, DIGEST) is not None
    assert answer(credentials, DIGEST) is None
    assert answer(credentials, stale) is not None
    assert answer(credentials, stale) is None
    # Not even in another way.
    assert answer(credentials, BASIC, DIGEST) is None


@pytest.mark.parametrize("challenge", ["", "Negotiate", "Bearer realm=x", 'Digest realm="r'])
def test_nothing_to_say(challenge: str) -> None:
    assert answer(Credentials("u", "p", True), challenge) is None


def test_what_is_said_can_be_parsed() -> None:
    said = answer(Credentials("u", "p", True), DIGEST)
    assert said is not None
    (parsed,) = parse_challenges(said)
    assert parsed.parameters["username"] == "u"
