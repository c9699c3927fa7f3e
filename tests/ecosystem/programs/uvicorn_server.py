"""A Starlette application on uvicorn; the first line of output is its port.

The argument says on which of uvicorn's implementations: websockets-sansio, or websockets, which
stands on the legacy API. The application is the one of the tests of ropeway with uvicorn.
"""

import logging
import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "interop" / "asgi"))

import uvicorn
from app import app

listener = socket.create_server(("127.0.0.1", 0))
config = uvicorn.Config(
    app, ws=sys.argv[1], lifespan="off", log_level="info", ws_max_size=2**20, log_config=None
)


class Lines(logging.Handler):
    """Keeps what uvicorn logs of connections: what a person in front of it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if "WebSocket" in text or "connection" in text:
            self.lines.append(text.partition(" - ")[2] or text)  # without the address


class Server(uvicorn.Server):
    """Shows what was logged at the end: which of two connections ends first is chance."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        print(*sorted(lines.lines), sep="\n", flush=True)


lines = Lines()
for name in ("uvicorn.error", "uvicorn.access"):
    logging.getLogger(name).addHandler(lines)

print(listener.getsockname()[1], flush=True)
Server(config).run(sockets=[listener])
