"""How a client says who it is: Basic (RFC 7617) and Digest (RFC 7616) authentication.

The rooms that ask, for a server and for a proxy, know when; this one knows what to say.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import quote

from ..datastructures import Headers
from ..exceptions import InvalidHeader
from ..headers import Challenge, build_authorization_basic, parse_challenges

MAX_ANSWERS = 2
"""Challenges that are answered in a row: the first one, and one that only renews the nonce."""

ALGORITHMS = {
    "md5": "md5",
    "sha-256": "sha256",
    "sha-512-256": "sha512_256",
}
"""What RFC 7616, section 6.1, calls them, and what hashlib does."""

DEFAULT_ALGORITHM = "MD5"
"""The one of a challenge that names none (RFC 7616, section 3.3)."""


class Credentials:
    """A user's name and password, for one server or proxy.

    Invariants: the password leaves in the clear only as Basic, and that only when ``first`` was
    called, or over TLS to a server that offers nothing else; at most ``MAX_ANSWERS`` challenges
    are answered.

    Args:
        username: name of the user.
        password: the password.
        secure: whether TLS protects what is sent.
    """

    def __init__(self, username: str, password: str, secure: bool) -> None:
        self._username = username
        self._password = password
        self._secure = secure
        self._said: str | None = None
        self._answers = 0

    def first(self) -> str:
        """Give the credentials to send before anybody asks."""
        self._said = build_authorization_basic(self._username, self._password)
        return self._said

    def answer(self, headers: Headers, name: str, method: str, target: str) -> str | None:
        """Answer the challenge in a response that refuses.

        Args:
            headers: of the response.
            name: header with the challenges, ``WWW-Authenticate`` or ``Proxy-Authenticate``.
            method: of the request that is to be made again.
            target: of the same.

        Returns:
            The credentials to send; None when there is nothing to be said that wasn't said.
        """
        for challenge in _challenges(headers, name):
            if challenge.scheme == "digest":
                digest = Digest.from_challenge(challenge)
                if digest is None:
                    continue
                # A wrong password stays wrong; only a nonce may have become too old.
                if self._answers == 0 or (digest.stale and self._answers < MAX_ANSWERS):
                    self._answers += 1
                    return digest.respond(self._username, self._password, method, target)
                return None
            if challenge.scheme == "basic" and self._said is None and self._secure:
                return self.first()
        return None


def _challenges(headers: Headers, name: str) -> Iterator[Challenge]:
    """Give the challenges of a response, as far as they make sense, the strongest scheme first."""
    found: list[Challenge] = []
    for value in headers.get_all(name):
        try:
            found += parse_challenges(value, name)
        except InvalidHeader:
            continue
    # Among challenges of one scheme, the server's order counts (RFC 7616, section 3.7).
    yield from sorted(found, key=lambda challenge: challenge.scheme != "digest")


@dataclass(frozen=True, slots=True)
class Digest:
    """A challenge that can be answered with a digest (RFC 7616, section 3.3)."""

    realm: str
    nonce: str
    opaque: str | None
    algorithm: str | None
    has_qop: bool
    stale: bool
    is_utf8: bool
    hashes_username: bool

    @classmethod
    def from_challenge(cls, challenge: Challenge) -> Digest | None:
        """Read a challenge; None for one that this client has no answer to."""
        parameters = challenge.parameters
        if "realm" not in parameters or "nonce" not in parameters:
            return None
        qop = parameters.get("qop")
        if qop is not None and "auth" not in [option.strip().lower() for option in qop.split(",")]:
            return None
        algorithm = parameters.get("algorithm")
        if _hash(algorithm or DEFAULT_ALGORITHM) is None:
            return None
        return cls(
            realm=parameters["realm"],
            nonce=parameters["nonce"],
            opaque=parameters.get("opaque"),
            algorithm=algorithm,
            has_qop=qop is not None,
            stale=parameters.get("stale", "").lower() == "true",
            is_utf8=parameters.get("charset", "").lower() == "utf-8",
            hashes_username=parameters.get("userhash", "").lower() == "true",
        )

    def respond(
        self, username: str, password: str, method: str, target: str, cnonce: str | None = None
    ) -> str:
        """Make the credentials (RFC 7616, section 3.4).

        Args:
            username: name of the user.
            password: the password.
            method: of the request.
            target: of the request.
            cnonce: our nonce; random when None.
        """
        cnonce = os.urandom(16).hex() if cnonce is None else cnonce
        algorithm = self.algorithm or DEFAULT_ALGORITHM
        digest = _hash(algorithm)
        assert digest is not None, "from_challenge() has looked"

        def hashed(*parts: str | bytes) -> str:
            encoded = (part if isinstance(part, bytes) else self._encode(part) for part in parts)
            return digest(b":".join(encoded))

        # As it came: the header's bytes, whatever their encoding meant.
        realm = self.realm.encode("iso-8859-1")
        secret = hashed(username, realm, password)
        if algorithm.lower().endswith("-sess"):
            secret = hashed(secret, self.nonce, cnonce)
        request = hashed(method, target)
        fields = {"realm": _quoted(self.realm), "nonce": _quoted(self.nonce)}
        fields["uri"] = _quoted(target)
        if self.has_qop:
            fields |= {"qop": "auth", "nc": "00000001", "cnonce": _quoted(cnonce)}
            response = hashed(secret, self.nonce, "00000001", cnonce, "auth", request)
        else:
            # RFC 2069, which knew no qop, and whose servers are still about.
            response = hashed(secret, self.nonce, request)
        fields["response"] = _quoted(response)
        if self.opaque is not None:
            fields["opaque"] = _quoted(self.opaque)
        if self.algorithm is not None:
            fields["algorithm"] = self.algorithm
        if self.hashes_username:
            name = {"username": _quoted(hashed(username, realm)), "userhash": "true"}
        else:
            name = self._name(username)
        return "Digest " + ", ".join(f"{key}={value}" for key, value in {**name, **fields}.items())

    def _encode(self, text: str) -> bytes:
        """Encode what is hashed, as the server will (RFC 7616, section 4)."""
        if self.is_utf8:
            return unicodedata.normalize("NFC", text).encode(errors="surrogateescape")
        try:
            return text.encode("iso-8859-1")
        except UnicodeEncodeError:
            return text.encode(errors="surrogateescape")

    def _name(self, username: str) -> dict[str, str]:
        """Write the name of the user, which may need an encoding of its own (section 3.4)."""
        if username.isascii() and username.isprintable():
            return {"username": _quoted(username)}
        encoded = quote(unicodedata.normalize("NFC", username), safe="", errors="surrogateescape")
        return {"username*": f"UTF-8''{encoded}"}


def _hash(algorithm: str) -> Callable[[bytes], str] | None:
    """Find the hash function of an algorithm; None when it is unknown or not there."""
    name = ALGORITHMS.get(algorithm.lower().removesuffix("-sess"))
    if name is None:
        return None
    try:
        hashlib.new(name)
    except ValueError:  # left out of the OpenSSL at hand, or forbidden by it
        return None
    return lambda data: hashlib.new(name, data).hexdigest()


def _quoted(text: str) -> str:
    """Write a quoted string (RFC 9110, section 5.6.4)."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
