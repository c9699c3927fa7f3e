"""``ropeway run`` against Python itself: the same output, traceback and exit code."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

SHOW = """\
import __main__, sys
print(sys.argv, sys.path[0], __name__, __file__, __package__, __cached__, __spec__)
print(type(__loader__).__name__, __main__.__dict__ is globals(), sorted(vars(__main__)))
"""

FILES = {
    "show.py": SHOW,
    "module.py": SHOW,
    "package/__init__.py": "",
    "package/__main__.py": "from . import near\n" + SHOW,
    "package/near.py": "print('near', __name__)\n",
    "bare/__init__.py": "",
    "folder/__main__.py": "import beside\n" + SHOW,
    "folder/beside.py": "print('beside', __name__)\n",
    "exits.py": "import sys\nsys.exit(3)\n",
    "exits_with_a_word.py": "import sys\nsys.exit('not today')\n",
    "fails.py": "def fail():\n    1 / 0\n\nfail()\n",
    "fails_twice.py": "try:\n    1 / 0\nexcept ArithmeticError:\n    raise OSError from None\n",
    "fails_in_turn.py": "try:\n    1 / 0\nfinally:\n    raise OSError\n",
    "fails_on_import.py": "import no_such_module\n",
    "fails_in_a_group.py": "raise ExceptionGroup('two', [ValueError(1), KeyError(2)])\n",
    "no_syntax.py": "print(1)\nx = = 2\n",
    "interrupted.py": "raise KeyboardInterrupt\n",
    "own_hook.py": "import sys\n"
    "def hook(kind, exc, traceback):\n"
    "    print(kind, traceback.tb_frame.f_code.co_filename, traceback.tb_lineno)\n"
    "sys.excepthook = hook\n"
    "1 / 0\n",
    "ends_late.py": "import atexit, sys, threading, time\n"
    "class Local: pass\n"
    "def late():\n"
    "    import __main__, pickle\n"
    "    print('late', __main__.Local is Local, pickle.loads(pickle.dumps(Local())))\n"
    "Local.__repr__ = lambda self: 'local'\n"
    "atexit.register(late)\n"
    "threading.Thread(target=lambda: print(sys.modules['__main__'].__file__)).start()\n",
    "warns.py": "import warnings\nwarnings.warn('old', DeprecationWarning)\n",
    "latin.py": "# -*- coding: latin-1 -*-\nprint(len('\u00e9'), __annotations__)\nx: int = 1\n",
}

COMMANDS = [
    ["show.py"],
    ["show.py", "run", "-m", "module", "--help", "--", "-x", "--"],
    ["./folder/../show.py", "a"],
    ["folder", "a", "-b"],
    ["archive.zip", "a"],
    ["-m", "module", "--help", "-m", "x"],
    ["-m", "package", "run"],
    ["-m", "package.near"],
    ["exits.py"],
    ["exits_with_a_word.py"],
    ["fails.py"],
    ["fails_twice.py"],
    ["fails_in_turn.py"],
    ["fails_on_import.py"],
    ["fails_in_a_group.py"],
    ["no_syntax.py"],
    ["interrupted.py"],
    ["own_hook.py"],
    ["ends_late.py"],
    ["warns.py"],
    ["latin.py"],
    ["missing.py"],
    ["-m", "exits"],
    ["-m", "fails"],
    ["-m", "missing"],
    ["-m", "bare"],
    ["-m", "warns.missing"],
    ["-m", "missing.module"],
]

# What a program cannot tell, and what Python says of itself.
ADDRESS = re.compile(r"0x[0-9a-f]+")
RUNPY_FRAME = re.compile(r'  File "<frozen runpy>", line \d+, in \w+\n')


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("programs")
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="latin-1" if name == "latin.py" else "utf-8")
    with zipfile.ZipFile(folder / "archive.zip", "w") as archive:
        archive.writestr("__main__.py", SHOW)
    return folder


def outcome(command: Sequence[str], folder: Path, *options: str) -> tuple[int, str, str]:
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    # A relative entry would lead elsewhere from the folder of the programs.
    path = environment.get("PYTHONPATH", "")
    environment["PYTHONPATH"] = os.pathsep.join(
        os.path.abspath(entry) for entry in path.split(os.pathsep) if entry
    )
    done = subprocess.run(
        [sys.executable, *options, *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    errors = RUNPY_FRAME.sub("", done.stderr)
    for myself in (sys.executable, "ropeway run"):
        errors = errors.replace(f"{myself}: ", "NAME: ")
    return done.returncode, ADDRESS.sub("0x", done.stdout), ADDRESS.sub("0x", errors)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_as_python_does_it(command: list[str], folder: Path) -> None:
    assert outcome(["-m", "ropeway", "run", *command], folder) == outcome(command, folder)


def test_the_safe_path_stays_safe(folder: Path) -> None:
    command = ["show.py"]
    mine = outcome(["-m", "ropeway", "run", *command], folder, "-P")
    assert mine == outcome(command, folder, "-P")
    assert str(folder) + " " not in mine[1].splitlines()[0].partition("]")[2]


def test_an_interrupted_program_dies_of_the_signal(folder: Path) -> None:
    status, _, errors = outcome(["-m", "ropeway", "run", "interrupted.py"], folder)
    assert status == -signal.SIGINT
    assert "ropeway" not in errors


def test_websockets_is_ropeway_in_it(folder: Path) -> None:
    (folder / "which.py").write_text(
        "import websockets.frames\nprint(websockets.frames.__name__)\n"
    )
    for command in (["which.py"], ["-m", "which"]):
        _, printed, _ = outcome(["-m", "ropeway", "run", *command], folder)
        assert printed == "ropeway.frames\n"


def test_a_main_module_can_be_sent_to_another_process(folder: Path) -> None:
    (folder / "spawns.py").write_text(
        "import multiprocessing\n"
        "def double(number):\n"
        "    return 2 * number\n"
        "if __name__ == '__main__':\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        "        print(pool.map(double, [1, 2]))\n"
    )
    for command in (["spawns.py"], ["-m", "spawns"]):
        assert outcome(["-m", "ropeway", "run", *command], folder) == (0, "[2, 4]\n", "")
