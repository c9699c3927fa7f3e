"""A user of elevenlabs: speech from text, and a conversation in a thread, on websockets.sync."""

import sys
import threading

from elevenlabs.client import ElevenLabs
from elevenlabs.conversational_ai.conversation import AudioInterface, Conversation
from elevenlabs.core.api_error import ApiError

uri = sys.argv[1]
client = ElevenLabs(api_key="sesame", base_url=uri.replace("wss://", "https://"))


def speak(voice: str) -> None:
    chunks = client.text_to_speech.convert_realtime(
        voice, text=iter(["The cabins ", "go up. ", "And down again."]), model_id="flash"
    )
    print(voice, "says", [(len(chunk), chunk[:6]) for chunk in chunks])


speak("ann")
try:
    speak("nobody")
except ApiError as exc:
    print("error:", exc.status_code, exc.body)


class Microphone(AudioInterface):
    def start(self, input_callback):
        print("the microphone is on")
        input_callback(b"\x00\x01" * 100)

    def stop(self):
        print("the microphone is off")

    def output(self, audio):
        print("heard", len(audio), "bytes")

    def interrupt(self):
        print("interrupted")


answered, over = threading.Event(), threading.Event()


def show_end(details) -> None:
    print("ended:", details.reason, getattr(details, "close_code", None))
    over.set()


def show_answer(text: str) -> None:
    print("the agent:", text)
    answered.set()


def converse(agent: str) -> Conversation:
    answered.clear()
    over.clear()
    conversation = Conversation(
        client,
        agent,
        requires_auth=False,
        audio_interface=Microphone(),
        callback_agent_response=show_answer,
        callback_user_transcript=lambda text: print("you:", text),
        callback_disconnect=show_end,
    )
    conversation.start_session()
    assert answered.wait(20)
    return conversation


conversation = converse("guide")
answered.clear()
conversation.send_user_message("How high is it?")
assert answered.wait(20)
conversation.end_session()
print("conversation:", conversation.wait_for_session_end())

conversation = converse("hasty")
assert over.wait(20)
print("conversation:", conversation.wait_for_session_end())
