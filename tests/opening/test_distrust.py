"""Certificates and versions of TLS that a client refuses unless told otherwise, by whatever way."""

from __future__ import annotations

import contextlib
import datetime
import ssl
import warnings
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import pytest
import trustme

from ..support.proxies import ConnectProxy, Proxy, Socks4Proxy, Socks5Proxy
from ..support.require import require_package
from ..support.subject import connect
from .peers import accepting, raw_server

WAYS: dict[str, Callable[..., Proxy] | None] = {
    "direct": None,
    "http": ConnectProxy,
    "socks4a": Socks4Proxy,
    "socks5h": Socks5Proxy,
}
YESTERDAY = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)


class Servers(NamedTuple):
    """Contexts of servers with something wrong, and a client's that trusts their authority."""

    trusting: ssl.SSLContext
    wrong: dict[str, tuple[ssl.SSLContext, str]]
    """What is wrong: the server's context, and what the client's error says."""


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Servers:
    authority, stranger = trustme.CA(), trustme.CA()
    file = tmp_path_factory.mktemp("authority") / "ca.pem"
    authority.cert_pem.write_to_path(file)

    def server(by: trustme.CA, *names: str, **options: Any) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        by.issue_cert(*names, **options).configure_cert(context)
        return context

    old = server(authority, "localhost", "127.0.0.1")
    # What OpenSSL's default security level refuses to speak, a server may still offer.
    old.set_ciphers("ALL:@SECLEVEL=0")
    make_old(old)
    return Servers(
        ssl.create_default_context(cafile=file),
        {
            "expired": (server(authority, "localhost", not_after=YESTERDAY), "expired"),
            "another-host": (server(authority, "elsewhere.example"), "Hostname mismatch"),
            "parent-of-the-host": (server(authority, "host"), "Hostname mismatch"),
            "wildcard-beyond-a-label": (server(authority, "*.b.localhost"), "Hostname mismatch"),
            "another-address": (server(authority, "127.0.0.2"), "Hostname mismatch"),
            "self-signed": (server(stranger, "localhost"), "self-signed|unable to get"),
            "tls-1.0": (old, ".*"),
        },
    )


def make_old(context: ssl.SSLContext) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1


WRONG = (
    "expired",
    "another-host",
    "parent-of-the-host",
    "wildcard-beyond-a-label",
    "another-address",
    "self-signed",
    "tls-1.0",
)


@contextlib.asynccontextmanager
async def way(name: str, port: int) -> AsyncIterator[dict[str, Any]]:
    """Give the options of ``connect`` for a way to a server on ``port``, whoever is asked for."""
    kind = WAYS[name]
    if kind is None:
        yield {"proxy": None, "host": "127.0.0.1", "port": port}
        return
    if name.startswith("socks"):
        require_package("python_socks")
    async with kind(route=("127.0.0.1", port)) as proxy:
        yield {"proxy": proxy.uri(None if name == "http" else name)}


@pytest.mark.parametrize("by", WAYS)
@pytest.mark.parametrize("what", WRONG)
async def test_refused(what: str, by: str, servers: Servers) -> None:
    context, why = servers.wrong[what]
    async with raw_server(accepting, tls=context) as server:
        async with way(by, server.port) as options:
            with pytest.raises((ssl.SSLError, OSError), match=why) as info:
                await connect("wss://localhost/", ssl=servers.trusting, **options)
    assert not server.requests
    if what != "tls-1.0":
        assert "CERTIFICATE_VERIFY_FAILED" in str(info.value)


async def test_another_address_than_the_certificates(servers: Servers) -> None:
    context, _ = servers.wrong["another-address"]
    async with raw_server(accepting, tls=context) as server:
        with pytest.raises(ssl.SSLCertVerificationError, match="IP address mismatch"):
            await connect(server.uri(scheme="wss"), ssl=servers.trusting)
    assert not server.requests


@pytest.mark.parametrize("what", ["expired", "another-host", "self-signed", "tls-1.0"])
async def test_an_https_proxy_is_checked_as_well(what: str, servers: Servers) -> None:
    context, why = servers.wrong[what]
    async with raw_server(accepting) as server, ConnectProxy(tls=context) as proxy:
        with pytest.raises((ssl.SSLError, OSError), match=why):
            await connect(
                server.uri(), proxy=proxy.uri(host="localhost"), proxy_ssl=servers.trusting
            )
    assert not proxy.asked
    assert not server.requests


@pytest.mark.parametrize("what", WRONG)
async def test_without_a_context_nothing_of_it_is_trusted(what: str, servers: Servers) -> None:
    context, _ = servers.wrong[what]
    async with raw_server(accepting, tls=context) as server:
        with pytest.raises(OSError):
            await connect("wss://localhost/", host="127.0.0.1", port=server.port)
    assert not server.requests
