"""The windows of a connection: kept, given back, and moved on by what was compressed elsewhere.

Every message is checked against a strict peer: zlib itself, with the negotiated window and no more.
"""

from __future__ import annotations

import random
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from ropeway.exceptions import PayloadTooBig, ProtocolError
from ropeway.extensions import _contexts, permessage_deflate
from ropeway.extensions._backends import DEFAULT_SETTINGS, Backend
from ropeway.extensions._contexts import whole_window
from ropeway.extensions.permessage_deflate import PerMessageDeflate

from .backends import BACKENDS, installed

TAIL = b"\x00\x00\xff\xff"


@pytest.fixture(autouse=True, params=BACKENDS)
def using(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Backend:
    """Run the test with each library."""
    backend = installed(request.param)
    monkeypatch.setattr(permessage_deflate, "backend", lambda: backend)
    return backend


def make(bits: int = 12, **kwargs: Any) -> PerMessageDeflate:
    config: dict[str, Any] = {
        "remote_no_context_takeover": False,
        "local_no_context_takeover": False,
        "remote_max_window_bits": bits,
        "local_max_window_bits": max(bits, 9),
        "compress_settings": DEFAULT_SETTINGS,
    }
    return PerMessageDeflate(**{**config, **kwargs})


class Peer:
    """zlib at the other end, with a window of exactly so many bits."""

    def __init__(self, bits: int = 12) -> None:
        self.inflater = zlib.decompressobj(wbits=-bits)
        self.deflater = zlib.compressobj(wbits=-max(bits, 9))

    def inflate(self, payload: bytes) -> bytes:
        inflated = self.inflater.decompress(payload + TAIL)
        assert self.inflater.unused_data == self.inflater.unconsumed_tail == b""
        return inflated

    def deflate(self, payload: bytes) -> bytes:
        return (self.deflater.compress(payload) + self.deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]


def ticks(size: int, seed: int = 1) -> bytes:
    """Make a message in which much repeats, also of messages made before."""
    source = random.Random(seed)
    ticks = bytearray()
    while len(ticks) < size:
        ticks += b'{"symbol":"%s","price":%d,"side":"buy"},' % (
            source.choice([b"BTC-USD", b"ETH-USD", b"SOL-USD"]),
            source.randrange(10**6),
        )
    return bytes(ticks[:size])


def receive(extension: PerMessageDeflate, payload: bytes) -> bytes:
    extension.start_inflating()
    return extension.inflate(payload, -1, True)


def send(extension: PerMessageDeflate, payload: bytes) -> bytes:
    return extension.deflate(payload, True, True)


def put_to_rest(extension: PerMessageDeflate) -> None:
    extension.rest()
    assert not extension.rest()


SIZES = [0, 1, 200, 8191, 8192, 8193, 65_536, 300, 20_000, 250, 250]


@pytest.mark.parametrize("bits", range(9, 16))
@pytest.mark.parametrize("no_takeover", [False, True])
@pytest.mark.parametrize("settings", [{}, DEFAULT_SETTINGS, {"level": 9}], ids=repr)
def test_every_window(bits: int, no_takeover: bool, settings: dict[str, Any]) -> None:
    extension = make(bits, local_no_context_takeover=no_takeover, compress_settings=settings)
    peer = Peer(bits)
    for seed, size in enumerate(SIZES):
        for message in (ticks(size, seed), random.Random(seed).randbytes(size)):
            if no_takeover:
                peer = Peer(bits)
            assert peer.inflate(send(extension, message)) == message


@pytest.mark.parametrize("bits", range(9, 16))
def test_distances_stay_within_the_window(bits: int) -> None:
    # What repeats at just more than the window's size is not referred to: fed in pieces of less
    # than the window, zlib has nothing else to look at than its window.
    noise = random.Random(bits).randbytes((1 << bits) + 1)
    payload = send(make(bits), noise * 5)
    reader = zlib.decompressobj(wbits=-bits)
    inflated = b"".join(reader.decompress(bytes((byte,))) for byte in payload + TAIL)
    assert inflated == noise * 5


def test_a_message_ends_with_a_flush(using: Backend) -> None:
    for size in SIZES:
        deflater = using.deflater_for_large(12, b"")
        flushed = deflater.compress(ticks(size)) + deflater.flush(zlib.Z_SYNC_FLUSH)
        assert flushed.endswith(TAIL)


def test_settings_of_the_caller_are_zlibs() -> None:
    for settings in ({"level": 1}, {"strategy": zlib.Z_HUFFMAN_ONLY}, {"memLevel": 1}):
        expected = zlib.compressobj(wbits=-12, **settings)
        message = ticks(65_536)
        payload = expected.compress(message) + expected.flush(zlib.Z_SYNC_FLUSH)
        assert send(make(compress_settings=settings), message) == payload[:-4]


def test_a_large_message_leaves_its_window_to_the_next() -> None:
    extension, peer = make(), Peer()
    message = ticks(65_536)
    assert peer.inflate(send(extension, message)) == message
    last = message[-500:]
    payload = send(extension, last)
    assert len(payload) < 50
    assert peer.inflate(payload) == last
    second = message[-4000:] + ticks(60_000, 2)
    assert peer.inflate(send(extension, second)) == second


@pytest.mark.parametrize("size", [200, 2048, 65_536])
def test_no_library_sends_more_than_zlib(using: Backend, size: int) -> None:
    if using.name == "isal":
        pytest.skip("isal is for those who would rather send more")
    messages = [ticks(size, seed) for seed in range(30)]
    extension, expected = make(), zlib.compressobj(wbits=-12, **DEFAULT_SETTINGS)
    sent = sum(len(send(extension, message)) for message in messages)
    limit = 0
    for message in messages:
        limit += len(expected.compress(message) + expected.flush(zlib.Z_SYNC_FLUSH)) - 4
    assert sent <= limit * 1.02


def test_seats_are_taken_and_given_back(using: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_contexts._Seats, "free", 2)
    extensions, peers = [make() for _ in range(3)], [Peer() for _ in range(3)]

    def all_send(size: int, seed: int) -> None:
        for extension, peer in zip(extensions, peers, strict=True):
            message = ticks(size, seed)
            assert peer.inflate(send(extension, message)) == message

    for round, free in enumerate([0, 2, 0] if using.name == "zlib-ng" else [2, 2, 2]):
        all_send(2000, round)
        all_send(100, round)
        if round == 1:
            # A large message is compressed apart: none has a context any more.
            all_send(20_000, round)
        assert _contexts._Seats.free == free
    put_to_rest(extensions[0])
    del extensions[1:]
    assert _contexts._Seats.free == 2


def test_a_large_message_in_fragments() -> None:
    extension, peer = make(), Peer()
    for seed in range(3):
        parts = [ticks(30_000, seed), ticks(10, seed), ticks(30_000, seed + 1)]
        payload = b"".join(
            extension.deflate(part, index == 0, index == 2) for index, part in enumerate(parts)
        )
        assert peer.inflate(payload) == b"".join(parts)
        assert peer.inflate(send(extension, parts[0])) == parts[0]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
@pytest.mark.parametrize("size", [100, 65_536])
def test_kinds_of_buffers(kind: Callable[[bytes], Any], size: int) -> None:
    extension, peer = make(), Peer()
    for seed in range(2):
        message = ticks(size, seed)
        assert peer.inflate(extension.deflate(kind(message), True, True)) == message


def test_the_window_goes_along_to_the_one_for_large_messages(using: Backend) -> None:
    extension, peer = make(), Peer()
    for seed in range(3):
        for message in (ticks(300, seed), random.Random(seed).randbytes(3000), ticks(3000, seed)):
            assert receive(extension, peer.deflate(message)) == message
    with pytest.raises(ProtocolError) as info:
        receive(extension, b"\x07" * 2000)
    assert isinstance(info.value.__cause__, using.error)


# Rest.


@pytest.mark.parametrize("bits", range(8, 16))
def test_what_rests_goes_on_as_if_it_had_not(bits: int) -> None:
    extension, peer = make(bits), Peer(bits)
    # zlib makes no window of 8 bits, but starting afresh, it refers no further than this.
    sizes = [1, 2, 3, 4, 5, 50] if bits == 8 else [1, 2, 3, 257, 258, 259, 1 << bits, 70_000]
    noise = random.Random(bits).randbytes(200)
    for seed, size in enumerate(sizes):
        for message in (ticks(size, seed), noise):
            if bits == 8:
                peer = Peer()
            assert receive(extension, peer.deflate(message)) == message
            put_to_rest(extension)
    if bits > 8:
        payload = peer.deflate(noise)
        assert len(payload) < 20
        assert receive(extension, payload) == noise


@pytest.mark.parametrize("bits", range(8, 16))
def test_a_window_is_read_whole(using: Backend, bits: int) -> None:
    for size in {1, 2, 3, 4, 5, 6, 7, 8, 9, 100, 257, 258, 259, 1 << bits, (1 << bits) - 1}:
        if size <= 1 << bits:
            window = random.Random(size).randbytes(size)
            context = using.inflater(bits, window)
            assert context.decompress(whole_window(size), size) == window


def test_what_was_used_since_stays() -> None:
    extension, peer = make(), Peer()
    assert not extension.rest()
    for _ in range(3):
        receive(extension, peer.deflate(b"spam"))
        assert extension.rest()
    assert not extension.rest()
    for _ in range(3):
        send(extension, b"spam")
        assert extension.rest()
    assert not extension.rest()


def test_nobody_rests_within_a_message() -> None:
    extension, peer = make(), Peer()
    payload = peer.deflate(ticks(1000))
    for point in range(len(payload)):
        extension.start_inflating()
        inflated = extension.inflate(payload[:point], -1, False)
        assert [extension.rest() for _ in range(3)] == [True] * 3
        inflated += extension.inflate(payload[point:], -1, True)
        assert inflated == ticks(1000)
        payload = peer.deflate(ticks(1000))


def test_a_sender_may_rest_within_a_message() -> None:
    extension, peer = make(), Peer()
    payload = extension.deflate(b"spam " * 100, True, False)
    put_to_rest(extension)
    payload += extension.deflate(b"spam " * 100, False, True)
    assert peer.inflate(payload) == b"spam " * 200


def test_without_takeover_nothing_is_kept() -> None:
    extension = make(remote_no_context_takeover=True, local_no_context_takeover=True)
    receive(extension, Peer().deflate(ticks(1000)))
    send(extension, ticks(100_000))
    put_to_rest(extension)
    with pytest.raises(ProtocolError, match="^decompression failed$"):
        peer = Peer()
        peer.deflate(ticks(1000))
        receive(extension, peer.deflate(ticks(1000)))


def test_rest_after_a_final_block() -> None:
    # Which empties the window: what the peer sends next can't refer to what came before.
    extension = make()
    ending = zlib.compressobj(wbits=-12)
    final = ending.compress(ticks(500)) + ending.flush(zlib.Z_FINISH)
    assert receive(extension, final) == ticks(500)
    put_to_rest(extension)
    assert receive(extension, Peer().deflate(b"spam")) == b"spam"
    referring = zlib.compressobj(wbits=-12, zdict=ticks(500))
    payload = referring.compress(ticks(500)) + referring.flush(zlib.Z_SYNC_FLUSH)
    put_to_rest(extension)
    with pytest.raises(ProtocolError, match="^decompression failed$"):
        receive(extension, payload[:-4])


def test_limits_hold_after_rest() -> None:
    extension, peer = make(), Peer()
    for _ in range(3):
        receive(extension, peer.deflate(bytes(10_000)))
        put_to_rest(extension)
    payload = peer.deflate(bytes(10_000))
    extension.start_inflating()
    with pytest.raises(PayloadTooBig):
        extension.inflate(payload, 9_999, True)


def test_rest_gives_back_what_contexts_take() -> None:
    extensions = [make() for _ in range(20)]
    peer = Peer()
    received = [peer.deflate(ticks(200, seed)) for seed in range(100)]
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for extension in extensions:
            for payload in received:
                receive(extension, payload)
            send(extension, ticks(200))
        awake, _ = tracemalloc.get_traced_memory()
        for extension in extensions:
            put_to_rest(extension)
        rested, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert awake - before > 20 * 30_000
    # A window of 4 KiB, compressed.
    assert rested - before < 20 * 2_500


# Apart.


def alike(extension: PerMessageDeflate) -> tuple[object, object]:
    return extension.deflater.kind(), extension.deflater.window


@pytest.mark.parametrize("bits", range(9, 16))
@pytest.mark.parametrize("size", [100, 3000, 65_536])
def test_what_was_compressed_apart_is_one_message_among_others(bits: int, size: int) -> None:
    extensions = [make(bits) for _ in range(3)]
    peers = [Peer(bits) for _ in extensions]

    def everyone_sends(seed: int) -> None:
        for extension, peer in zip(extensions, peers, strict=True):
            message = ticks(300, seed)
            assert peer.inflate(send(extension, message)) == message
            seed += 1

    for seed in range(0, 100, 10):
        message = ticks(size, seed)
        made: dict[Any, Any] = {}
        for extension, peer in zip(extensions, peers, strict=True):
            key = alike(extension)
            if key not in made:
                made[key] = extension.deflater.apart(message)
            extension.deflater.sent(made[key])
            assert peer.inflate(made[key].deflated) == message
        assert len(made) == 1
        if seed % 20:
            everyone_sends(seed)
        if seed % 30:
            put_to_rest(extensions[0])
            put_to_rest(extensions[1])
            put_to_rest(extensions[2])


def test_those_who_got_the_same_keep_a_context_in_common() -> None:
    extensions = [make() for _ in range(3)]
    sizes = []
    for seed in range(5):
        apart = extensions[0].deflater.apart(ticks(200, seed))
        for extension in extensions:
            extension.deflater.sent(apart)
        sizes.append(len(apart.deflated))
        assert len({alike(extension) for extension in extensions}) == 1
    assert sizes[-1] < sizes[0] / 2
    # One of them hears something else in between: it has a context of its own again.
    send(extensions[2], ticks(200, 9))
    assert alike(extensions[0]) == alike(extensions[1]) != alike(extensions[2])


def test_no_context_in_common_without_takeover() -> None:
    extension = make(local_no_context_takeover=True)
    for _ in range(3):
        apart = extension.deflater.apart(ticks(200))
        extension.deflater.sent(apart)
        assert Peer().inflate(apart.deflated) == ticks(200)
    assert alike(extension) == alike(make(local_no_context_takeover=True))


@pytest.mark.parametrize(
    "other",
    [
        {"local_max_window_bits": 11},
        {"local_no_context_takeover": True},
        {"compress_settings": {"memLevel": 5, "level": 1}},
        {"threshold": 1},
    ],
    ids=repr,
)
def test_what_is_not_alike(other: dict[str, Any]) -> None:
    assert alike(make()) == alike(make(remote_max_window_bits=15))
    assert alike(make()) != alike(make(**other))
