"""The figures of the documents: they are what was measured, from a tree that anybody can have."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from ..architecture.tree import ROOT

if sys.platform != "linux":
    pytest.skip("the benchmarks need Linux", allow_module_level=True)

from bench import publish, report


@pytest.fixture
def data() -> dict[str, Any]:
    return report.load(publish.RESULTS)


def test_the_records_are_of_a_commit(data: dict[str, Any]) -> None:
    assert data["dirty"] is False
    assert len(data["commit"]) >= 12
    assert publish.RESULTS.read_text(encoding="utf-8") == report.as_text(data)


@pytest.mark.parametrize("name", [name for name in publish.DOCUMENTS if (ROOT / name).exists()])
def test_the_blocks_show_the_records(name: str, data: dict[str, Any]) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert publish.BLOCK.search(text) is not None
    assert publish.fill(text, data) == text


def test_the_readme_has_a_picture_and_its_table(data: dict[str, Any]) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    picture = publish.FOLDER / "overview.svg"
    assert picture.relative_to(ROOT).as_posix() in readme
    assert picture.read_text(encoding="utf-8").startswith("<?xml")
    assert publish.overview(data) in readme


def test_a_block_is_written_anew(data: dict[str, Any]) -> None:
    text = "a\n<!-- bench: where -->\nold\n<!-- /bench -->\nb"
    filled = publish.fill(text, data)
    assert "old" not in filled
    assert data["commit"] in filled
    assert publish.fill(filled, data) == filled
    with pytest.raises(KeyError):
        publish.fill(text.replace("where", "nowhere"), data)
