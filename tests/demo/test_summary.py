"""The figures of the summary: what is counted, and how it is written."""

from __future__ import annotations

import pytest

from ropeway.demo import summary
from ropeway.demo.summary import Row, Samples, Tally, milliseconds, report


@pytest.mark.parametrize(
    ("percent", "expected"), [(0, 0.001), (1, 0.001), (50, 0.05), (99, 0.099), (100, 0.1)]
)
def test_percentiles_are_durations_that_occurred(percent: float, expected: float) -> None:
    samples = Samples(number / 1000 for number in range(100, 0, -1))
    assert samples.percentile(percent) == expected


def test_no_samples_have_no_percentile() -> None:
    assert Samples().percentile(50) is None


def test_only_the_newest_samples_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summary, "KEPT", 10)
    samples = Samples(range(100))
    assert samples.count == 100
    assert samples.percentile(0) == 90


def test_the_tally_keeps_peaks() -> None:
    tally = Tally()
    tally.entered()
    tally.entered()
    tally.left()
    tally.entered()
    assert (tally.connections, tally.present, tally.peak) == (3, 2, 2)
    tally.received = 5
    assert tally.second() == 5
    tally.received = 8
    assert tally.second() == 3
    assert tally.busiest == 5


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (None, "–"),
        (0.0000412, "0.04 ms"),
        (0.0012345, "1.23 ms"),
        (0.00999, "9.99 ms"),
        (0.009996, "10.0 ms"),
        (0.0123, "12.3 ms"),
        (0.123, "123 ms"),
        (2.5, "2,500 ms"),
    ],
)
def test_milliseconds_have_three_digits(seconds: float | None, written: str) -> None:
    assert milliseconds(seconds) == written


def test_the_report_is_a_table() -> None:
    tally = Tally()
    tally.connections, tally.peak, tally.received, tally.delivered = 1234, 7, 10_000, 60_000
    tally.pings.add(0.0005)
    rows = [
        Row("talking", 1234.4, Samples([0.001, 0.002])),
        Row("in all", 0.25, None),
        Row("in none", 0, Samples()),
    ]
    assert report("Measured", tally, rows).splitlines() == [
        "Measured",
        "",
        "  connections  1,234 opened, 7 at once",
        "  messages     10,000 received, 60,000 delivered",
        "",
        "                       messages/s  round trip p50      p99",
        "  talking                   1,234         1.00 ms  2.00 ms",
        "  in all                      0.2",
        "  in none                       0               –        –",
        "  WebSocket pings (1)                     0.50 ms  0.50 ms",
    ]
