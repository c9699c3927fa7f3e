"""The kernels, compiled without Python: for libFuzzer, or to see what a corpus covers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from .corpora import BUILD, KERNELS, ROOT, unpacked

SOURCES = ROOT / "fuzz" / "kernels"
WIRE = ROOT / "src" / "ropeway" / "_wire"
FLAGS = ["-std=c11", "-g", "-Wall", "-Wextra", "-Werror", f"-I{WIRE}", f"-I{SOURCES}"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]

VARIANTS = {KERNELS: [], "kernels-plain": ["-DROPEWAY_PLAIN"]}
"""The kernels with vector instructions, and as they are where there are none."""

MEASURED = ("kernels.h", "utf8.h", "utf8_avx2.h")

# gcov's lines: how often a line ran, its number, the line.
GCOV_LINE = re.compile(r"^\s*([-#=\d]+)\*?:\s*(\d+):")


def clang() -> str | None:
    """Find clang, which has libFuzzer."""
    names = ["clang", *(f"clang-{version}" for version in range(22, 13, -1))]
    return next((path for name in names if (path := shutil.which(name))), None)


def build_fuzzer(compiler: str, name: str) -> Path:
    """Compile the kernels with libFuzzer, and sanitizers for addresses and undefined behaviour."""
    BUILD.mkdir(parents=True, exist_ok=True)
    binary = BUILD / name
    subprocess.run(
        [
            compiler, *FLAGS, "-O2", "-fsanitize=fuzzer", *SANITIZERS, *VARIANTS[name],
            str(SOURCES / "libfuzzer.c"), "-o", str(binary),
        ],
        check=True,
    )  # fmt: skip
    return binary


def coverage() -> dict[str, tuple[int, int, list[int]]]:
    """Run the corpus and tell of each file how many lines ran, of how many, and which did not.

    A line counts as run if it does with vector instructions or without them.
    """
    ran: dict[str, dict[int, bool]] = {name: {} for name in MEASURED}
    for variant, flags in VARIANTS.items():
        directory = BUILD / "coverage" / variant
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        corpus = sorted(str(path) for path in unpacked(KERNELS).iterdir())
        subprocess.run(
            ["gcc", *FLAGS, "-O0", "--coverage", *flags, str(SOURCES / "replay.c"), "-o", "replay"],
            cwd=directory,
            check=True,
        )
        for start in range(0, len(corpus), 1000):
            subprocess.run(
                ["./replay", *corpus[start : start + 1000]],
                cwd=directory,
                check=True,
                stdout=subprocess.DEVNULL,
            )
        notes = next(directory.glob("*.gcda"))
        subprocess.run(
            ["gcov", notes.name], cwd=directory, check=True, stdout=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip
        for name in MEASURED:
            report = directory / f"{name}.gcov"
            if report.exists():
                _merge(ran[name], report.read_text(encoding="utf-8"))
    return {
        name: (sum(lines.values()), len(lines), [line for line in sorted(lines) if not lines[line]])
        for name, lines in ran.items()
    }


def _merge(lines: dict[int, bool], report: str) -> None:
    for line in report.splitlines():
        match = GCOV_LINE.match(line)
        if match is None or match[1].startswith("-"):
            continue
        number = int(match[2])
        if number:
            lines[number] = lines.get(number, False) or match[1][0].isdigit()
