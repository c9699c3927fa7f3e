"""Run the application on uvicorn's sans-I/O implementation, over the library of the first argument.

The second argument has settings of uvicorn as JSON. The first line of output is JSON too: the port,
and where the protocol class that uvicorn uses comes from.
"""

from __future__ import annotations

import importlib
import json
import socket
import sys


def main(subject: str, settings: str) -> None:
    if subject == "ropeway":
        importlib.import_module("ropeway").install_as_websockets()

    import uvicorn
    from app import app
    from uvicorn.protocols.websockets import websockets_sansio_impl

    config = uvicorn.Config(
        app, ws="websockets-sansio", lifespan="off", log_level="error", **json.loads(settings)
    )
    listener = socket.create_server(("127.0.0.1", 0))
    ready = {
        "port": listener.getsockname()[1],
        "module": websockets_sansio_impl.ServerProtocol.__module__,
    }
    # uvicorn starts to accept after this line; until then the kernel keeps the connections.
    print(json.dumps(ready), flush=True)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
