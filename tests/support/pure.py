"""The pure build beside the compiled one, in one process."""

from __future__ import annotations

import functools
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from unittest import mock

import ropeway

PURE_NAME = "ropeway_pure"


@functools.cache
def load_pure() -> ModuleType:
    """Import the tree of ``ropeway`` a second time, as ``ropeway_pure`` and in its pure build.

    Its submodules import as ``ropeway_pure.X``; classes of the two trees are different classes.
    """
    directory = Path(ropeway.__file__).parent
    spec = importlib.util.spec_from_file_location(
        PURE_NAME, directory / "__init__.py", submodule_search_locations=[str(directory)]
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[PURE_NAME] = module
    with mock.patch.dict(os.environ, ROPEWAY_PURE="1"):
        spec.loader.exec_module(module)
    assert module.build == "pure"
    return module
