"""Measure the latency to a server that breaks off; python latency.py URI."""

import asyncio
import sys

import websockets
from websockets import ConnectionClosedError, InvalidURI


async def measure(uri):
    try:
        async with websockets.connect(uri, open_timeout=5, close_timeout=5) as ws:
            pong_waiter = await ws.ping()
            latency = await pong_waiter
            print("latency measured:", 0 < latency < 5, 0 < ws.latency < 5)
            await ws.send("fail")
            print("greeting:", await ws.recv())
            while True:
                print(await ws.recv())
    except ConnectionClosedError as exc:
        print("lost:", exc)
        print(exc.rcvd, exc.sent, exc.rcvd_then_sent)


async def main():
    for uri in ["http://localhost/", "ws://localhost/#top", sys.argv[1]]:
        try:
            await measure(uri)
        except InvalidURI as exc:
            print("not a URI for us:", exc)
            print(exc.uri)


asyncio.run(main())
