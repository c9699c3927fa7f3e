"""permessage-deflate on payloads: as whole frames, as a stream, at every window, within limits."""

from __future__ import annotations

import dataclasses
import random
import re
import time
import tracemalloc
import zlib
from typing import Any

import pytest
import websockets.extensions.permessage_deflate as oracle
from websockets.frames import Frame as OracleFrame
from websockets.frames import Opcode as OracleOpcode

from ropeway.exceptions import PayloadTooBig, ProtocolError
from ropeway.extensions import permessage_deflate
from ropeway.extensions._backends import Backend
from ropeway.extensions.permessage_deflate import PerMessageDeflate
from ropeway.frames import Frame, Opcode
from ropeway.protocol import State
from ropeway.server import ServerProtocol

from .backends import BACKENDS, installed

TAIL = b"\x00\x00\xff\xff"
CONT, TEXT, BINARY, CLOSE, PING, PONG = Opcode


@pytest.fixture(autouse=True, params=BACKENDS)
def using(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Backend:
    """Run the test with each library."""
    backend = installed(request.param)
    monkeypatch.setattr(permessage_deflate, "backend", lambda: backend)
    return backend


only_zlib = pytest.mark.parametrize("using", ["zlib"], indirect=True)

WORDS = b" ".join(b"%d bottles of beer on the wall" % count for count in range(99))


def make(**kwargs: Any) -> PerMessageDeflate:
    config: dict[str, Any] = {
        "remote_no_context_takeover": False,
        "local_no_context_takeover": False,
        "remote_max_window_bits": 15,
        "local_max_window_bits": 15,
    }
    return PerMessageDeflate(**{**config, **kwargs})


def mirrored(extension: PerMessageDeflate) -> PerMessageDeflate:
    """Make the extension at the other end."""
    return make(
        remote_no_context_takeover=extension.local_no_context_takeover,
        local_no_context_takeover=extension.remote_no_context_takeover,
        remote_max_window_bits=extension.local_max_window_bits,
        local_max_window_bits=max(extension.remote_max_window_bits, 9),
    )


def inflate(extension: PerMessageDeflate, pieces: list[bytes], room: int = -1) -> bytes:
    """Inflate a message in pieces."""
    extension.start_inflating()
    inflated = [extension.inflate(piece, room, False) for piece in pieces]
    return b"".join([*inflated, extension.inflate(b"", room, True)])


def raw(payload: bytes, bits: int = 15) -> bytes:
    """Deflate a stream that ends: its last block has BFINAL set."""
    compressor = zlib.compressobj(wbits=-bits)
    return compressor.compress(payload) + compressor.flush(zlib.Z_FINISH)


# Whole frames.


@only_zlib
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("payload", [b"", b"a", b"spam" * 100, "κόσμε".encode(), bytes(70_000)])
@pytest.mark.parametrize("takeover", [False, True])
def test_frames_as_websockets_makes_them(opcode: Opcode, payload: bytes, takeover: bool) -> None:
    ours = make(local_no_context_takeover=takeover)
    theirs = oracle.PerMessageDeflate(False, takeover, 15, 15)
    for _ in range(3):
        frame = ours.encode(Frame(opcode, payload))
        expected = theirs.encode(OracleFrame(OracleOpcode(opcode), payload))
        assert dataclasses.astuple(frame) == dataclasses.astuple(expected)
        assert (frame.rsv1, frame.fin) == (True, True)


@only_zlib
@pytest.mark.parametrize("takeover", [False, True])
def test_fragments_as_websockets_makes_them(takeover: bool) -> None:
    ours = make(local_no_context_takeover=takeover)
    theirs = oracle.PerMessageDeflate(False, takeover, 15, 15)
    reader = mirrored(ours)
    for _ in range(2):
        frames = [Frame(TEXT, b"caf", False), Frame(CONT, b"\xc3", False), Frame(CONT, b"\xa9")]
        encoded = [ours.encode(frame) for frame in frames]
        expected = [
            theirs.encode(OracleFrame(OracleOpcode(frame.opcode), frame.data, frame.fin))
            for frame in frames
        ]
        assert [*map(dataclasses.astuple, encoded)] == [*map(dataclasses.astuple, expected)]
        assert [frame.rsv1 for frame in encoded] == [True, False, False]
        assert [reader.decode(frame) for frame in encoded] == frames


@pytest.mark.parametrize("opcode", [CLOSE, PING, PONG])
@pytest.mark.parametrize("rsv1", [False, True])
def test_control_frames_pass(opcode: Opcode, rsv1: bool) -> None:
    frame = Frame(opcode, b"x", rsv1=rsv1)
    assert make().encode(frame) is frame
    assert make().decode(frame) is frame


def test_uncompressed_frames_pass() -> None:
    extension = make()
    for frame in (Frame(TEXT, b"a", False), Frame(CONT, b"b", False), Frame(CONT, b"c")):
        assert extension.decode(frame) is frame
    assert extension.decode(Frame(BINARY, b"d")).data == b"d"


def test_control_frames_between_compressed_fragments() -> None:
    ours = make()
    first = ours.encode(Frame(TEXT, b"spam", False))
    ping = ours.encode(Frame(PING, b"!"))
    last = ours.encode(Frame(CONT, b"eggs"))
    reader = mirrored(ours)
    assert [reader.decode(frame).data for frame in (first, ping, last)] == [b"spam", b"!", b"eggs"]


def test_rsv1_in_a_continuation() -> None:
    extension = make()
    extension.decode(Frame(TEXT, b"", False, rsv1=True))
    with pytest.raises(ProtocolError, match="^RSV1 bit set in continuation frame$"):
        extension.decode(Frame(CONT, b"", rsv1=True))


def test_a_small_message_stays_as_it_is() -> None:
    extension = make(threshold=5)
    small = Frame(TEXT, b"1234")
    assert extension.encode(small) is small
    assert extension.encode(Frame(TEXT, b"12345")).rsv1
    # How long a fragmented message will be is not known when its first fragment goes out.
    assert extension.encode(Frame(TEXT, b"1", False)).rsv1
    assert not extension.encode(Frame(CONT, b"2")).rsv1
    assert extension.encode(small) is small


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_kinds_of_buffers(kind: Any) -> None:
    frame = make().encode(Frame(BINARY, kind(WORDS)))
    assert make().decode(Frame(BINARY, kind(bytes(frame.data)), rsv1=True)).data == WORDS


# Windows and takeover.


@pytest.mark.parametrize("bits", range(9, 16))
@pytest.mark.parametrize("no_takeover", [False, True])
def test_every_window(bits: int, no_takeover: bool) -> None:
    writer = make(local_max_window_bits=bits, local_no_context_takeover=no_takeover)
    reader = mirrored(writer)
    noise = random.Random(bits).randbytes(2**bits)
    messages = [noise, WORDS, noise + noise, b"", WORDS]
    sizes = []
    for message in messages:
        frame = writer.encode(Frame(BINARY, message))
        sizes.append(len(frame.data))
        assert reader.decode(frame).data == message
    if no_takeover:
        assert sizes[1] == sizes[4]


def test_a_window_of_8_bits_can_be_read() -> None:
    # No zlib makes one, but others do; distances within 256 bytes are valid in every window.
    reader = make(remote_max_window_bits=8)
    data = raw(b"abcabcabc" * 20, 9)
    assert inflate(reader, [data, b"\x00"]) == b"abcabcabc" * 20


def test_context_takeover_makes_repetition_cheap() -> None:
    keeping, forgetting = make(), make(local_no_context_takeover=True)
    first, second = (len(keeping.encode(Frame(TEXT, WORDS)).data) for _ in range(2))
    assert second < first / 3
    first, second = (len(forgetting.encode(Frame(TEXT, WORDS)).data) for _ in range(2))
    assert second == first


def test_a_peer_that_keeps_a_context_it_renounced_is_refused() -> None:
    writer, reader = make(), make(remote_no_context_takeover=True)
    assert reader.decode(writer.encode(Frame(TEXT, WORDS))).data == WORDS
    with pytest.raises(ProtocolError, match="^decompression failed$"):
        reader.decode(writer.encode(Frame(TEXT, WORDS)))


def test_compress_settings() -> None:
    stored = make(compress_settings={"level": 0}).encode(Frame(BINARY, bytes(1000)))
    assert len(stored.data) > 1000


# Streams.


def messages() -> list[bytes]:
    return [b"", b"a", WORDS[:300], random.Random(1).randbytes(100), "κόσμε".encode() * 20]


@pytest.mark.parametrize("no_takeover", [False, True])
@pytest.mark.parametrize("message", messages())
def test_inflating_at_every_split(message: bytes, no_takeover: bool) -> None:
    data = make().deflate(message, True, True)
    for point in range(len(data) + 1):
        reader = make(remote_no_context_takeover=no_takeover)
        assert inflate(reader, [data[:point], data[point:]]) == message
    reader = make(remote_no_context_takeover=no_takeover)
    assert inflate(reader, [bytes((byte,)) for byte in data]) == message


def test_the_messages_of_rfc_7692() -> None:
    # Section 7.2.3: one block, shared window, no compression, BFINAL, two blocks.
    reader = make()
    for payload in (
        b"\xf2\x48\xcd\xc9\xc9\x07\x00",
        b"\xf2\x00\x11\x00\x00",
        b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00",
        b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00",
        b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
    ):
        assert inflate(reader, [payload]) == b"Hello"


@pytest.mark.parametrize("no_takeover", [False, True])
def test_final_blocks_at_every_split(no_takeover: bool) -> None:
    data = raw(b"spam") + raw(b"") + raw(b"eggs") + make().deflate(b"ham", True, True)
    follower = make().deflate(b"again", True, True)
    for point in range(len(data) + 1):
        reader = make(remote_no_context_takeover=no_takeover)
        assert inflate(reader, [data[:point], data[point:]]) == b"spameggsham"
        assert inflate(reader, [follower]) == b"again"
    reader = make(remote_no_context_takeover=no_takeover)
    assert inflate(reader, [bytes((byte,)) for byte in data]) == b"spameggsham"


def test_what_ends_a_stream_empties_the_window() -> None:
    words = WORDS[:200]
    referring = zlib.compressobj(wbits=-15, zdict=words)
    second = referring.compress(words) + referring.flush(zlib.Z_SYNC_FLUSH)
    data = raw(words) + second[:-4]
    # The same at every split: a window that is there or not as the reads fall is no window.
    for pieces in ([data], [raw(words), second[:-4]], [bytes((byte,)) for byte in data]):
        with pytest.raises(ProtocolError, match="^decompression failed$"):
            inflate(make(), pieces)


EMPTY_STREAM = raw(b"")
"""The shortest that ends zlib's stream: one empty block with BFINAL set, 2 bytes."""

TOO_MANY = "^compressed message has more than 256 final blocks$"


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("no_takeover", [False, True])
def test_final_blocks_have_a_limit(no_takeover: bool, apart: bool) -> None:
    def cut(data: bytes) -> list[bytes]:
        return [bytes((byte,)) for byte in data] if apart else [data]

    reader = make(remote_no_context_takeover=no_takeover)
    for _ in range(3):  # each message may have as many
        assert inflate(reader, cut(EMPTY_STREAM * 255 + raw(b"spam") + b"\x00")) == b"spam"
    with pytest.raises(ProtocolError, match=TOO_MANY):
        inflate(reader, cut(EMPTY_STREAM * 257))


def test_final_blocks_of_all_fragments_are_counted() -> None:
    reader = make()
    reader.decode(Frame(BINARY, EMPTY_STREAM * 200, fin=False, rsv1=True))
    reader.decode(Frame(CONT, EMPTY_STREAM * 56, fin=False))
    with pytest.raises(ProtocolError, match=TOO_MANY):
        reader.decode(Frame(CONT, EMPTY_STREAM, fin=True))


def test_too_many_final_blocks_fail_the_connection() -> None:
    server = ServerProtocol(state=State.OPEN, max_size=None)
    server.extensions = [make()]
    payload = EMPTY_STREAM * 131_072
    # The head: FIN, RSV1, binary; masked, with a 64-bit length and a key of zeros.
    head = b"\xc2\xff" + len(payload).to_bytes(8, "big") + bytes(4)
    started = time.process_time()
    server.receive_data(head + payload)
    taken = time.process_time() - started
    assert server.state is State.CLOSING
    assert re.search(TOO_MANY, str(server.parser_exc))
    assert server.data_to_send()[0][2:4] == (1002).to_bytes(2, "big")
    # Restarting zlib as often as the payload asks for takes several times as long.
    assert taken < 0.1


def test_what_follows_final_blocks_is_not_copied_for_each() -> None:
    long = make().deflate(random.Random(7692).randbytes(8_000_000), True, True)

    def measure(count: int) -> float:
        started = time.process_time()
        assert len(inflate(make(), [EMPTY_STREAM * count + long])) == 8_000_000
        return time.process_time() - started

    # 256 copies of the payload take 20 times as long as inflating it once.
    assert measure(256) < 6 * max(min(measure(1) for _ in range(3)), 0.005)


@pytest.mark.parametrize("data", [b"\x07", b"\xff\xff", b"\x00\x01\x00\x00\x00", b"\x06garbage"])
@pytest.mark.parametrize("apart", [False, True])
def test_corrupt_data(data: bytes, apart: bool) -> None:
    with pytest.raises(ProtocolError, match="^decompression failed$") as info:
        inflate(make(), [bytes((byte,)) for byte in data] if apart else [data])
    assert isinstance(info.value.__cause__, zlib.error)
    with pytest.raises(ProtocolError, match="^decompression failed$"):
        make().decode(Frame(BINARY, data, rsv1=True))


# Limits.


@pytest.mark.parametrize("size", [0, 1, 100, 65536])
def test_a_limit_is_exact(size: int) -> None:
    frame = make().encode(Frame(BINARY, bytes(size)))
    assert len(make().decode(frame, max_size=size).data) == size
    theirs = oracle.PerMessageDeflate(False, False, 15, 15)
    if size:
        with pytest.raises(PayloadTooBig) as info:
            make().decode(frame, max_size=size - 1)
        assert str(info.value) == f"frame exceeds limit of {size - 1} bytes"
        if size > 1:  # websockets takes a limit of 0 for none
            with pytest.raises(Exception, match=f"^{info.value}$"):
                theirs.decode(
                    OracleFrame(OracleOpcode.BINARY, frame.data, rsv1=True), max_size=size - 1
                )


def test_a_limit_across_final_blocks() -> None:
    data = raw(b"spam") + raw(b"eggs") + b"\x00"
    assert make().decode(Frame(BINARY, data, rsv1=True), max_size=8).data == b"spameggs"
    with pytest.raises(PayloadTooBig) as info:
        make().decode(Frame(BINARY, data, rsv1=True), max_size=7)
    assert str(info.value) == "frame exceeds limit of 7 bytes"


@pytest.mark.parametrize("limit", [1000, 100_000])
def test_a_bomb_takes_no_more_memory_than_its_limit(limit: int) -> None:
    frame = make().encode(Frame(BINARY, bytes(100_000_000)))
    reader = make()
    tracemalloc.start()
    try:
        with pytest.raises(PayloadTooBig):
            reader.decode(frame, max_size=limit)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Two copies of the compressed data (with its tail, and what zlib did not take), and the buffer
    # that zlib lets grow; isal's context takes 60 KiB.
    assert peak < 2 * len(frame.data) + 3 * limit + 100_000


def test_no_limit() -> None:
    frame = make().encode(Frame(BINARY, bytes(5_000_000)))
    assert len(make().decode(frame).data) == 5_000_000


def test_contexts_are_made_when_needed() -> None:
    tracemalloc.start()
    try:
        unused = [make() for _ in range(100)]
        current, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert current < 100 * 1000 and len(unused) == 100


def test_repr() -> None:
    assert repr(make(local_max_window_bits=9)) == (
        "PerMessageDeflate(remote_no_context_takeover=False, local_no_context_takeover=False, "
        "remote_max_window_bits=15, local_max_window_bits=9)"
    )
    assert repr(make()) == repr(oracle.PerMessageDeflate(False, False, 15, 15))
