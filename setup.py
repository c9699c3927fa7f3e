"""The compiled half of the build; pyproject.toml holds everything else.

Every ``X.pxd`` under src/ropeway with an ``X.py`` or ``X.pyx`` beside it names a compiled module.

``ROPEWAY_BUILD_PURE=1`` leaves them all out and makes a wheel for any interpreter. Without it, an
extension that does not compile fails the build: a user who gets a wheel gets what it says.
``ROPEWAY_WERROR=1`` turns the warnings of Cython and of the C compiler into errors; it is for
those who work on the project, so that a newer compiler never breaks an installation.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).parent
SOURCES = ROOT / "src"

DIRECTIVES = {
    "language_level": 3,
    "annotation_typing": False,
    "binding": True,
    "embedsignature": False,
    # Lists of the core are indexed with -1 and may be empty; the hot loops index C pointers,
    # which are never checked.
    "boundscheck": True,
    "wraparound": True,
    "cdivision": True,
}

# No warning is left out: the C that Cython 3 writes raises none of these.
GCC_FLAGS = ["-O2", "-Wall", "-Wextra"]
# Its loops over payloads gain from being vectorised; everything else would only get larger.
GCC_FLAGS_OF_KERNELS = ["-O3", "-Wall", "-Wextra"]
KERNELS = "ropeway._wire.kernels"


def asked_for(variable: str) -> bool:
    """Read a switch, 0 or 1; anything else is refused rather than guessed at."""
    value = os.environ.get(variable, "0")
    if value not in ("0", "1"):
        raise SystemExit(f"{variable} is {value!r}, neither 0 nor 1")
    return value == "1"


def extensions() -> list[Extension]:
    """List the compiled modules: the empty list for a pure build."""
    # PyPy's own compiler is faster on the Python sources than on its emulation of the C API.
    if asked_for("ROPEWAY_BUILD_PURE") or platform.python_implementation() != "CPython":
        return []
    import Cython.Compiler.Options
    from Cython.Build import cythonize

    Cython.Compiler.Options.warning_errors = asked_for("ROPEWAY_WERROR")
    headers = [str(path.relative_to(ROOT)) for path in SOURCES.rglob("*.h")]
    modules = []
    for declarations in sorted(SOURCES.rglob("*.pxd")):
        for source in (declarations.with_suffix(".pyx"), declarations.with_suffix(".py")):
            if source.exists():
                name = ".".join(source.relative_to(SOURCES).with_suffix("").parts)
                modules.append(
                    Extension(name, [str(source.relative_to(ROOT))], depends=[*headers, "setup.py"])
                )
                break
    if not modules:
        raise SystemExit("nothing to compile: no .pxd with a source beside it under src")
    return cythonize(
        modules,
        build_dir="build/cython",
        include_path=["src"],
        compiler_directives=DIRECTIVES,
    )


class BuildExtensions(build_ext):
    """Adds the flags of the compiler at hand, which is known only by now; uses every core."""

    def finalize_options(self) -> None:
        super().finalize_options()
        if self.parallel is None:
            self.parallel = True

    def build_extensions(self) -> None:
        msvc = self.compiler.compiler_type == "msvc"
        strict = asked_for("ROPEWAY_WERROR")
        for extension in self.extensions:
            if msvc:
                flags = ["/O2", *(["/WX"] if strict else [])]
            else:
                chosen = GCC_FLAGS_OF_KERNELS if extension.name == KERNELS else GCC_FLAGS
                flags = [*chosen, *(["-Werror"] if strict else [])]
            extension.extra_compile_args = flags
            # The C file lies in the build directory, the headers beside the Python source.
            extension.include_dirs = [str(path) for path in sorted(header_directories())]
        super().build_extensions()


def header_directories() -> set[Path]:
    return {header.parent.relative_to(ROOT) for header in SOURCES.rglob("*.h")}


setup(ext_modules=extensions(), cmdclass={"build_ext": BuildExtensions})
