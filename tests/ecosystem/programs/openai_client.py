"""A user of openai: the Realtime API, in threads and on asyncio."""

import asyncio
import sys

from openai import AsyncOpenAI, OpenAI

uri = sys.argv[1]
options = {
    "api_key": "sesame",
    "base_url": uri.replace("ws://", "http://") + "/v1",
    "websocket_base_url": uri + "/v1",
}
ITEM = {
    "type": "message",
    "role": "user",
    "content": [{"type": "input_text", "text": "How high is it? " * 40}],
}


def show(event) -> bool:
    match event.type:
        case "session.created" | "session.updated":
            print(event.type, event.session.model_dump(exclude_none=True))
        case "response.output_text.delta":
            print("delta:", len(event.delta), event.delta[:10])
        case "error":
            print("error:", event.error.message)
        case _:
            print(event.type)
    return event.type == "response.done"


def in_threads() -> None:
    client = OpenAI(**options)
    with client.realtime.connect(model="gpt-realtime") as connection:
        connection.session.update(session={"type": "realtime", "instructions": "Be brief."})
        connection.conversation.item.create(item=ITEM)
        connection.response.create()
        for event in connection:
            if show(event):
                break
        connection.input_audio_buffer.append(audio="AAAA" * 10_000)
        print("error next:", show(connection.recv()))
    with client.realtime.connect(model="hasty") as connection:
        print("until the end:", [event.type for event in connection])
    with client.realtime.connect(model="failing") as connection:
        try:
            for event in connection:
                print(event.type)
        except Exception as exc:
            print(type(exc).__name__, exc, exc.rcvd.code)
    try:
        client.realtime.connect(model="forbidden").enter()
    except Exception as exc:
        print("refused:", type(exc).__name__, exc)


async def on_asyncio() -> None:
    client = AsyncOpenAI(**options)
    async with client.realtime.connect(model="gpt-realtime") as connection:
        await connection.session.update(session={"type": "realtime", "instructions": "Be brief."})
        await connection.conversation.item.create(item=ITEM)
        await connection.response.create()
        async for event in connection:
            if show(event):
                break
    async with client.realtime.connect(model="hasty") as connection:
        print("until the end:", [event.type async for event in connection])
    for model in ("forbidden", "elsewhere"):
        try:
            await client.realtime.connect(model=model).enter()
        except Exception as exc:
            print("refused:", type(exc).__name__, exc)


if sys.argv[2] == "sync":
    in_threads()
else:
    asyncio.run(on_asyncio())
