"""The pictures, where matplotlib is installed."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

from ..support.require import require_package

RECORDS = [
    {
        "scenario": scenario,
        "contender": contender,
        "loop": "asyncio",
        "round": 1,
        "metrics": {
            "cpu_us": cpu,
            "p99_ms": cpu,
            "rss_start_mib": 30.0,
            **{f"rss_wave_{wave}_mib": cpu * wave for wave in range(1, 5)},
        },
    }
    for scenario in ("2", "11", "14-pings")
    for contender, cpu in {"ropeway": 3.0, "picows": 14.0, "aiohttp": 14.1}.items()
]


@pytest.fixture
def plots() -> ModuleType:
    require_package("matplotlib")
    return importlib.import_module("bench.plots")


def test_the_same_records_make_the_same_pictures(plots: ModuleType, tmp_path: Path) -> None:
    drawn = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        paths = plots.draw({"records": RECORDS}, tmp_path / name)
        assert [path.stem for path in paths] == ["overview", "churn", "echo", "fairness"]
        drawn.append([path.read_bytes() for path in paths])
    assert drawn[0] == drawn[1]


def test_nothing_measured_is_nothing_drawn(plots: ModuleType, tmp_path: Path) -> None:
    assert plots.draw({"records": []}, tmp_path) == []


def test_labels_keep_apart(plots: ModuleType) -> None:
    places = plots.apart({"a": 100.0, "b": 101.0, "c": 0.0}, top=130)
    assert places == {"c": 0.0, "a": 100.0, "b": 110.0}
