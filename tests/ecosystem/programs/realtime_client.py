"""A user of realtime (Supabase): a channel, what is broadcast there, a connection that is lost."""

import asyncio
import logging
import sys

from realtime import AsyncRealtimeClient

logging.disable(logging.CRITICAL)


async def main(uri: str) -> None:
    client = AsyncRealtimeClient(f"{uri}/realtime/v1", token="sesame", initial_backoff=0.01)
    heard: asyncio.Queue[object] = asyncio.Queue()
    states: asyncio.Queue[object] = asyncio.Queue()
    await client.connect()
    channel = client.channel("room")
    channel.on_broadcast("cabin", heard.put_nowait)
    await channel.subscribe(lambda state, error: states.put_nowait((state.name, repr(error))))
    print("state:", await asyncio.wait_for(states.get(), 20))
    await channel.send_broadcast("cabin", {"number": 7, "note": "n" * 300})
    print("heard:", (await asyncio.wait_for(heard.get(), 20))["payload"]["number"])
    await channel.send_broadcast("lost", {})
    for _ in range(2):
        print("state:", await asyncio.wait_for(states.get(), 20))
    await channel.send_broadcast("cabin", {"number": 8})
    print("heard:", (await asyncio.wait_for(heard.get(), 20))["payload"]["number"])
    await client.close()
    print("connected:", client.is_connected)


asyncio.run(main(sys.argv[1]))
