"""Scenario 13: an echo server with TLS, loaded from Python, as only the server is measured."""

from __future__ import annotations

import sys

from ..certificate import certificate_file
from ..contenders import Contender
from ..processes import arguments, cores, metrics_of, result_of, serving, start
from . import Metrics, Scenario, Timing
from .shapes import KIB, Shape

SHAPES = [
    Shape("13-32B", "32 B, 1 connection, 1 in flight"),
    Shape("13-32B-x64", "32 B, 1 connection, 64 in flight", depth=64),
    Shape("13-64KiB", "binary of 64 KiB, 1 in flight", size=64 * KIB, kind="binary"),
]


def echo(contender: Contender, loop: str, timing: Timing, shape: Shape) -> Metrics:
    pem = str(certificate_file())
    options = shape.options()
    options.pop("connections")
    with serving(contender, loop, "--tls", pem) as (process, port):
        command = [sys.executable, "-m", "bench.tls_load", str(port), "--pid", str(process.pid)]
        command += arguments(
            {"seconds": timing.seconds, "warm_up": timing.warm_up, "trust": pem, **options}
        )
        result = result_of(start(command, cores.peer, stdout=-1, stderr=-1))
    return metrics_of(result)


def scenario(shape: Shape) -> Scenario:
    return Scenario(
        shape.name,
        f"TLS echo server: {shape.title}",
        lambda contender: contender.server and contender.tls,
        lambda contender, loop, timing: echo(contender, loop, timing, shape),
        quick_rounds=1,
    )


SCENARIOS = [scenario(shape) for shape in SHAPES]
