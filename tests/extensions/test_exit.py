"""Contexts that are left when the interpreter ends, behind an exception that ended the program."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import builtins
import sys

from ropeway.extensions.permessage_deflate import PerMessageDeflate
from ropeway.frames import Frame, Opcode


def used():
    one, other = (PerMessageDeflate(False, False, 15, 15) for _ in range(2))
    sent = one.encode(Frame(Opcode.TEXT, b"cabin " * {times}))
    other.decode(sent)
    return one, other


builtins.kept = [used() for _ in range(3)]
sys.kept = used()
raise SystemExit(7)
"""


def test_what_is_left_at_the_end_goes_quietly() -> None:
    for times in (100, 20_000):
        program = PROGRAM.format(times=times)
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (7, "")
