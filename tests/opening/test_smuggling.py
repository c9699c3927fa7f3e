"""Requests whose end is told in two ways, so that whoever stands in front may see another one."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ..support.http import request
from ..support.rawpeer import CLOSE, TEXT, frame
from ..support.subject import only_ropeway
from .peers import in_pieces, raw_client
from .serving import port_of, serving
from .smuggling import BEHIND, FORMS, HIDDEN

STATUS_LINE = re.compile(rb"^HTTP/1\.1 \d", re.MULTILINE)


@only_ropeway
@pytest.mark.parametrize("behind", BEHIND.values(), ids=BEHIND.keys())
@pytest.mark.parametrize("data", FORMS.values(), ids=FORMS.keys())
async def test_refused_and_nothing_behind_it_is_read(data: bytes, behind: bytes) -> None:
    seen: list[Any] = []

    def look(connection: Any, request: Any) -> None:
        seen.append(request.path)

    async def never(connection: Any) -> None:
        raise AssertionError("the handler was called")

    async with serving(never, process_request=look) as server:
        for pieces in [(data + behind,), (data, behind)]:
            async with raw_client(port_of(server)) as client:
                await in_pieces(client.writer, *pieces)
                answer = await client.rest()
            assert answer.split(b" ")[1] in (b"400", b"426"), answer
            assert len(STATUS_LINE.findall(answer)) == 1
            assert frame(TEXT, b"hidden") not in answer
            assert bytes([0x80 | CLOSE]) not in answer
    assert "/hidden" not in seen


@only_ropeway
async def test_a_second_request_on_an_open_connection_is_no_request() -> None:
    async def idle(connection: Any) -> None:
        await connection.wait_closed()

    async with serving(idle, compression=None) as server:
        async with raw_client(port_of(server)) as client:
            await client.send(request() + HIDDEN)
            answer = await client.rest()
    assert len(STATUS_LINE.findall(answer)) == 1
    # "G" is an opcode of control frames that is reserved, and masks nothing.
    assert frame(CLOSE, b"")[:1] in answer
