"""A WebSocket server on sanic; the first line of output is its port."""

import asyncio
import socket
import sys

from sanic import Request, Sanic, Websocket
from sanic.exceptions import Forbidden

# Its logs have times and numbers of processes in them.
app = Sanic("ropeway", configure_logging=False)
app.config.WEBSOCKET_PING_INTERVAL = 20
app.config.WEBSOCKET_MAX_SIZE = 2**20
# Without it sanic's own pages would be in another format for each peer.
app.config.FALLBACK_ERROR_FORMAT = "text"


def say(*words: object) -> None:
    print(*words, flush=True)


@app.websocket("/echo")
async def echo(request: Request, ws: Websocket) -> None:
    async for message in ws:
        await ws.send(message)
    say("echo is over")


@app.websocket("/pieces")
async def pieces(request: Request, ws: Websocket) -> None:
    got = [piece async for piece in ws.recv_streaming()]
    say("streamed:", "".join(got))
    await ws.send("one two three")
    say("then:", await ws.recv(timeout=20), await ws.recv(timeout=20))


@app.websocket("/waiting")
async def waiting(request: Request, ws: Websocket) -> None:
    say("nothing yet:", await ws.recv(timeout=0.05))
    await asyncio.wait_for(await ws.ping(b"there?"), 20)
    say("pong received")
    await ws.send("pinged")
    say("then:", await ws.recv(timeout=20))


@app.websocket("/chat", subprotocols=["chat.v2", "chat.v1"])
async def chat(request: Request, ws: Websocket) -> None:
    await ws.send(f"{ws.subprotocol} {request.args.get('room')} {request.headers['X-Rider']}")


@app.websocket("/close")
async def close(request: Request, ws: Websocket) -> None:
    await ws.close(4000, "enough")
    say("closed:", ws.ws_proto.close_code, ws.ws_proto.close_reason)


@app.websocket("/fail")
async def fail(request: Request, ws: Websocket) -> None:
    await ws.recv()
    raise RuntimeError("this handler fails on purpose")


@app.websocket("/forbidden")
async def forbidden(request: Request, ws: Websocket) -> None:
    raise AssertionError("the middleware has refused")


@app.on_request
async def guard(request: Request) -> None:
    if request.path == "/forbidden":
        raise Forbidden("no way up")


if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", 0))
    say(listener.getsockname()[1])
    app.run(sock=listener, single_process=True, access_log=False, motd=False, debug=False)
    sys.exit(0)
