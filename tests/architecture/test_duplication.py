"""What two drivers would both need goes down a floor, instead of standing in each."""

from __future__ import annotations

import pytest

from .duplication import Share, normalised, shares


@pytest.mark.parametrize(
    "share", shares(), ids=lambda share: "-".join((share.driver, *share.others))
)
def test_drivers_are_no_copies_of_each_other(share: Share) -> None:
    assert share.lines > 500
    assert share.share < share.most, share.twice


def test_what_differs_by_the_event_library_alone_is_the_same() -> None:
    one = '''
class A:
    """An A."""

    async def __aenter__(self) -> Self:
        """Enter."""
        async with self.lock:
            return await self.wait(1, timeout=2)  # or not
'''
    other = "class A:\n def __enter__(self):\n  with self.lock: return self.wait(1, timeout=2)"
    assert normalised(one) == normalised(other)
    assert normalised(one) != normalised(other.replace("timeout=2", "timeout=3"))
