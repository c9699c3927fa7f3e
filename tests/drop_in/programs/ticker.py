"""Follow the prices of a few shares; python ticker.py URI."""

import asyncio
import json
import logging
import sys

import websockets

logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
logger = logging.getLogger("ticker")


async def follow(uri):
    last = {}
    async with websockets.connect(
        uri,
        additional_headers={"Authorization": "Bearer sesame", "X-Client": "ticker/1.0"},
        compression="deflate",
        logger=logger,
        ping_interval=30,
        ping_timeout=10,
        max_size=2**20,
    ) as ws:
        print("extensions:", ws.response.headers["Sec-WebSocket-Extensions"])
        await ws.send(json.dumps({"action": "subscribe", "symbols": ["ABC", "XYZ"]}))
        async for message in ws:
            tick = json.loads(message)
            change = tick["price"] - last.get(tick["symbol"], tick["price"])
            last[tick["symbol"]] = tick["price"]
            print(f"{tick['symbol']:4} {tick['price']:8.2f} {change:+.2f} {len(tick['note'])}")
    print("closed:", ws.close_code, ws.close_reason)


if __name__ == "__main__":
    try:
        asyncio.run(follow(sys.argv[1]))
    except KeyboardInterrupt:
        pass
