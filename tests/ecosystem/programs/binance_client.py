"""A user of python-binance: a stream of prices that reconnects by itself."""

import asyncio
import logging
import sys

from binance.ws.reconnecting_websocket import ReconnectingWebsocket

logging.disable(logging.CRITICAL)


class Stream(ReconnectingWebsocket):
    TIMEOUT = 1

    def _get_reconnect_wait(self, attempts: int) -> float:
        return 0.01


async def main(uri: str) -> None:
    left = []

    async def leave(path: str) -> None:
        left.append(path)

    stream = Stream(f"{uri}/", "btcusdt@trade", exit_coro=leave)
    async with stream:
        for _ in range(10):
            message = await stream.recv()
            if message.get("e") == "error":
                print("error:", message["type"], message["m"])
            else:
                print("price:", message["p"])
                # The package looks for the end of the connection before it reads what came
                # before; whoever hangs up waits until all is read.
                await stream.ws.send("read")
    print("left:", left, stream.ws_state, stream.ws)


asyncio.run(main(sys.argv[1]))
