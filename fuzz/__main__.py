"""Looks for inputs on which something doesn't hold: ``python -m fuzz COMMAND``.

``run`` fuzzes all targets, or those that are named; what it finds goes to ``build/fuzz/findings``.
``replay`` runs a target on files. ``coverage`` tells which lines of the kernels the corpus runs.
``seeds`` writes the corpus that each target begins with; ``keep`` adds what a run found.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import subprocess
import sys
import time
from pathlib import Path

from . import native
from .corpora import BUILD, KERNELS, ROOT, kernel_seeds, load, save, unpacked

FINDINGS = BUILD / "findings"
LARGEST_KERNEL_INPUT = 700
LEAST_COVERAGE = 95.0

PYTHON_TARGETS = ("frames", "payloads", "inflation", "heads", "grammars", "negotiation")
NAMES = (*native.VARIANTS, *PYTHON_TARGETS)

RUNS = re.compile(r"stat::number_of_executed_units:\s*(\d+)")


def corpus_of(name: str) -> str:
    """Name the corpus of a target: that of the kernels is one."""
    return KERNELS if name in native.VARIANTS else name


def command(name: str, seconds: int) -> list[str] | None:
    """Give what fuzzes a target for a time; None where the means for it are missing."""
    corpus = unpacked(corpus_of(name))
    arguments = [
        f"-max_total_time={seconds}",
        "-print_final_stats=1",
        "-timeout=20",
        "-rss_limit_mb=4096",
        f"-artifact_prefix={FINDINGS}/{name}-",
    ]
    if name in native.VARIANTS:
        compiler = native.clang()
        if compiler is None:
            return None
        binary = native.build_fuzzer(compiler, name)
        return [str(binary), f"-max_len={LARGEST_KERNEL_INPUT}", *arguments, str(corpus)]
    if importlib.util.find_spec("atheris") is None:
        return None
    from .targets import TARGETS

    target = TARGETS[name]
    arguments.append(f"-max_len={target.largest}")
    if target.words:
        dictionary = BUILD / f"{name}.dict"
        quoted = ("".join(f"\\x{byte:02x}" for byte in word.encode()) for word in target.words)
        dictionary.write_text("".join(f'"{word}"\n' for word in quoted), encoding="ascii")
        arguments.append(f"-dict={dictionary}")
    return [sys.executable, "-m", "fuzz.python", name, *arguments, str(corpus)]


def run(names: list[str], seconds: int, jobs: int) -> int:
    """Fuzz, so many at a time; gives 1 if something was found or could not be run."""
    FINDINGS.mkdir(parents=True, exist_ok=True)
    share = max(1, seconds * min(jobs, len(names)) // len(names))
    waiting, running, failed = list(names), dict[str, subprocess.Popen[bytes]](), False
    while waiting or running:
        while waiting and len(running) < jobs:
            name = waiting.pop(0)
            arguments = command(name, share)
            if arguments is None:
                means = "clang" if name in native.VARIANTS else "atheris"
                print(f"{name}: NOT RUN: {means} is missing")
                failed = True
                continue
            with (BUILD / f"{name}.log").open("wb") as log:
                running[name] = subprocess.Popen(arguments, cwd=ROOT, stdout=log, stderr=log)
        time.sleep(0.2)
        for name, process in list(running.items()):
            if process.poll() is not None:
                del running[name]
                failed = report(name, process.returncode) or failed
    return int(failed)


def report(name: str, status: int) -> bool:
    """Say how a fuzzer ended; true if it found something."""
    log = (BUILD / f"{name}.log").read_text(encoding="utf-8", errors="replace")
    match = RUNS.search(log)
    count = int(match[1]) if match else 0
    if status == 0:
        print(f"{name}: {count:,} executions, nothing found", flush=True)
        return False
    print(f"{name}: FOUND SOMETHING after {count:,} executions; see {FINDINGS}", flush=True)
    print("\n".join(log.splitlines()[-40:]))
    return True


def replay(name: str, paths: list[Path]) -> int:
    """Run a target on files, as the fuzzer did."""
    if name in native.VARIANTS:
        compiler = native.clang()
        assert compiler is not None, "clang is missing"
        return subprocess.run(
            [str(native.build_fuzzer(compiler, name)), *paths], check=False
        ).returncode
    from .targets import TARGETS

    for path in paths:
        TARGETS[name].check(path.read_bytes())
    return 0


def coverage() -> int:
    """Print which lines of the kernels the corpus runs; gives 1 if they are too few."""
    ran = total = 0
    for name, (covered, lines, missed) in native.coverage().items():
        ran, total = ran + covered, total + lines
        print(f"{name}: {covered} of {lines} lines, missed {missed or 'none'}")
    percent = 100 * ran / total
    print(f"kernels: {percent:.1f} % of the lines")
    return int(percent < LEAST_COVERAGE)


def seeds() -> int:
    """Write what each target begins with, beside what its corpus has already."""
    from .targets import TARGETS

    print(KERNELS, save(KERNELS, [*load(KERNELS), *kernel_seeds()]))
    for name, target in TARGETS.items():
        print(name, save(name, [*load(name), *target.seeds()]))
    return 0


def keep(names: list[str]) -> int:
    """Put the smallest part of what was found that covers as much into the corpus."""
    for name in dict.fromkeys(corpus_of(name) for name in names):
        smallest = BUILD / "smallest" / name
        smallest.mkdir(parents=True, exist_ok=True)
        for path in smallest.iterdir():
            path.unlink()
        arguments = command(name, 0)
        if arguments is None:
            continue
        merging = [*arguments[:-1], "-merge=1", str(smallest), arguments[-1]]
        subprocess.run(merging, cwd=ROOT, check=True, capture_output=True)
        found = [path.read_bytes() for path in smallest.iterdir()]
        seeds = kernel_seeds() if name == KERNELS else _seeds_of(name)
        print(name, save(name, [*found, *seeds]))
    return 0


def _seeds_of(name: str) -> list[bytes]:
    from .targets import TARGETS

    return list(TARGETS[name].seeds())


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run")
    running.add_argument("--seconds", type=int, default=600, help="in all; 600 by default")
    running.add_argument("--jobs", type=int, default=1, help="how many at a time")
    running.add_argument("names", nargs="*", metavar="TARGET", help=", ".join(NAMES))
    replaying = commands.add_parser("replay")
    replaying.add_argument("name", choices=NAMES)
    replaying.add_argument("paths", nargs="+", type=Path)
    commands.add_parser("coverage")
    commands.add_parser("seeds")
    keeping = commands.add_parser("keep")
    keeping.add_argument("names", nargs="*")
    chosen = parser.parse_args()
    if chosen.command == "run":
        return run(chosen.names or list(NAMES), chosen.seconds, chosen.jobs)
    if chosen.command == "replay":
        return replay(chosen.name, chosen.paths)
    if chosen.command == "keep":
        return keep(chosen.names or list(NAMES))
    return coverage() if chosen.command == "coverage" else seeds()


if __name__ == "__main__":
    sys.exit(main())
