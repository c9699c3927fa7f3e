"""The top level: the names of websockets and a few of its own, none imported before it is used."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import websockets

import ropeway

OWN_NAMES = {"RateLimitExceeded", "__version__", "build", "install_as_websockets"}

LOADED = """
import sys
import ropeway
{}
print(*sorted(name for name in sys.modules if name.startswith("ropeway.")))
"""


def loaded_after(statement: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(statement)],
        capture_output=True,
        text=True,
        check=True,
    )
    return {name.removeprefix("ropeway.") for name in done.stdout.split()}


def test_the_names_are_those_of_websockets_and_ours() -> None:
    assert set(ropeway.__all__) == {*websockets.__all__, *OWN_NAMES}
    assert len(websockets.__all__) == 66


@pytest.mark.parametrize("name", sorted(set(ropeway.__all__)))
def test_every_name_is_there(name: str) -> None:
    assert getattr(ropeway, name) is not None
    assert name in dir(ropeway)


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(ropeway.__file__).read_text(encoding="utf-8"))
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        node.module: {alias.name for alias in node.names}
        for node in guarded.body
        if isinstance(node, ast.ImportFrom)
    }
    assert seen == {home: set(names) for home, names in ropeway._HOMES.items()}


def test_importing_the_package_imports_no_room() -> None:
    assert loaded_after("") == {"_build", "_moved", "version"}


def test_a_word_does_not_bring_in_a_driver() -> None:
    loaded = loaded_after("ropeway.ConnectionClosed, ropeway.Headers, ropeway.ClientProtocol")
    assert "exceptions" in loaded
    assert not {name for name in loaded if name.startswith(("asyncio", "_opening"))}


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("frames", "Opcode"),
        ("asyncio", "__doc__"),
        ("sync", "__doc__"),
        ("trio", "__doc__"),
        ("asgi", "__doc__"),
        ("legacy", "__doc__"),
    ],
)
def test_a_submodule_is_an_attribute(module: str, name: str) -> None:
    assert module in loaded_after(f"ropeway.{module}.{name}")


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'ropeway' has no attribute 'conect'"):
        ropeway.conect  # type: ignore[attr-defined]  # noqa: B018


def test_a_star_import_gives_every_name() -> None:
    names: dict[str, object] = {}
    exec("from ropeway import *", names)
    assert set(ropeway.__all__) <= names.keys()
