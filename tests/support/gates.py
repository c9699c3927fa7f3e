"""A server or a proxy that asks for Digest authentication (RFC 7616) and checks what it gets."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .http import Asked, response

HASHES: dict[str, Callable[..., Any]] = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}


@dataclass
class Gate:
    """Lets in who knows the password of "ann"; each nonce is good for one request.

    Args:
        algorithm: of the challenges.
        password: that of "ann".
        stale: how many right answers are refused because of their nonce.
        extra: challenges before the one for Digest.
    """

    algorithm: str = "SHA-256"
    password: str = "secret"
    stale: int = 0
    extra: tuple[str, ...] = ()
    said: list[str] = field(default_factory=list)
    nonces: set[str] = field(default_factory=set)

    def check(self, method: str, target: str, authorization: list[str]) -> list[str]:
        """Give the challenges to refuse with; none for who may come in."""
        (said,) = authorization or [""]
        self.said.append(said.partition(" ")[0])
        right = said.startswith("Digest ") and self._is_right(method, target, said)
        if right and self.stale == 0:
            return []
        self.stale -= right
        nonce = f"nonce {len(self.said)}"
        self.nonces.add(nonce)
        challenge = f'realm="the \\"gate\\"", nonce="{nonce}", qop="auth,auth-int", opaque="o"'
        stale = ", stale=TRUE" if right else ""
        return [*self.extra, f"Digest {challenge}, algorithm={self.algorithm}{stale}"]

    def _is_right(self, method: str, target: str, said: str) -> bool:
        fields = dict(re.findall(r'(\w+)="?((?:\\.|[^"\\,])*)"?', said.partition(" ")[2]))
        new = HASHES[self.algorithm.removesuffix("-sess")]

        def hashed(*parts: str) -> str:
            return new(":".join(parts).encode()).hexdigest()

        secret = hashed("ann", 'the "gate"', self.password)
        if self.algorithm.endswith("-sess"):
            secret = hashed(secret, fields["nonce"], fields["cnonce"])
        expected = hashed(
            *(secret, fields["nonce"], fields["nc"], fields["cnonce"], "auth"),
            hashed(method, target),
        )
        assert fields["uri"] == target
        assert (fields["username"], fields["opaque"], fields["qop"]) == ("ann", "o", "auth")
        assert fields["algorithm"] == self.algorithm
        self.nonces.remove(fields["nonce"])
        return expected == fields["response"]

    def refusal(self, asked: Asked) -> bytes | None:
        """Give a server's answer to who may not come in."""
        challenges = self.check("GET", asked.path, asked.all("Authorization"))
        lines = [f"WWW-Authenticate: {challenge}" for challenge in challenges]
        return response("401 Unauthorized", *lines, body=b"Who are you?") if lines else None
