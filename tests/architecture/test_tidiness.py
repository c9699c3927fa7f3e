"""What has no place in the tree: paths of one machine, unfinished work, undocumented switches."""

from __future__ import annotations

import ast
import re

from .tree import ROOT, files, project_files

# Written in pieces, so that this file does not find itself.
UNFINISHED = re.compile("|".join((r"\bTO" + "DO", r"\bFIX" + "ME", r"\bX" + r"XX\b")))
MACHINE_PATH = re.compile(r"(?<![\w.:/-])/(?:ro" + r"ot|ho" + r"me|wo" + r"rk|Us" + r"ers)/")
REGISTRY = re.compile("|".join((r"pypi" + r"\.org", "pythonhos" + "ted", r"npmjs" + r"\.org")))

VARIABLE = re.compile(r"ROPEWAY_[A-Z][A-Z_]*[A-Z](?![A-Z_])")
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "docs/*.md")


def lines_that_match(pattern: re.Pattern[str]) -> list[str]:
    found = []
    for path in project_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # an image
        for number, line in enumerate(text.splitlines(), 1):
            if pattern.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    return found


def test_nothing_is_marked_unfinished() -> None:
    assert lines_that_match(UNFINISHED) == []


def test_no_path_of_one_machine() -> None:
    assert lines_that_match(MACHINE_PATH) == []


def test_no_registry_is_named() -> None:
    assert lines_that_match(REGISTRY) == []


def test_every_environment_variable_is_documented() -> None:
    documented = set()
    for path in files(*DOCUMENTS):
        documented |= set(VARIABLE.findall(path.read_text(encoding="utf-8")))
    assert variables() - documented == set()


def variables() -> set[str]:
    """Collect the variables by their full names, and those that ``env("NAME")`` completes."""
    found = set()
    for path in files("*.py", "Makefile", ".ci/run", "*.yml"):
        text = path.read_text(encoding="utf-8")
        found |= set(VARIABLE.findall(text))
        if path.suffix == ".py" and "src" in path.parts:
            found |= {f"ROPEWAY_{name}" for name in completed(ast.parse(text))}
    # The beginning of names, as in startswith("ROPEWAY_BACKOFF"), is none itself.
    return {name for name in found if not any(one.startswith(f"{name}_") for one in found)}


def completed(tree: ast.AST) -> set[str]:
    return {
        node.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "env"
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    }


def test_variables_are_found_in_the_code() -> None:
    assert {"ROPEWAY_PURE", "ROPEWAY_MAX_REDIRECTS"} <= variables()
