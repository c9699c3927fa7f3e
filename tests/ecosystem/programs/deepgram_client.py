"""A user of deepgram-sdk: live transcription, in threads (sync) and on asyncio (legacy)."""

import asyncio
import sys
import threading

from deepgram import AsyncDeepgramClient, DeepgramClient
from deepgram.core.api_error import ApiError
from deepgram.core.events import EventType
from deepgram.environment import DeepgramClientEnvironment
from deepgram.speak.v1.types import SpeakV1Flush, SpeakV1Text
from websockets.exceptions import InvalidStatus

uri = sys.argv[1]
environment = DeepgramClientEnvironment(
    base=uri.replace("ws://", "http://"),
    production=uri,
    agent=uri,
    agent_rest=uri.replace("ws://", "http://"),
)
AUDIO = bytes(range(256)) * 30


def show(message: object) -> None:
    if isinstance(message, bytes):
        print("audio:", len(message))
    elif message.type == "Results":
        print("results:", message.channel.alternatives[0].transcript, message.is_final)
    else:
        print("message:", message.type)


def in_threads() -> None:
    client = DeepgramClient(api_key="sesame", environment=environment)
    with client.listen.v1.connect(model="nova-3", encoding="linear16", sample_rate=16000) as live:
        live.on(EventType.OPEN, lambda _: print("open"))
        live.on(EventType.MESSAGE, show)
        live.on(EventType.CLOSE, lambda _: print("close"))
        live.on(EventType.ERROR, lambda exc: print("error:", repr(exc)))
        listener = threading.Thread(target=live.start_listening)
        listener.start()
        for _ in range(3):
            live.send_media(AUDIO)
        live.send_finalize()
        live.send_close_stream()
        listener.join(20)
        assert not listener.is_alive()
    with client.speak.v1.connect(model="aura", encoding="linear16", sample_rate=24000) as speaker:
        speaker.send_text(SpeakV1Text(type="Speak", text="hello"))
        speaker.send_flush(SpeakV1Flush(type="Flush"))
        show(speaker.recv())
        show(speaker.recv())
    try:
        with client.listen.v1.connect(model="forbidden"):
            print("not reached")
    except InvalidStatus as exc:  # on websockets 17, the SDK expects another exception
        print("refused:", exc, exc.response.status_code)


async def on_asyncio() -> None:
    client = AsyncDeepgramClient(api_key="sesame", environment=environment)
    connecting = client.listen.v1.connect(model="nova-3", encoding="linear16", sample_rate=16000)
    async with connecting as live:
        live.on(EventType.OPEN, lambda _: print("open"))
        live.on(EventType.MESSAGE, show)
        live.on(EventType.CLOSE, lambda _: print("close"))
        live.on(EventType.ERROR, lambda exc: print("error:", repr(exc)))
        listener = asyncio.create_task(live.start_listening())
        for _ in range(3):
            await live.send_media(AUDIO)
        await live.send_finalize()
        await live.send_close_stream()
        await asyncio.wait_for(listener, 20)
    try:
        async with client.listen.v1.connect(model="forbidden"):
            print("not reached")
    except ApiError as exc:
        print("refused:", exc.status_code, exc.body)


if sys.argv[2] == "sync":
    in_threads()
else:
    asyncio.run(on_asyncio())
