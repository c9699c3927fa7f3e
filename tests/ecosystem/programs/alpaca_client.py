"""A user of alpaca-py: market data as msgpack, which reconnects by itself, on websockets.legacy."""

import asyncio
import logging
import sys

from alpaca.data.live import StockDataStream
from alpaca.trading.stream import TradingStream

uri = sys.argv[1]
logging.basicConfig(format="%(levelname)s %(message)s", stream=sys.stdout, level=logging.INFO)
logging.getLogger("websockets").setLevel(logging.CRITICAL)
logging.getLogger("asyncio").setLevel(logging.CRITICAL)


async def data() -> None:
    stream = StockDataStream("key", "secret", raw_data=True, url_override=f"{uri}/v2/iex")
    stream._reconnect_min_backoff = stream._reconnect_max_backoff = 0.01
    seen = 0

    async def on_trade(trade: dict) -> None:
        nonlocal seen
        print("trade:", trade["S"], trade["p"])
        seen += 1
        if seen == 4:
            await stream.stop_ws()

    async def on_quote(quote: dict) -> None:
        print("quote:", quote["S"], quote["bp"], quote["ap"])

    stream.subscribe_trades(on_trade, "ABC", "XYZ")
    stream.subscribe_quotes(on_quote, "ABC")
    await stream._run_forever()


async def refused() -> None:
    stream = StockDataStream("wrong", "secret", raw_data=True, url_override=f"{uri}/v2/iex")

    async def never(_: dict) -> None:
        print("not reached")

    stream.subscribe_trades(never, "ABC")
    try:
        await stream._start_ws()
    except ValueError as exc:
        print("refused:", exc)
    await stream.close()


async def trading() -> None:
    stream = TradingStream("key", "secret", paper=True, url_override=f"{uri}/stream")

    async def on_update(update) -> None:
        print("update:", update)
        await stream.stop_ws()

    stream._raw_data = True
    stream.subscribe_trade_updates(on_update)
    await stream._run_forever()


asyncio.run(data())
asyncio.run(refused())
asyncio.run(trading())
