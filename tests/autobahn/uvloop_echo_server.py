"""The server under test, on uvloop: ``uvloop_echo_server.py PORT``."""

from __future__ import annotations

import asyncio
import sys

import uvloop
from echo_server import main

if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1])))
