"""The tables of docs/security.md are what was measured."""

from __future__ import annotations

import json
import sys

import pytest

if sys.platform != "linux":
    pytest.skip("the harness needs Linux", allow_module_level=True)

from . import publish


def test_the_blocks_show_the_records() -> None:
    data = json.loads(publish.RECORDS.read_text(encoding="utf-8"))
    text = publish.DOCUMENT.read_text(encoding="utf-8")
    assert {block[2] for block in publish.BLOCK.finditer(text)} == set(publish.BLOCKS)
    assert publish.fill(text, data) == text
    assert publish.RECORDS.read_text(encoding="utf-8") == publish.as_text(data)
