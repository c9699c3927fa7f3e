"""``ropeway run``: a program that was written for websockets, unchanged, on ropeway.

It sees what ``python script.py`` would have shown it: its ``sys.argv``, its folder at the head of
``sys.path``, a ``__main__`` that stays until the interpreter ends; and whoever starts it sees the
exit code and the traceback of Python, without a line of this file.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import os
import pkgutil
import sys
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import CodeType, ModuleType, TracebackType
from typing import Any, NoReturn

__all__ = ["add_parser", "execute"]

DESCRIPTION = """\
Runs a Python program with ropeway in the place of websockets: whatever it imports from websockets
comes from ropeway, whether websockets is installed or not. Otherwise it runs as under python.

Processes that the program starts are not changed, unless it forks them.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe ``ropeway run``."""
    parser = commands.add_parser(
        "run",
        help="run a program written for websockets on ropeway",
        usage="ropeway run [-h] (-m module | script) [args ...]",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    # Each takes all the rest: the options in it are the program's.
    parser.add_argument(
        "-m",
        dest="module",
        nargs=argparse.REMAINDER,
        help="a module to run, by the name that import takes, and its arguments",
    )
    parser.add_argument(
        "program",
        metavar="script",
        nargs=argparse.REMAINDER,
        help="a file, or a folder or archive with a __main__.py, and its arguments",
    )
    parser.set_defaults(execute=execute, parser=parser)


def execute(options: argparse.Namespace) -> int:
    """Put ropeway in the place of websockets and run the program.

    Args:
        options: as :func:`add_parser` describes them.

    Returns:
        0, when the program has come to its end.

    Raises:
        BaseException: whatever the program raises; what ends the process is printed without the
            frames that lead to the program.
    """
    from ..drop_in import install_as_websockets

    if not (options.module or options.program):
        options.parser.error("a script or -m module is required")
    install_as_websockets()
    if options.module:
        name, *sys.argv[1:] = options.module
        code, module = _from_module(name)
    else:
        sys.argv[:] = options.program
        code, module = _from_path(options.program[0])
    sys.modules["__main__"] = module
    try:
        exec(code, vars(module))
    except BaseException as exc:
        _hide_frames(exc.__traceback__)
        raise
    return 0


# Where a program is


def _from_path(path: str) -> tuple[CodeType, ModuleType]:
    """Load a script, or ``__main__`` of a folder or an archive, as ``python path`` does."""
    importer = pkgutil.get_importer(os.path.realpath(path))
    spec = importer.find_spec("__main__") if importer is not None else None
    if spec is not None:
        _put_first(os.path.abspath(path))
        return _get_code(spec), _main_module(spec, package="")
    full = os.path.join(os.getcwd(), path)
    try:
        with io.open_code(full) as file:
            source = file.read()
    except OSError as exc:
        _fail(f"can't open file {full!r}: [Errno {exc.errno}] {exc.strerror}", 2)
    _put_first(os.path.dirname(os.path.realpath(path)))
    module = ModuleType("__main__", None)
    loader = SourceFileLoader("__main__", full)
    vars(module).update(__file__=full, __loader__=loader, __cached__=None, __annotations__={})
    return _compile(source, full), module


def _compile(source: bytes, path: str) -> CodeType:
    try:
        return compile(source, path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as exc:
        _hide_frames(None)
        raise exc.with_traceback(None) from None


def _from_module(name: str) -> tuple[CodeType, ModuleType]:
    """Load a module, or ``__main__`` of a package, as ``python -m name`` does."""
    _put_first(os.getcwd())
    sys.argv[0] = "-m"  # what a parent package sees that is imported on the way
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            package, spec = name, importlib.util.find_spec(f"{name}.__main__")
            if spec is None:
                _fail(
                    f"No module named {package}.__main__; {package!r} is a package and cannot be "
                    "directly executed",
                    1,
                )
    except (ModuleNotFoundError, ValueError) as exc:
        _fail(
            f"Error while finding module specification for {name!r} ({type(exc).__name__}: {exc})",
            1,
        )
    if spec is None:
        _fail(f"No module named {name}", 1)
    sys.argv[0] = spec.origin or name
    return _get_code(spec), _main_module(spec, package=spec.parent)


def _get_code(spec: ModuleSpec) -> CodeType:
    get_code: Any = getattr(spec.loader, "get_code", None)
    code = get_code and get_code(spec.name)
    if not isinstance(code, CodeType):
        _fail(f"No code object available for {spec.name}", 1)
    return code


def _main_module(spec: ModuleSpec, package: str | None) -> ModuleType:
    module = ModuleType("__main__", None)
    vars(module).update(
        __file__=spec.origin,
        __cached__=spec.cached,
        __loader__=spec.loader,
        __spec__=spec,
        __package__=package,
        __annotations__={},
    )
    return module


def _put_first(folder: str) -> None:
    """Replace the folder of ``ropeway`` itself, at the head of ``sys.path``, with the program's."""
    if not sys.flags.safe_path:
        sys.path[0] = folder


# How it ends


def _fail(message: str, status: int) -> NoReturn:
    print(f"ropeway run: {message}", file=sys.stderr)
    raise SystemExit(status)


def _hide_frames(traceback: TracebackType | None) -> None:
    """Have what ends the process printed as if this module were not on the stack.

    Wraps the hook that is in place at the end, so that a hook of the program's still has its say.

    Args:
        traceback: where it was caught here; the frames of the program come after the first.
    """
    hook = sys.excepthook
    rest = None if traceback is None else traceback.tb_next

    def print_rest(
        kind: type[BaseException], exc: BaseException, whole: TracebackType | None
    ) -> None:
        hook(kind, exc.with_traceback(rest), rest)

    sys.excepthook = print_rest
