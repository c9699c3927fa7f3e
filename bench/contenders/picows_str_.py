"""picows' callbacks in a program that needs each text as a ``str``, as the others give it."""

from __future__ import annotations

import socket

import picows

from .clients import Counter, Job
from .host import Options


class Echo(picows.WSListener):
    """Decodes a text, which checks it too, and sends it on."""

    def __init__(self, counter: Counter) -> None:
        self.counter = counter

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if frame.msg_type == picows.WSMsgType.TEXT:
            self.counter.value += 1
            text = frame.get_payload_as_utf8_text()
            transport.send(picows.WSMsgType.TEXT, text.encode())
        elif frame.msg_type == picows.WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()


async def serve(listener: socket.socket, options: Options) -> None:
    await picows.ws_create_server(lambda _: Echo(Counter()), sock=listener, ssl=options.tls)


async def echo(url: str, job: Job) -> None:
    counter = job.counter()
    transport, _ = await picows.ws_connect(lambda: Echo(counter), url)
    await job.begin()
    for payload in job.payloads:
        transport.send(picows.WSMsgType.TEXT, payload)
    await transport.wait_disconnected()
