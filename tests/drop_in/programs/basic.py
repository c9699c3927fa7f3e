#!/usr/bin/env python

import asyncio
import sys

import websockets


async def hello(uri):
    async with websockets.connect(uri) as websocket:
        await websocket.send("Hello world!")
        print(await websocket.recv())
        await websocket.send(b"\x00\x01\x02")
        print(await websocket.recv())
        print(websocket.response.status_code, websocket.subprotocol)
    print(websocket.close_code, repr(websocket.close_reason))


asyncio.run(hello(sys.argv[1]))
