from __future__ import annotations

import base64
import itertools
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ropeway import utils
from ropeway.utils import (
    accept_key,
    apply_mask,
    env,
    generate_key,
    get_socket_name,
    logger_name,
    set_logger_prefix,
)


def test_accept_key_of_the_rfc() -> None:
    # RFC 6455, 1.3
    assert accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_generated_keys_are_16_bytes_and_differ() -> None:
    keys = {generate_key() for _ in range(20)}
    assert len(keys) == 20
    assert {len(base64.b64decode(key, validate=True)) for key in keys} == {16}


def reference_mask(data: bytes, mask: bytes) -> bytes:
    return bytes(byte ^ key for byte, key in zip(data, itertools.cycle(mask), strict=False))


@pytest.mark.parametrize("size", [*range(20), 125, 1000, 65537])
@pytest.mark.parametrize("mask", [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x01\x80\x00\xfe"])
def test_apply_mask(size: int, mask: bytes) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    assert apply_mask(data[:size], mask) == reference_mask(data[:size], mask)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_apply_mask_takes_what_is_like_bytes(kind: Any) -> None:
    masked = apply_mask(kind(b"abcde"), bytearray(b"1234"))
    assert masked == reference_mask(b"abcde", b"1234")
    assert type(masked) is bytes


def test_apply_mask_takes_views_with_steps() -> None:
    assert apply_mask(memoryview(b"a-b-c-d")[::2], b"\0\0\0\0") == b"abcd"


@pytest.mark.parametrize("mask", [b"", b"123", b"12345"])
def test_apply_mask_needs_a_key_of_4_bytes(mask: bytes) -> None:
    with pytest.raises(ValueError, match="mask must contain 4 bytes"):
        apply_mask(b"abcd", mask)


@pytest.mark.parametrize(("data", "mask"), [("abcd", b"1234"), (b"abcd", "1234"), (4, b"1234")])
def test_apply_mask_refuses_what_is_not_bytes(data: Any, mask: Any) -> None:
    with pytest.raises(TypeError):
        apply_mask(data, mask)


def test_get_socket_name_of_tcp_over_ipv4() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        assert get_socket_name(sock) == f"127.0.0.1:{sock.getsockname()[1]}"


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
def test_get_socket_name_of_tcp_over_ipv6() -> None:
    with socket.socket(socket.AF_INET6) as sock:
        # Unbound: a machine may have IPv6 and no address to bind to.
        assert get_socket_name(sock) == "[::]:0"


def test_get_socket_name_of_unix(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as sock:
        assert get_socket_name(sock) == ""
        sock.bind(path)
        assert get_socket_name(sock) == path


def test_get_socket_name_of_an_abstract_unix_socket() -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind("\0ropeway-test-words")
        assert get_socket_name(sock) == "\0ropeway-test-words"


@pytest.mark.skipif(not hasattr(socket, "AF_NETLINK"), reason="no netlink")
def test_get_socket_name_of_another_family() -> None:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW) as sock:
        with pytest.raises(AssertionError, match="unsupported socket family"):
            get_socket_name(sock)


@pytest.fixture
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROPEWAY_MAX_REDIRECTS", raising=False)
    monkeypatch.delenv("WEBSOCKETS_MAX_REDIRECTS", raising=False)


@pytest.mark.usefixtures("no_variables")
@pytest.mark.parametrize("default", [None, 1, 1.5, "a"])
def test_env_default(default: Any) -> None:
    assert env("MAX_REDIRECTS", default) is default


@pytest.mark.usefixtures("no_variables")
@pytest.mark.parametrize(
    ("default", "text", "value"),
    [(None, "5", "5"), (1, "5", 5), (1.5, "5", 5.0), ("a", "5", "5"), ("a", "", "")],
)
@pytest.mark.parametrize("prefix", ["ROPEWAY", "WEBSOCKETS"])
def test_env_converts(
    monkeypatch: pytest.MonkeyPatch, prefix: str, default: Any, text: str, value: Any
) -> None:
    monkeypatch.setenv(f"{prefix}_MAX_REDIRECTS", text)
    assert env("MAX_REDIRECTS", default) == value
    assert type(env("MAX_REDIRECTS", default)) is type(value)


@pytest.mark.usefixtures("no_variables")
def test_env_prefers_our_own_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROPEWAY_MAX_REDIRECTS", "ours")
    monkeypatch.setenv("WEBSOCKETS_MAX_REDIRECTS", "theirs")
    assert env("MAX_REDIRECTS", "default") == "ours"


@pytest.mark.usefixtures("no_variables")
def test_env_names_the_variable_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBSOCKETS_MAX_REDIRECTS", "much")
    with pytest.raises(ValueError, match="variable WEBSOCKETS_MAX_REDIRECTS is 'much', not int"):
        env("MAX_REDIRECTS", 5)


@pytest.fixture
def prefix() -> Iterator[None]:
    before = utils._logger_prefix
    yield
    set_logger_prefix(before)


@pytest.mark.usefixtures("prefix")
def test_logger_name() -> None:
    from ropeway.protocol import Side

    set_logger_prefix("ropeway")
    assert logger_name("client") == logger_name(Side.CLIENT) == "ropeway.client"
    assert logger_name("server") == logger_name(Side.SERVER) == "ropeway.server"
    set_logger_prefix("websockets")
    assert logger_name("client") == "websockets.client"
