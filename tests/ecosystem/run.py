"""Run a program, and say on which package it runs.

The first argument is a file for what there is to say, as JSON: the module that a class of
websockets comes from. The program and its arguments follow.
"""

import json
import runpy
import sys
from pathlib import Path


def main() -> None:
    said, program, *arguments = sys.argv[1:]
    from websockets.frames import Frame

    Path(said).write_text(json.dumps({"module": Frame.__module__}), encoding="utf-8")
    sys.argv = [program, *arguments]
    sys.path[0] = str(Path(program).parent)
    runpy.run_path(program, run_name="__main__")


if __name__ == "__main__":
    main()
