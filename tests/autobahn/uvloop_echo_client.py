"""The client under test, on uvloop: ``uvloop_echo_client.py URL AGENT``."""

from __future__ import annotations

import asyncio
import sys

import uvloop
from echo_client import main

if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(sys.argv[1], sys.argv[2]))
