"""A user of google-genai: a live session, over TLS."""

import asyncio
import sys

from google import genai
from google.genai import errors, types


async def main(uri: str) -> None:
    options = types.HttpOptions(base_url=uri.replace("wss://", "https://"), api_version="v1beta")
    client = genai.Client(api_key="sesame", http_options=options)
    config = {"response_modalities": ["TEXT"]}
    async with client.aio.live.connect(model="flight", config=config) as session:
        for text in ("How high is it?", "How long does it take?"):
            turn = {"role": "user", "parts": [{"text": text}]}
            await session.send_client_content(turns=turn, turn_complete=True)
            async for message in session.receive():
                print("turn:", message.text, message.server_content.turn_complete)
        await session.send_realtime_input(
            audio=types.Blob(data=bytes(3200), mime_type="audio/pcm;rate=16000")
        )
        try:
            async for message in session.receive():
                print("not reached", message)
        except errors.APIError as exc:
            print("error:", exc.code, exc)


asyncio.run(main(sys.argv[1]))
