from __future__ import annotations

import pytest

from ropeway import auth, headers


@pytest.mark.parametrize("name", auth.__all__)
def test_names_are_those_of_headers(name: str) -> None:
    assert getattr(auth, name) is getattr(headers, name)


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Nonsense'"):
        auth.Nonsense  # noqa: B018
