"""TLS on the client's side: who is trusted, under which name, and with which certificate."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ..support.endpoints import listen
from ..support.names import exceptions
from ..support.proxies import record_server_name
from ..support.subject import State, connect
from .peers import Exchange, accepting, raw_server


@contextlib.asynccontextmanager
async def opened(uri: str, **options: Any) -> AsyncIterator[Any]:
    connection = await connect(uri, **options)
    assert connection.state is State.OPEN
    try:
        yield connection
    finally:
        connection.transport.abort()
        await connection.wait_closed()


async def test_a_trusted_server(tls: Any) -> None:
    async with raw_server(accepting, tls=tls.server_context) as server:
        async with opened(server.uri(scheme="wss"), ssl=tls.client_context) as connection:
            assert connection.transport.get_extra_info("ssl_object").version() == "TLSv1.3"
        async with opened(server.uri(scheme="wss", host="localhost"), ssl=tls.client_context):
            pass
    assert server.requests[1]["Host"] == f"localhost:{server.port}"


async def test_without_a_context_the_systems_authorities_decide(tls: Any) -> None:
    async with raw_server(accepting, tls=tls.server_context) as server:
        for options in [{}, {"ssl": True}, {"ssl": tls.untrusted_client_context}]:
            with pytest.raises(ssl.SSLCertVerificationError, match="CERTIFICATE_VERIFY_FAILED"):
                await connect(server.uri(scheme="wss"), **options)
    assert not server.requests


async def test_the_systems_authorities_can_be_set(
    tls: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tls.ca_file))
    async with raw_server(accepting, tls=tls.server_context) as server:
        async with opened(server.uri(scheme="wss")):
            pass


async def test_a_certificate_for_another_host_is_refused(tls: Any) -> None:
    async with raw_server(accepting, tls=tls.other_name_context) as server:
        with pytest.raises(ssl.SSLCertVerificationError, match=r"Hostname mismatch|IP address"):
            await connect(server.uri(scheme="wss"), ssl=tls.client_context)
    assert not server.requests


async def test_the_server_name_is_announced_and_checked(tls: Any) -> None:
    names: list[str | None] = []
    record_server_name(tls.other_name_context, names)
    try:
        async with raw_server(accepting, tls=tls.other_name_context) as server:
            options: dict[str, Any] = {"ssl": tls.client_context, "host": "127.0.0.1"}
            async with opened(f"wss://elsewhere.example:{server.port}/", **options):
                pass
            async with opened(
                f"wss://localhost:{server.port}/", server_hostname="elsewhere.example", **options
            ):
                pass
    finally:
        tls.other_name_context.sni_callback = None
    assert names == ["elsewhere.example", "elsewhere.example"]
    assert [request["Host"] for request in server.requests] == [
        f"elsewhere.example:{server.port}",
        f"localhost:{server.port}",
    ]


async def test_a_given_socket_speaks_tls_with_the_name_of_the_uri(tls: Any) -> None:
    async with raw_server(accepting, tls=tls.server_context) as server:
        sock = socket.create_connection(("127.0.0.1", server.port))
        async with opened("wss://localhost/", sock=sock, ssl=tls.client_context) as connection:
            assert connection.transport.get_extra_info("ssl_object").server_hostname == "localhost"


async def test_a_client_certificate(tls: Any) -> None:
    async def telling(exchange: Exchange) -> None:
        certificate = exchange.writer.get_extra_info("peercert")
        exchange.writer.write(exchange.switching(f"X-Peer: {certificate['subjectAltName'][0][1]}"))
        await exchange.hold()

    async with raw_server(telling, tls=tls.mutual_server_context) as server:
        uri = server.uri(scheme="wss")
        async with opened(uri, ssl=tls.identified_client_context) as connection:
            assert connection.response.headers["X-Peer"] == "client@example.org"


async def test_ssl_none_contradicts_wss() -> None:
    with pytest.raises(ValueError) as caught:
        await connect("wss://localhost/", ssl=None)
    assert str(caught.value) == "ssl=None is incompatible with a wss:// URI"


@pytest.mark.parametrize("value", [True, ssl.create_default_context()], ids=["true", "context"])
async def test_ssl_contradicts_ws(value: Any) -> None:
    with pytest.raises(ValueError) as caught:
        connect("ws://localhost/", ssl=value)
    assert str(caught.value) == "ssl argument is incompatible with a ws:// URI"


async def test_ssl_none_is_what_ws_means() -> None:
    async with raw_server(accepting) as server:
        async with opened(server.uri(), ssl=None):
            pass


async def test_a_server_that_does_not_speak_tls() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        await reader.read()
        writer.close()

    listening = await asyncio.start_server(plain, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    with pytest.raises(ssl.SSLError):
        await connect(f"wss://127.0.0.1:{port}/")
    listening.close()


async def test_the_tls_handshake_has_its_own_limit(tls: Any) -> None:
    with listen() as listener:
        with pytest.raises((ConnectionAbortedError, TimeoutError)) as caught:
            await connect(
                f"wss://127.0.0.1:{listener.getsockname()[1]}/",
                ssl=tls.client_context,
                ssl_handshake_timeout=0.05,
                open_timeout=20,
            )
        assert "timed out during opening handshake" not in str(caught.value)


async def test_plain_client_meets_tls_server(tls: Any) -> None:
    async with raw_server(accepting, tls=tls.server_context) as server:
        with pytest.raises((exceptions.InvalidMessage, OSError)):
            await connect(server.uri())
