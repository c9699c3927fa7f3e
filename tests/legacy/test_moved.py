"""Old names: each gives what it always gave, with one warning that says what to use."""

from __future__ import annotations

import importlib
import subprocess
import sys
import warnings
from typing import Any

import pytest
import websockets

import ropeway
from ropeway import _moved

from ..support.subject import only_ropeway
from . import names

pytestmark = only_ropeway

HANDLERS = "a Response that process_request returns"

MOVED = {
    "": {
        "AbortHandshake": ("legacy.exceptions.AbortHandshake", HANDLERS),
        "BasicAuthWebSocketServerProtocol": (
            "legacy.auth.BasicAuthWebSocketServerProtocol",
            "basic_auth",
        ),
        "InvalidStatusCode": ("legacy.exceptions.InvalidStatusCode", "InvalidStatus"),
        "RedirectHandshake": ("legacy.exceptions.RedirectHandshake", "connect.process_redirect"),
        "WebSocketClientProtocol": ("legacy.client.WebSocketClientProtocol", "ClientConnection"),
        "WebSocketCommonProtocol": (
            "legacy.protocol.WebSocketCommonProtocol",
            "ropeway.asyncio.connection.Connection",
        ),
        "WebSocketProtocolError": ("exceptions.ProtocolError", "ProtocolError"),
        "WebSocketServer": ("legacy.server.WebSocketServer", "Server"),
        "WebSocketServerProtocol": ("legacy.server.WebSocketServerProtocol", "ServerConnection"),
        "basic_auth_protocol_factory": ("legacy.auth.basic_auth_protocol_factory", "basic_auth"),
        # Before version 9.
        "WebSocketURI": ("uri.WebSocketURI", "ropeway.uri.WebSocketURI"),
        "framing": ("legacy.framing", "ropeway.frames"),
        "handshake": ("legacy.handshake", "ClientProtocol and ServerProtocol"),
        "parse_uri": ("uri.parse_uri", "ropeway.uri.parse_uri"),
    },
    "auth": {
        name: (f"legacy.auth.{name}", "ropeway.asyncio.server.basic_auth")
        for name in ("BasicAuthWebSocketServerProtocol", "basic_auth_protocol_factory")
    },
    "client": {
        "ClientConnection": ("client.ClientProtocol", "ropeway.client.ClientProtocol"),
        "WebSocketClientProtocol": (
            "legacy.client.WebSocketClientProtocol",
            "ropeway.asyncio.client.ClientConnection",
        ),
        "connect": ("legacy.client.connect", "ropeway.asyncio.client.connect"),
        "unix_connect": ("legacy.client.unix_connect", "ropeway.asyncio.client.unix_connect"),
    },
    "server": {
        "ServerConnection": ("server.ServerProtocol", "ropeway.server.ServerProtocol"),
        "WebSocketServer": ("legacy.server.WebSocketServer", "ropeway.asyncio.server.Server"),
        "WebSocketServerProtocol": (
            "legacy.server.WebSocketServerProtocol",
            "ropeway.asyncio.server.ServerConnection",
        ),
        **{
            name: (f"legacy.server.{name}", f"ropeway.asyncio.server.{name}")
            for name in ("broadcast", "serve", "unix_serve")
        },
    },
    "exceptions": {
        "AbortHandshake": ("legacy.exceptions.AbortHandshake", HANDLERS),
        "InvalidStatusCode": (
            "legacy.exceptions.InvalidStatusCode",
            "ropeway.exceptions.InvalidStatus",
        ),
        "RedirectHandshake": (
            "legacy.exceptions.RedirectHandshake",
            "ropeway.asyncio.client.connect.process_redirect",
        ),
        "WebSocketProtocolError": (
            "exceptions.ProtocolError",
            "ropeway.exceptions.ProtocolError",
        ),
    },
    "protocol": {
        "WebSocketCommonProtocol": (
            "legacy.protocol.WebSocketCommonProtocol",
            "ropeway.asyncio.connection.Connection",
        ),
        "broadcast": ("legacy.protocol.broadcast", "ropeway.asyncio.server.broadcast"),
    },
    "headers": {
        f"{name}_list": (f"headers.{name}", f"ropeway.headers.{name}")
        for name in ("build_extension", "build_subprotocol", "parse_extension", "parse_subprotocol")
    },
    "frames": {
        **{
            f"OP_{name}": (f"frames.Opcode.{name}", f"ropeway.frames.Opcode.{name}")
            for name in ("CONT", "TEXT", "BINARY", "CLOSE", "PING", "PONG")
        },
        **{
            name: (f"legacy.framing.{name}", "str.encode and bytes")
            for name in ("prepare_data", "prepare_ctrl")
        },
    },
    "asyncio.connection": {
        "broadcast": ("asyncio.server.broadcast", "ropeway.asyncio.server.broadcast")
    },
    "asyncio.server": {
        "WebSocketServer": ("asyncio.server.Server", "ropeway.asyncio.server.Server")
    },
    "sync.connection": {"broadcast": ("sync.server.broadcast", "ropeway.sync.server.broadcast")},
    "sync.server": {"WebSocketServer": ("sync.server.Server", "ropeway.sync.server.Server")},
}
CASES = [
    pytest.param(module, name, *found, id=f"{module}.{name}")
    for module, moved in MOVED.items()
    for name, found in moved.items()
]


def load(path: str) -> Any:
    """Give what a dotted path below ``ropeway`` stands for."""
    found: Any = ropeway
    for part in path.split("."):
        found = getattr(found, part)
    return found


def printed_by(program: str) -> list[str]:
    """Run a program in an interpreter of its own; return the lines that it prints."""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


@pytest.mark.parametrize(("module", "name", "home", "new"), CASES)
def test_an_old_name(module: str, name: str, home: str, new: str) -> None:
    full = f"ropeway.{module}".rstrip(".")
    owner = importlib.import_module(full)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = getattr(owner, name)
    assert found is load(home)
    text = f"{f'{full}.' if module else ''}{name} is deprecated; use {new}"
    assert [str(warning.message) for warning in caught] == [text]
    assert caught[0].category is DeprecationWarning
    assert caught[0].filename == __file__


def test_whatever_websockets_gives_by_an_old_name_is_among_them() -> None:
    """The names that only ``dir()`` tells of, since they come into being when asked for."""
    old = {
        (module, name)
        for module in ("", *(name for name in MOVED if name not in ("", "auth")))
        for name in hidden(importlib.import_module(f"websockets.{module}".rstrip(".")))
    }
    assert ("client", "connect") in old
    assert ("", "InvalidStatusCode") in old
    assert old <= {(module, name) for module, moved in MOVED.items() for name in moved}


def hidden(module: Any) -> set[str]:
    listed = module.__dir__() if "__dir__" in vars(module) else ()
    shown = websockets.__all__ if module is websockets else ()
    return set(listed) - set(vars(module)) - set(shown)


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("legacy", "ropeway.legacy is deprecated; use ropeway.asyncio"),
        (
            "connection",
            "ropeway.connection is deprecated; use ropeway.protocol, where Connection is Protocol",
        ),
        ("http", "ropeway.http is deprecated; use ropeway.http11 and ropeway.datastructures"),
    ],
)
@pytest.mark.parametrize("package", ["ropeway", "websockets"])
def test_an_old_module(package: str, module: str, text: str) -> None:
    """Where it is imported under its name, the warning stands at the line that does it."""
    program = f"""
import warnings
import ropeway
if {package!r} == "websockets":
    ropeway.install_as_websockets()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import {package}.{module}
print(*(warning.message for warning in caught), sep="\\n")
assert {package!r} == "websockets" or caught[0].filename == "<string>", caught[0]
"""
    assert printed_by(program) == [text]


def test_an_old_name_of_a_module_that_is_not_loaded_warns_once() -> None:
    program = """
import sys, warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    from ropeway import WebSocketServerProtocol
print(*{str(warning.message) for warning in caught}, sep="\\n")
assert {warning.filename for warning in caught} == {"<string>"}, caught
"""
    assert printed_by(program) == ["WebSocketServerProtocol is deprecated; use ServerConnection"]


def test_the_names_of_old_modules() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        connection = importlib.import_module("ropeway.connection")
        http = importlib.import_module("ropeway.http")
    assert connection.Connection is ropeway.Protocol
    assert (connection.State, connection.Side) == (ropeway.State, ropeway.Side)
    assert connection.SEND_EOF == b""
    assert http.Headers is ropeway.Headers
    assert http.MultipleValuesError is ropeway.MultipleValuesError
    for name in ("read_request", "read_response"):
        with pytest.warns(DeprecationWarning, match=f"^ropeway.http.{name} is deprecated; use "):
            assert getattr(http, name) is getattr(names.http, name)


@pytest.mark.parametrize("module", ["client", "exceptions", "headers", "asyncio.connection"])
def test_a_name_that_never_was(module: str) -> None:
    owner = importlib.import_module(f"ropeway.{module}")
    with pytest.raises(AttributeError, match=rf"'ropeway\.{module}' has no attribute 'nonsense'"):
        owner.nonsense  # noqa: B018


def test_the_legacy_modules_have_the_names_of_websockets() -> None:
    for module in ("auth", "client", "exceptions", "framing", "handshake", "http", "server"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            theirs = importlib.import_module(f"websockets.legacy.{module}")
        ours = importlib.import_module(f"ropeway.legacy.{module}")
        own = {
            name
            for name, value in vars(theirs).items()
            if getattr(value, "__module__", None) == theirs.__name__ and not name.startswith("_")
        }
        undocumented = {"d", "read_headers", "read_line"}
        assert {name for name in own if not hasattr(ours, name)} <= undocumented


def test_a_home_may_be_a_module_or_a_name_in_it() -> None:
    assert _moved.load("frames:Opcode.TEXT", "OP_TEXT") is ropeway.Opcode.TEXT
    assert _moved.load("frames:", "framing") is ropeway.frames
    assert _moved.load("uri", "parse_uri") is ropeway.uri.parse_uri
