"""No WebSocket package: what a blocking socket costs for the same traffic, one frame in flight.

It sends one prepared frame again and again, and takes each read for the answer to it.
"""

from __future__ import annotations

import base64
import os
import socket
from urllib.parse import urlsplit

from .clients import Job


def echo(url: str, job: Job) -> None:
    counter = job.counter()
    where = urlsplit(url)
    with socket.create_connection((where.hostname, where.port)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        key = base64.b64encode(os.urandom(16)).decode()
        sock.sendall(
            f"GET / HTTP/1.1\r\nHost: {where.netloc}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        assert sock.recv(4096).endswith(b"\r\n\r\n")
        payload = job.payloads[0]
        assert len(job.payloads) == 1 and len(payload) < 126
        frame = bytes([0x80 | (1 if job.text else 2), 0x80 | len(payload)]) + bytes(4) + payload
        buffer = bytearray(4096)
        job.begin_thread()
        sock.send(frame)
        while sock.recv_into(buffer):
            counter.value += 1
            sock.send(frame)
