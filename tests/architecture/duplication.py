"""How much of each driver's code stands in the others as well: ``python duplication.py``.

The code is normalised first, so that what differs only by the event library counts as the same:
comments, docstrings, annotations and overloads go, ``async`` and ``await`` too, names lose the
``a`` of ``aiter`` and its likes, and every statement is a line as ``ast.unparse`` writes it, with a
line of its own for each argument. A line stands twice when it belongs to a run of lines that stands
in another driver, too; shorter runs than `RUN` are what any two programs have in common. What is
left are the signatures of the API, for the most part, which each driver has to have.
"""

from __future__ import annotations

import ast
import re
import sys
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent.parent / "src" / "ropeway"

DRIVERS = ("asyncio", "sync", "trio")

RUN = 4

MOST_IN_ALL = 0.25
"""The largest share of a driver that may stand in all others."""

MOST_IN_ONE = 0.33
"""The largest share of it that may stand in one other."""

RENAMED = {
    "AsyncIterator": "Iterator",
    "AsyncIterable": "Iterable",
    "StopAsyncIteration": "StopIteration",
    "aiter": "iter",
    "anext": "next",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "__anext__": "__next__",
}


class Normalised(ast.NodeTransformer):
    """Takes out what belongs to the event library, or is no code."""

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST | None:
        return self._function(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST | None:
        return self._function(node)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST | None:
        if any(isinstance(one, ast.Name) and one.id == "overload" for one in node.decorator_list):
            return None
        self.generic_visit(node)
        everything = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        for argument in [*everything, node.args.vararg, node.args.kwarg]:
            if argument is not None:
                argument.annotation = None
        return ast.FunctionDef(
            name=RENAMED.get(node.name, node.name),
            args=node.args,
            body=_without_docstring(node.body),
            decorator_list=node.decorator_list,
            returns=None,
            type_params=[],
            lineno=node.lineno,
        )

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        self.generic_visit(node)
        node.body = _without_docstring(node.body)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        self.generic_visit(node)
        if node.value is None:
            return None
        return ast.Assign(targets=[node.target], value=node.value, lineno=node.lineno)

    def visit_Await(self, node: ast.Await) -> ast.AST:
        self.generic_visit(node)
        return node.value

    def visit_AsyncFor(self, node: ast.AsyncFor) -> ast.AST:
        self.generic_visit(node)
        return ast.For(node.target, node.iter, node.body, node.orelse, lineno=node.lineno)

    def visit_AsyncWith(self, node: ast.AsyncWith) -> ast.AST:
        self.generic_visit(node)
        return ast.With(node.items, node.body, lineno=node.lineno)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        node.id = RENAMED.get(node.id, node.id)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        node.attr = RENAMED.get(node.attr, node.attr)
        return node

    def visit_Import(self, node: ast.Import) -> None:
        return None

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        return None


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0] if body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        body = body[1:]
    return body or [ast.Pass()]


def normalised(source: str) -> list[str]:
    """Give the lines of a module's code, normalised."""
    tree = Normalised().visit(ast.parse(source))
    tree.body = _without_docstring(tree.body)
    lines = ast.unparse(ast.fix_missing_locations(tree)).splitlines()
    return [part.strip() for line in lines if line.strip() for part in re.split(r"(?<=,) ", line)]


@dataclass(frozen=True)
class Share:
    """How much of ``driver`` stands in each of ``others``, in lines."""

    driver: str
    others: tuple[str, ...]
    lines: int
    twice: list[tuple[str, str]]
    """Module and line of each that does."""

    @property
    def share(self) -> float:
        return len(self.twice) / self.lines

    @property
    def most(self) -> float:
        return MOST_IN_ALL if len(self.others) > 1 else MOST_IN_ONE

    def __str__(self) -> str:
        others = " and in ".join(self.others)
        counts = f"{len(self.twice)} of {self.lines} lines"
        return (
            f"{self.share:.1%} of {self.driver} ({counts}) is in {others}; {self.most:.0%} may be"
        )


def code(driver: str) -> dict[str, list[str]]:
    """Map the modules of a driver to their normalised lines."""
    return {
        path.name: normalised(path.read_text(encoding="utf-8"))
        for path in sorted((PACKAGE / driver).glob("*.py"))
    }


def runs(lines: list[str]) -> list[tuple[str, ...]]:
    return [tuple(lines[start : start + RUN]) for start in range(len(lines) - RUN + 1)]


def compare(driver: str, *others: str) -> Share:
    """Find what of ``driver`` stands in all ``others``."""
    there = [{run for lines in code(other).values() for run in runs(lines)} for other in others]
    common = set.intersection(*there)
    twice: list[tuple[str, str]] = []
    total = 0
    for name, lines in code(driver).items():
        total += len(lines)
        found: set[int] = set()
        for start, run in enumerate(runs(lines)):
            if run in common:
                found.update(range(start, start + RUN))
        twice += [(name, lines[index]) for index in sorted(found)]
    return Share(driver, others, total, twice)


def shares() -> list[Share]:
    """Compare each driver with each other one, and with all others."""
    drivers = [name for name in DRIVERS if (PACKAGE / name).is_dir()]
    pairs = [compare(one, other) for one in drivers for other in drivers if one != other]
    return pairs + [compare(one, *(other for other in drivers if other != one)) for one in drivers]


def main() -> int:
    for share in shares():
        print(share)
        if "-v" in sys.argv:
            for name, line in share.twice:
                print(f"    {name}: {line}")
    return int(any(share.share >= share.most for share in shares()))


if __name__ == "__main__":
    sys.exit(main())
