"""ropeway and each peer over TLS and over Unix sockets."""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .authority import Authority, Credentials
from .pairs import both_roles, every_peer, pair
from .payloads import MIB, patterned
from .peers import Peer, PeerDistrustsError, PeerOptions

pytestmark = both_roles

MESSAGES = ["up", "", "索道 🚡", b"\x00\xff", patterned(70_000), patterned(MIB)]


@pytest.fixture
def unix_path() -> Iterator[Path]:
    # A Unix socket's path has to be short; pytest's own folders can be too deep.
    with tempfile.TemporaryDirectory(prefix="ropeway-") as folder:
        yield Path(folder, "socket")


@every_peer
async def test_tls(peer: Peer, role: str, authority: Authority) -> None:
    options = PeerOptions(tls=authority.loopback)
    async with pair(peer, role, theirs=options) as (ours, theirs):
        assert ours.transport.get_extra_info("ssl_object") is not None
        for message in MESSAGES:
            await ours.send(message)
            assert await theirs.recv() == message
            await theirs.send(message)
            assert await ours.recv() == message
        await theirs.close(1000, "enough")
        await ours.wait_closed()
        assert (ours.close_code, ours.close_reason) == (1000, "enough")


@pytest.fixture(params=["wrong-name", "unknown-authority"])
def dubious(request: pytest.FixtureRequest, authority: Authority, tmp_path: Path) -> Credentials:
    """A certificate that no client must accept from this server."""
    if request.param == "wrong-name":
        return authority.issue("elsewhere.example")
    return Authority(tmp_path).loopback.trusting(authority.loopback)


@every_peer
async def test_dubious_certificate_is_refused(peer: Peer, role: str, dubious: Credentials) -> None:
    expected = ssl.SSLCertVerificationError if role == "client" else PeerDistrustsError
    with pytest.raises(expected):
        async with pair(peer, role, theirs=PeerOptions(tls=dubious)):
            pass


@every_peer
async def test_unix_socket(peer: Peer, role: str, unix_path: Path) -> None:
    async with pair(peer, role, unix=unix_path) as (ours, theirs):
        for message in MESSAGES:
            await ours.send(message)
            assert await theirs.recv() == message
            await theirs.send(message)
            assert await ours.recv() == message
        await ours.close(1000, "enough")
        assert await theirs.closed() == (1000, "enough")
