"""ropeway in the place of websockets: its modules under the other package's names.

A finder at the head of ``sys.meta_path`` answers for ``websockets`` and everything below it, also
where that package is installed: a program must never run half on one and half on the other. Below
the top level a name gives ropeway's own module object, not a copy: ``websockets.frames.Frame`` *is*
``ropeway.frames.Frame``, and an ``except`` clause written against one catches the other's.

A table says which names those are: ropeway has rooms that websockets lacks, and its ``cli`` is
another program; what answers for ``websockets.cli`` has another name. Three modules are made here,
because they say something else than ropeway's: ``websockets`` itself, with the version whose API
this is, ``websockets.version`` and ``websockets.__main__``.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType
from typing import Any

from .utils import set_logger_prefix

__all__ = ["install_as_websockets"]

ALIAS = "websockets"
COMPATIBLE = "17.4"
"""The version of websockets whose API ropeway has."""

MODULES = frozenset(
    (
        *("asyncio", "asyncio.client", "asyncio.connection", "asyncio.router", "asyncio.server"),
        *("auth", "client", "datastructures", "exceptions"),
        *("extensions", "extensions.base", "extensions.permessage_deflate"),
        *("frames", "headers", "http11", "protocol", "proxy", "server"),
        *("sync", "sync.client", "sync.connection", "sync.router", "sync.server"),
        *("trio", "trio.client", "trio.connection", "trio.router", "trio.server"),
        *("typing", "uri", "utils"),
        *("connection", "legacy", "legacy.auth", "legacy.client", "legacy.exceptions"),
        *("legacy.framing", "legacy.handshake", "legacy.http", "legacy.protocol", "legacy.server"),
        "http",  # until version 15
    )
)
"""What both packages have, with the same meaning; ``version`` and ``__main__`` are made here."""

RENAMED = {"cli": "cli.as_websockets"}
"""What has another name in ropeway."""

_OWN = __name__.rpartition(".")[0]
_OURS = frozenset(("RateLimitExceeded", "__version__", "build", "install_as_websockets"))
"""Names that ``from websockets import *`` must not bring into a program."""


def install_as_websockets() -> None:
    """Make ``import websockets`` and its submodules give ropeway's own modules, in this process.

    Call it before anything imports websockets; calling it again changes nothing. What ropeway lacks
    of websockets, and what is ropeway's alone, raises :exc:`ModuleNotFoundError`, whether
    websockets is installed or not. Loggers are called ``websockets.client`` and
    ``websockets.server`` from here on.

    Raises:
        RuntimeError: if websockets itself was imported already.
    """
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    prefix = f"{ALIAS}."
    imported = sorted(name for name in sys.modules if name == ALIAS or name.startswith(prefix))
    if imported:
        origin = getattr(sys.modules[imported[0]], "__file__", None) or "an unknown place"
        raise RuntimeError(
            f"{imported[0]} is imported already, from {origin}; "
            f"install_as_websockets() must come before the first import of {ALIAS}"
        )
    sys.meta_path.insert(0, _Finder())
    set_logger_prefix(ALIAS)


class _Finder(MetaPathFinder):
    """Answers for every name under ``websockets``, and for no other."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == ALIAS:
            return _package_spec()
        if not fullname.startswith(f"{ALIAS}."):
            return None
        if fullname == f"{ALIAS}.version":
            return ModuleSpec(fullname, _VersionLoader())
        if fullname == f"{ALIAS}.__main__":
            return ModuleSpec(fullname, _MainLoader())
        name = fullname.removeprefix(f"{ALIAS}.")
        if name not in MODULES and name not in RENAMED:
            # Not None: a finder further down could know the package that this one stands in for.
            raise ModuleNotFoundError(
                f"No module named {fullname!r}: {_OWN} stands in for {ALIAS}, "
                f"and has no such module of it in this version",
                name=fullname,
            )
        own = f"{_OWN}.{RENAMED.get(name, name)}"
        found = importlib.util.find_spec(own)
        assert found is not None
        is_package = found.submodule_search_locations is not None
        return ModuleSpec(fullname, _AliasLoader(own), origin=found.origin, is_package=is_package)


class _AliasLoader(Loader):
    """Gives the module of another name, as it is."""

    def __init__(self, own: str) -> None:
        self.own = own

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(self.own)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        # The import system has just written the alias's spec over the module's own, by which
        # reload(), pickle and multiprocessing find a module again.
        module.__spec__ = self._spec

    def get_code(self, fullname: str) -> CodeType | None:
        """Give the code to ``python -m`` and its likes, which run it under another name."""
        spec = importlib.util.find_spec(self.own)
        get_code = getattr(spec and spec.loader, "get_code", None)
        code: CodeType | None = get_code and get_code(self.own)
        return code


class _VersionLoader(Loader):
    """Fills ``websockets.version``."""

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        module.__doc__ = f"The version of {ALIAS} whose API {_OWN} has."
        vars(module).update(tag=COMPATIBLE, version=COMPATIBLE, commit=COMPATIBLE, released=True)


class _MainLoader(Loader):
    """Gives ``python -m websockets`` what it runs."""

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        exec(self.get_code(module.__name__), vars(module))

    def get_code(self, fullname: str) -> CodeType:
        source = f"from {ALIAS}.cli import main\n\nif __name__ == '__main__':\n    main()\n"
        return compile(source, f"<{fullname}>", "exec", dont_inherit=True)


class _PackageLoader(Loader):
    """Fills ``websockets``."""

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        own: Any = importlib.import_module(_OWN)
        module.__doc__ = own.__doc__
        module.__file__ = own.__file__
        vars(module).update(
            __all__=[name for name in own.__all__ if name not in _OURS],
            __version__=COMPATIBLE,
            # The function itself: through one more, its warnings would name this file as the
            # place that uses a deprecated name.
            __getattr__=own.__getattr__,
            __dir__=lambda: sorted({*vars(module), *own.__all__}),
            version=importlib.import_module(f"{ALIAS}.version"),
        )


def _package_spec() -> ModuleSpec:
    # A package without a path: no other finder can find anything in it.
    return ModuleSpec(ALIAS, _PackageLoader(), origin=__file__, is_package=True)
