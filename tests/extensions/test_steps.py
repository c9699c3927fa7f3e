"""A message is inflated in steps: its content is the same, and what is refused was never whole."""

from __future__ import annotations

import random
import tracemalloc
import zlib

import pytest

from ropeway._build import build
from ropeway.exceptions import PayloadTooBig
from ropeway.extensions._contexts import STEP, Inflater

from .backends import BACKENDS, installed

LIMIT = 1 << 20
# Memory of the pure build is copied where it grows, the last time when a quarter of it is full.
COPIED = 0 if build == "compiled" else LIMIT // 4


def deflated(payload: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def payload_of(kind: str, size: int) -> bytes:
    if kind == "zeros":
        return bytes(size)
    rng = random.Random(size)
    if kind == "noise":
        return rng.randbytes(size)
    words = [rng.randbytes(6).hex() for _ in range(50)]
    return " ".join(rng.choice(words) for _ in range(size // 12 + 1)).encode()[:size]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", ["zeros", "noise", "words"])
@pytest.mark.parametrize(
    "size", [1, STEP - 1, STEP, STEP + 1, 2 * STEP, 3 * STEP + 17, LIMIT - 1, LIMIT]
)
def test_the_content_is_the_same(backend: str, kind: str, size: int) -> None:
    payload = payload_of(kind, size)
    inflater = Inflater(installed(backend), 15, False)
    for _ in range(3):  # each with what came before in its window
        inflater.start()
        assert inflater.inflate(deflated(payload), LIMIT, True) == payload


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("size", [LIMIT + 1, LIMIT + STEP, 50 * LIMIT])
@pytest.mark.parametrize("kind", ["zeros", "words"])
def test_what_is_refused_was_never_whole(backend: str, kind: str, size: int) -> None:
    payload = payload_of(kind, min(size, 3 * LIMIT) if kind == "words" else size)
    data = deflated(payload)
    inflater = Inflater(installed(backend), 15, False)
    inflater.start()
    tracemalloc.start()
    try:
        with pytest.raises(PayloadTooBig):
            inflater.inflate(data, LIMIT, True)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Besides the input, of which zlib's objects keep what they have not read yet.
    assert peak < LIMIT + COPIED + 4 * STEP + 4 * len(data)


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_is_taken_is_not_joined_from_parts(backend: str) -> None:
    data = deflated(bytes(LIMIT))
    inflater = Inflater(installed(backend), 15, False)
    inflater.start()
    tracemalloc.start()
    try:
        message = inflater.inflate(data, LIMIT, True)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(message) == LIMIT
    assert peak < (1 if build == "compiled" else 2) * LIMIT + 4 * STEP
