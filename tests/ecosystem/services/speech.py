"""Services that hear and speak."""

from __future__ import annotations

import base64
import json

from ..visits import Visit


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


async def cartesia(visit: Visit) -> None:
    async for text in visit:
        asked = json.loads(text)
        if asked.get("continue"):
            continue
        answer = {"context_id": asked["context_id"], "status_code": 206, "done": False}
        for audio in (bytes(300), bytes(8000)):
            data = base64.b64encode(audio).decode()
            await visit.send(json.dumps({**answer, "type": "chunk", "data": data, "step_time": 1}))
        done = {**answer, "type": "done", "done": True, "status_code": 200}
        await visit.send(json.dumps(done))


async def genai(visit: Visit) -> None:
    async for text in visit:
        asked = json.loads(text)
        if "setup" in asked:
            await visit.send(json.dumps({"setupComplete": {}}).encode())
        elif "client_content" in asked or "clientContent" in asked:
            for part in ("1,234 ", "metres"):
                turn = {"modelTurn": {"role": "model", "parts": [{"text": part}]}}
                await visit.send(json.dumps({"serverContent": turn}).encode())
            await visit.send(json.dumps({"serverContent": {"turnComplete": True}}))
        else:
            await visit.close(1007, "Request contains an invalid argument.")
