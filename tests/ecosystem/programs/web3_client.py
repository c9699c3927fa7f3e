"""A user of web3: calls, a batch and a subscription over one WebSocket to an Ethereum node."""

import asyncio
import sys

from web3 import AsyncWeb3, WebSocketProvider
from web3.exceptions import PersistentConnectionClosedOK, ProviderConnectionError


async def main(uri: str) -> None:
    async with AsyncWeb3(WebSocketProvider(uri)) as w3:
        print("connected:", await w3.is_connected())
        print("chain:", await w3.eth.chain_id, "block:", await w3.eth.block_number)
        print("at once:", await asyncio.gather(*(w3.eth.gas_price for _ in range(3))))
        async with w3.batch_requests() as batch:
            batch.add(w3.eth.get_balance("0x" + "11" * 20))
            batch.add(w3.eth.get_balance("0x" + "22" * 20))
            print("batch:", await batch.async_execute())
        subscription = await w3.eth.subscribe("newHeads")
        heads = 0
        async for message in w3.socket.process_subscriptions():
            print("head:", message["result"]["number"], len(message["result"]["logsBloom"]))
            heads += 1
            if heads == 3:
                break
        print("unsubscribed:", await w3.eth.unsubscribe(subscription))
    print("connected:", await w3.is_connected())

    text = AsyncWeb3(WebSocketProvider(uri, use_text_frames=True))
    await text.provider.connect()
    print("as text:", await text.eth.chain_id)
    await text.eth.subscribe("newHeads")
    try:
        await text.provider.make_request("node_stop", [])
        async for message in text.socket.process_subscriptions():
            print("head:", message["result"]["number"])
    except PersistentConnectionClosedOK as exc:
        print("closed:", exc, "because of", repr(exc.__context__))
    print("connected:", await text.is_connected())
    await text.provider.disconnect()

    for refused in (f"{uri}/forbidden", "ws://127.0.0.1:1"):
        try:
            provider = WebSocketProvider(refused, max_connection_retries=1)
            await AsyncWeb3(provider).provider.connect()
        except ProviderConnectionError as exc:
            print("refused:", exc, "because of", type(exc.__cause__).__name__, exc.__cause__)


asyncio.run(main(sys.argv[1]))
