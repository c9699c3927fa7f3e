"""What ``ropeway bench`` shows: progress, then a table and a histogram; with rich or without."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import sys
import time
from collections.abc import Iterator
from typing import Any, Self

from .latencies import Latencies, bars, duration
from .load import Load
from .target import Target

__all__ = ["Progress", "as_json", "as_text"]

REFRESH = 0.2
"""Seconds between two pictures of the progress."""

BAR = 40
"""Columns of the longest bar."""

BUSY = 0.9
"""Share of a processor from which on the client is what limits the figures."""


class Progress:
    """A line that moves while the load runs, if somebody looks at standard error.

    Args:
        load: what runs.
        quiet: whether to show nothing.
        plain: whether to do without rich.
    """

    def __init__(self, load: Load, *, quiet: bool, plain: bool) -> None:
        self._load = load
        self._shown = not quiet and sys.stderr.isatty()
        self._rich: Any = None
        self._task: Any = None
        self._last = 0.0
        if self._shown and not plain and has_rich():
            self._rich = _rich_progress()

    def __enter__(self) -> Self:
        if self._rich is not None:
            self._rich.start()
            self._task = self._rich.add_task("connecting", total=1.0, state="")
        return self

    def __exit__(self, *_: object) -> None:
        if self._rich is not None:
            self._rich.stop()
        elif self._shown:
            self._write("\r\x1b[K")

    def update(self, phase: str, share: float) -> None:
        """Show how far a phase is."""
        now = time.monotonic()
        if not self._shown or now - self._last < REFRESH:
            return
        self._last = now
        state = self._state(phase)
        if self._rich is not None:
            self._rich.update(self._task, description=phase, completed=share, state=state)
        else:
            self._write(f"\r\x1b[K{phase} {share:4.0%}  {state}")

    def _state(self, phase: str) -> str:
        load = self._load
        if phase == "connecting":
            return f"{load.opened:,} connections"
        state = f"{load.rate:,.0f} messages/s"
        if load.latencies.count:
            state += f"  p50 {duration(load.latencies.percentile(50))}"
            state += f"  p99 {duration(load.latencies.percentile(99))}"
        if load.errors:
            state += f"  {load.errors.total():,} errors"
        return state

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            sys.stderr.write(text)
            sys.stderr.flush()


def has_rich() -> bool:
    return importlib.util.find_spec("rich") is not None


def _rich_progress() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    return Progress(
        TextColumn("{task.description:<10}"),
        BarColumn(20),
        TextColumn("{task.percentage:>3.0f} %  {task.fields[state]}"),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )


# The result


def as_json(load: Load, target: Target, *, plain: bool) -> None:
    """Print the result as JSON: durations in seconds, sizes in bytes."""
    plan = load.plan
    result = {
        "uri": target.shown,
        "connections": plan.connections,
        "size": plan.size,
        "binary": plan.binary,
        "rate": plan.rate,
        "in_flight": plan.depth if plan.rate is None else None,
        "one_way": plan.one_way,
        "extensions": load.extensions,
        "duration": round(load.elapsed, 3),
        "opened": load.opened,
        "sent": load.sent,
        "received": load.received,
        "messages_per_second": round(load.rate, 1),
        "bytes_per_second": round(load.rate * plan.size, 1),
        "latency": None if plan.one_way else load.latencies.summary(),
        "histogram": {f"{upper:g}": count for upper, count in bars(load.latencies)},
        "handshake": load.handshakes.summary(),
        "unanswered": load.unanswered,
        "different": load.different,
        "errors": dict(load.errors),
        "client_cpu": round(load.cpu, 3),
    }
    print(json.dumps(result, indent=2))


def as_text(load: Load, target: Target, *, plain: bool) -> None:
    """Print the result for somebody to read."""
    if not plain and has_rich() and sys.stdout.isatty():
        _show_rich(load, target)
    else:
        _show_plain(load, target)


def _title(load: Load, target: Target) -> str:
    plan = load.plan
    kind = "binary messages" if plan.binary else "text messages"
    way = (
        f"{plan.rate:,.0f} a second"
        if plan.rate is not None
        else "one way"
        if plan.one_way
        else f"{plan.depth} in flight on each"
    )
    return (
        f"{target.shown}: {_plural(load.opened, 'connection')}, {kind} of "
        f"{_plural(plan.size, 'byte')}, {way}, {load.elapsed:.1f} s"
    )


def _plural(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def _rates(load: Load) -> list[tuple[str, str]]:
    rows = [
        ("messages/s", f"{load.rate:,.0f}"),
        ("payload", f"{load.rate * load.plan.size / 1e6:,.2f} MB/s each way")
        if not load.plan.one_way
        else ("payload", f"{load.rate * load.plan.size / 1e6:,.2f} MB/s"),
    ]
    if load.extensions:
        rows.append(("extensions", load.extensions))
    rows.append(("client", f"{load.cpu:.0%} of a processor"))
    return rows


COLUMNS = ("min", "mean", "p50", "p90", "p99", "p99.9", "max")


def _durations(load: Load) -> Iterator[tuple[str, list[str]]]:
    for name, latencies in (("answer", load.latencies), ("handshake", load.handshakes)):
        if latencies.count:
            summary = latencies.summary()
            yield name, [duration(summary[column]) for column in COLUMNS]


def _remarks(load: Load) -> Iterator[str]:
    if load.unanswered:
        yield f"{_plural(load.unanswered, 'message')} unanswered"
    if load.different:
        yield f"{_plural(load.different, 'answer')} different from the message: not an echo server?"
    for reason, count in load.errors.most_common(5):
        yield f"{count:,} × {reason}"
    if load.cpu > BUSY:
        yield (
            "this client was busy all the time: these figures are its limit rather than the "
            "server's"
        )


def _histogram(latencies: Latencies) -> Iterator[tuple[str, str, str]]:
    rows = bars(latencies)
    most = max((count for _, count in rows), default=1)
    for upper, count in rows:
        share = count / latencies.count
        yield f"≤ {duration(upper)}", _bar(count / most), f"{share:7.2%}"


def _bar(share: float) -> str:
    if not _speaks_utf8():
        return "#" * (round(share * BAR) or (1 if share else 0))
    eighths = round(share * BAR * 8)
    whole, rest = divmod(eighths, 8)
    return "█" * whole + (" ▏▎▍▌▋▊▉"[rest] if rest else "") or ("▏" if share else "")


def _speaks_utf8() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def _show_plain(load: Load, target: Target) -> None:
    lines = [_title(load, target), ""]
    lines += [f"  {name:<11} {value}" for name, value in _rates(load)]
    durations = list(_durations(load))
    if durations:
        lines += ["", " " * 13 + "".join(f"{column:>9}" for column in COLUMNS)]
        lines += [f"  {name:<11}" + "".join(f"{one:>9}" for one in row) for name, row in durations]
    if load.latencies.count:
        lines.append("")
        for bound, bar, share in _histogram(load.latencies):
            lines.append(f"  {bound:>10} {share}  {bar}".rstrip())
    remarks = list(_remarks(load))
    lines += ["", *(f"  ! {remark}" for remark in remarks)] if remarks else []
    text = "\n".join(lines) + "\n"
    encoding = sys.stdout.encoding or "utf-8"
    if not _speaks_utf8():
        text = text.replace("≤", "<=").replace("µ", "u").replace("×", "x")
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
    sys.stdout.flush()


def _show_rich(load: Load, target: Target) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(no_color=bool(os.environ.get("NO_COLOR")), highlight=False)
    console.print(Text(_title(load, target), style="bold"))
    rates = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2))
    for name, value in _rates(load):
        rates.add_row(
            Text(name, style="dim"), Text(value, style="bold cyan" if "/s" in name else "")
        )
    console.print(rates)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 0, 0, 1))
    table.add_column("", no_wrap=True, min_width=9)
    for column in COLUMNS:
        table.add_column(column, justify="right", style="bold" if column == "p99" else "")
    for name, row in _durations(load):
        table.add_row(name, *row)
    console.print(table)
    if load.latencies.count:
        histogram = Table(box=None, show_header=False, pad_edge=False)
        histogram.add_column(justify="right", style="dim")
        histogram.add_column(justify="right")
        histogram.add_column(style="cyan")
        for bound, bar, share in _histogram(load.latencies):
            histogram.add_row(bound, share, bar)
        console.print(histogram)
    for remark in _remarks(load):
        console.print(Text(f"! {remark}", style="yellow"))
