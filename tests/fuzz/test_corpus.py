"""Every input that a fuzzer kept is looked at again, on the builds that this run has."""

from __future__ import annotations

import pytest

from fuzz.corpora import KERNELS, kernel_seeds, load
from fuzz.targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_is_wrong_with_what_is_known(name: str) -> None:
    corpus = load(name)
    assert len(corpus) > 20
    for data in corpus:
        try:
            TARGETS[name].check(data)
        except Exception as exc:
            raise AssertionError(data.hex()) from exc


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_is_too_short(name: str) -> None:
    check = TARGETS[name].check
    check(b"")
    for byte in range(16):
        check(bytes((byte,)))
        check(bytes((byte,)) * 8)


@pytest.mark.parametrize("name", [KERNELS, *TARGETS])
def test_the_corpus_begins_with_the_seeds(name: str) -> None:
    seeds = kernel_seeds() if name == KERNELS else TARGETS[name].seeds()
    assert set(seeds) <= set(load(name)), "run python -m fuzz seeds"
