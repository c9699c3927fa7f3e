"""Under the names of websockets, ropeway's own modules; each test in an interpreter of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import ropeway
from ropeway import drop_in

from ..support.require import require_package

INSTALL = "import ropeway; ropeway.install_as_websockets()\n"

MODULES = (
    *("asyncio", "asyncio.client", "asyncio.connection", "asyncio.router", "asyncio.server"),
    *("auth", "client", "datastructures", "exceptions"),
    *("extensions", "extensions.base", "extensions.permessage_deflate"),
    *("frames", "headers", "http11", "protocol", "proxy", "server"),
    *("sync", "sync.client", "sync.connection", "sync.router", "sync.server"),
    *("trio", "trio.client", "trio.connection", "trio.router", "trio.server"),
    *("typing", "uri", "utils"),
    *("connection", "legacy", "legacy.auth", "legacy.client", "legacy.exceptions"),
    *("legacy.framing", "legacy.handshake", "legacy.http", "legacy.protocol", "legacy.server"),
)

OLDER = ("http",)
"""Not in 17.4 any more, but in versions for which programs were written."""

OTHERWISE = ("__main__", "cli")
"""In both packages, with another meaning; what answers for them is tested in test_cli."""

OURS = (
    *("demo", "demo.room", "drop_in", "_core", "_core.engine", "_build"),
    *("sync.link", "asyncio.dispatch", "nonsense", "asyncio.nonsense", "legacy.serving"),
)
"""Rooms of ropeway that websockets lacks, and names that neither has."""

LATER = ("speedups",)


def python(code: str, *options: str) -> str:
    """Run code in a new interpreter; return what it prints, stripped."""
    done = subprocess.run(
        [sys.executable, *options, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_every_module_is_ropeways_own() -> None:
    python(
        INSTALL
        + f"""
import importlib, sys
for name in {MODULES + OLDER!r}:
    alias = importlib.import_module("websockets." + name)
    own = importlib.import_module("ropeway." + name)
    assert alias is own is sys.modules["websockets." + name], name
    assert own.__name__ == own.__spec__.name == "ropeway." + name, own.__spec__
    assert importlib.util.find_spec("ropeway." + name) is own.__spec__, name
"""
    )


@pytest.mark.parametrize(
    "statement",
    [
        "import websockets.asyncio.client; found = websockets.asyncio.client",
        "from websockets.asyncio import client as found",
        "import websockets.asyncio.client as found",
        "import websockets; websockets.connect; found = websockets.asyncio.client",
        "import importlib; found = importlib.import_module('websockets.asyncio.client')",
        "import sys, websockets.asyncio.client; found = sys.modules['websockets.asyncio.client']",
    ],
)
def test_every_way_to_import_gives_it(statement: str) -> None:
    check = "import ropeway.asyncio.client\nassert found is ropeway.asyncio.client"
    python(f"{INSTALL}{statement}\n{check}")


def test_names_are_the_same_objects() -> None:
    python(
        INSTALL
        + """
import websockets, ropeway
from websockets.asyncio.client import connect
from websockets import ConnectionClosed
from websockets.exceptions import ConnectionClosed as by_module
assert connect is ropeway.connect is websockets.connect is ropeway.asyncio.client.connect
assert ConnectionClosed is by_module is ropeway.ConnectionClosed
for name in websockets.__all__:
    assert getattr(websockets, name) is getattr(ropeway, name), name
"""
    )


def test_a_star_import_brings_the_names_of_websockets() -> None:
    original = require_package("websockets").__all__
    names = python(
        f"{INSTALL}names = dict()\nexec('from websockets import *', names)\nprint(*sorted(names))"
    )
    brought = set(names.split()) - {"__builtins__"}
    later = {name for name in original if name not in ropeway.__all__}
    assert brought == set(original) - later
    assert len(brought) == 66


def test_it_says_which_version_it_stands_for() -> None:
    printed = python(
        INSTALL
        + """
import websockets, websockets.version
from websockets.version import tag, commit, version
print(websockets.__version__, websockets.version.version, tag, commit, version,
      websockets.version.released, ropeway.__version__, ropeway.version.version)
"""
    )
    assert printed == f"17.4 17.4 17.4 17.4 17.4 True {ropeway.__version__} {ropeway.__version__}"


@pytest.mark.parametrize("name", LATER)
def test_what_does_not_exist_yet_is_not_found(name: str) -> None:
    """Also where websockets is installed, as it is for these tests."""
    printed = python(
        INSTALL
        + f"""
import websockets
try:
    import websockets.{name}
except ModuleNotFoundError as exc:
    print(exc, exc.name, sep="|")
"""
    )
    first = f"websockets.{name.partition('.')[0]}"
    message, missing = printed.split("|")
    assert message.startswith(f"No module named {first!r}: ropeway stands in for websockets")
    assert missing == first


@pytest.mark.parametrize("name", OURS)
def test_what_websockets_has_not_is_not_found(name: str) -> None:
    printed = python(
        INSTALL
        + f"""
import importlib, ropeway.cli
try:
    importlib.import_module("websockets.{name}")
except ModuleNotFoundError as exc:
    print(exc, exc.name, sep="|")
"""
    )
    # What lies below a package that isn't there fails at the package.
    missing = name if name.startswith(("asyncio.", "legacy.", "sync.")) else name.partition(".")[0]
    first = f"websockets.{missing}"
    assert printed == (
        f"No module named {first!r}: ropeway stands in for websockets, "
        f"and has no such module of it in this version|{first}"
    )


def test_the_table_names_what_both_packages_have() -> None:
    def modules(package: ModuleType) -> set[str]:
        root = Path(package.__path__[0])
        files = (path.relative_to(root).with_suffix("") for path in root.rglob("*.py"))
        return {".".join(path.parts).removesuffix(".__init__") for path in files}

    both = modules(require_package("websockets")) & modules(ropeway)
    assert set(MODULES) == both - {*OTHERWISE, "__init__", "version"}
    assert {*MODULES, *OLDER} == drop_in.MODULES


def test_a_name_that_does_not_exist_cannot_be_imported() -> None:
    printed = python(
        INSTALL
        + """
import websockets
for name in "speedups", "demo", "nonsense":
    statement = f"from websockets import {name}"
    try:
        exec(statement)
    except ImportError as exc:
        print(type(exc).__name__, exc.name)
print(*(hasattr(websockets, name) for name in ("nonsense", "speedups", "drop_in")))
"""
    )
    assert printed.splitlines() == ["ImportError websockets"] * 3 + ["False False False"]


def test_nothing_is_read_from_an_installed_websockets(tmp_path: Path) -> None:
    """Not even from one that stands first on the path."""
    for name in ("__init__.py", "exceptions.py", "sync.py"):
        path = tmp_path / "websockets" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("raise SystemExit('the other websockets was imported')")
    python(
        f"""
import sys; sys.path.insert(0, {str(tmp_path)!r})
{INSTALL}
import websockets, websockets.exceptions
try:
    import websockets.sync
except ModuleNotFoundError:
    pass
assert not any(name.startswith(sys.path[0]) for name in map(str, sys.modules.values()))
"""
    )


def test_once_is_enough_and_twice_does_no_harm() -> None:
    python(
        INSTALL
        + """
import sys
import websockets.frames
before, path = websockets.frames, list(sys.meta_path)
ropeway.install_as_websockets()
import websockets.frames
assert websockets.frames is before
assert sys.meta_path == path
"""
    )


@pytest.mark.parametrize(
    "first", ["websockets", "websockets.exceptions", "websockets.asyncio.client"]
)
def test_it_must_come_first(first: str) -> None:
    origin = require_package("websockets").__file__
    printed = python(
        f"""
import {first}, ropeway, sys
path = list(sys.meta_path)
try:
    ropeway.install_as_websockets()
except RuntimeError as exc:
    print(exc)
assert sys.meta_path == path
assert {first}.__name__ == {first!r}
assert ropeway.utils.logger_name("client") == "ropeway.client"
"""
    )
    assert printed == (
        f"websockets is imported already, from {origin}; "
        "install_as_websockets() must come before the first import of websockets"
    )


def test_loggers_change_their_names() -> None:
    printed = python(
        """
import ropeway
print(ropeway.utils.logger_name("client"))
ropeway.install_as_websockets()
print(ropeway.utils.logger_name("client"), ropeway.utils.logger_name("server"))
from websockets.protocol import Protocol, Side
print(Protocol(Side.CLIENT).logger.name, Protocol(Side.SERVER).logger.name)
"""
    )
    assert printed.split() == ["ropeway.client"] + ["websockets.client", "websockets.server"] * 2


def test_modules_can_be_reloaded() -> None:
    python(
        INSTALL
        + """
import importlib, sys, websockets, websockets.version, websockets.uri
assert importlib.reload(websockets) is websockets is sys.modules["websockets"]
assert importlib.reload(websockets.version).version == "17.4"
assert importlib.reload(websockets.uri) is websockets.uri is sys.modules["ropeway.uri"]
assert websockets.uri.__spec__.name == "ropeway.uri"
assert websockets.uri.parse_uri("ws://localhost/").port == 80
"""
    )


def test_objects_can_be_pickled_and_their_source_read() -> None:
    python(
        INSTALL
        + """
import inspect, pickle
from websockets import Close, ConnectionClosedError, Headers
error = ConnectionClosedError(Close(1011, "no"), None)
for item in error, Headers(Host="localhost"), ConnectionClosedError:
    again = pickle.loads(pickle.dumps(item))
    assert str(again) == str(item), item
# What the other package pickled, under its names.
assert pickle.loads(b"cwebsockets.frames\\nClose\\n.") is Close
import websockets.uri
assert "def parse_uri" in inspect.getsource(websockets.uri.parse_uri)
assert inspect.getmodule(websockets.uri.parse_uri) is websockets.uri
"""
    )


def test_a_deprecated_name_is_blamed_on_the_program() -> None:
    python(
        INSTALL
        + """
import warnings, websockets
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    assert websockets.WebSocketServer is ropeway.legacy.server.WebSocketServer
assert [str(warning.message) for warning in caught] == ["WebSocketServer is deprecated; use Server"]
assert caught[0].filename == "<string>", caught[0].filename
"""
    )


def test_floor_0_needs_no_event_library() -> None:
    python(
        INSTALL
        + """
import sys, websockets.exceptions, websockets.frames, websockets.version
assert "asyncio" not in sys.modules
"""
    )
