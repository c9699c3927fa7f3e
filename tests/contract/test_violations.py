"""What a peer must not send: the close code and reason that it gets, and what the program sees."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from ..support.endpoints import against_raw, both_roles
from ..support.rawpeer import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    RSV1,
    RSV2,
    RSV3,
    TEXT,
    RawPeer,
    close_payload,
)
from ..support.subject import (
    ConnectionClosedError,
    ConnectionClosedOK,
    PayloadTooBig,
    ProtocolError,
    TooManyFragments,
    only_ropeway,
)

Build = Callable[[RawPeer], bytes]


def one(opcode: int, payload: bytes | str = b"", **options: Any) -> Build:
    return lambda raw: raw.frame(opcode, payload, **options)


def several(*builds: Build) -> Build:
    return lambda raw: b"".join(build(raw) for build in builds)


def wrongly_masked(opcode: int, payload: bytes = b"") -> Build:
    return lambda raw: raw.frame(opcode, payload, mask=not raw.masks)


RESERVED = "reserved bits must be 0"
OPCODE = "invalid opcode"
MASKING = "incorrect masking"
FRAGMENTED = "fragmented control frame"
TOO_LONG = "control frame too long"
UNEXPECTED = "unexpected continuation frame"
EXPECTED = "expected a continuation frame"
STATUS = "invalid status code"

# RFC 6455, sections 5.2 to 5.5 and 7.4: the frames, and the reason given with 1002.
PROTOCOL_ERRORS: dict[str, tuple[Build, str]] = {
    "rsv1": (one(TEXT, "x", rsv=RSV1), RESERVED),
    "rsv2": (one(TEXT, "x", rsv=RSV2), RESERVED),
    "rsv3": (one(BINARY, "x", rsv=RSV3), RESERVED),
    "all-rsv": (one(BINARY, "", rsv=RSV1 | RSV2 | RSV3), RESERVED),
    "rsv1-ping": (one(PING, "x", rsv=RSV1), RESERVED),
    "rsv1-cont": (several(one(TEXT, "x", fin=False), one(CONT, "y", rsv=RSV1)), RESERVED),
    **{
        f"opcode-{opcode}": (one(opcode, "x"), OPCODE)
        for opcode in (0x3, 0x4, 0x5, 0x6, 0x7, 0xB, 0xC, 0xD, 0xE, 0xF)
    },
    "opcode-without-payload": (one(0x3), OPCODE),
    "http": (lambda raw: b"GET / HTTP/1.1\r\n\r\n", OPCODE),
    "mask-text": (wrongly_masked(TEXT, b"x"), MASKING),
    "mask-empty": (wrongly_masked(TEXT), MASKING),
    "mask-ping": (wrongly_masked(PING), MASKING),
    "mask-close": (wrongly_masked(CLOSE), MASKING),
    "fragmented-ping": (one(PING, "x", fin=False), FRAGMENTED),
    "fragmented-pong": (one(PONG, "x", fin=False), FRAGMENTED),
    "fragmented-close": (one(CLOSE, fin=False), FRAGMENTED),
    "long-ping": (one(PING, "x" * 126), TOO_LONG),
    "long-pong": (one(PONG, "x" * 126), TOO_LONG),
    "long-close": (one(CLOSE, close_payload(1000, "x" * 124)), TOO_LONG),
    "cont-first": (one(CONT, "x"), UNEXPECTED),
    "cont-first-not-final": (one(CONT, "x", fin=False), UNEXPECTED),
    "cont-after-control": (several(one(PONG, "x"), one(CONT, "x")), UNEXPECTED),
    "text-in-message": (several(one(TEXT, "a", fin=False), one(TEXT, "b")), EXPECTED),
    "binary-in-message": (several(one(TEXT, "a", fin=False), one(BINARY, "b")), EXPECTED),
    "close-of-one-byte": (one(CLOSE, b"\x03"), "close frame too short"),
    **{
        f"close-{code}": (one(CLOSE, close_payload(code)), STATUS)
        for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    },
}

# RFC 6455, section 5.2: the minimal number of bytes encodes the length; websockets lets it pass.
LENGTH_ERRORS: dict[str, Build] = {
    "16-bit-0": one(TEXT, "", form=16),
    "16-bit-125": one(TEXT, "x" * 125, form=16),
    "64-bit-1": one(TEXT, "x", form=64),
    "64-bit-126": one(BINARY, "x" * 126, form=64),
    "64-bit-65535": one(BINARY, "x" * 65535, form=64),
    "16-bit-ping": one(PING, "x", form=16),
    "64-bit-ping": one(PING, "x", form=64),
    "bit-63": one(BINARY, b"", length=1 << 63, form=64),
    "all-bits": one(BINARY, b"", length=(1 << 64) - 1, form=64),
}

START = "invalid start byte"
CONTINUATION = "invalid continuation byte"
END = "unexpected end of data"

BAD_TEXT: dict[str, tuple[Build, str, int]] = {
    "first-byte": (one(TEXT, b"\xff"), START, 0),
    "later": (one(TEXT, b"abc\xffdef"), START, 3),
    "after-wide": (one(TEXT, "☃".encode() + b"\x80"), START, 3),
    "cut": (one(TEXT, b"caf\xc3"), END, 3),
    "surrogate": (one(TEXT, b"\xed\xa0\x80"), CONTINUATION, 0),
    "overlong": (one(TEXT, b"\xc0\x80"), START, 0),
    "overlong-3": (one(TEXT, b"\xe0\x80\x80"), CONTINUATION, 0),
    "over-10ffff": (one(TEXT, b"\xf4\x90\x80\x80"), CONTINUATION, 0),
    "not-continued": (one(TEXT, b"\xe2\x28\xa1"), CONTINUATION, 0),
    "long": (one(TEXT, b"x" * 1000 + b"\xff" + b"x" * 20), START, 1000),
    "second-fragment": (several(one(TEXT, "abc", fin=False), one(CONT, b"\xff")), START, 3),
    "split-then-bad": (
        several(one(TEXT, b"\xe2\x98", fin=False), one(CONT, b"x")),
        CONTINUATION,
        0,
    ),
    "split-then-end": (several(one(TEXT, b"\xe2\x98", fin=False), one(CONT)), END, 0),
    "control-between": (
        several(one(TEXT, b"\xe2", fin=False), one(PONG, "x"), one(CONT, b"\x98")),
        END,
        0,
    ),
}


async def refused(raw: RawPeer, code: int, reason: str) -> None:
    """Check that the connection under test fails with this code and reason, and sends no more."""
    assert await raw.recv_close() == (code, reason)
    raw.half_close()
    assert await raw.recv_eof() == b""


@both_roles
@pytest.mark.parametrize("case", PROTOCOL_ERRORS)
async def test_protocol_error(role: str, case: str) -> None:
    build, reason = PROTOCOL_ERRORS[case]
    async with against_raw(role) as (ws, raw):
        receiving = asyncio.create_task(ws.recv())
        await raw.send(build(raw))
        await refused(raw, 1002, reason)
        with pytest.raises(ConnectionClosedError) as raised:
            await receiving
        assert str(raised.value) == (
            f"sent 1002 (protocol error) {reason}; no close frame received"
        )
        assert isinstance(raised.value.__cause__, ProtocolError)
        assert str(raised.value.__cause__) == reason
        assert (ws.close_code, ws.close_reason) == (1006, "")


@only_ropeway
@both_roles
@pytest.mark.parametrize("case", LENGTH_ERRORS)
async def test_length_error(role: str, case: str) -> None:
    async with against_raw(role) as (ws, raw):
        await raw.send(LENGTH_ERRORS[case](raw))
        code, reason = await raw.recv_close()
        assert code == 1002
        assert any(word in reason for word in ("length", "minimal", "too long"))
        raw.close()
        with pytest.raises(ConnectionClosedError, match="sent 1002"):
            await ws.recv()


@both_roles
@pytest.mark.parametrize("case", BAD_TEXT)
async def test_text_that_is_not_utf8(role: str, case: str) -> None:
    build, reason, position = BAD_TEXT[case]
    async with against_raw(role) as (ws, raw):
        receiving = asyncio.create_task(ws.recv())
        await raw.send(build(raw))
        await refused(raw, 1007, f"{reason} at position {position}")
        with pytest.raises(ConnectionClosedError, match="sent 1007") as raised:
            await receiving
        cause = raised.value.__cause__
        assert isinstance(cause, UnicodeDecodeError)
        assert cause.reason == reason


@only_ropeway
@both_roles
@pytest.mark.parametrize("case", BAD_TEXT)
async def test_text_is_checked_though_nobody_receives(role: str, case: str) -> None:
    async with against_raw(role) as (ws, raw):
        await raw.send(BAD_TEXT[case][0](raw))
        assert (await raw.recv_close())[0] == 1007
        raw.close()
        with pytest.raises(ConnectionClosedError, match="sent 1007"):
            await ws.recv(decode=False)


@only_ropeway
@both_roles
@pytest.mark.parametrize(
    "pieces",
    [
        (b"abc\xff",),
        (b"\xce\xba", b"\xed\xa0"),
        (b"\xf4", b"\x90"),
    ],
    ids=["at-once", "surrogate", "over-10ffff"],
)
async def test_text_fails_at_the_first_bad_byte_before_its_frame_ends(
    role: str, pieces: tuple[bytes, ...]
) -> None:
    async with against_raw(role) as (ws, raw):
        whole = raw.frame(TEXT, b"".join(pieces) + b"x" * 100)
        head, body = whole[:-100], len(b"".join(pieces))
        await raw.send(head[: len(head) - body])
        for start in range(len(head) - body, len(head)):
            await raw.send(head[start : start + 1])
        assert (await raw.recv_close())[0] == 1007
        raw.close()
        with pytest.raises(ConnectionClosedError, match="sent 1007"):
            await ws.recv()


@only_ropeway
@both_roles
async def test_text_fails_before_its_last_fragment(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        await raw.send_frame(TEXT, b"fine \xff", fin=False)
        assert (await raw.recv_close())[0] == 1007


@both_roles
async def test_code_point_split_over_fragments_and_packets_is_fine(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        for opcode, payload, fin in [
            (TEXT, b"\xf0", False),
            (CONT, b"\x9f\x98", False),
            (CONT, b"", False),
            (CONT, b"\x80", True),
        ]:
            await raw.send_frame(opcode, payload, fin=fin)
        assert await ws.recv() == "😀"


@both_roles
@pytest.mark.parametrize(
    ("payload", "reason"),
    [(b"\xff", f"{START} at position 0"), (b"caf\xc3", f"{END} at position 3")],
)
async def test_close_reason_must_be_utf8(role: str, payload: bytes, reason: str) -> None:
    async with against_raw(role) as (ws, raw):
        await raw.send_frame(CLOSE, close_payload(1000, payload))
        await refused(raw, 1007, reason)
        with pytest.raises(ConnectionClosedError, match="sent 1007"):
            await ws.recv()


@both_roles
@pytest.mark.parametrize(
    "code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999]
)
async def test_valid_close_codes_are_echoed(role: str, code: int) -> None:
    async with against_raw(role) as (ws, raw):
        assert await raw.close_handshake(code, "why") == (code, "why")
        with pytest.raises(ConnectionClosedOK if code in (1000, 1001) else ConnectionClosedError):
            await ws.recv()
        assert (ws.close_code, ws.close_reason) == (code, "why")


@both_roles
async def test_messages_before_a_violation_are_received(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        await raw.send(raw.frame(TEXT, "one"), raw.frame(BINARY, b"two"), raw.frame(0x3))
        await refused(raw, 1002, OPCODE)
        assert [await ws.recv(), await ws.recv()] == ["one", b"two"]
        with pytest.raises(ConnectionClosedError):
            await ws.recv()


@both_roles
async def test_nothing_after_a_violation_counts(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        await raw.send(
            raw.frame(0x3),
            raw.frame(TEXT, "late"),
            raw.frame(PING, "late"),
            raw.frame(CLOSE, close_payload(1000)),
        )
        await refused(raw, 1002, OPCODE)
        with pytest.raises(ConnectionClosedError, match="no close frame received"):
            await ws.recv()


@both_roles
async def test_sends_after_a_violation_raise(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        await raw.send_frame(0x3)
        await refused(raw, 1002, OPCODE)
        for operation in (lambda: ws.send("x"), lambda: ws.ping(), lambda: ws.pong()):
            with pytest.raises(ConnectionClosedError, match="sent 1002"):
                await operation()
        await ws.close()


@both_roles
async def test_violation_ends_iteration_with_an_error(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        received = []

        async def iterate() -> None:
            async for message in ws:
                received.append(message)

        iterating = asyncio.create_task(iterate())
        await raw.send(raw.frame(TEXT, "one"), raw.frame(0x3))
        await refused(raw, 1002, OPCODE)
        with pytest.raises(ConnectionClosedError):
            await iterating
        assert received == ["one"]


# Limits on size


@both_roles
@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (one(BINARY, b"x" * 1025), "frame with 1025 bytes exceeds limit of 1024 bytes"),
        (
            one(TEXT, b"", length=1 << 40, form=64),
            "frame with 1099511627776 bytes exceeds limit of 1024 bytes",
        ),
        (
            several(one(BINARY, b"x" * 1000, fin=False), one(CONT, b"x" * 25)),
            "frame with 25 bytes after reading 1000 bytes exceeds limit of 1024 bytes",
        ),
        (
            several(one(TEXT, b"x" * 1024, fin=False), one(CONT, b"x", fin=False)),
            "frame with 1 bytes after reading 1024 bytes exceeds limit of 1024 bytes",
        ),
    ],
    ids=["frame", "declared", "fragments", "first-byte-over"],
)
async def test_message_over_max_size(role: str, build: Build, reason: str) -> None:
    async with against_raw(role, max_size=1024) as (ws, raw):
        await raw.send(build(raw))
        assert await raw.recv_close() == (1009, reason)
        raw.close()
        with pytest.raises(ConnectionClosedError, match="sent 1009") as raised:
            await ws.recv()
        assert isinstance(raised.value.__cause__, PayloadTooBig)


@both_roles
async def test_message_of_max_size_is_received(role: str) -> None:
    async with against_raw(role, max_size=1024) as (ws, raw):
        await raw.send(raw.frame(BINARY, b"x" * 1024))
        assert await ws.recv() == b"x" * 1024
        await raw.send(raw.frame(TEXT, "x" * 1000, fin=False), raw.frame(CONT, "y" * 24))
        assert await ws.recv() == "x" * 1000 + "y" * 24


@only_ropeway
@both_roles
async def test_max_size_does_not_bind_control_frames(role: str) -> None:
    async with against_raw(role, max_size=10) as (_, raw):
        await raw.send_frame(PING, b"x" * 125)
        assert await raw.recv_payload(PONG) == b"x" * 125


@both_roles
async def test_max_size_does_not_bind_sends(role: str) -> None:
    async with against_raw(role, max_size=10) as (ws, raw):
        await ws.send(b"x" * 100)
        assert await raw.recv_payload(BINARY) == b"x" * 100


@both_roles
async def test_default_max_size_is_one_mebibyte(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        await raw.send_frame(BINARY, b"", length=(1 << 20) + 1, form=64)
        assert (await raw.recv_close())[0] == 1009


@both_roles
async def test_no_max_size(role: str) -> None:
    async with against_raw(role, max_size=None) as (ws, raw):
        sending = asyncio.create_task(raw.send_frame(BINARY, bytes(3 << 20)))
        assert await ws.recv() == bytes(3 << 20)
        await sending


@both_roles
@pytest.mark.parametrize(
    ("max_size", "build", "code"),
    [
        ((1024, 100), one(BINARY, b"x" * 101), 1009),
        ((1024, 100), several(one(BINARY, b"x", fin=False), one(CONT, b"x" * 101)), 1009),
        ((1024, None), one(BINARY, b"x" * 1025), 1009),
        ((None, 100), one(BINARY, b"x" * 101), 1009),
    ],
)
async def test_max_size_of_message_and_fragment(
    role: str, max_size: tuple[int | None, int | None], build: Build, code: int
) -> None:
    async with against_raw(role, max_size=max_size) as (_, raw):
        await raw.send(build(raw))
        assert (await raw.recv_close())[0] == code


@both_roles
@pytest.mark.parametrize("max_size", [(1024, 100), (1024, None), (None, 100), (None, None)])
async def test_fragments_within_both_limits(role: str, max_size: Any) -> None:
    async with against_raw(role, max_size=max_size) as (ws, raw):
        fragments = [b"x" * 100] * 10
        await raw.send(
            raw.frame(BINARY, fragments[0], fin=False),
            *(raw.frame(CONT, payload, fin=False) for payload in fragments[1:]),
            raw.frame(CONT, b"x" * 24),
        )
        assert await ws.recv() == b"x" * 1024


@only_ropeway
@both_roles
async def test_many_small_fragments_are_one_message(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        count = 20_000
        data = b"".join(raw.frame(CONT, b"x", fin=False) for _ in range(count))
        sending = asyncio.create_task(
            raw.send(raw.frame(BINARY, b"", fin=False), data, raw.frame(CONT))
        )
        assert await ws.recv() == b"x" * count
        await sending


@only_ropeway
@both_roles
@pytest.mark.parametrize(("count", "accepted"), [(4000, True), (5000, False)])
async def test_empty_fragments_are_counted(role: str, count: int, accepted: bool) -> None:
    async with against_raw(role) as (ws, raw):
        receiving = asyncio.create_task(ws.recv())
        await raw.send(
            raw.frame(TEXT, b"x", fin=False),
            raw.frame(CONT, b"", fin=False) * count,
            raw.frame(CONT, b"y"),
        )
        if accepted:
            assert await receiving == "xy"
        else:
            assert (await raw.recv_close())[0] == 1009
            raw.close()
            with pytest.raises(ConnectionClosedError, match="sent 1009") as raised:
                await receiving
            assert isinstance(raised.value.__cause__, TooManyFragments)
