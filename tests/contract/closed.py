"""What a connection is like once it is closed."""

from __future__ import annotations

from typing import Any

import pytest

from ..support.subject import (
    ConnectionClosed,
    State,
)


async def assert_closed(ws: Any, kind: type[Exception], text: str) -> None:
    """Check what every operation gives on a connection that is closed."""
    assert ws.state is State.CLOSED
    await ws.wait_closed()
    for operation in (
        lambda: ws.recv(),
        lambda: ws.send("x"),
        lambda: ws.send(["x"]),
        lambda: ws.ping(),
        lambda: ws.pong(),
        # In websockets a stream that ends like this blocks later calls, so it comes last.
        lambda: anext(ws.recv_streaming()),
    ):
        with pytest.raises(ConnectionClosed) as raised:
            await operation()
        assert type(raised.value) is kind
        assert str(raised.value) == text
    assert await ws.close() is None
    assert await ws.close(1001, "again") is None
