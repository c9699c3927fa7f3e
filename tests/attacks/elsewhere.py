"""Rows that are a matrix of exact answers: the tests that hold them, wherever they are."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from dataclasses import dataclass

from bench.tools import ROOT


@dataclass(frozen=True)
class Elsewhere:
    """A row, and the tests that it stands for."""

    row: int
    name: str
    must_hold: str
    tests: tuple[str, ...]
    """``path::function`` each, or the path of a whole file."""

    def missing(self) -> list[str]:
        """Give the tests that there are not."""
        return [test for test in self.tests if not exists(test)]


def exists(test: str) -> bool:
    path, _, name = test.partition("::")
    if not (ROOT / path).exists():
        return False
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return not name or any(isinstance(n, functions) and n.name == name for n in tree.body)


ROWS = [
    Elsewhere(
        4,
        "adversarial values for every header parser",
        "linear time up to 16 KiB",
        (
            "tests/words/test_headers.py::test_adversarial_headers_take_linear_time",
            "tests/words/test_http11.py::test_scanning_byte_by_byte_takes_linear_time",
            "tests/core/test_small_rooms.py::test_dripping_takes_linear_time",
        ),
    ),
    Elsewhere(
        9,
        "every bad deflate parameter",
        "the handshake fails cleanly",
        (
            "tests/extensions/test_negotiation.py",
            "tests/contract/test_opening_terms.py::test_extensions",
        ),
    ),
    Elsewhere(
        16,
        "request smuggling forms, direct and behind nginx, HAProxy, nghttpx",
        "400 or 426 and closed; nothing behind is read as a frame or a request",
        (
            "tests/opening/test_smuggling.py",
            "tests/interop/test_smuggling.py",
            "tests/opening/test_serve_requests.py::test_nothing_behind_a_refused_request_is_read",
        ),
    ),
    Elsewhere(
        17,
        "Origin and Host",
        "exact",
        (
            "tests/contract/test_opening_terms.py::test_origins",
            "tests/contract/test_opening_terms.py::test_same_origin",
            "tests/contract/test_opening_terms.py::test_hosts",
            "tests/contract/test_opening_terms.py::test_two_are_too_many",
        ),
    ),
    Elsewhere(
        18,
        "redirects and proxies",
        "credentials never leave their origin, TLS is never given up, loops end",
        (
            "tests/contract/test_opening_redirects.py",
            "tests/plans/test_redirects.py",
            "tests/plans/test_credentials.py",
            "tests/opening/test_proxy_http.py::test_headers_for_the_server_are_not_shown_to_the_proxy",
        ),
    ),
    Elsewhere(
        19,
        "CR, LF and NUL in a caller's values",
        "ValueError before a byte is written",
        ("tests/contract/test_opening_injection.py",),
    ),
    Elsewhere(
        20,
        "certificates that must not be trusted",
        "refused by default, through each kind of proxy too",
        ("tests/opening/test_distrust.py", "tests/opening/test_connect_tls.py"),
    ),
    Elsewhere(
        21,
        "timing of passwords",
        "compared as bytes, in constant time; unknown names take as long",
        ("tests/contract/test_opening_credentials.py",),
    ),
]


def run(row: Elsewhere, pure: bool) -> dict[str, object]:
    """Run the tests of a row, and give what came of them."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *row.tests]
    result = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "ROPEWAY_PURE": "1" if pure else "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    counts = {word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|error)", result.stdout)}
    return {
        "row": row.row,
        "attack": row.name,
        "build": "pure" if pure else "compiled",
        "passed": counts.get("passed", 0),
        "failed": counts.get("failed", 0) + counts.get("error", 0),
        "holds": result.returncode == 0,
    }
