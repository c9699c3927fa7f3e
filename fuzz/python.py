"""Fuzzes one target in Python: ``python -m fuzz.python NAME [libFuzzer's arguments]``.

Atheris follows which lines run in the pure build; the compiled one beside it has to say the same.
"""

from __future__ import annotations

import inspect
import sys
from types import FunctionType, ModuleType

import atheris

from tests.support.pure import PURE_NAME

from .corpora import load
from .targets import TARGETS


def instrument() -> int:
    """Let atheris follow every function of the pure build; gives their number."""
    seen: set[int] = set()
    for name, module in list(sys.modules.items()):
        if name == PURE_NAME or name.startswith(f"{PURE_NAME}."):
            for value in list(vars(module).values()):
                _instrument(value, module, seen)
    return len(seen)


def _instrument(value: object, module: ModuleType, seen: set[int]) -> None:
    if isinstance(value, property):
        for function in (value.fget, value.fset):
            _instrument(function, module, seen)
    elif isinstance(value, staticmethod | classmethod):
        _instrument(value.__func__, module, seen)
    elif inspect.isclass(value) and value.__module__ == module.__name__ and id(value) not in seen:
        for member in list(vars(value).values()):
            _instrument(member, module, seen)
    elif isinstance(value, FunctionType) and value.__module__ == module.__name__:
        if id(value) not in seen:
            seen.add(id(value))
            atheris.instrument_func(value)


def main() -> None:
    """Run libFuzzer on a target."""
    target = TARGETS[sys.argv[1]]
    for data in load(sys.argv[1]):
        target.check(data)  # imports what it needs
    count = instrument()
    print(f"{sys.argv[1]}: following {count} functions of the pure build")
    atheris.Setup([sys.argv[0], *sys.argv[2:]], target.check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
