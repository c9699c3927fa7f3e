"""Run the application on uvicorn, over the library of the first argument.

The second argument says which of uvicorn's implementations of WebSockets to use: websockets-sansio,
or websockets, which stands on the legacy API. The third has settings of uvicorn as JSON. The first
line of output is JSON too: the port, and where the class that uvicorn builds upon comes from.
"""

from __future__ import annotations

import importlib
import json
import socket
import sys
import warnings


def main(subject: str, implementation: str, settings: str) -> None:
    if subject == "ropeway":
        importlib.import_module("ropeway").install_as_websockets()

    import uvicorn
    from app import app

    # Both are deprecated: the legacy API, and uvicorn's use of it.
    warnings.simplefilter("ignore", DeprecationWarning)
    name = f"{implementation.replace('-', '_')}_impl"
    used = importlib.import_module(f"uvicorn.protocols.websockets.{name}")
    base = getattr(used, "ServerProtocol", None) or used.WebSocketServerProtocol
    config = uvicorn.Config(
        app, ws=implementation, lifespan="off", log_level="error", **json.loads(settings)
    )
    listener = socket.create_server(("127.0.0.1", 0))
    ready = {
        "port": listener.getsockname()[1],
        "module": base.__module__,
    }
    # uvicorn starts to accept after this line; until then the kernel keeps the connections.
    print(json.dumps(ready), flush=True)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main(*sys.argv[1:])
