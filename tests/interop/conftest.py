"""Peers and a certificate authority."""

from __future__ import annotations

import contextlib
import gc
import importlib
from collections.abc import Iterator

import pytest

from ..support.require import require_package
from .authority import Authority
from .peers import Peer


@pytest.fixture(scope="session", autouse=True)
def peers_loaded() -> None:
    """Load the peers' libraries once, where ``run`` need not look through them after each test."""
    for name in (
        "aiohttp.web",
        "websockets.asyncio.client",
        "websockets.asyncio.server",
        "wsproto",
    ):
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A private authority, for the peers that want certificates in files."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def node_agent(pytestconfig: pytest.Config) -> Iterator[int]:
    """The port of a node process that plays ends with ``ws``."""
    from .peers.node_peer import install_ws, running_agent

    folder = install_ws(pytestconfig.rootpath / ".cache" / "interop-node")
    with running_agent(folder) as port:
        yield port


@pytest.fixture
def peer(request: pytest.FixtureRequest) -> Peer:
    """The library at the other end, by its name."""
    match request.param:
        case "websockets":
            require_package("websockets")
            from .peers.websockets_peer import Websockets

            return Websockets()
        case "aiohttp":
            require_package("aiohttp")
            from .peers.aiohttp_peer import Aiohttp

            return Aiohttp()
        case "wsproto":
            require_package("wsproto")
            from .peers.wsproto_peer import Wsproto

            return Wsproto()
        case "node-ws":
            from .peers.node_peer import Node

            return Node(request.getfixturevalue("node_agent"))
    raise LookupError(request.param)
