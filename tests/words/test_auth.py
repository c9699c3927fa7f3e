from __future__ import annotations

import pytest

from ropeway import auth, headers


@pytest.mark.parametrize("name", auth.__all__)
def test_names_are_those_of_headers(name: str) -> None:
    assert getattr(auth, name) is getattr(headers, name)


@pytest.mark.parametrize(
    "name", ["BasicAuthWebSocketServerProtocol", "basic_auth_protocol_factory"]
)
def test_legacy_names_say_where_they_are(name: str) -> None:
    with pytest.raises(ImportError, match=rf"auth\.{name} comes with ropeway\.legacy"):
        exec(f"from ropeway.auth import {name}")


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Nonsense'"):
        auth.Nonsense  # noqa: B018
