"""Pictures from records, as SVG: one for the README, and one a subject for docs/performance.md.

The same records make the same bytes, with the same version of matplotlib: no date, and ids that
come from a fixed salt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from .report import Medians, medians, number

OWN, PEER, FLOOR, INK = "#0a7d72", "#b8bec4", "#e3ddd2", "#33383d"
STYLE = {
    "svg.hashsalt": "ropeway",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.edgecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}
MAIN = ("ropeway", "picows", "picows.websockets", "websockets", "aiohttp", "uvicorn")
FLOORS = ("bare loop", "bare", "C")


@dataclass(frozen=True)
class Panel:
    """Bars of one metric of one scenario."""

    scenario: str
    metric: str
    title: str
    unit: str
    log: bool = False
    loop: str = "asyncio"


def each(*rows: tuple[str, str], metric: str, unit: str, log: bool = False) -> list[Panel]:
    """Return panels of one metric: the scenario of each, and its title."""
    return [Panel(scenario, metric, title, unit, log) for scenario, title in rows]


CPU, MEMORY = "server CPU per message, µs", "KiB of RSS per connection"
PICTURES: dict[str, Sequence[Panel]] = {
    "echo": each(
        ("2", "32 B, 64 in flight"),
        ("1", "32 B, 1 in flight"),
        ("3", "32 B, 64 connections"),
        ("4", "4 KiB, 4 × 16 in flight"),
        metric="cpu_us",
        unit=CPU,
    ),
    "large": each(
        ("5-64KiB-binary", "64 KiB binary"),
        ("5-64KiB-ascii", "64 KiB ASCII"),
        ("5-64KiB-mixed", "64 KiB mixed languages"),
        ("5-1MiB-binary", "1 MiB binary"),
        ("5-1MiB-ascii", "1 MiB ASCII"),
        ("5-1MiB-mixed", "1 MiB mixed languages"),
        metric="cpu_us",
        unit=CPU,
    ),
    "throughput": each(
        ("2", "echo server, 32 B"),
        ("4", "echo server, 4 KiB"),
        ("6-2", "echo client, 32 B"),
        ("7", "client that is fed"),
        metric="messages_per_s",
        unit="messages per second",
    ),
    "broadcast": [
        *each(
            ("8-plain", "plain"),
            ("8-deflate", "deflate"),
            metric="cpu_us",
            unit="CPU per delivery, µs",
        ),
        *each(
            ("8-plain", "loop held, plain"),
            ("8-deflate", "loop held, deflate"),
            metric="held_max_ms",
            unit="at most, ms, log scale",
            log=True,
        ),
    ],
    "memory": each(
        ("10-plain", "idle, plain"),
        ("10-deflate", "idle, deflate"),
        ("10-tls", "idle, TLS"),
        metric="kib_per_connection",
        unit=MEMORY,
    ),
    "deflate": each(
        ("12-200B", "ticks of 200 B"),
        ("12-2KiB", "ticks of 2 KiB"),
        ("12-64KiB", "ticks of 64 KiB"),
        metric="payload_mb_per_cpu_s",
        unit="MB echoed per second of CPU",
    ),
    "fairness": each(
        ("14-messages", "flood of 2-byte messages"),
        ("14-fragments", "flood of empty fragments"),
        ("14-pings", "flood of pings"),
        metric="p99_ms",
        unit="p99 of the others, ms, log scale",
        log=True,
    ),
    "tls": each(
        ("13-32B-x64", "TLS, 32 B, 64 in flight"),
        ("13-32B", "TLS, 32 B, 1 in flight"),
        ("13-64KiB", "TLS, 64 KiB"),
        ("9", "handshake, no TLS"),
        metric="cpu_us",
        unit="server CPU, µs",
    ),
}
"""What each picture of docs/performance.md shows."""


def panels_of(loop: str = "asyncio") -> dict[str, Sequence[Panel]]:
    """Return the panels of each picture."""
    return {
        name: [replace(panel, loop=loop) for panel in panels] for name, panels in PICTURES.items()
    }


OVERVIEW = (
    Panel("2", "cpu_us", "Echo, 64 in flight", "server CPU per message, µs"),
    Panel("3", "cpu_us", "Echo, 64 connections", "server CPU per message, µs"),
    Panel("7", "cpu_us", "Client, 200 B feed", "client CPU per message, µs"),
    Panel("8-plain", "cpu_us", "Broadcast to 4 000", "server CPU per delivery, µs"),
    Panel("9", "cpu_us", "Handshake", "server CPU, µs"),
    Panel("10-plain", "kib_per_connection", "Idle connection", "KiB of memory"),
    Panel("10-deflate", "kib_per_connection", "Idle, with deflate", "KiB of memory"),
    Panel(
        "14-messages", "p99_ms", "Echo during a flood", "p99 of the others, ms, log scale", log=True
    ),
)


def draw(data: dict[str, Any], directory: Path) -> list[Path]:
    """Draw all pictures for which there are records; return their paths."""
    found = medians(data)
    pictures: dict[str, Callable[[], Figure | None]] = {
        "overview": lambda: bars(found, OVERVIEW, columns=4),
        "churn": lambda: churn(found, "asyncio"),
    }
    for name, panels in panels_of().items():
        pictures[name] = lambda panels=panels: bars(found, panels, columns=min(4, len(panels)))
    paths = []
    with matplotlib.rc_context(STYLE):
        for name, make in pictures.items():
            figure = make()
            if figure is not None:
                path = directory / f"{name}.svg"
                figure.savefig(path, metadata={"Date": None, "Creator": None})
                paths.append(path)
    return paths


def bars(found: Medians, panels: Sequence[Panel], columns: int) -> Figure | None:
    """Draw panels side by side, those without records left out."""
    panels = [panel for panel in panels if rows_of(found, panel)]
    if not panels:
        return None
    columns = min(columns, len(panels))
    lines = -(-len(panels) // columns)
    height = 0.62 + 0.19 * max(len(rows_of(found, panel)) for panel in panels)
    figure = Figure(figsize=(2.75 * columns, height * lines), layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False).flat
    for axis in axes[len(panels) :]:
        axis.remove()
    slots = max(len(rows_of(found, panel)) for panel in panels)
    for axis, panel in zip(axes, panels, strict=False):
        draw_panel(axis, panel, rows_of(found, panel))
        # Bars are equally thick in all panels.
        axis.set_ylim(slots - 0.4, -0.6)
    return figure


def rows_of(found: Medians, panel: Panel) -> list[tuple[str, float]]:
    """Return contenders and figures: ropeway, its peers, and the floor."""
    figures = {
        contender: metrics[panel.metric]
        for (scenario, contender, loop), metrics in found.items()
        if scenario == panel.scenario and loop in (panel.loop, "none") and panel.metric in metrics
    }
    own = [name for name in figures if name.startswith("ropeway") and name != "ropeway (pure)"]
    names = [*own, *MAIN[1:], *FLOORS]
    return [(name, figures[name]) for name in names if name in figures]


def draw_panel(axis: Axes, panel: Panel, rows: Sequence[tuple[str, float]]) -> None:
    names = [name for name, _ in rows]
    values = [value for _, value in rows]
    colours = [
        OWN if name.startswith("ropeway") else FLOOR if name in FLOORS else PEER for name in names
    ]
    axis.barh(names, values, color=colours, height=0.72)
    if panel.log:
        axis.set_xscale("log")
        axis.set_xlim(min(0.5, *values) / 2, max(values) * 8)
        axis.xaxis.set_minor_locator(NullLocator())
    else:
        axis.set_xlim(0, max(values) * 1.28)
    for row, (name, value) in enumerate(rows):
        axis.annotate(
            in_words(value),
            (value, row),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontweight="bold" if name == "ropeway" else "normal",
        )
    axis.tick_params(length=0)
    axis.set_xticks([])
    axis.spines["bottom"].set_visible(False)
    for label in axis.get_yticklabels():
        label.set_fontweight("bold" if label.get_text() == "ropeway" else "normal")
    axis.set_title(panel.title, loc="left")
    axis.set_xlabel(panel.unit)


def in_words(value: float) -> str:
    """Write a number as the tables do, large ones in thousands."""
    if value >= 1e6:
        return f"{value / 1e6:.2f} M"
    return f"{value / 1e3:.0f} k" if value >= 1e4 else number(value)


def churn(found: Medians, loop: str) -> Figure | None:
    """Draw what the servers hold after each wave of connections, as lines."""
    rows = {
        contender: [metrics["rss_start_mib"]]
        + [metrics[f"rss_wave_{wave}_mib"] for wave in range(1, 5)]
        for (scenario, contender, where), metrics in found.items()
        if scenario == "11" and where == loop and contender in MAIN
    }
    if not rows:
        return None
    figure = Figure(figsize=(5.5, 2.6), layout="constrained")
    axis = figure.subplots()
    labels = apart(
        {name: values[-1] for name, values in rows.items()}, max(map(max, rows.values()))
    )
    for contender, values in rows.items():
        own = contender == "ropeway"
        colour, width = (OWN, 2.5) if own else (PEER, 1.5)
        axis.plot(values, color=colour, linewidth=width, marker="o", markersize=3)
        axis.annotate(
            f"{contender}  {number(values[-1])}",
            (len(values) - 1, labels[contender]),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontweight="bold" if own else "normal",
            annotation_clip=False,
        )
    axis.set_xticks(range(5), ["start", "wave 1", "wave 2", "wave 3", "wave 4"])
    axis.set_xlim(-0.1, 5.3)
    axis.set_ylim(bottom=0)
    axis.set_ylabel("RSS after it, MiB")
    axis.set_title("Waves of 3 000 compressed connections", loc="left")
    return figure


def apart(places: dict[str, float], top: float) -> dict[str, float]:
    """Move labels upwards until none lies on another."""
    least = top / 13
    result: dict[str, float] = {}
    lowest = -least
    for name, place in sorted(places.items(), key=lambda item: item[1]):
        lowest = result[name] = max(place, lowest + least)
    return result
