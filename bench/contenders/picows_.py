"""picows with its own API: a callback for each frame."""

from __future__ import annotations

import socket

import picows

from .clients import Counter, Job
from .host import Options


class Echo(picows.WSListener):
    """The echo of its documentation: it sends the bytes on from where they were received."""

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if frame.msg_type == picows.WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        else:
            transport.send(frame.msg_type, frame.get_payload_as_memoryview())


async def serve(listener: socket.socket, options: Options) -> None:
    await picows.ws_create_server(lambda _: Echo(), sock=listener, ssl=options.tls)


class EchoClient(picows.WSListener):
    """The same on the other side, and counting."""

    def __init__(self, counter: Counter) -> None:
        self.counter = counter

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        self.counter.value += 1
        transport.send(frame.msg_type, frame.get_payload_as_memoryview())


async def echo(url: str, job: Job) -> None:
    counter = job.counter()
    transport, _ = await picows.ws_connect(lambda: EchoClient(counter), url)
    await job.begin()
    kind = picows.WSMsgType.TEXT if job.text else picows.WSMsgType.BINARY
    for payload in job.payloads:
        transport.send(kind, payload)
    await transport.wait_disconnected()


class Consumer(picows.WSListener):
    """Takes each message as the ``str`` that the others deliver."""

    def __init__(self, counter: Counter) -> None:
        self.counter = counter

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if frame.msg_type == picows.WSMsgType.TEXT:
            frame.get_payload_as_utf8_text()
            self.counter.value += 1


async def consume(url: str, job: Job) -> None:
    counter = job.counter()
    transport, _ = await picows.ws_connect(lambda: Consumer(counter), url)
    await job.begin()
    await transport.wait_disconnected()
