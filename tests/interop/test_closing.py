"""How connections end between ropeway and each peer."""

from __future__ import annotations

import pytest

from ..support import subject
from .pairs import both_roles, every_peer, every_peer_but, fragmenting_peer, pair
from .peers import Peer, PeerClosedError, PeerOptions

pytestmark = both_roles

CLOSES = [
    pytest.param(1000, "", id="normal"),
    pytest.param(1000, "done", id="normal-with-reason"),
    pytest.param(1001, "going away", id="going-away"),
    pytest.param(1011, "broken cable", id="internal-error"),
    pytest.param(3000, "registered", id="registered"),
    pytest.param(4999, "é索🚡" * 13 + "é索🚡"[:1] * 3, id="longest-reason"),
]


@every_peer
@pytest.mark.parametrize(("code", "reason"), CLOSES)
async def test_closed_by_ropeway(peer: Peer, role: str, code: int, reason: str) -> None:
    async with pair(peer, role) as (ours, theirs):
        await ours.close(code, reason)
        assert await theirs.closed() == (code, reason)
        assert ours.state is subject.State.CLOSED
        # aiohttp answers every close with 1000; the others repeat the code, some not the reason.
        assert ours.close_code == (1000 if peer.name == "aiohttp" else code)


@every_peer
@pytest.mark.parametrize(("code", "reason"), CLOSES)
async def test_closed_by_the_peer(peer: Peer, role: str, code: int, reason: str) -> None:
    expected = subject.ConnectionClosedOK if code < 1002 else subject.ConnectionClosedError
    async with pair(peer, role) as (ours, theirs):
        await theirs.close(code, reason)
        with pytest.raises(expected) as caught:
            await ours.recv()
        assert caught.value.rcvd == subject.Close(code, reason)
        assert caught.value.sent == subject.Close(code, reason)
        assert caught.value.rcvd_then_sent is True
        assert (ours.close_code, ours.close_reason) == (code, reason)
        if peer.name != "aiohttp":  # which does not wait for the answer
            assert (await theirs.closed())[0] == code


@fragmenting_peer
async def test_closed_by_the_peer_without_a_code(peer: Peer, role: str) -> None:
    async with pair(peer, role) as (ours, theirs):
        await theirs.send_empty_close()
        with pytest.raises(subject.ConnectionClosedOK) as caught:
            await ours.recv()
        assert caught.value.rcvd == subject.Close(1005, "")
        assert ours.close_code == 1005
        assert await theirs.closed() == (1005, "")


@every_peer
async def test_messages_before_a_close_are_delivered(peer: Peer, role: str) -> None:
    async with pair(peer, role) as (ours, theirs):
        await theirs.send("last")
        await theirs.send(b"words")
        await theirs.close(1000, "")
        assert [message async for message in ours] == ["last", b"words"]


@every_peer
async def test_messages_before_ropeways_close_are_delivered(peer: Peer, role: str) -> None:
    async with pair(peer, role) as (ours, theirs):
        await ours.send("last")
        await ours.send(b"words")
        await ours.close()
        assert await theirs.recv() == "last"
        assert await theirs.recv() == b"words"
        with pytest.raises(PeerClosedError):
            await theirs.recv()


@every_peer
async def test_dropped_by_the_peer(peer: Peer, role: str) -> None:
    async with pair(peer, role) as (ours, theirs):
        await theirs.send("alive")
        assert await ours.recv() == "alive"
        theirs.abort()
        with pytest.raises(subject.ConnectionClosedError) as caught:
            await ours.recv()
        assert caught.value.rcvd is None
        assert caught.value.sent is None
        assert ours.close_code == 1006
        with pytest.raises(subject.ConnectionClosedError):
            await ours.send("anyone there?")


@every_peer
async def test_dropped_by_ropeway(peer: Peer, role: str) -> None:
    async with pair(peer, role) as (ours, theirs):
        await ours.send("alive")
        assert await theirs.recv() == "alive"
        ours.transport.abort()
        code, _ = await theirs.closed()
        assert code == 1006
        await ours.wait_closed()
        assert ours.close_code == 1006


@every_peer
async def test_message_over_ropeways_limit(peer: Peer, role: str) -> None:
    async with pair(peer, role, max_size=1000) as (ours, theirs):
        await theirs.send(b"x" * 1000)
        assert await ours.recv() == b"x" * 1000
        await theirs.send(b"x" * 1001)
        code, _ = await theirs.closed()
        assert code == 1009
        with pytest.raises(subject.ConnectionClosedError) as caught:
            await ours.recv()
        assert caught.value.sent.code == 1009


@every_peer_but("wsproto")  # which sets no limit
async def test_message_over_the_peers_limit(peer: Peer, role: str) -> None:
    async with pair(peer, role, theirs=PeerOptions(max_size=1000)) as (ours, _):
        await ours.send(b"x" * 1001)
        with pytest.raises(subject.ConnectionClosedError) as caught:
            await ours.recv()
        assert caught.value.rcvd.code == 1009
        assert ours.close_code == 1009
