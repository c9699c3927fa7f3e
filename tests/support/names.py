"""What the tests of the opening handshake take from the library under test, beyond `subject`."""

from __future__ import annotations

import pytest

from .subject import NAME, ORACLE, module

exceptions = module("exceptions")
Headers = module("datastructures").Headers
Request = module("http11").Request
Response = module("http11").Response
USER_AGENT = module("http11").USER_AGENT
SERVER = module("http11").SERVER
deflate = module("extensions.permessage_deflate")

CLIENT_LOG = f"{NAME}.client"
SERVER_LOG = f"{NAME}.server"

oracle_mishap = pytest.mark.xfail(
    ORACLE, reason="websockets 17.4 leaves an exception unhandled on the loop here", strict=False
)
