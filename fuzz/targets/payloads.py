"""The kernels as Python sees them: compiled as pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tests.wire.builds import BUILDS

from .taking import Taking, outcome

Room = Any


def check(data: bytes) -> None:
    """Call one kernel with what the input says, in both builds."""
    kind = data[0] if data else 0
    call = CALLS[kind % len(CALLS)]
    results = [call(build.room("_wire"), Taking(data[1:])) for build in BUILDS.values()]
    assert results[0] == results[-1], "builds differ"


def _unmask(room: Room, taking: Taking) -> Any:
    key = taking.number() << 16 | taking.number()
    offset = taking.byte() % 9
    data = bytearray(taking.rest())
    end = len(data)
    start = min(offset, end)
    payload = room.payload_bytes(data, start, end, key)
    consumed = (end - start) // 2
    rest = room.payload_bytes(data, start + consumed, end, room.rotate_key(key, consumed))
    assert payload[consumed:] == rest
    text = outcome(room.payload_text, data, start, end, key)
    assert text == outcome(payload.decode)
    return payload, text


def _utf8(room: Room, taking: Taking) -> Any:
    pending, results = b"", []
    text = taking.number() % 7 * b"a"
    data = text + taking.rest()
    for start in range(0, len(data), 5):
        kind, value = outcome(room.utf8_rest, pending, data[start : start + 5])
        results.append((kind, value))
        if kind != "gives":
            break
        pending = value
    else:
        results.append(outcome((pending + b"").decode))
    whole = outcome(data.decode)
    assert (whole[0] == "gives") == (results[-1][0] == "gives") if data else True
    return results


def _frame(room: Room, taking: Taking) -> Any:
    first, masked = taking.byte(), bool(taking.byte() & 1)
    key = taking.number() << 16 | taking.number()
    kind = taking.byte() % 4
    data = taking.rest()
    payload: Any = data
    if kind == 1:
        payload = data.decode("latin-1")
    elif kind == 2:
        payload = data.decode(errors="replace")
    elif kind == 3:
        numbers = (int.from_bytes(data[at : at + 3], "little") for at in range(0, len(data), 3))
        payload = "".join(chr(number % 0x110000) for number in numbers)
    return outcome(room.frame_bytes, first, payload, masked, key)


def _index(room: Room, taking: Taking) -> Any:
    data = taking.rest()
    index = room.header_index(data, 0)
    if index is not None:
        assert all(name == name.lower() and value for name, value in index.items())
    return index


def _buffer(room: Room, taking: Taking) -> Any:
    """Receive a payload in place and by copies, a few bytes at a time, text or not."""
    is_text, as_str = bool(taking.byte() & 1), bool(taking.byte() & 1)
    key = taking.number() << 16 | taking.number()
    sizes = [1 + taking.byte() % 40 for _ in range(6)]
    wire = taking.rest()
    buffer = room.PayloadBuffer(len(wire), is_text, as_str)
    pending, results, pos, turn = b"", [], 0, 0
    while pos < len(wire):
        size = min(sizes[turn % len(sizes)], len(wire) - pos)
        if (sizes[turn % len(sizes)] + turn) % 2:
            buffer.put(wire, pos, pos + size, room.rotate_key(key, pos))
        else:
            view = buffer.room()
            size = min(size, len(view))
            assert size > 0
            view[:size] = wire[pos : pos + size]
            del view
            buffer.advance(size, room.rotate_key(key, pos))
        pos, turn = pos + size, turn + 1
        if is_text:
            kind, value = outcome(buffer.utf8_rest, pending, size)
            results.append((kind, value if kind == "gives" else value[0]))
            if kind != "gives":
                return results
            pending = value
        assert buffer.filled == pos
    if wire and not pending:
        results.append(outcome(buffer.take))
        plain = room.payload_bytes(wire, 0, len(wire), key)
        assert results[-1] == ("gives", plain.decode() if is_text and as_str else plain)
    return results


CALLS: tuple[Callable[[Room, Taking], Any], ...] = (_unmask, _utf8, _frame, _index, _buffer)


def seeds() -> Iterator[bytes]:
    """Give inputs for each kernel."""
    texts = [
        b"plain text " * 12,
        "κόσμε".encode() * 20,
        "é".encode() * 60,
        "\U0001f6a0".encode() * 30,
        b"a" * 130 + b"\xc0\xaf",
        b"cut \xf0\x9f\x98",
    ]
    for kind in range(len(CALLS)):
        for text in texts:
            yield bytes((kind, 1, 1, 0, 0, 0, 0, 3, 30, 7)) + text
            yield bytes((kind, 1, 0, 0x37, 0xFA, 0x21, 0x3D, 3, 2, 1)) + text
    yield bytes((3,)) + b"Host: localhost\r\nX-Y: \xe9 z\r\n\r\n"
    yield bytes((3,)) + b"Host: a\r\nhost: b\r\n\r\n"
    yield bytes((2, 0x81, 1, 1, 2, 3, 4, 3)) + b"a\0\0\0\xd8\0b\0\0\xac\x20\0\xa0\xf6\1"
