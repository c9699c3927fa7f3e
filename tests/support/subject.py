"""The library under test, by the names that a program imports.

ropeway by default. ``ROPEWAY_TEST_SUBJECT=websockets`` runs the same tests on websockets, whose
behaviour ropeway promises to keep: a contract test that fails there does not state the contract.
"""

from __future__ import annotations

import importlib
import os
from types import ModuleType

import pytest

NAME = os.environ.get("ROPEWAY_TEST_SUBJECT", "ropeway")
ORACLE = NAME == "websockets"

only_ropeway = pytest.mark.skipif(ORACLE, reason="ropeway adds this, or differs on purpose")


def module(path: str = "") -> ModuleType:
    """Import a module of the library under test, such as ``asyncio.client``."""
    return importlib.import_module(f"{NAME}.{path}" if path else NAME)


_client = module("asyncio.client")
_server = module("asyncio.server")
_exceptions = module("exceptions")
_frames = module("frames")
_protocol = module("protocol")

connect = _client.connect
unix_connect = _client.unix_connect
ClientConnection = _client.ClientConnection

serve = _server.serve
unix_serve = _server.unix_serve
broadcast = _server.broadcast
basic_auth = _server.basic_auth
Server = _server.Server
ServerConnection = _server.ServerConnection

ConnectionClosed = _exceptions.ConnectionClosed
ConnectionClosedOK = _exceptions.ConnectionClosedOK
ConnectionClosedError = _exceptions.ConnectionClosedError
ConcurrencyError = _exceptions.ConcurrencyError
InvalidURI = _exceptions.InvalidURI
PayloadTooBig = _exceptions.PayloadTooBig
ProtocolError = _exceptions.ProtocolError
SecurityError = _exceptions.SecurityError
TooManyFragments = _exceptions.TooManyFragments
WebSocketException = _exceptions.WebSocketException

Close = _frames.Close
CloseCode = _frames.CloseCode
Opcode = _frames.Opcode
State = _protocol.State
