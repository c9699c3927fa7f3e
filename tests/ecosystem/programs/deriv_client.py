"""A user of python-deriv-api: calls and a subscription, on the API of 2022."""

import asyncio
import sys

import websockets
from deriv_api import APIError, DerivAPI, ResponseError


async def main(uri: str) -> None:
    connection = await websockets.connect(f"{uri}/websockets/v3?app_id=1089")
    print("open:", connection.open)
    api = DerivAPI(connection=connection)
    print("ping:", (await api.ping({"ping": 1}))["ping"])
    try:
        await api.balance({"balance": 1})
    except ResponseError as exc:
        print("error:", exc)
    ticks = await api.subscribe({"ticks": "R_100"})
    prices: asyncio.Queue[float] = asyncio.Queue()
    ticks.subscribe(lambda data: prices.put_nowait(data["tick"]["quote"]))
    print("ticks:", [await asyncio.wait_for(prices.get(), 20) for _ in range(3)])
    errors: asyncio.Queue[Exception] = asyncio.Queue()
    api.sanity_errors.subscribe(errors.put_nowait)
    await connection.send("{}")
    error = await asyncio.wait_for(errors.get(), 20)
    while isinstance(error, APIError):
        error = await asyncio.wait_for(errors.get(), 20)
    print("ended:", type(error).__name__, error, error.code, error.reason)
    print("closed:", connection.closed, connection.close_code)
    await api.clear()


asyncio.run(main(sys.argv[1]))
