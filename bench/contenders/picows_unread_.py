"""picows' callbacks that count the frames of a feed and look at none: its least possible work."""

from __future__ import annotations

import picows

from .clients import Counter, Job


class Consumer(picows.WSListener):
    """Leaves the payload where it was received."""

    def __init__(self, counter: Counter) -> None:
        self.counter = counter

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        self.counter.value += 1


async def consume(url: str, job: Job) -> None:
    counter = job.counter()
    transport, _ = await picows.ws_connect(lambda: Consumer(counter), url)
    await job.begin()
    await transport.wait_disconnected()
