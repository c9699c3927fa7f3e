"""The page, as one HTTP response: all of it comes from here, and it may ask nobody else."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from importlib import resources

from ..datastructures import Headers
from ..http11 import Response

__all__ = ["page"]


def page() -> Response:
    """Answer a request for the page; every time with headers of its own."""
    body, policy = _load()
    headers = Headers()
    headers["Content-Type"] = "text/html; charset=utf-8"
    headers["Content-Length"] = str(len(body))
    headers["Content-Security-Policy"] = policy
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = "no-referrer"
    headers["Cache-Control"] = "no-store"
    headers["Connection"] = "close"
    return Response(200, "OK", headers, body)


@functools.cache
def _load() -> tuple[bytes, str]:
    """Read the page and derive its policy: only the script and the style in it, by their hashes."""
    html = resources.files(__package__ or "ropeway.demo").joinpath("room.html").read_bytes()
    policy = (
        f"default-src 'none'; script-src {_hash(html, b'script')}; "
        f"style-src {_hash(html, b'style')}; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return html, policy


def _hash(html: bytes, tag: bytes) -> str:
    found = re.search(rb"<%b>(.*?)</%b>" % (tag, tag), html, re.DOTALL)
    assert found is not None, f"room.html has no {tag.decode()}"
    return f"'sha256-{base64.b64encode(hashlib.sha256(found[1]).digest()).decode()}'"
