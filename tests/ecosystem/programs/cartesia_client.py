"""A user of cartesia: speech in several contexts over one connection, in threads and on asyncio."""

import asyncio
import sys

from cartesia import AsyncCartesia, Cartesia
from websockets.exceptions import ConnectionClosedError

uri = sys.argv[1]
options = {"api_key": "sesame", "base_url": uri.replace("wss://", "https://")}
REQUEST = {
    "model_id": "sonic",
    "voice": {"mode": "id", "id": "v1"},
    "output_format": {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 8000},
}


def show(event) -> None:
    print(event.type, event.context_id, len(getattr(event, "audio", None) or b""))


def in_threads() -> None:
    client = Cartesia(**options)
    with client.tts.websocket_connect() as connection:
        for context in ("one", "two"):
            connection.send({**REQUEST, "context_id": context, "transcript": f"Cabin {context}."})
            for event in connection:
                show(event)
                if event.type == "done":
                    break
        context = connection.context("three", **REQUEST, timeout=20)
        context.send(**REQUEST, transcript="Cabin three.", continue_=True)
        context.no_more_inputs()
        for event in context.receive():
            show(event)
        try:
            connection.recv_bytes(timeout=0.2)
        except TimeoutError as exc:
            print("nothing more:", exc)
        connection.close(code=4000, reason="enough")
        try:
            connection.recv()
        except ConnectionClosedError as exc:
            print("the end:", exc)


async def on_asyncio() -> None:
    client = AsyncCartesia(**options)
    async with client.tts.websocket_connect() as connection:
        await connection.send({**REQUEST, "context_id": "one", "transcript": "Cabin one."})
        async for event in connection:
            show(event)
            if event.type == "done":
                break


if sys.argv[2] == "sync":
    in_threads()
else:
    asyncio.run(on_asyncio())
