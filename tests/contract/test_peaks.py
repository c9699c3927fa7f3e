"""How much memory a large message takes at its peak, its own bytes included or not."""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from ropeway import build

from ..support.drivers import not_on
from ..support.front_threads import Peer, drive
from ..support.fronts import Front
from ..support.rawpeer import BINARY
from ..support.subject import only_ropeway
from ..support.tls import TLS

pytestmark = [
    only_ropeway,
    pytest.mark.skipif(sys.platform != "linux", reason="memory is looked up in /proc"),
    pytest.mark.skipif(build == "pure", reason="masking in Python makes copies of its own"),
]

ROOT = Path(__file__).parents[2]

SIZE = 32 << 20

CHUNK = 1 << 18


def play_the_peer(listener: socket.socket, what: str) -> None:
    """Take a message of that size and answer it, or the other way round."""
    peer = drive(Peer.accept(listener))
    with peer.sock as sock:
        if what == "send":
            left = 14 + SIZE
            while left:
                left -= len(sock.recv(CHUNK))
            drive(peer.send_frame(BINARY, b"x"))
        else:
            assert drive(peer.recv_payload(BINARY)) == b"x"
            sock.sendall(struct.pack("!BBQ", 0x82, 127, SIZE))
            for _ in range(SIZE // CHUNK):
                sock.sendall(b"x" * CHUNK)
        drive(peer.answer_close())


def growth(name: str, what: str, tls: TLS | None) -> float:
    """Let a process send or receive, and tell how far its memory went up, in messages."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)
        port = listener.getsockname()[1]
        arguments = [name, what, str(port), str(tls.ca_file) if tls else "", str(SIZE)]
        command = [sys.executable, "-m", "tests.contract.peaks", *arguments]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
            if tls is not None:
                wrapped = tls.server_context.wrap_socket(listener, server_side=True)
                with wrapped:
                    play_the_peer(wrapped, what)
            else:
                play_the_peer(listener, what)
            output, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    return int(output) / SIZE


OF_THE_LOOP = "TLS is the loop's, which encrypts all that it is given before it writes the first"


@pytest.mark.parametrize(
    "secure",
    [
        pytest.param(False, id="tcp"),
        pytest.param(True, id="tls", marks=not_on("asyncio", "uvloop", reason=OF_THE_LOOP)),
    ],
)
def test_sending_takes_the_masked_payload_and_little_more(
    front: Front, secure: bool, tls: TLS
) -> None:
    assert growth(front.name, "send", tls if secure else None) < 1.3


@pytest.mark.parametrize("secure", [False, True], ids=["tcp", "tls"])
def test_receiving_takes_the_payload_and_little_more(front: Front, secure: bool, tls: TLS) -> None:
    # The memory is enlarged as it is filled, and may have to be moved meanwhile.
    assert growth(front.name, "receive", tls if secure else None) < 2.3
