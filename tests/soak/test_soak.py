"""The soak in small: that it runs, that it would find what it is for, and what a slope is."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys

import pytest

from .conversation import FILLING, message, number_in
from .slope import Sample, averages, slope, slope_range

MIB = 1024 * 1024


def test_a_message_tells_its_number() -> None:
    rng = random.Random(1)
    for number in range(50):
        assert number_in(message(number, rng)) == number
    assert number_in(f"2:{FILLING[:9]}x") == -1
    assert number_in(b"2:") == -1


def samples(growth: float) -> list[Sample]:
    """Make samples of memory that owes most to the number of connections, and grows."""
    rng = random.Random(1)
    made = []
    for when in range(1800):
        count = 5000 - rng.randrange(1250) * (when // 90 % 2)
        size = 50 * MIB + when * growth + count * 20_000 + rng.random() * MIB
        made.append(Sample(float(when), size, float(count)))
    return averages(made, 30)


def test_a_slope_is_found_in_noise() -> None:
    windows = samples(500.0)
    assert len(windows) == 60
    assert 450 < slope(windows) < 550
    least, most = slope_range(windows)
    assert 400 < least < 500 < most < 600


def test_noise_alone_is_no_slope() -> None:
    least, most = slope_range(samples(0.0))
    assert least < 0 < most


def test_a_slope_where_nothing_else_changes() -> None:
    assert slope([Sample(float(when), 7.0 * when, 5.0) for when in range(9)]) == pytest.approx(7)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_a_short_soak() -> None:
    arguments = [
        "--seconds",
        "4",
        "--connections",
        "60",
        "--life",
        "1",
        "--pause",
        "0.1",
        "--workers",
        "2",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "tests.soak.run", *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing lost, doubled or out of order; nothing left" in done.stdout
    echoes = re.search(r"^  echoes: ([\d,]+)$", done.stdout, re.MULTILINE)
    assert echoes is not None and int(echoes[1].replace(",", "")) > 100, done.stdout
