"""Tasks that wait for the end of a connection, and are cancelled."""

from __future__ import annotations

import asyncio

from ..support.endpoints import Handed, connecting, port_of, serving


async def test_waits_for_the_end_that_were_cancelled_do_not_pile_up() -> None:
    handed = Handed()
    async with serving(handed) as server, await connecting(port_of(server)) as client:
        peer = await handed.connections.get()
        for _ in range(10):
            waiting = asyncio.create_task(client.wait_closed())
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting])
        others = [asyncio.create_task(client.wait_closed()) for _ in range(3)]
        await asyncio.sleep(0)
        others[1].cancel()
        assert len(client._lost) == 3
        handed.over.set()
        await asyncio.wait(others)
        assert [task.cancelled() for task in others] == [False, True, False]
        await peer.wait_closed()
