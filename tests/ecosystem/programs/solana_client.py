"""A user of solana: subscriptions, and how they end."""

import asyncio
import sys

from solana.rpc.jsonrpc import SolanaJsonRpcError
from solana.rpc.websocket_api import SolanaWsClient
from solders.pubkey import Pubkey


async def main(uri: str) -> None:
    async with SolanaWsClient(uri) as client:
        slots = await client.slot_subscribe()
        print("subscribed:", slots.subscription_id, slots.kind.value)
        for _ in range(3):
            print("slot:", (await client.recv()).result.slot)
        await client.unsubscribe(slots)
        try:
            await client.account_subscribe(pubkey=Pubkey.default())
        except SolanaJsonRpcError as exc:
            print("error:", exc)
        print("state:", client.connection_state.value)
    try:
        await client.recv()
    except Exception as exc:
        print("closed:", type(exc).__name__, exc)

    async with SolanaWsClient(f"{uri}/hasty") as client:
        await client.slot_subscribe()
        async for notification in client:
            print("slot:", notification.result.slot)
        print("state:", client.connection_state.value)
    async with SolanaWsClient(f"{uri}/failing") as client:
        await client.slot_subscribe()
        try:
            async for notification in client:
                print("slot:", notification.result.slot)
        except Exception as exc:
            print("failed:", type(exc).__name__, exc)


asyncio.run(main(sys.argv[1]))
