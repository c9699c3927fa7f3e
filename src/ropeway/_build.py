"""The switch between the compiled and the pure build; the first thing that the package imports.

Extension modules lie beside the sources they were compiled from, so one tree holds both builds.
``ROPEWAY_PURE=1`` asks for the pure one, ``ROPEWAY_PURE=0`` demands the compiled one; unset, the
compiled one runs where it was built. There is no third way: a build that was asked for and is not
there, or an extension that cannot be loaded, is an ImportError.

Everything is keyed by the name under which the package is imported, which need not be
``ropeway``: the tests import the tree a second time, to have both builds in one process.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    ModuleSpec,
    PathFinder,
    SourceFileLoader,
)
from types import ModuleType
from typing import Literal

__all__ = ["SourceOnlyFinder", "build", "choose", "uncompiled"]

Build = Literal["compiled", "pure"]


class SourceOnlyFinder:
    """Finds the submodules of one package in their sources, past the extensions beside them."""

    def __init__(self, package: str) -> None:
        self.prefix = f"{package}."

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(self.prefix):
            return None
        found = PathFinder.find_spec(fullname, path, target)
        if found is None or not isinstance(found.loader, ExtensionFileLoader):
            return None
        for entry in path or ():
            source = FileFinder(entry, (SourceFileLoader, [".py"])).find_spec(fullname, target)
            if source is not None and source.loader is not None:
                return source
        # Not ModuleNotFoundError, which `from package import name` would swallow.
        raise ImportError(
            f"{fullname} exists in the compiled build only, and the pure one runs", name=fullname
        )


def choose(package: str, directory: str) -> Build:
    """Choose the build of the package that lies in ``directory``; see the module for the rule.

    Raises:
        ImportError: if the compiled build is demanded and incomplete, or ``ROPEWAY_PURE`` says
            neither 0 nor 1.
    """
    wish = os.environ.get("ROPEWAY_PURE", "")
    if wish not in ("", "0", "1"):
        raise ImportError(f"ROPEWAY_PURE is {wish!r}, neither 0 (compiled) nor 1 (pure)")
    missing = None if wish == "1" else uncompiled(directory)
    if missing == []:
        return "compiled"
    if wish == "0":
        raise ImportError(
            f"ROPEWAY_PURE=0 demands the compiled build of {package}, but for this Python "
            f"({EXTENSION_SUFFIXES[0]}) it lacks {', '.join(missing or ())} in {directory}"
        )
    sys.meta_path.insert(0, SourceOnlyFinder(package))
    return "pure"


def uncompiled(directory: str) -> list[str]:
    """List the modules that should be compiled and are not; never empty where none was meant to."""
    modules = list(_compilable(directory, ""))
    missing = [name for name, path in modules if not _has_extension(path)]
    return missing if modules else ["every compiled module"]


def _compilable(directory: str, prefix: str) -> Iterator[tuple[str, str]]:
    """Yield the name and the path without suffix of each .pxd that has a source beside it."""
    with os.scandir(directory) as entries:
        listing = sorted((entry.name, entry.is_dir()) for entry in entries)
    names = {name for name, _ in listing}
    for name, is_directory in listing:
        stem, suffix = os.path.splitext(name)
        if is_directory and name.isidentifier() and name != "__pycache__":
            yield from _compilable(os.path.join(directory, name), f"{prefix}{name}.")
        elif suffix == ".pxd" and not names.isdisjoint((f"{stem}.py", f"{stem}.pyx")):
            yield prefix + stem, os.path.join(directory, stem)


def _has_extension(path: str) -> bool:
    return any(os.path.exists(path + suffix) for suffix in EXTENSION_SUFFIXES)


build: Build = choose(__package__ or "ropeway", os.path.dirname(os.path.abspath(__file__)))
