"""The services that the programs talk to: as little of each as it takes."""

from __future__ import annotations

import base64
import json
from typing import Any

from .visits import Service, Visit

__all__ = ["SERVICES"]


async def graphql(visit: Visit) -> None:
    older = visit.connection.subprotocol == "graphql-ws"
    event = "data" if older else "next"
    async for text in visit:
        message = json.loads(text)
        match message:
            case {"type": "connection_init"} if visit.query.startswith("close="):
                await visit.close(int(visit.query.removeprefix("close=")), "go away")
            case {"type": "connection_init"}:
                await visit.send(json.dumps({"type": "connection_ack"}))
            case {"type": "ping"}:
                await visit.send(json.dumps({"type": "pong"}))
            case {"type": "subscribe" | "start", "id": number, "payload": {"query": query}}:
                if "hangUp" in query:
                    await visit.close(4000, "hung up")
                elif "trouble" in query:
                    error: Any = [{"message": "there is trouble"}]
                    await visit.send(json.dumps({"id": number, "type": "error", "payload": error}))
                else:
                    count = 3 if "countdown" in query else 0
                    for left in range(count, 0, -1):
                        data = {"data": {"countdown": left, "note": "n" * 500}}
                        await visit.send(json.dumps({"id": number, "type": event, "payload": data}))
                    if not count:
                        data = {"data": {"hello": "world"}}
                        await visit.send(json.dumps({"id": number, "type": event, "payload": data}))
                    await visit.send(json.dumps({"id": number, "type": "complete"}))


def graphql_subprotocol(connection: Any, offered: list[str]) -> str | None:
    wanted = "graphql-ws" if connection.request.path.startswith("/older") else ""
    return next((name for name in offered if name == (wanted or "graphql-transport-ws")), None)


def add_header(connection: Any, request: Any, response: Any) -> None:
    response.headers["X-Service"] = "fake"


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


async def elevenlabs(visit: Visit) -> None:
    if visit.path.endswith("/stream-input"):
        await speech(visit)
    else:
        await conversation(visit)


async def speech(visit: Visit) -> None:
    if "/nobody/" in visit.path:
        await visit.recv()
        await visit.close(1008, "A voice with voice_id nobody does not exist.")
        return
    spoken = ""
    while text := json.loads(await visit.recv())["text"]:
        spoken += text
    for chunk in (b"ID3" + spoken.encode(), bytes(20_000)):
        await visit.send(json.dumps({"audio": base64.b64encode(chunk).decode(), "isFinal": False}))
    await visit.send(json.dumps({"audio": None, "isFinal": True}))
    await visit.close()


async def conversation(visit: Visit) -> None:
    await visit.recv()
    started = {
        "conversation_id": "conv_1",
        "agent_output_audio_format": "pcm_16000",
        "user_input_audio_format": "pcm_16000",
    }
    kind = "conversation_initiation_metadata"
    await visit.send(json.dumps({"type": kind, f"{kind}_event": started}))
    await visit.recv()
    transcript = {"user_transcript": "Good morning"}
    await visit.send(
        json.dumps({"type": "user_transcript", "user_transcription_event": transcript})
    )
    audio = {"audio_base_64": base64.b64encode(bytes(8000)).decode(), "event_id": 1}
    await visit.send(json.dumps({"type": "audio", "audio_event": audio}))
    await visit.send(json.dumps({"type": "ping", "ping_event": {"event_id": 7, "ping_ms": 5}}))
    await visit.recv()
    await visit.send(answer_of_agent("Welcome aboard."))
    if "hasty" in visit.query:
        await visit.close(1000, "that is all")
        return
    await visit.recv()
    await visit.send(answer_of_agent("1,234 metres."))


def answer_of_agent(text: str) -> str:
    event = {"agent_response": text}
    return json.dumps({"type": "agent_response", "agent_response_event": event})


async def deepgram(visit: Visit) -> None:
    if visit.path == "/v1/speak":
        await visit.recv()
        await visit.recv()
        await visit.send(bytes(9_600))
        await visit.send(json.dumps({"type": "Flushed", "sequence_id": 0}))
        return
    heard = 0
    async for message in visit:
        if isinstance(message, bytes):
            heard += len(message)
            await visit.send(transcript(f"{heard} bytes", False))
        elif json.loads(message)["type"] == "Finalize":
            await visit.send(transcript("up and down", True))
        elif json.loads(message)["type"] == "CloseStream":
            metadata = {
                "type": "Metadata",
                "transaction_key": "deprecated",
                "request_id": "r1",
                "sha256": "0",
                "created": "today",
                "duration": 1.5,
                "channels": 1,
            }
            await visit.send(json.dumps(metadata))
            await visit.close()


def transcript(text: str, final: bool) -> str:
    words = {"transcript": text, "confidence": 0.99, "words": []}
    results = {
        "type": "Results",
        "channel_index": [0, 1],
        "duration": 1.0,
        "start": 0.0,
        "is_final": final,
        "channel": {"alternatives": [words]},
        "metadata": {
            "request_id": "r1",
            "model_uuid": "m1",
            "model_info": {"name": "nova", "version": "1", "arch": "nova"},
        },
    }
    return json.dumps(results)


async def openai(visit: Visit) -> None:
    await visit.send(
        json.dumps(
            {
                "type": "session.created",
                "event_id": "e0",
                "session": {"type": "realtime", "model": "gpt-realtime"},
            }
        )
    )
    if "hasty" in visit.query:
        await visit.close(1000, "enough")
    if "failing" in visit.query:
        await visit.close(1011, "out of order")
    async for text in visit:
        event = json.loads(text)
        match event["type"]:
            case "session.update":
                answer = {"type": "session.updated", "session": event["session"]}
                await visit.send(json.dumps({**answer, "event_id": "e1"}))
            case "response.create":
                for number, part in enumerate(["1,234 ", "metres", "." * 3000]):
                    delta = {
                        "type": "response.output_text.delta",
                        "event_id": f"e2{number}",
                        "response_id": "r1",
                        "item_id": "i1",
                        "output_index": 0,
                        "content_index": 0,
                        "delta": part,
                    }
                    await visit.send(json.dumps(delta))
                done = {"type": "response.done", "event_id": "e3"}
                await visit.send(json.dumps({**done, "response": {"id": "r1", "output": []}}))
            case "input_audio_buffer.append":
                error = {"type": "invalid_request_error", "message": "no audio here"}
                await visit.send(json.dumps({"type": "error", "event_id": "e4", "error": error}))


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


SERVICES = {
    "alpaca": Service(alpaca),
    "deepgram": Service(deepgram),
    "elevenlabs": Service(elevenlabs, tls=True),
    "ethereum": Service(ethereum),
    "graphql": Service(
        graphql,
        {
            "subprotocols": ["graphql-transport-ws", "graphql-ws"],
            "select_subprotocol": graphql_subprotocol,
            "process_response": add_header,
        },
    ),
    "openai": Service(openai),
}
"""The services by name."""
