"""picows with its own API: a callback for each frame."""

from __future__ import annotations

import socket

import picows

from .host import Options


class Echo(picows.WSListener):
    """The echo of its documentation, which sends on the bytes and looks at no text."""

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if frame.msg_type == picows.WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        else:
            transport.send(frame.msg_type, frame.get_payload_as_bytes())


async def serve(listener: socket.socket, options: Options) -> None:
    await picows.ws_create_server(lambda _: Echo(), sock=listener, ssl=options.tls)
