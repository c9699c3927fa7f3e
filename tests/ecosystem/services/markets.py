"""Services that tell prices, and those of chains of blocks."""

from __future__ import annotations

import json
from typing import Any

from ..visits import Visit


async def ethereum(visit: Visit) -> None:
    async for data in visit:
        asked = json.loads(data)
        if isinstance(asked, list):
            await visit.send(json.dumps([answer_of_ethereum(one) for one in asked]))
        else:
            if asked["method"] == "node_stop":
                for number in range(3):
                    await visit.send(json.dumps(head(number)))
                await visit.send(json.dumps(answer_of_ethereum(asked)))
                await visit.close(1000, "stopped")
                return
            await visit.send(json.dumps(answer_of_ethereum(asked)))
            if asked["method"] == "eth_subscribe":
                for number in range(3):
                    await visit.send(json.dumps(head(number)).encode())


def answer_of_ethereum(asked: dict[str, Any]) -> dict[str, Any]:
    results = {
        "eth_chainId": "0x539",
        "eth_blockNumber": "0x2a",
        "eth_gasPrice": "0x3b9aca00",
        "eth_getBalance": "0xde0b6b3a7640000",
        "eth_subscribe": "0x9ce59a13059e417087c02d3236a0b1cc",
        "eth_unsubscribe": True,
        "node_stop": True,
    }
    return {"jsonrpc": "2.0", "id": asked["id"], "result": results[asked["method"]]}


def head(number: int) -> dict[str, Any]:
    block = {
        "number": hex(number),
        "hash": "0x" + f"{number:02x}" * 32,
        "parentHash": "0x" + "00" * 32,
        "logsBloom": "0x" + "ab" * 256,
        "timestamp": "0x5f5e100",
    }
    params = {"subscription": "0x9ce59a13059e417087c02d3236a0b1cc", "result": block}
    return {"jsonrpc": "2.0", "method": "eth_subscription", "params": params}


async def alpaca(visit: Visit) -> None:
    if visit.path == "/stream":
        asked = json.loads(await visit.recv())
        assert asked["action"] == "authenticate"
        await visit.send(
            json.dumps({"stream": "authorization", "data": {"status": "authorized"}}).encode()
        )
        await visit.recv()
        update = {"event": "fill", "price": "1.5", "order": {"id": "o1", "symbol": "ABC"}}
        await visit.send(json.dumps({"stream": "trade_updates", "data": update}))
    else:
        await market_data(visit)
    async for _ in visit:
        pass


async def market_data(visit: Visit) -> None:
    await visit.send(msgpack([{"T": "success", "msg": "connected"}]))
    asked = await visit.recv()
    if b"wrong" in asked:
        await visit.send(msgpack([{"T": "error", "code": 402, "msg": "auth failed"}]))
        return
    await visit.send(msgpack([{"T": "success", "msg": "authenticated"}]))
    await visit.recv()
    trades = [{"T": "t", "S": symbol, "p": price} for symbol, price in (("ABC", 1), ("XYZ", 20))]
    quote = {"T": "q", "S": "ABC", "bp": 1, "ap": 2}
    await visit.send(msgpack([{"T": "subscription", "trades": ["ABC", "XYZ"], "quotes": ["ABC"]}]))
    await visit.send(msgpack([*trades, quote]))
    if visit.number == 1:
        await visit.close(1011, "moving house")


def msgpack(value: Any) -> bytes:
    """Serialise what is made of short lists, dictionaries, strings and small numbers."""
    if isinstance(value, list):
        return bytes([0x90 | len(value)]) + b"".join(map(msgpack, value))
    if isinstance(value, dict):
        pairs = (msgpack(one) for pair in value.items() for one in pair)
        return bytes([0x80 | len(value)]) + b"".join(pairs)
    if isinstance(value, str):
        data = value.encode()
        return bytes([0xA0 | len(data)]) + data
    return bytes([0xCD]) + value.to_bytes(2, "big")


async def binance(visit: Visit) -> None:
    for number in range(2):
        price = f"{visit.number * 100 + number}.5"
        await visit.send(json.dumps({"e": "trade", "s": "BTCUSDT", "p": price, "note": "n" * 200}))
    for _ in range(2):
        await visit.recv()
    if visit.number == 1:
        await visit.close(1001, "moving house")
    elif visit.number == 2:
        visit.connection.transport.abort()
    async for _ in visit:
        pass


async def solana(visit: Visit) -> None:
    async for text in visit:
        for asked in one_or_many(json.loads(text)):
            answer = {"jsonrpc": "2.0", "id": asked["id"]}
            if asked["method"] == "accountSubscribe":
                error = {"code": -32602, "message": "Invalid params: no such account"}
                await visit.send(json.dumps({**answer, "error": error}))
                continue
            subscribing = asked["method"] == "slotSubscribe"
            await visit.send(json.dumps({**answer, "result": 23 if subscribing else True}))
            if subscribing:
                for slot in range(3):
                    await visit.send(json.dumps(slot_notification(slot)))
                if visit.path == "/hasty":
                    await visit.close(1000, "enough")
                elif visit.path == "/failing":
                    await visit.close(1011, "out of order")


def one_or_many(asked: Any) -> list[Any]:
    return asked if isinstance(asked, list) else [asked]


def slot_notification(slot: int) -> dict[str, Any]:
    result = {"parent": slot + 74, "root": slot + 43, "slot": slot + 75}
    params = {"result": result, "subscription": 23}
    return {"jsonrpc": "2.0", "method": "slotNotification", "params": params}


async def deriv(visit: Visit) -> None:
    async for text in visit:
        asked = json.loads(text)
        answer = {"echo_req": asked, "req_id": asked.get("req_id")}
        if "ping" in asked:
            await visit.send(json.dumps({**answer, "msg_type": "ping", "ping": "pong"}))
        elif "balance" in asked:
            error = {"code": "AuthorizationRequired", "message": "Please log in."}
            await visit.send(json.dumps({**answer, "msg_type": "balance", "error": error}))
        elif "ticks" in asked:
            for number in range(3):
                tick = {"quote": 100 + number, "symbol": "R_100", "id": "s1"}
                update = {"msg_type": "tick", "tick": tick, "subscription": {"id": "s1"}}
                await visit.send(json.dumps({**answer, **update}))
        else:
            await visit.close(1008, "no such call")
