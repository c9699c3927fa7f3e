"""Reads the house from the code: which room imports which, and on which floor it stands.

``python tools/architecture.py`` redraws the picture in ARCHITECTURE.md; ``--check`` only says
whether it is current. The tests in tests/architecture hold the code to the same table of floors.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "ropeway"
DOCUMENT = ROOT / "ARCHITECTURE.md"
BEGIN, END = "<!-- picture: drawn by tools/architecture.py -->", "<!-- end of picture -->"

FLOORS: list[tuple[str, list[str]]] = [
    (
        "words",
        [
            "_build", "_moved", "version", "exceptions", "typing", "datastructures", "frames",
            "headers", "uri", "http11", "auth", "utils",
        ],
    ),
    ("bytes and frames", ["_wire", "extensions"]),
    ("the sans-I/O connection", ["_core", "protocol", "client", "server"]),
    ("shared by all drivers", ["_opening", "_driving", "proxy"]),
    ("drivers", ["asyncio", "sync", "trio"]),
    (
        "built on drivers",
        [
            "asgi", "legacy", "connection", "http", "drop_in", "cli", "demo", "__main__",
            "__init__",
        ],
    ),
]  # fmt: skip
"""The rooms from the ground up: a module or a subpackage of ropeway each."""

DRIVERS = frozenset({"asyncio", "sync", "trio"})
FLOOR_OF = {room: number for number, (_, rooms) in enumerate(FLOORS) for room in rooms}

CIMPORT = re.compile(r"^\s*from\s+(\.+)([\w.]*)\s+c?import\s+(\w+)", re.MULTILINE)


@dataclass(frozen=True, order=True)
class Import:
    """One run-time import inside the package; modules are named relative to it."""

    importer: str
    imported: str
    line: int


def room(module: str) -> str:
    """Name the room of a module: ``asyncio`` for ``asyncio.client``."""
    return module.partition(".")[0]


def modules() -> dict[str, Path]:
    """Map every module to its source; a package is named by its directory, ropeway ``__init__``."""
    found = {}
    for path in sorted([*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.pyx")]):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[-1] == "__init__" and len(parts) > 1:
            parts = parts[:-1]
        found[".".join(parts)] = path
    return found


def imports() -> list[Import]:
    """List the imports that are carried out at run time, in functions too."""
    known = modules()
    found = []
    for module, path in known.items():
        if path.suffix == ".py":
            tree = ast.parse(path.read_text(encoding="utf-8"))
            found += [Import(module, name, line) for name, line in _python(tree, module, known)]
        for cython in (path.with_suffix(".pxd"), path.with_suffix(".pyx")):
            if cython.exists():
                text = cython.read_text(encoding="utf-8")
                found += [Import(module, name, line) for name, line in _cython(text, module, known)]
    return sorted({one for one in found if one.imported != one.importer})


def _python(tree: ast.Module, module: str, known: dict[str, Path]) -> Iterator[tuple[str, int]]:
    for node in _run_time(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            for alias in node.names:
                yield (
                    _resolve(module, node.level, node.module or "", alias.name, known),
                    node.lineno,
                )
        elif isinstance(node, ast.ImportFrom | ast.Import):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if any(name.partition(".")[0] == "ropeway" for name in names):
                raise ValueError(
                    f"{module}:{node.lineno}: an import inside the package is relative"
                )


def _run_time(node: ast.AST) -> Iterator[ast.AST]:
    """Walk the tree, past what stands under ``if TYPE_CHECKING:``."""
    yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and _is_type_checking(child.test):
            for statement in child.orelse:
                yield from _run_time(statement)
        else:
            yield from _run_time(child)


def _is_type_checking(test: ast.expr) -> bool:
    return "TYPE_CHECKING" in (getattr(test, "id", None), getattr(test, "attr", None))


def _cython(text: str, module: str, known: dict[str, Path]) -> Iterator[tuple[str, int]]:
    for match in CIMPORT.finditer(text):
        dots, name, first = match.groups()
        line = text.count("\n", 0, match.start()) + 1
        yield _resolve(module, len(dots), name, first, known), line


def _resolve(module: str, level: int, name: str, alias: str, known: dict[str, Path]) -> str:
    """Name the module that ``from <level dots>name import alias`` in ``module`` refers to."""
    package = [] if module == "__init__" else module.split(".")
    if known[module].stem != "__init__":
        package = package[:-1]
    base = package[: len(package) - (level - 1)] + [part for part in name.split(".") if part]
    for candidate in (".".join([*base, alias]), ".".join(base) or "__init__"):
        if candidate in known:
            return candidate
    raise ValueError(f"{module}: nothing is known of {'.' * level}{name} import {alias}")


def cycles(edges: list[Import]) -> list[list[str]]:
    """Find the groups of modules that import each other in a circle (Tarjan)."""
    graph: dict[str, set[str]] = {}
    for edge in edges:
        graph.setdefault(edge.importer, set()).add(edge.imported)
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for other in sorted(graph.get(module, ())):
            if other not in index:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], index[other])
        if low[module] == index[module]:
            group = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            if len(group) > 1:
                found.append(sorted(group))

    for module in sorted(graph):
        if module not in index:
            visit(module)
    return found


def picture() -> str:
    """Draw the rooms by floor, and an arrow for every import between rooms above the words."""
    rooms = {room(module) for module in modules()}
    lines = ["```mermaid", "flowchart TD"]
    for number in reversed(range(len(FLOORS))):
        name, of_floor = FLOORS[number]
        here = [one for one in of_floor if one in rooms]
        if not here:
            continue
        lines.append(f'  subgraph floor{number}["floor {number}: {name}"]')
        if number == 0:
            lines.append(f'    words["{" · ".join(here)}"]')
        else:
            lines += [f'    {_node(one)}["{_label(one)}"]' for one in here]
        lines.append("  end")
    arrows = {(room(edge.importer), room(edge.imported)) for edge in imports()}
    for importer, imported in sorted(arrows):
        if importer != imported and FLOOR_OF[importer] and FLOOR_OF[imported]:
            lines.append(f"  {_node(importer)} --> {_node(imported)}")
    return "\n".join([*lines, "```"])


def _node(name: str) -> str:
    return f"room_{name.strip('_')}"


def _label(name: str) -> str:
    return "ropeway" if name == "__init__" else name


def redrawn(document: str) -> str:
    """Put the current picture between the two marks of the document."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    if not after:
        raise SystemExit(f"{DOCUMENT.name} lacks the marks between which the picture belongs")
    return f"{before}{BEGIN}\n\n{picture()}\n\n{END}{after}"


def main() -> int:
    document = DOCUMENT.read_text(encoding="utf-8")
    current = redrawn(document)
    if "--check" in sys.argv[1:]:
        if document != current:
            print(f"{DOCUMENT.name}: the picture is not current; run python tools/architecture.py")
        return int(document != current)
    DOCUMENT.write_text(current, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
