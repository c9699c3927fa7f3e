"""What websockets has, ropeway has too; what it lacks, the documents say."""

from __future__ import annotations

import importlib
import inspect
import re
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from ropeway import drop_in

from ..architecture.tree import ROOT
from ..support.require import require_package

OLDER = {"http", "connection"}
"""Gone from 17.4, or nothing but a warning there."""

PASSED_ON = {"handler", "logger", "server"}
"""Parameters of classes that functions make instances of, for programs."""

STATEMENTS = {"__aenter__", "__aexit__", "__enter__", "__exit__"}
VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@pytest.fixture(autouse=True)
def _deprecated_names_are_compared_too() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def modules() -> list[str]:
    return ["", *sorted(drop_in.MODULES - OLDER)]


def both(name: str) -> tuple[ModuleType, ModuleType]:
    require_package("websockets")
    if name.startswith("trio"):
        require_package("trio")
    path = f".{name}" if name else ""
    return importlib.import_module(f"websockets{path}"), importlib.import_module(f"ropeway{path}")


def public(module: ModuleType) -> list[str]:
    if hasattr(module, "__all__"):
        return list(module.__all__)
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]


def documented() -> str:
    """Read what the documents say of names that have no twin."""
    paths = (ROOT / "docs" / "differences.md", ROOT / "docs" / "legacy.md")
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)


@pytest.mark.parametrize("name", modules())
def test_every_name_is_there(name: str) -> None:
    theirs, ours = both(name)
    assert [one for one in public(theirs) if not hasattr(ours, one)] == []


@pytest.mark.parametrize("name", modules())
def test_what_a_class_lacks_is_documented(name: str) -> None:
    theirs, ours = both(name)
    text = documented()
    lacking = {
        f"{one}.{attribute}"
        for one in public(theirs)
        if inspect.isclass(getattr(theirs, one))
        for attribute in dir(getattr(theirs, one))
        if not attribute.startswith("_")
        and not hasattr(getattr(ours, one), attribute)
        and not re.search(rf"[`.]{attribute}\b", text)
    }
    assert lacking == set()


@pytest.mark.parametrize("name", modules())
def test_calls_take_the_same_arguments(name: str) -> None:
    theirs, ours = both(name)
    for one in public(theirs):
        expected = parameters(getattr(theirs, one))
        found = parameters(getattr(ours, one))
        if expected is None or found is None:
            continue
        if not any(one.kind is one.VAR_KEYWORD for one in found.values()):
            missing = {
                parameter.name
                for parameter in expected.values()
                if parameter.kind is not parameter.VAR_KEYWORD
            } - {*found, *PASSED_ON}
            assert missing == set(), one
        assert defaults(expected, found) == defaults(found, expected), one


@pytest.mark.parametrize("name", modules())
def test_methods_take_the_same_arguments_in_the_same_places(name: str) -> None:
    theirs, ours = both(name)
    for label, their, our in methods(theirs, ours):
        expected, found = parameters(their), parameters(our)
        if expected is None or found is None:
            continue
        kinds = {parameter.kind for parameter in found.values()}
        given = {one.name for one in expected.values() if one.kind not in VARIABLE}
        if inspect.Parameter.VAR_KEYWORD not in kinds:
            assert given - found.keys() - PASSED_ON == set(), label
        if inspect.Parameter.VAR_POSITIONAL not in kinds:
            places = positions(expected)
            assert positions(found)[: len(places)] == places, label
        needed = {one.name for one in found.values() if one.default is one.empty}
        assert {one for one in needed if found[one].kind not in VARIABLE} <= given, label
        assert defaults(expected, found) == defaults(found, expected), label


@pytest.mark.parametrize("name", modules())
def test_what_is_awaited_there_is_awaited_here(name: str) -> None:
    theirs, ours = both(name)
    functions = [
        (one, getattr(theirs, one), getattr(ours, one))
        for one in public(theirs)
        if inspect.isroutine(getattr(theirs, one))
    ]
    for label, their, our in [*functions, *methods(theirs, ours)]:
        assert is_asynchronous(their) == is_asynchronous(our), label


def methods(theirs: ModuleType, ours: ModuleType) -> Iterator[tuple[str, Any, Any]]:
    """Give the methods that the classes of both have: public ones, and those of statements."""
    for one in public(theirs):
        their_class, our_class = getattr(theirs, one), getattr(ours, one)
        if not inspect.isclass(their_class):
            continue
        for attribute in dir(their_class):
            if attribute.startswith("_") and attribute not in STATEMENTS:
                continue
            their = getattr(their_class, attribute)
            if inspect.isroutine(their) and hasattr(our_class, attribute):
                yield f"{one}.{attribute}", their, getattr(our_class, attribute)


def positions(found: dict[str, inspect.Parameter]) -> list[str]:
    return [one.name for one in found.values() if one.kind is one.POSITIONAL_OR_KEYWORD]


def is_asynchronous(function: Any) -> bool:
    """Tell whether a call has to be awaited or iterated over asynchronously; ours may say so."""
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return True
    returned = str(getattr(function, "__annotations__", {}).get("return", ""))
    return re.match(r"(Coroutine|Awaitable|Async\w+)\b", returned) is not None


@pytest.mark.parametrize("name", ["asyncio.server", "sync.server", "trio.server"])
def test_what_ropeway_adds_is_given_by_keyword(name: str) -> None:
    theirs, ours = both(name)
    documents = "\n".join(
        (ROOT / "docs" / f"{document}.md").read_text(encoding="utf-8")
        for document in ("beyond", "operations", "differences", "limits")
    )
    for one in ("serve", "broadcast"):
        expected = parameters(getattr(theirs, one))
        found = parameters(getattr(ours, one))
        assert expected is not None and found is not None
        for parameter in found.values():
            if parameter.name in expected or parameter.kind is parameter.VAR_KEYWORD:
                continue
            assert parameter.kind is parameter.KEYWORD_ONLY
            assert re.search(rf"\b{parameter.name}\b", documents), parameter.name


def parameters(value: Any) -> dict[str, inspect.Parameter] | None:
    if not callable(value):
        return None
    try:
        return dict(inspect.signature(value).parameters)
    except ValueError:
        return None


def defaults(
    one: dict[str, inspect.Parameter], other: dict[str, inspect.Parameter]
) -> dict[str, str]:
    """Give the defaults of the parameters that both have, as far as they can be compared."""
    return {
        name: shown
        for name, parameter in one.items()
        if name in other
        and not name.endswith("_header")  # the two name themselves
        and " at 0x" not in (shown := repr(parameter.default).replace("websockets", "ropeway"))
        and " at 0x" not in repr(other[name].default)
    }
