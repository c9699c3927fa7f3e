"""The load generator for TLS: ``python -m bench.tls_load PORT --pid PID …``, as ``c/load.c``.

One connection on a blocking socket. Frames are masked before the clock starts; they are sent, and
when all are back, it starts over.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import socket
import ssl
import time
from pathlib import Path

REQUEST = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
LEAST_SHARE = 0.2
PATIENCE = 5
CLOSE = bytes.fromhex("8882 00000000 03e8")


def open_connection(port: int, trust: Path) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=trust)
    plain = socket.create_connection(("127.0.0.1", port), timeout=20)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection = context.wrap_socket(plain, server_hostname="localhost")
    connection.sendall(REQUEST)
    response = b""
    while not response.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        assert byte, f"the server has closed the connection after {response!r}"
        response += byte
    assert response.startswith(b"HTTP/1.1 101 "), response
    return connection


def make_frames(payloads: list[bytes], opcode: int) -> tuple[bytes, bytes]:
    """Make the frames to send, each with its own masking key, and the bytes to expect."""
    generator = random.Random(1)
    sent, expected = [], []
    for payload in payloads:
        size = len(payload)
        if size < 126:
            length, extension = size, b""
        elif size < 65536:
            length, extension = 126, size.to_bytes(2, "big")
        else:
            length, extension = 127, size.to_bytes(8, "big")
        key = generator.randbytes(4)
        mask = int.from_bytes((key * (size // 4 + 1))[:size], "big")
        masked = (int.from_bytes(payload, "big") ^ mask).to_bytes(size, "big")
        sent.append(bytes([0x80 | opcode, 0x80 | length]) + extension + key + masked)
        expected.append(bytes([0x80 | opcode, length]) + extension + payload)
    return b"".join(sent), b"".join(expected)


class Exchange:
    """One connection with frames."""

    def __init__(self, connection: ssl.SSLSocket, sent: bytes, expected: bytes) -> None:
        self.connection = connection
        self.sent = sent
        self.expected = expected
        self.received = bytearray(len(expected))

    def run(self) -> None:
        """Send all frames and wait for them."""
        self.connection.sendall(self.sent)
        view, have = memoryview(self.received), 0
        while have < len(self.received):
            size = self.connection.recv_into(view[have:])
            assert size, "the server has closed the connection"
            have += size
        assert self.received == self.expected, "the server sent something else"

    def run_for(self, seconds: float, pid: int) -> int:
        """Run until the time is over, prolonged as in load.c if the server got little CPU time."""
        count, began, began_cpu = 0, time.perf_counter(), cpu_time(pid)
        while True:
            self.run()
            count += 1
            passed = time.perf_counter() - began
            if passed >= seconds and (
                passed >= seconds * PATIENCE or cpu_time(pid) - began_cpu >= seconds * LEAST_SHARE
            ):
                return count


def cpu_time(pid: int) -> float:
    """Read the CPU clock of a process: Linux makes its number from that of the process."""
    return time.clock_gettime((~pid << 3) | 2)


class Moment:
    """The clocks, those of the measured process among them."""

    def __init__(self, pid: int) -> None:
        self.cpu = cpu_time(pid)
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        ticks = os.sysconf("SC_CLK_TCK")
        self.user = int(fields[11]) / ticks
        self.system = int(fields[12]) / ticks
        self.now = time.perf_counter()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--pid", type=int, required=True)
    parser.add_argument("--trust", type=Path, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--warm-up", type=float, required=True)
    parser.add_argument("--depth", type=int, required=True)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--opcode", type=int, required=True)
    parser.add_argument("--payloads", type=Path, required=True)
    options = parser.parse_args()
    data = options.payloads.read_bytes()
    payloads = [data[i * options.size :][: options.size] for i in range(options.depth)]
    with open_connection(options.port, options.trust) as connection:
        exchange = Exchange(connection, *make_frames(payloads, options.opcode))
        exchange.run_for(options.warm_up, options.pid)
        start = Moment(options.pid)
        messages = options.depth * exchange.run_for(options.seconds, options.pid)
        stop = Moment(options.pid)
        connection.sendall(CLOSE)
    pages = int(Path(f"/proc/{options.pid}/statm").read_text(encoding="ascii").split()[1])
    result = {
        "messages": messages,
        "elapsed": stop.now - start.now,
        "cpu": stop.cpu - start.cpu,
        "user": stop.user - start.user,
        "system": stop.system - start.system,
        "rss": pages * resource.getpagesize(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
