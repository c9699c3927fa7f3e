"""Whole messages: what send accepts, what goes out, what recv returns."""

from __future__ import annotations

import asyncio
import string
import threading
from typing import Any

import pytest

from ..support.drivers import asyncio_only, worker
from ..support.endpoints import against_raw, both_roles, pair
from ..support.rawpeer import BINARY, TEXT, RawFrame, frame
from ..support.subject import ConcurrencyError, ConnectionClosedOK, only_ropeway

SIZES = [0, 1, 2, 7, 8, 9, 124, 125, 126, 127, 128, 1000, 65534, 65535, 65536, 65537, 1 << 20]
UNICODE = ["é", "😀", "日本語", "a\x00b", "\U0010ffff", "\ud7ff\ue000", "ascii then ☃", "﻿bom"]


def counting(size: int) -> bytes:
    """Bytes of which no two neighbours are alike, nor blocks of a power of two."""
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def letters(size: int) -> str:
    return (string.ascii_lowercase * (size // 26 + 1))[:size]


def scattered(data: bytes) -> memoryview:
    """A memoryview whose bytes are not contiguous."""
    spread = bytearray(2 * len(data))
    spread[::2] = data
    return memoryview(spread)[::2]


# Sending


@both_roles
@pytest.mark.parametrize("size", SIZES)
async def test_binary_message_goes_out_as_one_frame(role: str, size: int) -> None:
    message = counting(size)
    async with against_raw(role) as (ws, raw):
        sending = asyncio.create_task(ws.send(message))
        assert await raw.recv_frame() == RawFrame(BINARY, message, masked=role == "client")
        assert await sending is None


@both_roles
@pytest.mark.parametrize("size", SIZES)
async def test_text_message_goes_out_as_one_frame(role: str, size: int) -> None:
    message = letters(size)
    async with against_raw(role) as (ws, raw):
        sending = asyncio.create_task(ws.send(message))
        assert await raw.recv_frame() == RawFrame(TEXT, message.encode(), masked=role == "client")
        await sending


@both_roles
@pytest.mark.parametrize("message", UNICODE)
async def test_text_goes_out_as_utf8(role: str, message: str) -> None:
    async with against_raw(role) as (ws, raw):
        await ws.send(message)
        assert await raw.recv_payload(TEXT) == message.encode()


@both_roles
@pytest.mark.parametrize(
    "message",
    [
        bytearray(b"tea"),
        memoryview(b"tea"),
        memoryview(bytearray(b"tea")),
        memoryview(b"--tea--")[2:5],
        # websockets cannot send these from a server.
        pytest.param(scattered(b"tea"), marks=only_ropeway),
        pytest.param(memoryview(b"aet")[::-1], marks=only_ropeway),
    ],
    ids=["bytearray", "memoryview", "writable", "slice", "scattered", "reversed"],
)
async def test_bytes_like_goes_out_as_binary(role: str, message: Any) -> None:
    async with against_raw(role) as (ws, raw):
        await ws.send(message)
        assert await raw.recv_payload(BINARY) == b"tea"


@both_roles
async def test_sent_bytearray_is_not_changed_and_may_be_reused(role: str) -> None:
    message = bytearray(b"x" * 1000)
    async with against_raw(role) as (ws, raw):
        await ws.send(message)
        assert message == b"x" * 1000
        message[:] = b"y" * 1000
        message.clear()
        assert await raw.recv_payload(BINARY) == b"x" * 1000


@both_roles
@pytest.mark.parametrize(
    ("message", "text", "opcode", "payload"),
    [
        ("café", None, TEXT, "café".encode()),
        ("café", True, TEXT, "café".encode()),
        ("café", False, BINARY, "café".encode()),
        (b"tea", None, BINARY, b"tea"),
        (b"tea", True, TEXT, b"tea"),
        (b"tea", False, BINARY, b"tea"),
        (bytearray(b"tea"), True, TEXT, b"tea"),
        (memoryview(b"tea"), True, TEXT, b"tea"),
    ],
)
async def test_text_argument_chooses_the_opcode(
    role: str, message: Any, text: bool | None, opcode: int, payload: bytes
) -> None:
    async with against_raw(role) as (ws, raw):
        await ws.send(message, text=text)
        assert await raw.recv_payload(opcode) == payload


ASYNC, SYNC = "str, bytes, iterable, or async iterable", "str, bytes, or iterable"


@both_roles
@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"a": "dict"}, "data is a dict-like object"),
        (None, "data must be str, bytes, iterable, or async iterable"),
        (42, "data must be str, bytes, iterable, or async iterable"),
        (4.2, "data must be str, bytes, iterable, or async iterable"),
        (object(), "data must be str, bytes, iterable, or async iterable"),
    ],
    ids=["dict", "None", "int", "float", "object"],
)
async def test_wrong_type_raises_and_sends_nothing(role: str, message: Any, text: str) -> None:
    async with against_raw(role) as (ws, raw):
        with pytest.raises(TypeError) as raised:
            await ws.send(message)
        assert str(raised.value) == (text if worker() == "coroutine" else text.replace(ASYNC, SYNC))
        await ws.send("still open")
        assert await raw.recv_payload(TEXT) == b"still open"


@both_roles
async def test_str_subclass_is_text(role: str) -> None:
    class Name(str):
        pass

    async with against_raw(role) as (ws, raw):
        await ws.send(Name("tea"))
        assert await raw.recv_payload(TEXT) == b"tea"


@only_ropeway
@both_roles
async def test_lone_surrogate_raises_and_sends_nothing(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        with pytest.raises(UnicodeEncodeError):
            await ws.send("\ud800")
        await ws.send("still open")
        assert await raw.recv_payload(TEXT) == b"still open"


@both_roles
async def test_messages_sent_by_many_tasks_go_out_whole_and_in_order(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        messages = [f"{index}-" * index for index in range(50)]
        async with asyncio.TaskGroup() as group:
            for message in messages:
                group.create_task(ws.send(message))
        for message in messages:
            assert await raw.recv_payload(TEXT) == message.encode()


async def test_client_masks_each_frame_with_a_fresh_key() -> None:
    async with against_raw("client") as (ws, raw):
        for _ in range(20):
            await ws.send("tea")
        keys = {(await raw.recv_exactly(9))[2:6] for _ in range(20)}
        assert len(keys) == 20


# Receiving


@both_roles
@pytest.mark.parametrize("size", SIZES)
async def test_binary_message_is_received(role: str, size: int) -> None:
    message = counting(size)
    async with against_raw(role) as (ws, raw):
        sending = asyncio.create_task(raw.send_frame(BINARY, message, key=b"abcd"))
        received = await ws.recv()
        await sending
        assert type(received) is bytes
        assert received == message


@both_roles
@pytest.mark.parametrize("size", SIZES)
async def test_text_message_is_received(role: str, size: int) -> None:
    message = letters(size)
    async with against_raw(role) as (ws, raw):
        sending = asyncio.create_task(raw.send_frame(TEXT, message, key=b"abcd"))
        received = await ws.recv()
        await sending
        assert type(received) is str
        assert received == message


@both_roles
@pytest.mark.parametrize("message", UNICODE)
async def test_utf8_is_received_as_text(role: str, message: str) -> None:
    async with against_raw(role) as (ws, raw):
        await raw.send_frame(TEXT, message, key=b"wxyz")
        assert await ws.recv() == message


@both_roles
@pytest.mark.parametrize(
    ("opcode", "decode", "expected"),
    [
        (TEXT, None, "café"),
        (TEXT, True, "café"),
        (TEXT, False, "café".encode()),
        (BINARY, None, "café".encode()),
        (BINARY, True, "café"),
        (BINARY, False, "café".encode()),
    ],
)
async def test_decode_chooses_the_type(
    role: str, opcode: int, decode: bool | None, expected: str | bytes
) -> None:
    async with against_raw(role) as (ws, raw):
        await raw.send_frame(opcode, "café")
        await raw.send_frame(opcode, "café")
        assert await ws.recv(decode) == expected
        received = await ws.recv(decode=decode)
        assert type(received) is type(expected)
        assert received == expected


@both_roles
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("decode", [None, True, False])
async def test_empty_message_has_the_right_type(
    role: str, opcode: int, decode: bool | None
) -> None:
    async with against_raw(role) as (ws, raw):
        await raw.send_frame(opcode)
        as_text = decode if decode is not None else opcode == TEXT
        received = await ws.recv(decode)
        assert type(received) is (str if as_text else bytes)
        assert not received


@both_roles
async def test_binary_decoded_as_text_must_be_utf8(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        await raw.send_frame(BINARY, b"caf\xe9")
        receiving = asyncio.create_task(ws.recv(decode=True))
        assert await raw.finish_close() == (1007, "unexpected end of data at position 3")
        with pytest.raises(Exception, match="sent 1007") as raised:
            await receiving
        assert isinstance(raised.value.__cause__, UnicodeDecodeError)


@both_roles
async def test_messages_of_one_packet_arrive_in_order(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        await raw.send(*(raw.frame(TEXT, str(index)) for index in range(100)))
        assert [await ws.recv() for _ in range(100)] == [str(index) for index in range(100)]


@both_roles
async def test_message_split_over_packets_is_received_whole(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        receiving = asyncio.create_task(ws.recv())
        data = raw.frame(TEXT, "split " * 30, key=b"key!") + raw.frame(TEXT, "next")
        for index in range(len(data)):
            await raw.send(data[index : index + 1])
            await asyncio.sleep(0)
        assert await receiving == "split " * 30
        assert await ws.recv() == "next"


@both_roles
async def test_frames_that_follow_the_handshake_in_its_packet_are_received(role: str) -> None:
    early = frame(TEXT, b"early", mask=role == "server") + frame(
        BINARY, b"bird", mask=role == "server"
    )
    async with against_raw(role, early=early) as (ws, _):
        assert [await ws.recv(), await ws.recv()] == ["early", b"bird"]


@both_roles
async def test_iteration_yields_messages_until_the_close(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        await raw.send(raw.frame(TEXT, "one"), raw.frame(BINARY, b"two"), raw.frame(TEXT, ""))
        await raw.close_handshake()
        assert [message async for message in ws] == ["one", b"two", ""]
        assert [message async for message in ws] == []


@both_roles
async def test_iteration_can_be_left_and_taken_up_again(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        await raw.send(*(raw.frame(TEXT, str(index)) for index in range(4)))
        await raw.close_handshake()
        async for message in ws:
            assert message == "0"
            break
        assert await ws.recv() == "1"
        assert [message async for message in ws] == ["2", "3"]


@both_roles
async def test_sender_and_receiver_run_side_by_side(role: str) -> None:
    async with pair() as (client, server):
        near, far = (client, server) if role == "client" else (server, client)

        async def produce() -> None:
            for index in range(200):
                await near.send(str(index))

        async with asyncio.TaskGroup() as group:
            group.create_task(produce())
            received = [await far.recv() for _ in range(200)]
        assert received == [str(index) for index in range(200)]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 1 << 20])
async def test_echo_between_both_ends(size: int) -> None:
    async with pair() as (client, server):

        async def echo() -> None:
            async for message in server:
                await server.send(message)

        async with asyncio.TaskGroup() as group:
            group.create_task(echo())
            for message in ("x" * size, b"x" * size):
                await client.send(message)
                assert await client.recv() == message
            await client.close()


# Two receivers


RECV_TWICE = "cannot call recv while another coroutine is already running recv or recv_streaming"
STREAM_TWICE = (
    "cannot call recv_streaming while another coroutine is already running recv or recv_streaming"
)


async def only_part_of(stream: Any) -> Any:
    (part,) = [part async for part in stream]
    return part


@both_roles
@pytest.mark.parametrize("first", ["recv", "recv_streaming"])
@pytest.mark.parametrize(
    ("second", "text"),
    [("recv", RECV_TWICE), ("recv_streaming", STREAM_TWICE)],
    ids=["recv", "recv_streaming"],
)
async def test_second_receiver_is_refused(role: str, first: str, second: str, text: str) -> None:
    async with against_raw(role) as (ws, raw):
        waiting = asyncio.create_task(
            ws.recv() if first == "recv" else only_part_of(ws.recv_streaming())
        )
        await asyncio.sleep(0)
        with pytest.raises(ConcurrencyError) as raised:
            await (ws.recv() if second == "recv" else only_part_of(ws.recv_streaming()))
        assert str(raised.value) == text.replace("coroutine", worker())
        assert isinstance(raised.value, RuntimeError)
        await raw.send_frame(TEXT, "for the first")
        assert await waiting == "for the first"
        await raw.send_frame(TEXT, "and again")
        assert await ws.recv() == "and again"


@both_roles
async def test_second_iteration_is_refused(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        waiting = asyncio.create_task(anext(aiter(ws)))
        await asyncio.sleep(0)
        with pytest.raises(ConcurrencyError, match="cannot call recv while"):
            await anext(aiter(ws))
        await raw.send_frame(TEXT, "for the first")
        assert await waiting == "for the first"


# From another thread


@asyncio_only("through a loop; with threads any may send")
@both_roles
async def test_send_from_another_thread(role: str) -> None:
    loop = asyncio.get_running_loop()
    async with against_raw(role) as (ws, raw):

        def work() -> None:
            for index in range(10):
                asyncio.run_coroutine_threadsafe(ws.send(str(index)), loop).result(10)

        thread = threading.Thread(target=work)
        thread.start()
        assert [await raw.recv_payload(TEXT) for _ in range(10)] == [
            str(index).encode() for index in range(10)
        ]
        await asyncio.to_thread(thread.join)


@asyncio_only("through a loop; with threads any may receive")
@both_roles
async def test_recv_from_another_thread(role: str) -> None:
    loop = asyncio.get_running_loop()
    async with against_raw(role) as (ws, raw):
        receiving = asyncio.run_coroutine_threadsafe(ws.recv(), loop)
        await raw.send_frame(TEXT, "across")
        assert await asyncio.wrap_future(receiving) == "across"


# JSON


@only_ropeway
@both_roles
@pytest.mark.parametrize("value", [{"a": [1, 2.5, None, True]}, [], "café", 0, None])
async def test_send_json_sends_compact_text(role: str, value: Any) -> None:
    import json

    async with against_raw(role) as (ws, raw):
        await ws.send_json(value)
        assert json.loads(await raw.recv_payload(TEXT)) == value


@only_ropeway
@both_roles
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
async def test_recv_json_accepts_text_and_binary(role: str, opcode: int) -> None:
    async with against_raw(role) as (ws, raw):
        await raw.send_frame(opcode, '{"caf\\u00e9": [1, "☃"]}')
        assert await ws.recv_json() == {"café": [1, "☃"]}


@only_ropeway
@both_roles
async def test_recv_json_of_what_is_not_json_raises_and_leaves_the_connection(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        await raw.send(raw.frame(TEXT, "{nope"), raw.frame(TEXT, "[1]"))
        with pytest.raises(ValueError):
            await ws.recv_json()
        assert await ws.recv_json() == [1]


@only_ropeway
@both_roles
async def test_send_json_of_what_cannot_be_json_sends_nothing(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        with pytest.raises(TypeError):
            await ws.send_json({"x": object()})
        await ws.send("still open")
        assert await raw.recv_payload(TEXT) == b"still open"


@only_ropeway
@both_roles
async def test_recv_json_timeout_loses_nothing(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        with pytest.raises(TimeoutError):
            await ws.recv_json(timeout=0.01)
        await raw.send_frame(TEXT, "[2]")
        assert await ws.recv_json(timeout=10) == [2]


# At the end


@both_roles
async def test_recv_after_the_end_raises_each_time(role: str) -> None:
    async with against_raw(role) as (ws, raw):
        await raw.close_handshake()
        for _ in range(3):
            with pytest.raises(ConnectionClosedOK):
                await ws.recv()
