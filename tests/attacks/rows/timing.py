"""Rows 4 and 21: what time tells, and how it grows; measured in a process without a server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from bench.tools import ROOT

from ..harness import Stage, attack


def measured(stage: Stage, what: str) -> dict[str, Any]:
    result = subprocess.run(
        [sys.executable, "-m", "tests.attacks.timing", what],
        cwd=ROOT,
        env={**os.environ, **stage.subject.environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(json.loads(result.stdout))


@attack(
    4,
    "adversarial values for every header parser",
    "time for 16 KiB at most 2.3 times that for 8 KiB",
    quick=False,
    victim=False,
    front_ends=("asyncio",),
    peers=(),
)
def adversarial_headers(stage: Stage) -> None:
    found = measured(stage, "parsers")
    stage.note(**found)
    stage.most("time(2n)/time(n)", found["worst_ratio"], 2.3)


@attack(
    21,
    "passwords nearly right",
    "no measurable difference to wrong ones and unknown names: t below 10",
    quick=False,
    victim=False,
    front_ends=("asyncio",),
    peers=(),
)
def nearly_right(stage: Stage) -> None:
    found = measured(stage, "passwords")
    stage.note(**found)
    # A difference that statistics see is not one that a network lets through: dudect's threshold.
    stage.most("t against all wrong", found["t_all_wrong"], 10)
    stage.most("t against an unknown name", found["t_unknown_name"], 10)
