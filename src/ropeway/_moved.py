"""Old names that still work, each with a warning that says what to use.

Most of them have their home on a higher floor, in ``legacy``, which no program should have to load
before it asks for one: so a home is a name too, and imported when somebody does.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, NamedTuple


class Moved(NamedTuple):
    """Where an old name is to be found, and what to use instead.

    Args:
        home: module, below the package, that has it under the same name; with a colon, the name
            there (``frames:Opcode.TEXT``); with nothing behind the colon, the module itself.
        new: what to use, as it stands in the warning.
    """

    home: str
    new: str


PACKAGE = __name__.rpartition(".")[0]


def resolver(module: str, names: Mapping[str, Moved], stacklevel: int = 2) -> Callable[[str], Any]:
    """Make the ``__getattr__`` of a module that had these names.

    Args:
        module: name of the module.
        names: the old names.
        stacklevel: distance of the line to blame, as in :func:`warnings.warn`.

    Returns:
        A function that gives what an old name stands for, with a warning, and raises
        AttributeError for any other name.
    """
    prefix = "" if module == PACKAGE else f"{module}."

    def resolve(name: str) -> Any:
        moved = names.get(name)
        if moved is None:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        value = load(moved.home, name)
        message = f"{prefix}{name} is deprecated; use {moved.new}"
        warnings.warn(message, DeprecationWarning, stacklevel=stacklevel)
        return value

    return resolve


def load(home: str, name: str) -> Any:
    """Import what ``home`` says, of which one warning is enough."""
    path, colon, attribute = home.partition(":")
    target = f"{PACKAGE}.{path}"
    if path.startswith("legacy") and target not in sys.modules:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            found: Any = import_module(target)
    else:
        found = import_module(target)
    for part in (attribute if colon else name).split("."):
        found = getattr(found, part) if part else found
    return found
