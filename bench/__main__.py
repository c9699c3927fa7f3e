"""The command line of the suite."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import report, runner


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Benchmarks of ropeway.")
    actions = parser.add_subparsers(dest="action", required=True)
    run = actions.add_parser("run", help="measure, and write the records to a file")
    extent = run.add_mutually_exclusive_group()
    extent.add_argument("--quick", action="store_true", help="asyncio only, few rounds (default)")
    extent.add_argument("--full", action="store_true", help="all contenders, both loops")
    run.add_argument("--only", nargs="+", metavar="SCENARIO", help="numbers or names, see `list`")
    run.add_argument("--contenders", nargs="+", metavar="NAME")
    run.add_argument("--loops", nargs="+", choices=["asyncio", "uvloop"])
    run.add_argument("--rounds", type=int)
    run.add_argument("--seconds", type=float, help="how long the clock runs, each time")
    run.add_argument("--out", type=Path, default=Path("build/bench/results.json"))
    show = actions.add_parser("report", help="print the tables of a file, in Markdown")
    show.add_argument("file", type=Path)
    pictures = actions.add_parser("plots", help="draw the pictures of a file, as SVG")
    pictures.add_argument("file", type=Path)
    pictures.add_argument("--out", type=Path, default=Path("docs/performance"), metavar="FOLDER")
    publishing = actions.add_parser(
        "publish", help="write records, pictures and tables into the documents"
    )
    publishing.add_argument("files", type=Path, nargs="+", metavar="FILE")
    actions.add_parser("list", help="list scenarios and contenders")
    options = parser.parse_args(arguments)
    if options.action == "run":
        runner.run(
            runner.Plan.choose(
                full=options.full,
                only=options.only,
                contenders=options.contenders,
                loops=options.loops,
                rounds=options.rounds,
                seconds=options.seconds,
            ),
            options.out,
        )
        print(f"written to {options.out}", file=sys.stderr)
    elif options.action == "report":
        print(report.markdown(report.load(options.file)))
    elif options.action == "plots":
        from . import plots

        options.out.mkdir(parents=True, exist_ok=True)
        for path in plots.draw(report.load(options.file), options.out):
            print(path)
    elif options.action == "publish":
        from . import publish

        for path in publish.publish(report.join([report.load(file) for file in options.files])):
            print(path)
    else:
        print(runner.listing())


if __name__ == "__main__":
    main()
