"""The soak in small: that it runs, that it would find what it is for, and what a slope is."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys

import pytest

from .conversation import FILLING, message, number_in
from .slope import lowest, slope, slope_range

MIB = 1024 * 1024


def test_a_message_tells_its_number() -> None:
    rng = random.Random(1)
    for number in range(50):
        assert number_in(message(number, rng)) == number
    assert number_in(f"2:{FILLING[:9]}x") == -1
    assert number_in(b"2:") == -1


def test_a_slope_is_found_in_noise() -> None:
    rng = random.Random(1)
    samples = [(float(when), 50 * MIB + when * 500 + rng.random() * MIB) for when in range(1800)]
    windows = lowest(samples, 30)
    assert len(windows) == 60
    assert 400 < slope(windows) < 600
    least, most = slope_range(windows)
    assert 300 < least < 500 < most < 700


def test_noise_alone_is_no_slope() -> None:
    rng = random.Random(2)
    samples = [(float(when), 50 * MIB + rng.random() * MIB) for when in range(1800)]
    least, most = slope_range(lowest(samples, 30))
    assert least < 0 < most


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
@pytest.mark.timeout(180)  # four processes that import everything, beside other tests
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
