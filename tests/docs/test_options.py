"""The tables of options in docs/command-line.md are those of the command line."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator

import pytest

from ropeway.cli import _parser

from ..architecture.tree import ROOT

DOCUMENT = ROOT / "docs" / "command-line.md"


def commands() -> dict[str, argparse.ArgumentParser]:
    (found,) = (
        action.choices
        for action in _parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    return {name: parser for name, parser in found.items() if rows(parser)}


def rows(parser: argparse.ArgumentParser) -> list[str]:
    return [row(action) for action in parser._actions if shown(action)]


def shown(action: argparse.Action) -> bool:
    hidden = (argparse.SUPPRESS, "show this help message and exit")
    return bool(action.option_strings) and action.help not in hidden


def row(action: argparse.Action) -> str:
    *short, long = action.option_strings
    value = "" if action.nargs == 0 else f" {values(action)}"
    names = ", ".join(f"`{name}`" for name in [*short, long + value])
    return f"| {names} | {action.help} |"


def values(action: argparse.Action) -> str:
    if action.choices is not None:
        return "/".join(action.choices)
    return str(action.metavar or action.dest.upper())


def documented(name: str) -> Iterator[str]:
    text = DOCUMENT.read_text(encoding="utf-8")
    section = re.search(rf"^### `ropeway {name}`\n(.*?)(?=^##|\Z)", text, re.DOTALL | re.MULTILINE)
    assert section is not None
    return (line for line in section[1].splitlines() if line.startswith("| `"))


@pytest.mark.parametrize("name", commands())
def test_options_are_documented(name: str) -> None:
    assert list(documented(name)) == own_rows(name)


def own_rows(name: str) -> list[str]:
    """Give the options of a command; of ``bench`` without those that it shares with ``connect``."""
    found = commands()
    shared = rows(found["connect"]) if name == "bench" else []
    return [one for one in rows(found[name]) if one not in shared]
