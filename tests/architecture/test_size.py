"""How large a file and a function may grow before somebody has to say why."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from .tree import ROOT, files

FILE_LINES = 600
FUNCTION_LINES = 60

LARGER_FILES: dict[str, str] = {}
"""Path: the reason why the file is not divided."""

LONGER_FUNCTIONS: dict[str, str] = {}
"""path:qualified name: the reason why the function is not divided."""


def test_files_are_short() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in files("*.py", "*.pyx", "*.pxd", "*.h", "*.js", "*.html")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > FILE_LINES
    }
    assert long.keys() == LARGER_FILES.keys(), long


def test_functions_are_short() -> None:
    long = {
        f"{path.relative_to(ROOT)}:{name}": lines
        for path in files("*.py")
        for name, lines in functions(ast.parse(path.read_text(encoding="utf-8")))
        if lines > FUNCTION_LINES
    }
    assert long.keys() == LONGER_FUNCTIONS.keys(), long


def test_every_exception_has_a_reason() -> None:
    assert all({**LARGER_FILES, **LONGER_FUNCTIONS}.values())


def functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, int]]:
    """Yield every function's name and its number of lines without the docstring."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{prefix}{node.name}", body_lines(node)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from functions(node, f"{prefix}{node.name}.")
        else:
            yield from functions(node, prefix)


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    start = function.lineno
    if ast.get_docstring(function) is not None:
        start = function.body[0].end_lineno or start
    return (function.end_lineno or start) - start


def test_lines_are_counted_as_a_reader_would() -> None:
    source = (
        "class A:\n def f(self):\n  '''One\n\n  two.'''\n  x = 1\n  return x\n"
        "if A:\n def g(\n  a,\n ):\n  return 1\n"
    )
    assert dict(functions(ast.parse(source))) == {"A.f": 2, "g": 3}


def test_the_sources_are_found() -> None:
    assert Path(__file__) in list(files("*.py"))
