from __future__ import annotations

import re

import ropeway
from ropeway import version


def test_the_three_names_say_the_same() -> None:
    assert version.version == version.tag == version.commit == ropeway.__version__


def test_version_is_a_release() -> None:
    assert re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+", version.version)
    assert version.released
