"""A run of ``ropeway bench``, from its plan to what it shows."""

from __future__ import annotations

import argparse
import asyncio
import sys

from .exits import CLOSED_BADLY, INTERRUPTED
from .load import Load, Plan
from .report import Progress, as_json, as_text
from .target import Target

__all__ = ["measure"]


async def measure(plan: Plan, target: Target, options: argparse.Namespace) -> int:
    """Carry out a plan and show what came of it, also when it is interrupted.

    Args:
        plan: what to do.
        target: the server.
        options: the command line, for what to show.

    Returns:
        The exit code.
    """
    load = Load(plan, target)
    interrupted = False
    with Progress(load, quiet=options.quiet, plain=options.plain) as progress:
        try:
            await load.run(progress.update)
        except asyncio.CancelledError:
            interrupted = True
    if load.opened == 0 and load.first_error is not None:
        reason, code = load.first_error
        print(f"ropeway: {reason}", file=sys.stderr)
        return code
    if load.opened:
        show = as_json if options.json else as_text
        show(load, target, plain=options.plain)
    if interrupted:
        return INTERRUPTED
    return CLOSED_BADLY if load.errors or load.unanswered or load.different else 0
