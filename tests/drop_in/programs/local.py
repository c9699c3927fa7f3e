import asyncio
import sys

import websockets


async def main(path):
    async with websockets.unix_connect(path) as websocket:
        for line in ["over", "a", "socket", "in the file system"]:
            await websocket.send(line)
            print(await websocket.recv())
        print(websocket.request.headers["Host"], websocket.request.path)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
