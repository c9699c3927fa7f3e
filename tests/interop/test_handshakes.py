"""Opening handshakes between ropeway and each peer: headers, subprotocols, targets, refusals."""

from __future__ import annotations

from typing import Any

import pytest

from ..support import subject
from .pairs import both_roles, every_peer, every_peer_but, one_loop, pair
from .peers import Peer, PeerOptions, PeerRefusedError

pytestmark = one_loop

HEADERS = {"X-Ropeway": "up and down", "X-Empty": ""}


@every_peer
async def test_headers_from_the_client(peer: Peer) -> None:
    async with pair(peer, "client", additional_headers=HEADERS) as (_, theirs):
        assert theirs.headers["x-ropeway"] == "up and down"
        assert theirs.headers["x-empty"] == ""
    async with pair(peer, "server", theirs=PeerOptions(headers=HEADERS)) as (ours, _):
        assert ours.request.headers["x-ropeway"] == "up and down"
        assert ours.request.headers["X-Empty"] == ""


@every_peer
async def test_headers_from_the_server(peer: Peer) -> None:
    def add_headers(connection: Any, request: Any, response: Any) -> None:
        response.headers.update(HEADERS)

    async with pair(peer, "server", process_response=add_headers) as (_, theirs):
        assert theirs.headers["x-ropeway"] == "up and down"
        assert theirs.headers["x-empty"] == ""
    async with pair(peer, "client", theirs=PeerOptions(headers=HEADERS)) as (ours, _):
        assert ours.response.headers["x-ropeway"] == "up and down"
        assert ours.response.headers["X-Empty"] == ""


@every_peer
async def test_origin_and_user_agent(peer: Peer) -> None:
    options: dict[str, Any] = {"origin": "https://ropeway.test", "user_agent_header": "cabin/1"}
    async with pair(peer, "client", **options) as (_, theirs):
        assert theirs.headers["origin"] == "https://ropeway.test"
        assert theirs.headers["user-agent"] == "cabin/1"


@every_peer
@both_roles
@pytest.mark.parametrize("target", ["/", "/up/down?line=3&line=4", "/caf%C3%A9?q=%F0%9F%9A%A1"])
async def test_target(peer: Peer, role: str, target: str) -> None:
    async with pair(peer, role, target=target) as (ours, theirs):
        assert ours.request.path == target
        assert theirs.target == (target if role == "client" else "")


SUBPROTOCOLS = [
    pytest.param(["chat.v2", "chat.v1"], ["chat.v1"], "chat.v1", id="one-in-common"),
    pytest.param(["chat.v1"], ["chat.v1"], "chat.v1", id="the-same"),
]


@every_peer
@both_roles
@pytest.mark.parametrize(("offered", "supported", "chosen"), SUBPROTOCOLS)
async def test_subprotocol(
    peer: Peer, role: str, offered: list[str], supported: list[str], chosen: str
) -> None:
    own, other = (offered, supported) if role == "client" else (supported, offered)
    async with pair(
        peer, role, theirs=PeerOptions(subprotocols=other), subprotocols=own or None
    ) as (ours, theirs):
        assert ours.subprotocol == chosen
        assert theirs.subprotocol == chosen


@every_peer
async def test_server_without_subprotocols_ignores_the_offer(peer: Peer) -> None:
    async with pair(peer, "client", subprotocols=["chat.v1"]) as (ours, theirs):
        assert ours.subprotocol is None
        assert theirs.subprotocol is None


@every_peer_but("node-ws")  # which gives up, as a client, when its offer is ignored
async def test_ropeway_without_subprotocols_ignores_the_offer(peer: Peer) -> None:
    options = PeerOptions(subprotocols=["chat.v1"])
    async with pair(peer, "server", theirs=options) as (ours, theirs):
        assert ours.subprotocol is None
        assert theirs.subprotocol is None


@every_peer
@pytest.mark.parametrize("offered", [[], ["chat.v3"]], ids=["none-offered", "none-in-common"])
async def test_client_without_a_supported_subprotocol_is_refused(
    peer: Peer, offered: list[str]
) -> None:
    options = PeerOptions(subprotocols=offered)
    with pytest.raises(PeerRefusedError) as caught:
        async with pair(peer, "server", theirs=options, subprotocols=["chat.v2"]):
            pass
    assert caught.value.status == 400


@every_peer
@pytest.mark.parametrize("status", [401, 403, 503])
async def test_refused_by_the_peer(peer: Peer, status: int) -> None:
    invalid_status = subject.module("exceptions").InvalidStatus
    async with peer.serve(None, PeerOptions(refuse=status)) as accepting:
        with pytest.raises(invalid_status) as caught:
            await subject.connect(accepting.where.url, proxy=None, reconnect_delays=iter)
    assert caught.value.response.status_code == status
    assert caught.value.response.body == b"not today"


@every_peer
@pytest.mark.parametrize("status", [401, 403, 503])
async def test_refused_by_ropeway(peer: Peer, status: int) -> None:
    def refuse(connection: Any, request: Any) -> Any:
        return connection.respond(status, "not today")

    with pytest.raises(PeerRefusedError) as caught:
        async with pair(peer, "server", process_request=refuse):
            pass
    assert caught.value.status == status


@every_peer
async def test_foreign_origin_is_refused(peer: Peer) -> None:
    options = PeerOptions(headers={"Origin": "https://elsewhere.test"})
    with pytest.raises(PeerRefusedError) as caught:
        async with pair(peer, "server", theirs=options, origins=["https://ropeway.test"]):
            pass
    assert caught.value.status == 403
